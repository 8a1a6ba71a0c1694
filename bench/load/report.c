/* report.c: figures for people, and the same ones as rows. */
#include "bench/load/report.h"

#include <errno.h>
#include <string.h>

static const struct {
	double share;
	const char *name;
} marks[] = {{0.5, "p50"},     {0.9, "p90"},       {0.99, "p99"},
	     {0.999, "p99.9"}, {0.9999, "p99.99"}, {0.99999, "p99.999"}};
#define MARKS (sizeof(marks) / sizeof(marks[0]))

static uint64_t get(const _Atomic uint64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

static void add_viewers(struct load_dash_sum *to, const struct load_dash_sum *v)
{
	to->viewers += v->viewers;
	to->began += v->began;
	to->finished += v->finished;
	to->stalled += v->stalled;
	to->stalls += v->stalls;
	to->switches += v->switches;
	to->segments += v->segments;
	to->stall_s += v->stall_s;
	to->played_s += v->played_s;
	to->played_bits += v->played_bits;
	load_hist_merge(&to->startup, &v->startup);
}

void load_result_of(struct load_result *r, const struct load_loop *loops, unsigned n)
{
	memset(r, 0, sizeof(*r));
	for (unsigned i = 0; i < n; i++) {
		const struct load_loop *l = &loops[i];
		double seconds = (double)(l->to_ns - l->from_ns) / 1e9;

		if (seconds > r->seconds)
			r->seconds = seconds;
		r->answers += l->answers;
		r->bytes += l->bytes;
		r->opened += l->opened;
		r->verified += get(&l->counts.verified);
		r->retried += get(&l->counts.retried);
		for (unsigned k = 0; k < LOAD_OUTCOMES; k++)
			r->failed[k] += get(&l->counts.failed[k]);
		if (seconds > 0 && (double)l->busy_ns / 1e9 / seconds > r->busy)
			r->busy = (double)l->busy_ns / 1e9 / seconds;
		if (l->worst_late_ns > r->worst_late_ns)
			r->worst_late_ns = l->worst_late_ns;
		if (l->client.bad_status != 0)
			r->bad_status = l->client.bad_status;
		load_hist_merge(&r->hist, l->hist);
		add_viewers(&r->viewers, l->viewers);
	}
	if (r->seconds <= 0)
		r->seconds = 1e-9;
}

uint64_t load_result_failed(const struct load_result *r)
{
	uint64_t sum = 0;

	for (unsigned k = 1; k < LOAD_OUTCOMES; k++)
		sum += r->failed[k];
	return sum;
}

const char *load_time_text(char *text, size_t len, double ns)
{
	if (ns < 1e6)
		snprintf(text, len, "%.1f us", ns / 1e3);
	else if (ns < 1e9)
		snprintf(text, len, "%.2f ms", ns / 1e6);
	else
		snprintf(text, len, "%.2f s", ns / 1e9);
	return text;
}

static void latency(const struct load_result *r)
{
	char t[32];

	if (r->hist.count == 0)
		return;
	printf("  latency    mean %s", load_time_text(t, sizeof(t), load_hist_mean(&r->hist)));
	for (unsigned i = 0; i < MARKS; i++)
		if ((double)r->hist.count * (1 - marks[i].share) >= 1 || i < 3)
			printf(", %s %s", marks[i].name,
			       load_time_text(t, sizeof(t),
					      (double)load_hist_at(&r->hist, marks[i].share)));
	printf(", max %s\n", load_time_text(t, sizeof(t), (double)r->hist.max));
}

static void viewers(const struct load_dash_sum *v)
{
	char a[32], b[32], c[32];

	printf("  viewers    %u, %u began to play, %u saw the end; startup p50 %s, p95 %s, max "
	       "%s\n",
	       v->viewers, v->began, v->finished,
	       load_time_text(a, sizeof(a), (double)load_hist_at(&v->startup, 0.5)),
	       load_time_text(b, sizeof(b), (double)load_hist_at(&v->startup, 0.95)),
	       load_time_text(c, sizeof(c), (double)v->startup.max));
	printf("  stalls     %llu at %u viewers, %.2f s in all: %.3f %% of %.0f s played\n",
	       (unsigned long long)v->stalls, v->stalled, v->stall_s,
	       v->played_s > 0 ? 100 * v->stall_s / v->played_s : 0, v->played_s);
	printf("  quality    %.2f Mbit/s on average, %llu switches, %llu segments\n",
	       v->played_s > 0 ? v->played_bits / v->played_s / 1e6 : 0,
	       (unsigned long long)v->switches, (unsigned long long)v->segments);
}

void load_report(const struct load_result *r, const struct load_options *o)
{
	uint64_t failed = load_result_failed(r);

	if (o->dash)
		viewers(&r->viewers);

	printf("  answers    %llu in %.2f s: %.0f requests/s, %.3f Gbit/s of payload\n",
	       (unsigned long long)r->answers, r->seconds, (double)r->answers / r->seconds,
	       (double)r->bytes * 8 / 1e9 / r->seconds);
	latency(r);
	if (r->opened > 0 || o->one_shot)
		printf("  opened     %llu connections, %.0f a second; %llu requests asked again "
		       "after "
		       "a close\n",
		       (unsigned long long)r->opened, (double)r->opened / r->seconds,
		       (unsigned long long)r->retried);
	if (o->verify != LOAD_VERIFY_NONE)
		printf("  verified   %llu bodies by XXH3-64, %llu wrong\n",
		       (unsigned long long)r->verified,
		       (unsigned long long)r->failed[LOAD_FAIL_WRONG]);
	if (failed != 0) {
		printf("  FAILED     %llu:", (unsigned long long)failed);
		for (unsigned k = 1, n = 0; k < LOAD_OUTCOMES; k++) {
			if (r->failed[k] == 0)
				continue;
			printf("%s %llu %s", n++ != 0 ? "," : "", (unsigned long long)r->failed[k],
			       load_outcome_names[k]);
			if (k == LOAD_FAIL_STATUS)
				printf(" (last: %u)", r->bad_status);
		}
		putchar('\n');
	}
	printf("  generator  busy %.0f %% of its core%s\n", r->busy * 100,
	       r->busy > 0.9 ? ": IT MAY BE WHAT BOUNDS THESE FIGURES" : "");
	if (o->rate > 0) {
		char t[32];

		printf("  open loop  asked for %.0f/s; the latest request left %s after it was "
		       "due\n",
		       o->rate, load_time_text(t, sizeof(t), (double)r->worst_late_ns));
	}
}

/* --- rows --- */

static void json_text(FILE *f, const char *s)
{
	if (s == NULL) {
		fputs("null", f);
		return;
	}
	fputc('"', f);
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', f);
		if ((unsigned char)*s < 0x20)
			fprintf(f, "\\u%04x", *s);
		else
			fputc(*s, f);
	}
	fputc('"', f);
}

int load_rows_open(struct load_rows *j, const struct load_options *o, const char *name)
{
	*j = (struct load_rows){.o = o, .name = name};
	if (o->json == NULL)
		return 0;
	j->out = strcmp(o->json, "-") == 0 ? stdout : fopen(o->json, "we");
	if (j->out == NULL)
		return -errno;
	fputc('[', j->out);
	return 0;
}

void load_row(struct load_rows *j, const char *metric, double value, const char *unit)
{
	if (j->out == NULL)
		return;
	fprintf(j->out, "%s\n {\"bench\": ", j->any ? "," : "");
	json_text(j->out, j->o->bench);
	fputs(", \"case\": ", j->out);
	json_text(j->out, j->name);
	fputs(", \"metric\": ", j->out);
	json_text(j->out, metric);
	fprintf(j->out, ", \"value\": %.9g, \"unit\": ", value);
	json_text(j->out, unit);
	fputs(", \"aim\": null, \"peer\": ", j->out);
	json_text(j->out, j->o->peer);
	fputc('}', j->out);
	j->any = true;
}

int load_rows_close(struct load_rows *j)
{
	int err = 0;

	if (j->out == NULL)
		return 0;
	fputs("\n]\n", j->out);
	if (fflush(j->out) != 0 || ferror(j->out))
		err = -errno;
	if (j->out != stdout && fclose(j->out) != 0 && err == 0)
		err = -errno;
	j->out = NULL;
	return err;
}

void load_report_rows(const struct load_result *r, const struct load_options *o,
		      struct load_rows *j)
{
	char name[64];

	load_row(j, "requests", (double)r->answers / r->seconds, "1/s");
	load_row(j, "goodput", (double)r->bytes * 8 / 1e9 / r->seconds, "Gbit/s");
	load_row(j, "latency mean", load_hist_mean(&r->hist) / 1e3, "us");
	for (unsigned i = 0; i < MARKS; i++) {
		snprintf(name, sizeof(name), "latency %s", marks[i].name);
		load_row(j, name, (double)load_hist_at(&r->hist, marks[i].share) / 1e3, "us");
	}
	load_row(j, "latency max", (double)r->hist.max / 1e3, "us");
	load_row(j, "connections opened", (double)r->opened / r->seconds, "1/s");
	load_row(j, "answers", (double)r->answers, "");
	load_row(j, "failed", (double)load_result_failed(r), "");
	load_row(j, "verified", (double)r->verified, "");
	load_row(j, "wrong", (double)r->failed[LOAD_FAIL_WRONG], "");
	load_row(j, "generator busy", r->busy, "of a core");
	load_row(j, "seconds", r->seconds, "s");
	if (o->dash) {
		const struct load_dash_sum *v = &r->viewers;

		load_row(j, "viewers", v->viewers, "");
		load_row(j, "viewers finished", v->finished, "");
		load_row(j, "startup p50", (double)load_hist_at(&v->startup, 0.5) / 1e6, "ms");
		load_row(j, "startup p95", (double)load_hist_at(&v->startup, 0.95) / 1e6, "ms");
		load_row(j, "stalls", (double)v->stalls, "");
		load_row(j, "stalled viewers", v->stalled, "");
		load_row(j, "stall time", v->stall_s, "s");
		load_row(j, "switches", (double)v->switches, "");
		load_row(j, "quality", v->played_s > 0 ? v->played_bits / v->played_s / 1e6 : 0,
			 "Mbit/s");
	}
	if (o->rate > 0)
		load_row(j, "sent late at most", (double)r->worst_late_ns / 1e3, "us");
}

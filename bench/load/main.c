/*
 * main.c: spate-load, from the command line to the report.
 *
 *   options.c   what was asked for
 *   plan.c      the URLs, how likely each is (zipf.c), what is known of each body
 *   loop.c      one a thread: who asks when; conn.c: requests on a connection; response.c: answers
 *   sockets.c, wire.c
 *               how bytes get there: the kernel's TCP, or Spate's own over DPDK
 *   dash.c      viewers of a manifest (sets.c): what each would do (player.c)
 *   hist.c      latency; report.c: figures for people and machines
 *   ceiling.c, canned.c
 *               what the generator itself can do
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/load/canned.h"
#include "bench/load/load.h"
#include "bench/load/loop.h"
#include "bench/load/report.h"

_Atomic bool load_stop;

static void on_signal(int sig)
{
	(void)sig;
	atomic_store(&load_stop, true);
}

static void *thread_main(void *arg)
{
	load_loop_run(arg);
	return NULL;
}

static uint64_t total(const struct load_loop *l, unsigned n, size_t field)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += atomic_load_explicit(
			(const _Atomic uint64_t *)(const void *)((const char *)&l[i].counts +
								 field),
			memory_order_relaxed);
	return sum;
}

static uint64_t failures(const struct load_loop *l, unsigned n)
{
	uint64_t sum = 0;

	for (unsigned k = 1; k < LOAD_OUTCOMES; k++)
		sum += total(l, n, offsetof(struct load_counts, failed) + k * sizeof(uint64_t));
	return sum;
}

/* A line a second while the threads run: over the last one on a terminal, else below it. */
static void show_progress(const struct load_loop *l, unsigned n, const struct load_options *o,
			  double second, uint64_t before[2])
{
	uint64_t done = total(l, n, offsetof(struct load_counts, done));
	uint64_t bytes = total(l, n, offsetof(struct load_counts, bytes));
	bool tty = isatty(STDERR_FILENO);

	if (!o->progress)
		return;
	fprintf(stderr,
		"%s%4.0f s  %9llu requests/s  %8.3f Gbit/s  %6llu connections  %llu failed%s",
		tty ? "\r" : "", second, (unsigned long long)(done - before[0]),
		(double)(bytes - before[1]) * 8 / 1e9,
		(unsigned long long)total(l, n, offsetof(struct load_counts, open)),
		(unsigned long long)failures(l, n), tty ? "\033[K" : "\n");
	fflush(stderr);
	before[0] = done;
	before[1] = bytes;
}

static void watch(pthread_t *thread, const struct load_loop *l, unsigned n,
		  const struct load_options *o)
{
	uint64_t before[2] = {0}, begin = load_clock_ns(), next = begin + 1000000000;
	bool shown = false;

	for (unsigned i = 0; i < n; i++) {
		for (;;) {
			struct timespec until;
			int err;

			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_nsec += 100000000;
			if (until.tv_nsec >= 1000000000) {
				until.tv_sec++;
				until.tv_nsec -= 1000000000;
			}
			err = pthread_timedjoin_np(thread[i], NULL, &until);
			if (err == 0)
				break;
			if (load_clock_ns() >= next) {
				show_progress(l, n, o, (double)(next - begin) / 1e9, before);
				next += 1000000000;
				shown = true;
			}
		}
	}
	if (shown && o->progress && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

static int make_loops(struct load_loop *l, const struct load_options *o, struct load_plan *plan,
		      _Atomic bool *start)
{
	for (unsigned i = 0; i < o->threads; i++) {
		l[i].id = i;
		l[i].o = o;
		l[i].plan = plan;
		l[i].cpu = o->cpu[i];
		l[i].nconns = o->connections / o->threads + (i < o->connections % o->threads);
		l[i].rate = o->rate / o->threads;
		l[i].requests = o->requests / o->threads + (i < o->requests % o->threads);
		l[i].stop = &load_stop;
		l[i].start = start;
		l[i].hist = calloc(1, sizeof(*l[i].hist));
		l[i].viewers = calloc(1, sizeof(*l[i].viewers));
		if (l[i].hist == NULL || l[i].viewers == NULL)
			return -ENOMEM;
	}
	return 0;
}

int load_run(const struct load_options *o, struct load_result *out, char *why, size_t why_len)
{
	struct load_loop *l = calloc(o->threads, sizeof(*l));
	pthread_t thread[LOAD_THREADS_MAX];
	_Atomic bool start = false;
	struct load_plan plan;
	unsigned n = 0;
	int err;

	snprintf(why, why_len, "out of memory");
	if (l == NULL)
		return -ENOMEM;
	err = load_plan_open(&plan, o, why, why_len);
	if (err != 0)
		goto out;
	err = make_loops(l, o, &plan, &start);
	for (; err == 0 && n < o->threads; n++)
		if (pthread_create(&thread[n], NULL, thread_main, &l[n]) != 0) {
			err = -EAGAIN;
			break;
		}
	/* All have their nets open before the first one asks. */
	for (unsigned i = 0; i < n; i++)
		while (!atomic_load(&l[i].ready))
			usleep(1000);
	for (unsigned i = 0; i < n; i++)
		if (l[i].why[0] != '\0') {
			snprintf(why, why_len, "%s", l[i].why);
			err = -EIO;
			atomic_store(&load_stop, true);
		}
	atomic_store(&start, true);
	watch(thread, l, n, o);
	for (unsigned i = 0; err == 0 && i < n; i++)
		if (l[i].fatal) {
			snprintf(why, why_len, "%s: no connection could be made", o->host);
			err = -ECONNREFUSED;
		}
	for (unsigned i = 0; err == 0 && i < n; i++)
		if (l[i].viewers->why[0] != '\0') {
			snprintf(why, why_len, "%s", l[i].viewers->why);
			err = -EINVAL;
		}
	if (err == 0)
		load_result_of(out, l, n);
	load_plan_close(&plan);
out:
	for (unsigned i = 0; i < o->threads; i++) {
		free(l[i].hist);
		free(l[i].viewers);
	}
	free(l);
	return err;
}

static int measure(const struct load_options *o)
{
	struct load_result *r = calloc(1, sizeof(*r));
	struct load_rows rows;
	char why[512];
	int err = r == NULL ? -ENOMEM : load_rows_open(&rows, o, o->name ? o->name : o->urls[0]);

	if (err != 0) {
		fprintf(stderr, "spate-load: %s: %s\n", o->json != NULL ? o->json : "memory",
			strerror(-err));
		return 2;
	}
	if (o->json == NULL || strcmp(o->json, "-") != 0)
		printf("%s: %u connections, %u thread%s, %s, %s\n", o->urls[0], o->connections,
		       o->threads, o->threads == 1 ? "" : "s",
		       o->dash       ? "viewers"
		       : o->rate > 0 ? "open loop"
				     : "closed loop",
		       o->dpdk != NULL ? "our TCP on DPDK" : "kernel sockets");
	fflush(stdout);
	err = load_run(o, r, why, sizeof(why));
	if (err != 0) {
		fprintf(stderr, "spate-load: %s\n", why);
		load_rows_close(&rows); /* an empty list, not half of one */
		free(r);
		return 2;
	}
	if (o->json == NULL || strcmp(o->json, "-") != 0)
		load_report(r, o);
	load_report_rows(r, o, &rows);
	err = load_rows_close(&rows);
	if (err != 0)
		fprintf(stderr, "spate-load: %s: %s\n", o->json, strerror(-err));
	err = err != 0 ? 2 : load_result_failed(r) != 0 || r->answers == 0;
	free(r);
	return err;
}

static int be_canned(const struct load_options *o)
{
	struct spate_addr at;
	int fd;

	if (!load_address(o->canned, 80, &at)) {
		fprintf(stderr, "spate-load: --canned %s: want ADDRESS:PORT\n", o->canned);
		return 2;
	}
	fd = load_canned_listen(&at);
	if (fd < 0) {
		fprintf(stderr, "spate-load: %s: %s\n", o->canned, strerror(-fd));
		return 2;
	}
	return load_canned_serve(fd, o->canned_bytes, &load_stop) == 0 ? 0 : 2;
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
	static struct load_options o;
	int err = load_options_parse(&o, argc, argv);

	if (err != 0)
		return err < 0 ? 2 : 0;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (o.make_urls != NULL) {
		err = load_plan_make_urls(o.make_urls);
		if (err != 0)
			fprintf(stderr, "spate-load: %s: %s\n", o.make_urls, strerror(-err));
		return err != 0 ? 2 : 0;
	}
	if (o.canned != NULL)
		return be_canned(&o);
	if (o.ceiling)
		return load_ceiling(&o);
	return measure(&o);
}

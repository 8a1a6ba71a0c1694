/*
 * metrics.c: /metrics. Prometheus text exposition format 0.0.4: HELP and TYPE once and first for
 * each family, the samples of a family together; counters end in _total.
 */
#include <string.h>
#include <sys/resource.h>

#include "control/admin/view.h"

/* HELP text: backslash and newline are escaped. A label's value: the quote too. */
static void escaped(struct spate_text *t, const char *s, bool label)
{
	for (; *s != '\0'; s++) {
		if (*s == '\\')
			spate_text_lit(t, "\\\\");
		else if (*s == '\n')
			spate_text_lit(t, "\\n");
		else if (*s == '"' && label)
			spate_text_lit(t, "\\\"");
		else
			spate_text_put(t, s, 1);
	}
}

struct family {
	const char *prefix, *name, *kind, *help, *help_end;
};

static void family_name(struct spate_text *t, const struct family *f)
{
	spate_text_str(t, f->prefix);
	spate_text_str(t, f->name);
	if (strcmp(f->kind, "counter") == 0)
		spate_text_lit(t, "_total");
}

static void head(struct spate_text *t, const struct family *f)
{
	spate_text_lit(t, "# HELP ");
	family_name(t, f);
	spate_text_lit(t, " ");
	escaped(t, f->help, false);
	spate_text_str(t, f->help_end);
	spate_text_lit(t, "\n# TYPE ");
	family_name(t, f);
	spate_text_lit(t, " ");
	spate_text_str(t, f->kind);
	spate_text_lit(t, "\n");
}

static void sample(struct spate_text *t, const struct family *f, int worker, uint64_t value)
{
	family_name(t, f);
	if (worker >= 0) {
		spate_text_lit(t, "{worker=\"");
		spate_text_u64(t, (uint64_t)worker);
		spate_text_lit(t, "\"}");
	}
	spate_text_lit(t, " ");
	spate_text_u64(t, value);
	spate_text_lit(t, "\n");
}

static void one(struct spate_text *t, const char *prefix, const char *name, const char *kind,
		uint64_t value, const char *help)
{
	const struct family f = {prefix, name, kind, help, ""};

	head(t, &f);
	sample(t, &f, -1, value);
}

static void counter(const struct spate_view *v, const struct spate_counter_info *c,
		    struct spate_text *t)
{
	const struct family total = {"spate_", c->name, c->kind, c->help, ""};
	const struct family each = {"spate_worker_", c->name, c->kind, c->help, ", of one worker"};

	head(t, &total);
	sample(t, &total, -1, spate_view_total(v, c));
	if (!spate_view_of_worker(v, c))
		return;
	head(t, &each);
	for (unsigned i = 0; i < v->nworkers; i++)
		sample(t, &each, (int)i, spate_view_value(v->workers[i], c));
}

static void build_info(const struct spate_view *v, struct spate_text *t)
{
	const struct family f = {"spate_", "build_info", "gauge", "The version that runs; always 1",
				 ""};

	head(t, &f);
	spate_text_lit(t, "spate_build_info{version=\"");
	escaped(t, v->version, true);
	spate_text_lit(t, "\",backend=\"");
	escaped(t, v->backend, true);
	spate_text_lit(t, "\"} 1\n");
}

static void cpu(struct spate_text *t)
{
	const struct family f = {"process_", "cpu_seconds", "counter",
				 "User and system CPU time spent", ""};
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	head(t, &f);
	spate_text_f(t, "process_cpu_seconds_total %.3f\n",
		     (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
			     (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
}

static void port_sample(const struct spate_view_port *p, const struct family *f, uint64_t value,
			struct spate_text *t)
{
	family_name(t, f);
	spate_text_lit(t, "{port=\"");
	escaped(t, p->name, true);
	spate_text_lit(t, "\"} ");
	spate_text_u64(t, value);
	spate_text_lit(t, "\n");
}

static void ports(const struct spate_view *v, struct spate_text *t)
{
	const struct family up = {"spate_port_", "link_up", "gauge", "1 while the link is up", ""};
	const struct family lost = {"spate_port_", "lost", "gauge",
				    "1 when the device was removed or wants a reset: start anew",
				    ""};

	if (v->nports == 0)
		return;
	head(t, &up);
	for (unsigned k = 0; k < v->nports; k++)
		port_sample(&v->port[k], &up, v->port[k].status.link_up, t);
	head(t, &lost);
	for (unsigned k = 0; k < v->nports; k++)
		port_sample(&v->port[k], &lost, v->port[k].status.lost, t);
	for (unsigned i = 0; i < spate_port_infos_len; i++) {
		const struct spate_port_info *info = &spate_port_infos[i];
		const struct family f = {"spate_port_", info->name, info->kind, info->help, ""};

		head(t, &f);
		for (unsigned k = 0; k < v->nports; k++)
			port_sample(&v->port[k], &f, spate_view_port_value(&v->port[k], info), t);
	}
}

void spate_metrics_format(const struct spate_view *v, struct spate_text *t)
{
	const struct spate_cache_usage *c = &v->cache;

	build_info(v, t);
	one(t, "process_", "start_time_seconds", "gauge", (uint64_t)v->start_s,
	    "Start of the process, seconds since the epoch");
	cpu(t);
	one(t, "spate_", "draining", "gauge", v->draining, "1 while the node drains");
	one(t, "spate_", "workers", "gauge", v->nworkers, "Worker threads");
	for (unsigned i = 0; i < spate_counters_len; i++)
		if (spate_view_shown(v, &spate_counters[i]))
			counter(v, &spate_counters[i], t);
	ports(v, t);
	one(t, "spate_", "p2p_offload_percent", "gauge", spate_view_offload(v),
	    "Of what peers say they received, the share that came from each other");
	one(t, "spate_", "cache_limit_bytes", "gauge", c->bytes_limit, "Memory the cache may map");
	one(t, "spate_", "cache_mapped_bytes", "gauge", c->bytes_mapped,
	    "Memory the cache has mapped");
	one(t, "spate_", "cache_block_bytes", "gauge", v->block_bytes, "Size of an arena block");
	one(t, "spate_", "cache_blocks", "gauge", c->blocks, "Arena blocks");
	one(t, "spate_", "cache_blocks_used", "gauge", c->blocks_used,
	    "Arena blocks that hold bytes");
	one(t, "spate_", "cache_objects_max", "gauge", c->objects_max,
	    "Objects the cache has slots for");
	one(t, "spate_", "cache_objects_waiting", "gauge", c->objects_waiting,
	    "Objects removed that a reader may still hold");
	one(t, "spate_", "cache_pins", "gauge", c->pins, "Responses that hold an object");
}

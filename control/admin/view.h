/*
 * view.h: what the admin endpoint shows, as pointers to where it lives. Counters are relaxed
 * atomics of their owners (stats.h), so formatting takes no lock and stops nobody.
 *
 *   spate_metrics_format(&view, &text)   /metrics: Prometheus text exposition format 0.0.4
 *   spate_stat_format(&view, &text)      /stat: one JSON object
 *
 * Both are plain functions of the view. A text that had no room says so in text.full.
 */
#ifndef SPATE_CONTROL_ADMIN_VIEW_H
#define SPATE_CONTROL_ADMIN_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "control/log/text.h"
#include "dataplane/cache/write.h"
#include "dataplane/port/port.h"
#include "spate/stats.h"

struct spate_config;
struct spate_publisher;

#define SPATE_VIEW_PORTS 16

struct spate_view_port {
	const char *name;
	struct spate_port_status status;
};

struct spate_view {
	const char *version, *backend; /* "sockets", "dpdk" */
	int64_t start_s, now_s;        /* CLOCK_REALTIME */
	uint64_t uptime_ms;
	uint32_t block_bytes;
	bool draining;
	const struct spate_stats *const *workers;
	unsigned nworkers;
	const struct spate_stats *control;
	struct spate_cache_usage cache;    /* a copy, taken on control's thread */
	const struct spate_config *config; /* NULL: not shown */
	struct spate_publisher *publisher; /* NULL: no torrents */
	unsigned nports;
	struct spate_view_port port[SPATE_VIEW_PORTS];
};

/*
 * For a counter `x`: family spate_x_total (a gauge: spate_x) is the sum over all threads, and
 * spate_worker_x_total{worker="0"} is one worker's: two families, so that sum() over either is
 * right. Counters that only control writes (cache_, origin_) have no worker family; tcp_ ones are
 * shown with the dpdk backend.
 */
void spate_metrics_format(const struct spate_view *v, struct spate_text *t);
void spate_stat_format(const struct spate_view *v, struct spate_text *t);

/* What is told of a port: family spate_port_x{port="name"}, and x in /stat. */
struct spate_port_info {
	const char *name, *kind, *help;
	uint32_t offset; /* in struct spate_port_status, a uint64_t */
};
extern const struct spate_port_info spate_port_infos[];
extern const unsigned spate_port_infos_len;
uint64_t spate_view_port_value(const struct spate_view_port *p, const struct spate_port_info *i);

/* One counter of one block, and its sum over workers and control. */
uint64_t spate_view_value(const struct spate_stats *s, const struct spate_counter_info *c);
uint64_t spate_view_total(const struct spate_view *v, const struct spate_counter_info *c);

/*
 * Of all bytes that peers say they received, how many came from each other and not from the edge;
 * percent, 0 before the first.
 */
unsigned spate_view_offload(const struct spate_view *v);

/* Whether a worker, or control, ever writes this counter; and whether it means anything with this
 * backend. */
bool spate_view_of_worker(const struct spate_view *v, const struct spate_counter_info *c);
bool spate_view_of_control(const struct spate_counter_info *c);
bool spate_view_shown(const struct spate_view *v, const struct spate_counter_info *c);

#endif

/*
 * stats.h: counters, one block a thread, written by that thread alone and summed by whoever reads.
 * The list is tbl/counters.def; this file only turns it into a struct and a table of names.
 *
 *   SPATE_COUNT(stats, http_requests);          add one
 *   SPATE_COUNT_N(stats, http_body_bytes, n);
 *
 * A counter is a relaxed atomic that only its owner writes, so adding costs a plain add.
 */
#ifndef SPATE_STATS_H
#define SPATE_STATS_H

#include <stdatomic.h>
#include <stdint.h>

struct spate_stats {
#define SPATE_COUNTER(name, kind, unit, help) _Atomic uint64_t name;
#include "spate/tbl/counters.def"
#undef SPATE_COUNTER
} __attribute__((aligned(64)));

#define SPATE_COUNT_N(stats, name, n)                                                      \
	atomic_store_explicit(&(stats)->name,                                              \
			      atomic_load_explicit(&(stats)->name, memory_order_relaxed) + \
				      (uint64_t)(n),                                       \
			      memory_order_relaxed)
#define SPATE_COUNT(stats, name) SPATE_COUNT_N(stats, name, 1)

struct spate_counter_info {
	const char *name; /* without the spate_ prefix that /metrics adds */
	const char *kind; /* "counter" or "gauge" */
	const char *unit; /* "", "bytes", "us" */
	const char *help;
	uint32_t offset; /* in struct spate_stats */
};

extern const struct spate_counter_info spate_counters[];
extern const unsigned spate_counters_len;

#endif

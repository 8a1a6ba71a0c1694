/*
 * shim.h: Google Benchmark for C. A benchmark is a C file here; shim.cc is the only C++.
 *
 *   1. bench/micro/thing.c:  void spate_bench_thing(void) registers its benchmarks
 *   2. bench/micro/list.def: SPATE_BENCH_FILE(thing)
 *   3. bench/micro/meson.build: micro_sources += files('thing.c')
 *
 * Each is run for each argument as NAME/ARG; spate-micro takes Google Benchmark's options:
 *
 *   build/bench/micro/spate-micro --benchmark_filter=lookup --benchmark_format=json
 *
 * Besides time a benchmark shows `cycles`: TSC ticks an iteration, the best of up to 256 parts of
 * the run, so that a neighbour who takes the core away for a while does not show.
 */
#ifndef SPATE_BENCH_SHIM_H
#define SPATE_BENCH_SHIM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct spate_bench {
	const char *name;
	/*
	 * Not timed. Called once for each argument, however often run is; NULL: none. What it
	 * returns is run's ctx; freed by teardown (NULL: nothing to free).
	 */
	void *(*setup)(int64_t arg);
	void (*run)(void *ctx, int64_t arg, uint64_t n); /* timed: n iterations */
	void (*teardown)(void *ctx);
	const int64_t *args; /* nargs of them; NULL: run once with 0 */
	unsigned nargs;
};

/* b and what it points at live for ever. */
void spate_bench_add(const struct spate_bench *b);

/* From run: what one iteration moved; shown as bytes and items a second. */
void spate_bench_bytes(uint64_t each);
void spate_bench_items(uint64_t each);
/* From run: a figure to show beside the time (a hit ratio, iovecs a call). */
void spate_bench_counter(const char *name, double value);

/* Keeps the compiler from dropping the work that led to v. */
static inline void spate_bench_keep(uint64_t v)
{
	__asm__ volatile("" : : "r"(v) : "memory");
}

#ifdef __cplusplus
}
#endif

#endif

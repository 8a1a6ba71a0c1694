/* fixture.h: caches for the benchmarks of cache/. Objects are made without touching their bytes. */
#ifndef SPATE_BENCH_FIXTURE_H
#define SPATE_BENCH_FIXTURE_H

#include <stdint.h>

#include "dataplane/cache/write.h"

struct spate_key bench_key(uint64_t n);

/* A cache of n objects of `size` bytes (numbers 0..n-1); reader 0 is online. Aborts when it cannot
 * be made. */
struct spate_cache *bench_cache(uint64_t n, uint32_t block_bytes, uint64_t size, unsigned readers);

/* Seeded xorshift64*. */
uint64_t bench_random(uint64_t *s);

/* len numbers in [0, n), Zipf-distributed with exponent alpha; malloc'd. */
uint32_t *bench_zipf(uint32_t n, double alpha, uint64_t len, uint64_t seed);

#endif

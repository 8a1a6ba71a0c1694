/*
 * lookup.c: the cache's part of a request: probe, touch, pin, unpin; keys ready hashed, in random
 * order. One iteration is one lookup. Objects are 512 B blocks with nothing in them, so that 10^6
 * fit.
 */
#include "shim.h"

#include <stdlib.h>

#include "fixture.h"

#define KEYS (1u << 16)

struct lookup {
	struct spate_cache *cache;
	struct spate_key *hit, *miss; /* KEYS each */
};

static void *setup(int64_t objects)
{
	struct lookup *l = malloc(sizeof(*l));
	uint64_t seed = 42;

	l->cache = bench_cache((uint64_t)objects, 512, 512, 1);
	l->hit = malloc(KEYS * sizeof(*l->hit));
	l->miss = malloc(KEYS * sizeof(*l->miss));
	for (unsigned i = 0; i < KEYS; i++) {
		l->hit[i] = bench_key(bench_random(&seed) % (uint64_t)objects);
		l->miss[i] = bench_key(bench_random(&seed) | 1ull << 63);
	}
	return l;
}

static void teardown(void *ctx)
{
	struct lookup *l = ctx;

	spate_cache_destroy(l->cache);
	free(l->hit);
	free(l->miss);
	free(l);
}

static void hit(void *ctx, int64_t objects, uint64_t n)
{
	struct lookup *l = ctx;
	uint64_t sum = 0;

	for (uint64_t i = 0; i < n; i++)
		sum += (uintptr_t)spate_cache_lookup(l->cache, &l->hit[i % KEYS]);
	spate_bench_keep(sum);
	spate_bench_items(1);
}

static void hit_and_pin(void *ctx, int64_t objects, uint64_t n)
{
	struct lookup *l = ctx;

	for (uint64_t i = 0; i < n; i++) {
		struct spate_object *o = spate_cache_lookup(l->cache, &l->hit[i % KEYS]);

		spate_cache_pin(l->cache, 0, o);
		spate_bench_keep((uintptr_t)o);
		spate_cache_unpin(l->cache, 0, o);
		if (i % 32 == 0)
			spate_cache_quiesce(l->cache, 0);
	}
	spate_bench_items(1);
}

static void miss(void *ctx, int64_t objects, uint64_t n)
{
	struct lookup *l = ctx;
	uint64_t sum = 0;

	for (uint64_t i = 0; i < n; i++)
		sum += (uintptr_t)spate_cache_lookup(l->cache, &l->miss[i % KEYS]);
	spate_bench_keep(sum);
	spate_bench_items(1);
}

void spate_bench_lookup(void);
void spate_bench_lookup(void)
{
	static const int64_t objects[] = {1000, 10000, 100000, 1000000};
	static const struct spate_bench benches[] = {
		{"lookup_hit", setup, hit, teardown, objects, 4},
		{"lookup_hit_pin_unpin", setup, hit_and_pin, teardown, objects, 4},
		{"lookup_miss", setup, miss, teardown, objects, 4},
	};

	for (unsigned i = 0; i < sizeof(benches) / sizeof(benches[0]); i++)
		spate_bench_add(&benches[i]);
}

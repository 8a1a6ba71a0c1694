/*
 * s3fifo.c: a trace replayed through the whole cache (lookup; on a miss insert, publish, fill,
 * complete), no bytes written. Argument: the cache in percent of all objects. One iteration is one
 * request; `hits` is the ratio, on Zipf(0.9) over 100,000 objects of one block.
 */
#include "shim.h"

#include <stdlib.h>

#include "fixture.h"

#define OBJECTS 100000u
#define TRACE   (1u << 21)
#define BLOCK   4096u

struct replay {
	struct spate_cache *cache;
	uint32_t *trace;
	uint64_t at, hits, asked;
};

static void *setup(int64_t percent)
{
	struct replay *r = calloc(1, sizeof(*r));

	if (spate_cache_create(&r->cache,
			       (uint64_t)OBJECTS * (uint64_t)percent / 100 * (BLOCK + 300), BLOCK,
			       1) < 0)
		abort();
	r->trace = bench_zipf(OBJECTS, 0.9, TRACE, 7);
	return r;
}

static void teardown(void *ctx)
{
	struct replay *r = ctx;

	spate_cache_destroy(r->cache);
	free(r->trace);
	free(r);
}

static void fetch(struct spate_cache *c, const struct spate_key *key)
{
	struct spate_object *o = spate_cache_insert(c, key);
	struct iovec iov[1];
	unsigned n;
	uint64_t waiting;

	spate_cache_publish(c, o, calloc(1, sizeof(struct spate_meta)), BLOCK, INT64_MAX);
	spate_cache_filled(c, o, spate_cache_room(c, o, BLOCK, iov, 1, &n));
	spate_cache_complete(c, o, &waiting);
	spate_cache_release(c, o);
}

static void run(void *ctx, int64_t percent, uint64_t n)
{
	struct replay *r = ctx;

	for (uint64_t i = 0; i < n; i++) {
		struct spate_key key = bench_key(r->trace[r->at++ % TRACE]);

		if (spate_cache_lookup(r->cache, &key) != NULL)
			r->hits++;
		else
			fetch(r->cache, &key);
	}
	r->asked += n;
	spate_bench_items(1);
	spate_bench_counter("hits", (double)r->hits / (double)r->asked);
}

void spate_bench_s3fifo(void);
void spate_bench_s3fifo(void)
{
	static const int64_t percent[] = {1, 10, 30};
	static const struct spate_bench bench = {"s3fifo_replay", setup, run, teardown, percent, 3};

	spate_bench_add(&bench);
}

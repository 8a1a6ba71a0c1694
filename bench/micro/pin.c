/*
 * pin.c: three ways to keep an object while it is sent, pin and unpin of the same popular object.
 * Argument: how many other threads do the same meanwhile.
 *
 *   pin_reader_counts   ours: a count a reader, plain add (and QSBR once a loop turn)
 *   pin_shared_atomic   one atomic count in the object
 *   pin_hazard          a hazard pointer: store, full barrier, look again; kept in a list for the
 * response
 */
#include "shim.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "fixture.h"

#define OTHERS_MAX 1

typedef void pin_fn(struct spate_cache *c, unsigned reader, struct spate_object *o);

struct pins {
	struct spate_cache *cache;
	struct spate_object *object;
	_Atomic bool stop;
	pthread_t other[OTHERS_MAX];
	unsigned others;
	pin_fn *fn;
};

static _Alignas(64) _Atomic uint32_t shared;
static _Atomic(struct spate_object *) hazard[OTHERS_MAX + 1][8];
static _Alignas(64) _Atomic(struct spate_object *) slot; /* what an index entry would be */

static void reader_counts(struct spate_cache *c, unsigned reader, struct spate_object *o)
{
	spate_cache_pin(c, reader, o);
	spate_bench_keep((uintptr_t)o);
	spate_cache_unpin(c, reader, o);
}

static void shared_atomic(struct spate_cache *c, unsigned reader, struct spate_object *o)
{
	atomic_fetch_add_explicit(&shared, 1, memory_order_acquire);
	spate_bench_keep((uintptr_t)o);
	atomic_fetch_sub_explicit(&shared, 1, memory_order_release);
}

static void hazard_pointer(struct spate_cache *c, unsigned reader, struct spate_object *o)
{
	do {
		o = atomic_load_explicit(&slot, memory_order_relaxed);
		atomic_exchange_explicit(&hazard[reader][0], o, memory_order_seq_cst);
	} while (atomic_load_explicit(&slot, memory_order_acquire) != o);
	spate_bench_keep((uintptr_t)o);
	atomic_store_explicit(&hazard[reader][0], NULL, memory_order_release);
}

static void *other(void *arg)
{
	struct pins *p = arg;

	while (!atomic_load_explicit(&p->stop, memory_order_relaxed))
		p->fn(p->cache, 1, p->object);
	return NULL;
}

static void *setup(int64_t others, pin_fn *fn)
{
	struct pins *p = calloc(1, sizeof(*p));
	struct spate_key key = bench_key(0);

	p->cache = bench_cache(1000, 512, 512, 1 + OTHERS_MAX);
	p->object = spate_cache_lookup(p->cache, &key);
	p->others = (unsigned)others;
	p->fn = fn;
	atomic_store(&slot, p->object);
	for (unsigned i = 0; i < p->others; i++)
		if (pthread_create(&p->other[i], NULL, other, p) != 0)
			abort();
	return p;
}

static void *setup_counts(int64_t others)
{
	return setup(others, reader_counts);
}

static void *setup_shared(int64_t others)
{
	return setup(others, shared_atomic);
}

static void *setup_hazard(int64_t others)
{
	return setup(others, hazard_pointer);
}

static void teardown(void *ctx)
{
	struct pins *p = ctx;

	atomic_store(&p->stop, true);
	for (unsigned i = 0; i < p->others; i++)
		pthread_join(p->other[i], NULL);
	spate_cache_destroy(p->cache);
	free(p);
}

static void run_counts(void *ctx, int64_t others, uint64_t n)
{
	struct pins *p = ctx;

	for (uint64_t i = 0; i < n; i++)
		reader_counts(p->cache, 0, p->object);
}

static void run_shared(void *ctx, int64_t others, uint64_t n)
{
	struct pins *p = ctx;

	for (uint64_t i = 0; i < n; i++)
		shared_atomic(p->cache, 0, p->object);
}

static void run_hazard(void *ctx, int64_t others, uint64_t n)
{
	struct pins *p = ctx;

	for (uint64_t i = 0; i < n; i++)
		hazard_pointer(p->cache, 0, p->object);
}

void spate_bench_pin(void);
void spate_bench_pin(void)
{
	static const int64_t others[] = {0, 1};
	static const struct spate_bench benches[] = {
		{"pin_reader_counts", setup_counts, run_counts, teardown, others, 2},
		{"pin_shared_atomic", setup_shared, run_shared, teardown, others, 2},
		{"pin_hazard", setup_hazard, run_hazard, teardown, others, 2},
	};

	for (unsigned i = 0; i < sizeof(benches) / sizeof(benches[0]); i++)
		spate_bench_add(&benches[i]);
}

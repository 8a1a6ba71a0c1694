/* iov.c: pointing iovecs at a segment: one iteration covers an object of ARG KiB, in pieces of 64
 * KiB. */
#include "shim.h"

#include <stdlib.h>

#include "fixture.h"

#define OBJECTS 16u
#define PIECE   (64u << 10)

static void *setup(int64_t kib)
{
	return bench_cache(OBJECTS, 16 << 10, (uint64_t)kib << 10, 1);
}

static void teardown(void *ctx)
{
	spate_cache_destroy(ctx);
}

static void run(void *ctx, int64_t kib, uint64_t n)
{
	struct spate_object *o[OBJECTS];
	uint64_t size = (uint64_t)kib << 10, vecs = 0;

	for (unsigned i = 0; i < OBJECTS; i++) {
		struct spate_key key = bench_key(i);

		o[i] = spate_cache_lookup(ctx, &key);
	}
	for (uint64_t i = 0; i < n; i++) {
		struct iovec iov[16];
		unsigned k;

		for (uint64_t at = 0; at < size;) {
			at += spate_object_iov(ctx, o[i % OBJECTS], at, PIECE, iov, 16, &k);
			spate_bench_keep((uintptr_t)iov[0].iov_base);
			vecs += k;
		}
	}
	spate_bench_bytes(size);
	spate_bench_counter("iovecs", (double)vecs / (double)n);
}

void spate_bench_iov(void);
void spate_bench_iov(void)
{
	static const int64_t kib[] = {1, 64, 1024, 4096};
	static const struct spate_bench bench = {"iov", setup, run, teardown, kib, 4};

	spate_bench_add(&bench);
}

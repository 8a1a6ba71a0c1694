#include "fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "bench: %s failed\n", what);
		exit(1);
	}
}

struct spate_key bench_key(uint64_t n)
{
	return spate_key_of(&n, sizeof(n));
}

static void add(struct spate_cache *c, uint64_t n, uint64_t size)
{
	struct spate_key key = bench_key(n);
	struct spate_object *o = spate_cache_insert(c, &key);
	struct spate_meta *meta = calloc(1, sizeof(*meta));
	uint64_t left = size, waiting;

	must(o != NULL && meta != NULL, "insert");
	must(spate_cache_publish(c, o, meta, size, INT64_MAX) == 0, "publish");
	while (left > 0) {
		struct iovec iov[16];
		unsigned k;
		uint64_t got = spate_cache_room(c, o, left, iov, 16, &k);

		must(got > 0, "room");
		spate_cache_filled(c, o, got);
		left -= got;
	}
	spate_cache_complete(c, o, &waiting);
	spate_cache_release(c, o);
}

struct spate_cache *bench_cache(uint64_t n, uint32_t block_bytes, uint64_t size, unsigned readers)
{
	uint64_t each = (size + block_bytes - 1) / block_bytes * block_bytes;
	uint64_t bytes =
		n * (each + each / 8 + 1024) + (1 << 20); /* a slot, its share of the tables */
	struct spate_cache *c;

	must(spate_cache_create(&c, bytes, block_bytes, readers) == 0, "create");
	for (uint64_t i = 0; i < n; i++)
		add(c, i, size);
	struct spate_cache_usage u;

	spate_cache_usage(c, &u);
	must(u.evicted == 0 && u.objects == n, "keeping all objects");
	spate_cache_online(c, 0);
	return c;
}

uint64_t bench_random(uint64_t *s)
{
	*s ^= *s >> 12;
	*s ^= *s << 25;
	*s ^= *s >> 27;
	return *s * 0x2545F4914F6CDD1Dull;
}

uint32_t *bench_zipf(uint32_t n, double alpha, uint64_t len, uint64_t seed)
{
	double *cdf = malloc(n * sizeof(*cdf)), sum = 0;
	uint32_t *trace = malloc(len * sizeof(*trace));

	must(cdf != NULL && trace != NULL, "malloc");
	for (uint32_t i = 0; i < n; i++)
		cdf[i] = sum += pow(i + 1, -alpha);
	for (uint64_t t = 0; t < len; t++) {
		double u = (double)(bench_random(&seed) >> 11) * 0x1p-53 * sum;
		uint32_t low = 0, high = n - 1;

		while (low < high) {
			uint32_t mid = (low + high) / 2;

			if (cdf[mid] < u)
				low = mid + 1;
			else
				high = mid;
		}
		trace[t] = low;
	}
	free(cdf);
	return trace;
}

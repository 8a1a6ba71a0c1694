/* hash.c: what a key costs (XXH3-128), at the lengths of paths. */
#include "shim.h"

#include <string.h>

#include "spate/cache.h"

static void run(void *ctx, int64_t len, uint64_t n)
{
	char path[256];
	uint64_t sum = 0;

	(void)ctx;
	memset(path, 'a', sizeof(path));
	for (uint64_t i = 0; i < n; i++) {
		memcpy(path, &i, sizeof(i));
		struct spate_key k = spate_key_of(path, (size_t)len);

		sum += k.lo ^ k.hi;
	}
	spate_bench_keep(sum);
	spate_bench_bytes((uint64_t)len);
}

void spate_bench_hash(void);
void spate_bench_hash(void)
{
	static const int64_t lens[] = {32, 64, 256};
	static const struct spate_bench bench = {"hash", NULL, run, NULL, lens, 3};

	spate_bench_add(&bench);
}

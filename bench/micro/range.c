/* range.c: what the Range field costs: one part, the most parts, and a flood that is refused. */
#include "shim.h"

#include "dataplane/http/range.h"

static void run(void *ctx, int64_t which, uint64_t n)
{
	static const char *const values[] = {
		"bytes=1048576-2097151",
		"bytes=0-1,10-11,20-21,30-31,40-41,50-51,60-61,-5",
		"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,18-18,20-20,22-22,24-24,26-26,"
		"28-28,"
		"30-30,32-32,34-34,36-36,38-38,40-40,42-42,44-44,46-46,48-48,50-50,52-52,54-54,56-"
		"56",
	};
	struct spate_slice value = spate_slice_of(values[which], strlen(values[which]));
	struct spate_ranges set;
	uint64_t sum = 0;

	(void)ctx;
	for (uint64_t i = 0; i < n; i++) {
		sum += (uint64_t)spate_http_range(value, (4u << 20) + (i & 1), &set) + set.n;
		spate_bench_keep((uint64_t)(uintptr_t)&set);
	}
	spate_bench_keep(sum);
	spate_bench_bytes(value.len);
}

void spate_bench_range(void);
void spate_bench_range(void)
{
	static const int64_t which[] = {0, 1, 2};
	static const struct spate_bench bench = {"range", NULL, run, NULL, which, 3};

	spate_bench_add(&bench);
}

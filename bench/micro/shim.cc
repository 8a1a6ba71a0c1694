/* shim.cc: see shim.h. */
#include "shim.h"

#include <algorithm>
#include <benchmark/benchmark.h>
#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>
static uint64_t ticks()
{
	return __rdtsc();
}
#else
static uint64_t ticks()
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return uint64_t(t.tv_sec) * 1000000000u + uint64_t(t.tv_nsec);
}
#endif

extern "C" {
#define SPATE_BENCH_FILE(x) void spate_bench_##x(void);
#include "list.def"
#undef SPATE_BENCH_FILE
}

namespace
{
const uint64_t PARTS = 256, PART_MIN = 1000;

benchmark::State *now; /* of the run that is going on */

/* Google Benchmark calls a benchmark several times to find n; what setup made stays for all of them. */
struct {
	const spate_bench *bench;
	int64_t arg;
	void *ctx;
} ready;

void *ctx_for(const spate_bench *b, int64_t arg)
{
	if (ready.bench == b && ready.arg == arg)
		return ready.ctx;
	if (ready.bench && ready.bench->teardown)
		ready.bench->teardown(ready.ctx);
	ready.bench = b;
	ready.arg = arg;
	ready.ctx = b && b->setup ? b->setup(arg) : nullptr;
	return ready.ctx;
}

void run(benchmark::State &state, const spate_bench *b)
{
	int64_t arg = b->nargs > 0 ? state.range(0) : 0;
	uint64_t n = uint64_t(state.max_iterations);
	double best = 0;
	void *ctx = ctx_for(b, arg);

	now = &state;
	while (state.KeepRunningBatch(state.max_iterations)) {
		uint64_t whole = std::max(n / PARTS, std::min(n, PART_MIN));

		for (uint64_t done = 0, part; done < n; done += part) {
			part = std::min(whole, n - done);
			uint64_t start = ticks();

			b->run(ctx, arg, part);
			double each = double(ticks() - start) / double(part);

			if (done == 0 || (part == whole && each < best))
				best = each;
		}
	}
	now = nullptr;
	state.counters["cycles"] = best;
}
} // namespace

void spate_bench_add(const struct spate_bench *b)
{
	auto *r = benchmark::RegisterBenchmark(b->name,
					       [b](benchmark::State &state) { run(state, b); });

	for (unsigned i = 0; i < b->nargs; i++)
		r->Arg(b->args[i]);
}

void spate_bench_bytes(uint64_t each)
{
	now->SetBytesProcessed(int64_t(each) * now->max_iterations);
}

void spate_bench_items(uint64_t each)
{
	now->SetItemsProcessed(int64_t(each) * now->max_iterations);
}

void spate_bench_counter(const char *name, double value)
{
	now->counters[name] = value;
}

int main(int argc, char **argv)
{
#define SPATE_BENCH_FILE(x) spate_bench_##x();
#include "list.def"
#undef SPATE_BENCH_FILE
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return 1;
	benchmark::RunSpecifiedBenchmarks();
	ctx_for(nullptr, 0);
	return 0;
}

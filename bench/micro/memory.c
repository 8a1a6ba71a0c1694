/*
 * memory.c: what one core moves through memory: copies and reads of a range that no cache holds
 * whole, 1 MiB an iteration. The arithmetic of docs/performance.md starts here.
 */
#include <stdlib.h>
#include <string.h>

#include "shim.h"

#define PIECE (1u << 20)

static void *setup(int64_t mib)
{
	uint8_t *m = malloc(2 * (size_t)mib << 20);

	if (m != NULL)
		memset(m, 1, 2 * (size_t)mib << 20);
	return m;
}

/* Pieces at odd distances, so that neighbours in time are none in memory. */
static size_t piece(uint64_t i, int64_t mib)
{
	return (size_t)(i * 17 % (uint64_t)mib) * PIECE;
}

static void copy(void *ctx, int64_t mib, uint64_t n)
{
	static uint64_t at;
	uint8_t *from = ctx, *to = from + ((size_t)mib << 20);

	for (uint64_t i = 0; i < n; i++, at++)
		memcpy(to + piece(at, mib), from + piece(at, mib), PIECE);
	spate_bench_keep(to[0]);
	spate_bench_bytes(PIECE);
}

static void read_all(void *ctx, int64_t mib, uint64_t n)
{
	static uint64_t at;
	uint64_t sum = 0;

	for (uint64_t i = 0; i < n; i++, at++) {
		const uint64_t *p = (const uint64_t *)((uint8_t *)ctx + piece(at, mib));

		for (unsigned j = 0; j < PIECE / 8; j += 8)
			sum += p[j] ^ p[j + 1] ^ p[j + 2] ^ p[j + 3] ^ p[j + 4] ^ p[j + 5] ^
			       p[j + 6] ^ p[j + 7];
	}
	spate_bench_keep(sum);
	spate_bench_bytes(PIECE);
}

void spate_bench_memory(void);

void spate_bench_memory(void)
{
	static const int64_t mib[] = {1, 1024};
	static const struct spate_bench copies = {"memory_copy", setup, copy, free, mib, 2};
	static const struct spate_bench reads = {"memory_read", setup, read_all, free, mib, 2};

	spate_bench_add(&copies);
	spate_bench_add(&reads);
}

#include "dataplane/cache/arena.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_BYTES     ((size_t)2 << 20)
#define HUGE_ARENA_MIN (8 * HUGE_BYTES) /* below, rounding down to 2 MiB loses too much */
#define RUNS_LOOKED_AT 64 /* the longest of so many free runs, when none is long enough */

static int open_memfd(unsigned flags, size_t bytes)
{
	int fd = memfd_create("spate-arena", MFD_CLOEXEC | flags);

	if (fd >= 0 && ftruncate(fd, (off_t)bytes) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* 2 MiB aligned, so that huge pages can back it: map too much, map again inside, give the edges
 * back. */
static void *map_aligned(int fd, size_t bytes)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	size_t span = bytes + HUGE_BYTES;
	uint8_t *raw =
		mmap(NULL, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (raw == MAP_FAILED)
		return NULL;
	uint8_t *at = (uint8_t *)(((uintptr_t)raw + HUGE_BYTES - 1) & ~(uintptr_t)(HUGE_BYTES - 1));

	if (mmap(at, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED | MAP_NORESERVE, fd, 0) ==
	    MAP_FAILED) {
		munmap(raw, span);
		return NULL;
	}
	/* munmap and a MAP_FIXED over it both work on whole pages; bytes is a multiple of 4 KiB */
	if (at > raw)
		munmap(raw, (size_t)(at - raw));
	munmap(at + bytes, (size_t)(raw + span - at) - bytes);
	return at;
}

/*
 * Huge pages somebody reserved. Not MAP_NORESERVE here: the kernel then sets the pages aside at
 * once, and says no instead of a SIGBUS in the middle of a fill.
 */
static int map_hugetlb(struct spate_arena *a, size_t bytes)
{
	bytes &= ~(HUGE_BYTES - 1);
	if (bytes < HUGE_ARENA_MIN)
		return -ENOMEM;
	int fd = open_memfd(MFD_HUGETLB | MFD_HUGE_2MB, bytes);

	if (fd < 0)
		return -ENOMEM;
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED) {
		close(fd);
		return -ENOMEM;
	}
	a->base = p;
	a->bytes = bytes;
	a->page_bytes = HUGE_BYTES;
	a->fd = fd;
	return 0;
}

/* Debian's default is never: then a memfd has small pages for ever, while private memory may have
 * huge ones. */
static bool memfd_may_be_huge(void)
{
	int fd = open("/sys/kernel/mm/transparent_hugepage/shmem_enabled", O_RDONLY | O_CLOEXEC);
	char text[128];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return false;
	text[n] = 0;
	return strstr(text, "[never]") == NULL && strstr(text, "[deny]") == NULL;
}

static int map_pages(struct spate_arena *a, size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	bytes &= ~(page - 1);
	a->fd = memfd_may_be_huge() ? open_memfd(0, bytes) : -1;
	a->base = map_aligned(a->fd, bytes);
	if (a->base == NULL && a->fd >= 0) {
		close(a->fd);
		a->fd = -1;
		a->base = map_aligned(-1, bytes);
	}
	if (a->base == NULL)
		return -ENOMEM;
	a->bytes = bytes;
	a->page_bytes = page;
	madvise(a->base, bytes, MADV_HUGEPAGE); /* a wish: shmem_enabled or enabled may forbid it */
	return 0;
}

int spate_arena_map(struct spate_arena *a, size_t bytes, uint32_t block_bytes)
{
	memset(a, 0, sizeof(*a));
	a->fd = -1;
	if (map_hugetlb(a, bytes) < 0 && map_pages(a, bytes) < 0)
		return -ENOMEM;
	madvise(a->base, a->bytes, MADV_DONTDUMP);
	a->block_bytes = block_bytes;
	a->block_shift = (uint32_t)__builtin_ctz(block_bytes);
	return 0;
}

/*
 * No huge pages: dropping a part of one would leave the rest of it behind, unused and uncounted,
 * until the kernel feels pressure and splits it.
 */
int spate_arena_map_giftable(struct spate_arena *a, size_t bytes, uint32_t block_bytes)
{
	memset(a, 0, sizeof(*a));
	a->fd = -1;
	a->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	a->bytes = bytes & ~(a->page_bytes - 1);
	a->base = map_aligned(-1, a->bytes);
	if (a->base == NULL)
		return -ENOMEM;
	madvise(a->base, a->bytes, MADV_NOHUGEPAGE);
	madvise(a->base, a->bytes, MADV_DONTDUMP);
	a->giftable = block_bytes >= a->page_bytes;
	a->block_bytes = block_bytes;
	a->block_shift = (uint32_t)__builtin_ctz(block_bytes);
	return 0;
}

void spate_arena_borrow(struct spate_arena *a, void *base, size_t bytes, size_t page_bytes,
			uint32_t block_bytes)
{
	*a = (struct spate_arena){
		.base = base,
		.bytes = bytes,
		.page_bytes = page_bytes,
		.fd = -1,
		.borrowed = true,
		.block_bytes = block_bytes,
		.block_shift = (uint32_t)__builtin_ctz(block_bytes),
	};
}

void spate_arena_drop(struct spate_arena *a, uint32_t first, uint32_t n)
{
	int err = madvise(a->base + ((size_t)first << a->block_shift), (size_t)n << a->block_shift,
			  MADV_DONTNEED);

	assert(err == 0); /* private memory of our own: nothing to fail */
	(void)err;
}

void spate_arena_unmap(struct spate_arena *a)
{
	if (a->base != NULL && !a->borrowed)
		munmap(a->base, a->bytes);
	if (a->fd >= 0)
		close(a->fd);
	a->base = NULL;
	a->fd = -1;
}

static size_t words_for(uint32_t bits)
{
	return ((size_t)bits + 63) / 64;
}

size_t spate_arena_track_bytes(uint32_t blocks)
{
	size_t words = words_for(blocks);

	return ((words + words_for((uint32_t)words)) * 8 + 63) & ~(size_t)63;
}

void spate_arena_track(struct spate_arena *a, void *mem, uint32_t blocks)
{
	a->free = mem;
	a->summary = a->free + words_for(blocks);
	a->blocks = blocks;
	a->nfree = 0;
	a->cursor = 0;
	spate_arena_free(a, 0, blocks);
}

/* The first free block in [from, blocks), or blocks. */
static uint32_t next_free(const struct spate_arena *a, uint32_t from)
{
	if (from >= a->blocks)
		return a->blocks;
	uint32_t w = from >> 6;
	uint64_t bits = a->free[w] & (~0ull << (from & 63));

	if (bits != 0)
		return w * 64 + (uint32_t)__builtin_ctzll(bits);
	uint32_t nwords = (uint32_t)words_for(a->blocks), nsum = (uint32_t)words_for(nwords);

	if (++w >= nwords)
		return a->blocks;
	uint32_t s = w >> 6;

	bits = a->summary[s] & (~0ull << (w & 63));
	while (bits == 0) {
		if (++s == nsum)
			return a->blocks;
		bits = a->summary[s];
	}
	w = s * 64 + (uint32_t)__builtin_ctzll(bits);
	assert(a->free[w] != 0);
	return w * 64 + (uint32_t)__builtin_ctzll(a->free[w]);
}

/* How many blocks from `at` on are free, at most `max`. Bits past the last block are never set. */
static uint32_t run_length(const struct spate_arena *a, uint32_t at, uint32_t max)
{
	uint32_t n = 0;

	while (n < max && at + n < a->blocks) {
		uint32_t bit = (at + n) & 63;
		uint64_t used =
			~(a->free[(at + n) >> 6] >> bit); /* shifted-in zeros read as used */
		uint32_t here = used == 0 ? 64 : (uint32_t)__builtin_ctzll(used);

		n += here;
		if (here < 64 - bit)
			break;
	}
	return n < max ? n : max;
}

static void take(struct spate_arena *a, uint32_t first, uint32_t n)
{
	for (uint32_t i = first; i < first + n;) {
		uint32_t w = i >> 6, bit = i & 63;
		uint32_t k = 64 - bit < first + n - i ? 64 - bit : first + n - i;
		uint64_t mask = (k == 64 ? ~0ull : (1ull << k) - 1) << bit;

		assert((a->free[w] & mask) == mask);
		a->free[w] &= ~mask;
		if (a->free[w] == 0)
			a->summary[w >> 6] &= ~(1ull << (w & 63));
		i += k;
	}
	a->nfree -= n;
}

void spate_arena_free(struct spate_arena *a, uint32_t first, uint32_t n)
{
	assert(first + n <= a->blocks);
	for (uint32_t i = first; i < first + n;) {
		uint32_t w = i >> 6, bit = i & 63;
		uint32_t k = 64 - bit < first + n - i ? 64 - bit : first + n - i;
		uint64_t mask = (k == 64 ? ~0ull : (1ull << k) - 1) << bit;

		assert((a->free[w] & mask) == 0);
		a->free[w] |= mask;
		a->summary[w >> 6] |= 1ull << (w & 63);
		i += k;
	}
	a->nfree += n;
}

/* From the cursor around: the first run that takes all of `ahead`, else the longest of the first
 * few. */
static uint32_t find_run(const struct spate_arena *a, uint32_t ahead, uint32_t *first)
{
	uint32_t at = a->cursor, best = 0;
	int wraps = 0;

	for (int looked = 0; looked < RUNS_LOOKED_AT; looked++) {
		at = next_free(a, at);
		if (at == a->blocks) {
			if (wraps++ > 0)
				break;
			at = next_free(a, 0);
		}
		if (wraps > 0 && at >= a->cursor && best > 0)
			break;
		uint32_t n = run_length(a, at, ahead);

		if (n > best) {
			best = n;
			*first = at;
		}
		if (n == ahead)
			break;
		at += n;
	}
	return best;
}

uint32_t spate_arena_alloc(struct spate_arena *a, uint32_t hint, uint32_t want, uint32_t ahead,
			   uint32_t *first)
{
	if (a->nfree == 0 || want == 0)
		return 0;
	uint32_t n;

	if (hint < a->blocks && spate_arena_is_free(a, hint)) {
		*first = hint;
		n = run_length(a, hint, want);
	} else {
		uint32_t run = find_run(a, ahead > want ? ahead : want, first);

		assert(run > 0);
		a->cursor = *first + run;
		n = run < want ? run : want;
	}
	take(a, *first, n);
	return n;
}

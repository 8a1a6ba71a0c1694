/*
 * arena.h: one mapping cut into blocks, and who hands them out. The writer's; readers only know
 * `base`.
 *
 *   spate_arena_map(a, bytes, block_bytes)            maps; may round bytes down to whole pages
 *   spate_arena_track(a, bitmap, blocks)              all blocks free from here on
 *   n = spate_arena_alloc(a, hint, want, ahead, &first)
 *   spate_arena_free(a, first, n)
 *   spate_arena_unmap(a)
 *
 * Free blocks are a bitmap (1 = free) with a summary above it (1 = this word has a free block).
 * Objects ask for their bytes piece by piece while many fills go on, and still should lie in few
 * runs, because each run costs an iovec. So the allocator knows two things besides `want`: `hint`,
 * the block after the object's last one, and `ahead`, how many the object will want in all. A new
 * run is looked for that could take all of `ahead`, and the cursor moves past all of it, so that
 * the next object starts behind:
 *
 *     A A A . . . . . B B . . . . . C . . .      cursor is here: ^
 *           ^hint of A    ^hint of B
 *
 * Nothing is reserved: when the arena is tight, the gaps are taken.
 */
#ifndef SPATE_CACHE_ARENA_H
#define SPATE_CACHE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPATE_NO_BLOCK UINT32_MAX

struct spate_arena {
	uint8_t *base;
	size_t bytes;      /* mapped */
	size_t page_bytes; /* 2 MiB when from hugetlbfs, else 4 KiB (the kernel may still merge) */
	int fd;            /* memfd, or -1 */
	bool giftable;     /* private small pages: spate_arena_drop works */
	bool borrowed;
	uint32_t block_bytes, block_shift;
	uint32_t blocks, nfree;
	uint32_t cursor;
	uint64_t *free; /* bitmap, then summary; the caller's memory */
	uint64_t *summary;
};

/*
 * Maps at most `bytes`: hugetlb memfd; else memfd with THP where shmem may have them; else private
 * memory with THP. 0 or -ENOMEM. a->bytes says what was mapped: whole huge pages are rounded down.
 */
int spate_arena_map(struct spate_arena *a, size_t bytes, uint32_t block_bytes);
/* Private memory in small pages, for readers that give pages away. Blocks of at least a page. */
int spate_arena_map_giftable(struct spate_arena *a, size_t bytes, uint32_t block_bytes);
/* Memory of somebody else, not unmapped at the end. */
void spate_arena_borrow(struct spate_arena *a, void *base, size_t bytes, size_t page_bytes,
			uint32_t block_bytes);
/* The run's pages leave the arena with what they hold; fresh ones come with the next write. */
void spate_arena_drop(struct spate_arena *a, uint32_t first, uint32_t n);
void spate_arena_unmap(struct spate_arena *a);

/* Bytes of bitmap memory for that many blocks; multiple of 64. */
size_t spate_arena_track_bytes(uint32_t blocks);
/* mem: zeroed, spate_arena_track_bytes(blocks). */
void spate_arena_track(struct spate_arena *a, void *mem, uint32_t blocks);

/*
 * Takes a run of 1..want blocks that starts at *first, at `hint` when that is free (SPATE_NO_BLOCK:
 * none). Returns its length; 0 when nothing is free.
 */
uint32_t spate_arena_alloc(struct spate_arena *a, uint32_t hint, uint32_t want, uint32_t ahead,
			   uint32_t *first);
void spate_arena_free(struct spate_arena *a, uint32_t first, uint32_t n);

static inline int spate_arena_is_free(const struct spate_arena *a, uint32_t block)
{
	return (a->free[block >> 6] >> (block & 63)) & 1;
}

#endif

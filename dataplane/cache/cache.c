/*
 * cache.c: one byte limit, divided.
 *
 *     bytes = arena (blocks) + fixed (slots, pins, index, ghost, bitmap) + side (16 bytes a block)
 *             + heads that do not fit in their slot (1/64 of the arena)
 *
 * One slot a block: an object with a body takes a block at least, so more slots could not be used.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dataplane/cache/internal.h"

#define BLOCK_DEFAULT (16u << 10)
#define BLOCK_MIN     512u
#define BLOCK_MAX     (16u << 20)
#define BLOCKS_MIN    64u
#define BLOCKS_MAX    (1u << 30)
#define SLOTS_MAX     (1u << 24)
#define META_LONGEST  (sizeof(struct spate_meta) + 16384) /* as control makes them */
#define LOW_BYTES     (32ull << 20) /* the low-water mark at most: 25 ms of filling at 10 Gbit/s */

/* Where the parts of the fixed mapping start; each on a cache line, each reader's pins on pages of
 * its own. */
struct plan {
	uint32_t blocks, slots;
	size_t readers, pins, pins_each, index, ghost, bitmap, total;
};

static size_t page_up(size_t n)
{
	return (n + 4095) & ~(size_t)4095;
}

static struct plan plan_for(uint32_t blocks, unsigned readers)
{
	struct plan p = {.blocks = blocks, .slots = blocks < SLOTS_MAX ? blocks : SLOTS_MAX};

	p.readers = (size_t)p.slots * sizeof(struct spate_object); /* the pool is first */
	p.pins = page_up(p.readers + readers * sizeof(struct spate_qsbr_reader));
	p.pins_each = page_up(p.slots * sizeof(uint32_t));
	p.index = p.pins + readers * p.pins_each;
	p.ghost = p.index + spate_index_bytes(p.slots);
	p.bitmap = p.ghost + spate_ghost_bytes(p.slots);
	p.total = page_up(p.bitmap + spate_arena_track_bytes(blocks));
	return p;
}

/* The least: so that one long head in use is not all there may be. */
static uint64_t meta_share(uint32_t blocks, uint32_t block_bytes)
{
	uint64_t n = (uint64_t)blocks * block_bytes / 64;

	return n < 4 * META_LONGEST ? 4 * META_LONGEST : n;
}

static uint64_t bytes_for(uint32_t blocks, uint32_t block_bytes, unsigned readers)
{
	return page_up((size_t)blocks * block_bytes) + plan_for(blocks, readers).total +
	       (uint64_t)blocks * SPATE_SIDE_PER_BLOCK + meta_share(blocks, block_bytes) +
	       sizeof(struct spate_cache);
}

/* The most blocks that fit with all they need. */
static uint32_t most_blocks(uint64_t bytes, uint32_t block_bytes, unsigned readers)
{
	uint32_t low = 0, high = bytes / block_bytes < BLOCKS_MAX ? (uint32_t)(bytes / block_bytes)
								  : BLOCKS_MAX;

	while (low < high) {
		uint32_t mid = low + (high - low + 1) / 2;

		if (bytes_for(mid, block_bytes, readers) <= bytes)
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}

static uint32_t low_water(uint64_t total, uint64_t most)
{
	uint64_t n = total / 32;

	return (uint32_t)(n < most ? n : most);
}

static void lay_out(struct spate_cache *c, const struct plan *p, unsigned readers)
{
	uint8_t *m = c->fixed;
	struct spate_qsbr_reader *reader = (void *)(m + p->readers);
	struct spate_list empty = {.head = SPATE_NO_LINK, .tail = SPATE_NO_LINK};

	c->pool = (void *)m;
	c->objects_max = p->slots;
	c->free_slot = SPATE_NO_LINK;
	for (unsigned i = 0; i < readers; i++)
		reader[i].pins = (void *)(m + p->pins + i * p->pins_each);
	spate_qsbr_init(&c->qsbr, reader, readers);
	spate_index_init(&c->index, m + p->index, p->slots, c->pool);
	spate_s3fifo_init(&c->s3, c->pool, p->slots, p->blocks, m + p->ghost);
	spate_arena_track(&c->arena, m + p->bitmap, p->blocks);
	c->grace = c->limbo = empty;
}

static int map_arena(struct spate_arena *a, size_t bytes, uint32_t block_bytes,
		     int (*map)(struct spate_arena *a, size_t bytes, uint32_t block_bytes),
		     spate_cache_take *take)
{
	size_t got = bytes, page_bytes;
	void *base = take != NULL ? take(&got, &page_bytes) : NULL;

	if (base == NULL)
		return map(a, bytes, block_bytes);
	spate_arena_borrow(a, base, got, page_bytes, block_bytes);
	return 0;
}

static int create(struct spate_cache **out, uint64_t bytes, uint32_t block_bytes, unsigned readers,
		  int (*map)(struct spate_arena *a, size_t bytes, uint32_t block_bytes),
		  spate_cache_take *take)
{
	if (block_bytes == 0)
		block_bytes = BLOCK_DEFAULT;
	if (block_bytes < BLOCK_MIN || block_bytes > BLOCK_MAX ||
	    (block_bytes & (block_bytes - 1)) != 0 || readers < 1 || readers > SPATE_READERS_MAX ||
	    bytes > SIZE_MAX / 2)
		return -EINVAL;
	uint32_t blocks = most_blocks(bytes, block_bytes, readers);

	if (blocks < BLOCKS_MIN)
		return -EINVAL;
	struct spate_cache *c = aligned_alloc(64, (sizeof(*c) + 63) & ~(size_t)63);

	if (c == NULL)
		return -ENOMEM;
	memset(c, 0, sizeof(*c));
	if (map_arena(&c->arena, page_up((size_t)blocks * block_bytes), block_bytes, map, take) < 0)
		goto no_arena;
	if (blocks > c->arena.bytes / block_bytes)
		blocks = (uint32_t)(c->arena.bytes / block_bytes); /* whole huge pages */
	struct plan p = plan_for(blocks, readers);

	c->fixed_bytes = p.total;
	c->fixed = mmap(NULL, p.total, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (c->fixed == MAP_FAILED)
		goto no_fixed;
	madvise(c->fixed, p.total, MADV_HUGEPAGE);
	lay_out(c, &p, readers);
	c->base = c->arena.base;
	c->block_bytes = block_bytes;
	c->block_shift = c->arena.block_shift;
	c->side_max = (uint64_t)blocks * SPATE_SIDE_PER_BLOCK;
	c->meta_max = meta_share(blocks, block_bytes) - META_LONGEST;
	c->low_meta = META_LONGEST + c->meta_max / 32;
	c->low_blocks = low_water(blocks, LOW_BYTES / block_bytes);
	c->low_slots = low_water(p.slots, 4096);
	c->limit = bytes;
	*out = c;
	return 0;

no_fixed:
	spate_arena_unmap(&c->arena);
no_arena:
	free(c);
	return -ENOMEM;
}

int spate_cache_create(struct spate_cache **out, uint64_t bytes, uint32_t block_bytes,
		       unsigned readers)
{
	return create(out, bytes, block_bytes, readers, spate_arena_map, NULL);
}

int spate_cache_create_giftable(struct spate_cache **out, uint64_t bytes, uint32_t block_bytes,
				unsigned readers)
{
	return create(out, bytes, block_bytes, readers, spate_arena_map_giftable, NULL);
}

int spate_cache_create_in(struct spate_cache **out, uint64_t bytes, uint32_t block_bytes,
			  unsigned readers, spate_cache_take *take)
{
	return create(out, bytes, block_bytes, readers, spate_arena_map, take);
}

void spate_cache_destroy(struct spate_cache *c)
{
	if (c == NULL)
		return;
	for (uint32_t i = 0; i < c->made; i++) {
		if (atomic_load_explicit(&c->pool[i].state, memory_order_relaxed) !=
		    SPATE_OBJECT_FREE)
			spate_cache_free_slot(c, &c->pool[i]);
	}
	spate_meta_destroy(c);
	munmap(c->fixed, c->fixed_bytes);
	spate_arena_unmap(&c->arena);
	free(c);
}

void spate_cache_arena(const struct spate_cache *c, struct spate_arena_info *out)
{
	*out = (struct spate_arena_info){
		.base = c->arena.base,
		.bytes = c->arena.bytes,
		.block_bytes = c->block_bytes,
		.blocks = c->arena.blocks,
		.fd = c->arena.fd,
		.giftable = c->arena.giftable,
		.page_bytes = c->arena.page_bytes,
	};
}

void spate_cache_usage(const struct spate_cache *c, struct spate_cache_usage *out)
{
	*out = (struct spate_cache_usage){
		.bytes_limit = c->limit,
		.bytes_mapped = c->arena.bytes + c->fixed_bytes + c->side_bytes,
		.blocks = c->arena.blocks,
		.blocks_used = c->arena.blocks - c->arena.nfree,
		.objects = c->objects,
		.objects_max = c->objects_max,
		.objects_waiting = c->grace.count + c->limbo.count,
		.evicted = c->evicted,
		.no_room = c->no_room,
		.meta_bytes = c->meta_bytes,
	};
	for (unsigned i = 0; i < c->qsbr.readers; i++)
		out->pins += atomic_load_explicit(&c->qsbr.reader[i].pinned, memory_order_relaxed);
}

/*
 * blocks.c: which blocks an object has, and room for more bytes.
 *
 * Block i of an object is direct[i], or table[i - 4]. Prefix fills own blocks 0..n; range fills
 * leave holes (SPATE_NO_BLOCK). The table doubles by copy as far as blocks come, and the old copy
 * stays for readers that loaded its address. They take 64, 128, 256 bytes and so on, headers
 * included, and the last ends where the object does:
 *
 *     blocks     5..16    ..32    ..64    ..128
 *     copies    64      192     448      960      bytes together: less than 16 a block
 *
 * That is what create set aside (side_max), so tables are inside the byte limit, and without holes
 * they are never short. A table that reaches far over a hole has more than its share (sparse): such
 * objects give way to each other, and no others to them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/cache/internal.h"

#define TABLE_MIN     12 /* entries; with the header a cache line */
#define TABLE_HEADER  (sizeof(struct spate_side) / sizeof(uint32_t)) /* in entries */
#define AHEAD_UNKNOWN 16 /* blocks a fill of unknown size is expected to want */

uint32_t *spate_object_entry(const struct spate_object *o, uint32_t i)
{
	if (i < SPATE_DIRECT_BLOCKS)
		return (uint32_t *)&o->direct[i];
	if (i - SPATE_DIRECT_BLOCKS >= o->table_cap)
		return NULL;
	uint32_t *table = atomic_load_explicit(&o->table, memory_order_relaxed);

	return &table[i - SPATE_DIRECT_BLOCKS];
}

uint64_t spate_blocks_side(const struct spate_object *o)
{
	uint32_t *table = atomic_load_explicit(&o->table, memory_order_relaxed);
	_Atomic uint64_t *ranges = atomic_load_explicit(&o->ranges, memory_order_relaxed);
	uint64_t bytes = ranges == NULL ? 0 : spate_side_of((void *)ranges)->bytes;

	if (table != NULL)
		for (struct spate_side *s = spate_side_of(table); s != NULL; s = s->older)
			bytes += s->bytes;
	return bytes;
}

static uint64_t sparse(const struct spate_object *o)
{
	uint64_t bytes = spate_blocks_side(o);

	return bytes > (uint64_t)o->nblocks * SPATE_SIDE_PER_BLOCK ? bytes : 0;
}

/* Counted memory beside the arena; when it is short, who has too much of it goes. NULL: not now. */
static struct spate_side *side_alloc(struct spate_cache *c, size_t data_bytes)
{
	size_t bytes = sizeof(struct spate_side) + data_bytes;
	uint64_t need = c->side_bytes + bytes;

	if (need > c->side_max + c->side_coming)
		spate_cache_sweep(c, sparse, need - c->side_max - c->side_coming);
	if (need > c->side_max)
		return NULL;
	struct spate_side *s = malloc(bytes);

	if (s == NULL)
		return NULL;
	c->side_bytes += bytes;
	s->bytes = bytes;
	s->older = NULL;
	return s;
}

static void side_free(struct spate_cache *c, void *data)
{
	if (data == NULL)
		return;
	for (struct spate_side *s = spate_side_of(data), *older; s != NULL; s = older) {
		older = s->older;
		c->side_bytes -= s->bytes;
		free(s);
	}
}

/* Makes the table reach block i. */
static bool reach(struct spate_cache *c, struct spate_object *o, uint32_t i)
{
	uint64_t size = atomic_load_explicit(&o->size, memory_order_relaxed);
	uint32_t *old = atomic_load_explicit(&o->table, memory_order_relaxed), cap = o->table_cap;

	if (i < SPATE_DIRECT_BLOCKS + cap)
		return true;
	do
		cap = cap > 0 ? 2 * cap + TABLE_HEADER : TABLE_MIN;
	while (SPATE_DIRECT_BLOCKS + cap <= i);
	if (size != SPATE_SIZE_UNKNOWN && spate_blocks_for(c, size) - SPATE_DIRECT_BLOCKS < cap)
		cap = (uint32_t)spate_blocks_for(c, size) - SPATE_DIRECT_BLOCKS;
	struct spate_side *s = side_alloc(c, cap * sizeof(uint32_t));

	if (s == NULL)
		return false;
	memset(s->data, 0xff, cap * sizeof(uint32_t)); /* SPATE_NO_BLOCK */
	if (old != NULL) {
		memcpy(s->data, old, o->table_cap * sizeof(uint32_t));
		s->older = spate_side_of(old);
	}
	atomic_store_explicit(&o->table, s->data, memory_order_release);
	o->table_cap = cap;
	return true;
}

static bool range_has(const struct spate_object *o, uint32_t i)
{
	_Atomic uint64_t *words = atomic_load_explicit(&o->ranges, memory_order_relaxed);

	return words != NULL &&
	       ((atomic_load_explicit(&words[i >> 6], memory_order_relaxed) >> (i & 63)) & 1);
}

/* Gives blocks to every hole in [i, end); returns the first one that is still a hole, or end. */
static uint32_t fill_holes(struct spate_cache *c, struct spate_object *o, uint32_t i, uint32_t end)
{
	uint64_t size = atomic_load_explicit(&o->size, memory_order_relaxed);
	uint32_t whole = size == SPATE_SIZE_UNKNOWN ? 0 : (uint32_t)spate_blocks_for(c, size);

	while (i < end) {
		uint32_t *e = spate_object_entry(o, i), hole = 1, first, hint = SPATE_NO_BLOCK;

		if (*e != SPATE_NO_BLOCK) {
			i++;
			continue;
		}
		while (i + hole < end && *spate_object_entry(o, i + hole) == SPATE_NO_BLOCK)
			hole++;
		if (i > 0 && *spate_object_entry(o, i - 1) != SPATE_NO_BLOCK)
			hint = *spate_object_entry(o, i - 1) + 1;
		uint32_t n = spate_arena_alloc(&c->arena, hint, hole,
					       whole > 0 ? whole - i : AHEAD_UNKNOWN, &first);

		for (uint32_t k = 0; k < n; k++)
			*spate_object_entry(o, i + k) = first + k;
		o->nblocks += n;
		if (n > 0 && o->queue != SPATE_S3_NONE)
			spate_s3fifo_grow(&c->s3, o, n);
		i += n;
		if (n == 0)
			break;
	}
	return i;
}

static uint64_t point_at(const struct spate_cache *c, const struct spate_object *o, uint64_t off,
			 uint64_t end, struct iovec *iov, unsigned max, unsigned *n)
{
	uint64_t at = off;
	unsigned k = 0;

	while (at < end) {
		uint64_t in = at & (c->block_bytes - 1);
		uint64_t here = c->block_bytes - in < end - at ? c->block_bytes - in : end - at;
		uint32_t block = *spate_object_entry(o, (uint32_t)(at >> c->block_shift));
		uint8_t *p = c->base + ((uint64_t)block << c->block_shift) + in;

		if (k > 0 && (uint8_t *)iov[k - 1].iov_base + iov[k - 1].iov_len == p)
			iov[k - 1].iov_len += here;
		else if (k < max)
			iov[k++] = (struct iovec){.iov_base = p, .iov_len = here};
		else
			break;
		at += here;
	}
	*n = k;
	return at - off;
}

uint64_t spate_cache_max_object(const struct spate_cache *c)
{
	return (uint64_t)c->arena.blocks << c->block_shift;
}

uint64_t spate_cache_room_at(struct spate_cache *c, struct spate_object *o, uint64_t off,
			     uint64_t want, struct iovec *iov, unsigned max, unsigned *n)
{
	uint64_t size = atomic_load_explicit(&o->size, memory_order_relaxed);
	uint64_t most = size != SPATE_SIZE_UNKNOWN ? size : spate_cache_max_object(c);

	assert(o->holds > 0);
	*n = 0;
	if (off >= most || want == 0 || max == 0)
		return 0;
	if (want > most - off)
		want = most - off;
	uint32_t first = (uint32_t)(off >> c->block_shift);
	uint32_t end = (uint32_t)spate_blocks_for(c, off + want), missing = 0;

	/* what somebody may be reading already is not offered again */
	for (uint32_t i = first; i < end; i++) {
		if (range_has(o, i)) {
			end = i;
			break;
		}
	}
	if (end <= first || !reach(c, o, end - 1))
		return 0;
	for (uint32_t i = first; i < end; i++)
		missing += *spate_object_entry(o, i) == SPATE_NO_BLOCK;
	if (missing > 0)
		spate_cache_make_room(c, missing, 0);
	uint64_t got = (uint64_t)fill_holes(c, o, first, end) << c->block_shift;

	if (got > off + want)
		got = off + want;
	if (got <= off) {
		c->no_room++;
		return 0;
	}
	return point_at(c, o, off, got, iov, max, n);
}

uint64_t spate_cache_room(struct spate_cache *c, struct spate_object *o, uint64_t want,
			  struct iovec *iov, unsigned max, unsigned *n)
{
	return spate_cache_room_at(c, o, atomic_load_explicit(&o->filled, memory_order_relaxed),
				   want, iov, max, n);
}

/* `filled` swallows the whole blocks that ranges put right behind it. */
static uint64_t swallow(const struct spate_cache *c, const struct spate_object *o, uint64_t filled,
			uint64_t size)
{
	if (atomic_load_explicit(&o->ranges, memory_order_relaxed) == NULL)
		return filled;
	while ((filled & (c->block_bytes - 1)) == 0 && filled < size &&
	       range_has(o, (uint32_t)(filled >> c->block_shift)))
		filled = filled + c->block_bytes < size ? filled + c->block_bytes : size;
	return filled;
}

static uint64_t tell(struct spate_object *o)
{
	return atomic_exchange_explicit(&o->waiting, 0,
					memory_order_acq_rel); /* see spate_object_wait */
}

uint64_t spate_cache_filled(struct spate_cache *c, struct spate_object *o, uint64_t n)
{
	uint64_t filled = atomic_load_explicit(&o->filled, memory_order_relaxed) + n;
	uint64_t size = atomic_load_explicit(&o->size, memory_order_relaxed);

	assert(filled <= size);
	atomic_store_explicit(&o->filled, swallow(c, o, filled, size), memory_order_release);
	return tell(o);
}

/* One bit a block of the whole object, made when its first range comes. */
static bool make_ranges(struct spate_cache *c, struct spate_object *o, uint64_t size)
{
	if (atomic_load_explicit(&o->ranges, memory_order_relaxed) != NULL)
		return true;
	size_t bytes = (size_t)((spate_blocks_for(c, size) + 63) / 64) * sizeof(uint64_t);
	struct spate_side *s = side_alloc(c, bytes);

	if (s == NULL)
		return false;
	memset(s->data, 0, bytes);
	atomic_store_explicit(&o->ranges, (_Atomic uint64_t *)(void *)s->data,
			      memory_order_release);
	return true;
}

int spate_cache_filled_at(struct spate_cache *c, struct spate_object *o, uint64_t off, uint64_t n,
			  uint64_t *waiting)
{
	uint64_t size = atomic_load_explicit(&o->size, memory_order_relaxed);
	uint64_t filled = atomic_load_explicit(&o->filled, memory_order_relaxed);

	*waiting = 0;
	if (size == SPATE_SIZE_UNKNOWN || off > size || n > size - off)
		return -EINVAL;
	if (off <= filled) {
		if (off + n > filled)
			atomic_store_explicit(&o->filled, swallow(c, o, off + n, size),
					      memory_order_release);
		*waiting = tell(o);
		return 0;
	}
	uint64_t end = off + n;
	uint32_t first = (uint32_t)spate_blocks_for(c, off); /* the first whole block */
	uint32_t last = (uint32_t)(end == size ? spate_blocks_for(c, end) : end >> c->block_shift);

	if (!make_ranges(c, o, size))
		return -ENOMEM;
	_Atomic uint64_t *words = atomic_load_explicit(&o->ranges, memory_order_relaxed);

	for (uint32_t i = first; i < last; i++) {
		uint64_t word = atomic_load_explicit(&words[i >> 6], memory_order_relaxed);

		atomic_store_explicit(&words[i >> 6], word | 1ull << (i & 63),
				      memory_order_release);
	}
	*waiting = tell(o);
	return 0;
}

/* Gives back whole blocks past `size`. No reader was ever pointed at them, so no grace period is
 * needed. */
void spate_blocks_trim(struct spate_cache *c, struct spate_object *o, uint64_t size)
{
	uint32_t i = (uint32_t)spate_blocks_for(c, size), *e;

	for (; (e = spate_object_entry(o, i)) != NULL; i++) {
		if (*e == SPATE_NO_BLOCK)
			continue;
		spate_arena_free(&c->arena, *e, 1);
		*e = SPATE_NO_BLOCK;
		o->nblocks--;
	}
}

/* The kernel may still hold these pages in packets: it keeps them, we take new ones. A call for
 * each run. */
static void drop_gifted(struct spate_cache *c, struct spate_object *o)
{
	uint32_t first = SPATE_NO_BLOCK, n = 0, *e;

	for (uint32_t i = 0; (e = spate_object_entry(o, i)) != NULL; i++) {
		if (*e == SPATE_NO_BLOCK)
			continue;
		if (n > 0 && *e == first + n) {
			n++;
			continue;
		}
		if (n > 0)
			spate_arena_drop(&c->arena, first, n);
		first = *e;
		n = 1;
	}
	if (n > 0)
		spate_arena_drop(&c->arena, first, n);
	atomic_store_explicit(&o->gifted, 0, memory_order_relaxed);
}

void spate_blocks_free_all(struct spate_cache *c, struct spate_object *o)
{
	if (atomic_load_explicit(&o->gifted, memory_order_relaxed))
		drop_gifted(c, o);
	spate_blocks_trim(c, o, 0);
	assert(o->nblocks == 0);
	side_free(c, atomic_load_explicit(&o->table, memory_order_relaxed));
	side_free(c, (void *)atomic_load_explicit(&o->ranges, memory_order_relaxed));
	atomic_store_explicit(&o->table, NULL, memory_order_relaxed);
	atomic_store_explicit(&o->ranges, NULL, memory_order_relaxed);
	o->table_cap = 0;
}

/*
 * internal.h: the cache's insides, shared by the files of this folder (and its tests), by nobody
 * else.
 *
 *   cache.c    create, destroy, usage           read.c     lookup, pin (hit path)
 *   write.c    insert, publish, complete, ...   object.c   where the bytes are, how far filled
 *   blocks.c   room, block tables               reclaim.c  retire, evict, free
 *   arena.c index.c s3fifo.c ghost.c qsbr.c     the parts; each knows nothing of the others
 *   meta.c     heads, beside their object or not    check.c    every invariant
 *
 * An object's life, as reclaim.c sees it:
 *
 *     pool ─insert─▶ held ─publish─▶ in index ─complete/park─▶ + in a queue
 *      ▲                                │ evict, remove, replace, fail: out of index and queue
 *      │                                ▼
 *     free ◀── unpinned, unheld ── limbo ◀── epoch passed ── grace (FIFO)
 *
 * From grace and limbo what is held may be put back.
 */
#ifndef SPATE_CACHE_INTERNAL_H
#define SPATE_CACHE_INTERNAL_H

#include "dataplane/cache/arena.h"
#include "dataplane/cache/index.h"
#include "dataplane/cache/qsbr.h"
#include "dataplane/cache/s3fifo.h"
#include "dataplane/cache/write.h"

#define SPATE_SIDE_PER_BLOCK 16u /* bytes of block tables that are set aside for each block */

/* o->flags */
enum {
	SPATE_O_INDEXED = 1, /* a lookup can find it */
	SPATE_O_RETIRED = 2, /* in grace or limbo */
	SPATE_O_LIMBO = 4,   /* in limbo */
	SPATE_O_COMING = 8,  /* in grace and unheld: its blocks are counted in blocks_coming */
	SPATE_O_PUBLISHED = 16,
	SPATE_O_PRIVATE = 32,
	SPATE_O_BESIDE = 64, /* o->beside is in use: by o->meta, or by an old one that waits */
};

/* A block table's or ranges bitmap's memory; o->table points at data[0]. Older tables live with the
 * object. */
struct spate_side {
	struct spate_side *older;
	uint64_t bytes; /* whole allocation, as counted */
	uint32_t data[];
};

struct spate_old_meta {
	const struct spate_meta *meta;
	struct spate_object *object;
	uint64_t stamp;
};

/* Through next and prev, as the S3-FIFO queues: head is the oldest. */
struct spate_list {
	uint32_t head, tail, count;
};

struct spate_cache {
	/* read by every reader, never written after create */
	struct spate_object *pool;
	uint8_t *base;
	uint32_t block_shift, block_bytes;
	struct spate_index index; /* .count is the writer's, not the readers' */

	struct spate_qsbr qsbr;

	/* the writer's */
	_Alignas(64) struct spate_arena arena;
	struct spate_s3fifo s3;
	uint32_t objects_max, objects; /* slots, slots not free */
	uint32_t made;      /* slots [0, made) were used before; the rest is untouched memory */
	uint32_t free_slot; /* of those made */
	struct spate_list grace, limbo;
	bool reclaimed;                 /* in this turn, and nothing was retired since */
	uint32_t blocks_coming;         /* will be free once the grace period ends */
	uint32_t low_blocks, low_slots; /* keep so many free or coming */
	uint64_t side_bytes, side_max;  /* block tables and ranges bitmaps */
	uint64_t side_coming;           /* as blocks_coming */
	uint32_t hand, swept; /* the slot that a sweep looks at next; looked at this turn */
	uint64_t meta_bytes;  /* of those that are not beside their object */
	uint64_t meta_max; /* beyond it no slot is given out: one head more would pass the limit */
	uint64_t meta_coming;            /* as blocks_coming */
	uint64_t low_meta;               /* keep so much below meta_max, or coming */
	struct spate_old_meta *old_meta; /* a queue: [old_meta_first, old_meta_n) */
	uint32_t old_meta_first, old_meta_n, old_meta_cap;
	uint64_t evicted, no_room;
	uint64_t limit;
	void *fixed; /* one mapping: pool, pins, index, ghost, bitmap */
	size_t fixed_bytes;
};

/* reclaim.c */
void spate_cache_retire(struct spate_cache *c, struct spate_object *o);
void spate_cache_unretire(struct spate_cache *c, struct spate_object *o);
/* Evicts until that much is free or coming beyond the low-water mark; true when it is free now. */
bool spate_cache_make_room(struct spate_cache *c, uint32_t blocks, uint32_t slots);
/*
 * Evicts objects at rest that have what is short, until what `gives` says of them comes to bytes or
 * the turn has looked at its slots.
 */
void spate_cache_sweep(struct spate_cache *c, uint64_t (*gives)(const struct spate_object *o),
		       uint64_t bytes);
void spate_cache_free_slot(struct spate_cache *c, struct spate_object *o);
bool spate_cache_pinned(const struct spate_cache *c, const struct spate_object *o);

/* blocks.c */
uint32_t *spate_object_entry(const struct spate_object *o, uint32_t i); /* NULL: past the table */
void spate_blocks_free_all(struct spate_cache *c, struct spate_object *o);
uint64_t spate_blocks_side(const struct spate_object *o); /* bytes of its tables and bitmap */
void spate_blocks_trim(struct spate_cache *c, struct spate_object *o, uint64_t size);

static inline uint64_t spate_blocks_for(const struct spate_cache *c, uint64_t bytes)
{
	return (bytes >> c->block_shift) + ((bytes & (c->block_bytes - 1)) != 0);
}

static inline struct spate_side *spate_side_of(void *data)
{
	return (struct spate_side *)(void *)((char *)data - offsetof(struct spate_side, data));
}

/* meta.c */
/* Where meta is to be read from now on: beside o when that is free and it fits. Takes it over. */
const struct spate_meta *spate_meta_settle(struct spate_cache *c, struct spate_object *o,
					   struct spate_meta *meta);
/* No reader can see it any more, and o is not in that life any longer that may. */
void spate_meta_drop(struct spate_cache *c, struct spate_object *o, const struct spate_meta *meta);
/* A new one takes the place of o's; the old one waits for the readers. Frees meta on -ENOMEM. */
int spate_meta_replace(struct spate_cache *c, struct spate_object *o, struct spate_meta *meta);
void spate_meta_reclaim(struct spate_cache *c, uint64_t expired);
void spate_meta_destroy(struct spate_cache *c);
uint64_t spate_meta_outside(const struct spate_object *o, const struct spate_meta *meta);

/* What o's head takes beside the slot. */
static inline uint64_t spate_meta_outside_now(const struct spate_object *o)
{
	return spate_meta_outside(o, atomic_load_explicit(&o->meta, memory_order_relaxed));
}

static inline bool spate_meta_beside(const struct spate_object *o, const struct spate_meta *meta)
{
	return (const void *)meta == o->beside;
}

#endif

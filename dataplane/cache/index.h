/*
 * index.h: key -> object id. One writer; any number of readers at the same time, without locks.
 *
 * A bucket is one cache line: seven entries and a count of how many entries that hashed here (or
 * passed through here) sit further on. A lookup reads one line nearly always, hit or miss, and goes
 * on to the next bucket only while that count is not zero, and once round at most: the trails of
 * keys that were removed in the wrong order may close to a ring where it never is. The table is
 * sized once for all slots of the object pool, so it is never rehashed and an entry never moves:
 *
 *     bucket: | tag:id | tag:id |   0    | tag:id |   0    |   0    |   0    | past |
 *               ^ 32 bits of key.hi, then id + 1; 0 is empty
 *
 * Memory order.                    writer                     reader
 *   insert:   fill in object, key                    e = load acquire entry
 *             past++ on full buckets                 object(e).key is there
 *             store release entry
 *   replace:  store release over the old entry       sees the old or the new, never neither
 *   remove:   store entry = 0, then past--           may still use e until it quiesces;
 *                                                    the slot is reused only after (qsbr.h)
 */
#ifndef SPATE_CACHE_INDEX_H
#define SPATE_CACHE_INDEX_H

#include <assert.h>

#include "spate/cache.h"

#define SPATE_BUCKET_ENTRIES 7

struct spate_bucket {
	_Alignas(64) _Atomic uint64_t entry[SPATE_BUCKET_ENTRIES];
	_Atomic uint64_t past;
};
static_assert(sizeof(struct spate_bucket) == 64, "a bucket is a cache line");

struct spate_index {
	struct spate_bucket *bucket;
	uint64_t mask;
	const struct spate_object *pool; /* id -> object, for the full key */
	_Alignas(64) uint64_t count;     /* the writer's, off the line that readers read */
};

/* Bytes for that many objects; multiple of 64. */
size_t spate_index_bytes(uint32_t objects);
/* mem: zeroed, spate_index_bytes(objects), aligned to 64. pool outlives the index. */
void spate_index_init(struct spate_index *x, void *mem, uint32_t objects,
		      const struct spate_object *pool);

#define SPATE_NO_OBJECT UINT32_MAX

/* Writer. Puts o in; returns the id of the object with the same key it replaced, or
 * SPATE_NO_OBJECT. */
uint32_t spate_index_put(struct spate_index *x, const struct spate_object *o);
/* Writer. Takes exactly o out; o is in. */
void spate_index_remove(struct spate_index *x, const struct spate_object *o);

static inline uint64_t spate_index_entry(const struct spate_object *o)
{
	return (o->key.hi << 32) | (o->id + 1u);
}

/* Any thread. The line that get reads first. */
static inline void spate_index_fetch(const struct spate_index *x, const struct spate_key *key)
{
	__builtin_prefetch(&x->bucket[key->lo & x->mask]);
}

/* Any thread. Whom the tag alone points at, without a look at the object; or SPATE_NO_OBJECT. */
static inline uint32_t spate_index_guess(const struct spate_index *x, const struct spate_key *key)
{
	const struct spate_bucket *b = &x->bucket[key->lo & x->mask];

	for (unsigned i = 0; i < SPATE_BUCKET_ENTRIES; i++) {
		uint64_t e = atomic_load_explicit(&b->entry[i], memory_order_relaxed);

		if ((uint32_t)(e >> 32) == (uint32_t)key->hi && (uint32_t)e != 0)
			return (uint32_t)e - 1;
	}
	return SPATE_NO_OBJECT;
}

/* Any thread. id, or SPATE_NO_OBJECT. */
static inline uint32_t spate_index_get(const struct spate_index *x, const struct spate_key *key)
{
	uint32_t tag = (uint32_t)key->hi;

	for (uint64_t at = key->lo; at - key->lo <= x->mask; at++) {
		const struct spate_bucket *b = &x->bucket[at & x->mask];

		for (unsigned i = 0; i < SPATE_BUCKET_ENTRIES; i++) {
			uint64_t e = atomic_load_explicit(&b->entry[i], memory_order_acquire);

			if ((uint32_t)(e >> 32) != tag || (uint32_t)e == 0)
				continue;
			const struct spate_key *k = &x->pool[(uint32_t)e - 1].key;

			if (k->lo == key->lo && k->hi == key->hi)
				return (uint32_t)e - 1;
		}
		if (atomic_load_explicit(&b->past, memory_order_acquire) == 0)
			break;
	}
	return SPATE_NO_OBJECT;
}

#endif

/*
 * write.h: the writer's side of the cache. The control thread only. Source of the policy: Yang et al.,
 * "FIFO queues are all you need for cache eviction", SOSP 2023 (S3-FIFO).
 *
 *   o = spate_cache_insert(c, &key)                 FILLING, in the index only after publish
 *   spate_cache_publish(c, o, meta, size)           readers find it from here on
 *   iov = spate_cache_room(c, o, ...)               where the next bytes go (allocates blocks)
 *   spate_cache_filled(c, o, n)                     n more bytes of the prefix are valid; returns who waits
 *   spate_cache_complete(c, o) | _fail(c, o)        ends the fill
 *   spate_cache_remove(c, o)                        out of the index (purge, replaced, uncacheable)
 *   spate_cache_reclaim(c)                          once a loop turn: frees what no reader can hold any more
 *
 * References: insert gives the caller one hold; spate_cache_hold/_release count control's own. An object is
 * freed when it is out of the index, unheld, and unpinned since a grace period. spate_cache_fail and eviction
 * take it out of the index themselves.
 */
#ifndef SPATE_CACHE_WRITE_H
#define SPATE_CACHE_WRITE_H

#include "spate/cache.h"

/*
 * A new object held once by the caller, not yet visible. May evict. NULL when no slot can be had now (all
 * are pinned or in grace): try again after the next reclaim.
 */
struct spate_object *spate_cache_insert(struct spate_cache *c, const struct spate_key *key);

/* An object for one viewer only: never in the index; otherwise as insert. */
struct spate_object *spate_cache_insert_private(struct spate_cache *c, const struct spate_key *key);

/*
 * Makes it visible, replacing any object of the same key. The cache takes meta over (malloc'd; freed when no
 * reader can see it). size may be SPATE_SIZE_UNKNOWN. 0, or -EFBIG when size can never fit (then nothing
 * happened and meta stays the caller's).
 */
int spate_cache_publish(struct spate_cache *c, struct spate_object *o, struct spate_meta *meta,
			uint64_t size, int64_t expires_s);

/*
 * Up to max iovecs of writable arena for the bytes after `filled`, at most `want` bytes, evicting as needed.
 * Returns the bytes offered; 0: no block can be had now, try after the next reclaim (errno-free; counted by
 * the caller).
 */
uint64_t spate_cache_room(struct spate_cache *c, struct spate_object *o, uint64_t want,
			  struct iovec *iov, unsigned max, unsigned *n);

/* n more bytes are valid (n at most what room offered). Returns the waiting mask, cleared: tell those. */
uint64_t spate_cache_filled(struct spate_cache *c, struct spate_object *o, uint64_t n);

/* Ends the fill: size becomes `filled` if it was unknown. -EINVAL when filled != size (then it has failed). */
int spate_cache_complete(struct spate_cache *c, struct spate_object *o, uint64_t *waiting);
void spate_cache_fail(struct spate_cache *c, struct spate_object *o, uint64_t *waiting);

/* After a 304: new times and head lines (meta as in publish; NULL keeps the old). */
void spate_cache_refresh(struct spate_cache *c, struct spate_object *o, struct spate_meta *meta,
			 int64_t expires_s);

void spate_cache_remove(struct spate_cache *c, struct spate_object *o);
void spate_cache_hold(struct spate_cache *c, struct spate_object *o);
void spate_cache_release(struct spate_cache *c, struct spate_object *o);

/* Frees what it can; returns how many objects still wait for a reader. Cheap when there are none. */
unsigned spate_cache_reclaim(struct spate_cache *c);

struct spate_cache_usage {
	uint64_t bytes_limit, bytes_mapped; /* mapped never passes limit */
	uint64_t blocks, blocks_used;
	uint64_t objects, objects_max, objects_waiting; /* waiting: removed, not yet freed */
	uint64_t evicted, no_room;
	uint64_t pins; /* sum over readers, a snapshot */
};
void spate_cache_usage(const struct spate_cache *c, struct spate_cache_usage *out);

/* Walks every invariant (blocks owned once, queues, index, counts); aborts with a message. Tests. */
void spate_cache_check(const struct spate_cache *c);

#endif

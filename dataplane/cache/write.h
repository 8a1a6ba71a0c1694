/*
 * write.h: the writer's side of the cache. The control thread only. Source of the policy: Yang et
 * al., "FIFO queues are all you need for cache eviction", SOSP 2023 (S3-FIFO).
 *
 *   o = spate_cache_insert(c, &key)                 FILLING, in the index only after publish
 *   spate_cache_publish(c, o, meta, size)           readers find it from here on
 *   iov = spate_cache_room(c, o, ...)               where the next bytes go (allocates blocks)
 *   spate_cache_filled(c, o, n)                     n more bytes of the prefix are there; tells
 *                                                   who waits
 *   spate_cache_complete(c, o) | _fail(c, o)        ends the fill; then release your hold
 *   spate_cache_remove(c, o)                        out of the index (purge, replaced, uncacheable)
 *   spate_cache_reclaim(c)                          once a loop turn: frees what no reader has any
 *                                                   more
 *
 * References: insert gives the caller one hold; spate_cache_hold/_release count control's own. An
 * object is freed when it is out of the index, unheld, and unpinned since a grace period.
 * spate_cache_fail and eviction take it out of the index themselves.
 *
 * Waiting for room: eviction runs ahead of need (about 3 % of the arena, at most 32 MiB, is kept
 * free or coming), so room is nearly always there at once. When insert gives NULL or room gives 0,
 * stop reading from the origin (its TCP window holds the bytes), go on with the loop, and try again
 * after the next reclaim; what was evicted comes free once each worker has turned its loop once or
 * sleeps. When it stays 0, everything is pinned or being filled: give such a fill a deadline, then
 * fail it (NO_ROOM), else fills could wait for each other for ever.
 *
 * Range fills, for objects of known size (published with it):
 *
 *   spate_cache_room_at(c, o, off, ...)             as room, for bytes at `off`
 *   spate_cache_filled_at(c, o, off, n, &waiting)   [off, off + n) is there; off: your first byte
 *   spate_cache_park(c, o)                          this fill ends short of the whole: PARTIAL
 *   spate_cache_reopen(c, o)                        PARTIAL to FILLING, held again
 *
 *     filled            off          off + n
 *     |/////|  hole  |..[////|////|//]
 *                        ^ whole blocks (and the object's last) become readable
 *
 * Begin a range at a multiple of block_bytes, else its first part cannot be shown. `filled`
 * swallows ranges it reaches: after each filled, look at o->filled, and when it jumped go on
 * fetching from there.
 */
#ifndef SPATE_CACHE_WRITE_H
#define SPATE_CACHE_WRITE_H

#include "spate/cache.h"

/*
 * A new object held once by the caller, not yet visible. May evict. NULL when no slot can be had
 * now (all are pinned or in grace): try again after the next reclaim.
 */
struct spate_object *spate_cache_insert(struct spate_cache *c, const struct spate_key *key);

/* An object for one viewer only: never in the index; otherwise as insert. */
struct spate_object *spate_cache_insert_private(struct spate_cache *c, const struct spate_key *key);

/*
 * Makes it visible, replacing any object of the same key. The cache takes meta over (malloc'd;
 * a short one is copied and freed at once: read o->meta from here on). size may be
 * SPATE_SIZE_UNKNOWN. 0, or -EFBIG when size can never fit (then nothing happened and meta stays
 * the caller's).
 */
int spate_cache_publish(struct spate_cache *c, struct spate_object *o, struct spate_meta *meta,
			uint64_t size, int64_t expires_s);

/*
 * Puts a whole object, held since before another took its place, back: for when that one has
 * failed. false: it was in, or a third one is in its place by now.
 */
bool spate_cache_put_back(struct spate_cache *c, struct spate_object *o);

/*
 * Up to max iovecs of writable arena for the bytes after `filled`, at most `want` bytes, evicting
 * as needed. Returns the bytes offered; 0: no block can be had now, try after the next reclaim
 * (errno-free; counted by the caller).
 */
uint64_t spate_cache_room(struct spate_cache *c, struct spate_object *o, uint64_t want,
			  struct iovec *iov, unsigned max, unsigned *n);

/* The largest object that can fit, in bytes: a fill of unknown size that reaches it has failed
 * (TOO_LARGE). */
uint64_t spate_cache_max_object(const struct spate_cache *c);

/* n more bytes are valid (n at most what room offered). Returns the waiting mask, cleared: tell
 * those. */
uint64_t spate_cache_filled(struct spate_cache *c, struct spate_object *o, uint64_t n);

/* Ends the fill: size becomes `filled` if it was unknown. -EINVAL when filled != size (then it has
 * failed). */
int spate_cache_complete(struct spate_cache *c, struct spate_object *o, uint64_t *waiting);
void spate_cache_fail(struct spate_cache *c, struct spate_object *o, uint64_t *waiting);

/*
 * Room for bytes at off: up to the next block that is readable already. As spate_cache_room
 * otherwise; 0 also when `off` lies in such a block, or at the end.
 */
uint64_t spate_cache_room_at(struct spate_cache *c, struct spate_object *o, uint64_t off,
			     uint64_t want, struct iovec *iov, unsigned max, unsigned *n);

/*
 * All of [off, off + n) is there: off is where this range began, n grows with each call. *waiting
 * as filled returns it. 0, -EINVAL (size unknown, or past it), -ENOMEM (nothing was marked: try
 * after the next reclaim).
 */
int spate_cache_filled_at(struct spate_cache *c, struct spate_object *o, uint64_t off, uint64_t n,
			  uint64_t *waiting);

/* Ends a range fill of an object that is not whole; it may be evicted once released. Returns who
 * waits. */
uint64_t spate_cache_park(struct spate_cache *c, struct spate_object *o);

/* Begins another one: FILLING again and one hold more. false: it is not PARTIAL, or removed
 * meanwhile. */
bool spate_cache_reopen(struct spate_cache *c, struct spate_object *o);

/* After a 304: new times and head lines (meta as in publish; NULL keeps the old). */
void spate_cache_refresh(struct spate_cache *c, struct spate_object *o, struct spate_meta *meta,
			 int64_t expires_s);

/* The wall clock was put back by so much: so is every expires_s. Linear in the slots. */
void spate_cache_clock_back(struct spate_cache *c, int64_t by_s);

/* As spate_cache_lookup, for control itself: leaves the frequency alone, so that only viewers
 * count. */
struct spate_object *spate_cache_find(struct spate_cache *c, const struct spate_key *key);

void spate_cache_remove(struct spate_cache *c, struct spate_object *o);
/* Removes all there is; fills under way go on for who reads them. Returns how many. Linear in the
 * slots. */
uint64_t spate_cache_remove_all(struct spate_cache *c);
void spate_cache_hold(struct spate_cache *c, struct spate_object *o);
void spate_cache_release(struct spate_cache *c, struct spate_object *o);

/*
 * Frees what it can; returns how many objects still wait for a reader (while it is not 0, come back
 * soon even when nothing else happens). Cheap when there are none.
 */
unsigned spate_cache_reclaim(struct spate_cache *c);

struct spate_cache_usage {
	uint64_t bytes_limit, bytes_mapped; /* mapped never passes limit */
	uint64_t blocks, blocks_used;
	uint64_t objects, objects_max, objects_waiting; /* waiting: removed, not yet freed */
	uint64_t evicted, no_room;
	uint64_t pins;       /* sum over readers, a snapshot */
	uint64_t meta_bytes; /* heads that are not in their object's slot, being too long or just
				replaced: beside what is mapped, inside the limit */
};
void spate_cache_usage(const struct spate_cache *c, struct spate_cache_usage *out);

/* Walks every invariant (blocks owned once, queues, index, counts); aborts with a message. Tests.
 */
void spate_cache_check(const struct spate_cache *c);

#endif

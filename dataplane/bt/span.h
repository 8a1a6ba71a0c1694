/*
 * span.h: bytes of a torrent's flat space as what the cache holds. Whoever sends them (the peer
 * wire, HTTP's concatenated file) walks part by part and queues extents; nothing is copied.
 *
 *   p = spate_torrent_part_at(t, off)
 *   v = spate_span_part(w, t, p, &o)
 *     SPATE_SPAN_OK       o is what was hashed (or the zeros of a pad): queue it, or look how far
 *                         it has come (spate_object_ready)
 *     SPATE_SPAN_WAIT     not here, or too young to be known: spate_span_wait(), and try again when
 *                         it calls
 *     SPATE_SPAN_CHANGED  the content is not what was hashed any more: the torrent is withdrawn
 *     SPATE_SPAN_FAILED   the origin does not give it now
 *
 * A stale object is as good as a fresh one here: peers ask for bytes of a hash, not for the newest.
 */
#ifndef SPATE_BT_SPAN_H
#define SPATE_BT_SPAN_H

#include "dataplane/util/pool.h"
#include "dataplane/worker.h"

/* Waits of one worker at a time; with SPATE_HTTP_MISSES_MAX they fit into the rings. */
#define SPATE_SPAN_WAITS_MAX 1024u

enum spate_span_verdict { SPATE_SPAN_OK, SPATE_SPAN_WAIT, SPATE_SPAN_CHANGED, SPATE_SPAN_FAILED };

/* *o is valid until the next quiesce, unless pinned. A run of zeros may be longer than the object:
 * see spate_span_queue. */
enum spate_span_verdict spate_span_part(struct spate_worker *w, struct spate_torrent *t,
					uint32_t part, struct spate_object **o);

/*
 * Queues [in, in + len) of that part, o being what spate_span_part gave. False: no memory; some of
 * it may have been queued, so the stream must be aborted.
 */
bool spate_span_queue(struct spate_stream *s, const struct spate_torrent *t, uint32_t part,
		      struct spate_object *o, uint64_t in, uint64_t len);

struct spate_span_wait;

/*
 * Calls fn once, later, on this worker: OK when bytes [0, upto) of the part can be read (0: as soon
 * as it is known to be the right content), with o pinned for the length of the call; else CHANGED
 * or FAILED and o is NULL. Holds a reference on t meanwhile. NULL: too many wait; nothing will be
 * called.
 */
typedef void spate_span_fn(void *owner, uint32_t part, enum spate_span_verdict v,
			   struct spate_object *o);
struct spate_span_wait *spate_span_wait(struct spate_worker *w, struct spate_torrent *t,
					uint32_t part, uint64_t upto, spate_span_fn *fn,
					void *owner);
/* The owner is going: fn is not called any more. */
void spate_span_forget(struct spate_span_wait *x);

#endif

/*
 * s3fifo.h: which object goes when room is needed. Yang et al., "FIFO queues are all you need for
 * cache eviction", SOSP 2023. The writer's; readers only raise o->freq (0..3).
 *
 *     new key ────────────► small (10 %) ──freq > 1──► main (90 %) ◄─┐
 *                              │ else                    │ freq > 0: freq - 1, again
 *     key seen in ghost ─► main│                         └───────────┘
 *                              ▼                         │ else
 *                           ghost (keys only)            ▼ gone
 *
 * Differences from the paper, as objects here differ in size and may be in use:
 *  - queues and ghost are measured in blocks (an object weighs at least 1), as libCacheSim does
 *    with bytes;
 *  - which queue to take from is decided before each step, not once an eviction: small while it
 *    holds a tenth or more of the capacity, or main has nothing to give;
 *  - hits while an object is being filled count, so freq is kept when it enters (the paper starts
 *    at 0);
 *  - an object in use (`busy`) goes back to the head of its queue as it is. A queue that is all in
 *    use gives nothing until something enters it or the next turn, and no turn looks at more than
 *    SPATE_S3_LOOKS objects in use of a queue: the next one goes on from there. Else each piece
 *    of a fill would cost a walk of all that is being sent.
 */
#ifndef SPATE_CACHE_S3FIFO_H
#define SPATE_CACHE_S3FIFO_H

#include "dataplane/cache/ghost.h"
#include "spate/cache.h"

#define SPATE_NO_LINK  UINT32_MAX
#define SPATE_S3_LOOKS 2048 /* of both queues: 0.14 ms */

enum spate_s3_queue { SPATE_S3_NONE, SPATE_S3_SMALL, SPATE_S3_MAIN };

/* Through next (towards the tail, older) and prev (towards the head, newer). */
struct spate_s3_list {
	uint32_t head, tail, count;
	uint32_t busy;   /* so many at the head were in use, this turn */
	uint32_t looks;  /* at objects in use, that this turn still has */
	uint64_t weight; /* blocks */
};

struct spate_s3fifo {
	struct spate_object *pool;
	struct spate_s3_list small, main;
	uint64_t small_target; /* blocks */
	struct spate_ghost ghost;
};

/* capacity in blocks; ghost_mem: zeroed, spate_ghost_bytes(objects). */
void spate_s3fifo_init(struct spate_s3fifo *s, struct spate_object *pool, uint32_t objects,
		       uint64_t capacity, void *ghost_mem);

/* o enters, weighing what it has now. */
void spate_s3fifo_insert(struct spate_s3fifo *s, struct spate_object *o);
/* o leaves (purged, replaced): no trace in the ghost. */
void spate_s3fifo_remove(struct spate_s3fifo *s, struct spate_object *o);
/* o got n blocks more while in a queue; call after o->nblocks is raised. */
void spate_s3fifo_grow(struct spate_s3fifo *s, struct spate_object *o, uint32_t n);

/* Once a loop turn: what was in use may be no longer. */
void spate_s3fifo_turn(struct spate_s3fifo *s);

/*
 * Takes the next victim out of the queues and returns it; NULL when all are busy, as far as this
 * turn has looked, or there are none. busy may be called several times for one object.
 */
struct spate_object *spate_s3fifo_evict(struct spate_s3fifo *s,
					bool (*busy)(void *ctx, const struct spate_object *o),
					void *ctx);

static inline uint32_t spate_s3_weight(const struct spate_object *o)
{
	return o->nblocks > 0 ? o->nblocks : 1;
}

#endif

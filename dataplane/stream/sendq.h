/*
 * sendq.h: the send queue is ranges, not buffers: (bytes), (object, offset, length), ... A backend
 * cuts what it sends from this list on demand, so retransmission re-reads the cache and a
 * connection costs bytes.
 *
 * Positions are stream offsets: 0 is the first byte ever queued, [base, end) is what is queued and
 * not yet released. A TCP maps them to sequence numbers (seq = iss + 1 + offset).
 *
 *   spate_sendq_bytes(q, p, n)            copies n bytes (response heads; small)
 *   spate_sendq_object(q, o, off, len)    takes over one pin of o that the caller holds
 *   spate_sendq_iov(q, from, len, ...)    points at queued bytes, stops where an object is dry
 *   spate_sendq_release(q, upto)          forgets bytes below upto: taken by the kernel, or
 *                                         acknowledged
 *   spate_sendq_clear(q)                  forgets everything, unpins everything
 *
 * Memory: nodes of 64 bytes and of SPATE_SENDQ_NODE_BYTES from the worker's pools (util/pool.h); an
 * idle queue holds none. Owned by the stream that embeds it.
 */
#ifndef SPATE_SENDQ_H
#define SPATE_SENDQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "spate/cache.h"

#define SPATE_SENDQ_HIGH       32  /* extents queued: at or over it, spate_sendq_full() */
#define SPATE_SENDQ_NODE_BYTES 512 /* of a bytes node, header included */

struct spate_pool;
struct spate_sendq_node;

/* What a queue needs from its worker; one a worker, shared by all its queues. */
struct spate_sendq_env {
	struct spate_cache *cache;
	unsigned reader;
	struct spate_pool *bytes_pool, *range_pool;
};

struct spate_sendq {
	struct spate_sendq_node *head, *tail;
	struct spate_sendq_node *cursor; /* where iov ended last, a node of this list or NULL */
	uint64_t base;                   /* offset of the first byte still held */
	uint64_t end;                    /* offset past the last byte queued */
	uint32_t count;                  /* nodes */
};

enum spate_sendq_stop {
	SPATE_SENDQ_ENOUGH, /* len bytes, or max iovecs, were covered */
	SPATE_SENDQ_END,    /* the queue ends here */
	SPATE_SENDQ_DRY,    /* the object at this point has no more bytes yet */
	SPATE_SENDQ_FAILED, /* the object at this point never will: abort the stream */
};

void spate_sendq_init(struct spate_sendq *q);

/* 0 or -ENOMEM (the worker's pool limit; nothing was queued, the pin stays the caller's). */
int spate_sendq_bytes(struct spate_sendq_env *e, struct spate_sendq *q, const void *p, size_t n);
int spate_sendq_object(struct spate_sendq_env *e, struct spate_sendq *q, struct spate_object *o,
		       uint64_t off, uint64_t len);

/*
 * Covers [from, from + len) with at most max iovecs; from is in [base, end]. Returns bytes covered;
 * *n iovecs; *stop says why it ended; *dry is the object when stop is DRY or FAILED, else NULL, and
 * *dry_off where in it. The pointers hold until release passes them. Sequential calls are cheap
 * from base and from the last place.
 */
uint64_t spate_sendq_iov(struct spate_sendq_env *e, struct spate_sendq *q, uint64_t from,
			 uint64_t len, struct iovec *iov, unsigned max, unsigned *n,
			 enum spate_sendq_stop *stop, struct spate_object **dry, uint64_t *dry_off);

/*
 * Fetches what release will read, and all of the first node: what is given back last is taken
 * first, for the next response's head.
 */
static inline void spate_sendq_ahead(const struct spate_sendq *q)
{
	for (unsigned at = 0; at < SPATE_SENDQ_NODE_BYTES; at += 64)
		__builtin_prefetch((const char *)q->head + at, 1);
	__builtin_prefetch(q->tail, 1);
}

void spate_sendq_release(struct spate_sendq_env *e, struct spate_sendq *q, uint64_t upto);
void spate_sendq_clear(struct spate_sendq_env *e, struct spate_sendq *q);

/* Marks the objects under [from, from + len) as given to the kernel (spate_object_gift). */
void spate_sendq_gift(struct spate_sendq *q, uint64_t from, uint64_t len);

/* Nothing can be sent from base on now, though something is queued: the object there has no more
 * bytes yet. */
bool spate_sendq_dry(const struct spate_sendq_env *e, const struct spate_sendq *q);

static inline bool spate_sendq_full(const struct spate_sendq *q)
{
	return q->count >= SPATE_SENDQ_HIGH;
}

static inline uint64_t spate_sendq_len(const struct spate_sendq *q)
{
	return q->end - q->base;
}

#endif

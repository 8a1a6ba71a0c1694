/*
 * msg.h: what the planes say to each other. One ring each way for each worker, single producer,
 * single consumer, fixed-size messages. The producer never blocks: a full ring is its own problem
 * to retry.
 *
 *     worker ──FETCH──────────► control      "nobody has this: get it, or revalidate what I hold"
 *            ◄─────REPLY──────              "here it is (held for you), or here is the verdict"
 *            ──TAKEN──────────►             "I pinned it (or do not need it): drop your hold"
 *            ◄─────PROGRESS───              "an object you ran dry on has more, or has ended"
 *            ◄─────TORRENTS─── ──DONE─►     "what peers may ask for: a new table, the old one back"
 *            ◄─────DRAIN, STOP, CONFIG
 *
 * Sleep and wake: a consumer that is about to sleep stores sleeping = 1, checks the ring once more,
 * then sleeps on its eventfd. A producer pushes, then looks at sleeping, and writes the eventfd
 * only if it is set; a read-modify-write of that flag on both sides closes the gap (Dekker; drawn
 * in ring.c). So a busy plane costs no syscall.
 */
#ifndef SPATE_MSG_H
#define SPATE_MSG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "spate/cache.h"

enum spate_msg_type {
	/* worker -> control */
	SPATE_MSG_FETCH,         /* miss */
	SPATE_MSG_TAKEN,         /* object */
	SPATE_MSG_DRAINED,       /* no connection is left; arg = worker id */
	SPATE_MSG_TORRENTS_DONE, /* ptr = a table this worker has let go; arg = worker id */
	/* control -> worker */
	SPATE_MSG_REPLY, /* miss; object or NULL; arg = enum spate_fetch_verdict; back to its owner
			  */
	SPATE_MSG_PROGRESS, /* object */
	SPATE_MSG_DRAIN,    /* stop accepting, close what is idle, finish what flows */
	SPATE_MSG_STOP,     /* close everything now and leave the loop */
	SPATE_MSG_TORRENTS, /* ptr = const struct spate_torrents *, yours until you say DONE, which
			       the next one makes you do */
	SPATE_MSG_CONFIG,   /* ptr = const struct spate_worker_config *, yours until the next one */
};

/* How a fetch ended, as the viewer will see it. */
enum spate_fetch_verdict {
	SPATE_FETCH_OK,        /* object is there: serve it (hit, filling, or revalidated) */
	SPATE_FETCH_STALE,     /* likewise, though it has expired: the origin fails */
	SPATE_FETCH_NOT_FOUND, /* 404: a directory origin has no such file, or no origin matches */
	SPATE_FETCH_FORBIDDEN, /* 403: a directory origin may not read it */
	SPATE_FETCH_BAD_GATEWAY, /* 502: refused, reset, malformed, 5xx, short before the head */
	SPATE_FETCH_TIMEOUT,     /* 504: connect, head or idle timeout */
	SPATE_FETCH_NO_ROOM,     /* 503: the cache is full of pinned objects, or too many fills */
	SPATE_FETCH_TOO_LARGE,   /* 502: larger than the cache may hold */
};

struct spate_worker;

/* A request for control. Owned by the worker's pool; control may read it until it has sent REPLY.
 */
struct spate_miss {
	struct spate_key key;
	uint32_t worker;
	uint16_t url_len;
	bool pass; /* do not coalesce: the shared answer was not for everybody */
	struct spate_object
		*stale;       /* what it has, expired, pinned by the worker; NULL: plain miss */
	uint64_t first, last; /* the byte range wanted, a hint; 0, UINT64_MAX: all */
	const char *url;      /* normalised path?query, not NUL-terminated */
	void (*done)(struct spate_worker *w, struct spate_miss *m, struct spate_object *o,
		     enum spate_fetch_verdict verdict); /* the worker's: what REPLY runs there */
	void *owner;             /* the worker's; NULL when the viewer has left */
	struct spate_miss *next; /* control's list while it waits */
	bool coalesced;          /* control: joined a fetch that was already under way */
	uint32_t origin_us; /* control: from the origin request to its head; 0: none was made */
};

struct spate_msg {
	uint32_t type; /* enum spate_msg_type */
	uint32_t arg;
	union {
		struct spate_miss *miss;
		const void *ptr;
	};
	struct spate_object *object;
};

/* One direction. Producer and consumer each own a cache line and cache the other's index. */
struct spate_ring {
	_Alignas(64) _Atomic uint32_t head; /* consumer */
	uint32_t tail_seen;
	_Alignas(64) _Atomic uint32_t tail; /* producer */
	uint32_t head_seen;
	_Alignas(64) _Atomic uint32_t
		sleeping;         /* the consumer's; each wake of the producer takes this line */
	_Alignas(64) int eventfd; /* from here on nothing changes: both sides keep the line */
	uint32_t mask;
	struct spate_msg *slots;
};

/*
 * entries: a power of two, 2 at least. eventfd: non-blocking; may be shared by several rings of one
 * consumer (it then sleeps only when spate_ring_sleep() said true for each, and calls awake on all
 * of them after). 0, -EINVAL (entries) or -ENOMEM. r is in memory aligned to 64.
 */
int spate_ring_init(struct spate_ring *r, uint32_t entries, int eventfd);
void spate_ring_finish(struct spate_ring *r);
bool spate_ring_push(struct spate_ring *r, const struct spate_msg *m); /* false: full; no wake-up */
bool spate_ring_pop(struct spate_ring *r, struct spate_msg *m);        /* false: empty */
void spate_ring_wake(struct spate_ring *r);  /* after pushes: wakes a sleeping consumer */
bool spate_ring_sleep(struct spate_ring *r); /* consumer: false: something came, do not sleep */
void spate_ring_awake(struct spate_ring *r); /* consumer, after the sleep */

#endif

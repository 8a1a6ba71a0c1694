/*
 * stream.h: ordered bytes with back-pressure. The seam above TCP: http/ and bt/ know this and
 * nothing below. Three backends: our TCP (tcp.c), kernel sockets over io_uring (sock.c), memory
 * (mem.c, for tests).
 *
 * A stream belongs to one worker and is only touched by that worker's thread. Life of a stream:
 *
 *   backend: accepts, fills in the fields below, calls listener->accept(s, ctx)
 *   app:     sets s->app and s->ctx, returns true (false refuses: the backend resets it)
 *   backend: app->recv(s, ...) for each run of bytes, app->eof(s) once when the peer half-closes
 *   app:     spate_sendq_bytes()/spate_sendq_object() on &s->out, then spate_stream_kick(s)
 *   backend: app->room(s) when a queue that was over SPATE_SENDQ_HIGH falls below it,
 *            app->drained(s) when every queued byte was taken over (sockets) or acknowledged (TCP)
 *   app:     spate_stream_finish(s): send what is queued, then FIN; reading may go on
 *            spate_stream_abort(s): RST now
 *   backend: app->closed(s, why), exactly once for each accepted stream, last call; s->out.base
 *            still tells how far it got; then the queue and all its pins are released. Never
 *            from inside an app's own call to the stream
 *
 * recv returns how many bytes it consumed. Fewer than given pauses reading (back-pressure down to
 * the TCP window); the backend keeps the rest and gives it again, from that byte on, after
 * spate_stream_resume(s).
 *
 * Extents that reach past what is filled make the stream run dry; the backend watches the object
 * (watch.h) and goes on when more arrives. If the fill failed the backend aborts the stream
 * (closed, SPATE_CLOSE_SHORT).
 */
#ifndef SPATE_STREAM_H
#define SPATE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/stream/sendq.h"

struct spate_worker;
struct spate_stream;

struct spate_addr {
	uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint16_t port;  /* host order */
};

static inline bool spate_addr_is_ip4(const uint8_t ip[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return __builtin_memcmp(ip, mapped, 12) == 0;
}

enum spate_close_why {
	SPATE_CLOSE_DONE,    /* both directions ended in order */
	SPATE_CLOSE_RESET,   /* the peer reset, or the network gave up */
	SPATE_CLOSE_ABORTED, /* spate_stream_abort */
	SPATE_CLOSE_SHORT,   /* an object's fill failed under an extent */
	SPATE_CLOSE_STOP,    /* the worker is stopping */
};

/* Bytes that recv may be about to get. */
struct spate_stream_ahead {
	struct spate_stream *s; /* only its worker is sure, and ctx: NULL before accept */
	const uint8_t *data;    /* stay where they are until worker->burst moves */
	size_t len;
};

/* What sits above: one static table a protocol. Every call runs on the worker's thread. */
struct spate_stream_app {
	const char *name;
	size_t (*recv)(struct spate_stream *s, const uint8_t *data, size_t len);
	void (*eof)(struct spate_stream *s);
	void (*room)(struct spate_stream *s);
	void (*drained)(struct spate_stream *s);
	void (*timeout)(struct spate_stream *s); /* the timer of spate_stream_timer ran out */
	void (*drain)(struct spate_stream *s);   /* the worker drains: finish soon */
	void (*closed)(struct spate_stream *s, enum spate_close_why why);
	/* May be NULL. A backend that receives in bursts says before the recv calls of one which
	 * bytes are coming, so that the app can fetch into the caches, for all of them at once,
	 * what answering will need. A hint: nothing that anybody can see may depend on it. At most
	 * SPATE_STREAM_AHEAD, all of this app and of one worker. */
	void (*ahead)(const struct spate_stream_ahead *a, unsigned n);
};
#define SPATE_STREAM_AHEAD 32

/* What sits below: one static table a backend. */
struct spate_stream_ops {
	const char *name;
	void (*kick)(
		struct spate_stream *s); /* something was queued: send at the end of this burst */
	void (*resume)(struct spate_stream *s);
	void (*finish)(struct spate_stream *s);
	void (*abort)(struct spate_stream *s);
	/* One timer a stream, coarse (±50 ms); ms 0 stops it. */
	void (*timer)(struct spate_stream *s, uint32_t ms);
	/* The offset below which the peer has acknowledged everything. A system call where out.base
	 * is only what the kernel took, so it is asked when a timer runs out. NULL: out.base. */
	uint64_t (*acked)(struct spate_stream *s);
};

/* The public head of every backend's connection. */
struct spate_stream {
	const struct spate_stream_ops *ops; /* backend writes */
	const struct spate_stream_app *app; /* app writes, in accept or later (a protocol switch) */
	void *ctx;                          /* app's */
	struct spate_worker *worker;        /* backend writes */
	struct spate_sendq out;             /* app queues, backend takes away */
	struct spate_addr peer, local;      /* backend writes */
};

struct spate_listener {
	struct spate_addr addr;
	bool (*accept)(struct spate_stream *s, void *ctx);
	void *ctx;
};

static inline void spate_stream_kick(struct spate_stream *s)
{
	s->ops->kick(s);
}

static inline void spate_stream_resume(struct spate_stream *s)
{
	s->ops->resume(s);
}

static inline void spate_stream_finish(struct spate_stream *s)
{
	s->ops->finish(s);
}

static inline void spate_stream_abort(struct spate_stream *s)
{
	s->ops->abort(s);
}

static inline uint64_t spate_stream_acked(struct spate_stream *s)
{
	return s->ops->acked != NULL ? s->ops->acked(s) : s->out.base;
}

static inline void spate_stream_timer(struct spate_stream *s, uint32_t ms)
{
	s->ops->timer(s, ms);
}

#endif

/*
 * sock_impl.h: what the files of the socket backend share. sock.c: the ring, the turn, the
 * listeners; sock_conn.c: one connection; sock_timer.c: its timer.
 */
#ifndef SPATE_SOCK_IMPL_H
#define SPATE_SOCK_IMPL_H

#include <assert.h>
#include <liburing.h>

#include "dataplane/stream/sock.h"

#define SPATE_SOCK_SQ         1024u
#define SPATE_SOCK_CQ         8192u
#define SPATE_SOCK_BUFS       1024u /* provided receive buffers; a power of two */
#define SPATE_SOCK_BUF_BYTES  4096u
#define SPATE_SOCK_SEND_BYTES (1u << 20) /* at most, in one sendmsg */
#define SPATE_SOCK_SEND_IOVS  96u        /* likewise */
#define SPATE_SOCK_IOVS       8192u      /* of all sendmsg between two submits */
#define SPATE_SOCK_GIFT_BYTES \
	(32u << 10) /* from so many on, by reference (docs/design/sockets.md) */
#define SPATE_SOCK_TICK_US 50000u
#define SPATE_SOCK_WHEEL   1024u

/* What a completion belongs to: the low bits of user_data, beside a 64-byte aligned pointer. */
enum spate_sock_op {
	SPATE_SOCK_OP_ACCEPT,
	SPATE_SOCK_OP_RECV,
	SPATE_SOCK_OP_SEND,
	SPATE_SOCK_OP_ROOM, /* POLLOUT */
	SPATE_SOCK_OP_CANCEL,
	SPATE_SOCK_OP_WAKE,
	SPATE_SOCK_OP_IGNORE,
	SPATE_SOCK_OP_DGRAM, /* a datagram socket is readable */
};
#define SPATE_SOCK_OP_MASK 7u

/* Received bytes that the app did not take: copied, so that a paused conn keeps no shared buffer.
 */
struct spate_sock_held {
	struct spate_sock_held *next;
	uint32_t off, len;
	uint8_t data[SPATE_SOCK_BUF_BYTES];
};

struct spate_sock_conn {
	struct spate_stream s; /* first: a stream pointer is a conn pointer */
	int fd;
	uint16_t ops;                      /* operations the kernel holds */
	uint16_t nheld;                    /* in `held` */
	bool receiving;                    /* multishot receive is armed */
	bool recv_cancel;                  /* and told to end, because of a pause */
	bool sending;                      /* a send is out, or a wait for room */
	bool polling;                      /* it is a wait for room */
	bool paused;                       /* the app took less than it was given */
	bool on_resume, on_dirty, on_dead; /* in that list of the backend */
	bool eof, eof_told;
	bool finish, shut; /* FIN is wanted, was sent */
	bool dying, cancelled, rst;
	uint8_t why; /* enum spate_close_why */
	struct spate_sock_held *held, **held_tail;
	struct spate_sock_conn *next_dirty, *next_resume, *next_dead;
	struct spate_watch watch; /* the send queue ran dry */
	struct spate_sock_conn *timer_next, **timer_prev;
	uint32_t unacked;  /* once our FIN is out: bytes the peer had not acknowledged at the last
			      look */
	uint32_t stuck_ms; /* and for how long it has been so many */
	uint64_t deadline; /* tick; 0: off */
	uint64_t filed;    /* tick of the wheel slot it is filed under; 0: none */
	struct spate_sock_conn *all_next, **all_prev;
};

struct spate_sock_listener {
	_Alignas(64) struct spate_listener l;
	int fd;
	bool wildcard;
	bool armed;
};

struct spate_sock_dgram {
	_Alignas(64) struct spate_dgram_listener l;
	int fd;
	bool wildcard;
	bool armed; /* a poll is out */
	bool ready; /* there may be something to read */
};

struct spate_sock {
	struct io_uring ring;
	struct spate_worker *w;
	bool enabled, draining;
	bool spin; /* the last sleep was so short that looking would have been cheaper */
	struct io_uring_buf_ring *bufs;
	uint8_t *buf_mem;
	struct spate_pool conns, held;
	struct spate_sock_listener *listeners;
	unsigned nlisteners;
	struct spate_sock_dgram *dgrams;
	unsigned ndgrams;
	bool dgram_busy;                /* one of them has more to read */
	struct spate_sock_batch *batch; /* sock_dgram.c */
	struct spate_sock_conn *dirty, *resume, *dead, *all;
	int pipe[2], sink;          /* sock_gift.c; -1: sends copy */
	uint8_t *arena, *arena_end; /* what may be given */
	uint64_t wake_value;
	bool wake_armed;
	uint64_t tick;     /* now */
	uint64_t retry_at; /* tick at which to arm the listeners again; 0: none */
	uint32_t timers;   /* conns filed in the wheel */
	struct spate_sock_conn *wheel[SPATE_SOCK_WHEEL];
	unsigned msgs_used, iovs_used;
	struct msghdr msgs[SPATE_SOCK_SQ];
	struct iovec iovs[SPATE_SOCK_IOVS];
	char why[160];
};

extern const struct spate_stream_ops spate_sock_stream_ops;

static inline struct spate_sock *spate_sock_of(struct spate_sock_conn *c)
{
	return c->s.worker->backend;
}

/* A submission entry, submitting what is queued when the queue is full. Never NULL. */
struct io_uring_sqe *spate_sock_sqe(struct spate_sock *k);
void spate_sock_submit(struct spate_sock *k);
bool spate_sock_wildcard(const struct sockaddr_storage *ss); /* any address of ours */

static inline void spate_sock_tag(struct io_uring_sqe *sqe, enum spate_sock_op op,
				  const void *owner)
{
	io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)owner | op);
}

/* sock_conn.c. fd is taken over, also when it is refused. */
void spate_sock_conn_open(struct spate_sock *k, const struct spate_sock_listener *l, int fd);
void spate_sock_conn_received(struct spate_sock_conn *c, const struct io_uring_cqe *cqe);
void spate_sock_conn_sent(struct spate_sock_conn *c, int res);
void spate_sock_conn_room(struct spate_sock_conn *c);
void spate_sock_conn_kill(struct spate_sock_conn *c, enum spate_close_why why, bool rst);
void spate_sock_conn_run_resumed(struct spate_sock *k);
void spate_sock_conn_run_dirty(struct spate_sock *k);
void spate_sock_conn_run_dead(struct spate_sock *k);

/* sock_gift.c: 0 or negative errno; with an arena that can't be given nothing is opened, and sends
 * copy. */
enum spate_sock_gift {
	SPATE_SOCK_GIFT_MORE,  /* the budget is used up, or the queue is empty */
	SPATE_SOCK_GIFT_FULL,  /* the socket is full: wait */
	SPATE_SOCK_GIFT_DRY,   /* the object at the head has no bytes now */
	SPATE_SOCK_GIFT_ERROR, /* the connection is broken */
};
int spate_sock_gift_open(struct spate_sock *k);
void spate_sock_gift_close(struct spate_sock *k);
enum spate_sock_gift spate_sock_gift_send(struct spate_sock *k, struct spate_sock_conn *c,
					  uint64_t budget);
void spate_sock_gift_wait(struct spate_sock *k, struct spate_sock_conn *c);

/* sock_dgram.c: *port of the one that could not be opened */
int spate_sock_dgram_open(struct spate_sock *k, const struct spate_dgram_listener *listeners,
			  unsigned n, uint16_t *port);
void spate_sock_dgram_close(struct spate_sock *k);
void spate_sock_dgram_ready(struct spate_sock_dgram *l);
void spate_sock_dgram_run(struct spate_sock *k); /* reads, answers, arms */

/* sock_timer.c */
void spate_sock_timer_set(struct spate_sock_conn *c, uint32_t ms);
void spate_sock_timer_drop(struct spate_sock_conn *c);
void spate_sock_timer_run(struct spate_sock *k);
void spate_sock_conn_timeout(struct spate_sock_conn *c); /* sock_conn.c: what a due timer calls */

#endif

/*
 * loop.h: control's one thread over one io_uring. Everything that can wait is an op or a timer
 * here, and nothing else blocks: the thread sleeps in io_uring_enter only.
 *
 *   spate_loop_create(&l, entries)
 *   spate_loop_recv(l, &owner->op, fd, buf, len, on_recv)   starts an op; on_recv: later, not now
 *   spate_loop_timer(l, &owner->timer, ms, on_time)         likewise
 *   spate_loop_run(l)                                       until spate_loop_stop(l)
 *   spate_loop_destroy(l)                                   cancels what is in flight, waits
 *
 * An op is embedded in its owner and has one use at a time. The owner and the buffers live until fn
 * was called for the last time: with `busy` false. So to get rid of an op in flight:
 * spate_loop_cancel(), then free in fn (res is -ECANCELED, or the result when it came first). fn
 * may start the same op again, or free its owner.
 *
 * All calls belong to the loop's thread except spate_loop_post() and spate_loop_wake().
 */
#ifndef SPATE_CONTROL_LOOP_H
#define SPATE_CONTROL_LOOP_H

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "control/timer.h"

struct spate_loop;

/* Starts zeroed. */
struct spate_op {
	/* res: bytes, a descriptor, or negative errno. flags: IORING_CQE_F_*. */
	void (*fn)(struct spate_op *op, int res, unsigned flags);
	struct spate_op *next; /* loop: completions made up by the loop itself */
	int res;
	bool busy;  /* in flight; fn will be called */
	bool async; /* the owner's: not to be tried on the loop's thread first (control/fs.h) */
};

/* A call handed over from another thread; embedded, one use at a time. */
struct spate_post {
	void (*fn)(struct spate_post *p);
	struct spate_post *next;
};

/*
 * Work tied to turns, for message rings. sleep: called before the thread may sleep; returns false
 * when there is work after all. awake: after the sleep. turn: once a turn, after completions and
 * timers. Any may be NULL.
 */
struct spate_hook {
	bool (*sleep)(struct spate_hook *h);
	void (*awake)(struct spate_hook *h);
	void (*turn)(struct spate_hook *h);
	struct spate_hook *next;
};

/* entries: submission queue slots (0: 256). 0 or negative errno of io_uring_setup or eventfd. */
int spate_loop_create(struct spate_loop **out, unsigned entries);
void spate_loop_destroy(struct spate_loop *l);

void spate_loop_run(struct spate_loop *l);                    /* until stop */
void spate_loop_turn(struct spate_loop *l, uint64_t wait_us); /* one turn; 0: don't sleep */
void spate_loop_stop(struct spate_loop *l);
void spate_loop_hook(struct spate_loop *l, struct spate_hook *h);
void spate_loop_unhook(struct spate_loop *l, struct spate_hook *h);

/* CLOCK_MONOTONIC and CLOCK_REALTIME, as they were at the start of this turn. */
uint64_t spate_loop_now_us(const struct spate_loop *l);
int64_t spate_loop_wall_s(const struct spate_loop *l);

/* Any thread. The eventfd may be handed to rings (struct spate_ring.eventfd). */
int spate_loop_wake_fd(const struct spate_loop *l);
void spate_loop_wake(struct spate_loop *l); /* async-signal-safe */
void spate_loop_post(struct spate_loop *l, struct spate_post *p,
		     void (*fn)(struct spate_post *p)); /* fn runs on the loop's thread */

typedef void spate_op_fn(struct spate_op *op, int res, unsigned flags);

void spate_loop_timer(struct spate_loop *l, struct spate_timer *t, uint64_t ms,
		      void (*fn)(struct spate_timer *t)); /* sets, or sets anew */
void spate_loop_timer_stop(struct spate_loop *l, struct spate_timer *t);

/*
 * Ops. Buffers, iovecs, names and msghdrs live until fn. send: MSG_NOSIGNAL and MSG_WAITALL: all of
 * len, or an error (or what went out before an error). accept: multishot: fn for each connection
 * (res is the new descriptor, close-on-exec) until flags lacks IORING_CQE_F_MORE; then start it
 * again.
 */
void spate_loop_accept(struct spate_loop *l, struct spate_op *op, int fd, spate_op_fn *fn);
void spate_loop_connect(struct spate_loop *l, struct spate_op *op, int fd,
			const struct sockaddr *sa, socklen_t len, spate_op_fn *fn);
void spate_loop_recv(struct spate_loop *l, struct spate_op *op, int fd, void *buf, size_t len,
		     spate_op_fn *fn);
void spate_loop_recvmsg(struct spate_loop *l, struct spate_op *op, int fd, struct msghdr *msg,
			spate_op_fn *fn);
void spate_loop_send(struct spate_loop *l, struct spate_op *op, int fd, const void *buf, size_t len,
		     spate_op_fn *fn);
void spate_loop_sendmsg(struct spate_loop *l, struct spate_op *op, int fd, const struct msghdr *msg,
			spate_op_fn *fn);
void spate_loop_poll(struct spate_loop *l, struct spate_op *op, int fd, unsigned events,
		     spate_op_fn *fn);
void spate_loop_read(struct spate_loop *l, struct spate_op *op, int fd, void *buf, unsigned len,
		     uint64_t off, spate_op_fn *fn);
void spate_loop_write(struct spate_loop *l, struct spate_op *op, int fd, const void *buf,
		      unsigned len, uint64_t off, spate_op_fn *fn);
void spate_loop_readv(struct spate_loop *l, struct spate_op *op, int fd, const struct iovec *iov,
		      unsigned n, uint64_t off, spate_op_fn *fn);
void spate_loop_openat2(struct spate_loop *l, struct spate_op *op, int dirfd, const char *path,
			struct open_how *how, spate_op_fn *fn);
void spate_loop_statx(struct spate_loop *l, struct spate_op *op, int dirfd, const char *path,
		      int flags, unsigned mask, struct statx *out, spate_op_fn *fn);

/* fn with res in the next turn: for results known at once that must not recurse into the owner. */
void spate_loop_defer(struct spate_loop *l, struct spate_op *op, int res, spate_op_fn *fn);

/* Asks the kernel to end the op soon; fn is still to come. Nothing when it is not busy. */
void spate_loop_cancel(struct spate_loop *l, struct spate_op *op);

/*
 * Closes in the background, in order after the ops started before. Ops in flight keep the file:
 * cancel first.
 */
void spate_loop_close(struct spate_loop *l, int fd);

#endif

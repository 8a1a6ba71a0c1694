/*
 * loop.c: one turn is: sleep until something completes, is due or wakes us; deliver completions,
 * then timers, then calls posted by other threads, then completions made up by ourselves, then the
 * hooks.
 */
#include "control/loop.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
/* us. An upper bound, so that no lost wake-up is for ever; how long destroy waits for cancels. */
#define SLEEP_MAX 10000000u
#define DRAIN_MAX 2000000u

struct spate_loop {
	struct io_uring ring;
	struct spate_timers timers;
	struct spate_hook *hooks;
	struct spate_op *deferred, **deferred_end;
	_Atomic(struct spate_post *) posts;
	struct spate_op wake_op;
	uint64_t wake_count;
	int wake_fd;
	uint64_t now_us;
	int64_t wall_s;
	unsigned inflight; /* ops the kernel has */
	bool stop;
};

static void clocks(struct spate_loop *l)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	l->now_us = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
	clock_gettime(CLOCK_REALTIME, &ts);
	l->wall_s = ts.tv_sec;
}

static void on_wake(struct spate_op *op, int res, unsigned flags)
{
	struct spate_loop *l =
		(struct spate_loop *)((char *)op - offsetof(struct spate_loop, wake_op));

	if (res != -ECANCELED)
		spate_loop_read(l, op, l->wake_fd, &l->wake_count, sizeof(l->wake_count), 0,
				on_wake);
}

int spate_loop_create(struct spate_loop **out, unsigned entries)
{
	/*
	 * The kernel runs completions when we ask for them, not by interrupting us: fewer switches.
	 */
	struct io_uring_params p = {.flags = IORING_SETUP_SINGLE_ISSUER |
					     IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE |
					     IORING_SETUP_CLAMP};
	struct spate_loop *l = calloc(1, sizeof(*l));
	int rc;

	if (l == NULL)
		return -ENOMEM;
	if (entries == 0)
		entries = 256;
	p.cq_entries = entries * 8;
	rc = io_uring_queue_init_params(entries, &l->ring, &p);
	if (rc == -EINVAL) {
		p = (struct io_uring_params){.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
					     .cq_entries = entries * 8};
		rc = io_uring_queue_init_params(entries, &l->ring, &p);
	}
	if (rc < 0)
		goto free_loop;
	l->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (l->wake_fd < 0) {
		rc = -errno;
		goto exit_ring;
	}
	l->deferred_end = &l->deferred;
	clocks(l);
	spate_loop_read(l, &l->wake_op, l->wake_fd, &l->wake_count, sizeof(l->wake_count), 0,
			on_wake);
	*out = l;
	return 0;

exit_ring:
	io_uring_queue_exit(&l->ring);
free_loop:
	free(l);
	return rc;
}

void spate_loop_destroy(struct spate_loop *l)
{
	struct io_uring_sqe *sqe;
	uint64_t end;

	if (l == NULL)
		return;
	/*
	 * The kernel may write into buffers of ops in flight even after the ring is gone, so end
	 * them first.
	 */
	clocks(l);
	end = l->now_us + DRAIN_MAX;
	l->hooks = NULL;
	while ((l->inflight > 0 || l->deferred != NULL) && l->now_us < end) {
		sqe = io_uring_get_sqe(&l->ring);
		if (sqe != NULL) {
			io_uring_prep_cancel(sqe, NULL, IORING_ASYNC_CANCEL_ANY);
			io_uring_sqe_set_data(sqe, NULL);
		}
		spate_loop_turn(l, 10000);
	}
	io_uring_queue_exit(&l->ring);
	close(l->wake_fd);
	free(l);
}

void spate_loop_hook(struct spate_loop *l, struct spate_hook *h)
{
	h->next = l->hooks;
	l->hooks = h;
}

void spate_loop_unhook(struct spate_loop *l, struct spate_hook *h)
{
	for (struct spate_hook **p = &l->hooks; *p != NULL; p = &(*p)->next)
		if (*p == h) {
			*p = h->next;
			return;
		}
}

uint64_t spate_loop_now_us(const struct spate_loop *l)
{
	return l->now_us;
}

int64_t spate_loop_wall_s(const struct spate_loop *l)
{
	return l->wall_s;
}

int spate_loop_wake_fd(const struct spate_loop *l)
{
	return l->wake_fd;
}

void spate_loop_wake(struct spate_loop *l)
{
	uint64_t one = 1;

	while (write(l->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void spate_loop_post(struct spate_loop *l, struct spate_post *p, void (*fn)(struct spate_post *p))
{
	p->fn = fn;
	p->next = atomic_load_explicit(&l->posts, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&l->posts, &p->next, p, memory_order_release,
						      memory_order_relaxed))
		;
	spate_loop_wake(l);
}

void spate_loop_stop(struct spate_loop *l)
{
	l->stop = true;
}

/* --- a turn --- */

static void deliver(struct spate_loop *l)
{
	struct io_uring_cqe *cqes[BATCH];
	struct {
		struct spate_op *op;
		int res;
		unsigned flags;
	} done[BATCH];
	unsigned n;

	do {
		n = io_uring_peek_batch_cqe(&l->ring, cqes, BATCH);
		for (unsigned i = 0; i < n; i++) {
			done[i].op = io_uring_cqe_get_data(cqes[i]);
			done[i].res = cqes[i]->res;
			done[i].flags = cqes[i]->flags;
		}
		io_uring_cq_advance(&l->ring, n);
		for (unsigned i = 0; i < n; i++) {
			struct spate_op *op = done[i].op;

			if (op == NULL) /* a close or a cancel: nobody asks */
				continue;
			if (!(done[i].flags & IORING_CQE_F_MORE)) {
				op->busy = false;
				l->inflight--;
			}
			op->fn(op, done[i].res, done[i].flags);
		}
	} while (n == BATCH);
}

static void run_posts(struct spate_loop *l)
{
	struct spate_post *p = atomic_exchange_explicit(&l->posts, NULL, memory_order_acquire);
	struct spate_post *fifo = NULL;

	while (p != NULL) { /* the stack has the newest first */
		struct spate_post *next = p->next;

		p->next = fifo;
		fifo = p;
		p = next;
	}
	while (fifo != NULL) {
		struct spate_post *next = fifo->next;

		fifo->fn(fifo);
		fifo = next;
	}
}

static void run_deferred(struct spate_loop *l)
{
	struct spate_op *op = l->deferred;

	l->deferred = NULL;
	l->deferred_end = &l->deferred;
	while (op != NULL) {
		struct spate_op *next = op->next;

		op->busy = false;
		op->fn(op, op->res, 0);
		op = next;
	}
}

static bool may_sleep(struct spate_loop *l)
{
	bool yes = true;

	if (l->deferred != NULL || atomic_load_explicit(&l->posts, memory_order_relaxed) != NULL)
		return false;
	for (struct spate_hook *h = l->hooks; h != NULL; h = h->next)
		if (h->sleep != NULL && !h->sleep(h))
			yes = false;
	return yes;
}

void spate_loop_turn(struct spate_loop *l, uint64_t wait_us)
{
	uint64_t due = spate_timers_next(&l->timers);

	clocks(l);
	if (due <= l->now_us)
		wait_us = 0;
	else if (due - l->now_us < wait_us)
		wait_us = due - l->now_us;
	if (wait_us > 0 && may_sleep(l)) {
		struct __kernel_timespec ts = {.tv_sec = (long long)(wait_us / 1000000),
					       .tv_nsec = (long long)(wait_us % 1000000) * 1000};
		struct io_uring_cqe *cqe;

		io_uring_submit_and_wait_timeout(&l->ring, &cqe, 1, &ts, NULL);
		clocks(l);
	} else {
		io_uring_submit_and_get_events(&l->ring);
	}
	for (struct spate_hook *h = l->hooks; h != NULL; h = h->next)
		if (h->awake != NULL)
			h->awake(h);
	deliver(l);
	spate_timers_run(&l->timers, l->now_us);
	run_posts(l);
	run_deferred(l);
	for (struct spate_hook *h = l->hooks, *next; h != NULL; h = next) {
		next = h->next;
		if (h->turn != NULL)
			h->turn(h);
	}
}

void spate_loop_run(struct spate_loop *l)
{
	l->stop = false;
	while (!l->stop)
		spate_loop_turn(l, SLEEP_MAX);
}

/* --- ops --- */

void spate_loop_timer(struct spate_loop *l, struct spate_timer *t, uint64_t ms,
		      void (*fn)(struct spate_timer *t))
{
	spate_timers_set(&l->timers, t, l->now_us + ms * 1000, fn);
}

void spate_loop_timer_stop(struct spate_loop *l, struct spate_timer *t)
{
	spate_timers_stop(&l->timers, t);
}

void spate_loop_defer(struct spate_loop *l, struct spate_op *op, int res, spate_op_fn *fn)
{
	assert(!op->busy);
	op->fn = fn;
	op->res = res;
	op->busy = true;
	op->next = NULL;
	*l->deferred_end = op;
	l->deferred_end = &op->next;
}

/* NULL when the kernel takes no more now: the op then ends with -EAGAIN. */
static struct io_uring_sqe *start(struct spate_loop *l, struct spate_op *op, spate_op_fn *fn)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&l->ring);

	assert(!op->busy);
	if (sqe == NULL) {
		io_uring_submit(&l->ring);
		sqe = io_uring_get_sqe(&l->ring);
		if (sqe == NULL) {
			spate_loop_defer(l, op, -EAGAIN, fn);
			return NULL;
		}
	}
	op->fn = fn;
	op->busy = true;
	l->inflight++;
	return sqe;
}

/* prep writes the whole entry, user data included, so that is set after it. */
#define START(l, op, fn, prep, ...)                           \
	do {                                                  \
		struct io_uring_sqe *sqe_ = start(l, op, fn); \
		if (sqe_ != NULL) {                           \
			prep(sqe_, __VA_ARGS__);              \
			io_uring_sqe_set_data(sqe_, op);      \
			if ((op)->async)                      \
				sqe_->flags |= IOSQE_ASYNC;   \
		}                                             \
	} while (0)

void spate_loop_accept(struct spate_loop *l, struct spate_op *op, int fd, spate_op_fn *fn)
{
	START(l, op, fn, io_uring_prep_multishot_accept, fd, NULL, NULL, SOCK_CLOEXEC);
}

void spate_loop_connect(struct spate_loop *l, struct spate_op *op, int fd,
			const struct sockaddr *sa, socklen_t len, spate_op_fn *fn)
{
	START(l, op, fn, io_uring_prep_connect, fd, sa, len);
}

void spate_loop_recv(struct spate_loop *l, struct spate_op *op, int fd, void *buf, size_t len,
		     spate_op_fn *fn)
{
	START(l, op, fn, io_uring_prep_recv, fd, buf, len, 0);
}

void spate_loop_recvmsg(struct spate_loop *l, struct spate_op *op, int fd, struct msghdr *msg,
			spate_op_fn *fn)
{
	START(l, op, fn, io_uring_prep_recvmsg, fd, msg, 0);
}

void spate_loop_send(struct spate_loop *l, struct spate_op *op, int fd, const void *buf, size_t len,
		     spate_op_fn *fn)
{
	START(l, op, fn, io_uring_prep_send, fd, buf, len, MSG_NOSIGNAL | MSG_WAITALL);
}

void spate_loop_sendmsg(struct spate_loop *l, struct spate_op *op, int fd, const struct msghdr *msg,
			spate_op_fn *fn)
{
	START(l, op, fn, io_uring_prep_sendmsg, fd, msg, MSG_NOSIGNAL | MSG_WAITALL);
}

void spate_loop_poll(struct spate_loop *l, struct spate_op *op, int fd, unsigned events,
		     spate_op_fn *fn)
{
	START(l, op, fn, io_uring_prep_poll_add, fd, events);
}

void spate_loop_read(struct spate_loop *l, struct spate_op *op, int fd, void *buf, unsigned len,
		     uint64_t off, spate_op_fn *fn)
{
	START(l, op, fn, io_uring_prep_read, fd, buf, len, off);
}

void spate_loop_write(struct spate_loop *l, struct spate_op *op, int fd, const void *buf,
		      unsigned len, uint64_t off, spate_op_fn *fn)
{
	START(l, op, fn, io_uring_prep_write, fd, buf, len, off);
}

void spate_loop_readv(struct spate_loop *l, struct spate_op *op, int fd, const struct iovec *iov,
		      unsigned n, uint64_t off, spate_op_fn *fn)
{
	START(l, op, fn, io_uring_prep_readv, fd, iov, n, off);
}

void spate_loop_openat2(struct spate_loop *l, struct spate_op *op, int dirfd, const char *path,
			struct open_how *how, spate_op_fn *fn)
{
	START(l, op, fn, io_uring_prep_openat2, dirfd, path, how);
}

void spate_loop_statx(struct spate_loop *l, struct spate_op *op, int dirfd, const char *path,
		      int flags, unsigned mask, struct statx *out, spate_op_fn *fn)
{
	START(l, op, fn, io_uring_prep_statx, dirfd, path, flags, mask, out);
}

/* An entry nobody waits for; NULL when there is no room even after a submit. */
static struct io_uring_sqe *quiet(struct spate_loop *l)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&l->ring);

	if (sqe == NULL) {
		io_uring_submit(&l->ring);
		sqe = io_uring_get_sqe(&l->ring);
	}
	return sqe;
}

void spate_loop_cancel(struct spate_loop *l, struct spate_op *op)
{
	struct io_uring_sqe *sqe;

	if (!op->busy)
		return;
	sqe = quiet(l);
	if (sqe == NULL)
		return; /* the owner's timers are the second line */
	io_uring_prep_cancel(sqe, op, 0);
	io_uring_sqe_set_data(sqe, NULL);
}

void spate_loop_close(struct spate_loop *l, int fd)
{
	struct io_uring_sqe *sqe = quiet(l);

	if (sqe == NULL) {
		close(fd);
		return;
	}
	io_uring_prep_close(sqe, fd);
	io_uring_sqe_set_data(sqe, NULL);
}

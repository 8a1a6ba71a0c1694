/*
 * sock.c: the socket backend: the ring, the turn, the listeners.
 *
 * One io_uring a worker. In flight at any time:
 *
 *   a multishot accept for each listener     -> spate_sock_conn_open
 *   a multishot receive for each conn        -> app->recv straight from a provided buffer
 *   at most one send for each conn           -> iovecs of its send queue: heads and cache blocks
 *     or, for a large range (sock_gift.c), a wait until the socket has room
 *   a poll of each datagram socket           -> sock_dgram.c reads and answers in batches
 *   a read of the wake-up eventfd            -> control put something into our ring
 *
 * A turn: submit what the last turn queued and wait; hand out completions; resume paused conns;
 * queue a send for each conn that was kicked; bury the dead. The sends go in with the next turn's
 * submit, so a burst of requests costs one system call. Their iovecs live in a scratch area of the
 * worker: the kernel copies them at submit (IORING_FEAT_SUBMIT_STABLE, since 5.5).
 */
#include "dataplane/stream/sock_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CONNS_MAX       (1u << 20)
#define HELD_MAX        (1u << 14) /* received buffers that paused conns may hold, all together */
#define ACCEPT_PAUSE_MS 100        /* after accept ran out of descriptors */
#define SPIN_US         20u
#define CQE_BATCH       256u

/*
 * The kernel has copied the iovecs of what it took. It may have taken only a part (no memory): then
 * the scratch still belongs to the rest, or one viewer would get the bytes of another.
 */
static void reuse_scratch(struct spate_sock *k)
{
	if (io_uring_sq_ready(&k->ring) > 0)
		return;
	k->msgs_used = 0;
	k->iovs_used = 0;
}

void spate_sock_submit(struct spate_sock *k)
{
	io_uring_submit(&k->ring);
	reuse_scratch(k);
}

struct io_uring_sqe *spate_sock_sqe(struct spate_sock *k)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&k->ring);

	while (sqe == NULL) {
		spate_sock_submit(k);
		sqe = io_uring_get_sqe(&k->ring);
	}
	return sqe;
}

/* --- set-up --- */

unsigned spate_sock_addr(struct sockaddr_storage *ss, const struct spate_addr *a)
{
	memset(ss, 0, sizeof(*ss));
	if (spate_addr_is_ip4(a->ip)) {
		struct sockaddr_in *in = (void *)ss;

		in->sin_family = AF_INET;
		in->sin_port = htons(a->port);
		memcpy(&in->sin_addr, a->ip + 12, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (void *)ss;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(a->port);
	memcpy(&in6->sin6_addr, a->ip, 16);
	return sizeof(*in6);
}

bool spate_sock_wildcard(const struct sockaddr_storage *ss)
{
	const struct sockaddr_in *in = (const void *)ss;
	const struct sockaddr_in6 *in6 = (const void *)ss;

	return ss->ss_family == AF_INET ? in->sin_addr.s_addr == INADDR_ANY
					: IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
}

static int set_congestion(int fd, const char *name)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name));
}

int spate_sock_may_have(const char *congestion)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	err = set_congestion(fd, congestion) < 0 ? -errno : 0;
	close(fd);
	return err;
}

static int open_listener(struct spate_sock_listener *l, const char *congestion)
{
	struct sockaddr_storage ss;
	socklen_t len = spate_sock_addr(&ss, &l->l.addr);
	int one = 1, err;

	l->wildcard = spate_sock_wildcard(&ss);
	l->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return -errno;
	/* Accepted sockets inherit TCP_NODELAY: a response leaves at once, heads and bodies go as
	 * one. */
	if (setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    setsockopt(l->fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0 ||
	    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
	    (ss.ss_family == AF_INET6 &&
	     setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0) ||
	    (congestion != NULL && set_congestion(l->fd, congestion) < 0) ||
	    bind(l->fd, (struct sockaddr *)&ss, len) < 0 || listen(l->fd, SOMAXCONN) < 0) {
		err = -errno;
		close(l->fd);
		l->fd = -1;
		return err;
	}
	return 0;
}

static int open_ring(struct spate_sock *k)
{
	/* DEFER_TASKRUN (6.1) runs completions only when we wait, on our core; older kernels go
	 * without. */
	static const unsigned flags[] = {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
						 IORING_SETUP_TASKRUN_FLAG,
					 IORING_SETUP_COOP_TASKRUN, 0};
	int err = -EINVAL;

	for (unsigned i = 0; i < 3 && err == -EINVAL; i++) {
		struct io_uring_params p = {
			.flags = flags[i] | IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED |
				 IORING_SETUP_SUBMIT_ALL,
			.cq_entries = SPATE_SOCK_CQ,
		};
		err = io_uring_queue_init_params(SPATE_SOCK_SQ, &k->ring, &p);
	}
	return err;
}

/* Receives that go on (6.0): nothing tells of them, but an operation of the same age. */
static bool multishot(struct spate_sock *k)
{
	struct io_uring_probe *p = io_uring_get_probe_ring(&k->ring);
	bool there = p != NULL && io_uring_opcode_supported(p, IORING_OP_SEND_ZC);

	io_uring_free_probe(p);
	return there;
}

static int open_buffers(struct spate_sock *k)
{
	size_t ring_bytes = SPATE_SOCK_BUFS * sizeof(struct io_uring_buf);
	size_t bytes = ring_bytes + (size_t)SPATE_SOCK_BUFS * SPATE_SOCK_BUF_BYTES;
	uint8_t *mem =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct io_uring_buf_reg reg = {.ring_entries = SPATE_SOCK_BUFS};
	int err;

	if (mem == MAP_FAILED)
		return -ENOMEM;
	k->bufs = (void *)mem;
	k->buf_mem = mem + ring_bytes;
	reg.ring_addr = (uint64_t)(uintptr_t)mem;
	err = io_uring_register_buf_ring(&k->ring, &reg, 0);
	if (err < 0) {
		munmap(mem, bytes);
		k->bufs = NULL;
		return err;
	}
	io_uring_buf_ring_init(k->bufs);
	for (unsigned i = 0; i < SPATE_SOCK_BUFS; i++)
		io_uring_buf_ring_add(k->bufs, k->buf_mem + (size_t)i * SPATE_SOCK_BUF_BYTES,
				      SPATE_SOCK_BUF_BYTES, (unsigned short)i,
				      io_uring_buf_ring_mask(SPATE_SOCK_BUFS), (int)i);
	io_uring_buf_ring_advance(k->bufs, SPATE_SOCK_BUFS);
	return 0;
}

static void close_buffers(struct spate_sock *k)
{
	if (k->bufs != NULL)
		munmap(k->bufs, SPATE_SOCK_BUFS * sizeof(struct io_uring_buf) +
					(size_t)SPATE_SOCK_BUFS * SPATE_SOCK_BUF_BYTES);
	k->bufs = NULL;
}

static void close_listeners(struct spate_sock *k)
{
	for (unsigned i = 0; i < k->nlisteners; i++) {
		if (k->listeners[i].fd >= 0)
			close(k->listeners[i].fd);
		k->listeners[i].fd = -1;
	}
}

static int backend_open(struct spate_worker *w, const void *setup, const char **why)
{
	const struct spate_sock_setup *s = setup;
	struct spate_sock *k = calloc(1, sizeof(*k));
	static char
		text[160]; /* outlives a worker that could not be made; create is not concurrent */
	uint16_t port = 0;
	int err = -ENOMEM;

	*why = "out of memory";
	if (k == NULL)
		return err;
	k->w = w;
	spate_pool_init(&k->conns, sizeof(struct spate_sock_conn), CONNS_MAX);
	spate_pool_init(&k->held, sizeof(struct spate_sock_held), HELD_MAX);
	k->listeners = aligned_alloc(64, sizeof(*k->listeners) * (s->count ? s->count : 1));
	if (k->listeners == NULL)
		goto fail;
	err = open_ring(k);
	if (err < 0) {
		snprintf(text, sizeof(text), "io_uring: %s%s", strerror(-err),
			 err == -EPERM ? " (see /proc/sys/kernel/io_uring_disabled)" : "");
		*why = text;
		goto fail;
	}
	err = multishot(k) ? open_buffers(k) : -ENOSYS;
	if (err < 0) {
		snprintf(text, sizeof(text),
			 "io_uring buffer ring: %s (Linux 6.0 or later is needed)", strerror(-err));
		*why = text;
		goto fail_ring;
	}
	err = spate_sock_gift_open(k);
	if (err < 0) {
		snprintf(text, sizeof(text), "pipe: %s", strerror(-err));
		*why = text;
		goto fail_buffers;
	}
	for (unsigned i = 0; i < s->count; i++) {
		k->listeners[i] = (struct spate_sock_listener){.l = s->listeners[i], .fd = -1};
		k->nlisteners = i + 1;
		err = open_listener(&k->listeners[i], s->congestion);
		if (err < 0) {
			snprintf(text, sizeof(text), "listen on port %u: %s",
				 s->listeners[i].addr.port, strerror(-err));
			*why = text;
			goto fail_listeners;
		}
	}
	err = spate_sock_dgram_open(k, s->dgrams, s->ndgrams, &port);
	if (err < 0) {
		snprintf(text, sizeof(text), "UDP port %u: %s", port, strerror(-err));
		*why = text;
		goto fail_dgrams;
	}
	w->backend = k;
	return 0;

fail_dgrams:
	spate_sock_dgram_close(k);
fail_listeners:
	close_listeners(k);
	spate_sock_gift_close(k);
fail_buffers:
	close_buffers(k);
fail_ring:
	io_uring_queue_exit(&k->ring);
fail:
	free(k->listeners);
	free(k);
	return err;
}

/* --- the turn --- */

static void arm_accept(struct spate_sock *k, struct spate_sock_listener *l)
{
	struct io_uring_sqe *sqe = spate_sock_sqe(k);

	io_uring_prep_multishot_accept(sqe, l->fd, NULL, NULL, SOCK_CLOEXEC);
	spate_sock_tag(sqe, SPATE_SOCK_OP_ACCEPT, l);
	l->armed = true;
}

static void arm_wake(struct spate_sock *k)
{
	struct io_uring_sqe *sqe = spate_sock_sqe(k);

	io_uring_prep_read(sqe, k->w->wake_fd, &k->wake_value, sizeof(k->wake_value), 0);
	spate_sock_tag(sqe, SPATE_SOCK_OP_WAKE, k);
	k->wake_armed = true;
}

static void enable(struct spate_sock *k)
{
	/* liburing 2.3 declares io_uring_enable_rings() but does not export it. */
	if (syscall(__NR_io_uring_register, k->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
		    0) < 0)
		abort(); /* a ring of our own that is disabled: cannot fail */
	io_uring_register_ring_fd(&k->ring);
	k->tick = k->w->now_us / SPATE_SOCK_TICK_US;
	k->enabled = true;
	for (unsigned i = 0; i < k->nlisteners; i++)
		arm_accept(k, &k->listeners[i]);
	arm_wake(k);
	spate_sock_dgram_run(k);
}

static void accepted(struct spate_sock *k, struct spate_sock_listener *l,
		     const struct io_uring_cqe *cqe)
{
	if (cqe->res >= 0)
		spate_sock_conn_open(k, l, cqe->res);
	if (cqe->flags & IORING_CQE_F_MORE)
		return;
	l->armed = false;
	if (k->draining || l->fd < 0)
		return;
	if (cqe->res == -EMFILE || cqe->res == -ENFILE || cqe->res == -ENOMEM ||
	    cqe->res == -ENOBUFS) {
		SPATE_COUNT(k->w->stats, accept_put_off);
		k->retry_at = k->tick + 1 + ACCEPT_PAUSE_MS * 1000 / SPATE_SOCK_TICK_US;
	} else {
		arm_accept(k, l);
	}
}

static void complete(struct spate_sock *k, const struct io_uring_cqe *cqe)
{
	void *owner = (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)SPATE_SOCK_OP_MASK);

	switch ((enum spate_sock_op)(cqe->user_data & SPATE_SOCK_OP_MASK)) {
	case SPATE_SOCK_OP_ACCEPT:
		accepted(k, owner, cqe);
		break;
	case SPATE_SOCK_OP_RECV:
		spate_sock_conn_received(owner, cqe);
		break;
	case SPATE_SOCK_OP_SEND:
		spate_sock_conn_sent(owner, cqe->res);
		break;
	case SPATE_SOCK_OP_ROOM:
		spate_sock_conn_room(owner);
		break;
	case SPATE_SOCK_OP_CANCEL:
		((struct spate_sock_conn *)owner)->ops--;
		break;
	case SPATE_SOCK_OP_WAKE:
		k->wake_armed = false;
		break;
	case SPATE_SOCK_OP_DGRAM:
		spate_sock_dgram_ready(owner);
		break;
	case SPATE_SOCK_OP_IGNORE:
		break;
	}
}

static uint64_t clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/*
 * Looks for completions without a system call, for SPIN_US at most. Going to sleep and being woken
 * costs each side a few microseconds (an interrupt to an idle core), more than most gaps of a busy
 * edge are long. It pays for itself: a spin in vain, and there is none until a sleep turns out to
 * have been that short.
 */
static bool spin(struct spate_sock *k)
{
	uint64_t until;

	if (!k->spin)
		return false;
	until = clock_us() + SPIN_US;
	do {
		for (int i = 0; i < 16; i++) {
			if (io_uring_cq_ready(&k->ring) > 0 ||
			    (IO_URING_READ_ONCE(*k->ring.sq.kflags) & IORING_SQ_TASKRUN))
				return true;
			__builtin_ia32_pause();
		}
	} while (clock_us() < until);
	k->spin = false;
	return false;
}

static void wait_for_cqe(struct spate_sock *k, uint32_t wait_us)
{
	struct io_uring_cqe *cqe;
	struct __kernel_timespec ts;
	uint64_t began;

	/* Something to do at once, or a timer to keep: the shortest wait wins. */
	if ((k->timers > 0 || k->retry_at != 0) && wait_us > SPATE_SOCK_TICK_US)
		wait_us = SPATE_SOCK_TICK_US;
	if (k->dirty != NULL || k->resume != NULL || k->dgram_busy)
		wait_us = 0;
	if (wait_us > 0 && io_uring_sq_ready(&k->ring) == 0 && spin(k))
		wait_us = 0;
	if (wait_us > 0 && !spate_worker_sleep(k->w))
		wait_us = 0;
	if (wait_us == 0) {
		io_uring_submit_and_get_events(&k->ring);
	} else {
		began = clock_us();
		ts = (struct __kernel_timespec){.tv_sec = wait_us / 1000000,
						.tv_nsec = (long long)(wait_us % 1000000) * 1000};
		io_uring_submit_and_wait_timeout(&k->ring, &cqe, 1, &ts, NULL);
		k->spin = clock_us() - began < SPIN_US;
	}
	spate_worker_awake(k->w);
	reuse_scratch(k);
}

static void turn(struct spate_worker *w, uint32_t wait_us)
{
	struct spate_sock *k = w->backend;
	struct io_uring_cqe *cqe[CQE_BATCH];
	unsigned n;

	if (!k->enabled)
		enable(k);
	wait_for_cqe(k, wait_us);
	for (unsigned total = 0; total < SPATE_SOCK_CQ; total += n) {
		n = io_uring_peek_batch_cqe(&k->ring, cqe, CQE_BATCH);
		for (unsigned i = 0; i < n; i++)
			complete(k, cqe[i]);
		io_uring_cq_advance(&k->ring, n);
		if (n < CQE_BATCH)
			break;
	}
	if (!k->wake_armed)
		arm_wake(k);
	if (k->ndgrams > 0)
		spate_sock_dgram_run(k);
	spate_sock_timer_run(k);
	if (k->retry_at != 0 && k->tick >= k->retry_at) {
		k->retry_at = 0;
		for (unsigned i = 0; i < k->nlisteners && !k->draining; i++)
			if (!k->listeners[i].armed)
				arm_accept(k, &k->listeners[i]);
	}
}

/* After control's messages, which may have kicked or resumed streams as well. */
static void flush(struct spate_worker *w)
{
	struct spate_sock *k = w->backend;

	spate_sock_conn_run_resumed(k);
	spate_sock_conn_run_dirty(k);
	spate_sock_conn_run_dead(k);
}

/* --- the end --- */

/*
 * Whose handshake is done and whom nobody has accepted yet: closing the listener would reset them.
 */
static void accept_the_last(struct spate_sock *k, struct spate_sock_listener *l)
{
	int fd, flags = fcntl(l->fd, F_GETFL);

	if (flags < 0 || fcntl(l->fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return;
	for (int i = 0; i < SOMAXCONN; i++) {
		fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			break;
		spate_sock_conn_open(k, l, fd);
	}
}

static void drain(struct spate_worker *w)
{
	struct spate_sock *k = w->backend;

	if (k->draining)
		return;
	k->draining = true;
	for (unsigned i = 0; i < k->nlisteners; i++) {
		/* The accept holds the file; closing alone would go on accepting. */
		struct io_uring_sqe *sqe = spate_sock_sqe(k);

		io_uring_prep_cancel64(
			sqe, (uint64_t)(uintptr_t)&k->listeners[i] | SPATE_SOCK_OP_ACCEPT, 0);
		spate_sock_tag(sqe, SPATE_SOCK_OP_IGNORE, k);
	}
	spate_sock_submit(k);
	for (unsigned i = 0; i < k->nlisteners; i++)
		accept_the_last(k, &k->listeners[i]);
	close_listeners(k);
	for (struct spate_sock_conn *c = k->all; c != NULL; c = c->all_next)
		if (!c->dying)
			c->s.app->drain(&c->s);
}

static void backend_close(struct spate_worker *w)
{
	struct spate_sock *k = w->backend;

	if (k == NULL)
		return;
	if (k->enabled) {
		drain(w);
		for (struct spate_sock_conn *c = k->all; c != NULL; c = c->all_next)
			spate_sock_conn_kill(c, SPATE_CLOSE_STOP,
					     !c->shut); /* the rest is the kernel's */
		/* Cancels come back within microseconds; a second is for a kernel that is very
		 * busy. */
		for (int i = 0; k->all != NULL && i < 1000; i++) {
			flush(w);
			turn(w, 1000);
		}
	}
	close_listeners(k);
	spate_sock_dgram_close(k);
	io_uring_queue_exit(&k->ring);
	close_buffers(k);
	spate_sock_gift_close(k);
	spate_pool_finish(&k->conns);
	spate_pool_finish(&k->held);
	free(k->listeners);
	free(k);
	w->backend = NULL;
}

const struct spate_backend_ops spate_sock_backend = {
	.name = "sockets",
	.open = backend_open,
	.turn = turn,
	.flush = flush,
	.drain = drain,
	.close = backend_close,
};

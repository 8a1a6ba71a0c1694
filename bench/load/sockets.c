/*
 * sockets.c: net.h over kernel sockets. One io_uring; of each stream there are in flight at most
 * one connect or one send, and one receive into a buffer that the kernel picks when bytes are
 * there.
 *
 *     turn:  queue a send for each kicked stream ─► submit and wait ─► hand out completions ─►
 * close
 *
 * Bytes that nobody wants to see (skip) are received with MSG_TRUNC: TCP drops them without a copy,
 * so a client of large objects costs a fraction of what the server's copy costs.
 */
#include "bench/load/net.h"

#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/load/options.h"
#include "dataplane/stream/sock.h"
#include "dataplane/util/pool.h"

#define SQ          4096
#define BUF_BYTES   (64u << 10)
#define BUFS        128
#define IOVS        4
#define SKIP_MIN    (32u << 10) /* below that a receive of its own costs more than the copy */
#define SKIP_MAX    (1u << 30)
#define CLOCK_EVERY 16 /* completions */

enum op { OP_CONNECT = 1, OP_SEND, OP_RECV, OP_SKIP, OP_IGNORE, OP_MASK = 7 };

struct sock {
	struct spate_stream s; /* first */
	struct sockets *k;
	struct sock *next_kicked, *next_dead, *next_starved;
	struct sock *next, **prev;
	struct iovec iov[IOVS];
	struct msghdr msg;
	struct sockaddr_storage peer; /* the kernel reads it when the connect is submitted */
	uint64_t skip;
	int fd;
	uint8_t ops; /* in flight */
	bool connected, sending, receiving, kicked, finish, finished, eof, dead, listed;
	enum spate_close_why why;
};

struct sockets {
	struct load_net net;
	struct io_uring ring;
	struct io_uring_buf_ring *bufs;
	uint8_t *buf_mem;
	size_t mapped;
	struct spate_pool socks, bytes_pool, range_pool;
	struct sock *all, *kicked, *dead, *starved;
	struct sockaddr_storage source;
	socklen_t source_len;
};

static struct sock *of(struct spate_stream *s)
{
	return (struct sock *)s;
}

/* Callers tag after preparing: prep_* clears what it does not set. */
static struct io_uring_sqe *sqe_of(struct sockets *k)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&k->ring);

	while (sqe == NULL) {
		io_uring_submit(&k->ring);
		sqe = io_uring_get_sqe(&k->ring);
	}
	return sqe;
}

static void tag(struct io_uring_sqe *sqe, struct sock *c, enum op op)
{
	io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)c | op);
	if (c != NULL)
		c->ops++;
}

static void mark_kicked(struct sock *c)
{
	if (c->kicked || c->dead)
		return;
	c->kicked = true;
	c->next_kicked = c->k->kicked;
	c->k->kicked = c;
}

static void mark_dead(struct sock *c, enum spate_close_why why)
{
	if (!c->dead) {
		c->dead = true;
		c->why = why;
		if (c->ops != 0)
			shutdown(c->fd, SHUT_RDWR); /* what is in flight comes back */
	}
	if (c->ops == 0 && !c->listed) {
		c->listed = true;
		c->next_dead = c->k->dead;
		c->k->dead = c;
	}
}

/* --- what is above calls --- */

static void op_kick(struct spate_stream *s)
{
	mark_kicked(of(s));
}

static void op_resume(struct spate_stream *s)
{
	(void)s; /* recv always takes everything */
}

static void op_finish(struct spate_stream *s)
{
	of(s)->finish = true;
	mark_kicked(of(s));
}

static void op_abort(struct spate_stream *s)
{
	struct linger now = {.l_onoff = 1};

	if (of(s)->dead)
		return;
	setsockopt(of(s)->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	mark_dead(of(s), SPATE_CLOSE_ABORTED);
}

static void op_timer(struct spate_stream *s, uint32_t ms)
{
	(void)s;
	(void)ms;
}

static const struct spate_stream_ops stream_ops = {"sockets", op_kick,  op_resume,
						   op_finish, op_abort, op_timer};

static struct spate_stream *net_connect(struct load_net *n, const struct spate_addr *to,
					const struct spate_stream_app *app, void *ctx)
{
	struct sockets *k = (struct sockets *)n;
	int family = spate_addr_is_ip4(to->ip) ? AF_INET : AF_INET6, one = 1;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sock *c = fd < 0 ? NULL : spate_pool_get(&k->socks);
	struct io_uring_sqe *sqe;

	if (c == NULL) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	memset(c, 0, sizeof(*c));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (k->source_len != 0) {
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
		if (bind(fd, (struct sockaddr *)&k->source, k->source_len) < 0) {
			close(fd);
			spate_pool_put(&k->socks, c);
			return NULL;
		}
	}
	c->k = k;
	c->fd = fd;
	c->s.ops = &stream_ops;
	c->s.app = app;
	c->s.ctx = ctx;
	c->s.peer = *to;
	spate_sendq_init(&c->s.out);
	c->next = k->all;
	if (k->all != NULL)
		k->all->prev = &c->next;
	c->prev = &k->all;
	k->all = c;
	sqe = sqe_of(k);
	io_uring_prep_connect(sqe, fd, (struct sockaddr *)&c->peer, spate_sock_addr(&c->peer, to));
	tag(sqe, c, OP_CONNECT);
	return &c->s;
}

static void net_skip(struct spate_stream *s, uint64_t n)
{
	of(s)->skip = n;
}

/* --- sending and receiving --- */

static void arm_recv(struct sock *c, bool poll_first)
{
	struct io_uring_sqe *sqe = sqe_of(c->k);

	if (c->skip >= SKIP_MIN) {
		size_t n = c->skip < SKIP_MAX ? c->skip : SKIP_MAX;

		io_uring_prep_recv(sqe, c->fd, NULL, n, MSG_TRUNC);
		tag(sqe, c, OP_SKIP);
	} else {
		io_uring_prep_recv(sqe, c->fd, NULL, BUF_BYTES, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = 0;
		tag(sqe, c, OP_RECV);
	}
	if (poll_first)
		sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	c->receiving = true;
}

static void arm_send(struct sock *c)
{
	struct spate_object *dry;
	enum spate_sendq_stop stop;
	struct io_uring_sqe *sqe;
	uint64_t dry_off;
	unsigned n = 0;

	if (c->dead || c->sending || !c->connected)
		return;
	spate_sendq_iov(&c->k->net.env, &c->s.out, c->s.out.base, UINT32_MAX, c->iov, IOVS, &n,
			&stop, &dry, &dry_off);
	if (n == 0) {
		if (c->finish && !c->finished) {
			c->finished = true;
			shutdown(c->fd, SHUT_WR);
			if (c->eof)
				mark_dead(c, SPATE_CLOSE_DONE);
		}
		return;
	}
	sqe = sqe_of(c->k);
	if (n == 1) {
		io_uring_prep_send(sqe, c->fd, c->iov[0].iov_base, c->iov[0].iov_len, MSG_NOSIGNAL);
	} else {
		c->msg = (struct msghdr){.msg_iov = c->iov, .msg_iovlen = n};
		io_uring_prep_sendmsg(sqe, c->fd, &c->msg, MSG_NOSIGNAL);
	}
	tag(sqe, c, OP_SEND);
	c->sending = true;
}

static void sent(struct sock *c, int res)
{
	c->sending = false;
	if (res < 0) {
		mark_dead(c, SPATE_CLOSE_RESET);
		return;
	}
	spate_sendq_release(&c->k->net.env, &c->s.out, c->s.out.base + (uint64_t)res);
	if (spate_sendq_len(&c->s.out) != 0 || c->finish)
		mark_kicked(c);
	else
		c->s.app->drained(&c->s);
}

static void connected(struct sock *c, int res)
{
	if (res < 0) {
		mark_dead(c, SPATE_CLOSE_RESET);
		return;
	}
	c->connected = true;
	mark_kicked(c);
	arm_recv(c, true);
}

static void received(struct sock *c, const struct io_uring_cqe *cqe, bool skipped)
{
	struct sockets *k = c->k;

	c->receiving = false;
	if (cqe->res > 0 && !c->dead && skipped) {
		c->skip -= (uint64_t)cqe->res;
		c->s.app->recv(&c->s, NULL, (size_t)cqe->res);
	}
	if (cqe->flags & IORING_CQE_F_BUFFER) {
		unsigned i = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
		uint8_t *p = k->buf_mem + (size_t)i * BUF_BYTES;

		if (cqe->res > 0 && !c->dead) {
			c->skip -= c->skip < (uint64_t)cqe->res ? c->skip : (uint64_t)cqe->res;
			c->s.app->recv(&c->s, p, (size_t)cqe->res);
		}
		io_uring_buf_ring_add(k->bufs, p, BUF_BYTES, (unsigned short)i,
				      io_uring_buf_ring_mask(BUFS), 0);
		io_uring_buf_ring_advance(k->bufs, 1);
	}
	if (c->dead)
		return;
	if (cqe->res == -ENOBUFS) { /* all of them are in completions not yet looked at */
		c->ops++;           /* keeps it from being buried while it is listed */
		c->next_starved = k->starved;
		k->starved = c;
	} else if (cqe->res == 0) {
		c->eof = true;
		c->s.app->eof(&c->s);
		if (c->finished)
			mark_dead(c, SPATE_CLOSE_DONE);
	} else if (cqe->res < 0) {
		mark_dead(c, SPATE_CLOSE_RESET);
	} else {
		arm_recv(c, cqe->res < (int)BUF_BYTES);
	}
}

static void complete(struct sockets *k, const struct io_uring_cqe *cqe)
{
	struct sock *c = (struct sock *)(uintptr_t)(cqe->user_data & ~(uint64_t)OP_MASK);
	enum op op = cqe->user_data & OP_MASK;

	(void)k;
	if (op == OP_IGNORE || c == NULL)
		return;
	c->ops--;
	if (op == OP_CONNECT)
		connected(c, cqe->res);
	else if (op == OP_SEND)
		sent(c, cqe->res);
	else
		received(c, cqe, op == OP_SKIP);
	if (c->dead)
		mark_dead(c, c->why);
}

static void bury(struct sockets *k)
{
	while (k->dead != NULL) {
		struct sock *c = k->dead;
		struct io_uring_sqe *sqe;

		k->dead = c->next_dead;
		c->s.app->closed(&c->s, c->why);
		spate_sendq_clear(&k->net.env, &c->s.out);
		*c->prev = c->next;
		if (c->next != NULL)
			c->next->prev = c->prev;
		sqe = sqe_of(k);
		io_uring_prep_close(sqe, c->fd);
		tag(sqe, NULL, OP_IGNORE);
		spate_pool_put(&k->socks, c);
	}
}

static void send_kicked(struct sockets *k)
{
	struct sock *list = k->kicked;

	k->kicked = NULL;
	while (list != NULL) {
		struct sock *c = list;

		list = c->next_kicked;
		c->kicked = false;
		arm_send(c);
	}
}

static void net_turn(struct load_net *n, uint64_t wait_ns)
{
	struct sockets *k = (struct sockets *)n;
	struct __kernel_timespec ts = {.tv_sec = (long long)(wait_ns / 1000000000),
				       .tv_nsec = (long long)(wait_ns % 1000000000)};
	struct sock *starved = k->starved;
	struct io_uring_cqe *cqe;
	unsigned head, seen = 0;

	k->starved = NULL;
	while (starved != NULL) {
		struct sock *c = starved;

		starved = c->next_starved;
		c->ops--;
		if (!c->dead)
			arm_recv(c, false);
		else
			mark_dead(c, c->why);
	}
	send_kicked(k);
	if (wait_ns == 0)
		io_uring_submit_and_get_events(&k->ring);
	else
		io_uring_submit_and_wait_timeout(&k->ring, &cqe, 1, &ts, NULL);
	n->now_ns = load_clock_ns();
	n->turns++;
	io_uring_for_each_cqe(&k->ring, head, cqe)
	{
		complete(k, cqe);
		if (++seen % CLOCK_EVERY == 0)
			n->now_ns = load_clock_ns();
	}
	io_uring_cq_advance(&k->ring, seen);
	n->idle_turns += seen == 0;
	send_kicked(k); /* none of the dead may stay on that list */
	bury(k);
}

static void net_close(struct load_net *n)
{
	struct sockets *k = (struct sockets *)n;

	for (struct sock *c = k->all; c != NULL; c = c->next)
		if (!c->dead)
			mark_dead(c, SPATE_CLOSE_STOP);
	for (int i = 0; i < 1000 && k->all != NULL; i++)
		net_turn(n, 1000000);
	io_uring_submit(&k->ring);
	io_uring_queue_exit(&k->ring);
	munmap(k->bufs, k->mapped);
	spate_pool_finish(&k->socks);
	spate_pool_finish(&k->bytes_pool);
	spate_pool_finish(&k->range_pool);
	free(k);
}

/* --- open --- */

static const struct load_net_ops sockets_ops = {"sockets", net_connect, net_skip, net_turn,
						net_close};

static int open_buffers(struct sockets *k)
{
	size_t ring_bytes = BUFS * sizeof(struct io_uring_buf);
	struct io_uring_buf_reg reg = {.ring_entries = BUFS};
	uint8_t *mem;
	int err;

	k->mapped = ring_bytes + (size_t)BUFS * BUF_BYTES;
	mem = mmap(NULL, k->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return -ENOMEM;
	k->bufs = (void *)mem;
	k->buf_mem = mem + ring_bytes;
	reg.ring_addr = (uint64_t)(uintptr_t)mem;
	err = io_uring_register_buf_ring(&k->ring, &reg, 0);
	if (err < 0) {
		munmap(mem, k->mapped);
		return err;
	}
	io_uring_buf_ring_init(k->bufs);
	for (unsigned i = 0; i < BUFS; i++)
		io_uring_buf_ring_add(k->bufs, k->buf_mem + (size_t)i * BUF_BYTES, BUF_BYTES,
				      (unsigned short)i, io_uring_buf_ring_mask(BUFS), (int)i);
	io_uring_buf_ring_advance(k->bufs, BUFS);
	return 0;
}

/* Of the thread that will use it: the ring has one issuer. */
int load_sockets_open(struct load_net **out, const struct load_options *o, char *why,
		      size_t why_len)
{
	struct sockets *k = calloc(1, sizeof(*k));
	struct io_uring_params p = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
		.cq_entries = 65536,
	};
	struct rlimit files;
	int err;

	if (k == NULL) {
		snprintf(why, why_len, "out of memory");
		return -ENOMEM;
	}
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	prctl(PR_SET_TIMERSLACK, 1UL); /* waits end when they should */
	err = io_uring_queue_init_params(SQ, &k->ring, &p);
	if (err < 0) {
		snprintf(why, why_len, "io_uring: %s (Linux 6.1 or later is needed)",
			 strerror(-err));
		free(k);
		return err;
	}
	err = open_buffers(k);
	if (err < 0) {
		snprintf(why, why_len, "io_uring buffers: %s", strerror(-err));
		io_uring_queue_exit(&k->ring);
		free(k);
		return err;
	}
	spate_pool_init(&k->socks, sizeof(struct sock), 1u << 20);
	spate_pool_init(&k->bytes_pool, SPATE_SENDQ_NODE_BYTES, 1u << 20);
	spate_pool_init(&k->range_pool, 64, 1u << 10);
	if (o->has_source)
		k->source_len = spate_sock_addr(&k->source, &o->source);
	k->net = (struct load_net){
		.ops = &sockets_ops,
		.env = {NULL, 0, &k->bytes_pool, &k->range_pool},
		.now_ns = load_clock_ns(),
	};
	*out = &k->net;
	return 0;
}

/*
 * sock_conn.c: one connection of the socket backend.
 *
 * The app's own calls (kick, resume, finish, abort) only mark the conn and put it on a list; the
 * turn works the lists off after the completions. So no callback ever runs inside an app's call,
 * and a burst of requests on many conns becomes one batch of sends.
 *
 * A conn ends in steps, because the kernel may still hold operations on it:
 *
 *     dying ──► cancel what is out ──► ops == 0 ──► close(fd), app->closed ──► pool
 */
#include "dataplane/stream/sock_impl.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINGER_MS 2000 /* our FIN is out and the peer's is not: how often to look */
#define HELD_FEW  4    /* received buffers that anybody may hold */

static struct spate_sock_conn *conn_of(struct spate_stream *s)
{
	return (struct spate_sock_conn *)s;
}

static void mark_dirty(struct spate_sock_conn *c)
{
	struct spate_sock *k = spate_sock_of(c);

	if (c->on_dirty || c->dying)
		return;
	c->on_dirty = true;
	c->next_dirty = k->dirty;
	k->dirty = c;
}

static void mark_resume(struct spate_sock_conn *c)
{
	struct spate_sock *k = spate_sock_of(c);

	if (c->on_resume || c->dying)
		return;
	c->on_resume = true;
	c->next_resume = k->resume;
	k->resume = c;
}

static void mark_dead(struct spate_sock_conn *c)
{
	struct spate_sock *k = spate_sock_of(c);

	if (c->on_dead)
		return;
	c->on_dead = true;
	c->next_dead = k->dead;
	k->dead = c;
}

/* --- what the app calls --- */

static void op_kick(struct spate_stream *s)
{
	mark_dirty(conn_of(s));
}

/* Bytes in the kernel that the peer has not acknowledged. */
static uint64_t unacked(const struct spate_sock_conn *c)
{
	int left = 0;

	return ioctl(c->fd, SIOCOUTQ, &left) == 0 && left > 0 ? (uint64_t)left : 0;
}

static uint64_t op_acked(struct spate_stream *s)
{
	uint64_t left = unacked(conn_of(s));

	return s->out.base > left ? s->out.base - left : 0;
}

static void op_resume(struct spate_stream *s)
{
	mark_resume(conn_of(s));
}

static void op_finish(struct spate_stream *s)
{
	conn_of(s)->finish = true;
	mark_dirty(conn_of(s));
}

static void op_abort(struct spate_stream *s)
{
	spate_sock_conn_kill(conn_of(s), SPATE_CLOSE_ABORTED, true);
}

static void op_timer(struct spate_stream *s, uint32_t ms)
{
	struct spate_sock_conn *c = conn_of(s);

	if (!c->shut) /* the linger time is ours */
		spate_sock_timer_set(c, ms);
}

const struct spate_stream_ops spate_sock_stream_ops = {
	.name = "sockets",
	.kick = op_kick,
	.resume = op_resume,
	.acked = op_acked,
	.finish = op_finish,
	.abort = op_abort,
	.timer = op_timer,
};

/* --- open and end --- */

static void addr_from(struct spate_addr *a, const struct sockaddr_storage *ss)
{
	if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)ss;

		memset(a->ip, 0, 10);
		memset(a->ip + 10, 0xff, 2);
		memcpy(a->ip + 12, &in->sin_addr, 4);
		a->port = ntohs(in->sin_port);
	} else {
		const struct sockaddr_in6 *in6 = (const void *)ss;

		memcpy(a->ip, &in6->sin6_addr, 16);
		a->port = ntohs(in6->sin6_port);
	}
}

static void arm_recv(struct spate_sock_conn *c)
{
	struct io_uring_sqe *sqe = spate_sock_sqe(spate_sock_of(c));

	io_uring_prep_recv_multishot(sqe, c->fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = 0;
	spate_sock_tag(sqe, SPATE_SOCK_OP_RECV, c);
	c->receiving = true;
	c->recv_cancel = false;
	c->ops++;
}

void spate_sock_conn_open(struct spate_sock *k, const struct spate_sock_listener *l, int fd)
{
	struct spate_worker *w = k->w;
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);
	struct spate_sock_conn *c = NULL;

	if (w->open_conns < w->config->max_connections)
		c = spate_pool_get(&k->conns);
	if (c == NULL) {
		SPATE_COUNT(w->stats, conn_refused);
		close(fd);
		return;
	}
	memset(c, 0, sizeof(*c));
	c->s.ops = &spate_sock_stream_ops;
	c->s.worker = w;
	c->s.local = l->l.addr;
	c->fd = fd;
	c->held_tail = &c->held;
	spate_sendq_init(&c->s.out);
	if (getpeername(fd, (struct sockaddr *)&ss, &len) == 0)
		addr_from(&c->s.peer, &ss);
	/* Which of our addresses it came to only the tracker wants to know: it names that one. */
	len = sizeof(ss);
	if (w->tracker != NULL && l->wildcard && getsockname(fd, (struct sockaddr *)&ss, &len) == 0)
		addr_from(&c->s.local, &ss);
	if (!l->l.accept(&c->s, l->l.ctx)) {
		SPATE_COUNT(w->stats, conn_refused);
		close(fd);
		spate_pool_put(&k->conns, c);
		return;
	}
	c->all_next = k->all;
	if (k->all != NULL)
		k->all->all_prev = &c->all_next;
	c->all_prev = &k->all;
	k->all = c;
	w->open_conns++;
	SPATE_COUNT(w->stats, conn_accepted);
	SPATE_COUNT(w->stats, conn_open);
	arm_recv(c);
	if (k->draining) /* it was accepted before the listener could be told */
		c->s.app->drain(&c->s);
}

static void cancel_ops(struct spate_sock_conn *c)
{
	struct spate_sock *k = spate_sock_of(c);
	const enum spate_sock_op kinds[] = {SPATE_SOCK_OP_RECV,
					    c->polling ? SPATE_SOCK_OP_ROOM : SPATE_SOCK_OP_SEND};
	const bool out[] = {c->receiving, c->sending};

	for (unsigned i = 0; i < 2; i++) {
		if (!out[i])
			continue;
		struct io_uring_sqe *sqe = spate_sock_sqe(k);

		io_uring_prep_cancel64(sqe, (uint64_t)(uintptr_t)c | kinds[i], 0);
		spate_sock_tag(sqe, SPATE_SOCK_OP_CANCEL, c);
		c->ops++;
	}
}

void spate_sock_conn_kill(struct spate_sock_conn *c, enum spate_close_why why, bool rst)
{
	if (c->dying)
		return;
	c->dying = true;
	c->why = (uint8_t)why;
	c->rst = rst;
	spate_watch_del(&c->watch);
	mark_dead(c);
}

static void free_held(struct spate_sock *k, struct spate_sock_conn *c)
{
	while (c->held != NULL) {
		struct spate_sock_held *h = c->held;

		c->held = h->next;
		spate_pool_put(&k->held, h);
	}
}

static void destroy(struct spate_sock *k, struct spate_sock_conn *c)
{
	struct spate_worker *w = k->w;

	if (c->rst) {
		struct linger hard = {.l_onoff = 1};

		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	}
	close(c->fd);
	if (c->why == SPATE_CLOSE_RESET || c->why == SPATE_CLOSE_SHORT)
		SPATE_COUNT(w->stats, conn_reset);
	c->s.app->closed(&c->s, c->why);
	spate_sendq_clear(&w->sendq, &c->s.out);
	free_held(k, c);
	spate_sock_timer_drop(c);
	*c->all_prev = c->all_next;
	if (c->all_next != NULL)
		c->all_next->all_prev = c->all_prev;
	w->open_conns--;
	SPATE_COUNT_N(w->stats, conn_open, -1);
	spate_pool_put(&k->conns, c);
}

/* Dying conns whose operations have all come back; the others stay for a later turn. */
void spate_sock_conn_run_dead(struct spate_sock *k)
{
	struct spate_sock_conn *c = k->dead;

	k->dead = NULL;
	for (struct spate_sock_conn *next; c != NULL; c = next) {
		next = c->next_dead;
		c->on_dead = false;
		if (!c->cancelled) {
			c->cancelled = true;
			cancel_ops(c);
		}
		if (c->ops == 0 && !c->on_dirty && !c->on_resume)
			destroy(k, c);
		else
			mark_dead(c);
	}
}

/*
 * Our FIN is out and the peer's has not come. What it has not acknowledged is still with the
 * kernel, and a reset would throw it away: the end of an answer to a slow viewer. So wait while it
 * goes on, for the send timeout while it does not. Who has everything and does not close is the
 * kernel's (FIN-WAIT-2);
 */
static void linger(struct spate_sock_conn *c)
{
	const struct spate_worker *w = c->s.worker;
	uint32_t left = (uint32_t)unacked(c);

	if (left == 0) {
		spate_sock_conn_kill(c, SPATE_CLOSE_DONE, false);
		return;
	}
	c->stuck_ms = left == c->unacked ? c->stuck_ms + LINGER_MS : 0;
	c->unacked = left;
	if (c->stuck_ms >= w->config->send_timeout_ms) {
		SPATE_COUNT(w->stats, conn_timeout);
		spate_sock_conn_kill(c, SPATE_CLOSE_RESET, true);
		return;
	}
	spate_sock_timer_set(c, LINGER_MS);
}

void spate_sock_conn_timeout(struct spate_sock_conn *c)
{
	if (c->shut)
		linger(c);
	else
		c->s.app->timeout(&c->s);
}

/* Both directions have ended: nothing more to read, our FIN is out. */
static void check_done(struct spate_sock_conn *c)
{
	if (c->shut && c->eof && c->held == NULL && !c->sending)
		spate_sock_conn_kill(c, SPATE_CLOSE_DONE, false);
}

/* --- receiving --- */

/*
 * Copies what the app left; false: no memory, the conn must go. Who asks without reading holds some
 * dozens (what was received until the cancel came), who pipelines now and then one or two: so half
 * of them are for the latter.
 */
static bool hold(struct spate_sock_conn *c, const uint8_t *data, size_t len)
{
	struct spate_pool *pool = &spate_sock_of(c)->held;
	struct spate_sock_held *h;

	if (c->nheld >= HELD_FEW && pool->used >= pool->limit / 2)
		return false;
	h = spate_pool_get(pool);
	if (h == NULL)
		return false;
	c->nheld++;
	h->next = NULL;
	h->off = 0;
	h->len = (uint32_t)len;
	memcpy(h->data, data, len);
	*c->held_tail = h;
	c->held_tail = &h->next;
	return true;
}

static void tell_eof(struct spate_sock_conn *c)
{
	if (!c->eof || c->eof_told || c->held != NULL || c->dying)
		return;
	c->eof_told = true;
	c->s.app->eof(&c->s);
	check_done(c);
}

static void deliver(struct spate_sock_conn *c, const uint8_t *data, size_t len)
{
	size_t took = 0;

	if (c->dying)
		return;
	if (!c->paused && c->held == NULL)
		took = c->s.app->recv(&c->s, data, len);
	if (took < len && !c->dying) {
		c->paused = true;
		if (!hold(c, data + took, len - took))
			spate_sock_conn_kill(c, SPATE_CLOSE_ABORTED, true);
	}
}

static void recycle(struct spate_sock *k, unsigned bid)
{
	io_uring_buf_ring_add(k->bufs, k->buf_mem + (size_t)bid * SPATE_SOCK_BUF_BYTES,
			      SPATE_SOCK_BUF_BYTES, (unsigned short)bid,
			      io_uring_buf_ring_mask(SPATE_SOCK_BUFS), 0);
	io_uring_buf_ring_advance(k->bufs, 1);
}

void spate_sock_conn_received(struct spate_sock_conn *c, const struct io_uring_cqe *cqe)
{
	struct spate_sock *k = spate_sock_of(c);
	int res = cqe->res;

	if (!(cqe->flags & IORING_CQE_F_MORE)) {
		c->receiving = false;
		c->ops--;
	}
	if (cqe->flags & IORING_CQE_F_BUFFER) {
		unsigned bid = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

		if (res > 0)
			deliver(c, k->buf_mem + (size_t)bid * SPATE_SOCK_BUF_BYTES, (size_t)res);
		recycle(k, bid);
	}
	if (c->dying)
		return;
	if (res == 0) {
		c->eof = true;
		tell_eof(c);
	} else if (res < 0 && res != -ENOBUFS && res != -EINTR && res != -ECANCELED) {
		spate_sock_conn_kill(c, SPATE_CLOSE_RESET, false);
	}
	/* A paused conn is read no further: its peer's window closes once the socket buffer is
	 * full. */
	if (c->paused && c->receiving && !c->recv_cancel) {
		struct io_uring_sqe *sqe = spate_sock_sqe(k);

		c->recv_cancel = true;
		io_uring_prep_cancel64(sqe, (uint64_t)(uintptr_t)c | SPATE_SOCK_OP_RECV, 0);
		spate_sock_tag(sqe, SPATE_SOCK_OP_CANCEL, c);
		c->ops++;
	}
	if (!c->receiving && !c->paused && !c->eof && !c->dying)
		arm_recv(c);
}

/* Gives paused conns their bytes again. */
void spate_sock_conn_run_resumed(struct spate_sock *k)
{
	struct spate_sock_conn *c = k->resume;

	k->resume = NULL;
	for (struct spate_sock_conn *next; c != NULL; c = next) {
		next = c->next_resume;
		c->on_resume = false;
		if (c->dying || !c->paused)
			continue;
		c->paused = false;
		while (c->held != NULL && !c->dying) {
			struct spate_sock_held *h = c->held;
			size_t took = c->s.app->recv(&c->s, h->data + h->off, h->len);

			if (took < h->len) {
				h->off += (uint32_t)took;
				h->len -= (uint32_t)took;
				c->paused = true;
				break;
			}
			c->held = h->next;
			c->nheld--;
			if (c->held == NULL)
				c->held_tail = &c->held;
			spate_pool_put(&k->held, h);
		}
		if (c->dying || c->paused)
			continue;
		if (c->eof) {
			tell_eof(c);
		} else if (!c->receiving) {
			arm_recv(c);
		}
	}
}

/* --- sending --- */

static void undry(struct spate_watch *w)
{
	mark_dirty((struct spate_sock_conn *)((char *)w - offsetof(struct spate_sock_conn, watch)));
}

static void send_fin(struct spate_sock_conn *c)
{
	c->shut = true;
	if (shutdown(c->fd, SHUT_WR) < 0) {
		spate_sock_conn_kill(c, SPATE_CLOSE_RESET, false);
		return;
	}
	spate_sock_timer_set(c, LINGER_MS);
	check_done(c);
}

/* Bytes have left the queue: the app may want to know, and there may be more to send. */
static void sent_some(struct spate_sock_conn *c, bool was_full)
{
	struct spate_sendq *q = &c->s.out;

	if (q->base == q->end)
		c->s.app->drained(&c->s);
	else if (was_full && !spate_sendq_full(q))
		c->s.app->room(&c->s);
	if (!c->dying && (q->base < q->end || c->finish))
		mark_dirty(c);
}

/* A large range, by reference. */
static void give_more(struct spate_sock *k, struct spate_sock_conn *c)
{
	bool was_full = spate_sendq_full(&c->s.out);
	uint64_t before = c->s.out.base;
	enum spate_sock_gift r = spate_sock_gift_send(k, c, SPATE_SOCK_SEND_BYTES);

	if (r == SPATE_SOCK_GIFT_ERROR) {
		spate_sock_conn_kill(c, SPATE_CLOSE_RESET, false);
		return;
	}
	if (r == SPATE_SOCK_GIFT_FULL)
		spate_sock_gift_wait(k, c);
	if (c->s.out.base != before)
		sent_some(c, was_full);
	else if (r == SPATE_SOCK_GIFT_DRY)
		mark_dirty(c); /* and then the watch */
}

void spate_sock_conn_room(struct spate_sock_conn *c)
{
	c->sending = false;
	c->polling = false;
	c->ops--;
	if (!c->dying)
		mark_dirty(c); /* an error shows in the next send */
}

static bool no_scratch(const struct spate_sock *k)
{
	return k->msgs_used == SPATE_SOCK_SQ ||
	       k->iovs_used + SPATE_SOCK_SEND_IOVS > SPATE_SOCK_IOVS;
}

/* Sends what the queue holds now, in one operation; the next one follows its completion. */
static void send_more(struct spate_sock *k, struct spate_sock_conn *c)
{
	struct spate_sendq *q = &c->s.out;
	enum spate_sendq_stop stop;
	struct spate_object *dry;
	uint64_t dry_off;
	unsigned n;

	if (c->sending || c->dying || c->shut)
		return;
	if (q->base == q->end) {
		if (c->finish)
			send_fin(c);
		return;
	}
	if (no_scratch(k)) {
		spate_sock_submit(k);
		if (no_scratch(k)) { /* the kernel takes nothing now */
			mark_dirty(c);
			return;
		}
	}
	struct iovec *iov = k->iovs + k->iovs_used;
	uint64_t bytes = spate_sendq_iov(&k->w->sendq, q, q->base, SPATE_SOCK_SEND_BYTES, iov,
					 SPATE_SOCK_SEND_IOVS, &n, &stop, &dry, &dry_off);

	if (bytes == 0) {
		if (stop == SPATE_SENDQ_FAILED)
			spate_sock_conn_kill(c, SPATE_CLOSE_SHORT, true);
		else if (!spate_watch_add(&k->w->watch, &c->watch, dry, dry_off, undry))
			mark_dirty(c); /* bytes came just now */
		return;
	}
	if (bytes >= SPATE_SOCK_GIFT_BYTES && k->pipe[1] >= 0) {
		give_more(k, c);
		return;
	}
	struct io_uring_sqe *sqe = spate_sock_sqe(k);
	struct msghdr *m = &k->msgs[k->msgs_used++];

	/* spate_sock_sqe may have submitted and so reset the scratch; the iovecs are still as
	 * written. */
	*m = (struct msghdr){.msg_iov = iov, .msg_iovlen = n};
	k->iovs_used = (unsigned)(iov - k->iovs) + n;
	if (n == 1)
		io_uring_prep_send(sqe, c->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL);
	else
		io_uring_prep_sendmsg(sqe, c->fd, m, MSG_NOSIGNAL);
	spate_sock_tag(sqe, SPATE_SOCK_OP_SEND, c);
	c->sending = true;
	c->ops++;
}

void spate_sock_conn_sent(struct spate_sock_conn *c, int res)
{
	struct spate_sendq *q = &c->s.out;
	bool was_full = spate_sendq_full(q);

	c->sending = false;
	c->ops--;
	if (c->dying)
		return;
	if (res < 0) {
		if (res == -EINTR || res == -EAGAIN)
			mark_dirty(c);
		else
			spate_sock_conn_kill(c, SPATE_CLOSE_RESET, false);
		return;
	}
	spate_sendq_release(&c->s.worker->sendq, q, q->base + (uint64_t)res);
	sent_some(c, was_full);
}

void spate_sock_conn_run_dirty(struct spate_sock *k)
{
	/* send_more may mark a conn again (bytes came while it asked to be woken): that is the next
	 * round. */
	for (int round = 0; k->dirty != NULL && round < 2; round++) {
		struct spate_sock_conn *c = k->dirty;

		k->dirty = NULL;
		for (struct spate_sock_conn *next; c != NULL; c = next) {
			next = c->next_dirty;
			c->on_dirty = false;
			send_more(k, c);
		}
	}
}

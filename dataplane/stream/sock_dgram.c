/*
 * sock_dgram.c: datagrams over kernel sockets. One socket a listener and worker (SO_REUSEPORT).
 *
 *     poll (io_uring, one shot) ─► recvmmsg BATCH ─► app for each ─► sendmmsg BATCH ─┐
 *          ▲                          ▲                                              │
 *          └── less than BATCH came ──┴────────────── all of BATCH came ◄────────────┘
 *
 * So a busy socket costs two system calls for each BATCH datagrams and no poll at all, and an idle
 * one nothing. Why not a multishot receive of io_uring: docs/design/p2p-tracker.md.
 * A wildcard socket asks for, and sets, the address of each datagram (IP_PKTINFO): an answer must
 * come from where the question went.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>

#include "dataplane/stream/sock_impl.h"

#define BATCH     64u
#define TURNS     4u /* batches of one socket in a turn, before everybody else */
#define RCV_BYTES (4 << 20)

union control {
	struct cmsghdr h; /* aligns it */
	uint8_t b4[CMSG_SPACE(sizeof(struct in_pktinfo))];
	uint8_t b6[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* What a batch needs; shared by the sockets of a worker, as they take turns. */
struct spate_sock_batch {
	struct mmsghdr in[BATCH], out[BATCH];
	struct iovec in_iov[BATCH], out_iov[BATCH];
	struct sockaddr_in6 from[BATCH];
	union control in_control[BATCH], out_control[BATCH];
	unsigned at, nout; /* of the datagram that the app has now; answers so far */
	uint8_t question[BATCH][SPATE_DGRAM_IN_BYTES];
	uint8_t answer[BATCH][SPATE_DGRAM_BYTES];
};

static uint8_t *reply(struct spate_dgram *d)
{
	struct spate_sock *k = d->worker->backend;

	return k->batch->answer[k->batch->nout];
}

static void send_later(struct spate_dgram *d, size_t len)
{
	struct spate_sock *k = d->worker->backend;
	struct spate_sock_batch *b = k->batch;
	struct msghdr *in = &b->in[b->at].msg_hdr, *out = &b->out[b->nout].msg_hdr;

	b->out_iov[b->nout] = (struct iovec){b->answer[b->nout], len};
	*out = (struct msghdr){
		.msg_name = in->msg_name,
		.msg_namelen = in->msg_namelen,
		.msg_iov = &b->out_iov[b->nout],
		.msg_iovlen = 1,
	};
	/* What came with it says where to answer from; without it the socket has one address. */
	if (in->msg_controllen > 0) {
		out->msg_control = in->msg_control;
		out->msg_controllen = in->msg_controllen;
	}
	b->nout++;
}

static const struct spate_dgram_ops ops = {.reply = reply, .send = send_later};

static void addr_from(struct spate_addr *a, const struct sockaddr_in6 *ss)
{
	if (ss->sin6_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)ss;

		memset(a->ip, 0, 10);
		a->ip[10] = a->ip[11] = 0xff;
		memcpy(a->ip + 12, &in->sin_addr, 4);
		a->port = ntohs(in->sin_port);
		return;
	}
	memcpy(a->ip, &ss->sin6_addr, 16);
	a->port = ntohs(ss->sin6_port);
}

/*
 * Which of our addresses was asked. The message is left so that it may go back with the answer: the
 * kernel picks the interface by the route, and the source from what is there.
 */
static bool asked(struct msghdr *m, struct spate_addr *local)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);

	if (c == NULL || (m->msg_flags & MSG_CTRUNC))
		return false;
	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		struct in_pktinfo *p = (void *)CMSG_DATA(c);

		memcpy(local->ip + 12, &p->ipi_addr, 4);
		p->ipi_spec_dst = p->ipi_addr;
		p->ipi_ifindex = 0;
		return true;
	}
	if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		struct in6_pktinfo *p = (void *)CMSG_DATA(c);

		memcpy(local->ip, &p->ipi6_addr, 16);
		if (!IN6_IS_ADDR_LINKLOCAL(&p->ipi6_addr))
			p->ipi6_ifindex = 0;
		return true;
	}
	return false;
}

static void prepare(struct spate_sock_batch *b, bool wildcard)
{
	for (unsigned i = 0; i < BATCH; i++) {
		b->in_iov[i] = (struct iovec){b->question[i], SPATE_DGRAM_IN_BYTES};
		b->in[i].msg_hdr = (struct msghdr){
			.msg_name = &b->from[i],
			.msg_namelen = sizeof(b->from[i]),
			.msg_iov = &b->in_iov[i],
			.msg_iovlen = 1,
			.msg_control = wildcard ? &b->in_control[i] : NULL,
			.msg_controllen = wildcard ? sizeof(b->in_control[i]) : 0,
		};
	}
}

static void deliver(struct spate_sock *k, struct spate_sock_dgram *l, unsigned n)
{
	struct spate_sock_batch *b = k->batch;
	struct spate_dgram d = {.ops = &ops, .worker = k->w, .ctx = l->l.ctx, .local = l->l.addr};

	b->nout = 0;
	for (b->at = 0; b->at < n; b->at++) {
		struct msghdr *m = &b->in[b->at].msg_hdr;

		if ((m->msg_flags & MSG_TRUNC) || (l->wildcard && !asked(m, &d.local)))
			continue;
		addr_from(&d.peer, &b->from[b->at]);
		if (d.peer.port != 0)
			l->l.app->recv(&d, b->question[b->at], b->in[b->at].msg_len);
	}
}

/* What the kernel does not take now is lost, as it would be on the wire. */
static void answer(struct spate_sock *k, struct spate_sock_dgram *l)
{
	struct spate_sock_batch *b = k->batch;
	unsigned done = 0;

	while (done < b->nout) {
		int n = sendmmsg(l->fd, b->out + done, b->nout - done, MSG_DONTWAIT);

		if (n > 0) {
			done += (unsigned)n;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
			SPATE_COUNT_N(k->w->stats, dgram_dropped, b->nout - done);
			return;
		} else if (errno != EINTR) {
			SPATE_COUNT(k->w->stats, dgram_dropped); /* that one has no route, say */
			done++;
		}
	}
}

/* False: there may be more. */
static bool read_all(struct spate_sock *k, struct spate_sock_dgram *l)
{
	for (unsigned i = 0; i < TURNS; i++) {
		int n;

		prepare(k->batch, l->wildcard);
		n = recvmmsg(l->fd, k->batch->in, BATCH, MSG_DONTWAIT, NULL);
		if (n <= 0)
			return true; /* an ICMP error of an earlier answer comes this way too */
		SPATE_COUNT_N(k->w->stats, dgram_received, n);
		deliver(k, l, (unsigned)n);
		answer(k, l);
		if ((unsigned)n < BATCH)
			return true;
	}
	return false;
}

void spate_sock_dgram_ready(struct spate_sock_dgram *l)
{
	l->armed = false;
	l->ready = true;
}

void spate_sock_dgram_run(struct spate_sock *k)
{
	k->dgram_busy = false;
	for (unsigned i = 0; i < k->ndgrams; i++) {
		struct spate_sock_dgram *l = &k->dgrams[i];

		if (l->fd < 0)
			continue;
		if (l->ready)
			l->ready = !read_all(k, l);
		k->dgram_busy |= l->ready;
		if (!l->ready && !l->armed) {
			struct io_uring_sqe *sqe = spate_sock_sqe(k);

			io_uring_prep_poll_add(sqe, l->fd, POLLIN);
			spate_sock_tag(sqe, SPATE_SOCK_OP_DGRAM, l);
			l->armed = true;
		}
	}
}

static int open_one(struct spate_sock_dgram *l)
{
	struct sockaddr_storage ss;
	socklen_t len = spate_sock_addr(&ss, &l->l.addr);
	bool v6 = ss.ss_family == AF_INET6;
	int one = 1, bytes = RCV_BYTES, err;

	l->wildcard = spate_sock_wildcard(&ss);
	l->fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return -errno;
	/* As much as a burst may need; the kernel's limit may be lower, which is no error. */
	if (setsockopt(l->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(l->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (setsockopt(l->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(l->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (setsockopt(l->fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0 ||
	    (v6 && setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0) ||
	    (l->wildcard &&
	     setsockopt(l->fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO,
			&one, sizeof(one)) < 0) ||
	    bind(l->fd, (struct sockaddr *)&ss, len) < 0) {
		err = -errno;
		close(l->fd);
		l->fd = -1;
		return err;
	}
	return 0;
}

int spate_sock_dgram_open(struct spate_sock *k, const struct spate_dgram_listener *listeners,
			  unsigned n, uint16_t *port)
{
	int err;

	if (n == 0)
		return 0;
	k->batch = calloc(1, sizeof(*k->batch));
	k->dgrams = aligned_alloc(64, n * sizeof(*k->dgrams));
	if (k->batch == NULL || k->dgrams == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		k->dgrams[i] = (struct spate_sock_dgram){.l = listeners[i], .fd = -1};
		k->ndgrams = i + 1;
		*port = listeners[i].addr.port;
		err = open_one(&k->dgrams[i]);
		if (err < 0)
			return err;
	}
	return 0;
}

void spate_sock_dgram_close(struct spate_sock *k)
{
	for (unsigned i = 0; i < k->ndgrams; i++)
		if (k->dgrams[i].fd >= 0)
			close(k->dgrams[i].fd);
	free(k->dgrams);
	free(k->batch);
	k->dgrams = NULL;
	k->batch = NULL;
	k->ndgrams = 0;
}

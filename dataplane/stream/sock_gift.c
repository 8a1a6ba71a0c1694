/*
 * sock_gift.c: sending large ranges of the cache without copying them.
 *
 *     head bytes ── send(MSG_MORE) ──► socket                      copied: few, their memory is
 * reused arena pages ── vmsplice ──► pipe ── splice ──► socket        by reference
 *
 * The kernel does not tell when the last packet lets go of a page, so an object that was sent this
 * way is marked (spate_sendq_gift), and its pages are dropped, not rewritten, when it leaves the
 * cache.
 *
 * One pipe a worker is enough: what the socket does not take is thrown away from the pipe again and
 * offered anew when there is room; that costs page references, no bytes. The calls do not block;
 * when the socket is full the ring waits for POLLOUT.
 *
 * docs/design/sockets.md has what this and its alternatives cost.
 */
#include "dataplane/stream/sock_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIPE_BYTES (1 << 20) /* what an ordinary user may have */
#define STEP_BYTES (256u << 10)
#define STEP_IOVS  32u

int spate_sock_gift_open(struct spate_sock *k)
{
	struct spate_arena_info arena;

	k->pipe[0] = k->pipe[1] = k->sink = -1;
	spate_cache_arena(k->w->cache, &arena);
	if (!arena.giftable)
		return 0;
	k->arena = arena.base;
	k->arena_end = k->arena + arena.bytes;
	k->sink = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (k->sink < 0 || pipe2(k->pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
		int err = -errno;

		spate_sock_gift_close(k);
		return err;
	}
	fcntl(k->pipe[1], F_SETPIPE_SZ, PIPE_BYTES); /* a refusal only makes the steps smaller */
	return 0;
}

void spate_sock_gift_close(struct spate_sock *k)
{
	int fds[] = {k->pipe[0], k->pipe[1], k->sink};

	for (unsigned i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	k->pipe[0] = k->pipe[1] = k->sink = -1;
}

static bool in_arena(const struct spate_sock *k, const struct iovec *iov)
{
	return (uint8_t *)iov->iov_base >= k->arena && (uint8_t *)iov->iov_base < k->arena_end;
}

/* Bytes the socket took, 0: it is full, or negative errno. Leaves the pipe empty. */
static ssize_t give_pages(struct spate_sock *k, int fd, const struct iovec *iov, unsigned n,
			  bool more)
{
	ssize_t piped = vmsplice(k->pipe[1], iov, n, SPLICE_F_NONBLOCK), sent = 0;

	if (piped <= 0)
		return piped < 0 ? -errno : -EIO;
	while (sent < piped) {
		ssize_t got = splice(k->pipe[0], NULL, fd, NULL, (size_t)(piped - sent),
				     SPLICE_F_NONBLOCK | (more ? SPLICE_F_MORE : 0));

		if (got > 0) {
			sent += got;
			continue;
		}
		int err = got < 0 ? -errno : -EPIPE;

		for (ssize_t left = piped - sent; left > 0; left -= got) {
			got = splice(k->pipe[0], NULL, k->sink, NULL, (size_t)left, 0);
			if (got <= 0)
				return -EIO; /* cannot be: the pipe holds them */
		}
		return sent > 0 || err == -EAGAIN ? sent : err;
	}
	return sent;
}

/* One step from the head of the queue: its head bytes, or a run of pages. As give_pages. */
static ssize_t step(struct spate_sock *k, struct spate_sock_conn *c, uint64_t budget,
		    uint64_t *offered)
{
	struct spate_sendq *q = &c->s.out;
	enum spate_sendq_stop stop;
	struct spate_object *dry;
	struct iovec iov[STEP_IOVS];
	uint64_t dry_off, bytes, pages = 0;
	unsigned n, lead = 0;

	bytes = spate_sendq_iov(&k->w->sendq, q, q->base, budget < STEP_BYTES ? budget : STEP_BYTES,
				iov, STEP_IOVS, &n, &stop, &dry, &dry_off);
	*offered = bytes;
	if (bytes == 0)
		return 0;
	while (lead < n && !in_arena(k, &iov[lead]))
		lead++;
	if (lead > 0) {
		struct msghdr m = {.msg_iov = iov, .msg_iovlen = lead};
		/* Not where the object behind is dry: what is held back by MSG_MORE would wait for
		 * a timer. */
		bool more = lead < n || (stop == SPATE_SENDQ_ENOUGH && q->base + bytes < q->end);
		ssize_t sent =
			sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0));

		*offered = 0;
		for (unsigned i = 0; i < lead; i++)
			*offered += iov[i].iov_len;
		return sent >= 0 ? sent : errno == EAGAIN ? 0 : -errno;
	}
	for (n = lead; n < STEP_IOVS && pages < bytes && in_arena(k, &iov[n]); n++)
		pages += iov[n].iov_len;
	*offered = pages;
	spate_sendq_gift(q, q->base, pages);
	return give_pages(k, c->fd, iov, n, q->base + pages < q->end && stop == SPATE_SENDQ_ENOUGH);
}

static enum spate_sock_gift send_steps(struct spate_sock *k, struct spate_sock_conn *c,
				       uint64_t budget)
{
	struct spate_sendq *q = &c->s.out;

	while (budget > 0 && q->base < q->end) {
		uint64_t offered;
		ssize_t sent = step(k, c, budget, &offered);

		if (offered == 0)
			return SPATE_SOCK_GIFT_DRY;
		if (sent < 0)
			return SPATE_SOCK_GIFT_ERROR;
		spate_sendq_release(&k->w->sendq, q, q->base + (uint64_t)sent);
		if ((uint64_t)sent < offered)
			return SPATE_SOCK_GIFT_FULL;
		budget -= (uint64_t)sent < budget ? (uint64_t)sent : budget;
	}
	return SPATE_SOCK_GIFT_MORE;
}

/*
 * splice into a socket looks at O_NONBLOCK of the file, not at SPLICE_F_NONBLOCK. The ring's
 * operations want a blocking file (they would end with EAGAIN instead of waiting), so the flag is
 * set only for this long; nothing else of the ring runs meanwhile, as completions are worked off by
 * this thread.
 */
enum spate_sock_gift spate_sock_gift_send(struct spate_sock *k, struct spate_sock_conn *c,
					  uint64_t budget)
{
	enum spate_sock_gift r;

	if (fcntl(c->fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return SPATE_SOCK_GIFT_ERROR;
	r = send_steps(k, c, budget);
	if (fcntl(c->fd, F_SETFL, O_RDWR) < 0)
		return SPATE_SOCK_GIFT_ERROR;
	return r;
}

void spate_sock_gift_wait(struct spate_sock *k, struct spate_sock_conn *c)
{
	struct io_uring_sqe *sqe = spate_sock_sqe(k);

	io_uring_prep_poll_add(sqe, c->fd, POLLOUT);
	spate_sock_tag(sqe, SPATE_SOCK_OP_ROOM, c);
	c->sending = true;
	c->polling = true;
	c->ops++;
}

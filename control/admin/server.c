/* server.c: see server.h. */
#include "control/admin/server.h"

#include <errno.h>
#include <liburing.h> /* IORING_CQE_F_MORE */
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/http/status.h"

#define HEAD_MS   5000  /* first byte of a head to its last */
#define IDLE_MS   75000 /* between requests: longer than a scraper's interval */
#define WRITE_MS  10000
#define LINGER_MS 1000
#define RETRY_MS  200 /* accept failed: no descriptors */

enum conn_state { READ, WRITE, LINGER, DEAD };

struct conn {
	struct spate_server *srv;
	struct conn *next, **prev;
	struct spate_op op;
	struct spate_timer timer;
	int fd;
	enum conn_state state;
	bool close_after;
	uint64_t since_us; /* READ: since when */
	struct spate_http_request req;
	uint32_t have; /* bytes in in[] */
	uint32_t used; /* of them, the request being answered */
	char *body;
	char head[512];
	struct iovec iov[2];
	struct msghdr msg;
	uint8_t in[SPATE_REQUEST_HEAD_MAX +
		   1]; /* one more, so that a head too large is seen as such */
};

struct spate_server {
	struct spate_loop *loop;
	spate_server_answer *answer;
	void *ctx;
	struct conn *conns;
	unsigned count, max;
	struct spate_op accept_op;
	struct spate_timer retry;
	int fd;
	uint16_t port;
	bool closing;
};

#define OWNER(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

static void read_more(struct conn *c);
static void parse(struct conn *c);

/* --- the end of a connection --- */

static void on_end(struct spate_op *op, int res, unsigned flags)
{
	struct conn *c = OWNER(op, struct conn, op);

	spate_loop_timer_stop(c->srv->loop, &c->timer);
	spate_loop_close(c->srv->loop, c->fd);
	*c->prev = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	c->srv->count--;
	free(c->body);
	free(c);
}

/* From any state; the memory goes when the op in flight has ended. */
static void end(struct conn *c)
{
	if (c->state == DEAD)
		return;
	c->state = DEAD;
	if (c->op.busy)
		spate_loop_cancel(c->srv->loop, &c->op); /* its fn sees DEAD */
	else
		spate_loop_defer(c->srv->loop, &c->op, 0, on_end);
}

static void on_timeout(struct spate_timer *t)
{
	end(OWNER(t, struct conn, timer));
}

static void limit(struct conn *c, uint32_t ms)
{
	spate_loop_timer(c->srv->loop, &c->timer, ms, on_timeout);
}

static void on_linger(struct spate_op *op, int res, unsigned flags)
{
	struct conn *c = OWNER(op, struct conn, op);

	if (c->state == DEAD || res <= 0)
		on_end(op, res, flags);
	else
		spate_loop_recv(c->srv->loop, op, c->fd, c->in, sizeof(c->in), on_linger);
}

/* FIN first and the close later: a close with bytes unread would reset what the client has not read
 * yet. */
static void linger(struct conn *c)
{
	c->state = LINGER;
	shutdown(c->fd, SHUT_WR);
	limit(c, LINGER_MS);
	spate_loop_recv(c->srv->loop, &c->op, c->fd, c->in, sizeof(c->in), on_linger);
}

/* --- the response --- */

void spate_response_text(struct spate_response *out, unsigned status, const char *type,
			 const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&out->body, fmt, ap);
	va_end(ap);
	out->status = n < 0 ? 500 : status;
	out->type = type;
	out->len = n < 0 ? 0 : (size_t)n;
	if (n < 0)
		out->body = NULL;
}

static void on_sent(struct spate_op *op, int res, unsigned flags)
{
	struct conn *c = OWNER(op, struct conn, op);
	size_t left = c->iov[0].iov_len + c->iov[1].iov_len;

	if (c->state == DEAD || res < 0 ||
	    (size_t)res < left) { /* MSG_WAITALL: short means broken */
		on_end(op, res, flags);
		return;
	}
	free(c->body);
	c->body = NULL;
	if (c->close_after || c->srv->closing) {
		linger(c);
		return;
	}
	memmove(c->in, c->in + c->used, c->have - c->used);
	c->have -= c->used;
	c->state = READ;
	c->since_us = spate_loop_now_us(c->srv->loop);
	spate_http_request_init(&c->req);
	limit(c, c->have > 0 ? HEAD_MS : IDLE_MS);
	if (c->have > 0)
		parse(c);
	else
		read_more(c);
}

static void respond(struct conn *c, struct spate_response *r, bool head_only)
{
	struct spate_slice reason = spate_http_reason(r->status);
	int n = snprintf(
		c->head, sizeof(c->head),
		"HTTP/1.1 %u %.*s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
		"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%s%s%s%s\r\n",
		r->status, (int)reason.len, reason.p, r->type != NULL ? r->type : "text/plain",
		r->len, r->allow != NULL ? "Allow: " : "", r->allow != NULL ? r->allow : "",
		r->allow != NULL ? "\r\n" : "", c->close_after ? "Connection: close\r\n" : "");

	c->body = r->body;
	c->iov[0] = (struct iovec){c->head, (size_t)n};
	c->iov[1] = (struct iovec){r->body, head_only ? 0 : r->len};
	c->msg = (struct msghdr){.msg_iov = c->iov, .msg_iovlen = 2};
	c->state = WRITE;
	limit(c, WRITE_MS);
	spate_loop_sendmsg(c->srv->loop, &c->op, c->fd, &c->msg, on_sent);
}

/* --- the request --- */

static void refuse(struct conn *c, unsigned status)
{
	struct spate_response r = {0};
	struct spate_slice reason = spate_http_reason(status);

	c->close_after = true;
	spate_response_text(&r, status, "text/plain", "%.*s\n", (int)reason.len, reason.p);
	respond(c, &r, false);
}

static void parse(struct conn *c)
{
	struct spate_response r = {0};
	enum spate_request_verdict v = spate_http_request_parse(c->in, c->have, &c->req);

	if (v == SPATE_REQUEST_NEED_MORE) {
		read_more(c);
		return;
	}
	if (v != SPATE_REQUEST_OK) {
		refuse(c, spate_http_request_status(v));
		return;
	}
	if (spate_http_request_has_body(&c->req)) { /* nothing here takes one */
		refuse(c, 413);
		return;
	}
	c->used = c->req.head_len;
	c->close_after = !c->req.keep_alive;
	c->srv->answer(c->srv->ctx, &c->req, &r);
	respond(c, &r, c->req.method == SPATE_HTTP_HEAD);
}

static void on_read(struct spate_op *op, int res, unsigned flags)
{
	struct conn *c = OWNER(op, struct conn, op);

	if (c->state == DEAD || res <= 0) {
		on_end(op, res, flags);
		return;
	}
	if (c->have == 0)
		limit(c, HEAD_MS);
	c->have += (uint32_t)res;
	parse(c);
}

static void read_more(struct conn *c)
{
	spate_loop_recv(c->srv->loop, &c->op, c->fd, c->in + c->have, sizeof(c->in) - c->have,
			on_read);
}

/* --- accepting --- */

static void on_accept(struct spate_op *op, int res, unsigned flags);

static void on_retry(struct spate_timer *t)
{
	struct spate_server *srv = OWNER(t, struct spate_server, retry);

	spate_loop_accept(srv->loop, &srv->accept_op, srv->fd, on_accept);
}

/* The connection that has waited longest for its client, so that idle clients never shut out a
 * health check. */
static struct conn *oldest_reader(struct spate_server *srv)
{
	struct conn *oldest = NULL;

	for (struct conn *c = srv->conns; c != NULL; c = c->next) /* the newest first */
		if (c->state == READ && (oldest == NULL || c->since_us <= oldest->since_us))
			oldest = c;
	return oldest;
}

static bool may_start(struct spate_server *srv)
{
	struct conn *victim;

	if (srv->closing || srv->count >= 2 * srv->max)
		return false;
	if (srv->count < srv->max)
		return true;
	victim = oldest_reader(srv);
	if (victim != NULL)
		end(victim);
	return victim != NULL;
}

static void start(struct spate_server *srv, int fd)
{
	struct conn *c = may_start(srv) ? calloc(1, sizeof(*c)) : NULL;

	if (c == NULL) {
		close(fd);
		return;
	}
	c->srv = srv;
	c->fd = fd;
	c->next = srv->conns;
	c->prev = &srv->conns;
	if (c->next != NULL)
		c->next->prev = &c->next;
	srv->conns = c;
	srv->count++;
	c->since_us = spate_loop_now_us(srv->loop);
	spate_http_request_init(&c->req);
	limit(c, HEAD_MS);
	read_more(c);
}

static void on_accept(struct spate_op *op, int res, unsigned flags)
{
	struct spate_server *srv = OWNER(op, struct spate_server, accept_op);

	if (res >= 0)
		start(srv, res);
	if (!(flags & IORING_CQE_F_MORE) && !srv->closing)
		spate_loop_timer(srv->loop, &srv->retry, res >= 0 ? 0 : RETRY_MS, on_retry);
}

static int listen_on(const struct sockaddr *addr, socklen_t len, uint16_t *port)
{
	struct sockaddr_in6 got = {0}; /* both families have the port in the same place */
	socklen_t got_len = sizeof(got);
	int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1, err;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (addr->sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, addr, len) < 0 || listen(fd, 64) < 0 ||
	    getsockname(fd, (struct sockaddr *)&got, &got_len) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	*port = ntohs(got.sin6_port);
	return fd;
}

int spate_server_open(struct spate_server **out, struct spate_loop *loop,
		      const struct sockaddr *addr, socklen_t addr_len, unsigned max,
		      spate_server_answer *answer, void *ctx)
{
	struct spate_server *srv = calloc(1, sizeof(*srv));
	int err;

	if (srv == NULL)
		return -ENOMEM;
	srv->loop = loop;
	srv->max = max;
	srv->answer = answer;
	srv->ctx = ctx;
	srv->fd = listen_on(addr, addr_len, &srv->port);
	if (srv->fd < 0) {
		err = srv->fd;
		free(srv);
		return err;
	}
	spate_loop_accept(loop, &srv->accept_op, srv->fd, on_accept);
	*out = srv;
	return 0;
}

uint16_t spate_server_port(const struct spate_server *srv)
{
	return srv->port;
}

void spate_server_close(struct spate_server *srv)
{
	struct conn *next;

	srv->closing = true;
	spate_loop_timer_stop(srv->loop, &srv->retry);
	spate_loop_cancel(srv->loop, &srv->accept_op);
	for (struct conn *c = srv->conns; c != NULL; c = next) {
		next = c->next;
		end(c);
	}
	for (int turns = 0; (srv->accept_op.busy || srv->conns != NULL) && turns < 200; turns++)
		spate_loop_turn(srv->loop, 10000);
	close(srv->fd);
	if (!srv->accept_op.busy && srv->conns == NULL)
		free(srv);
}

/* fetch.c: ask, collect, and once more when it was not there yet. */
#include "bench/load/fetch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load/net.h"
#include "bench/load/options.h"
#include "bench/load/response.h"

#define BYTES_MAX (64u << 20)
#define REST_NS   100000000u
#define ONCE_NS   5000000000u /* one attempt, at most */
#define TURN_NS   5000000u

struct fetch {
	struct load_response r;
	uint8_t *p;
	size_t len, cap;
	bool closed, full;
};

static void body(void *ctx, const uint8_t *p, size_t n)
{
	struct fetch *f = ctx;

	if (f->len + n > f->cap) {
		size_t cap = (f->len + n) * 2;
		uint8_t *more = cap <= BYTES_MAX ? realloc(f->p, cap) : NULL;

		f->full |= more == NULL;
		if (more == NULL)
			return;
		f->p = more;
		f->cap = cap;
	}
	memcpy(f->p + f->len, p, n);
	f->len += n;
}

static size_t fetch_recv(struct spate_stream *s, const uint8_t *p, size_t n)
{
	struct fetch *f = s->ctx;

	if (f->r.state != LOAD_RESPONSE_DONE)
		load_response_feed(&f->r, p, n, body, f);
	return n;
}

static void fetch_eof(struct spate_stream *s)
{
	struct fetch *f = s->ctx;

	load_response_eof(&f->r);
	spate_stream_finish(s);
}

static void fetch_closed(struct spate_stream *s, enum spate_close_why why)
{
	(void)why;
	((struct fetch *)s->ctx)->closed = true;
}

static void nothing(struct spate_stream *s)
{
	(void)s;
}

static const struct spate_stream_app fetch_app = {
	.name = "fetch",
	.recv = fetch_recv,
	.eof = fetch_eof,
	.room = nothing,
	.drained = nothing,
	.timeout = nothing,
	.drain = nothing,
	.closed = fetch_closed,
};

static void turns(struct load_net *net, const bool *until, uint64_t ns)
{
	for (uint64_t end = net->now_ns + ns; net->now_ns < end && !(until != NULL && *until);)
		net->ops->turn(net, TURN_NS);
}

/* The status, or 0: no whole answer came. */
static int once(struct load_net *net, const struct spate_addr *to, const char *ask, struct fetch *f)
{
	struct spate_stream *s = net->ops->connect(net, to, &fetch_app, f);

	f->len = 0;
	f->closed = f->full = false;
	load_response_begin(&f->r, false);
	if (s == NULL)
		return 0;
	if (spate_sendq_bytes(&net->env, &s->out, ask, strlen(ask)) == 0)
		spate_stream_kick(s);
	turns(net, &f->closed, ONCE_NS); /* the answer says Connection: close, as we did */
	if (!f->closed) {
		spate_stream_abort(s);
		while (!f->closed) /* it has us as its ctx */
			net->ops->turn(net, TURN_NS);
	}
	return f->r.state == LOAD_RESPONSE_DONE && !f->full ? f->r.status : 0;
}

int load_fetch(struct load_net *net, const char *url, double seconds, uint8_t **out, size_t *len,
	       char *why, size_t why_len)
{
	const char *host = url + strlen("http://"), *path = strchr(host, '/');
	uint64_t end = net->now_ns + (uint64_t)(seconds * 1e9);
	struct fetch f = {0};
	struct spate_addr to;
	char at[64], ask[1024];
	int status;

	if (path == NULL || (size_t)(path - host) >= sizeof(at)) {
		snprintf(why, why_len, "%s: want http://ADDRESS[:PORT]/PATH", url);
		return -EINVAL;
	}
	memcpy(at, host, (size_t)(path - host));
	at[path - host] = '\0';
	if (!load_address(at, 80, &to) ||
	    (size_t)snprintf(ask, sizeof(ask),
			     "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path,
			     at) >= sizeof(ask)) {
		snprintf(why, why_len, "%s: want http://ADDRESS[:PORT]/PATH", url);
		return -EINVAL;
	}
	while ((status = once(net, &to, ask, &f)) != 200 && (status == 0 || status == 503) &&
	       net->now_ns < end)
		turns(net, NULL, REST_NS);
	load_response_finish(&f.r);
	if (status == 200) {
		*out = f.p;
		*len = f.len;
		return 0;
	}
	free(f.p);
	if (status == 0)
		snprintf(why, why_len, "%s: no answer", url);
	else
		snprintf(why, why_len, "%s: status %d", url, status);
	return -ENOENT;
}

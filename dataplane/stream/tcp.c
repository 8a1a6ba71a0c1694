/*
 * tcp.c: stream.h over our TCP. Nothing here but translation: what the engine says becomes the
 * app's calls, what the app says marks the connection.
 */
#include "dataplane/stream/tcp.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct stream {
	struct spate_stream
		s; /* first: a stream pointer is a pointer to the engine's user memory */
	struct spate_watch watch; /* the send queue ran dry */
	struct spate_stream_tcp *k;
	struct stream *next, **prev;
	bool was_full;  /* the app has been stopped by a full queue: room() is owed */
	bool timed_out; /* timeout() is owed, unless the app sets its timer anew */
};

struct listener {
	struct spate_listener l;
	struct spate_stream_tcp *k;
	struct spate_tcp_listener *engine;
};

struct spate_stream_tcp {
	struct spate_worker *w;
	struct spate_tcp *t;
	struct stream *all;
	struct listener *listeners;
	unsigned nlisteners;
	uint32_t most; /* connections that the engine was made for */
	bool stopping;
	const struct spate_stream_app *app; /* of the stream accepted last */
};

static struct spate_tcp_conn *conn_of(struct spate_stream *s)
{
	return spate_tcp_of_user(s);
}

static struct stream *stream_of(struct spate_tcp_conn *c)
{
	return spate_tcp_user_of(c);
}

/* --- what the app calls --- */

static void op_kick(struct spate_stream *s)
{
	if (spate_sendq_full(&s->out))
		((struct stream *)s)->was_full = true;
	spate_tcp_kick(conn_of(s));
}

static void op_resume(struct spate_stream *s)
{
	spate_tcp_resume(conn_of(s));
}

static void op_finish(struct spate_stream *s)
{
	spate_tcp_finish(conn_of(s));
}

static void op_abort(struct spate_stream *s)
{
	spate_tcp_abort(conn_of(s));
}

static void op_timer(struct spate_stream *s, uint32_t ms)
{
	((struct stream *)s)->timed_out = false;
	spate_tcp_timer(conn_of(s), ms);
}

static const struct spate_stream_ops stream_ops = {
	.name = "tcp",
	.kick = op_kick,
	.resume = op_resume,
	.finish = op_finish,
	.abort = op_abort,
	.timer = op_timer,
};

/* --- what the engine says --- */

static bool on_accepted(struct spate_tcp_conn *c, void *ctx)
{
	struct listener *l = ctx;
	struct spate_stream_tcp *k = l->k;
	struct spate_worker *w = k->w;
	struct stream *s = stream_of(c);

	if (w->open_conns >= w->config->max_connections || w->open_conns >= l->k->most) {
		SPATE_COUNT(w->stats, conn_refused);
		return false;
	}
	s->s.ops = &stream_ops;
	s->s.worker = w;
	s->k = k;
	spate_tcp_addrs(c, &s->s.local, &s->s.peer);
	spate_sendq_init(&s->s.out);
	spate_tcp_attach(c, &s->s.out);
	if (!l->l.accept(&s->s, l->l.ctx)) {
		SPATE_COUNT(w->stats, conn_refused);
		return false;
	}
	k->app = s->s.app;
	s->next = k->all;
	if (k->all != NULL)
		k->all->prev = &s->next;
	s->prev = &k->all;
	k->all = s;
	w->open_conns++;
	SPATE_COUNT(w->stats, conn_accepted);
	SPATE_COUNT(w->stats, conn_open);
	return true;
}

static size_t on_data(struct spate_tcp_conn *c, const uint8_t *p, size_t n)
{
	struct spate_stream *s = &stream_of(c)->s;

	return s->app->recv(s, p, n);
}

/* A stream that is not accepted yet has no app: as good a guess as any is that of the last one. */
static void on_ahead(const struct spate_tcp_ahead *a, unsigned n)
{
	struct spate_stream_ahead to[SPATE_STREAM_AHEAD];
	struct stream *first = stream_of(a[0].c);
	struct spate_stream_tcp *k =
		a[0].listener != NULL ? ((struct listener *)a[0].listener)->k : first->k;
	const struct spate_stream_app *app = k->app;
	unsigned m = 0;

	static_assert(SPATE_TCP_BURST <= SPATE_STREAM_AHEAD, "a burst fits");
	if (app == NULL || app->ahead == NULL)
		return;
	for (unsigned i = 0; i < n; i++) {
		struct stream *s = stream_of(a[i].c);

		if (a[i].listener != NULL)
			s->s.worker = k->w;
		else if (s->s.app != app)
			continue;
		to[m++] = (struct spate_stream_ahead){&s->s, a[i].data, a[i].len};
	}
	if (m != 0)
		app->ahead(to, m);
}

static void undry(struct spate_watch *w)
{
	spate_tcp_kick(conn_of(
		(struct spate_stream *)(void *)((char *)w - offsetof(struct stream, watch))));
}

static void watch_dry(struct spate_tcp_conn *c, struct stream *s)
{
	uint64_t off;
	struct spate_object *o = spate_tcp_dry(c, &off);

	/* NULL, or no watch set: bytes have come, or the fill has failed, meanwhile. */
	if (o == NULL || !spate_watch_add(&s->s.worker->watch, &s->watch, o, off, undry))
		spate_tcp_kick(c);
}

static void on_event(struct spate_tcp_conn *c, unsigned what)
{
	struct stream *s = stream_of(c);
	const struct spate_stream_app *app = s->s.app;

	s->timed_out = what & SPATE_TCP_EV_TIMER;
	if ((what & SPATE_TCP_EV_DRAINED) && s->s.out.base == s->s.out.end) {
		s->was_full = false;
		app->drained(&s->s);
	} else if ((what & SPATE_TCP_EV_ACKED) && s->was_full && !spate_sendq_full(&s->s.out)) {
		s->was_full = false;
		app->room(&s->s);
	}
	/* Each call may change the app (a protocol switch), or abort: the engine drops what follows
	 * then. */
	if ((what & SPATE_TCP_EV_EOF) && !spate_tcp_closed(c))
		s->s.app->eof(&s->s);
	if (s->timed_out && !spate_tcp_closed(c))
		s->s.app->timeout(&s->s);
	if ((what & SPATE_TCP_EV_DRY) && !spate_tcp_closed(c))
		watch_dry(c, s);
}

static enum spate_close_why why_of(const struct spate_stream_tcp *k, enum spate_tcp_close_why why)
{
	if (k->stopping)
		return SPATE_CLOSE_STOP;
	switch (why) {
	case SPATE_TCP_DONE:
		return SPATE_CLOSE_DONE;
	case SPATE_TCP_ABORTED:
		return SPATE_CLOSE_ABORTED;
	case SPATE_TCP_SHORT:
		return SPATE_CLOSE_SHORT;
	case SPATE_TCP_STOPPED:
		return SPATE_CLOSE_STOP;
	default:
		return SPATE_CLOSE_RESET;
	}
}

static void on_closed(struct spate_tcp_conn *c, enum spate_tcp_close_why tcp_why)
{
	struct stream *s = stream_of(c);
	struct spate_worker *w = s->s.worker;
	enum spate_close_why why = why_of(s->k, tcp_why);

	spate_watch_del(&s->watch);
	if (why == SPATE_CLOSE_RESET || why == SPATE_CLOSE_SHORT)
		SPATE_COUNT(w->stats, conn_reset);
	s->s.app->closed(&s->s, why);
	spate_sendq_clear(&w->sendq, &s->s.out);
	*s->prev = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	w->open_conns--;
	SPATE_COUNT_N(w->stats, conn_open, -1);
}

static const struct spate_tcp_user tcp_user = {
	.accepted = on_accepted,
	.data = on_data,
	.event = on_event,
	.closed = on_closed,
	.ahead = on_ahead,
};

/* --- open and end --- */

uint32_t spate_stream_tcp_bytes(void)
{
	return sizeof(struct stream);
}

static void unlisten(struct spate_stream_tcp *k)
{
	for (unsigned i = 0; i < k->nlisteners; i++)
		spate_tcp_unlisten(k->t, k->listeners[i].engine);
	k->nlisteners = 0;
}

int spate_stream_tcp_open(struct spate_worker *w, struct spate_tcp *t,
			  const struct spate_listener *l, unsigned n, struct spate_stream_tcp **out,
			  const char **why)
{
	struct spate_stream_tcp *k = calloc(1, sizeof(*k));
	int err = -ENOMEM;

	*why = "out of memory";
	if (k == NULL)
		return err;
	k->w = w;
	k->t = t;
	k->most = w->config->max_connections;
	k->listeners = calloc(n != 0 ? n : 1, sizeof(*k->listeners));
	if (k->listeners == NULL)
		goto fail;
	for (unsigned i = 0; i < n; i++) {
		struct listener *to = &k->listeners[i];

		to->l = l[i];
		to->k = k;
		err = spate_tcp_listen(t, &l[i].addr, &tcp_user, to, &to->engine);
		if (err < 0) {
			*why = "two listeners on one address and port";
			goto fail;
		}
		k->nlisteners++;
	}
	*out = k;
	return 0;
fail:
	unlisten(k);
	free(k->listeners);
	free(k);
	return err;
}

void spate_stream_tcp_drain(struct spate_stream_tcp *k)
{
	unlisten(k);
	/* A stream only leaves the list in flush, so the next one stays valid. */
	for (struct stream *s = k->all; s != NULL; s = s->next)
		s->s.app->drain(&s->s);
}

void spate_stream_tcp_close(struct spate_stream_tcp *k)
{
	k->stopping = true;
	unlisten(k);
	for (struct stream *s = k->all; s != NULL; s = s->next)
		spate_tcp_abort(conn_of(&s->s));
	spate_tcp_ending(k->t);
	spate_tcp_flush(k->t);
	spate_tcp_flush(k->t); /* those that had segments out end one turn later */
	free(k->listeners);
	free(k);
}

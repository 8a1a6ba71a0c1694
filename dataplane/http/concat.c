/*
 * concat.c: the web seed's single file (BEP 19): a representation end to end, though no object
 * holds it. The body is a span of the torrent, queued part by part as there is room; parts that are
 * not cached are fetched one at a time, and sent while they arrive.
 *
 * The head is sent when the first part is known to be there; else the answer is a 503. From then on
 * the length is promised, so what cannot be had, or is not what was hashed, ends the connection:
 * the client comes again, and asks somebody else for that range.
 */
#include "dataplane/http/conn_impl.h"

static void fail(struct spate_http_conn *c)
{
	if (c->closing)
		return;
	if (c->pumping->unanswered) {
		spate_http_concat_known(c, 503);
		return;
	}
	SPATE_COUNT(c->s->worker->stats, http_aborted);
	c->closing = true;
	spate_stream_abort(c->s);
}

/* As much of the part at x->off as is wanted. False: no memory. */
static bool put_part(struct spate_http_conn *c, struct spate_http_exchange *x, uint32_t part,
		     struct spate_object *o)
{
	const struct spate_torrent_part *p = &x->torrent->parts[part];
	uint64_t in = x->off - p->start, n = p->len - in;

	if (n > x->stop - x->off)
		n = x->stop - x->off;
	if (!spate_span_queue(c->s, x->torrent, part, o, in, n))
		return false;
	SPATE_COUNT_N(c->s->worker->stats, http_body_bytes, n);
	atomic_fetch_add_explicit(&x->torrent->file_bytes, n, memory_order_relaxed);
	x->off += n;
	return true;
}

/* o may not be in the index any more, but is pinned for this call. */
static void arrived(void *owner, uint32_t part, enum spate_span_verdict v, struct spate_object *o)
{
	struct spate_http_exchange *x = owner;
	struct spate_http_conn *c = x->conn;

	x->wait = NULL;
	if (c->closing)
		return;
	if (v == SPATE_SPAN_OK && x->unanswered)
		spate_http_concat_known(c, 0);
	else if (v != SPATE_SPAN_OK || !put_part(c, x, part, o))
		fail(c);
	else
		spate_http_concat(c);
}

void spate_http_concat(struct spate_http_conn *c)
{
	struct spate_http_exchange *x = c->pumping;
	struct spate_worker *w = c->s->worker;
	struct spate_object *o;

	while (x->off < x->stop && x->wait == NULL && !spate_sendq_full(&c->s->out)) {
		uint32_t part = spate_torrent_part_at(x->torrent, x->off);

		switch (spate_span_part(w, x->torrent, part, &o)) {
		case SPATE_SPAN_OK:
			if (x->unanswered) { /* control was quicker than our question */
				spate_http_concat_known(c, 0);
				return;
			}
			if (!put_part(c, x, part, o)) {
				fail(c);
				return;
			}
			break;
		case SPATE_SPAN_WAIT:
			x->wait = spate_span_wait(w, x->torrent, part, 0, arrived, x);
			if (x->wait == NULL) {
				fail(c);
				return;
			}
			break;
		case SPATE_SPAN_CHANGED:
		case SPATE_SPAN_FAILED:
			fail(c);
			return;
		}
	}
	spate_stream_kick(c->s);
	if (x->off < x->stop)
		return;
	spate_http_answered(c, spate_http_pump_let_go(c), !c->close_after);
	if (c->paused && !c->closing)
		spate_stream_resume(c->s);
}

void spate_http_concat_drop(struct spate_http_exchange *x)
{
	if (x->wait != NULL)
		spate_span_forget(x->wait);
	x->wait = NULL;
	spate_torrent_unref(x->torrent);
	x->torrent = NULL;
}

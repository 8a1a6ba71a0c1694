/*
 * ahead.c: the requests of a burst, before their turn. A hit reads index, object and meta, each
 * found through the one before: three trips to memory, one after the other, and all of it for one
 * request. Here the burst goes through them together, so that the trips of up to 32 requests
 * overlap:
 *
 *     connections ──► parse, hash ──► index ──► objects ──► heads      then recv() for each
 *          └ fetch ─────┘  └ fetch ─────┘  └ fetch ───┘ └ fetch ──────────┘
 *
 * What was parsed is kept for recv, for the same bytes in the same burst only. Everything else is
 * looked up again there.
 */
#include "dataplane/http/conn_impl.h"
#include "dataplane/http/uri.h"

/* A whole GET of a path that needs no rewriting; whatever else comes, recv takes it as ever. */
static bool prepare(struct spate_http_ready *x, const struct spate_stream_ahead *a)
{
	const struct spate_http_conn *c = a->s->ctx;
	char none[1];

	/* No ctx: it is accepted with these bytes. */
	if (c != NULL &&
	    (c->closing || c->partial != NULL || c->waiting != NULL || c->pumping != NULL))
		return false;
	spate_http_request_init(&x->request);
	if (spate_http_request_parse(a->data, a->len, &x->request) != SPATE_REQUEST_OK ||
	    x->request.method != SPATE_HTTP_GET)
		return false;
	if (spate_http_uri_normalise(x->request.path_query, none, 0, &x->url) != SPATE_URI_OK)
		return false;
	x->s = a->s;
	x->data = a->data;
	x->key = spate_key_of(x->url.p, x->url.len);
	return true;
}

void spate_http_ahead(const struct spate_stream_ahead *a, unsigned n)
{
	struct spate_worker *w = a->s->worker;
	struct spate_http *h = w->http;
	const struct spate_object *o[SPATE_STREAM_AHEAD];

	h->ready_burst = w->burst;
	h->ready_next = h->nready = 0;
	for (unsigned i = 0; i < n; i++)
		__builtin_prefetch(a[i].s->ctx, 1);
	for (unsigned i = 0; i < n; i++)
		h->nready += prepare(&h->ready[h->nready], &a[i]);
	/* In loops of their own, not between two parses or two answers, where they look better
	 * spread: a fetch that misses the TLB holds up what follows it, and only in loops as short
	 * as these do many such misses overlap (docs/design/cost.md has the figures). */
	for (unsigned i = 0; i < h->nready; i++)
		spate_cache_ahead_index(w->cache, &h->ready[i].key);
	for (unsigned i = 0; i < h->nready; i++)
		o[i] = spate_cache_ahead_object(w->cache, w->id, &h->ready[i].key);
	for (unsigned i = 0; i < h->nready; i++)
		if (o[i] != NULL)
			spate_cache_ahead_meta(o[i]);
}

const struct spate_http_ready *spate_http_ready_at(struct spate_http_conn *c, const uint8_t *data,
						   size_t len)
{
	struct spate_http *h = spate_http_of(c);

	if (h->ready_burst != c->s->worker->burst)
		return NULL;
	/* Segments that TCP did not take leave theirs behind. */
	for (unsigned i = h->ready_next; i < h->nready; i++) {
		const struct spate_http_ready *x = &h->ready[i];

		if (x->s == c->s && x->data == data && x->request.head_len <= len) {
			h->ready_next = i + 1;
			return x;
		}
	}
	return NULL;
}

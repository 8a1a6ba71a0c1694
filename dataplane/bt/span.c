/*
 * span.c: looking parts up, queueing them, and waiting for those that are not there.
 *
 *     wait ─► FETCH ─► control ─► REPLY ─┬─ right content, far enough ─► fn(OK)
 *       │                                ├─ still arriving ─► watch ─► PROGRESS ─┐
 *       └── it is arriving already ──────┘                     └◄────────────────┘
 *                                        └─ another version, or none ─► fn(CHANGED or FAILED)
 */
#include "dataplane/bt/span.h"

#include <stdlib.h>

#include "dataplane/bt/impl.h"

struct spate_span_wait {
	struct spate_miss miss;
	struct spate_worker *w;
	struct spate_torrent *t;
	struct spate_object *o; /* pinned, while it is watched */
	struct spate_watch watch;
	uint64_t upto;
	uint32_t part;
	spate_span_fn *fn;
	void *owner; /* NULL: has left */
};

/* Is o the version that was hashed? WAIT: its size is not known yet. */
static enum spate_span_verdict judge(const struct spate_torrent_part *p, struct spate_object *o)
{
	const struct spate_meta *m = atomic_load_explicit(&o->meta, memory_order_acquire);
	uint8_t state = atomic_load_explicit(&o->state, memory_order_acquire);
	uint64_t size = atomic_load_explicit(&o->size, memory_order_acquire);

	if (m->status != 200 || state == SPATE_OBJECT_FAILED)
		return SPATE_SPAN_FAILED;
	if (size == SPATE_SIZE_UNKNOWN)
		return SPATE_SPAN_WAIT;
	return size == p->len && spate_torrent_tag(m, size) == p->tag ? SPATE_SPAN_OK
								      : SPATE_SPAN_CHANGED;
}

static enum spate_span_verdict changed(struct spate_worker *w, struct spate_torrent *t)
{
	if (!atomic_exchange_explicit(&t->withdrawn, true, memory_order_relaxed))
		SPATE_COUNT(w->stats, bt_changed);
	return SPATE_SPAN_CHANGED;
}

enum spate_span_verdict spate_span_part(struct spate_worker *w, struct spate_torrent *t,
					uint32_t part, struct spate_object **o)
{
	const struct spate_torrent_part *p = &t->parts[part];
	enum spate_span_verdict v;

	if (p->url == NULL) {
		*o = w->torrents != NULL ? w->torrents->zeros : NULL;
		return *o != NULL ? SPATE_SPAN_OK : SPATE_SPAN_FAILED;
	}
	*o = spate_cache_lookup(w->cache, &p->key);
	if (*o == NULL)
		return SPATE_SPAN_WAIT;
	v = judge(p, *o);
	if (v == SPATE_SPAN_FAILED && /* an error that was kept for a while: ask again */
	    w->wall_s >= atomic_load_explicit(&(*o)->expires_s, memory_order_relaxed))
		return SPATE_SPAN_WAIT;
	return v == SPATE_SPAN_CHANGED ? changed(w, t) : v;
}

static bool queue(struct spate_stream *s, struct spate_object *o, uint64_t off, uint64_t len)
{
	struct spate_worker *w = s->worker;

	spate_cache_pin(w->cache, w->id, o);
	if (spate_sendq_object(&w->sendq, &s->out, o, off, len) == 0)
		return true;
	spate_cache_unpin(w->cache, w->id, o);
	return false;
}

bool spate_span_queue(struct spate_stream *s, const struct spate_torrent *t, uint32_t part,
		      struct spate_object *o, uint64_t in, uint64_t len)
{
	uint64_t run;

	if (t->parts[part].url != NULL)
		return queue(s, o, in, len);
	for (; len > 0; len -= run) {
		run = s->worker->torrents->zeros_bytes;
		if (run > len)
			run = len;
		if (!queue(s, o, 0, run))
			return false;
	}
	return true;
}

/* --- waiting --- */

static void end(struct spate_span_wait *x, enum spate_span_verdict v)
{
	struct spate_worker *w = x->w;

	if (v == SPATE_SPAN_CHANGED)
		changed(w, x->t);
	spate_watch_del(&x->watch);
	if (x->owner != NULL)
		x->fn(x->owner, x->part, v, v == SPATE_SPAN_OK ? x->o : NULL);
	if (x->o != NULL)
		spate_cache_unpin(w->cache, w->id, x->o);
	spate_torrent_unref(x->t);
	spate_pool_put(&w->bt->waits, x);
}

static void grown(struct spate_watch *watch);

/* x->o is pinned: goes on with it, or ends. */
static void look(struct spate_span_wait *x)
{
	struct spate_worker *w = x->w;

	for (;;) {
		uint8_t state = atomic_load_explicit(&x->o->state, memory_order_acquire);
		enum spate_span_verdict v = judge(&x->t->parts[x->part], x->o);
		uint64_t ready = spate_object_ready(w->cache, x->o, 0);

		if (v == SPATE_SPAN_CHANGED || v == SPATE_SPAN_FAILED) {
			end(x, v);
			return;
		}
		if (v == SPATE_SPAN_OK && ready >= x->upto) {
			end(x, v);
			return;
		}
		if (state != SPATE_OBJECT_FILLING) {
			end(x, SPATE_SPAN_FAILED); /* a range fill that ended: nobody brings more */
			return;
		}
		/* With an unknown size only the end tells whether it is ours. */
		if (spate_watch_add(&w->watch, &x->watch, x->o,
				    v == SPATE_SPAN_WAIT ? UINT64_MAX : ready, grown))
			return;
	}
}

static void grown(struct spate_watch *watch)
{
	look((struct spate_span_wait *)((char *)watch - offsetof(struct spate_span_wait, watch)));
}

static void fetched(struct spate_worker *w, struct spate_miss *m, struct spate_object *o,
		    enum spate_fetch_verdict verdict)
{
	struct spate_span_wait *x = (void *)((char *)m - offsetof(struct spate_span_wait, miss));

	(void)verdict;
	w->bt->fetching--;
	x->o = o;
	if (x->owner == NULL || o == NULL)
		end(x, SPATE_SPAN_FAILED);
	else if (!atomic_load_explicit(&o->meta, memory_order_acquire)->cacheable)
		end(x, SPATE_SPAN_FAILED); /* not for everybody: it would be fetched for ever */
	else
		look(x);
}

struct spate_span_wait *spate_span_wait(struct spate_worker *w, struct spate_torrent *t,
					uint32_t part, uint64_t upto, spate_span_fn *fn,
					void *owner)
{
	const struct spate_torrent_part *p = &t->parts[part];
	struct spate_span_wait *x = spate_pool_get(&w->bt->waits);
	struct spate_object *o;

	if (x == NULL)
		return NULL;
	*x = (struct spate_span_wait){
		.miss = {.key = p->key,
			 .worker = w->id,
			 .url = p->url,
			 .url_len = p->url_len,
			 .last = UINT64_MAX,
			 .done = fetched},
		.w = w,
		.t = t,
		.upto = upto,
		.part = part,
		.fn = fn,
		.owner = owner,
	};
	spate_torrent_ref(t);
	o = spate_cache_lookup(w->cache, &p->key);
	if (o != NULL &&
	    atomic_load_explicit(&o->state, memory_order_acquire) == SPATE_OBJECT_FILLING &&
	    spate_watch_add(&w->watch, &x->watch, o,
			    atomic_load_explicit(&o->filled, memory_order_acquire), grown)) {
		spate_cache_pin(w->cache, w->id, o);
		x->o = o;
		return x;
	}
	struct spate_msg m = {.type = SPATE_MSG_FETCH, .miss = &x->miss};

	x->miss.owner = x;
	if (!spate_worker_send(w, &m))
		abort(); /* the ring holds all waits there can be */
	w->bt->fetching++;
	SPATE_COUNT(w->stats, bt_miss);
	return x;
}

void spate_span_forget(struct spate_span_wait *x)
{
	x->owner = NULL;
	if (x->o != NULL)
		end(x, SPATE_SPAN_FAILED);
}

void spate_span_create(struct spate_bt *b)
{
	spate_pool_init(&b->waits, sizeof(struct spate_span_wait), SPATE_SPAN_WAITS_MAX);
}

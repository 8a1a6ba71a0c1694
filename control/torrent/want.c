/* want.c: an object for control itself: a miss like a viewer's, and the wait until it is whole. */
#include <string.h>

#include "control/control.h"
#include "control/torrent/internal.h"
#include "dataplane/cache/write.h"

static void link_want(struct want *w, struct want **list)
{
	w->next = *list;
	if (w->next != NULL)
		w->next->prev = &w->next;
	w->prev = list;
	*list = w;
}

static void unlink_want(struct want *w)
{
	if (w->prev == NULL)
		return;
	*w->prev = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	w->prev = NULL;
}

/* Its fn comes in a turn of its own, for we may be deep inside a fill here. */
static void due(struct want *w, bool whole, enum spate_fetch_verdict v)
{
	unlink_want(w);
	w->verdict = v;
	if (!whole)
		spate_want_release(w);
	link_want(w, &w->p->due);
	spate_publisher_kick(w->p);
}

void spate_wants_run(struct spate_publisher *p)
{
	while (p->due != NULL) {
		struct want *w = p->due;

		unlink_want(w);
		w->busy = false;
		w->fn(w, w->object, w->verdict);
	}
}

static void on_reply(struct spate_worker *none, struct spate_miss *m, struct spate_object *o,
		     enum spate_fetch_verdict v)
{
	struct want *w = (struct want *)m;
	uint8_t state = o != NULL ? atomic_load_explicit(&o->state, memory_order_relaxed) : 0;

	w->object = o; /* with the hold of the reply */
	if (state == SPATE_OBJECT_FILLING)
		link_want(w, &w->p->filling);
	else
		due(w, state == SPATE_OBJECT_COMPLETE, v);
}

void spate_want(struct spate_publisher *p, struct want *w, const char *url, uint16_t len,
		void (*fn)(struct want *w, struct spate_object *o, enum spate_fetch_verdict v))
{
	memset(w, 0, sizeof(*w));
	w->p = p;
	w->fn = fn;
	w->busy = true;
	w->miss.key = spate_key_of(url, len);
	w->miss.worker = SPATE_CONTROL_MISS;
	w->miss.url = url;
	w->miss.url_len = len;
	w->miss.last = UINT64_MAX;
	w->miss.done = on_reply;
	spate_fills_fetch(p->s.fills, &w->miss);
}

void spate_want_release(struct want *w)
{
	if (w->object != NULL)
		spate_cache_release(w->p->s.env->cache, w->object);
	w->object = NULL;
}

void spate_publisher_ended(struct spate_publisher *p, struct spate_object *o, const char *url,
			   size_t len, bool whole)
{
	const struct spate_meta *meta = atomic_load_explicit(&o->meta, memory_order_relaxed);
	uint64_t size = atomic_load_explicit(&o->size, memory_order_relaxed), tag;

	for (struct want *w = p->filling, *next; w != NULL; w = next) {
		next = w->next;
		if (w->object == o)
			due(w, whole, whole ? SPATE_FETCH_OK : SPATE_FETCH_BAD_GATEWAY);
	}
	/* An error is no content: what was hashed may be there again with the next question. */
	if (!whole || meta == NULL || meta->status != 200)
		return;
	/* Other content than was hashed: nobody can be given the old bytes any more. */
	tag = spate_torrent_tag(meta, size);
	for (struct segment *s = p->map[o->key.lo % MAP], *next; s != NULL; s = next) {
		next = s->next;
		if (s->key.lo == o->key.lo && s->key.hi == o->key.hi && s->tag != tag) {
			spate_rep_forget(s->rep, "its content has changed");
			next = p->map[o->key.lo % MAP];
		}
	}
	if (len > 4 && memcmp(url + len - 4, ".mpd", 4) == 0)
		spate_manifest_get(p, url, len, true);
}

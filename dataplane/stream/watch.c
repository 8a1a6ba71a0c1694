#include "dataplane/stream/watch.h"

#include <stddef.h>
#include <string.h>

void spate_watch_init(struct spate_watch_table *t, struct spate_cache *c, unsigned reader)
{
	memset(t, 0, sizeof(*t));
	t->cache = c;
	t->reader = reader;
}

static void link_into(struct spate_watch **list, struct spate_watch *w)
{
	w->next = *list;
	if (w->next != NULL)
		w->next->prev = &w->next;
	w->prev = list;
	*list = w;
}

bool spate_watch_add(struct spate_watch_table *t, struct spate_watch *w, struct spate_object *o,
		     uint64_t off, void (*fn)(struct spate_watch *w))
{
	spate_watch_del(w);
	if (!spate_object_wait(t->cache, o, t->reader, off))
		return false;
	w->object = o;
	w->fn = fn;
	link_into(&t->bucket[o->id % SPATE_WATCH_BUCKETS], w);
	return true;
}

void spate_watch_del(struct spate_watch *w)
{
	if (w->prev == NULL)
		return;
	*w->prev = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	w->prev = NULL;
	w->next = NULL;
}

void spate_watch_run(struct spate_watch_table *t, struct spate_object *o)
{
	struct spate_watch **bucket = &t->bucket[o->id % SPATE_WATCH_BUCKETS];
	struct spate_watch *due = NULL;

	/*
	 * Move this object's watches to a list of our own first: a callback may add its watch again
	 * (still dry) or delete another that is due, and both must work on whole lists.
	 */
	for (struct spate_watch *w = *bucket, *next; w != NULL; w = next) {
		next = w->next;
		if (w->object != o)
			continue;
		spate_watch_del(w);
		link_into(&due, w);
	}
	while (due != NULL) {
		struct spate_watch *w = due;

		spate_watch_del(w);
		w->fn(w);
	}
}

/*
 * watch.h: who on this worker waits for an object to grow. A stream whose send queue ran dry, or a
 * protocol that sends piece by piece, puts a watch on the object; control's PROGRESS message runs
 * it.
 *
 * Order: spate_watch_add() asks control (spate_object_wait) and links the watch, or returns false
 * because bytes are there already. spate_watch_run() unlinks each watch of the object and calls it,
 * once each. The caller pins the object for as long as a watch is on it. Embedded in its owner; no
 * allocation.
 */
#ifndef SPATE_WATCH_H
#define SPATE_WATCH_H

#include <stdbool.h>

#include "spate/cache.h"

#define SPATE_WATCH_BUCKETS 256

struct spate_watch {
	struct spate_watch *next, **prev; /* prev NULL: not linked */
	struct spate_object *object;
	void (*fn)(struct spate_watch *w);
};

struct spate_watch_table {
	struct spate_cache *cache;
	unsigned reader;
	struct spate_watch *bucket[SPATE_WATCH_BUCKETS];
};

void spate_watch_init(struct spate_watch_table *t, struct spate_cache *c, unsigned reader);
bool spate_watch_add(struct spate_watch_table *t, struct spate_watch *w, struct spate_object *o,
		     uint64_t off, void (*fn)(struct spate_watch *w));
void spate_watch_del(struct spate_watch *w); /* safe when not linked, and from inside a run */
void spate_watch_run(struct spate_watch_table *t, struct spate_object *o);

#endif

/* write.c: an object's life as control drives it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/cache/internal.h"

static struct spate_object *take_slot(struct spate_cache *c, const struct spate_key *key,
				      uint16_t flags)
{
	if (!spate_cache_make_room(c, 0, 1)) {
		c->no_room++;
		return NULL;
	}
	struct spate_object *o;

	if (c->free_slot != SPATE_NO_LINK) {
		o = &c->pool[c->free_slot];
		c->free_slot = o->next;
	} else {
		o = &c->pool[c->made]; /* zeroed: the first time */
		o->id = c->made++;
	}
	c->objects++;
	o->key = *key;
	atomic_store_explicit(&o->size, SPATE_SIZE_UNKNOWN, memory_order_relaxed);
	atomic_store_explicit(&o->filled, 0, memory_order_relaxed);
	atomic_store_explicit(&o->expires_s, 0, memory_order_relaxed);
	atomic_store_explicit(&o->freq, 0, memory_order_relaxed);
	atomic_store_explicit(&o->waiting, 0, memory_order_relaxed);
	memset(o->direct, 0xff, sizeof(o->direct)); /* SPATE_NO_BLOCK */
	o->flags = flags;
	o->nblocks = 0;
	o->holds = 1;
	o->fill = NULL;
	o->origin = 0;
	atomic_store_explicit(&o->state, SPATE_OBJECT_FILLING, memory_order_release);
	return o;
}

struct spate_object *spate_cache_insert(struct spate_cache *c, const struct spate_key *key)
{
	return take_slot(c, key, 0);
}

struct spate_object *spate_cache_insert_private(struct spate_cache *c, const struct spate_key *key)
{
	return take_slot(c, key, SPATE_O_PRIVATE);
}

/* The object that o has just replaced in the index. */
static void replaced(struct spate_cache *c, struct spate_object *old)
{
	old->flags &= (uint16_t)~SPATE_O_INDEXED;
	spate_cache_retire(c, old);
}

int spate_cache_publish(struct spate_cache *c, struct spate_object *o, struct spate_meta *meta,
			uint64_t size, int64_t expires_s)
{
	assert(o->holds > 0 && !(o->flags & SPATE_O_PUBLISHED));
	if (size != SPATE_SIZE_UNKNOWN && size > spate_cache_max_object(c))
		return -EFBIG;
	atomic_store_explicit(&o->meta, spate_meta_settle(c, o, meta), memory_order_relaxed);
	atomic_store_explicit(&o->size, size, memory_order_relaxed);
	atomic_store_explicit(&o->expires_s, expires_s, memory_order_relaxed);
	o->flags |= SPATE_O_PUBLISHED;
	if (o->flags & (SPATE_O_PRIVATE | SPATE_O_RETIRED))
		return 0;
	uint32_t old = spate_index_put(&c->index, o); /* release: all of the above is there first */

	o->flags |= SPATE_O_INDEXED;
	if (old != SPATE_NO_OBJECT)
		replaced(c, &c->pool[old]);
	return 0;
}

static void enter_queue(struct spate_cache *c, struct spate_object *o)
{
	if ((o->flags & SPATE_O_INDEXED) && o->queue == SPATE_S3_NONE)
		spate_s3fifo_insert(&c->s3, o);
}

bool spate_cache_put_back(struct spate_cache *c, struct spate_object *o)
{
	if (!(o->flags & SPATE_O_RETIRED) ||
	    atomic_load_explicit(&o->state, memory_order_relaxed) != SPATE_OBJECT_COMPLETE ||
	    spate_index_get(&c->index, &o->key) != SPATE_NO_OBJECT)
		return false;
	spate_cache_unretire(c, o);
	spate_index_put(&c->index, o);
	o->flags |= SPATE_O_INDEXED;
	enter_queue(c, o);
	return true;
}

static uint64_t end_fill(struct spate_object *o, enum spate_object_state state)
{
	atomic_store_explicit(&o->state, state, memory_order_release);
	return atomic_exchange_explicit(&o->waiting, 0,
					memory_order_acq_rel); /* see spate_object_wait */
}

int spate_cache_complete(struct spate_cache *c, struct spate_object *o, uint64_t *waiting)
{
	uint64_t filled = atomic_load_explicit(&o->filled, memory_order_relaxed);
	uint64_t size = atomic_load_explicit(&o->size, memory_order_relaxed);

	assert(o->holds > 0);
	assert(atomic_load_explicit(&o->state, memory_order_relaxed) == SPATE_OBJECT_FILLING);
	if (size != SPATE_SIZE_UNKNOWN && size != filled) {
		spate_cache_fail(c, o, waiting);
		return -EINVAL;
	}
	atomic_store_explicit(&o->size, filled, memory_order_relaxed);
	spate_blocks_trim(c, o, filled);
	*waiting = end_fill(o, SPATE_OBJECT_COMPLETE);
	enter_queue(c, o);
	return 0;
}

void spate_cache_fail(struct spate_cache *c, struct spate_object *o, uint64_t *waiting)
{
	*waiting = end_fill(o, SPATE_OBJECT_FAILED);
	if (!(o->flags & SPATE_O_RETIRED))
		spate_cache_retire(c, o);
}

uint64_t spate_cache_park(struct spate_cache *c, struct spate_object *o)
{
	assert(o->holds > 0 && atomic_load(&o->size) != SPATE_SIZE_UNKNOWN);
	uint64_t waiting = end_fill(o, SPATE_OBJECT_PARTIAL);

	enter_queue(c, o);
	return waiting;
}

bool spate_cache_reopen(struct spate_cache *c, struct spate_object *o)
{
	if ((o->flags & SPATE_O_RETIRED) ||
	    atomic_load_explicit(&o->state, memory_order_relaxed) != SPATE_OBJECT_PARTIAL)
		return false;
	atomic_store_explicit(&o->state, SPATE_OBJECT_FILLING, memory_order_release);
	o->holds++;
	return true;
}

void spate_cache_refresh(struct spate_cache *c, struct spate_object *o, struct spate_meta *meta,
			 int64_t expires_s)
{
	assert(o->flags & SPATE_O_PUBLISHED);
	if (o->flags & SPATE_O_COMING)
		c->meta_coming -= spate_meta_outside_now(o);
	/* Out of memory: the old head lines serve on, with the new lifetime. */
	if (meta != NULL)
		(void)spate_meta_replace(c, o, meta);
	if (o->flags & SPATE_O_COMING)
		c->meta_coming += spate_meta_outside_now(o);
	atomic_store_explicit(&o->expires_s, expires_s, memory_order_release);
}

void spate_cache_clock_back(struct spate_cache *c, int64_t by_s)
{
	for (uint32_t i = 0; i < c->made; i++) {
		struct spate_object *o = &c->pool[i];

		atomic_store_explicit(&o->expires_s,
				      atomic_load_explicit(&o->expires_s, memory_order_relaxed) -
					      by_s,
				      memory_order_relaxed);
	}
}

struct spate_object *spate_cache_find(struct spate_cache *c, const struct spate_key *key)
{
	uint32_t id = spate_index_get(&c->index, key);

	return id == SPATE_NO_OBJECT ? NULL : &c->pool[id]; /* failed ones are not in the index */
}

uint64_t spate_cache_remove_all(struct spate_cache *c)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < c->made; i++) {
		if (c->pool[i].flags & SPATE_O_INDEXED) {
			spate_cache_retire(c, &c->pool[i]);
			n++;
		}
	}
	return n;
}

void spate_cache_remove(struct spate_cache *c, struct spate_object *o)
{
	if (!(o->flags & SPATE_O_RETIRED))
		spate_cache_retire(c, o);
}

void spate_cache_hold(struct spate_cache *c, struct spate_object *o)
{
	(void)c;
	o->holds++;
}

void spate_cache_release(struct spate_cache *c, struct spate_object *o)
{
	assert(o->holds > 0);
	if (--o->holds == 0 && !(o->flags & (SPATE_O_INDEXED | SPATE_O_RETIRED)))
		spate_cache_retire(c, o); /* private, or given up before publish */
}

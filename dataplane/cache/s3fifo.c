#include "dataplane/cache/s3fifo.h"

#include <assert.h>

static void push(struct spate_s3fifo *s, struct spate_s3_list *l, struct spate_object *o)
{
	o->queue = l == &s->small ? SPATE_S3_SMALL : SPATE_S3_MAIN;
	o->prev = SPATE_NO_LINK;
	o->next = l->head;
	*(l->head == SPATE_NO_LINK ? &l->tail : &s->pool[l->head].prev) = o->id;
	l->head = o->id;
	l->count++;
	l->weight += spate_s3_weight(o);
}

static void unlink_from(struct spate_s3fifo *s, struct spate_s3_list *l, struct spate_object *o)
{
	*(o->prev == SPATE_NO_LINK ? &l->head : &s->pool[o->prev].next) = o->next;
	*(o->next == SPATE_NO_LINK ? &l->tail : &s->pool[o->next].prev) = o->prev;
	l->count--;
	l->weight -= spate_s3_weight(o);
	o->queue = SPATE_S3_NONE;
}

static struct spate_s3_list *list_of(struct spate_s3fifo *s, const struct spate_object *o)
{
	assert(o->queue != SPATE_S3_NONE);
	return o->queue == SPATE_S3_SMALL ? &s->small : &s->main;
}

void spate_s3fifo_init(struct spate_s3fifo *s, struct spate_object *pool, uint32_t objects,
		       uint64_t capacity, void *ghost_mem)
{
	struct spate_s3_list empty = {.head = SPATE_NO_LINK, .tail = SPATE_NO_LINK};

	*s = (struct spate_s3fifo){
		.pool = pool,
		.small = empty,
		.main = empty,
		.small_target = capacity / 10 > 0 ? capacity / 10 : 1,
	};
	spate_ghost_init(&s->ghost, ghost_mem, objects, capacity - s->small_target);
	spate_s3fifo_turn(s);
}

void spate_s3fifo_turn(struct spate_s3fifo *s)
{
	s->small.busy = s->main.busy = 0;
	s->small.looks = s->main.looks = SPATE_S3_LOOKS;
}

/* At the head, behind those that were in use: one more round of them before it is looked at. */
static void enter(struct spate_s3fifo *s, struct spate_s3_list *l, struct spate_object *o)
{
	push(s, l, o);
	l->busy = 0;
}

void spate_s3fifo_insert(struct spate_s3fifo *s, struct spate_object *o)
{
	assert(o->queue == SPATE_S3_NONE);
	enter(s, spate_ghost_take(&s->ghost, o->key.lo) ? &s->main : &s->small, o);
}

void spate_s3fifo_remove(struct spate_s3fifo *s, struct spate_object *o)
{
	struct spate_s3_list *l = list_of(s, o);

	unlink_from(s, l, o);
	l->busy -= l->busy > 0; /* it may have been one of them */
}

void spate_s3fifo_grow(struct spate_s3fifo *s, struct spate_object *o, uint32_t n)
{
	uint32_t was = o->nblocks - n;

	list_of(s, o)->weight += spate_s3_weight(o) - (was > 0 ? was : 1);
}

/* A queue whose objects are all in use must not keep us from the other: one round shows it. */
static bool may_give(const struct spate_s3_list *l)
{
	return l->busy < l->count && l->looks > 0;
}

struct spate_object *spate_s3fifo_evict(struct spate_s3fifo *s,
					bool (*busy)(void *ctx, const struct spate_object *o),
					void *ctx)
{
	for (;;) {
		bool small = may_give(&s->small), main = may_give(&s->main);

		if (!small && !main)
			return NULL;
		bool from_small = small && (!main || s->small.weight >= s->small_target);
		struct spate_s3_list *l = from_small ? &s->small : &s->main;
		struct spate_object *o = &s->pool[l->tail];
		uint8_t freq = atomic_load_explicit(&o->freq, memory_order_relaxed);

		unlink_from(s, l, o);
		if (busy(ctx, o)) {
			push(s, l, o);
			l->busy++;
			l->looks--;
			continue;
		}
		if (from_small && freq > 1) {
			atomic_store_explicit(&o->freq, 0, memory_order_relaxed);
			enter(s, &s->main, o);
		} else if (!from_small && freq > 0) {
			atomic_store_explicit(&o->freq, freq - 1, memory_order_relaxed);
			enter(s, l, o);
		} else {
			if (from_small)
				spate_ghost_add(&s->ghost, o->key.lo, spate_s3_weight(o));
			return o;
		}
	}
}

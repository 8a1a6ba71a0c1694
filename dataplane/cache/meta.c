/*
 * meta.c: where a response head lies. A hit reads it right after the object, so it lies in the
 * object itself when it fits: in the same huge page, fetched together, and inside the byte limit. A
 * longer one stays in the memory control made it in.
 *
 * Readers may still be reading the old head when a new one comes (a 304), so the new one cannot
 * take the place at once:
 *
 *     beside: old, read     new: malloc'd          refresh
 *     beside: free  ◀─copy─ new, read              a grace period later
 *     beside: new, read     malloc'd: waits        and is freed after one more
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/cache/internal.h"

static_assert(sizeof(struct spate_object) == 512, "a slot is eight lines");

static size_t bytes_of(const struct spate_meta *meta)
{
	return sizeof(*meta) + meta->head_len;
}

uint64_t spate_meta_outside(const struct spate_object *o, const struct spate_meta *meta)
{
	return meta == NULL || spate_meta_beside(o, meta) ? 0 : bytes_of(meta);
}

static bool fits(const struct spate_object *o, const struct spate_meta *meta)
{
	return !(o->flags & SPATE_O_BESIDE) && bytes_of(meta) <= sizeof(o->beside);
}

static const struct spate_meta *copy(struct spate_object *o, const struct spate_meta *meta)
{
	memcpy(o->beside, meta, bytes_of(meta));
	o->flags |= SPATE_O_BESIDE;
	return (const void *)o->beside;
}

const struct spate_meta *spate_meta_settle(struct spate_cache *c, struct spate_object *o,
					   struct spate_meta *meta)
{
	const struct spate_meta *at;

	if (!fits(o, meta)) {
		c->meta_bytes += bytes_of(meta);
		return meta;
	}
	at = copy(o, meta);
	free(meta);
	return at;
}

void spate_meta_drop(struct spate_cache *c, struct spate_object *o, const struct spate_meta *meta)
{
	if (meta == NULL)
		return;
	if (spate_meta_beside(o, meta)) {
		o->flags &= (uint16_t)~SPATE_O_BESIDE;
		return;
	}
	c->meta_bytes -= bytes_of(meta);
	free((void *)meta);
}

/*
 * A place to keep one more old meta until readers let go. The queue is hardly ever empty where
 * there is always one to revalidate; so, when it has come to the end of its memory, those that are
 * left move down to its beginning, and only where they are half of it or more it grows.
 */
static bool old_room(struct spate_cache *c)
{
	if (c->old_meta_n < c->old_meta_cap)
		return true;
	if (c->old_meta_first > c->old_meta_cap / 2) {
		c->old_meta_n -= c->old_meta_first;
		memmove(c->old_meta, c->old_meta + c->old_meta_first,
			c->old_meta_n * sizeof(*c->old_meta));
		c->old_meta_first = 0;
		return true;
	}
	uint32_t cap = c->old_meta_cap > 0 ? 2 * c->old_meta_cap : 64;
	struct spate_old_meta *m = realloc(c->old_meta, cap * sizeof(*m));

	if (m == NULL)
		return false;
	c->old_meta = m;
	c->old_meta_cap = cap;
	return true;
}

/* There is room. An old meta waits for readers like an object, but nothing can pin it. */
static void retire(struct spate_cache *c, struct spate_object *o, const struct spate_meta *meta)
{
	/* The place beside a retired object is free when its slot is, which may be before this
	 * would have waited long enough. */
	if (spate_meta_beside(o, meta) && (o->flags & SPATE_O_RETIRED))
		return;
	c->old_meta[c->old_meta_n++] = (struct spate_old_meta){
		.meta = meta, .object = o, .stamp = spate_qsbr_now(&c->qsbr)};
}

static const struct spate_meta *now_at(const struct spate_object *o)
{
	return atomic_load_explicit(&o->meta, memory_order_relaxed);
}

int spate_meta_replace(struct spate_cache *c, struct spate_object *o, struct spate_meta *meta)
{
	const struct spate_meta *old = now_at(o);

	if (!old_room(c)) {
		free(meta);
		return -ENOMEM;
	}
	atomic_store_explicit(&o->meta, spate_meta_settle(c, o, meta), memory_order_release);
	retire(c, o, old);
	return 0;
}

/* The place beside o has become free: what is read from elsewhere may move in. */
static void move_in(struct spate_cache *c, struct spate_object *o)
{
	const struct spate_meta *meta = now_at(o);

	if (o->flags & SPATE_O_RETIRED || !fits(o, meta) || !old_room(c))
		return;
	atomic_store_explicit(&o->meta, copy(o, meta), memory_order_release);
	retire(c, o, meta);
}

/*
 * An object's life ends no earlier than what was read beside it is over: it was retired later, and
 * both wait for the same readers. If it has just ended (FREE), there is nobody to move in.
 */
void spate_meta_reclaim(struct spate_cache *c, uint64_t expired)
{
	/* Counted, for they may move; what moves in now waits for who comes online from now on. */
	uint32_t left = c->old_meta_n - c->old_meta_first;

	for (; left > 0 && c->old_meta[c->old_meta_first].stamp < expired; left--) {
		struct spate_old_meta old = c->old_meta[c->old_meta_first++];
		bool beside = spate_meta_beside(old.object, old.meta);

		spate_meta_drop(c, old.object, old.meta);
		if (beside && atomic_load_explicit(&old.object->state, memory_order_relaxed) !=
				      SPATE_OBJECT_FREE)
			move_in(c, old.object);
	}
	if (c->old_meta_first == c->old_meta_n)
		c->old_meta_first = c->old_meta_n = 0;
}

void spate_meta_destroy(struct spate_cache *c)
{
	while (c->old_meta_first < c->old_meta_n) {
		struct spate_old_meta *old = &c->old_meta[c->old_meta_first++];

		spate_meta_drop(c, old->object, old->meta);
	}
	free(c->old_meta);
}

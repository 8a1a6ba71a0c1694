/*
 * reclaim.c: taking objects away. Eviction makes blocks *coming*; they are free once every reader
 * has passed a quiescent state. So that a fill need not wait for that, eviction runs ahead of need:
 *
 *     blocks:  |  free  | coming |            in use             |
 *              |<- low-water  -->|   below it: evict
 *
 * A fill that finds nothing free gets 0 from spate_cache_room, and tries again after the next
 * reclaim, which is as soon as each worker has turned its loop once (or sleeps).
 */
#include "dataplane/cache/internal.h"

#define SWEEP_LOOKS     2048
#define LIMBO_LOOKED_AT 64 /* a turn: a viewer may keep a purged object for hours */

static void list_append(struct spate_cache *c, struct spate_list *l, struct spate_object *o)
{
	o->next = SPATE_NO_LINK;
	o->prev = l->tail;
	*(l->tail == SPATE_NO_LINK ? &l->head : &c->pool[l->tail].next) = o->id;
	l->tail = o->id;
	l->count++;
}

static void list_remove(struct spate_cache *c, struct spate_list *l, struct spate_object *o)
{
	*(o->prev == SPATE_NO_LINK ? &l->head : &c->pool[o->prev].next) = o->next;
	*(o->next == SPATE_NO_LINK ? &l->tail : &c->pool[o->next].prev) = o->prev;
	l->count--;
}

static struct spate_object *list_shift(struct spate_cache *c, struct spate_list *l)
{
	struct spate_object *o = &c->pool[l->head];

	list_remove(c, l, o);
	return o;
}

bool spate_cache_pinned(const struct spate_cache *c, const struct spate_object *o)
{
	for (unsigned i = 0; i < c->qsbr.readers; i++) {
		/* acquire: pairs with unpin, before the bytes are written again */
		if (atomic_load_explicit(&c->qsbr.reader[i].pins[o->id], memory_order_acquire) != 0)
			return true;
	}
	return false;
}

/* Out of everything that leads to it. Its blocks go once nobody can be using them. */
void spate_cache_retire(struct spate_cache *c, struct spate_object *o)
{
	assert(!(o->flags & SPATE_O_RETIRED));
	if (o->flags & SPATE_O_INDEXED)
		spate_index_remove(&c->index, o);
	if (o->queue != SPATE_S3_NONE)
		spate_s3fifo_remove(&c->s3, o);
	o->flags = (uint16_t)((o->flags & ~SPATE_O_INDEXED) | SPATE_O_RETIRED);
	if (o->holds == 0) {
		o->flags |= SPATE_O_COMING;
		c->blocks_coming += o->nblocks;
		c->side_coming += spate_blocks_side(o);
		c->meta_coming += spate_meta_outside_now(o);
	}
	o->retired_at = spate_qsbr_now(&c->qsbr);
	list_append(c, &c->grace, o);
	c->reclaimed = false;
}

/* Nothing was freed, for it is held: so nothing has to be waited for. */
void spate_cache_unretire(struct spate_cache *c, struct spate_object *o)
{
	assert((o->flags & SPATE_O_RETIRED) && o->holds > 0);
	list_remove(c, o->flags & SPATE_O_LIMBO ? &c->limbo : &c->grace, o);
	if (o->flags & SPATE_O_COMING)
		c->blocks_coming -= o->nblocks;
	o->flags &= (uint16_t) ~(SPATE_O_RETIRED | SPATE_O_LIMBO | SPATE_O_COMING);
}

void spate_cache_free_slot(struct spate_cache *c, struct spate_object *o)
{
	spate_blocks_free_all(c, o);
	spate_meta_drop(c, o, atomic_load_explicit(&o->meta, memory_order_relaxed));
	atomic_store_explicit(&o->meta, NULL, memory_order_relaxed);
	atomic_store_explicit(&o->state, SPATE_OBJECT_FREE, memory_order_relaxed);
	o->flags = 0;
	o->next = c->free_slot;
	c->free_slot = o->id;
	c->objects--;
}

static bool in_use(const struct spate_cache *c, const struct spate_object *o)
{
	return o->holds > 0 || spate_cache_pinned(c, o);
}

/* What is being filled is held by its fill. */
static bool busy(void *ctx, const struct spate_object *o)
{
	return in_use(ctx, o);
}

static bool enough(const struct spate_cache *c, uint32_t blocks, uint32_t slots)
{
	uint64_t block_supply = (uint64_t)c->arena.nfree + c->blocks_coming;
	uint64_t slot_supply = (uint64_t)c->objects_max - c->objects + c->grace.count;

	return block_supply >= (uint64_t)blocks + c->low_blocks &&
	       slot_supply >= (uint64_t)slots + c->low_slots;
}

static void reclaim_grace(struct spate_cache *c, uint64_t expired)
{
	while (c->grace.count > 0 && c->pool[c->grace.head].retired_at < expired) {
		struct spate_object *o = list_shift(c, &c->grace);

		if (o->flags & SPATE_O_COMING) {
			c->blocks_coming -= o->nblocks;
			c->side_coming -= spate_blocks_side(o);
			c->meta_coming -= spate_meta_outside_now(o);
		}
		o->flags &= (uint16_t)~SPATE_O_COMING;
		if (in_use(c, o)) {
			o->flags |= SPATE_O_LIMBO;
			list_append(c, &c->limbo, o);
		} else {
			spate_cache_free_slot(c, o);
		}
	}
}

static void reclaim_limbo(struct spate_cache *c)
{
	uint32_t n = c->limbo.count < LIMBO_LOOKED_AT ? c->limbo.count : LIMBO_LOOKED_AT;

	while (n-- > 0) {
		struct spate_object *o = list_shift(c, &c->limbo);

		if (in_use(c, o))
			list_append(c, &c->limbo, o);
		else
			spate_cache_free_slot(c, o);
	}
}

static void reclaim(struct spate_cache *c)
{
	c->reclaimed = true;
	reclaim_limbo(c);
	if (c->grace.count > 0 || c->old_meta_n > 0) {
		uint64_t now = spate_qsbr_now(&c->qsbr);

		/* step only when something new waits, so that idle readers need not store */
		if ((c->grace.count > 0 && c->pool[c->grace.tail].retired_at == now) ||
		    (c->old_meta_n > 0 && c->old_meta[c->old_meta_n - 1].stamp == now))
			spate_qsbr_step(&c->qsbr);
		uint64_t expired = spate_qsbr_expired(&c->qsbr);

		reclaim_grace(c, expired);
		spate_meta_reclaim(c, expired);
	}
}

/*
 * S3-FIFO weighs blocks. What else may be short is had by few objects, and to evict the others
 * would give nothing: so a hand goes round the slots (CLOCK), past who does not have it, is in use,
 * or was asked for since the last round.
 */
void spate_cache_sweep(struct spate_cache *c, uint64_t (*gives)(const struct spate_object *o),
		       uint64_t bytes)
{
	while (bytes > 0 && c->swept < SWEEP_LOOKS) {
		struct spate_object *o = &c->pool[c->hand];
		uint64_t n = o->queue == SPATE_S3_NONE ? 0 : gives(o);
		uint8_t freq = atomic_load_explicit(&o->freq, memory_order_relaxed);

		c->swept++;
		c->hand = c->hand + 1 < c->made ? c->hand + 1 : 0;
		if (n == 0 || in_use(c, o))
			continue;
		if (freq > 0) {
			atomic_store_explicit(&o->freq, freq - 1, memory_order_relaxed);
			continue;
		}
		c->evicted++;
		spate_cache_retire(c, o);
		bytes -= n < bytes ? n : bytes;
	}
}

/* Ahead of need, as blocks are. */
static void sweep_heads(struct spate_cache *c)
{
	uint64_t used = c->meta_bytes - c->meta_coming, most = c->meta_max - c->low_meta;

	if (used > most)
		spate_cache_sweep(c, spate_meta_outside_now, used - most);
}

static bool have(const struct spate_cache *c, uint32_t blocks, uint32_t slots)
{
	return c->arena.nfree >= blocks && c->objects_max - c->objects >= slots &&
	       (slots == 0 || c->meta_bytes <= c->meta_max);
}

bool spate_cache_make_room(struct spate_cache *c, uint32_t blocks, uint32_t slots)
{
	while (!enough(c, blocks, slots)) {
		struct spate_object *o = spate_s3fifo_evict(&c->s3, busy, c);

		if (o == NULL)
			break;
		c->evicted++;
		spate_cache_retire(c, o);
	}
	if (slots > 0)
		sweep_heads(c);
	/* again in the same turn only when something more was taken away */
	if (!have(c, blocks, slots) && !c->reclaimed)
		reclaim(c);
	return have(c, blocks, slots);
}

unsigned spate_cache_reclaim(struct spate_cache *c)
{
	spate_s3fifo_turn(&c->s3);
	c->swept = 0;
	sweep_heads(c);
	reclaim(c);
	return c->grace.count + c->limbo.count;
}

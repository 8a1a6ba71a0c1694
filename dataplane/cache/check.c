/* check.c: every invariant of the cache, walked. For tests; readers may be reading meanwhile. */
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/cache/internal.h"

#define MUST(cond, ...)                                                                 \
	do {                                                                            \
		if (!(cond)) {                                                          \
			fprintf(stderr, "cache check, line %d: %s: ", __LINE__, #cond); \
			fprintf(stderr, __VA_ARGS__);                                   \
			fputc('\n', stderr);                                            \
			abort();                                                        \
		}                                                                       \
	} while (0)

/* Blocks are owned once: by one object or by nobody, as the bitmap says. */
static void check_blocks(const struct spate_cache *c, const struct spate_object *o, uint8_t *owned,
			 uint64_t *side)
{
	uint32_t n = 0, *e;
	uint64_t size = atomic_load(&o->size), filled = atomic_load(&o->filled);

	for (uint32_t i = 0; (e = spate_object_entry(o, i)) != NULL; i++) {
		bool inside = ((uint64_t)i << c->block_shift) < filled;

		MUST(!inside || *e != SPATE_NO_BLOCK, "object %u: block %u is filled and missing",
		     o->id, i);
		if (*e == SPATE_NO_BLOCK)
			continue;
		MUST(*e < c->arena.blocks, "object %u block %u: %u", o->id, i, *e);
		MUST(!owned[*e], "block %u is owned twice, again by %u", *e, o->id);
		MUST(!spate_arena_is_free(&c->arena, *e), "block %u of %u is free", *e, o->id);
		owned[*e] = 1;
		n++;
	}
	MUST(n == o->nblocks, "object %u: %u blocks, says %u", o->id, n, o->nblocks);
	MUST(filled <= size, "object %u: filled past its size", o->id);
	MUST(atomic_load(&o->state) != SPATE_OBJECT_COMPLETE || filled == size, "object %u: short",
	     o->id);
	*side += spate_blocks_side(o);
}

static void check_object(const struct spate_cache *c, const struct spate_object *o)
{
	bool indexed = o->flags & SPATE_O_INDEXED, retired = o->flags & SPATE_O_RETIRED;
	uint32_t found = spate_index_get(&c->index, &o->key);

	MUST(!(indexed && retired), "object %u", o->id);
	MUST(indexed == (found == o->id), "object %u: index finds %u", o->id, found);
	MUST(o->queue == SPATE_S3_NONE || indexed, "object %u: queued, not indexed", o->id);
	MUST(indexed || retired || o->holds > 0, "object %u: lost", o->id);
	MUST(!(o->flags & SPATE_O_PUBLISHED) == (atomic_load(&o->meta) == NULL), "object %u: meta",
	     o->id);
	MUST(!spate_meta_beside(o, atomic_load(&o->meta)) || (o->flags & SPATE_O_BESIDE),
	     "object %u: its head may be written over", o->id);
	MUST(atomic_load(&o->state) != SPATE_OBJECT_FILLING || retired || o->holds > 0,
	     "object %u: being filled by nobody", o->id);
	MUST(atomic_load(&o->freq) <= 3, "object %u: freq", o->id);
	if (indexed && atomic_load(&o->state) != SPATE_OBJECT_FILLING)
		MUST(o->queue != SPATE_S3_NONE, "object %u: at rest, never to be evicted", o->id);
}

static void check_queue(const struct spate_cache *c, const struct spate_s3_list *l, uint8_t queue)
{
	uint32_t n = 0, prev = SPATE_NO_LINK;
	uint64_t weight = 0;

	for (uint32_t id = l->head; id != SPATE_NO_LINK; prev = id, id = c->pool[id].next, n++) {
		const struct spate_object *o = &c->pool[id];

		MUST(n < l->count && o->queue == queue && o->prev == prev, "object %u in queue %u",
		     id, queue);
		weight += spate_s3_weight(o);
	}
	MUST(l->tail == prev && n == l->count, "queue %u: %u of %u", queue, n, l->count);
	MUST(weight == l->weight, "queue %u weighs %lu, says %lu", queue, (unsigned long)weight,
	     (unsigned long)l->weight);
}

static void check_list(const struct spate_cache *c, const struct spate_list *l, bool limbo,
		       uint64_t *coming, uint64_t *side, uint64_t *meta)
{
	uint32_t n = 0, prev = SPATE_NO_LINK;

	for (uint32_t id = l->head; id != SPATE_NO_LINK; prev = id, id = c->pool[id].next, n++) {
		const struct spate_object *o = &c->pool[id];

		MUST(n < l->count && (o->flags & SPATE_O_RETIRED) && o->prev == prev, "object %u",
		     id);
		MUST(!(o->flags & SPATE_O_LIMBO) == !limbo, "object %u", id);
		if (o->flags & SPATE_O_COMING) {
			*coming += o->nblocks;
			*side += spate_blocks_side(o);
			*meta += spate_meta_outside_now(o);
		}
	}
	MUST(l->tail == prev && n == l->count, "waiting list: %u of %u", n, l->count);
}

void spate_cache_check(const struct spate_cache *c)
{
	uint8_t *owned = calloc(c->arena.blocks, 1);
	uint64_t side = 0, indexed = 0, queued = 0, retired = 0, coming = 0, meta = 0;
	uint64_t side_coming = 0, meta_coming = 0;
	uint32_t objects = 0, nfree = 0, free_slots = 0;

	MUST(owned != NULL, "out of memory");
	for (uint32_t i = 0; i < c->made; i++) {
		const struct spate_object *o = &c->pool[i];

		MUST(o->id == i, "slot %u says %u", i, o->id);
		if (atomic_load(&o->state) == SPATE_OBJECT_FREE) {
			MUST(o->nblocks == 0 && o->holds == 0 && o->queue == SPATE_S3_NONE &&
				     !spate_cache_pinned(c, o),
			     "free slot %u is in use", i);
			continue;
		}
		objects++;
		indexed += !!(o->flags & SPATE_O_INDEXED);
		retired += !!(o->flags & SPATE_O_RETIRED);
		queued += o->queue != SPATE_S3_NONE;
		meta += spate_meta_outside_now(o);
		check_object(c, o);
		check_blocks(c, o, owned, &side);
	}
	for (uint32_t id = c->free_slot; id != SPATE_NO_LINK; id = c->pool[id].next)
		MUST(free_slots++ < c->made, "free list loops");
	for (uint32_t i = 0; i < c->arena.blocks; i++) {
		MUST(owned[i] != spate_arena_is_free(&c->arena, i), "block %u: leaked", i);
		nfree += !owned[i];
	}
	for (uint32_t i = c->old_meta_first; i < c->old_meta_n; i++)
		meta += spate_meta_outside(c->old_meta[i].object, c->old_meta[i].meta);
	check_queue(c, &c->s3.small, SPATE_S3_SMALL);
	check_queue(c, &c->s3.main, SPATE_S3_MAIN);
	check_list(c, &c->grace, false, &coming, &side_coming, &meta_coming);
	check_list(c, &c->limbo, true, &coming, &side_coming, &meta_coming);
	MUST(objects == c->objects && objects + free_slots == c->made, "%u slots used", objects);
	MUST(nfree == c->arena.nfree, "%u free blocks, says %u", nfree, c->arena.nfree);
	MUST(indexed == c->index.count, "index count");
	MUST(queued == c->s3.small.count + c->s3.main.count, "queued");
	MUST(retired == c->grace.count + c->limbo.count, "retired");
	MUST(coming == c->blocks_coming && side_coming == c->side_coming, "coming");
	MUST(meta_coming == c->meta_coming, "heads coming");
	MUST(side == c->side_bytes && side <= c->side_max, "side bytes");
	MUST(meta == c->meta_bytes, "meta bytes");
	MUST(c->s3.ghost.weight <= c->s3.ghost.weight_max, "ghost");
	MUST(c->arena.bytes + c->fixed_bytes + c->side_max + c->meta_max <= c->limit,
	     "byte limit passed");
	free(owned);
}

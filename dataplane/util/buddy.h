/*
 * buddy.h: blocks of a power of two from one bounded region (Knowlton, 1965). Freed neighbours
 * join again, so memory that small users have left can serve a large one. Names are numbers of
 * SPATE_BUDDY_MIN units, never 0, so that 32 bits do and 0 can mean none. One thread at a time.
 *
 *   spate_buddy_init(&b, bytes)       reserves; pages are touched when they are first used
 *   at = spate_buddy_get(&b, order)   SPATE_BUDDY_MIN << order bytes; 0: no room
 *   p  = spate_buddy_at(&b, at)       its memory, contents undefined
 *   spate_buddy_put(&b, at, order)
 *   spate_buddy_finish(&b)
 */
#ifndef SPATE_BUDDY_H
#define SPATE_BUDDY_H

#include <stdint.h>

#define SPATE_BUDDY_MIN    256u
#define SPATE_BUDDY_ORDERS 20 /* the largest block: 128 MiB */

struct spate_buddy {
	uint8_t *base;
	uint8_t *state; /* of each unit: 0, or order + 1 where a free block begins */
	uint32_t units, used;
	uint32_t free[SPATE_BUDDY_ORDERS]; /* heads of doubly linked lists through the blocks */
};

int spate_buddy_init(struct spate_buddy *b, uint64_t bytes); /* 0, -EINVAL, -ENOMEM */
void spate_buddy_finish(struct spate_buddy *b);
uint32_t spate_buddy_get(struct spate_buddy *b, unsigned order);
void spate_buddy_put(struct spate_buddy *b, uint32_t at, unsigned order);

static inline void *spate_buddy_at(const struct spate_buddy *b, uint32_t at)
{
	return b->base + (uint64_t)at * SPATE_BUDDY_MIN;
}

#endif

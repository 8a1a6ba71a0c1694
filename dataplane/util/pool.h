/*
 * pool.h: fixed-size nodes for one thread. Grows by chunks up to a limit, never shrinks; get and
 * put are a list pop and push. Chunks are mapped when the free list is empty (rare; never once
 * warm).
 */
#ifndef SPATE_POOL_H
#define SPATE_POOL_H

#include <stddef.h>
#include <stdint.h>

struct spate_pool {
	void *free;           /* singly linked through the first word */
	void *chunks;         /* likewise, for finish */
	uint32_t node_bytes;  /* rounded up to 64 where >= 64, else to 16 */
	uint32_t used, total; /* nodes out, nodes made */
	uint32_t limit;       /* nodes at most */
};

void spate_pool_init(struct spate_pool *p, uint32_t node_bytes, uint32_t limit);
void spate_pool_finish(struct spate_pool *p); /* nodes still out become invalid */
void *spate_pool_grow(struct spate_pool *p);  /* get's slow path; NULL at the limit */

/* Contents undefined. NULL at the limit. */
static inline void *spate_pool_get(struct spate_pool *p)
{
	void *n = p->free;

	if (__builtin_expect(n == NULL, 0))
		return spate_pool_grow(p);
	p->free = *(void **)n;
	p->used++;
	return n;
}

static inline void spate_pool_put(struct spate_pool *p, void *n)
{
	*(void **)n = p->free;
	p->free = n;
	p->used--;
}

#endif

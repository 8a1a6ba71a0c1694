/*
 * arena.h: small things that live as long as one parse. Zero it; take; free all at once.
 */
#ifndef SPATE_DASH_ARENA_H
#define SPATE_DASH_ARENA_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct spate_arena_chunk {
	struct spate_arena_chunk *next;
	_Alignas(16) char p[];
};

struct spate_arena_mem {
	struct spate_arena_chunk *chunks;
	size_t used, cap; /* of the first chunk */
	bool failed;
};

/* Aligned to 16, not cleared; NULL and failed: no memory. */
static inline void *spate_mem_take(struct spate_arena_mem *m, size_t n)
{
	n = (n + 15) & ~(size_t)15;
	if (m->chunks == NULL || m->cap - m->used < n) {
		size_t cap = n > 4096 ? n : 4096;
		struct spate_arena_chunk *c = malloc(sizeof(*c) + cap);

		if (c == NULL) {
			m->failed = true;
			return NULL;
		}
		c->next = m->chunks;
		m->chunks = c;
		m->cap = cap;
		m->used = 0;
	}
	m->used += n;
	return m->chunks->p + m->used - n;
}

static inline char *spate_mem_copy(struct spate_arena_mem *m, const char *p, size_t n)
{
	char *to = (char *)spate_mem_take(m, n + 1);

	if (to != NULL) {
		memcpy(to, p, n);
		to[n] = '\0';
	}
	return to;
}

static inline void spate_mem_free(struct spate_arena_mem *m)
{
	while (m->chunks != NULL) {
		struct spate_arena_chunk *next = m->chunks->next;

		free(m->chunks);
		m->chunks = next;
	}
}

#endif

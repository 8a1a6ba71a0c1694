/*
 * pool.c: where a pool's nodes come from: whole mappings, linked through their first word.
 */
#include "dataplane/util/pool.h"

#include <sys/mman.h>

#define CHUNK_BYTES (256u << 10)

void spate_pool_init(struct spate_pool *p, uint32_t node_bytes, uint32_t limit)
{
	uint32_t align = node_bytes >= 64 ? 64 : 16;

	*p = (struct spate_pool){
		.node_bytes = (node_bytes + align - 1) & ~(align - 1),
		.limit = limit,
	};
}

/* A chunk's first 64 bytes link it to the others; the rest is nodes. Large nodes get a chunk of 16.
 */
static size_t chunk_bytes(const struct spate_pool *p)
{
	size_t n = (size_t)p->node_bytes * 16 + 64;

	return n > CHUNK_BYTES ? n : CHUNK_BYTES;
}

void *spate_pool_grow(struct spate_pool *p)
{
	size_t bytes = chunk_bytes(p);
	uint32_t n = (uint32_t)((bytes - 64) / p->node_bytes);

	if (n > p->limit - p->total)
		n = p->limit - p->total;
	if (n == 0)
		return NULL;
	char *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		return NULL;
	*(void **)(void *)mem = p->chunks;
	p->chunks = mem;
	for (uint32_t i = n; i-- > 0;) { /* handed out in ascending order */
		void *node = mem + 64 + (size_t)i * p->node_bytes;

		*(void **)node = p->free;
		p->free = node;
	}
	p->total += n;
	return spate_pool_get(p);
}

void spate_pool_finish(struct spate_pool *p)
{
	size_t bytes = chunk_bytes(p);

	while (p->chunks != NULL) {
		void *next = *(void **)p->chunks;

		munmap(p->chunks, bytes);
		p->chunks = next;
	}
	p->free = NULL;
	p->used = p->total = 0;
}

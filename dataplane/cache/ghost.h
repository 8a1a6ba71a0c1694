/*
 * ghost.h: S3-FIFO's ghost queue: keys of objects that left the small queue unused, with the weight
 * they had, oldest out first, at most `weight_max` of weight and `entries_max` of keys. The
 * writer's alone.
 *
 *   spate_ghost_add(g, key, weight)       forgets the oldest as needed
 *   spate_ghost_take(g, key)              was it there? it is not any more
 *
 * 64 bits of the key stand for it: a mix-up (2^-64 a pair) would admit one object to the wrong
 * queue.
 */
#ifndef SPATE_CACHE_GHOST_H
#define SPATE_CACHE_GHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spate_ghost_entry {
	uint64_t key;
	uint32_t weight;
	uint32_t chain; /* next in the hash chain, or in the free list */
	uint32_t older, newer;
};

struct spate_ghost {
	struct spate_ghost_entry *entry;
	uint32_t *head; /* hash chains */
	uint32_t mask;
	uint32_t entries_max, entries;
	uint32_t made; /* entries [0, made) were used before; the rest is untouched memory */
	uint32_t oldest, newest, free;
	uint64_t weight_max, weight;
};

size_t spate_ghost_bytes(uint32_t entries_max); /* multiple of 64 */
/* mem: zeroed, spate_ghost_bytes(entries_max). */
void spate_ghost_init(struct spate_ghost *g, void *mem, uint32_t entries_max, uint64_t weight_max);
void spate_ghost_add(struct spate_ghost *g, uint64_t key, uint32_t weight);
bool spate_ghost_take(struct spate_ghost *g, uint64_t key);

#endif

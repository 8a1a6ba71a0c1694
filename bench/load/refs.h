/*
 * refs.h: what the first transfer of a range looked like, to hold later ones against: a table from
 * (URL, first byte, last byte) to XXH3-64. Whole objects are in the plan. One thread's.
 */
#ifndef SPATE_LOAD_REFS_H
#define SPATE_LOAD_REFS_H

#include <stdbool.h>
#include <stdint.h>

struct load_refs;

struct load_refs *load_refs_create(void);
void load_refs_destroy(struct load_refs *t);

/* True: as it was, or this is the first one (or there is no memory to remember it). */
bool load_refs_same(struct load_refs *t, uint32_t url, uint64_t first, uint64_t last,
		    uint64_t hash);

#endif

/*
 * zipf.h: which of n items comes next: rank k (from 0) with a probability proportional to
 * 1/(k+1)^s; s = 0 is uniform. Walker's alias method (Vose, 1991): one random word, one table line
 * a draw, whatever n and s are.
 *
 *   load_zipf_init(&z, n, s) -> load_zipf_draw(&z, &seed) ... -> load_zipf_finish(&z)
 *
 * The table is read only after init: threads share it, each with a seed of its own.
 */
#ifndef SPATE_LOAD_ZIPF_H
#define SPATE_LOAD_ZIPF_H

#include <stddef.h>
#include <stdint.h>

struct load_zipf_entry {
	uint32_t keep; /* of 2^32: the chance that the entry stands for itself */
	uint32_t alias;
};

struct load_zipf {
	uint32_t n;
	struct load_zipf_entry *entry; /* NULL: uniform */
};

/* 0, -EINVAL (n is 0, s negative) or -ENOMEM. */
int load_zipf_init(struct load_zipf *z, uint32_t n, double s);
void load_zipf_finish(struct load_zipf *z);

/* SplitMix64 (Steele et al., 2014): any start value will do. */
static inline uint64_t load_random(uint64_t *seed)
{
	uint64_t x = *seed += 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static inline uint32_t load_zipf_draw(const struct load_zipf *z, uint64_t *seed)
{
	uint64_t r = load_random(seed);
	uint32_t i = (uint32_t)(((r >> 32) * z->n) >> 32); /* Lemire's way to scale */

	if (z->entry == NULL || (uint32_t)r <= z->entry[i].keep)
		return i;
	return z->entry[i].alias;
}

#endif

/*
 * hist.c: slots of hist.h. Below 2^7 a slot is one value; from there each power of two has 128:
 *
 *     value   0 .. 127 | 128 .. 255 | 256 .. 511 | 512 .. 1023 | ...
 *     step         1   |      1     |      2     |       4     |
 *     slot    0 .. 127 | 128 .. 255 | 256 .. 383 | 384 ..  511 | ...
 */
#include "bench/load/hist.h"

#include <math.h>

static unsigned slot_of(uint64_t v)
{
	unsigned bits;

	if (v < LOAD_HIST_SUB)
		return (unsigned)v;
	bits = 63 - (unsigned)__builtin_clzll(v);
	if (bits >= LOAD_HIST_MAX_BITS)
		return LOAD_HIST_SLOTS - 1;
	unsigned shift = bits - LOAD_HIST_SUB_BITS;

	return (shift + 1) * LOAD_HIST_SUB + (unsigned)((v >> shift) - LOAD_HIST_SUB);
}

/* The largest value of a slot. */
static uint64_t end_of(unsigned slot)
{
	unsigned shift;

	if (slot < 2 * LOAD_HIST_SUB)
		return slot;
	shift = slot / LOAD_HIST_SUB - 1;
	return (((uint64_t)(slot % LOAD_HIST_SUB) + LOAD_HIST_SUB + 1) << shift) - 1;
}

void load_hist_add(struct load_hist *h, uint64_t value)
{
	if (h->count == 0 || value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
	h->count++;
	h->sum += value;
	h->slot[slot_of(value)]++;
}

void load_hist_merge(struct load_hist *to, const struct load_hist *from)
{
	if (from->count == 0)
		return;
	if (to->count == 0 || from->min < to->min)
		to->min = from->min;
	if (from->max > to->max)
		to->max = from->max;
	to->count += from->count;
	to->sum += from->sum;
	for (unsigned i = 0; i < LOAD_HIST_SLOTS; i++)
		to->slot[i] += from->slot[i];
}

uint64_t load_hist_at(const struct load_hist *h, double share)
{
	uint64_t want = (uint64_t)ceil(share * (double)h->count), seen = 0;

	if (h->count == 0)
		return 0;
	for (unsigned i = 0; i < LOAD_HIST_SLOTS; i++) {
		seen += h->slot[i];
		if (seen >= want && seen != 0)
			return i < LOAD_HIST_SLOTS - 1 && end_of(i) < h->max ? end_of(i) : h->max;
	}
	return h->max;
}

double load_hist_mean(const struct load_hist *h)
{
	return h->count == 0 ? 0 : (double)h->sum / (double)h->count;
}

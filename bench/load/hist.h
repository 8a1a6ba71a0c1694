/*
 * hist.h: a latency histogram of fixed size and bounded relative error, after the idea of
 * HdrHistogram (G. Tene): a power of two is cut into LOAD_HIST_SUB equal steps, so any value is
 * known to within 1/128 of itself (0.8 %), from 1 ns to 2^41 ns (36 minutes), in 35 KiB and with
 * one increment a value.
 *
 * One thread writes; merge after it has ended. A histogram of zeros is empty and ready.
 */
#ifndef SPATE_LOAD_HIST_H
#define SPATE_LOAD_HIST_H

#include <stdint.h>

#define LOAD_HIST_SUB_BITS 7
#define LOAD_HIST_SUB      (1u << LOAD_HIST_SUB_BITS)
#define LOAD_HIST_MAX_BITS 41
#define LOAD_HIST_SLOTS    ((LOAD_HIST_MAX_BITS - LOAD_HIST_SUB_BITS + 1) * LOAD_HIST_SUB)

struct load_hist {
	uint64_t count, sum, min, max; /* exact; min and max only with count != 0 */
	uint64_t slot[LOAD_HIST_SLOTS];
};

/* Values over the range count as the largest slot; max stays exact. */
void load_hist_add(struct load_hist *h, uint64_t value);
void load_hist_merge(struct load_hist *to, const struct load_hist *from);

/*
 * The smallest value v such that at least `share` (0 to 1) of all values are <= v, rounded up to
 * its slot's end but never over max. 0 when empty.
 */
uint64_t load_hist_at(const struct load_hist *h, double share);
double load_hist_mean(const struct load_hist *h);

#endif

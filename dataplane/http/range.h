/*
 * range.h: the Range header field (RFC 9110 14). Pure.
 *
 *   switch (spate_http_range(r.range, size, &set)) {
 *   case SPATE_RANGE_WHOLE:         answer 200 with everything
 *   case SPATE_RANGE_PARTS:         206: set.n == 1 with Content-Range, else multipart/byteranges
 *   case SPATE_RANGE_UNSATISFIABLE: 416, its Content-Range a star and the size
 *   case SPATE_RANGE_NEEDS_SIZE:    only with an unknown size: wait for it, or answer 200
 *   }
 *
 * Choices the RFC leaves: overlapping and touching ranges are merged into the earliest of them, the
 * others keep the order of the request (15.3.7.2); unsatisfiable ones among others are dropped;
 * invalid syntax, units other than bytes, more than SPATE_RANGES_MAX parts after merging and more
 * than SPATE_RANGE_SPECS_MAX specifiers are ignored (14.2: "MAY ignore"), which is 200. A suffix of
 * an empty representation is satisfiable (14.1.2) but no Content-Range can say so: 200 too.
 *
 * Size unknown (SPATE_SIZE_UNKNOWN: an origin that sends chunked, still filling): "first-last" can
 * be answered as soon as byte `last` is there, with complete-length "*": PARTS. "first-" and
 * "-suffix" can't: NEEDS_SIZE.
 */
#ifndef SPATE_HTTP_RANGE_H
#define SPATE_HTTP_RANGE_H

#include <stdint.h>

#include "dataplane/http/slice.h"
#include "spate/cache.h"

#define SPATE_RANGES_MAX      8
#define SPATE_RANGE_SPECS_MAX 64

struct spate_range {
	uint64_t first, last; /* bytes, both inclusive; last < size when the size is known */
};

struct spate_ranges {
	unsigned n;
	struct spate_range part[SPATE_RANGES_MAX];
};

enum spate_range_verdict {
	SPATE_RANGE_WHOLE,
	SPATE_RANGE_PARTS,
	SPATE_RANGE_UNSATISFIABLE,
	SPATE_RANGE_NEEDS_SIZE,
};

/*
 * value: of the field, or absent (WHOLE). set is filled on PARTS, set->n is 0 otherwise. Only GET
 * has ranges (14.2).
 */
enum spate_range_verdict spate_http_range(struct spate_slice value, uint64_t size,
					  struct spate_ranges *set);

/* Bytes of all parts together. */
static inline uint64_t spate_ranges_total(const struct spate_ranges *set)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < set->n; i++)
		total += set->part[i].last - set->part[i].first + 1;
	return total;
}

#endif

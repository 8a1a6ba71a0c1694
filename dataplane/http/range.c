#include "dataplane/http/range.h"

enum spec {
	SPEC_CLOSED, /* first-last */
	SPEC_OPEN,   /* first- */
	SPEC_SUFFIX, /* -n */
	SPEC_BAD,
};

/* Digits at s->p; too large saturates, for any position past the end means the same. False: no
 * digit. */
static bool take_number(struct spate_slice *s, uint64_t *out)
{
	uint64_t v = 0;
	uint32_t i = 0;

	for (; i < s->len; i++) {
		unsigned d = (unsigned)(uint8_t)s->p[i] - '0';

		if (d > 9)
			break;
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, d, &v))
			v = UINT64_MAX;
	}
	s->p += i;
	s->len -= i;
	*out = v;
	return i > 0;
}

/* One range-spec (RFC 9110 14.1.1); for a suffix *first is its length. */
static enum spec parse_spec(struct spate_slice s, uint64_t *first, uint64_t *last)
{
	bool has_first = take_number(&s, first);

	if (s.len == 0 || s.p[0] != '-')
		return SPEC_BAD;
	s.p++;
	s.len--;

	bool has_last = take_number(&s, last);

	if (s.len > 0 || (!has_first && !has_last))
		return SPEC_BAD;
	if (!has_first) {
		*first = *last;
		return SPEC_SUFFIX;
	}
	if (!has_last)
		return SPEC_OPEN;
	return *last >= *first ? SPEC_CLOSED : SPEC_BAD;
}

static bool touches(const struct spate_range *a, const struct spate_range *b)
{
	/* Adjacent counts; first - 1 can't wrap where it is looked at. */
	return (a->first == 0 || b->last >= a->first - 1) &&
	       (b->first == 0 || a->last >= b->first - 1);
}

/* Merges add into the earliest part it touches, then what that touches. False: no room. */
static bool add_part(struct spate_ranges *set, struct spate_range add)
{
	unsigned at = 0;

	while (at < set->n && !touches(&set->part[at], &add))
		at++;
	if (at == set->n) {
		if (set->n == SPATE_RANGES_MAX)
			return false;
		set->part[set->n++] = add;
		return true;
	}

	struct spate_range *into = &set->part[at];

	if (add.first < into->first)
		into->first = add.first;
	if (add.last > into->last)
		into->last = add.last;

	/* Only parts after it can touch it now, and none of those touch each other. */
	unsigned keep = at + 1;

	for (unsigned i = at + 1; i < set->n; i++) {
		if (touches(into, &set->part[i])) {
			if (set->part[i].first < into->first)
				into->first = set->part[i].first;
			if (set->part[i].last > into->last)
				into->last = set->part[i].last;
		} else {
			set->part[keep++] = set->part[i];
		}
	}
	set->n = keep;
	return true;
}

/* What a spec means when there are `size` bytes; false: unsatisfiable (RFC 9110 14.1.2). */
static bool resolve(enum spec kind, uint64_t size, struct spate_range *r)
{
	if (kind == SPEC_SUFFIX) {
		if (r->first == 0 || size == 0)
			return false;
		r->first = r->first < size ? size - r->first : 0;
		r->last = size - 1;
		return true;
	}
	if (r->first >= size)
		return false;
	if (kind == SPEC_OPEN || r->last >= size)
		r->last = size - 1;
	return true;
}

enum spate_range_verdict spate_http_range(struct spate_slice value, uint64_t size,
					  struct spate_ranges *set)
{
	const struct spate_slice unit = SPATE_SLICE("bytes=");
	const bool unknown = size == SPATE_SIZE_UNKNOWN;
	/* Whatever the size is, it fits an off_t: so no length can overflow later on. */
	const uint64_t limit = unknown ? INT64_MAX : size;
	bool needs_size = false, whole = false;
	unsigned specs = 0;
	struct spate_slice spec;

	set->n = 0;
	if (value.len <= unit.len || !spate_slice_is(spate_slice_of(value.p, unit.len), unit))
		return SPATE_RANGE_WHOLE;
	value = spate_slice_of(value.p + unit.len, value.len - unit.len);

	while (spate_slice_next(&value, &spec)) {
		struct spate_range r;
		enum spec kind = parse_spec(spec, &r.first, &r.last);

		if (kind == SPEC_BAD || ++specs > SPATE_RANGE_SPECS_MAX) {
			whole = true;
			break;
		}
		if (kind == SPEC_SUFFIX && size == 0 && r.first > 0)
			whole = true; /* satisfiable, but not to be said: see range.h */
		if (!resolve(kind, limit, &r))
			continue;
		if (unknown && kind != SPEC_CLOSED)
			needs_size = true;
		else if (!add_part(set, r))
			whole = true;
	}
	if (specs == 0 || whole || needs_size) {
		set->n = 0;
		return needs_size && !whole ? SPATE_RANGE_NEEDS_SIZE : SPATE_RANGE_WHOLE;
	}
	return set->n > 0 ? SPATE_RANGE_PARTS : SPATE_RANGE_UNSATISFIABLE;
}

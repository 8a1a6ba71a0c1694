/*
 * range.c: any bytes as a Range value, of a representation whose size the first byte picks. Parts
 * lie inside, are apart from each other, and cover what a plain reading of the same text covers.
 */
#include "check.h"
#include "dataplane/http/range.h"

static bool covered(const struct spate_ranges *set, uint64_t byte)
{
	for (unsigned i = 0; i < set->n; i++)
		if (byte >= set->part[i].first && byte <= set->part[i].last)
			return true;
	return false;
}

static bool apart(const struct spate_range *a, const struct spate_range *b)
{
	return a->last + 1 < b->first || b->last + 1 < a->first;
}

/* Valid text only ("PARTS" was the answer): is byte asked for? Numbers that do not fit are as good
 * as infinite. */
static bool asked(struct spate_slice list, uint64_t size, uint64_t byte)
{
	struct spate_slice spec;

	list.p += sizeof("bytes=") - 1;
	list.len -= sizeof("bytes=") - 1;
	while (spate_slice_next(&list, &spec)) {
		const char *dash = memchr(spec.p, '-', spec.len);
		struct spate_slice a, b;
		uint64_t first = UINT64_MAX, last = UINT64_MAX;

		CHECK(dash != NULL);
		a = spate_slice_of(spec.p, (size_t)(dash - spec.p));
		b = spate_slice_of(dash + 1, spec.len - a.len - 1);
		spate_slice_u64(a, &first);
		spate_slice_u64(b, &last);
		if (a.len == 0) {
			if (byte < size && size - byte <= last)
				return true;
		} else if (byte >= first && byte <= last) {
			return true;
		}
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t sizes[] = {0,    1,          2,         100,
					 1000, 1ull << 40, INT64_MAX, SPATE_SIZE_UNKNOWN};
	struct spate_ranges set;

	if (size == 0)
		return 0;

	uint64_t length = sizes[data[0] % 8];
	struct spate_slice value = spate_slice_of(data + 1, size - 1);
	enum spate_range_verdict v = spate_http_range(value, length, &set);

	CHECK(v != SPATE_RANGE_NEEDS_SIZE || length == SPATE_SIZE_UNKNOWN);
	if (v != SPATE_RANGE_PARTS) {
		CHECK(set.n == 0);
		return 0;
	}
	CHECK(set.n >= 1 && set.n <= SPATE_RANGES_MAX);
	for (unsigned i = 0; i < set.n; i++) {
		CHECK(set.part[i].first <= set.part[i].last);
		CHECK(length == SPATE_SIZE_UNKNOWN || set.part[i].last < length);
		for (unsigned k = 0; k < i; k++)
			CHECK(length == SPATE_SIZE_UNKNOWN || apart(&set.part[i], &set.part[k]));
	}
	CHECK(length == SPATE_SIZE_UNKNOWN || spate_ranges_total(&set) <= length);
	for (uint64_t byte = 0; byte < 1000 && byte < length; byte++)
		CHECK(covered(&set, byte) == asked(value, length, byte));
	return 0;
}

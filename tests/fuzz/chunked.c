/* chunked.c: any bytes as a chunked body: the same content, end and verdict however it is cut. */
#include "check.h"
#include "dataplane/http/chunked.h"

struct result {
	enum spate_chunked_verdict verdict;
	size_t used, n;
	uint8_t body[1 << 16];
};

/* Cuts after pseudo-random lengths of at most `most` bytes. */
static void decode(const uint8_t *data, size_t size, size_t most, uint32_t seed, struct result *out)
{
	struct spate_chunked c;
	size_t have = 0;

	out->used = out->n = 0;
	out->verdict = SPATE_CHUNKED_NEED_MORE;
	spate_chunked_init(&c);
	while (have < size) {
		seed = seed * 1664525 + 1013904223;
		have += 1 + (seed >> 8) % most;
		if (have > size)
			have = size;
		while (out->used < have) {
			const uint8_t *p = data + out->used;
			struct spate_slice body;
			size_t used;

			out->verdict = spate_chunked_next(&c, p, have - out->used, &used, &body);
			CHECK(used <= have - out->used);
			out->used += used;
			if (out->verdict == SPATE_CHUNKED_DONE || out->verdict == SPATE_CHUNKED_BAD)
				return;
			CHECK((out->verdict == SPATE_CHUNKED_BODY) == (body.len > 0));
			CHECK(inside(body, p, used));
			CHECK(out->verdict == SPATE_CHUNKED_BODY || out->used == have);
			if (body.len > 0)
				memcpy(out->body + out->n, body.p, body.len);
			out->n += body.len;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct result whole, pieces;

	if (size == 0 || size > sizeof(whole.body))
		return 0;
	decode(data, size, size, 1, &whole);
	for (size_t most = 1; most <= 16; most *= 4) {
		decode(data, size, most, (uint32_t)size, &pieces);
		CHECK(pieces.used == whole.used && pieces.n == whole.n);
		CHECK(memcmp(pieces.body, whole.body, whole.n) == 0);
		bool ended =
			whole.verdict == SPATE_CHUNKED_DONE || whole.verdict == SPATE_CHUNKED_BAD;
		CHECK(!ended || pieces.verdict == whole.verdict);
	}
	return 0;
}

/* The low-level calls: they work on the stack, where EVP would allocate for each hash. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "dataplane/bt/fast.h"

#include <openssl/sha.h>
#include <stdbool.h>
#include <string.h>

#include "dataplane/bt/message.h"
#include "dataplane/stream/stream.h"

static bool in(const uint32_t *set, unsigned n, uint32_t piece)
{
	for (unsigned i = 0; i < n; i++)
		if (set[i] == piece)
			return true;
	return false;
}

unsigned spate_bt_fast_set(const uint8_t ip[16], const uint8_t infohash[SPATE_INFOHASH_BYTES],
			   uint32_t pieces, unsigned k, uint32_t *out)
{
	uint8_t seed[8 + SPATE_INFOHASH_BYTES] = {0}, x[SHA_DIGEST_LENGTH];
	unsigned n = 0, at;

	if (spate_addr_is_ip4(ip)) {
		memcpy(seed, ip + 12, 3); /* and a zero */
		at = 4;
	} else {
		memcpy(seed, ip, 8);
		at = 8;
	}
	memcpy(seed + at, infohash, SPATE_INFOHASH_BYTES);
	if (pieces <= k) {
		for (; n < pieces; n++)
			out[n] = n;
		return n;
	}
	SHA1(seed, at + SPATE_INFOHASH_BYTES, x);
	for (;;) {
		for (unsigned i = 0; i < SHA_DIGEST_LENGTH; i += 4) {
			uint32_t piece = spate_bt_get32(x + i) % pieces;

			if (!in(out, n, piece))
				out[n++] = piece;
			if (n == k)
				return n;
		}
		SHA1(x, sizeof(x), x);
	}
}

/*
 * siphash.h: SipHash (Aumasson and Bernstein, 2012) over whole 64-bit words, which is all we hash:
 * 1-3 for tables, 2-4 where an attacker sees results (ISNs and cookies, RFC 6528; connection ids
 * and tokens of the tracker).
 */
#ifndef SPATE_UTIL_SIPHASH_H
#define SPATE_UTIL_SIPHASH_H

#include <stdint.h>

static inline uint64_t sip_rotl(uint64_t x, int b)
{
	return (x << b) | (x >> (64 - b));
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = sip_rotl(v[1], 13) ^ v[0];
	v[0] = sip_rotl(v[0], 32);
	v[2] += v[3];
	v[3] = sip_rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = sip_rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = sip_rotl(v[1], 17) ^ v[2];
	v[2] = sip_rotl(v[2], 32);
}

/* n words; the last block is only the length, as for a message of 8n bytes. c, d: rounds. */
static inline uint64_t siphash(const uint64_t key[2], const uint64_t *w, unsigned n, int c, int d)
{
	uint64_t v[4] = {
		key[0] ^ 0x736f6d6570736575ull,
		key[1] ^ 0x646f72616e646f6dull,
		key[0] ^ 0x6c7967656e657261ull,
		key[1] ^ 0x7465646279746573ull,
	};

	for (unsigned i = 0; i <= n; i++) {
		uint64_t m = i < n ? w[i] : (uint64_t)(8 * n) << 56;

		v[3] ^= m;
		for (int r = 0; r < c; r++)
			sip_round(v);
		v[0] ^= m;
	}
	v[2] ^= 0xff;
	for (int r = 0; r < d; r++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif

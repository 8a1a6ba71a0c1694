/* csum.h: the Internet checksum (RFC 1071) as TCP needs it. */
#ifndef SPATE_TCP_CSUM_H
#define SPATE_TCP_CSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dataplane/tcp/tcp.h"

/* Sum of 16-bit words in memory order, unfolded. Odd lengths only at the end. */
static inline uint64_t csum_add(uint64_t sum, const void *data, size_t n)
{
	const uint8_t *p = data;

	while (n >= 4) {
		uint32_t w;

		memcpy(&w, p, 4);
		sum += w;
		p += 4;
		n -= 4;
	}
	if (n > 0) {
		uint32_t w = 0;

		memcpy(&w, p, n);
		sum += w;
	}
	return sum;
}

static inline uint16_t csum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Addresses and protocol, without the length. */
static inline uint64_t csum_pseudo(const uint8_t *src, const uint8_t *dst, bool v6)
{
	return csum_add(csum_add(__builtin_bswap16(6), src, v6 ? 16 : 4), dst, v6 ? 16 : 4);
}

static inline bool tcp_csum_good(const struct spate_tcp_in *in)
{
	uint64_t sum = csum_pseudo(in->src, in->dst, in->v6);

	sum += __builtin_bswap16((uint16_t)in->len);
	return csum_fold(csum_add(sum, in->seg, in->len)) == 0xffff;
}

#endif

/*
 * checksum.h: the Internet checksum (RFC 1071) and its incremental update (RFC 1624).
 *
 * A sum is a 64-bit accumulator of 16-bit words in memory order (so no byte is ever swapped);
 * sums of pieces are added, a piece that starts at an odd offset is swapped first
 * (spate_csum_odd). fold gives the 16 bits to store after ~. Two's worth of AVX2 with its plain
 * twin; tests/unit/net compares them.
 */
#ifndef SPATE_CHECKSUM_H
#define SPATE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

uint64_t spate_csum_plain(const void *p, size_t n);
uint64_t spate_csum_avx2(const void *p, size_t n); /* only where the CPU has it */
/* The fastest there is. */
uint64_t spate_csum(const void *p, size_t n);
/* Over pieces as if they were one run. */
uint64_t spate_csum_iov(uint64_t sum, const struct iovec *iov, unsigned n);

static inline uint16_t spate_csum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* The sum of a piece that started at an odd offset, as part of the whole. */
static inline uint64_t spate_csum_odd(uint64_t sum)
{
	uint16_t s = spate_csum_fold(sum);

	return (uint16_t)(s << 8 | s >> 8);
}

/* n a multiple of 4, small, known at compile time: headers. */
static inline uint64_t spate_csum_words(const void *p, size_t n)
{
	uint64_t sum = 0;
	uint32_t w;

	for (size_t i = 0; i < n; i += 4) {
		memcpy(&w, (const uint8_t *)p + i, 4);
		sum += w;
	}
	return sum;
}

#endif

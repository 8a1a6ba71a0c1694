/*
 * checksum.c: one's complement sums. Both twins add 32-bit words into 64-bit lanes, which cannot
 * overflow below 2^32 words, and leave the carries to the fold.
 */
#include "dataplane/net/checksum.h"

#include <immintrin.h>

uint64_t spate_csum_plain(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint64_t sum = 0;
	uint32_t w;
	uint16_t h;

	for (; n >= 4; n -= 4, b += 4) {
		memcpy(&w, b, 4);
		sum += w;
	}
	if (n >= 2) {
		memcpy(&h, b, 2);
		sum += h;
		n -= 2;
		b += 2;
	}
	if (n != 0)
		sum += *b; /* the missing byte counts as 0 and comes last: the high byte, in memory
			      order */
	return sum;
}

/*
 * 64 bytes a turn: each 32-byte load is split into its even and odd 32-bit words, each widened to
 * 64 bits by a mask or a shift, and added in four independent accumulators.
 */
__attribute__((target("avx2"))) uint64_t spate_csum_avx2(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint64_t lane[4];

	if (n < 64)
		return spate_csum_plain(p, n);
	__m256i low = _mm256_set1_epi64x(0xffffffff);
	__m256i s0 = _mm256_setzero_si256(), s1 = s0, s2 = s0, s3 = s0;

	for (; n >= 64; n -= 64, b += 64) {
		__m256i x = _mm256_loadu_si256((const __m256i *)(const void *)b);
		__m256i y = _mm256_loadu_si256((const __m256i *)(const void *)(b + 32));

		s0 = _mm256_add_epi64(s0, _mm256_and_si256(x, low));
		s1 = _mm256_add_epi64(s1, _mm256_srli_epi64(x, 32));
		s2 = _mm256_add_epi64(s2, _mm256_and_si256(y, low));
		s3 = _mm256_add_epi64(s3, _mm256_srli_epi64(y, 32));
	}
	s0 = _mm256_add_epi64(_mm256_add_epi64(s0, s1), _mm256_add_epi64(s2, s3));
	_mm256_storeu_si256((__m256i *)(void *)lane, s0);
	return lane[0] + lane[1] + lane[2] + lane[3] + spate_csum_plain(b, n);
}

uint64_t spate_csum(const void *p, size_t n)
{
	return __builtin_cpu_supports("avx2") ? spate_csum_avx2(p, n) : spate_csum_plain(p, n);
}

uint64_t spate_csum_iov(uint64_t sum, const struct iovec *iov, unsigned n)
{
	size_t at = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t s = spate_csum(iov[i].iov_base, iov[i].iov_len);

		sum += at & 1 ? spate_csum_odd(s) : s;
		at += iov[i].iov_len;
	}
	return sum;
}

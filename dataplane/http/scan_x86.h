/*
 * scan_x86.h: the scans of scan.h over 16 (SSE4.2 machines; the instructions are SSSE3) and 32
 * bytes (AVX2) at a time. Included by scan.c and by the parsers that inline it. The last bytes of a
 * buffer go through the plain twin.
 */
#ifndef SPATE_HTTP_SCAN_X86_H
#define SPATE_HTTP_SCAN_X86_H

#include "dataplane/http/scan_plain.h"

#if defined(__x86_64__)
#define SPATE_SCAN_X86 1

#include <immintrin.h>

#define SSE42_TARGET __attribute__((target("sse4.2")))
#define AVX2_TARGET  __attribute__((target("avx2,bmi")))

/*
 * A tchar by its two nibbles: bit h of low[l] says whether the byte 0xhl is one. The high nibble
 * picks the bit; 8 and over pick none. pshufb does both look-ups for 16 bytes.
 */
#define TOKEN_LOW                                                                             \
	_mm_setr_epi8((char)0xe8, (char)0xfc, (char)0xf8, (char)0xfc, (char)0xfc, (char)0xfc, \
		      (char)0xfc, (char)0xfc, (char)0xf8, (char)0xf8, (char)0xf4, (char)0x54, \
		      (char)0xd0, (char)0x54, (char)0xf4, (char)0x70)
#define TOKEN_HIGH _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, (char)128, 0, 0, 0, 0, 0, 0, 0, 0)

/* A bit set for each of 16 bytes that is no tchar. */
#define NOT_TOKEN_16(v)                                                                         \
	(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(                                             \
		_mm_and_si128(_mm_shuffle_epi8(TOKEN_LOW, _mm_and_si128(v, _mm_set1_epi8(15))), \
			      _mm_shuffle_epi8(TOKEN_HIGH, _mm_and_si128(_mm_srli_epi16(v, 4),  \
									 _mm_set1_epi8(15)))),  \
		_mm_setzero_si128()))

/* Controls but HTAB, and DEL. */
#define NOT_VALUE_16(v)                                                                    \
	(unsigned)_mm_movemask_epi8(_mm_or_si128(                                          \
		_mm_andnot_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\t')),                   \
				 _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v)), \
		_mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f))))
#define NOT_VALUE_32(v)                                                                    \
	(unsigned)_mm256_movemask_epi8(_mm256_or_si256(                                    \
		_mm256_andnot_si256(                                                       \
			_mm256_cmpeq_epi8(v, _mm256_set1_epi8('\t')),                      \
			_mm256_cmpeq_epi8(_mm256_min_epu8(v, _mm256_set1_epi8(0x1f)), v)), \
		_mm256_cmpeq_epi8(v, _mm256_set1_epi8(0x7f))))

/* Signed: 0x80 and over are below 0x21 too. */
#define NOT_TARGET_16(v)                                                         \
	(unsigned)_mm_movemask_epi8(                                             \
		_mm_or_si128(_mm_cmpgt_epi8(_mm_set1_epi8(0x21), v),             \
			     _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('#')), \
					  _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)))))
#define NOT_TARGET_32(v)                                                                     \
	(unsigned)_mm256_movemask_epi8(                                                      \
		_mm256_or_si256(_mm256_cmpgt_epi8(_mm256_set1_epi8(0x21), v),                \
				_mm256_or_si256(_mm256_cmpeq_epi8(v, _mm256_set1_epi8('#')), \
						_mm256_cmpeq_epi8(v, _mm256_set1_epi8(0x7f)))))

#define SCAN_16(NOT)                                                           \
	while (end - p >= 16) {                                                \
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p); \
		unsigned bad = NOT(v);                                         \
                                                                               \
		if (bad != 0)                                                  \
			return p + __builtin_ctz(bad);                         \
		p += 16;                                                       \
	}
/*
 * The upper halves are cleared on every way out: what runs next may be SSE code, and gcc leaves
 * the clearing out before calls to static functions: 180 -> 500 cycles a short request, on a Xeon
 * with AVX-512.
 */
#define SCAN_32(NOT)                                                              \
	while (end - p >= 32) {                                                   \
		__m256i v = _mm256_loadu_si256((const __m256i *)(const void *)p); \
		unsigned bad = NOT(v);                                            \
                                                                                  \
		if (bad != 0) {                                                   \
			_mm256_zeroupper();                                       \
			return p + __builtin_ctz(bad);                            \
		}                                                                 \
		p += 32;                                                          \
	}                                                                         \
	_mm256_zeroupper();

SSE42_TARGET static inline const uint8_t *scan_token_sse42(const uint8_t *p, const uint8_t *end)
{
	SCAN_16(NOT_TOKEN_16)
	return scan_token_plain(p, end);
}

SSE42_TARGET static inline const uint8_t *scan_value_sse42(const uint8_t *p, const uint8_t *end)
{
	SCAN_16(NOT_VALUE_16)
	return scan_value_plain(p, end);
}

SSE42_TARGET static inline const uint8_t *scan_target_sse42(const uint8_t *p, const uint8_t *end)
{
	SCAN_16(NOT_TARGET_16)
	return scan_target_plain(p, end);
}

/* Names are short: 16 bytes hold nearly all of them. */
AVX2_TARGET static inline const uint8_t *scan_token_avx2(const uint8_t *p, const uint8_t *end)
{
	SCAN_16(NOT_TOKEN_16)
	return scan_token_plain(p, end);
}

AVX2_TARGET static inline const uint8_t *scan_value_avx2(const uint8_t *p, const uint8_t *end)
{
	SCAN_32(NOT_VALUE_32)
	SCAN_16(NOT_VALUE_16)
	return scan_value_plain(p, end);
}

AVX2_TARGET static inline const uint8_t *scan_target_avx2(const uint8_t *p, const uint8_t *end)
{
	SCAN_32(NOT_TARGET_32)
	SCAN_16(NOT_TARGET_16)
	return scan_target_plain(p, end);
}

#endif
#endif

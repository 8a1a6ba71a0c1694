/*
 * scan.h: where does a run of allowed bytes end? The three questions a head parser asks, over 16 or
 * 32 bytes at a time where the CPU can. Each scan returns the first byte in [p, end) that is not of
 * its class, or end. Nothing at or past end is read, so a buffer may end where a page does.
 *
 *   token   tchar: names of fields and methods (RFC 9110 5.6.2)
 *   value   HTAB, SP, VCHAR, obs-text: inside a field value (5.5); stops at CR, LF and
 *           every other control
 *   target  VCHAR but '#': a request target as far as a line can tell (RFC 9112 3.2)
 *
 * Parsers inline the scan of their instruction set (request.c); the tables here are for whoever
 * calls once in a while, and for the test that compares all of them.
 */
#ifndef SPATE_HTTP_SCAN_H
#define SPATE_HTTP_SCAN_H

#include <stddef.h>
#include <stdint.h>

#define SPATE_CHAR_TOKEN      1u
#define SPATE_CHAR_VALUE      2u
#define SPATE_CHAR_TARGET     4u
#define SPATE_CHAR_UNRESERVED 8u  /* RFC 3986 2.3 */
#define SPATE_CHAR_HOST       16u /* unreserved, sub-delims, '%': of a reg-name (3.2.2) */
#define SPATE_CHAR_URI        32u /* may stand in a path or a query as it is, '%' excepted */
#define SPATE_CHAR_HEX        64u

extern const uint8_t spate_char_class[256];

struct spate_scan {
	const char *name; /* "plain", "sse4.2", "avx2" */
	const uint8_t *(*token)(const uint8_t *p, const uint8_t *end);
	const uint8_t *(*value)(const uint8_t *p, const uint8_t *end);
	const uint8_t *(*target)(const uint8_t *p, const uint8_t *end);
};

enum spate_isa { SPATE_ISA_PLAIN, SPATE_ISA_SSE42, SPATE_ISA_AVX2, SPATE_ISAS };

/* The best this CPU has. */
enum spate_isa spate_isa_best(void);
/* Its scans; NULL when this CPU or this build has not got it. PLAIN is always there. */
const struct spate_scan *spate_scan_of(enum spate_isa isa);

#endif

/*
 * scan_plain.h: the scans of scan.h a byte at a time over one table: the twin that says what the
 * fast ones must do, and their tail. Included by scan.c and by the parsers that inline it.
 */
#ifndef SPATE_HTTP_SCAN_PLAIN_H
#define SPATE_HTTP_SCAN_PLAIN_H

#include "dataplane/http/scan.h"

static inline const uint8_t *scan_token_plain(const uint8_t *p, const uint8_t *end)
{
	while (p < end && (spate_char_class[*p] & SPATE_CHAR_TOKEN))
		p++;
	return p;
}

static inline const uint8_t *scan_value_plain(const uint8_t *p, const uint8_t *end)
{
	while (p < end && (spate_char_class[*p] & SPATE_CHAR_VALUE))
		p++;
	return p;
}

static inline const uint8_t *scan_target_plain(const uint8_t *p, const uint8_t *end)
{
	while (p < end && (spate_char_class[*p] & SPATE_CHAR_TARGET))
		p++;
	return p;
}

#endif

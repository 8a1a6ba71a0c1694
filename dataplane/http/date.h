/* date.h: HTTP-date (RFC 9110 5.6.7) to and from seconds since 1970 UTC. Pure, no locale. */
#ifndef SPATE_HTTP_DATE_H
#define SPATE_HTTP_DATE_H

#include <stdint.h>

#include "dataplane/http/slice.h"

#define SPATE_HTTP_DATE_LEN 29 /* "Sun, 06 Nov 1994 08:49:37 GMT" */

/*
 * All three forms: IMF-fixdate, RFC 850, asctime. now_s settles the century of RFC 850's two
 * digits: what would lie more than 50 years ahead is in the past. Dates before 1970 become 0. The
 * day name is checked for form, not against the date. False: not an HTTP-date, *out untouched.
 */
bool spate_http_date_parse(struct spate_slice s, int64_t now_s, int64_t *out);

/* IMF-fixdate, exactly SPATE_HTTP_DATE_LEN bytes, no NUL. t_s: 0 up to the year 9999, clamped. */
void spate_http_date_format(int64_t t_s, char out[static SPATE_HTTP_DATE_LEN]);

#endif

/*
 * uri.h: one spelling for each resource, so that the cache keeps it once (RFC 3986 6.2.2). Pure.
 *
 *   char buf[SPATE_URI_MAX(r.path_query.len)];   or any size: longer results are refused
 *   v = spate_http_uri_normalise(r.path_query, buf, sizeof(buf), &key);
 *
 * Done to path and query: percent-encoded unreserved characters are decoded, other
 * percent-encodings get upper-case hex, bytes that no URI may hold ("<>\^`{|}, controls, 8-bit) are
 * percent-encoded. To the path alone: an empty one becomes "/", dot segments are removed (encoded
 * ones too). Kept as they are: "%2F", empty segments ("//"), an empty query ("/a?"), the order of a
 * query: those may differ in meaning.
 *
 * Refused: a path that climbs above the root, %00, a '%' without two hex digits, '#', a path
 * without '/'.
 */
#ifndef SPATE_HTTP_URI_H
#define SPATE_HTTP_URI_H

#include "dataplane/http/slice.h"

#define SPATE_URI_MAX(len) ((size_t)(len)*3 + 1) /* no result is longer */

enum spate_uri_verdict {
	SPATE_URI_OK,
	SPATE_URI_BAD,      /* 400 */
	SPATE_URI_TOO_LONG, /* 414: cap bytes do not hold it */
};

/*
 * *out is the result: `path_query` itself when nothing had to change (the common case; buf
 * untouched), else a slice of buf. buf may not overlap path_query.
 */
enum spate_uri_verdict spate_http_uri_normalise(struct spate_slice path_query, char *buf,
						size_t cap, struct spate_slice *out);

#endif

/*
 * response.h: an origin's response head, parsed strictly (RFC 9112, RFC 9110). Pure: no I/O,
 * allocation, clock.
 *
 *   spate_response_init(&r, head_request);          once for each request sent
 *   v = spate_response_parse(p, len, &r);           p: the first byte that came back
 *
 *   SPATE_RESPONSE_NEED_MORE  call again with all bytes so far, at least one of them new (p may
 *                             move); an error may be told only when its line has ended
 *   SPATE_RESPONSE_OK         r is filled, slices point into p; the body begins at p + r.head_len,
 *                             and r.body says how it ends
 *   all others                502, and the connection is closed
 *
 * Interim responses (1xx) before the final one are skipped and counted into head_len; 101 is an
 * error, for we never ask for an upgrade. Ambiguous framing is an error and not repaired:
 * Content-Length with Transfer-Encoding, differing Content-Lengths, transfer codings other than a
 * lone "chunked", Transfer-Encoding in HTTP/1.0, obs-fold, bare CR or LF, white space before a
 * colon, control bytes.
 */
#ifndef SPATE_ORIGIN_RESPONSE_H
#define SPATE_ORIGIN_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/http/slice.h"

#define SPATE_RESPONSE_HEAD_MAX   65536 /* bytes, interim heads included */
#define SPATE_RESPONSE_FIELDS_MAX 256

enum spate_response_verdict {
	SPATE_RESPONSE_OK,
	SPATE_RESPONSE_NEED_MORE,
	SPATE_RESPONSE_BAD_LINE,    /* malformed, not HTTP/1.x, 101, a status outside 100..599 */
	SPATE_RESPONSE_BAD_FIELD,   /* field line malformed */
	SPATE_RESPONSE_BAD_FRAMING, /* how long the body is can't be told for sure */
	SPATE_RESPONSE_TOO_LARGE,
};

/* How the body ends (RFC 9112 6.3). */
enum spate_response_body {
	SPATE_BODY_NONE,    /* HEAD, 204, 304: no bytes follow, whatever Content-Length says */
	SPATE_BODY_LENGTH,  /* content_length bytes, may be 0 */
	SPATE_BODY_CHUNKED, /* dataplane/http/chunked.h */
	SPATE_BODY_CLOSE,   /* until the origin closes: nobody can tell a short one from a whole */
};

struct spate_response {
	uint32_t scanned;    /* parser's */
	uint32_t head_len;   /* bytes, interim responses included */
	uint32_t fields_off; /* where the final head's field lines begin */
	uint16_t status;
	uint16_t fields;
	uint8_t minor;     /* of HTTP/1.x */
	uint8_t body;      /* enum spate_response_body */
	bool head_request; /* init's */
	bool keep_alive;   /* the connection may carry another request once the body is read */
	bool has_length;
	bool has_set_cookie;
	bool chunked;            /* Transfer-Encoding: chunked was there, also when body is NONE */
	uint64_t content_length; /* valid with has_length; of the representation for HEAD and 304 */

	const char *head; /* the bytes parsed */

	/* The first of each field, without white space around it; absent when the field was. Lists
	 * (Cache-Control, Vary) may have more lines: walk them with spate_response_next(). */
	struct spate_slice content_type, content_encoding, content_range, date, age, expires,
		cache_control, etag, last_modified, location, retry_after, vary;
};

void spate_response_init(struct spate_response *r, bool head_request);
enum spate_response_verdict spate_response_parse(const uint8_t *p, size_t len,
						 struct spate_response *r);

/* Every field line of the final head in turn: *at is 0 before the first call. False at the end. */
bool spate_response_next(const struct spate_response *r, uint32_t *at, struct spate_slice *name,
			 struct spate_slice *value);

/*
 * Content-Range (RFC 9110 14.4): of a 206 "bytes first-last/size" or "bytes first-last/" and a star
 * (*size is SPATE_SIZE_UNKNOWN then), of a 416 a star, '/' and the size (*first is 1, *last 0
 * then). False: malformed, another unit, first > last, last >= size.
 */
bool spate_content_range_parse(struct spate_slice value, uint64_t *first, uint64_t *last,
			       uint64_t *size);

/*
 * Fields of the hop (RFC 9110 7.6.1), and those Spate writes itself: not to be kept in
 * spate_meta.head. Connection, Keep-Alive, Proxy-anything, TE, Trailer, Transfer-Encoding, Upgrade,
 * Content-Length, Content-Range, Age, Date, Set-Cookie, Accept-Ranges. What Connection lists is the
 * caller's to look at.
 */
bool spate_response_field_is_hop(struct spate_slice name);

#endif

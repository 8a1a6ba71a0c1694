/*
 * chunked.h: the chunked transfer coding, decoded strictly and incrementally (RFC 9112 7.1). Pure.
 *
 *   spate_chunked_init(&c);
 *   for (;;) {
 *           v = spate_chunked_next(&c, p, len, &used, &body);
 *           p += used, len -= used;          (body, if any, points into the bytes just used)
 *           BODY: body.len > 0 bytes of content
 *           NEED_MORE: everything was used; call again when more has come
 *           DONE: the last chunk and the trailers are behind us; what is left is the next message
 *           BAD: close
 *   }
 *
 * The result is the same however the input is cut. Chunk extensions are skipped and trailers
 * dropped (7.1.1, 7.1.2), each up to a bound for the whole message. Bare LF, white space before a
 * size, sizes over 2^63 are BAD.
 */
#ifndef SPATE_HTTP_CHUNKED_H
#define SPATE_HTTP_CHUNKED_H

#include "dataplane/http/slice.h"

#define SPATE_CHUNKED_EXTENSIONS_MAX 4096 /* bytes */
#define SPATE_CHUNKED_TRAILERS_MAX   8192 /* bytes */

struct spate_chunked {
	uint64_t left;       /* of the size line so far, then of the chunk's data */
	uint32_t extensions; /* bytes seen */
	uint32_t trailers;   /* bytes seen */
	uint8_t state;
	uint8_t digits;
};

enum spate_chunked_verdict {
	SPATE_CHUNKED_NEED_MORE,
	SPATE_CHUNKED_BODY,
	SPATE_CHUNKED_DONE,
	SPATE_CHUNKED_BAD,
};

void spate_chunked_init(struct spate_chunked *c);
enum spate_chunked_verdict spate_chunked_next(struct spate_chunked *c, const uint8_t *p, size_t len,
					      size_t *used, struct spate_slice *body);

#endif

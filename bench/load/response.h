/*
 * response.h: HTTP/1.1 responses from a stream of bytes (RFC 9112), as a client that trusts nobody:
 * what the framing says is held to, and anything else is an error.
 *
 *   load_response_begin(&r, head_only)      before each response; head_only: it answers a HEAD
 *   used = load_response_feed(&r, p, n, body, ctx)
 *                                           body(ctx, p, n) for each run of payload; a length of 0
 *                                           is never told. Stops after the response's last byte
 *   r.state == LOAD_RESPONSE_DONE           the next one begins at p + used
 *   load_response_eof(&r)                   the peer closed: ends a body that lasts until then
 *
 * Bytes that were thrown away unseen (net.h) are told by load_response_skip; load_response_rest
 * says how many could be.
 */
#ifndef SPATE_LOAD_RESPONSE_H
#define SPATE_LOAD_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOAD_HEAD_MAX 16384

enum load_response_state {
	LOAD_RESPONSE_HEAD,
	LOAD_RESPONSE_LENGTH,     /* a body of known length */
	LOAD_RESPONSE_CHUNK_SIZE, /* the line before a chunk */
	LOAD_RESPONSE_CHUNK,
	LOAD_RESPONSE_CHUNK_END, /* CRLF after a chunk */
	LOAD_RESPONSE_TRAILER,
	LOAD_RESPONSE_UNTIL_CLOSE,
	LOAD_RESPONSE_DONE,
	LOAD_RESPONSE_BAD,
};

struct load_response {
	enum load_response_state state;
	uint16_t status;
	bool head_only;
	bool close;       /* the server will close after this one */
	bool seen_length; /* Content-Length was there */
	uint64_t left;    /* of the body, or of the chunk */
	uint64_t body;    /* payload bytes so far */
	uint64_t total;   /* of the object, from Content-Range; else 0 */
	uint64_t first;   /* first byte, from Content-Range */
	uint32_t held;    /* bytes of an incomplete head or line in text */
	uint32_t line_digits;
	char *text; /* LOAD_HEAD_MAX bytes, kept over responses; NULL until needed */
};

void load_response_begin(struct load_response *r, bool head_only);
size_t load_response_feed(struct load_response *r, const uint8_t *p, size_t n,
			  void (*body)(void *ctx, const uint8_t *p, size_t n), void *ctx);
bool load_response_eof(struct load_response *r); /* true: it is whole now */
void load_response_finish(struct load_response *r);

/* Payload bytes that must still come, at least, in one run. */
static inline uint64_t load_response_rest(const struct load_response *r)
{
	return r->state == LOAD_RESPONSE_LENGTH ? r->left : 0;
}

/* n of those came and were thrown away; n is at most load_response_rest(). */
void load_response_skip(struct load_response *r, uint64_t n);

#endif

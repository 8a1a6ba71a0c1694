/*
 * request.h: one HTTP/1.x request head, parsed strictly (RFC 9112, RFC 9110). Pure: no I/O, no
 * allocation, no clock.
 *
 *   struct spate_http_request r;
 *   spate_http_request_init(&r);               once for each request
 *   v = spate_http_request_parse(p, len, &r);  p: the first byte of the request
 *
 *   SPATE_REQUEST_NEED_MORE  call again with the same r and all bytes so far, at least one of them
 *                            new (p may have moved); what was scanned is not scanned again, so an
 *                            error may be told only when its line has ended
 *   SPATE_REQUEST_OK         r is filled, its slices point into p; the head took r.head_len bytes,
 *                            then comes the body (r.chunked, r.content_length) or the next request
 *   all others               answer spate_http_request_status(v) and close: where the next request
 *                            begins can't be known; r holds nothing to rely on
 *
 * Then: spate_http_method_refused(r.method) for 405 and 501 (framing is intact, the connection may
 * stay), and spate_http_request_has_body(&r) where no bodies are taken: refuse and close, or decode
 * and drop.
 *
 * Refused, because two parsers could read it differently: bare CR or LF, NUL and other control
 * bytes, obs-fold, white space before the colon or around the request line, Content-Length that is
 * repeated, is not a number or meets Transfer-Encoding, Host missing or repeated or malformed,
 * fragments and userinfo in targets.
 */
#ifndef SPATE_HTTP_REQUEST_H
#define SPATE_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/http/method.h"
#include "dataplane/http/scan.h"
#include "dataplane/http/slice.h"

#define SPATE_REQUEST_LINE_MAX   8192  /* bytes, without CRLF; more is 414 (RFC 9112 3) */
#define SPATE_REQUEST_HEAD_MAX   16384 /* bytes, from request line to empty line; more is 431 */
#define SPATE_REQUEST_FIELDS_MAX 100   /* field lines; more is 431 */

enum spate_request_verdict {
	SPATE_REQUEST_OK,
	SPATE_REQUEST_NEED_MORE,
	SPATE_REQUEST_BAD_LINE,    /* 400: request line malformed */
	SPATE_REQUEST_BAD_TARGET,  /* 400: no form of RFC 9112 3.2, or not one for this method */
	SPATE_REQUEST_BAD_FIELD,   /* 400: field line malformed, control byte, obs-fold */
	SPATE_REQUEST_BAD_HOST,    /* 400: missing, repeated or malformed (RFC 9112 3.2) */
	SPATE_REQUEST_BAD_FRAMING, /* 400: Content-Length, Transfer-Encoding (RFC 9112 6) */
	SPATE_REQUEST_BAD_CODING,  /* 501: a transfer coding other than chunked (RFC 9112 6.1) */
	SPATE_REQUEST_BAD_VERSION, /* 505: HTTP, but not HTTP/1.x */
	SPATE_REQUEST_BAD_EXPECTATION, /* 417: other than 100-continue (RFC 9110 10.1.1) */
	SPATE_REQUEST_TARGET_TOO_LONG, /* 414 */
	SPATE_REQUEST_HEAD_TOO_LARGE,  /* 431 */
	SPATE_REQUEST_VERDICTS
};

/* RFC 9112 3.2. */
enum spate_request_form {
	SPATE_FORM_ORIGIN,    /* /path?query */
	SPATE_FORM_ABSOLUTE,  /* http://host/path?query */
	SPATE_FORM_AUTHORITY, /* host:port, CONNECT only */
	SPATE_FORM_ASTERISK,  /* *, OPTIONS only */
};

/* r.repeated */
#define SPATE_REPEATED_IF_MATCH      1u
#define SPATE_REPEATED_IF_NONE_MATCH 2u

struct spate_http_request {
	uint32_t scanned;  /* parser's: how far the last NEED_MORE looked */
	uint32_t head_len; /* bytes, an ignored leading CRLF and the closing CRLF CRLF included */
	uint8_t method;    /* enum spate_http_method */
	uint8_t form;      /* enum spate_request_form */
	uint8_t minor;     /* of HTTP/1.x: 0, 1; higher ones speak 1.1 (RFC 9110 2.5) */
	uint8_t repeated;  /* SPATE_REPEATED_*: the list goes on: spate_http_request_field() */
	uint16_t fields;   /* field lines */
	bool keep_alive;   /* RFC 9112 9.3 */
	bool expect_100;   /* HTTP/1.1 only */
	bool chunked;      /* the body is chunked */
	bool has_length;   /* Content-Length was there */
	uint64_t content_length; /* 0 without */

	const char *head; /* the bytes parsed: head_len of them */
	struct spate_slice method_name;
	struct spate_slice target; /* as sent, for the access log */

	/* "/path?query", raw: give it to spate_http_uri_normalise(). May be empty in absolute-form,
	 * is absent in authority- and asterisk-form. */
	struct spate_slice path_query;
	struct spate_slice path;  /* up to the '?' */
	struct spate_slice query; /* after the '?'; absent: there was none */
	struct spate_slice host;  /* "name:port"; an absolute-form target's, else Host's (3.2.2) */

	/* Field values without white space around them; absent when the field was. */
	struct spate_slice range;             /* repeated: absent, may be ignored (RFC 9110 14.2) */
	struct spate_slice if_range;          /* repeated: Range is dropped with it (13.1.5) */
	struct spate_slice if_match;          /* a list; its lines may be repeated (5.3) */
	struct spate_slice if_none_match;     /* likewise */
	struct spate_slice if_modified_since; /* repeated: absent, MUST be ignored (13.1.3) */
	struct spate_slice if_unmodified_since; /* repeated: absent, MUST be ignored (13.1.4) */
	struct spate_slice user_agent, referer, origin; /* the first, for log and CORS */
};

static inline void spate_http_request_init(struct spate_http_request *r)
{
	r->scanned = 0;
}

/* len: at least 1. Reads at most SPATE_REQUEST_HEAD_MAX bytes. Fills r on OK. */
enum spate_request_verdict spate_http_request_parse(const uint8_t *p, size_t len,
						    struct spate_http_request *r);

/* The same with the scans of one instruction set, for tests and benches; PLAIN where the CPU has
 * not got it. */
enum spate_request_verdict spate_http_request_parse_as(enum spate_isa isa, const uint8_t *p,
						       size_t len, struct spate_http_request *r);

/* 0 for OK and NEED_MORE, else the status to answer before closing. */
unsigned spate_http_request_status(enum spate_request_verdict v);

/*
 * The next line of field `name` (lower case) of a parsed head: *at is 0 before the first call and
 * the parser's afterwards. False at the end. Slow; for fields without a slice of their own and for
 * `repeated`.
 */
bool spate_http_request_field(const struct spate_http_request *r, struct spate_slice name,
			      uint32_t *at, struct spate_slice *value);

/* Bytes of a body follow the head (RFC 9112 6). */
static inline bool spate_http_request_has_body(const struct spate_http_request *r)
{
	return r->chunked || r->content_length > 0;
}

#endif

/* The request parser, a row a rule. Every row goes through every instruction set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dataplane/http/request.h"

#define HOST "Host: a\r\n"
#define GET  "GET / HTTP/1.1\r\n" HOST
#define END  "\r\n"

struct row {
	const char *rule, *head;
	enum spate_request_verdict want;
};

/* From memory of exactly its size, so that a sanitizer sees a byte too many. */
static enum spate_request_verdict parse_n(const char *head, size_t len,
					  struct spate_http_request *r)
{
	static uint8_t *copy; /* the slices of r point here */
	enum spate_request_verdict v = SPATE_REQUEST_OK;

	free(copy);
	copy = malloc(len);
	assert_non_null(copy);
	memcpy(copy, head, len);
	for (int isa = 0; isa < SPATE_ISAS; isa++) {
		spate_http_request_init(r);
		enum spate_request_verdict w =
			spate_http_request_parse_as((enum spate_isa)isa, copy, len, r);

		if (isa > 0 && w != v)
			fail_msg("isa %d says %d, plain %d: %.*s", isa, w, v, (int)len, head);
		v = w;
	}
	return v;
}

static enum spate_request_verdict parse(const char *head, struct spate_http_request *r)
{
	return parse_n(head, strlen(head), r);
}

static void check(const struct row *rows, size_t n)
{
	struct spate_http_request r;

	for (size_t i = 0; i < n; i++) {
		enum spate_request_verdict v = parse(rows[i].head, &r);

		if (v != rows[i].want)
			fail_msg("%s: got %d, want %d", rows[i].rule, v, rows[i].want);
	}
}

#define CHECK(rows) check(rows, sizeof(rows) / sizeof((rows)[0]))

static void assert_slice(struct spate_slice s, const char *want)
{
	if (want == NULL) {
		assert_null(s.p);
		return;
	}
	assert_non_null(s.p);
	assert_int_equal(s.len, strlen(want));
	assert_memory_equal(s.p, want, s.len);
}

static void request_line(void **state)
{
	static const struct row rows[] = {
		{"GET", GET END, SPATE_REQUEST_OK},
		{"9112 2.2: one empty line before is ignored", "\r\n" GET END, SPATE_REQUEST_OK},
		{"only one", "\r\n\r\n" GET END, SPATE_REQUEST_BAD_LINE},
		{"bare LF before", "\n" GET END, SPATE_REQUEST_BAD_LINE},
		{"bare CR before", "\rGET / HTTP/1.1\r\n" HOST END, SPATE_REQUEST_BAD_LINE},
		{"white space before", " " GET END, SPATE_REQUEST_BAD_LINE},
		{"two spaces after the method", "GET  / HTTP/1.1\r\n" HOST END,
		 SPATE_REQUEST_BAD_LINE},
		{"two spaces after the target", "GET /  HTTP/1.1\r\n" HOST END,
		 SPATE_REQUEST_BAD_LINE},
		{"tab after the method", "GET\t/ HTTP/1.1\r\n" HOST END, SPATE_REQUEST_BAD_LINE},
		{"space after the version", "GET / HTTP/1.1 \r\n" HOST END, SPATE_REQUEST_BAD_LINE},
		{"bare LF", "GET / HTTP/1.1\n" HOST END, SPATE_REQUEST_BAD_LINE},
		{"bare CR", "GET / HTTP/1.1\rHost: a\r\n\r\n", SPATE_REQUEST_BAD_LINE},
		{"HTTP/0.9", "GET /\r\n", SPATE_REQUEST_BAD_LINE},
		{"no method", " / HTTP/1.1\r\n" HOST END, SPATE_REQUEST_BAD_LINE},
		{"no target", "GET HTTP/1.1\r\n" HOST END, SPATE_REQUEST_BAD_LINE},
		{"the method is a token", "G\"T / HTTP/1.1\r\n" HOST END, SPATE_REQUEST_BAD_LINE},
		{"TLS knocks", "\x16\x03\x01\x02", SPATE_REQUEST_BAD_LINE},
		{"HTTP/2 knocks", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", SPATE_REQUEST_BAD_VERSION},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", SPATE_REQUEST_OK},
		{"9110 2.5: HTTP/1.9 is 1.1 to us", "GET / HTTP/1.9\r\n" HOST END,
		 SPATE_REQUEST_OK},
		{"HTTP/2.0", "GET / HTTP/2.0\r\n" HOST END, SPATE_REQUEST_BAD_VERSION},
		{"HTTP/0.9 said aloud", "GET / HTTP/0.9\r\n" HOST END, SPATE_REQUEST_BAD_VERSION},
		{"9112 2.3: case counts", "GET / http/1.1\r\n" HOST END, SPATE_REQUEST_BAD_LINE},
		{"one digit each", "GET / HTTP/1.10\r\n" HOST END, SPATE_REQUEST_BAD_LINE},
		{"another protocol", "GET / RTSP/1.0\r\n" HOST END, SPATE_REQUEST_BAD_LINE},
		{"refused before the line is whole", "GET / HTP", SPATE_REQUEST_BAD_LINE},
	};

	CHECK(rows);
}

static void target_forms(void **state)
{
	static const struct row rows[] = {
		{"9112 3.2.1 origin-form", "GET /a?b HTTP/1.1\r\n" HOST END, SPATE_REQUEST_OK},
		{"without slash", "GET a HTTP/1.1\r\n" HOST END, SPATE_REQUEST_BAD_TARGET},
		{"query alone", "GET ?a HTTP/1.1\r\n" HOST END, SPATE_REQUEST_BAD_TARGET},
		{"fragment", "GET /a#b HTTP/1.1\r\n" HOST END, SPATE_REQUEST_BAD_TARGET},
		{"8-bit", "GET /\xc3\xa4 HTTP/1.1\r\n" HOST END, SPATE_REQUEST_BAD_TARGET},
		{"DEL", "GET /\x7f HTTP/1.1\r\n" HOST END, SPATE_REQUEST_BAD_TARGET},
		{"control", "GET /\x01 HTTP/1.1\r\n" HOST END, SPATE_REQUEST_BAD_LINE},
		{"3.2.2 absolute", "GET http://a/b HTTP/1.1\r\n" HOST END, SPATE_REQUEST_OK},
		{"https", "GET https://a/ HTTP/1.1\r\n" HOST END, SPATE_REQUEST_OK},
		{"scheme in capitals", "GET HTTP://a/ HTTP/1.1\r\n" HOST END, SPATE_REQUEST_OK},
		{"another scheme", "GET ftp://a/ HTTP/1.1\r\n" HOST END, SPATE_REQUEST_BAD_TARGET},
		{"9110 4.2.1: no host", "GET http:///b HTTP/1.1\r\n" HOST END,
		 SPATE_REQUEST_BAD_TARGET},
		{"4.2.4: userinfo", "GET http://u@a/ HTTP/1.1\r\n" HOST END,
		 SPATE_REQUEST_BAD_TARGET},
		{"absolute, Host missing", "GET http://a/ HTTP/1.1\r\n\r\n",
		 SPATE_REQUEST_BAD_HOST},
		{"3.2.3 authority", "CONNECT a:443 HTTP/1.1\r\n" HOST END, SPATE_REQUEST_OK},
		{"without port", "CONNECT a HTTP/1.1\r\n" HOST END, SPATE_REQUEST_BAD_TARGET},
		{"CONNECT /", "CONNECT / HTTP/1.1\r\n" HOST END, SPATE_REQUEST_BAD_TARGET},
		{"authority and GET", "GET a:443 HTTP/1.1\r\n" HOST END, SPATE_REQUEST_BAD_TARGET},
		{"3.2.4 asterisk", "OPTIONS * HTTP/1.1\r\n" HOST END, SPATE_REQUEST_OK},
		{"asterisk and GET", "GET * HTTP/1.1\r\n" HOST END, SPATE_REQUEST_BAD_TARGET},
		{"asterisk and more", "OPTIONS *a HTTP/1.1\r\n" HOST END, SPATE_REQUEST_BAD_TARGET},
	};

	CHECK(rows);
}

static void target_is_taken_apart(void **state)
{
	struct spate_http_request r;

	assert_int_equal(parse("GET /a/b?c=d?e HTTP/1.1\r\n" HOST END, &r), SPATE_REQUEST_OK);
	assert_int_equal(r.form, SPATE_FORM_ORIGIN);
	assert_slice(r.target, "/a/b?c=d?e");
	assert_slice(r.path_query, "/a/b?c=d?e");
	assert_slice(r.path, "/a/b");
	assert_slice(r.query, "c=d?e");
	assert_slice(r.host, "a");

	assert_int_equal(parse("GET /a? HTTP/1.1\r\n" HOST END, &r), SPATE_REQUEST_OK);
	assert_slice(r.path, "/a");
	assert_slice(r.query, "");

	assert_int_equal(parse("GET /a HTTP/1.1\r\n" HOST END, &r), SPATE_REQUEST_OK);
	assert_slice(r.query, NULL);

	/* 9112 3.2.2: the target's host, not the field's. */
	assert_int_equal(parse("GET http://b:81/c?d HTTP/1.1\r\n" HOST END, &r), SPATE_REQUEST_OK);
	assert_int_equal(r.form, SPATE_FORM_ABSOLUTE);
	assert_slice(r.host, "b:81");
	assert_slice(r.path_query, "/c?d");

	assert_int_equal(parse("GET http://b?d HTTP/1.1\r\n" HOST END, &r), SPATE_REQUEST_OK);
	assert_slice(r.path, "");
	assert_slice(r.query, "d");

	assert_int_equal(parse("GET http://b HTTP/1.1\r\n" HOST END, &r), SPATE_REQUEST_OK);
	assert_slice(r.path_query, "");

	assert_int_equal(parse("OPTIONS * HTTP/1.1\r\n" HOST END, &r), SPATE_REQUEST_OK);
	assert_int_equal(r.form, SPATE_FORM_ASTERISK);
	assert_slice(r.path_query, NULL);

	assert_int_equal(parse("CONNECT b:443 HTTP/1.1\r\n" HOST END, &r), SPATE_REQUEST_OK);
	assert_int_equal(r.form, SPATE_FORM_AUTHORITY);
	assert_slice(r.host, "b:443");
}

static void methods(void **state)
{
	static const struct {
		const char *name;
		enum spate_http_method method;
		unsigned refused;
	} rows[] = {
		{"GET", SPATE_HTTP_GET, 0},
		{"HEAD", SPATE_HTTP_HEAD, 0},
		{"OPTIONS", SPATE_HTTP_OPTIONS, 0},
		{"POST", SPATE_HTTP_POST, 405},
		{"PUT", SPATE_HTTP_PUT, 405},
		{"DELETE", SPATE_HTTP_DELETE, 405},
		{"PATCH", SPATE_HTTP_PATCH, 405},
		{"TRACE", SPATE_HTTP_TRACE, 405},
		{"get", SPATE_HTTP_UNKNOWN, 501}, /* 9110 9.1: case counts */
		{"GETS", SPATE_HTTP_UNKNOWN, 501},
		{"PROPFIND", SPATE_HTTP_UNKNOWN, 501},
		{"!#$%&'*+-.^_`|~9", SPATE_HTTP_UNKNOWN, 501},
	};
	struct spate_http_request r;
	char head[100];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(head, sizeof(head), "%s / HTTP/1.1\r\n" HOST END, rows[i].name);
		assert_int_equal(parse(head, &r), SPATE_REQUEST_OK);
		assert_slice(r.method_name, rows[i].name);
		assert_int_equal(r.method, rows[i].method);
		assert_int_equal(spate_http_method_refused((enum spate_http_method)r.method),
				 rows[i].refused);
	}
}

static void field_lines(void **state)
{
	static const struct row rows[] = {
		{"9112 5.1: space before the colon", GET "A : b\r\n" END, SPATE_REQUEST_BAD_FIELD},
		{"tab before the colon", GET "A\t: b\r\n" END, SPATE_REQUEST_BAD_FIELD},
		{"5.2: obs-fold, space", GET "A: b\r\n c\r\n" END, SPATE_REQUEST_BAD_FIELD},
		{"obs-fold, tab", GET "A: b\r\n\tc\r\n" END, SPATE_REQUEST_BAD_FIELD},
		{"2.2: space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
		 SPATE_REQUEST_BAD_FIELD},
		{"no colon", GET "Abc\r\n" END, SPATE_REQUEST_BAD_FIELD},
		{"no name", GET ": b\r\n" END, SPATE_REQUEST_BAD_FIELD},
		{"the name is a token", GET "A(b: c\r\n" END, SPATE_REQUEST_BAD_FIELD},
		{"8-bit in the name", GET "\xc3\xa4: c\r\n" END, SPATE_REQUEST_BAD_FIELD},
		{"bare LF ends a line", GET "A: b\nC: d\r\n" END, SPATE_REQUEST_BAD_FIELD},
		{"bare LF ends the head", GET "A: b\r\n\n", SPATE_REQUEST_BAD_FIELD},
		{"bare CR", GET "A: b\rxC: d\r\n" END, SPATE_REQUEST_BAD_FIELD},
		{"CR CR LF", GET "A: b\r\r\n" END, SPATE_REQUEST_BAD_FIELD},
		{"CR without LF at the end", GET "A: b\r\n\rX", SPATE_REQUEST_BAD_FIELD},
		{"5.5: control byte", GET "A: b\x01\r\n" END, SPATE_REQUEST_BAD_FIELD},
		{"DEL", GET "A: b\x7f\r\n" END, SPATE_REQUEST_BAD_FIELD},
		{"obs-text may stand", GET "A: \xff\xc3\r\n" END, SPATE_REQUEST_OK},
		{"HTAB may stand", GET "A: b\tc\r\n" END, SPATE_REQUEST_OK},
		{"empty value", GET "A:\r\n" END, SPATE_REQUEST_OK},
		{"white space only", GET "A: \t \r\n" END, SPATE_REQUEST_OK},
		{"not whole", GET, SPATE_REQUEST_NEED_MORE},
		{"not whole, CR", GET "\r", SPATE_REQUEST_NEED_MORE},
	};
	struct spate_http_request r;
	static const char nul[] = GET "A: b\0c\r\n" END;

	CHECK(rows);
	assert_int_equal(parse_n(nul, sizeof(nul) - 1, &r), SPATE_REQUEST_BAD_FIELD);
}

static void host_rules(void **state)
{
	static const struct row rows[] = {
		{"9112 3.2: missing in 1.1", "GET / HTTP/1.1\r\n\r\n", SPATE_REQUEST_BAD_HOST},
		{"missing in 1.0 is fine", "GET / HTTP/1.0\r\n\r\n", SPATE_REQUEST_OK},
		{"twice", GET HOST END, SPATE_REQUEST_BAD_HOST},
		{"twice in 1.0", "GET / HTTP/1.0\r\n" HOST HOST END, SPATE_REQUEST_BAD_HOST},
		{"empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", SPATE_REQUEST_BAD_HOST},
		{"port", "GET / HTTP/1.1\r\nHost: a:80\r\n\r\n", SPATE_REQUEST_OK},
		{"empty port", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", SPATE_REQUEST_OK},
		{"port alone", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", SPATE_REQUEST_BAD_HOST},
		{"port too large", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n",
		 SPATE_REQUEST_BAD_HOST},
		{"port no number", "GET / HTTP/1.1\r\nHost: a:8o\r\n\r\n", SPATE_REQUEST_BAD_HOST},
		{"IPv4", "GET / HTTP/1.1\r\nHost: 127.0.0.1:8\r\n\r\n", SPATE_REQUEST_OK},
		{"IPv6", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8\r\n\r\n", SPATE_REQUEST_OK},
		{"IPv6 and IPv4", "GET / HTTP/1.1\r\nHost: [::127.0.0.1]\r\n\r\n",
		 SPATE_REQUEST_OK},
		{"IPv6 open", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", SPATE_REQUEST_BAD_HOST},
		{"IPv6 bare", "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", SPATE_REQUEST_BAD_HOST},
		{"empty brackets", "GET / HTTP/1.1\r\nHost: []\r\n\r\n", SPATE_REQUEST_BAD_HOST},
		{"userinfo", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", SPATE_REQUEST_BAD_HOST},
		{"path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", SPATE_REQUEST_BAD_HOST},
		{"list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", SPATE_REQUEST_BAD_HOST},
		{"space inside", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", SPATE_REQUEST_BAD_HOST},
		{"percent", "GET / HTTP/1.1\r\nHost: %41a\r\n\r\n", SPATE_REQUEST_OK},
		{"half a percent", "GET / HTTP/1.1\r\nHost: a%4\r\n\r\n", SPATE_REQUEST_BAD_HOST},
		{"any case of the name", "GET / HTTP/1.1\r\nhOST: a\r\n\r\n", SPATE_REQUEST_OK},
		{"a longer name", "GET / HTTP/1.1\r\nHosts: a\r\n\r\n", SPATE_REQUEST_BAD_HOST},
	};

	CHECK(rows);
}

static void framing_rules(void **state)
{
	static const struct row rows[] = {
		{"length", GET "Content-Length: 5\r\n" END, SPATE_REQUEST_OK},
		{"9112 6.3: no number", GET "Content-Length: 5x\r\n" END,
		 SPATE_REQUEST_BAD_FRAMING},
		{"empty", GET "Content-Length:\r\n" END, SPATE_REQUEST_BAD_FRAMING},
		{"plus", GET "Content-Length: +5\r\n" END, SPATE_REQUEST_BAD_FRAMING},
		{"minus", GET "Content-Length: -5\r\n" END, SPATE_REQUEST_BAD_FRAMING},
		{"hex", GET "Content-Length: 0x5\r\n" END, SPATE_REQUEST_BAD_FRAMING},
		{"list", GET "Content-Length: 5, 5\r\n" END, SPATE_REQUEST_BAD_FRAMING},
		{"2^63", GET "Content-Length: 9223372036854775808\r\n" END,
		 SPATE_REQUEST_BAD_FRAMING},
		{"2^64", GET "Content-Length: 18446744073709551616\r\n" END,
		 SPATE_REQUEST_BAD_FRAMING},
		{"repeated", GET "Content-Length: 5\r\nContent-Length: 5\r\n" END,
		 SPATE_REQUEST_BAD_FRAMING},
		{"chunked", GET "Transfer-Encoding: chunked\r\n" END, SPATE_REQUEST_OK},
		{"any case", GET "TRANSFER-ENCODING: ChunKed\r\n" END, SPATE_REQUEST_OK},
		{"6.1: both", GET "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END,
		 SPATE_REQUEST_BAD_FRAMING},
		{"both, other way", GET "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" END,
		 SPATE_REQUEST_BAD_FRAMING},
		{"6.1: in HTTP/1.0", "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
		 SPATE_REQUEST_BAD_FRAMING},
		{"6.1: chunked over gzip", GET "Transfer-Encoding: gzip, chunked\r\n" END,
		 SPATE_REQUEST_BAD_CODING},
		{"6.3: chunked not last", GET "Transfer-Encoding: chunked, gzip\r\n" END,
		 SPATE_REQUEST_BAD_FRAMING},
		{"6.3: not chunked", GET "Transfer-Encoding: identity\r\n" END,
		 SPATE_REQUEST_BAD_FRAMING},
		{"7.1: chunked twice", GET "Transfer-Encoding: chunked, chunked\r\n" END,
		 SPATE_REQUEST_BAD_FRAMING},
		{"two lines", GET "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n" END,
		 SPATE_REQUEST_BAD_FRAMING},
		{"empty coding", GET "Transfer-Encoding:\r\n" END, SPATE_REQUEST_BAD_FRAMING},
		{"vertical tab", GET "Transfer-Encoding: \vchunked\r\n" END,
		 SPATE_REQUEST_BAD_FIELD},
		{"a parameter", GET "Transfer-Encoding: chunked;a=b\r\n" END,
		 SPATE_REQUEST_BAD_FRAMING},
	};
	struct spate_http_request r;

	CHECK(rows);
	assert_int_equal(parse(GET "Content-Length: 5\r\n" END "hello", &r), SPATE_REQUEST_OK);
	assert_true(r.has_length);
	assert_int_equal(r.content_length, 5);
	assert_true(spate_http_request_has_body(&r));
	assert_int_equal(r.head_len, strlen(GET "Content-Length: 5\r\n" END));

	assert_int_equal(parse(GET "Content-Length: 0\r\n" END, &r), SPATE_REQUEST_OK);
	assert_true(r.has_length);
	assert_false(spate_http_request_has_body(&r));

	assert_int_equal(parse(GET "Transfer-Encoding: chunked\r\n" END, &r), SPATE_REQUEST_OK);
	assert_true(r.chunked);
	assert_true(spate_http_request_has_body(&r));
}

static void persistence(void **state)
{
	static const struct {
		const char *head;
		bool keep;
	} rows[] = {
		/* 9112 9.3 */
		{GET END, true},
		{GET "Connection: close\r\n" END, false},
		{GET "Connection: keep-alive\r\n" END, true},
		{GET "Connection: keep-alive, close\r\n" END, false},
		{GET "Connection: a,, CLOSE ,b\r\n" END, false},
		{GET "Connection: a\r\nConnection: close\r\n" END, false},
		{GET "Connection: closed\r\n" END, true},
		{"GET / HTTP/1.0\r\n\r\n", false},
		{"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
		{"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
	};
	struct spate_http_request r;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(parse(rows[i].head, &r), SPATE_REQUEST_OK);
		if (r.keep_alive != rows[i].keep)
			fail_msg("%s", rows[i].head);
	}
}

static void expectation(void **state)
{
	struct spate_http_request r;

	assert_int_equal(parse(GET "Expect: 100-Continue\r\n" END, &r), SPATE_REQUEST_OK);
	assert_true(r.expect_100);
	assert_int_equal(parse(GET "Expect: tea\r\n" END, &r), SPATE_REQUEST_BAD_EXPECTATION);
	/* 9110 10.1.1: MUST ignore in HTTP/1.0 */
	assert_int_equal(parse("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", &r),
			 SPATE_REQUEST_OK);
	assert_false(r.expect_100);
}

static void fields_are_kept(void **state)
{
	struct spate_http_request r;

	assert_int_equal(parse("GET / HTTP/1.1\r\n"
			       "HOST:\t h:1 \t\r\n"
			       "range:bytes=0-1\r\n"
			       "IF-RANGE: \"r\"\r\n"
			       "If-Match: \"m\"\r\n"
			       "If-None-Match: W/\"n\", \"o\"\r\n"
			       "If-Modified-Since: x\r\n"
			       "If-Unmodified-Since: y\r\n"
			       "User-Agent: z z\r\n"
			       "User-Agent: second\r\n"
			       "Referer: http://r/\r\n"
			       "Origin: https://o\r\n"
			       "X-Other: \r\n\r\n",
			       &r),
			 SPATE_REQUEST_OK);
	assert_slice(r.host, "h:1");
	assert_slice(r.range, "bytes=0-1");
	assert_slice(r.if_range, "\"r\"");
	assert_slice(r.if_match, "\"m\"");
	assert_slice(r.if_none_match, "W/\"n\", \"o\"");
	assert_slice(r.if_modified_since, "x");
	assert_slice(r.if_unmodified_since, "y");
	assert_slice(r.user_agent, "z z");
	assert_slice(r.referer, "http://r/");
	assert_slice(r.origin, "https://o");
	assert_int_equal(r.fields, 12);

	/* And nothing is left of them in the next request. */
	assert_int_equal(parse(GET END, &r), SPATE_REQUEST_OK);
	assert_slice(r.range, NULL);
	assert_slice(r.origin, NULL);
	assert_slice(r.if_none_match, NULL);
}

static void repeated_fields(void **state)
{
	struct spate_http_request r;
	struct spate_slice value;
	uint32_t at = 0;

	/* 9110 14.2: MAY ignore Range */
	assert_int_equal(parse(GET "Range: bytes=0-1\r\nRange: bytes=0-1\r\n" END, &r),
			 SPATE_REQUEST_OK);
	assert_slice(r.range, NULL);
	assert_int_equal(
		parse(GET "Range: bytes=0-1\r\nIf-Range: \"a\"\r\nIf-Range: \"b\"\r\n" END, &r),
		SPATE_REQUEST_OK);
	assert_slice(r.range, NULL);
	assert_slice(r.if_range, NULL);
	/* 13.1.3, 13.1.4: more than one member MUST be ignored */
	assert_int_equal(parse(GET "If-Modified-Since: a\r\nIf-Modified-Since: a\r\n" END, &r),
			 SPATE_REQUEST_OK);
	assert_slice(r.if_modified_since, NULL);
	assert_int_equal(parse(GET "If-Unmodified-Since: a\r\nIf-Unmodified-Since: a\r\n" END, &r),
			 SPATE_REQUEST_OK);
	assert_slice(r.if_unmodified_since, NULL);
	/* 5.3: lists may come in lines */
	assert_int_equal(
		parse(GET "If-None-Match: \"a\"\r\nX: y\r\nif-none-match: \"b\"\r\n" END, &r),
		SPATE_REQUEST_OK);
	assert_int_equal(r.repeated, SPATE_REPEATED_IF_NONE_MATCH);
	assert_true(spate_http_request_field(&r, SPATE_SLICE("if-none-match"), &at, &value));
	assert_slice(value, "\"a\"");
	assert_true(spate_http_request_field(&r, SPATE_SLICE("if-none-match"), &at, &value));
	assert_slice(value, "\"b\"");
	assert_false(spate_http_request_field(&r, SPATE_SLICE("if-none-match"), &at, &value));
}

static void verdicts_become_statuses(void **state)
{
	static const unsigned want[SPATE_REQUEST_VERDICTS] = {0,   0,   400, 400, 400, 400,
							      400, 501, 505, 417, 414, 431};

	for (int v = 0; v < SPATE_REQUEST_VERDICTS; v++)
		assert_int_equal(spate_http_request_status((enum spate_request_verdict)v), want[v]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_line),          cmocka_unit_test(target_forms),
		cmocka_unit_test(target_is_taken_apart), cmocka_unit_test(methods),
		cmocka_unit_test(field_lines),           cmocka_unit_test(host_rules),
		cmocka_unit_test(framing_rules),         cmocka_unit_test(persistence),
		cmocka_unit_test(expectation),           cmocka_unit_test(fields_are_kept),
		cmocka_unit_test(repeated_fields),       cmocka_unit_test(verdicts_become_statuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

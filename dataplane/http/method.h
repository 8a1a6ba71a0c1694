/* method.h: request methods. Those of RFC 9110 9.3 and RFC 5789; every other token is UNKNOWN. */
#ifndef SPATE_HTTP_METHOD_H
#define SPATE_HTTP_METHOD_H

enum spate_http_method {
	SPATE_HTTP_UNKNOWN, /* a valid token that names nothing we know: 501 */
	SPATE_HTTP_GET,
	SPATE_HTTP_HEAD,
	SPATE_HTTP_OPTIONS,
	SPATE_HTTP_POST, /* from here on: known, not served: 405 */
	SPATE_HTTP_PUT,
	SPATE_HTTP_DELETE,
	SPATE_HTTP_PATCH,
	SPATE_HTTP_CONNECT,
	SPATE_HTTP_TRACE,
};

/* 0 when this server serves the method, else the status to refuse it with (RFC 9110 9.1). */
static inline unsigned spate_http_method_refused(enum spate_http_method m)
{
	if (m >= SPATE_HTTP_GET && m <= SPATE_HTTP_OPTIONS)
		return 0;
	return m == SPATE_HTTP_UNKNOWN ? 501 : 405;
}

#endif

/* host.h: is this an authority a request may name (RFC 3986 3.2, RFC 9110 4.2)? Pure. */
#ifndef SPATE_HTTP_HOST_H
#define SPATE_HTTP_HOST_H

#include "dataplane/http/slice.h"

/*
 * uri-host [":" port]: a name, an IPv4 address, or an IPv6 address in brackets. Refused: empty (RFC
 * 9110 4.2.1), userinfo (4.2.4), ports over 65535. *has_port, if not NULL: a port with at least one
 * digit is there.
 */
bool spate_http_host_valid(struct spate_slice host, bool *has_port);

#endif

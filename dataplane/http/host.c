#include "dataplane/http/host.h"

#include "dataplane/http/scan.h"

static bool is_class(char c, uint8_t class)
{
	return (spate_char_class[(uint8_t)c] & class) != 0;
}

/* Length of "[...]" at s.p, 0 when it is none. Form only: hex digits, colons, dots of an embedded
 * IPv4. */
static uint32_t ip_literal(struct spate_slice s)
{
	unsigned colons = 0;

	for (uint32_t i = 1; i < s.len; i++) {
		char c = s.p[i];

		if (c == ']')
			return colons >= 2 ? i + 1 : 0;
		if (c == ':')
			colons++;
		else if (c != '.' && !is_class(c, SPATE_CHAR_HEX))
			return 0;
	}
	return 0;
}

static uint32_t reg_name(struct spate_slice s)
{
	uint32_t i = 0;

	while (i < s.len && is_class(s.p[i], SPATE_CHAR_HOST)) {
		if (s.p[i] == '%' && (i + 2 >= s.len || !is_class(s.p[i + 1], SPATE_CHAR_HEX) ||
				      !is_class(s.p[i + 2], SPATE_CHAR_HEX)))
			return 0;
		i++;
	}
	return i;
}

bool spate_http_host_valid(struct spate_slice host, bool *has_port)
{
	if (has_port != NULL)
		*has_port = false;
	if (host.len == 0)
		return false;

	uint32_t n = host.p[0] == '[' ? ip_literal(host) : reg_name(host);

	if (n == 0)
		return false;
	if (n == host.len)
		return true;
	if (host.p[n] != ':')
		return false;

	/* An empty port is the default one (RFC 3986 3.2.3). */
	uint32_t port = 0;

	for (uint32_t i = n + 1; i < host.len; i++) {
		unsigned d = (unsigned)(uint8_t)host.p[i] - '0';

		if (d > 9)
			return false;
		port = port * 10 + d;
		if (port > 65535)
			return false;
	}
	if (has_port != NULL)
		*has_port = n + 1 < host.len;
	return true;
}

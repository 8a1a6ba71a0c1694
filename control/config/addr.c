/* addr.c: IP addresses, ports and origin URLs as users write them. */
#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "control/config/values.h"

static bool port_of(const char *p, size_t len, uint16_t *out)
{
	unsigned n = 0;

	if (len == 0 || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)p[i]))
			return false;
		n = n * 10 + (unsigned)(p[i] - '0');
	}
	if (n > 65535)
		return false;
	*out = (uint16_t)n;
	return true;
}

/* An IP literal of len bytes, without brackets. */
static bool ip_of(const char *p, size_t len, struct spate_value_ip *out)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	char buf[INET6_ADDRSTRLEN];

	if (len == 0 || len >= sizeof(buf))
		return false;
	memcpy(buf, p, len);
	buf[len] = '\0';
	if (inet_pton(AF_INET, buf, out->ip + 12) == 1) {
		memcpy(out->ip, mapped, sizeof(mapped));
		out->v6 = false;
		out->prefix = 32;
		return true;
	}
	out->v6 = true;
	out->prefix = 128;
	return inet_pton(AF_INET6, buf, out->ip) == 1;
}

const char *spate_value_addr(const char *text, struct spate_value_ip *out)
{
	static const char what[] =
		"is not an address: write IP:port, such as 0.0.0.0:8080 or [::]:8080";
	struct spate_value_ip got = {0};
	const char *colon = strrchr(text, ':');
	size_t len;

	if (!colon)
		return what;
	len = (size_t)(colon - text);
	if (*text == '[') {
		if (len < 2 || text[len - 1] != ']' || !ip_of(text + 1, len - 2, &got) || !got.v6)
			return what;
	} else if (memchr(text, ':', len)) {
		return "is not an address: put an IPv6 address in brackets, such as [::]:8080";
	} else if (!ip_of(text, len, &got)) {
		return what;
	}
	if (!port_of(colon + 1, strlen(colon + 1), &got.port))
		return "has no good port: write a number from 0 to 65535 after the last colon";
	*out = got;
	return NULL;
}

const char *spate_value_ip(const char *text, struct spate_value_ip *out)
{
	struct spate_value_ip got = {0};
	size_t len = strcspn(text, "/");
	uint16_t prefix;

	if (!ip_of(text, len, &got))
		return "is not an IP address: write one such as 10.0.0.1/24 or fd00::1/64";
	if (text[len]) {
		if (!port_of(text + len + 1, strlen(text + len + 1), &prefix) ||
		    prefix > got.prefix)
			return "has no good prefix length: 0 to 32 for IPv4, 0 to 128 for IPv6";
		got.prefix = (uint8_t)prefix;
	}
	*out = got;
	return NULL;
}

/* Are all bits behind the prefix zero? */
static bool is_network(const struct spate_value_ip *a)
{
	for (unsigned bit = a->prefix + (a->v6 ? 0u : 96u); bit < 128; bit++)
		if (a->ip[bit / 8] & (0x80 >> bit % 8))
			return false;
	return true;
}

const char *spate_value_route(const char *text, struct spate_value_ip *out,
			      struct spate_value_ip *via)
{
	static const char what[] =
		"is not a route: write one such as \"10.8.0.0/16 via 10.0.0.254\"";
	const char *word = strstr(text, " via "), *wrong;
	struct spate_value_ip net;
	char buf[INET6_ADDRSTRLEN + 4];

	if (!word || (size_t)(word - text) >= sizeof(buf))
		return what;
	memcpy(buf, text, (size_t)(word - text));
	buf[word - text] = '\0';
	if (!strchr(buf, '/') || strchr(word, '/'))
		return what;
	wrong = spate_value_ip(buf, &net);
	if (!wrong)
		wrong = spate_value_ip(word + strlen(" via "), via);
	if (wrong)
		return wrong;
	if (net.v6 != via->v6)
		return "goes from one IP version to the other";
	if (!is_network(&net))
		return "is no network: it has bits behind its prefix length";
	*out = net;
	return NULL;
}

/* RFC 3986 3.2.2 reg-name, less what no resolver takes. */
static bool name_ok(const char *p, size_t len)
{
	if (len == 0 || len > 253)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)p[i]) && !strchr("-._", p[i]))
			return false;
	return true;
}

const char *spate_value_url(const char *text, struct spate_value_url *out)
{
	struct spate_value_url url = {.port = 80};
	struct spate_value_ip ip;
	const char *p, *end, *colon;

	if (strncasecmp(text, "https://", 8) == 0)
		return "is https: TLS to origins is not built yet, write http://";
	if (strncasecmp(text, "http://", 7) != 0)
		return "is not a URL: write http://host[:port][/base]";
	p = text + 7;
	end = p + strcspn(p, "/?#");
	url.authority = p;
	url.authority_len = (size_t)(end - p);
	if (memchr(p, '@', url.authority_len))
		return "has a user name: origins with credentials are not supported";

	if (*p == '[') {
		const char *close = memchr(p, ']', url.authority_len);

		if (!close || !ip_of(p + 1, (size_t)(close - p - 1), &ip) || !ip.v6)
			return "has no good IPv6 address between its brackets";
		url.host = p + 1;
		url.host_len = (size_t)(close - p - 1);
		colon = close + 1;
		if (colon != end && *colon != ':')
			return "has something between the IPv6 address and the port";
	} else {
		colon = memchr(p, ':', url.authority_len);
		if (!colon)
			colon = end;
		url.host = p;
		url.host_len = (size_t)(colon - p);
		if (!name_ok(url.host, url.host_len))
			return "has no good host name: write http://host[:port][/base]";
	}
	if (colon != end &&
	    (!port_of(colon + 1, (size_t)(end - colon - 1), &url.port) || !url.port))
		return "has no good port: write a number from 1 to 65535";

	url.base = end;
	url.base_len = strcspn(end, "?#");
	if (end[url.base_len])
		return "has a query or fragment: an origin is http://host[:port][/base]";
	for (size_t i = 0; i < url.base_len; i++)
		if (url.base[i] <= ' ' || url.base[i] > '~')
			return "has a character that must be percent-encoded in its path";
	while (url.base_len && url.base[url.base_len - 1] == '/')
		url.base_len--;
	*out = url;
	return NULL;
}

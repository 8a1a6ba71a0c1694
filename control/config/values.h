/*
 * values.h: the texts of single values. Each parser takes a NUL-terminated text and returns NULL
 * when it is good, else a static text that says what to write instead; outputs are set only when it
 * is good.
 */
#ifndef SPATE_CONFIG_VALUES_H
#define SPATE_CONFIG_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "16384", "64KiB", "2MiB", "2GiB", "1TiB". */
const char *spate_value_size(const char *text, uint64_t *bytes);
/* "200ms", "5s", "1m", "2h". */
const char *spate_value_time(const char *text, uint64_t *ms);
const char *spate_value_count(const char *text, uint64_t *count);
/* names: "json|combined". */
bool spate_value_enum(const char *text, const char *names, uint64_t *index);

/* The shortest exact way to write it: "64KiB", "2m". buf of at least 32 bytes; returns buf. */
const char *spate_format_size(uint64_t bytes, char *buf);
const char *spate_format_time(uint64_t ms, char *buf);

struct spate_value_ip {
	uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
	bool v6;
	uint8_t prefix;
	uint16_t port;
};

/* "0.0.0.0:8080", "[::1]:8080". */
const char *spate_value_addr(const char *text, struct spate_value_ip *out);
/* "10.0.0.1", "10.0.0.1/24", "fd00::1/64". */
const char *spate_value_ip(const char *text, struct spate_value_ip *out);
/* "10.8.0.0/16 via 10.0.0.254": the network, and the next hop. */
const char *spate_value_route(const char *text, struct spate_value_ip *out,
			      struct spate_value_ip *via);

/*
 * "http://host[:port][/base]" (RFC 3986). The parts point into text; host is without brackets,
 * authority is host[:port] as it goes into Host:, base has no slash at its end.
 */
struct spate_value_url {
	const char *host, *authority, *base;
	size_t host_len, authority_len, base_len;
	uint16_t port;
};
const char *spate_value_url(const char *text, struct spate_value_url *out);

#endif

/*
 * ip6.c: IPv6 input (RFC 8200). Extension headers are walked within bounds: at most HEADERS_MAX
 * of them and BYTES_MAX bytes, and the upper header must lie in the packet's contiguous part.
 */
#include "dataplane/net/internal.h"

#define HEADERS_MAX 4
#define BYTES_MAX   256

#define NEXT_HOPOPT   0
#define NEXT_ROUTING  43
#define NEXT_FRAGMENT 44
#define NEXT_NONE     59
#define NEXT_DSTOPT   60

#define OPT_ROUTER_ALERT 5 /* RFC 2711 */

/*
 * Options whose top two bits are 00 may be skipped when unknown; the others ask for a discard
 * (4.2).
 */
static bool options_good(const uint8_t *p, unsigned len, bool *router_alert)
{
	for (unsigned i = 0; i < len;) {
		if (p[i] == 0) { /* Pad1 */
			i++;
			continue;
		}
		if (i + 2 > len || i + 2 + p[i + 1] > len)
			return false;
		if (p[i] >> 6 != 0)
			return false;
		if (p[i] == OPT_ROUTER_ALERT && p[i + 1] == 2)
			*router_alert = true;
		i += 2u + p[i + 1];
	}
	return true;
}

/*
 * Moves *at past the extension headers and *next to the upper protocol; *named: where that is
 * said. Options by hop that do not come first are unknown like any other header (4.1).
 */
static enum spate_net_verdict skip_extensions(struct view *v, uint32_t *at, uint8_t *next,
					      uint32_t *named)
{
	for (unsigned i = 0;; i++) {
		const uint8_t *h = v->ip + *at;
		bool other;
		uint32_t len;

		if ((*next != NEXT_HOPOPT || i != 0) && *next != NEXT_ROUTING &&
		    *next != NEXT_FRAGMENT && *next != NEXT_DSTOPT)
			return SPATE_NET_VERDICTS; /* the upper one */
		if (i == HEADERS_MAX || *at + 8 > v->near)
			return SPATE_NET_DROP_IP_EXTENSION;
		len = *next == NEXT_FRAGMENT ? 8 : 8 + h[1] * 8u;
		if (*at + len > v->near || *at + len - 40 > BYTES_MAX)
			return SPATE_NET_DROP_IP_EXTENSION;
		if (*next == NEXT_FRAGMENT) {
			if ((load16(h + 2) & 0xfff9) != 0)
				return SPATE_NET_DROP_FRAGMENT;
			v->fragment = true; /* an atomic one is whole (RFC 6946) */
		} else if (*next == NEXT_ROUTING) {
			if (h[3] != 0)
				return SPATE_NET_DROP_IP_EXTENSION; /* segments left: we are no
								       router */
		} else if (!options_good(h + 2, len - 2,
					 *next == NEXT_HOPOPT ? &v->router_alert : &other)) {
			return SPATE_NET_DROP_IP_EXTENSION;
		}
		*next = h[0];
		*named = *at;
		*at += len;
	}
}

/* ff02::1, and the solicited-node group of any of our addresses (RFC 4291 2.7.1). */
static bool our_group(const struct spate_net *n, const uint8_t dst[16])
{
	static const uint8_t all_nodes[16] = {0xff, 0x02, [15] = 1};
	static const uint8_t solicited[13] = {0xff, 0x02, [11] = 1, [12] = 0xff};

	if (memcmp(dst, all_nodes, 16) == 0)
		return true;
	if (memcmp(dst, solicited, 13) != 0)
		return false;
	for (unsigned i = 0; i < n->naddresses; i++)
		if (memcmp(n->address[i].ip + 13, dst + 13, 3) == 0 && !is_ip4(n->address[i].ip))
			return true;
	return false;
}

enum spate_net_verdict spate_net_ip6_input(struct spate_net *n, struct view *v,
					   struct spate_net_in *in)
{
	const uint8_t *ip = v->ip, *src = ip + 8, *dst = ip + 24;
	uint32_t at = 40, named = 6, total;
	uint8_t next;

	if (v->near < 40)
		return SPATE_NET_DROP_SHORT;
	total = 40u + load16(ip + 4);
	next = ip[6];
	if (ip[0] >> 4 != 6)
		return SPATE_NET_DROP_IP_HEADER;
	if (total > v->len)
		return SPATE_NET_DROP_IP_TRUNCATED;
	v->len = total;
	if (v->near > total)
		v->near = total;
	/* A mapped address on the wire is somebody's trick (RFC 4942 2.2). */
	if (src[0] == 0xff || is_ip4(src) || memcmp(src, dst, 16) == 0 ||
	    (ip_is_zero(src) && next != PROTO_ICMP6))
		return SPATE_NET_DROP_IP_SOURCE;
	if (dst[0] == 0xff) {
		if (!our_group(n, dst))
			return SPATE_NET_DROP_IP_NOT_US;
	} else if (v->multicast || spate_net_address_find(n, dst) == NULL) {
		return SPATE_NET_DROP_IP_NOT_US;
	}
	if (__builtin_expect(next != PROTO_TCP && next != PROTO_ICMP6 && next != PROTO_UDP, 0)) {
		enum spate_net_verdict bad = skip_extensions(v, &at, &next, &named);

		if (bad != SPATE_NET_VERDICTS)
			return bad;
	}
	uint8_t *l4 = v->ip + at;

	if (spate_net_begins(v, next, l4) && next != PROTO_ICMP6 && spate_net_odd_source(n, src))
		return SPATE_NET_DROP_IP_SOURCE; /* nd.c looks for itself: a claim is told of */
	if (next == PROTO_ICMP6)
		return spate_net_icmp6_input(n, v, l4, total - at, in);
	if (dst[0] == 0xff)
		return SPATE_NET_DROP_IP_NOT_US; /* neither TCP nor our UDP is for groups */
	if (next == PROTO_TCP || next == PROTO_UDP)
		return spate_net_l4_input(n, v, next, l4, total - at, in);
	if (n->setup.exception == NULL && next != NEXT_NONE)
		spate_net_unknown_header(n, v, named);
	return SPATE_NET_DROP_PROTOCOL;
}

void spate_net_ip6_header(uint8_t *ip, uint8_t next, uint8_t hops, const uint8_t src[16],
			  const uint8_t dst[16], uint32_t total)
{
	store32(ip, 0x60000000);
	spate_store16(ip + 4, (uint16_t)total);
	ip[6] = next;
	ip[7] = hops;
	memcpy(ip + 8, src, 16);
	memcpy(ip + 24, dst, 16);
}

uint64_t spate_net_pseudo6(const uint8_t src[16], const uint8_t dst[16], uint8_t next, uint32_t len)
{
	return spate_csum_words(src, 16) + spate_csum_words(dst, 16) + __builtin_bswap16(next) +
	       __builtin_bswap32(len);
}

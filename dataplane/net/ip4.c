/*
 * ip4.c: IPv4 input (RFC 791, RFC 1122 3.2).
 *
 * Fragments are refused: every segment we send has DF and an MSS that fits, so a fragment can
 * only come from a path that fragments what peers sent us without DF (no TCP of this century), or
 * from somebody who wants our memory. docs/design/net.md.
 */
#include "dataplane/net/internal.h"

#define OPT_END  0
#define OPT_NOP  1
#define OPT_LSRR 131
#define OPT_SSRR 137

/* Options are skipped, but for source routes, which are an attack (RFC 7126). */
static bool options_good(const uint8_t *p, unsigned len)
{
	for (unsigned i = 0; i < len;) {
		if (p[i] == OPT_END)
			return true;
		if (p[i] == OPT_NOP) {
			i++;
			continue;
		}
		if (p[i] == OPT_LSRR || p[i] == OPT_SSRR || i + 1 >= len || p[i + 1] < 2 ||
		    i + p[i + 1] > len)
			return false;
		i += p[i + 1];
	}
	return true;
}

static bool ours(const struct spate_net *n, const uint8_t dst[4])
{
	uint32_t d;

	memcpy(&d, dst, 4);
	for (unsigned i = 0; i < n->naddr4; i++)
		if (n->addr4[i] == d)
			return true;
	return false;
}

enum spate_net_verdict spate_net_ip4_input(struct spate_net *n, struct view *v,
					   struct spate_net_in *in)
{
	const uint8_t *ip = v->ip;
	uint32_t hl, total;

	if (v->near < 20)
		return SPATE_NET_DROP_SHORT;
	hl = (ip[0] & 0xfu) * 4;
	total = load16(ip + 2);
	if (ip[0] >> 4 != 4 || hl < 20 || hl > v->near || total < hl)
		return SPATE_NET_DROP_IP_HEADER;
	if (total > v->len)
		return SPATE_NET_DROP_IP_TRUNCATED;
	if (!(v->pkt->flags & SPATE_RX_IP_GOOD) &&
	    ((v->pkt->flags & SPATE_RX_IP_BAD) ||
	     spate_csum_fold(spate_csum_plain(ip, hl)) != 0xffff))
		return SPATE_NET_DROP_IP_CSUM;
	v->len = total; /* what follows is padding */
	if (v->near > total)
		v->near = total;
	if (__builtin_expect(hl != 20, 0) && !options_good(ip + 20, hl - 20))
		return SPATE_NET_DROP_IP_OPTIONS;
	/* Nor does anybody send from the address he sends to (the LAND attack). */
	if (!can_be_host4(ip + 12) || memcmp(ip + 12, ip + 16, 4) == 0)
		return SPATE_NET_DROP_IP_SOURCE;
	/* A unicast packet in a broadcast frame is not for us either (RFC 1122 3.3.6). */
	if (v->multicast || !ours(n, ip + 16))
		return SPATE_NET_DROP_IP_NOT_US;
	if ((load16(ip + 6) & 0x3fff) != 0) /* offset, or more fragments */
		return SPATE_NET_DROP_FRAGMENT;

	uint8_t *l4 = v->ip + hl;

	if (spate_net_begins(v, ip[9], l4)) {
		uint8_t src[16];

		map_ip4(src, ip + 12);
		if (spate_net_odd_source(n, src))
			return SPATE_NET_DROP_IP_SOURCE;
	}
	if (ip[9] == PROTO_ICMP)
		return spate_net_icmp4_input(n, v, l4, total - hl, in);
	if (ip[9] == PROTO_TCP || ip[9] == PROTO_UDP)
		return spate_net_l4_input(n, v, ip[9], l4, total - hl, in);
	if (n->setup.exception == NULL)
		spate_net_unreachable(n, v, 2, 0xff);
	return SPATE_NET_DROP_PROTOCOL;
}

void spate_net_ip4_header(struct spate_net *n, uint8_t *ip, uint8_t proto, const uint8_t src[4],
			  const uint8_t dst[4], uint32_t total)
{
	uint16_t csum;

	memset(ip, 0, 20);
	ip[0] = 0x45;
	spate_store16(ip + 2, (uint16_t)(20 + total));
	memcpy(ip + 4, &n->hot.ip_id, 2);
	n->hot.ip_id++;
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = proto;
	memcpy(ip + 12, src, 4);
	memcpy(ip + 16, dst, 4);
	csum = (uint16_t)~spate_csum_fold(spate_csum_words(ip, 20));
	memcpy(ip + 10, &csum, 2);
}

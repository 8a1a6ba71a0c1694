/*
 * mld.c: MLDv2 for who listens (RFC 3810): a snooping switch passes solicitations on to us only if
 * it has heard that we are in their groups. Said when the link comes up, and when a router asks.
 *
 * A pending answer is one time an address; a later query makes it earlier, never later (6.2). What
 * is asked about sources is answered as if it were about the group: we want all of them.
 */
#include "dataplane/net/internal.h"

#define MLD2_REPORT 143
#define IS_EXCLUDE  2 /* of nobody: we are in the group (5.2.12) */
#define TO_EXCLUDE  4 /* we have just joined it */

void spate_net_solicited_node(const uint8_t ip[16], uint8_t group[16])
{
	memset(group, 0, 16);
	group[0] = 0xff;
	group[1] = 0x02;
	group[11] = 1;
	group[12] = 0xff;
	memcpy(group + 13, ip + 13, 3);
}

void spate_net_group_mac(const uint8_t group[16], uint8_t mac[6])
{
	mac[0] = mac[1] = 0x33;
	memcpy(mac + 2, group + 12, 4);
}

/* The solicited-node group of ip. Sent from the link-local address (5.2.13). */
static void report(struct spate_net *n, const struct address *a, uint8_t type)
{
	static const uint8_t routers[16] = {0xff, 0x02, [15] = 0x16};
	const uint8_t *from = spate_net_link_local(n, a->iface);
	const uint32_t len = 8 + 20;
	uint8_t mac[6];
	uint16_t csum;

	spate_net_group_mac(routers, mac);
	struct spate_pkt_tx *tx = from != NULL ? spate_net_frame(n, a->iface, mac, ETH_IP6) : NULL;

	if (tx == NULL)
		return;
	uint8_t *h = tx->head + tx->l2_len, *hop = h + 40, *m = hop + 8;

	spate_net_ip6_header(h, 0, 1, from, routers, 8 + len);
	memcpy(hop, "\x3a\0\5\2\0\0\1\0", 8); /* router alert (RFC 2711), padded */
	memset(m, 0, len);
	m[0] = MLD2_REPORT;
	m[7] = 1;
	m[8] = type;
	spate_net_solicited_node(a->ip, m + 12);
	csum = (uint16_t)~spate_csum_fold(spate_net_pseudo6(from, routers, PROTO_ICMP6, len) +
					  spate_csum_words(m, len));
	memcpy(m + 2, &csum, 2);
	tx->head_len = (uint16_t)(tx->l2_len + 48 + len);
	spate_net_frame_send(n, a->iface, tx);
}

void spate_net_mld_report(struct spate_net *n, unsigned iface)
{
	for (unsigned i = 0; i < n->naddresses; i++)
		if (!is_ip4(n->address[i].ip) && n->address[i].iface == iface)
			report(n, &n->address[i], TO_EXCLUDE);
}

/* 5.1.3: milliseconds, large ones as a mantissa and an exponent. */
static uint64_t longest_us(uint16_t code)
{
	uint64_t ms = code;

	if (code & 0x8000)
		ms = (uint64_t)(0x1000 | (code & 0xfff)) << ((code >> 12 & 7) + 3);
	return ms * 1000;
}

/* Is it about the group of this address, or about all? */
static bool concerns(const struct address *a, const uint8_t asked[16])
{
	uint8_t group[16];

	if (is_ip4(a->ip))
		return false;
	spate_net_solicited_node(a->ip, group);
	return ip_is_zero(asked) || memcmp(asked, group, 16) == 0;
}

enum spate_net_verdict spate_net_mld_query(struct spate_net *n, const struct view *v,
					   const uint8_t *icmp, uint32_t len)
{
	/* 6.2: from a router on the link. */
	if (len < 24 || v->ip[7] != 1 || !v->router_alert || !is_link_local(v->ip + 8) ||
	    !spate_net_bucket_take(&n->mld, n->now_us))
		return SPATE_NET_DROP_ICMP;
	uint64_t at_us = n->now_us + spate_net_random(n) % (longest_us(load16(icmp + 4)) + 1);

	for (unsigned i = 0; i < n->naddresses; i++) {
		struct address *a = &n->address[i];

		if (a->iface != v->iface || !concerns(a, icmp + 8))
			continue;
		if (a->report_us == 0 || at_us < a->report_us)
			a->report_us = at_us;
		if (at_us < n->mld_due_us)
			n->mld_due_us = at_us;
	}
	return SPATE_NET_ND;
}

void spate_net_mld_tick(struct spate_net *n)
{
	n->mld_due_us = UINT64_MAX;
	for (unsigned i = 0; i < n->naddresses; i++) {
		struct address *a = &n->address[i];

		if (a->report_us == 0)
			continue;
		if (a->report_us <= n->now_us) {
			a->report_us = 0;
			report(n, a, IS_EXCLUDE);
		} else if (a->report_us < n->mld_due_us) {
			n->mld_due_us = a->report_us;
		}
	}
}

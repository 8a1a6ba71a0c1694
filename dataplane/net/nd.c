/*
 * nd.c: neighbour solicitation and advertisement (RFC 4861 7). Only what comes from the link itself
 * is believed: hop limit 255.
 */
#include "dataplane/net/internal.h"

#define NS             135
#define NA             136
#define OPT_SOURCE_MAC 1
#define OPT_TARGET_MAC 2
#define NA_ROUTER      0x80
#define NA_SOLICITED   0x40
#define NA_OVERRIDE    0x20

static const uint8_t all_nodes[16] = {0xff, 0x02, [15] = 1};

/* An NS or NA with its one option. flags: of NA. */
static void send_nd(struct spate_net *n, unsigned iface, const uint8_t mac[6], uint8_t type,
		    uint8_t flags, const uint8_t src[16], const uint8_t dst[16],
		    const uint8_t target[16])
{
	struct spate_pkt_tx *tx = spate_net_frame(n, iface, mac, ETH_IP6);

	if (tx == NULL)
		return;
	uint8_t *ip = tx->head + tx->l2_len, *m = ip + 40;
	uint16_t csum;

	spate_net_ip6_header(ip, PROTO_ICMP6, 255, src, dst, 32);
	memset(m, 0, 8);
	m[0] = type;
	m[4] = flags;
	memcpy(m + 8, target, 16);
	m[24] = type == NS ? OPT_SOURCE_MAC : OPT_TARGET_MAC;
	m[25] = 1;
	memcpy(m + 26, n->iface[iface].mac, 6);
	csum = (uint16_t)~spate_csum_fold(spate_net_pseudo6(src, dst, PROTO_ICMP6, 32) +
					  spate_csum_words(m, 32));
	memcpy(m + 2, &csum, 2);
	tx->head_len = (uint16_t)(tx->l2_len + 40 + 32);
	spate_net_frame_send(n, iface, tx);
}

void spate_net_nd_solicit(struct spate_net *n, unsigned iface, const uint8_t target[16],
			  const uint8_t source[16], const uint8_t *unicast_mac)
{
	uint8_t group[16], mac[6];

	if (unicast_mac != NULL) {
		send_nd(n, iface, unicast_mac, NS, 0, source, target, target);
		return;
	}
	spate_net_solicited_node(target, group);
	spate_net_group_mac(group, mac);
	send_nd(n, iface, mac, NS, 0, source, group, target);
}

/* RFC 4861 7.2.6 */
void spate_net_nd_announce(struct spate_net *n, unsigned iface, const uint8_t ip[16])
{
	uint8_t mac[6];

	spate_net_group_mac(all_nodes, mac);
	send_nd(n, iface, mac, NA, NA_OVERRIDE, ip, all_nodes, ip);
}

bool spate_net_nd_options_whole(const uint8_t *p, uint32_t len)
{
	while (len != 0) {
		if (len < 8 || p[1] == 0 || p[1] * 8u > len)
			return false;
		len -= p[1] * 8u;
		p = nd_option_next(p);
	}
	return true;
}

/* The MAC address in the option `type`, or NULL. false: the options are malformed. */
static bool find_mac(const uint8_t *p, uint32_t len, uint8_t type, const uint8_t **mac)
{
	const uint8_t *end = p + len;

	*mac = NULL;
	if (!spate_net_nd_options_whole(p, len))
		return false;
	for (; p < end; p = nd_option_next(p))
		if (p[0] == type && p[1] == 1)
			*mac = p + 2;
	return true;
}

/* Whether ip is on this link as far as we know: a stranger's claim fills no table. */
static bool on_link(const struct spate_net *n, unsigned iface, const uint8_t ip[16])
{
	return is_link_local(ip) || spate_net_on_link(n, iface, ip);
}

static enum spate_net_verdict solicitation(struct spate_net *n, const struct view *v,
					   const uint8_t *m, uint32_t len)
{
	const uint8_t *src = v->ip + 8, *dst = v->ip + 24, *target = m + 8, *mac;
	const struct address *a = spate_net_address_find(n, target);
	uint8_t group[16];

	if (target[0] == 0xff || !find_mac(m + 24, len - 24, OPT_SOURCE_MAC, &mac))
		return SPATE_NET_DROP_ND;
	if (ip_is_zero(src)) {
		/*
		 * Somebody checks whether the address is free (RFC 4862 5.4.3): all shall hear
		 * that it is not.
		 */
		spate_net_solicited_node(target, group);
		if (mac != NULL || memcmp(dst, group, 16) != 0)
			return SPATE_NET_DROP_ND;
		if (a != NULL && a->iface == v->iface)
			spate_net_nd_announce(n, v->iface, target);
		return SPATE_NET_ND;
	}
	if ((dst[0] == 0xff && mac == NULL) || (mac != NULL && (mac[0] & 1)))
		return SPATE_NET_DROP_ND;
	if (a == NULL || a->iface != v->iface)
		return SPATE_NET_ND;
	if (spate_net_local(n, src))
		return SPATE_NET_DROP_ARP_CONFLICT;
	if (mac != NULL && on_link(n, v->iface, src))
		spate_net_neigh_learn(n, v->iface, src, mac, NEIGH_OVERRIDE | NEIGH_CREATE);
	send_nd(n, v->iface, mac != NULL ? mac : v->eth + 6, NA, NA_SOLICITED | NA_OVERRIDE, target,
		src, target);
	return SPATE_NET_ND;
}

static enum spate_net_verdict advertisement(struct spate_net *n, const struct view *v,
					    const uint8_t *m, uint32_t len)
{
	const uint8_t *target = m + 8, *mac;
	unsigned how = (m[4] & NA_SOLICITED ? NEIGH_SOLICITED : 0) |
		       (m[4] & NA_OVERRIDE ? NEIGH_OVERRIDE : 0);

	if (target[0] == 0xff || (v->ip[24] == 0xff && (m[4] & NA_SOLICITED)) ||
	    !find_mac(m + 24, len - 24, OPT_TARGET_MAC, &mac))
		return SPATE_NET_DROP_ND;
	const struct address *claimed = spate_net_address_find(n, target);

	if (claimed != NULL) {
		if (mac != NULL && memcmp(mac, n->iface[v->iface].mac, 6) != 0 &&
		    claimed->iface == v->iface && spate_net_may_defend(n, claimed))
			spate_net_nd_announce(n, v->iface, target);
		return SPATE_NET_DROP_ARP_CONFLICT;
	}
	/* An answer to a unicast question may leave the address out (7.2.4). */
	spate_net_neigh_share(n, v->iface, target, mac, how);
	if (spate_net_neigh_learn(n, v->iface, target, mac, how) && !(m[4] & NA_ROUTER))
		spate_net_router_left(n, v->iface, target);
	return SPATE_NET_ND;
}

enum spate_net_verdict spate_net_nd_input(struct spate_net *n, const struct view *v,
					  const uint8_t *icmp, uint32_t len)
{
	if (v->ip[7] != 255 || icmp[1] != 0 || len < 24)
		return SPATE_NET_DROP_ND;
	return icmp[0] == NS ? solicitation(n, v, icmp, len) : advertisement(n, v, icmp, len);
}

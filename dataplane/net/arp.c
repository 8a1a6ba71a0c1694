/*
 * arp.c: RFC 826, with the checks that keep a stranger from moving our neighbours at will: only
 * answers to our questions and requests for our addresses teach something new; other claims only
 * update what we use already. Claims to an address of ours are answered once in ten seconds at
 * most (RFC 5227 2.4 (c)).
 */
#include "dataplane/net/internal.h"

#define ARP_BYTES   28
#define ARP_REQUEST 1
#define ARP_REPLY   2

static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t nobody[6];

static void send_arp(struct spate_net *n, unsigned iface, const uint8_t dst_mac[6], uint16_t op,
		     const uint8_t source[4], const uint8_t target_mac[6], const uint8_t target[4])
{
	struct spate_pkt_tx *tx = spate_net_frame(n, iface, dst_mac, ETH_ARP);

	if (tx == NULL)
		return;
	uint8_t *a = tx->head + tx->l2_len;

	memcpy(a, "\0\1\x08\0\6\4", 6); /* ethernet, IPv4 */
	spate_store16(a + 6, op);
	memcpy(a + 8, n->iface[iface].mac, 6);
	memcpy(a + 14, source, 4);
	memcpy(a + 18, target_mac, 6);
	memcpy(a + 24, target, 4);
	tx->head_len = (uint16_t)(tx->l2_len + ARP_BYTES);
	/* Ethernet's least length; not every port pads. */
	memset(tx->head + tx->head_len, 0, 60u - 14 - ARP_BYTES);
	tx->head_len = (uint16_t)(tx->l2_len + 46);
	spate_net_frame_send(n, iface, tx);
}

void spate_net_arp_request(struct spate_net *n, unsigned iface, const uint8_t target[4],
			   const uint8_t source[4], const uint8_t *unicast_mac)
{
	send_arp(n, iface, unicast_mac != NULL ? unicast_mac : everybody, ARP_REQUEST, source,
		 nobody, target);
}

/* RFC 5227 2.3: an announcement is a request for one's own address. */
void spate_net_arp_announce(struct spate_net *n, unsigned iface, const uint8_t ip[4])
{
	send_arp(n, iface, everybody, ARP_REQUEST, ip, nobody, ip);
}

enum spate_net_verdict spate_net_arp_input(struct spate_net *n, const struct view *v)
{
	const uint8_t *a = v->ip, *sender_mac = a + 8;
	uint8_t sender[16], target[16];
	const struct address *ours;

	if (v->near < ARP_BYTES)
		return SPATE_NET_DROP_SHORT;
	if (memcmp(a, "\0\1\x08\0\6\4", 6) != 0 ||
	    (load16(a + 6) != ARP_REQUEST && load16(a + 6) != ARP_REPLY))
		return SPATE_NET_DROP_ARP;
	map_ip4(sender, a + 14);
	map_ip4(target, a + 24);
	ours = spate_net_address_find(n, target);
	if (ours != NULL && ours->iface != v->iface)
		ours = NULL;

	bool others =
		ours == NULL && load16(a + 6) == ARP_REQUEST; /* a question for somebody else */
	const struct address *claimed = spate_net_address_find(n, sender);

	if (claimed != NULL) {
		if (memcmp(sender_mac, n->iface[v->iface].mac, 6) != 0 &&
		    claimed->iface == v->iface && spate_net_may_defend(n, claimed))
			spate_net_arp_announce(n, v->iface, sender + 12);
		return SPATE_NET_DROP_ARP_CONFLICT;
	}
	/* A probe (RFC 5227 2.1.1) has no sender address: it gets an answer and teaches nothing. */
	if (can_be_host4(sender + 12)) {
		unsigned how = NEIGH_OVERRIDE;

		if (load16(a + 6) == ARP_REPLY && ours != NULL && !v->multicast)
			how |= NEIGH_SOLICITED;

		/* Not a neighbour by our own book; perhaps one of the kernel's behind us. */
		if (!spate_net_on_link(n, v->iface, sender))
			return others ? SPATE_NET_ARP_NOT_US : SPATE_NET_DROP_ARP;
		spate_net_neigh_share(n, v->iface, sender, sender_mac, how);
		if (load16(a + 6) == ARP_REQUEST && ours != NULL)
			how |= NEIGH_CREATE;
		spate_net_neigh_learn(n, v->iface, sender, sender_mac, how);
	} else if (load32(a + 14) != 0) {
		return SPATE_NET_DROP_ARP;
	}
	if (ours == NULL)
		return others ? SPATE_NET_ARP_NOT_US : SPATE_NET_ARP;
	if (load16(a + 6) == ARP_REQUEST)
		send_arp(n, v->iface, sender_mac, ARP_REPLY, target + 12, sender_mac, sender + 12);
	return SPATE_NET_ARP;
}

/*
 * path.c: header templates: routed once, resolved when a neighbour moves, copied into each
 * packet.
 */
#include <errno.h>

#include "dataplane/net/internal.h"

static uint32_t flow_label(const struct spate_net *n, const uint8_t *src, const uint8_t *dst,
			   uint16_t lport, uint16_t rport)
{
	uint64_t h = n->setup.seed ^ (uint64_t)lport << 16 ^ rport, w;

	for (unsigned i = 0; i < 16; i += 8) {
		memcpy(&w, src + i, 8);
		h = (h ^ w) * 0x9e3779b97f4a7c15u;
		memcpy(&w, dst + i, 8);
		h = (h ^ w ^ h >> 29) * 0xff51afd7ed558ccdu;
	}
	return (uint32_t)(h >> 40) & 0xfffff;
}

/*
 * One slot an address: who collides is forgotten, and learns again from the next packet that is
 * too big.
 */
static unsigned pmtu_slot(const uint8_t ip[16])
{
	uint64_t a, b;

	memcpy(&a, ip, 8);
	memcpy(&b, ip + 8, 8);
	return (unsigned)((a ^ b * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu >> 56) % PMTU_SLOTS;
}

void spate_net_pmtu(struct spate_net *n, const uint8_t remote[16], uint32_t mtu, uint64_t now_us)
{
	struct pmtu *p = &n->pmtu[pmtu_slot(remote)];
	bool known = p->mtu != 0 && memcmp(p->ip, remote, 16) == 0 && now_us < p->until_us;

	if (mtu > UINT16_MAX || (known && mtu >= p->mtu))
		return; /* nothing new: an old message never makes a way wider */
	*p = (struct pmtu){.mtu = (uint16_t)mtu, .until_us = now_us + PMTU_US};
	memcpy(p->ip, remote, 16);
	if (p->until_us < n->pmtu_due_us)
		n->pmtu_due_us = p->until_us;
	spate_net_moved(n);
}

/* What is forgotten may be wider now: paths look again (RFC 1191 6.3, RFC 8201 5.3). */
void spate_net_pmtu_tick(struct spate_net *n)
{
	bool any = false;

	n->pmtu_due_us = UINT64_MAX;
	for (unsigned i = 0; i < PMTU_SLOTS; i++) {
		struct pmtu *p = &n->pmtu[i];

		if (p->mtu == 0)
			continue;
		if (p->until_us > n->now_us) {
			if (p->until_us < n->pmtu_due_us)
				n->pmtu_due_us = p->until_us;
			continue;
		}
		p->mtu = 0;
		any = true;
	}
	if (any)
		spate_net_moved(n);
}

static uint16_t path_mtu(const struct spate_net *n, unsigned iface, const uint8_t remote[16])
{
	const struct pmtu *p = &n->pmtu[pmtu_slot(remote)];
	const struct iface *f = &n->iface[iface];
	uint16_t link = is_ip4(remote) ? f->mtu : f->mtu6;

	if (p->mtu == 0 || p->mtu >= link || n->now_us >= p->until_us ||
	    memcmp(p->ip, remote, 16) != 0)
		return link;
	return p->mtu;
}

static uint8_t *write_ip4(struct spate_net_path *p, uint8_t *ip, uint8_t proto,
			  const uint8_t local[16], const uint8_t remote[16])
{
	ip[0] = 0x45;
	ip[6] = 0x40; /* DF: we never fragment, and want to hear of it (RFC 1191) */
	ip[8] = 64;
	ip[9] = proto;
	memcpy(ip + 12, local + 12, 4);
	memcpy(ip + 16, remote + 12, 4);
	p->ip_sum = spate_csum_fold(spate_csum_words(ip, 20));
	p->pseudo = spate_csum_fold(spate_csum_words(ip + 12, 8) + __builtin_bswap16(proto));
	p->l3_len = 20;
	p->flags = SPATE_TX_IP4;
	return ip + 20;
}

/* One host that is not us, as far as the address says. */
static bool can_be_remote(const struct spate_net *n, const uint8_t ip[16])
{
	if (is_ip4(ip) ? !can_be_host4(ip + 12) : ip[0] == 0xff || ip_is_zero(ip))
		return false;
	return !spate_net_odd_source(n, ip);
}

int spate_net_path(struct spate_net *n, struct spate_net_path *p, uint8_t proto,
		   const uint8_t local[16], uint16_t lport, const uint8_t remote[16],
		   uint16_t rport, uint64_t now_us)
{
	const struct address *src = ip_is_zero(local) ? NULL : spate_net_address_find(n, local);
	/* Out of the interface that has the address (RFC 1122 3.3.4.2, strong hosts), if that leads
	 * there: each network's gateway drops what comes from another's address. */
	const struct route *r = src != NULL ? spate_net_route_on(n, src->iface, remote) : NULL;

	if (r == NULL)
		r = spate_net_route_find(n, remote);
	n->now_us = now_us;
	if (r == NULL || !can_be_remote(n, remote))
		return -ENETUNREACH;
	if (ip_is_zero(local))
		src = spate_net_source(n, r->iface, remote);
	if (src == NULL || is_ip4(src->ip) != is_ip4(remote))
		return -EADDRNOTAVAIL;
	const struct iface *f = &n->iface[r->iface];

	memset(p, 0, sizeof(*p));
	p->iface = r->iface;
	p->l2_len = f->l2_len;
	memcpy(p->head + 6, f->mac, 6);
	if (f->vlan != 0) {
		spate_store16(p->head + 12, ETH_VLAN);
		spate_store16(p->head + 14, f->vlan);
	}
	uint8_t *ip = p->head + f->l2_len;

	if (is_ip4(remote)) {
		spate_store16(ip - 2, ETH_IP4);
		ip = write_ip4(p, ip, proto, src->ip, remote);
	} else {
		spate_store16(ip - 2, ETH_IP6);
		/* A label a flow, so that routers can spread by it (RFC 6437). */
		store32(ip, 0x60000000 | flow_label(n, src->ip, remote, lport, rport));
		ip[6] = proto;
		ip[7] = 64;
		memcpy(ip + 8, src->ip, 16);
		memcpy(ip + 24, remote, 16);
		p->pseudo =
			spate_csum_fold(spate_csum_words(ip + 8, 32) + __builtin_bswap16(proto));
		p->l3_len = 40;
		ip += 40;
	}
	if (proto == PROTO_UDP)
		p->flags |= SPATE_TX_UDP;
	spate_store16(ip, lport);
	spate_store16(ip + 2, rport);
	spate_net_resolve(n, p);
	return 0;
}

void spate_net_path_addrs(const struct spate_net_path *p, uint8_t local[16], uint8_t remote[16])
{
	const uint8_t *ip = p->head + p->l2_len;

	if (p->flags & SPATE_TX_IP4) {
		map_ip4(local, ip + 12);
		map_ip4(remote, ip + 16);
	} else {
		memcpy(local, ip + 8, 16);
		memcpy(remote, ip + 24, 16);
	}
}

bool spate_net_resolve(struct spate_net *n, struct spate_net_path *p)
{
	uint8_t local[16], remote[16];

	spate_net_path_addrs(p, local, remote);
	p->gen = 0;
	p->neigh = NEIGH_NONE;
	p->mtu = path_mtu(n, p->iface, remote);
	const struct route *r = spate_net_route_on(n, p->iface, remote);

	if (r == NULL)
		return false;
	const uint8_t *hop = r->direct ? remote : r->gateway;
	struct neigh *e = spate_net_neigh_find(n, p->iface, hop);

	if (e == NULL && (e = spate_net_neigh_add(n, p->iface, hop)) == NULL)
		return false;
	p->neigh = (uint16_t)(e - n->neigh);
	if (!spate_net_neigh_use(n, e))
		return false;
	memcpy(p->head, e->mac, 6);
	p->gen = n->hot.gen;
	return true;
}

/*
 * The packet that begin gave stays the txq's next one unless it is kept; so dropping it is doing
 * nothing.
 */
void spate_net_park(struct spate_net *n, struct spate_net_path *p)
{
	struct spate_txq *q = &n->iface[p->iface].hot.txq;

	if (p->neigh == NEIGH_NONE || q->pkt[q->n].nfrags != 0 ||
	    !spate_net_neigh_park(n, &n->neigh[p->neigh], q))
		drop(n, SPATE_NET_DROP_NO_NEIGHBOUR);
}

void spate_net_confirm(struct spate_net *n, const struct spate_net_path *p, uint64_t now_us)
{
	if (p->gen != n->hot.gen || p->neigh == NEIGH_NONE)
		return;
	n->now_us = now_us;
	spate_net_neigh_confirmed(n, &n->neigh[p->neigh]);
}

/*
 * net.c: the stack's frame: set-up, the ethernet demultiplexer, the tick.
 *
 *   rx burst ─ ethernet, vlan ─┬─ arp.c
 *                              ├─ ip4.c ─┬─ icmp4.c
 *                              └─ ip6.c ─┼─ icmp6.c, nd.c, router.c, mld.c
 *                                        └─ l4.c ──► in.tcp[], in.udp[]
 */
#include <errno.h>
#include <stdlib.h>

#include "dataplane/net/internal.h"

#define DEFEND_US 10000000u /* DEFEND_INTERVAL (RFC 5227 1.1) */

const struct spate_net_verdict_info spate_net_verdicts[SPATE_NET_VERDICTS] = {
#define SPATE_NET_COUNTER(NAME, name, help) {#NAME, help},
#include "spate/tbl/net.def"
#undef SPATE_NET_COUNTER
};

static void set_rate(struct bucket *b, uint32_t per_s)
{
	b->rate = b->tokens = per_s;
}

struct spate_net *spate_net_create(const struct spate_net_setup *setup)
{
	struct spate_net *n = aligned_alloc(64, (sizeof(*n) + 63) & ~(size_t)63);

	if (n == NULL)
		return NULL;
	memset(n, 0, sizeof(*n));
	n->setup = *setup;
	struct spate_stats *stats = setup->stats;

	if (stats == NULL) {
		stats = n->own_stats = aligned_alloc(64, sizeof(*stats));
		if (stats == NULL) {
			free(n);
			return NULL;
		}
		memset(stats, 0, sizeof(*stats));
	}
	n->count = &stats->net_tcp;
	for (unsigned i = 0; i < setup->ntcp_ports; i++)
		n->tcp[setup->tcp_ports[i] / 64] |= 1ull << setup->tcp_ports[i] % 64;
	n->seed = setup->seed | 1;
	n->hot.gen = 1;
	n->hot.ip_id = (uint16_t)(setup->seed >> 16);
	set_rate(&n->ask, setup->arp_per_s != 0 ? setup->arp_per_s : 1000);
	set_rate(&n->ask_known, n->ask.rate);
	set_rate(&n->icmp, setup->icmp_per_s != 0 ? setup->icmp_per_s : 1000);
	set_rate(&n->mld, 10);
	set_rate(&n->post, 1000);
	set_rate(&n->post_event, 1000);
	memset(n->bucket, 0xff, sizeof(n->bucket));
	n->neigh_due_us = n->router_due_us = n->link_due_us = n->pmtu_due_us = n->mld_due_us =
		UINT64_MAX;
	for (unsigned i = 0; i < PARKED_MAX; i++)
		n->parked_free[n->nparked_free++] = (uint8_t)i;
	if (setup->board != NULL)
		n->board_at = atomic_load_explicit(&setup->board->next, memory_order_relaxed);
	return n;
}

void spate_net_destroy(struct spate_net *n)
{
	for (unsigned i = 0; i < n->neigh_high; i++) {
		struct neigh *e = &n->neigh[i];
		struct spate_txq *q = &n->iface[e->iface].hot.txq;

		for (unsigned k = 0; k < e->nparked; k++)
			q->port->ops->tx_put(q->port, q->queue, &n->parked[e->parked[k]], 1);
	}
	for (unsigned i = 0; i < n->nifaces; i++)
		spate_txq_finish(&n->iface[i].hot.txq);
	free(n->own_stats);
	free(n);
}

int spate_net_add_iface(struct spate_net *n, const struct spate_net_iface_setup *setup)
{
	struct iface *f = &n->iface[n->nifaces];
	const struct spate_port_caps *caps = &setup->port->caps;

	if (n->nifaces == SPATE_NET_IFACES)
		return -ENOSPC;
	if (setup->vlan > 4094 || setup->mtu > caps->mtu)
		return -EINVAL;
	memcpy(f->mac, caps->mac, 6);
	memcpy(&f->mac_cmp, f->mac, 6);
	f->vlan = setup->vlan;
	f->mtu = f->mtu6 = setup->mtu != 0 ? setup->mtu : caps->mtu;
	f->l2_len = setup->vlan != 0 ? 18 : 14;
	f->quiet = setup->quiet;
	f->routers.followed = setup->routers;
	f->hot.offloads = caps->tx_offloads;
	f->hot.tso_max = caps->tso_max;
	spate_txq_init(&f->hot.txq, setup->port, setup->queue);
	n->hot.iface[n->nifaces] = &f->hot;
	return (int)n->nifaces++;
}

int spate_net_route_insert(struct spate_net *n, const struct route *r)
{
	unsigned at = 0;

	if (n->nroutes == SPATE_NET_ROUTES)
		return -ENOSPC;
	while (at < n->nroutes && n->route[at].prefix >= r->prefix)
		at++;
	memmove(&n->route[at + 1], &n->route[at], (n->nroutes - at) * sizeof(*r));
	n->route[at] = *r;
	n->nroutes++;
	return 0;
}

void spate_net_route_remove(struct spate_net *n, struct route *r)
{
	memmove(r, r + 1, (size_t)(&n->route[--n->nroutes] - r) * sizeof(*r));
}

static int add_address(struct spate_net *n, unsigned iface, const uint8_t ip[16], unsigned prefix)
{
	struct address *a = &n->address[n->naddresses];
	struct route r = {.prefix = (uint8_t)prefix, .iface = (uint8_t)iface, .direct = true};

	if (n->naddresses == SPATE_NET_ADDRESSES)
		return -ENOSPC;
	memcpy(a->ip, ip, 16);
	a->prefix = (uint8_t)prefix;
	a->iface = (uint8_t)iface;
	a->link_local = is_link_local(ip);
	n->naddresses++;
	if (is_ip4(ip))
		memcpy(&n->addr4[n->naddr4++], ip + 12, 4);
	memcpy(r.dst, ip, 16);
	return spate_net_route_insert(n, &r);
}

/* RFC 4291 appendix A: the modified EUI-64 of the MAC address, so the same at each start. */
static void link_local_of(const uint8_t mac[6], uint8_t ip[16])
{
	memset(ip, 0, 16);
	ip[0] = 0xfe;
	ip[1] = 0x80;
	memcpy(ip + 8, mac, 3);
	ip[8] ^= 0x02;
	ip[11] = 0xff;
	ip[12] = 0xfe;
	memcpy(ip + 13, mac + 3, 3);
}

int spate_net_add_address(struct spate_net *n, unsigned iface, const uint8_t ip[16],
			  unsigned prefix)
{
	bool ip4 = is_ip4(ip);
	uint8_t ll[16];

	if (iface >= n->nifaces || prefix > (ip4 ? 32 : 128))
		return -EINVAL;
	if (ip4 ? !can_be_host4(ip + 12) : ip[0] == 0xff || ip_is_zero(ip))
		return -EINVAL;
	if (spate_net_address_find(n, ip) != NULL)
		return -EEXIST;
	/* IPv6 cannot work on a link without a link-local address (RFC 4291 2.1). */
	link_local_of(n->iface[iface].mac, ll);
	if (!ip4 && spate_net_address_find(n, ll) == NULL) {
		int err = add_address(n, iface, ll, 64);

		if (err != 0 || memcmp(ip, ll, 16) == 0)
			return err;
	}
	return add_address(n, iface, ip, ip4 ? prefix + 96 : prefix);
}

bool spate_net_on_link(const struct spate_net *n, unsigned iface, const uint8_t ip[16])
{
	for (unsigned i = 0; i < n->nroutes; i++)
		if (n->route[i].direct && n->route[i].iface == iface &&
		    same_prefix(n->route[i].dst, ip, n->route[i].prefix))
			return true;
	return false;
}

int spate_net_add_route(struct spate_net *n, unsigned iface, const uint8_t dst[16], unsigned prefix,
			const uint8_t gateway[16])
{
	struct route r = {.prefix = (uint8_t)(is_ip4(dst) ? prefix + 96 : prefix),
			  .iface = (uint8_t)iface};

	if (prefix > (is_ip4(dst) ? 32 : 128) || is_ip4(dst) != is_ip4(gateway))
		return -EINVAL;
	if (!spate_net_on_link(n, iface, gateway))
		return -ENETUNREACH;
	memcpy(r.dst, dst, 16);
	memcpy(r.gateway, gateway, 16);
	return spate_net_route_insert(n, &r);
}

const struct route *spate_net_route_find(const struct spate_net *n, const uint8_t dst[16])
{
	for (unsigned i = 0; i < n->nroutes; i++)
		if (same_prefix(n->route[i].dst, dst, n->route[i].prefix) &&
		    is_ip4(n->route[i].dst) == is_ip4(dst))
			return &n->route[i];
	return NULL;
}

const struct route *spate_net_route_on(const struct spate_net *n, unsigned iface,
				       const uint8_t dst[16])
{
	for (unsigned i = 0; i < n->nroutes; i++)
		if (n->route[i].iface == iface &&
		    same_prefix(n->route[i].dst, dst, n->route[i].prefix) &&
		    is_ip4(n->route[i].dst) == is_ip4(dst))
			return &n->route[i];
	return NULL;
}

const struct address *spate_net_address_find(const struct spate_net *n, const uint8_t ip[16])
{
	for (unsigned i = 0; i < n->naddresses; i++)
		if (memcmp(n->address[i].ip, ip, 16) == 0)
			return &n->address[i];
	return NULL;
}

bool spate_net_may_defend(struct spate_net *n, const struct address *a)
{
	uint64_t *next_us = &n->address[a - n->address].defend_us;

	if (n->now_us < *next_us)
		return false;
	*next_us = n->now_us + DEFEND_US;
	return true;
}

const uint8_t *spate_net_link_local(const struct spate_net *n, unsigned iface)
{
	for (unsigned i = 0; i < n->naddresses; i++)
		if (n->address[i].link_local && n->address[i].iface == iface)
			return n->address[i].ip;
	return NULL;
}

bool spate_net_local(const struct spate_net *n, const uint8_t ip[16])
{
	return spate_net_address_find(n, ip) != NULL;
}

/* RFC 6724 section 5, what of it matters here: same scope, then the longest common prefix. */
const struct address *spate_net_source(const struct spate_net *n, unsigned iface,
				       const uint8_t dst[16])
{
	const struct address *best = NULL;
	bool ip4 = is_ip4(dst), want_ll = is_link_local(dst);
	int best_score = -1;

	for (unsigned i = 0; i < n->naddresses; i++) {
		const struct address *a = &n->address[i];
		int score = a->link_local == want_ll ? 256 : 0;

		if (a->iface != iface || is_ip4(a->ip) != ip4)
			continue;
		for (unsigned bits = 0; bits < 128 && same_prefix(a->ip, dst, bits + 1); bits++)
			score++;
		if (score > best_score) {
			best_score = score;
			best = a;
		}
	}
	return best;
}

/* The last address of a network of ours, and the first. */
static bool is_broadcast(const struct spate_net *n, const uint8_t ip[16])
{
	uint32_t a = load32(ip + 12);

	for (unsigned i = 0; i < n->naddresses; i++) {
		const struct address *ours = &n->address[i];

		if (!is_ip4(ours->ip) || ours->prefix >= 127 ||
		    !same_prefix(ours->ip, ip, ours->prefix))
			continue;
		uint32_t host = UINT32_MAX >> (ours->prefix - 96);

		if ((a & host) == host || (a & host) == 0)
			return true;
	}
	return false;
}

bool spate_net_odd_source(const struct spate_net *n, const uint8_t ip[16])
{
	static const uint8_t loopback[16] = {[15] = 1};

	if (spate_net_local(n, ip))
		return true;
	return is_ip4(ip) ? is_broadcast(n, ip) : memcmp(ip, loopback, 16) == 0;
}

bool spate_net_bucket_has(struct bucket *b, uint64_t now_us)
{
	uint64_t elapsed = now_us - b->at_us;

	if (elapsed >= 1000000) {
		b->tokens = b->rate;
		b->at_us = now_us;
	} else {
		uint64_t fresh = elapsed * b->rate / 1000000;

		if (fresh != 0) {
			b->tokens =
				b->tokens + fresh < b->rate ? b->tokens + (uint32_t)fresh : b->rate;
			b->at_us += fresh * 1000000 / b->rate;
		}
	}
	return b->tokens != 0;
}

bool spate_net_bucket_take(struct bucket *b, uint64_t now_us)
{
	if (!spate_net_bucket_has(b, now_us))
		return false;
	b->tokens--;
	return true;
}

static enum spate_net_verdict exception(struct spate_net *n, const struct view *v,
					enum spate_net_verdict why)
{
	if (n->setup.exception == NULL)
		return why;
	n->setup.exception(n->setup.exception_ctx, v->iface, v->pkt);
	return SPATE_NET_EXCEPTION;
}

/* What the kernel behind the exception path could make something of. */
static bool not_ours(enum spate_net_verdict v)
{
	return v == SPATE_NET_DROP_TCP_PORT || v == SPATE_NET_DROP_FRAGMENT ||
	       v == SPATE_NET_DROP_ICMP || v == SPATE_NET_DROP_ICMP_QUOTE ||
	       v == SPATE_NET_DROP_ETHERTYPE || v == SPATE_NET_DROP_VLAN ||
	       v == SPATE_NET_DROP_IP_NOT_US || v == SPATE_NET_DROP_PROTOCOL ||
	       v == SPATE_NET_DROP_UDP_PORT || v == SPATE_NET_DROP_ROUTER_STATIC;
}

/*
 * Answers to the questions of the kernel behind the exception path look like answers to ours,
 * questions for an address that is not ours may be for one of its own, and what a router says is
 * for every host.
 */
static bool for_both(enum spate_net_verdict v, const struct spate_pkt_rx *pkt)
{
	return v == SPATE_NET_ROUTER || v == SPATE_NET_ARP_NOT_US ||
	       (!(pkt->data[0] & 1) &&
		(v == SPATE_NET_ARP || v == SPATE_NET_DROP_ARP || v == SPATE_NET_ND));
}

static enum spate_net_verdict input(struct spate_net *n, unsigned i, struct spate_pkt_rx *pkt,
				    struct spate_net_in *in)
{
	const struct iface *f = &n->iface[i];
	struct view v = {.pkt = pkt, .eth = pkt->data, .iface = i};
	const uint8_t *eth = pkt->data;
	unsigned l2 = 14;
	uint64_t dst;
	uint16_t type;

	if (pkt->len < 14)
		return SPATE_NET_DROP_SHORT;
	if (eth[6] & 1)
		return SPATE_NET_DROP_MAC_SOURCE; /* and answers would go to all of them */
	memcpy(&dst, eth, 8);                     /* 14 bytes are there */
	v.multicast = eth[0] & 1;
	if (!v.multicast && (dst & 0xffffffffffff) != f->mac_cmp)
		return SPATE_NET_DROP_NOT_US;
	type = load16(eth + 12);
	if (__builtin_expect(type == ETH_VLAN || f->vlan != 0, 0)) {
		uint16_t vid = 0;

		if (type == ETH_VLAN) {
			if (pkt->len < 18)
				return SPATE_NET_DROP_SHORT;
			vid = load16(eth + 14) & 0xfff; /* priority and DEI do not matter */
			type = load16(eth + 16);
			l2 = 18;
		}
		if (vid != f->vlan)
			return SPATE_NET_DROP_VLAN;
	}
	v.ip = pkt->data + l2;
	v.near = pkt->len - l2;
	v.len = v.near + pkt->rest;
	if (type == ETH_IP4)
		return spate_net_ip4_input(n, &v, in);
	if (type == ETH_IP6)
		return spate_net_ip6_input(n, &v, in);
	if (type == ETH_ARP)
		return spate_net_arp_input(n, &v);
	return SPATE_NET_DROP_ETHERTYPE;
}

void spate_net_rx(struct spate_net *n, unsigned iface, struct spate_pkt_rx *pkts, unsigned count,
		  uint64_t now_us, struct spate_net_in *in)
{
	n->now_us = now_us;
	in->ntcp = in->nudp = in->nevents = 0;
	for (unsigned i = 0; i < count && i < 4; i++)
		__builtin_prefetch(pkts[i].data);
	for (unsigned i = 0; i < count; i++) {
		if (i + 4 < count)
			__builtin_prefetch(pkts[i + 4].data);
		enum spate_net_verdict v = input(n, iface, &pkts[i], in);

		if (__builtin_expect(n->setup.exception != NULL && for_both(v, &pkts[i]), 0))
			n->setup.exception(n->setup.exception_ctx, iface, &pkts[i]);
		if (__builtin_expect(n->setup.exception != NULL && not_ours(v), 0))
			v = exception(n, &(struct view){.pkt = &pkts[i], .iface = iface}, v);
		drop(n, v);
	}
}

void spate_net_event(struct spate_net *n, struct spate_net_in *in, const struct spate_net_event *ev)
{
	if (in->nevents < SPATE_NET_EVENTS)
		in->events[in->nevents++] = *ev;
	if (n->setup.board != NULL && spate_net_bucket_take(&n->post_event, n->now_us))
		spate_net_board_post(n->setup.board,
				     &(struct spate_net_post){.type = SPATE_POST_EVENT,
							      .worker = (uint8_t)n->setup.worker,
							      .event = *ev});
}

static void read_board(struct spate_net *n, struct spate_net_in *in)
{
	struct spate_net_post p;

	while (in->nevents < SPATE_NET_EVENTS &&
	       spate_net_board_read(n->setup.board, &n->board_at, &p)) {
		if (p.worker == n->setup.worker)
			continue;
		if (p.type == SPATE_POST_EVENT)
			in->events[in->nevents++] = p.event;
		else if (p.iface >= n->nifaces)
			continue;
		else if (p.type == SPATE_POST_NEIGHBOUR)
			spate_net_neigh_heard(n, &p);
		else
			spate_net_router_heard(n, &p);
	}
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t spate_net_tick(struct spate_net *n, uint64_t now_us, struct spate_net_in *in)
{
	n->now_us = now_us;
	if (n->setup.board != NULL &&
	    atomic_load_explicit(&n->setup.board->next, memory_order_relaxed) != n->board_at)
		read_board(n, in);
	if (now_us >= n->neigh_due_us)
		spate_net_neigh_tick(n);
	if (now_us >= n->router_due_us)
		spate_net_router_tick(n);
	if (now_us >= n->link_due_us)
		spate_net_link_tick(n);
	if (now_us >= n->pmtu_due_us)
		spate_net_pmtu_tick(n);
	if (now_us >= n->mld_due_us)
		spate_net_mld_tick(n);
	uint64_t due = earlier(n->neigh_due_us, n->router_due_us);

	due = earlier(due, n->link_due_us);
	return earlier(due, earlier(n->pmtu_due_us, n->mld_due_us));
}

void spate_net_flush(struct spate_net *n)
{
	for (unsigned i = 0; i < n->nifaces; i++)
		spate_txq_flush(&n->iface[i].hot.txq);
}

uint64_t spate_net_count(const struct spate_net *n, enum spate_net_verdict v)
{
	return atomic_load_explicit(&n->count[v], memory_order_relaxed);
}

struct spate_pkt_tx *spate_net_frame(struct spate_net *n, unsigned iface, const uint8_t dst_mac[6],
				     uint16_t ethertype)
{
	struct iface *f = &n->iface[iface];
	struct spate_pkt_tx *tx = spate_txq_next(&f->hot.txq);

	if (tx == NULL) {
		drop(n, SPATE_NET_DROP_NO_BUFFER);
		return NULL;
	}
	memcpy(tx->head, dst_mac, 6);
	memcpy(tx->head + 6, f->mac, 6);
	if (f->vlan != 0) {
		spate_store16(tx->head + 12, ETH_VLAN);
		spate_store16(tx->head + 14, f->vlan);
	}
	spate_store16(tx->head + f->l2_len - 2, ethertype);
	tx->l2_len = f->l2_len;
	tx->l3_len = tx->l4_len = 0;
	tx->flags = 0;
	tx->tso_mss = 0;
	tx->nfrags = 0;
	tx->frag_len = 0;
	return tx;
}

void spate_net_frame_send(struct spate_net *n, unsigned iface, struct spate_pkt_tx *tx)
{
	spate_txq_push(&n->iface[iface].hot.txq);
}

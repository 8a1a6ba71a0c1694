/*
 * router.c: routers that say they are there (RFC 4861 6.1.2, 6.3): solicitations at start, the
 * list of default routers, prefixes on the link, the link's MTU. Only on interfaces that follow
 * them; our addresses stay the configured ones (no autoconfiguration, RFC 4862).
 *
 *   advertisement ─► checks ─┬─► ROUTER ─┬─► heard: neighbour, MTU, list ─► one route of length 0
 *                            └─► PREFIX ─┤          (or)                ─► a direct route
 *                                        └─► board: heard by the other workers
 *
 * The list stands in the route table as one route, whose gateway is the router chosen. Configured
 * routes were there before, and the first of equally long prefixes is taken: they win.
 */
#include "dataplane/net/internal.h"

#define RS                  133
#define OPT_SOURCE_MAC      1
#define OPT_PREFIX          3
#define OPT_MTU             5
#define PREFIX_ON_LINK      0x80
#define MTU_MIN             1280 /* RFC 8200 5 */
#define SOLICITATIONS       3    /* RFC 4861 10, as the next two */
#define SOLICIT_INTERVAL_US 4000000u
#define SOLICIT_DELAY_US    1000000u

/* --- the list --- */

static void due(struct spate_net *n, uint64_t at_us)
{
	if (at_us < n->router_due_us)
		n->router_due_us = at_us;
}

static struct router *find(struct routers *l, const uint8_t ip[16])
{
	for (unsigned i = 0; i < l->n; i++)
		if (memcmp(l->list[i].ip, ip, 16) == 0)
			return &l->list[i];
	return NULL;
}

static struct router *add(struct routers *l, const uint8_t ip[16])
{
	if (l->n == SPATE_NET_ROUTERS)
		return NULL;
	memcpy(l->list[l->n].ip, ip, 16);
	return &l->list[l->n++];
}

static void forget(struct routers *l, struct router *r)
{
	memmove(r, r + 1, (size_t)(&l->list[--l->n] - r) * sizeof(*r));
}

/* The one that stands for the list, or NULL. */
static struct route *default_route(struct spate_net *n, unsigned iface)
{
	for (unsigned i = 0; i < n->nroutes; i++) {
		struct route *r = &n->route[i];

		if (r->until_us != 0 && !r->direct && r->iface == iface)
			return r;
	}
	return NULL;
}

/* RFC 4861 6.3.6, RFC 4191 3.2: reachability first, then the preference it asks for. */
static unsigned worth(struct spate_net *n, unsigned iface, const struct router *r)
{
	const struct neigh *e = spate_net_neigh_find(n, iface, r->ip);
	unsigned reach = e == NULL ? 1 : has_mac(e) ? 2 : e->state == NEIGH_FAILED ? 0 : 1;

	return reach * 4 + r->preference;
}

/*
 * Among equals the one in use stays. One that has just failed is worth least, and those after it
 * come first, so routers of which none answers are tried in turn.
 */
static const struct router *best(struct spate_net *n, unsigned iface, const uint8_t in_use[16])
{
	struct routers *l = &n->iface[iface].routers;
	const struct router *now = find(l, in_use), *found = NULL;
	unsigned from = (now != NULL ? (unsigned)(now - l->list) : 0), most = 0;

	for (unsigned i = 0; i < l->n; i++) {
		const struct router *r = &l->list[(from + i) % l->n];
		unsigned w = worth(n, iface, r);

		if (found == NULL || w > most) {
			found = r;
			most = w;
		}
	}
	return found;
}

/* Makes the default route say what the list says. */
static void choose(struct spate_net *n, unsigned iface)
{
	struct route *r = default_route(n, iface);
	struct route fresh = {.iface = (uint8_t)iface, .until_us = UINT64_MAX};
	const struct router *b = best(n, iface, (r != NULL ? r : &fresh)->gateway);

	if (b == NULL && r == NULL)
		return;
	if (b == NULL) {
		spate_net_route_remove(n, r);
	} else if (r == NULL) {
		memcpy(fresh.gateway, b->ip, 16);
		if (spate_net_route_insert(n, &fresh) != 0) {
			drop(n, SPATE_NET_DROP_ROUTER_FULL);
			return;
		}
	} else if (memcmp(r->gateway, b->ip, 16) != 0) {
		memcpy(r->gateway, b->ip, 16);
	} else {
		return;
	}
	spate_net_moved(n);
}

/* --- what was heard --- */

/* All ones are for ever (4.6.2): 136 years will do. */
static uint64_t until(const struct spate_net *n, uint32_t lifetime_s)
{
	return n->now_us + lifetime_s * (uint64_t)1000000;
}

static void heard_mtu(struct spate_net *n, struct iface *f, uint32_t mtu)
{
	if (mtu < MTU_MIN || mtu > f->mtu || mtu == f->mtu6)
		return;
	f->mtu6 = (uint16_t)mtu;
	spate_net_moved(n);
}

/* RFC 4861 6.3.4 */
static void heard_router(struct spate_net *n, const struct spate_net_post *p)
{
	struct iface *f = &n->iface[p->iface];
	struct routers *l = &f->routers;
	struct router *r = find(l, p->ip);

	spate_net_neigh_learn(n, p->iface, p->ip, p->mac, NEIGH_OVERRIDE | NEIGH_CREATE);
	heard_mtu(n, f, p->heard.mtu);
	if (p->heard.lifetime_s == 0) {
		if (r != NULL)
			forget(l, r);
	} else if (r != NULL || (r = add(l, p->ip)) != NULL) {
		r->preference = p->heard.preference;
		r->until_us = until(n, p->heard.lifetime_s);
		due(n, r->until_us);
	} else {
		drop(n, SPATE_NET_DROP_ROUTER_FULL);
	}
	/*
	 * 6.3.7: asking ends with the first router; who heard it before asking asks once, as an
	 * answer may say more.
	 */
	if (p->heard.lifetime_s != 0)
		l->solicits = l->solicits == SOLICITATIONS;
	choose(n, p->iface);
}

/* The route to the prefix that has been configured (or not), on any interface or on p's. */
static struct route *direct_route(struct spate_net *n, const struct spate_net_post *p,
				  bool configured)
{
	for (unsigned i = 0; i < n->nroutes; i++) {
		struct route *r = &n->route[i];

		if (r->prefix == p->heard.prefix && same_prefix(r->dst, p->ip, r->prefix) &&
		    (r->until_us == 0) == configured && (configured || r->iface == p->iface))
			return r;
	}
	return NULL;
}

static unsigned advertised_prefixes(const struct spate_net *n, unsigned iface)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n->nroutes; i++)
		count += n->route[i].until_us != 0 && n->route[i].direct &&
			 n->route[i].iface == iface;
	return count;
}

/* RFC 4861 6.3.4 */
static void heard_prefix(struct spate_net *n, const struct spate_net_post *p)
{
	struct route *r = direct_route(n, p, false);
	struct route fresh = {.prefix = p->heard.prefix, .iface = p->iface, .direct = true};
	uint32_t s = p->heard.lifetime_s;

	if (s == 0) {
		if (r == NULL)
			return;
		spate_net_route_remove(n, r);
		spate_net_moved(n);
		return;
	}
	fresh.until_us = until(n, s);
	due(n, fresh.until_us);
	if (r != NULL) {
		r->until_us = fresh.until_us;
		return;
	}
	if (direct_route(n, p, true) != NULL)
		return; /* the usual case: we have an address in it */
	memcpy(fresh.dst, p->ip, 16);
	if (advertised_prefixes(n, p->iface) == SPATE_NET_PREFIXES ||
	    spate_net_route_insert(n, &fresh) != 0)
		drop(n, SPATE_NET_DROP_ROUTER_FULL);
	else
		spate_net_moved(n);
}

void spate_net_router_heard(struct spate_net *n, const struct spate_net_post *p)
{
	if (p->type == SPATE_POST_ROUTER)
		heard_router(n, p);
	else
		heard_prefix(n, p);
}

/* For us and for the other workers. */
static void tell(struct spate_net *n, struct spate_net_post *p)
{
	p->worker = (uint8_t)n->setup.worker;
	spate_net_router_heard(n, p);
	if (n->setup.board != NULL && spate_net_bucket_take(&n->post, n->now_us))
		spate_net_board_post(n->setup.board, p);
}

/* RFC 4861 7.2.5: the IsRouter flag went from true to false. */
void spate_net_router_left(struct spate_net *n, unsigned iface, const uint8_t ip[16])
{
	struct spate_net_post p = {.type = SPATE_POST_ROUTER, .iface = (uint8_t)iface};

	if (find(&n->iface[iface].routers, ip) == NULL)
		return;
	memcpy(p.ip, ip, 16);
	tell(n, &p);
}

void spate_net_router_failed(struct spate_net *n, const struct neigh *e)
{
	const struct route *r = default_route(n, e->iface);

	if (r != NULL && memcmp(r->gateway, e->ip, 16) == 0)
		choose(n, e->iface);
}

/* --- an advertisement --- */

/*
 * RFC 4861 4.6.2, 6.3.4. Beyond what is said there: no prefix that could take IPv4 with it, and
 * none of length 0, which would be a default route without a router.
 */
static bool read_prefix(const uint8_t *o, struct spate_net_post *p)
{
	unsigned bits = o[2];

	if (o[1] != 4 || !(o[3] & PREFIX_ON_LINK) || bits == 0 || bits > 128)
		return false;
	memset(p->ip, 0, 16);
	memcpy(p->ip, o + 16, (bits + 7) / 8);
	if (bits % 8 != 0)
		p->ip[bits / 8] &= (uint8_t)(0xff00 >> bits % 8);
	p->heard.prefix = (uint8_t)bits;
	p->heard.lifetime_s = load32(o + 4);
	return !is_ip4(p->ip) && !is_link_local(p->ip);
}

/* RFC 4191 2.2: low is 11; 10 must be taken for medium. */
static uint8_t preference(uint8_t flags)
{
	static const uint8_t of[4] = {1, 2, 1, 0};

	return of[flags >> 3 & 3];
}

static void read_router(struct spate_net *n, unsigned iface, const uint8_t *src, const uint8_t *m,
			uint32_t len)
{
	struct spate_net_post p = {.type = SPATE_POST_ROUTER, .iface = (uint8_t)iface};

	memcpy(p.ip, src, 16);
	p.heard.lifetime_s = load16(m + 6);
	p.heard.preference = preference(m[5]);
	for (const uint8_t *o = m + 16; o < m + len; o = nd_option_next(o)) {
		if (o[0] == OPT_SOURCE_MAC && o[1] == 1)
			memcpy(p.mac, o + 2, 6);
		if (o[0] == OPT_MTU && o[1] == 1)
			p.heard.mtu = load32(o + 4);
	}
	tell(n, &p);
}

static void read_prefixes(struct spate_net *n, unsigned iface, const uint8_t *m, uint32_t len)
{
	unsigned told = 0;

	for (const uint8_t *o = m + 16; o < m + len; o = nd_option_next(o)) {
		struct spate_net_post p = {.type = SPATE_POST_PREFIX, .iface = (uint8_t)iface};

		if (o[0] != OPT_PREFIX || !read_prefix(o, &p))
			continue;
		if (told++ < SPATE_NET_PREFIXES) /* one message does not flood the board */
			tell(n, &p);
		else
			drop(n, SPATE_NET_DROP_ROUTER_FULL);
	}
}

/* The times and the hop limit for hosts (reachable time, ...) are not taken: ours are fixed. */
enum spate_net_verdict spate_net_router_input(struct spate_net *n, const struct view *v,
					      const uint8_t *icmp, uint32_t len)
{
	const uint8_t *src = v->ip + 8;

	if (!n->iface[v->iface].routers.followed)
		return SPATE_NET_DROP_ROUTER_STATIC;
	if (v->ip[7] != 255 || icmp[1] != 0 || len < 16 || !is_link_local(src) ||
	    !spate_net_nd_options_whole(icmp + 16, len - 16))
		return SPATE_NET_DROP_ROUTER;
	if (spate_net_local(n, src))
		return SPATE_NET_DROP_ARP_CONFLICT;
	read_router(n, v->iface, src, icmp, len);
	read_prefixes(n, v->iface, icmp, len);
	return SPATE_NET_ROUTER;
}

/* --- asking, and time --- */

/* RFC 4861 4.1, to all routers on the link. */
static void send_solicitation(struct spate_net *n, unsigned iface, const uint8_t from[16])
{
	static const uint8_t routers[16] = {0xff, 0x02, [15] = 2}, mac[6] = {0x33, 0x33, [5] = 2};
	struct spate_pkt_tx *tx = spate_net_frame(n, iface, mac, ETH_IP6);

	if (tx == NULL)
		return;
	uint8_t *ip = tx->head + tx->l2_len, *m = ip + 40;
	uint16_t csum;

	spate_net_ip6_header(ip, PROTO_ICMP6, 255, from, routers, 16);
	memset(m, 0, 8);
	m[0] = RS;
	m[8] = OPT_SOURCE_MAC;
	m[9] = 1;
	memcpy(m + 10, n->iface[iface].mac, 6);
	csum = (uint16_t)~spate_csum_fold(spate_net_pseudo6(from, routers, PROTO_ICMP6, 16) +
					  spate_csum_words(m, 16));
	memcpy(m + 2, &csum, 2);
	tx->head_len = (uint16_t)(tx->l2_len + 40 + 16);
	spate_net_frame_send(n, iface, tx);
}

/* RFC 4861 6.3.7: the first one after up to a second, so that hosts that start together spread. */
void spate_net_router_solicit(struct spate_net *n, unsigned iface)
{
	struct routers *l = &n->iface[iface].routers;

	if (!l->followed || spate_net_link_local(n, iface) == NULL)
		return;
	l->solicits = SOLICITATIONS;
	l->solicit_us = n->now_us + spate_net_random(n) % SOLICIT_DELAY_US;
	due(n, l->solicit_us);
}

static void solicit(struct spate_net *n, unsigned iface)
{
	struct routers *l = &n->iface[iface].routers;

	if (l->solicits == 0)
		return;
	if (l->solicit_us <= n->now_us) {
		send_solicitation(n, iface, spate_net_link_local(n, iface));
		l->solicits--;
		l->solicit_us = n->now_us + SOLICIT_INTERVAL_US;
	}
	if (l->solicits != 0)
		due(n, l->solicit_us);
}

/* RFC 4861 6.3.5 */
static void expire_routers(struct spate_net *n, unsigned iface)
{
	struct routers *l = &n->iface[iface].routers;

	for (unsigned i = l->n; i-- != 0;)
		if (l->list[i].until_us <= n->now_us)
			forget(l, &l->list[i]);
		else
			due(n, l->list[i].until_us);
	choose(n, iface);
}

static void expire_prefixes(struct spate_net *n)
{
	for (unsigned i = n->nroutes; i-- != 0;) {
		struct route *r = &n->route[i];

		if (r->until_us == 0)
			continue;
		if (r->until_us > n->now_us) {
			due(n, r->until_us);
			continue;
		}
		spate_net_route_remove(n, r);
		spate_net_moved(n);
	}
}

void spate_net_router_tick(struct spate_net *n)
{
	n->router_due_us = UINT64_MAX;
	for (unsigned i = 0; i < n->nifaces; i++) {
		solicit(n, i);
		expire_routers(n, i);
	}
	expire_prefixes(n);
}

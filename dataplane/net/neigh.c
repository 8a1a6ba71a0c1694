/*
 * neigh.c: who is where on the link. One table for ARP and neighbour discovery, the states of RFC
 * 4861 7.3.2 for both, bounded: when it is full the neighbour that was in use longest ago goes, but
 * no next hop of a route.
 *
 *           use               answer              30 s, in use: ask         no answer
 *   (none) ──────► INCOMPLETE ───────► REACHABLE ──────────────────► PROBE ──────────► FAILED
 *                      │                ▲   │ 30 s, not in use         ▲                 │ 3 s
 *                      │ no answer answer   ▼                          │ 5 s             ▼
 *                      └────► FAILED    └─ STALE ───── use ────────► DELAY         (asked again)
 *
 * STALE is also who told of himself unasked, or had his address doubted (7.2.3, 7.2.5).
 *
 * A path keeps a copy of the MAC address; hot.gen moves whenever an address changes or goes away,
 * and then each path looks again at its next packet. So a packet pays one compare, not a look-up.
 */
#include "dataplane/net/internal.h"

#define REACHABLE_US 30000000u /* RFC 4861 10: 30 s, times 0.5 to 1.5 */
#define DELAY_US     5000000u
#define RETRANS_US   1000000u
#define PROBES       3
#define FAILED_US    3000000u
#define IN_USE_US    600000000u /* a path that was not resolved anew for this long may be gone */

static unsigned hash(unsigned iface, const uint8_t ip[16])
{
	uint64_t a, b;

	memcpy(&a, ip, 8);
	memcpy(&b, ip + 8, 8);
	a = (a ^ b * 0x9e3779b97f4a7c15u ^ iface) * 0xff51afd7ed558ccdu;
	return (unsigned)(a >> 40) % NEIGH_BUCKETS;
}

uint64_t spate_net_random(struct spate_net *n)
{
	n->seed ^= n->seed << 13;
	n->seed ^= n->seed >> 7;
	n->seed ^= n->seed << 17;
	return n->seed;
}

static uint64_t jitter(struct spate_net *n, uint64_t us)
{
	return us / 2 + spate_net_random(n) % us;
}

void spate_net_moved(struct spate_net *n)
{
	if (++n->hot.gen == 0)
		n->hot.gen = 1; /* 0 says: not resolved */
}

static void due(struct spate_net *n, struct neigh *e, uint64_t in_us)
{
	e->at_us = n->now_us + in_us;
	if (e->at_us < n->neigh_due_us)
		n->neigh_due_us = e->at_us;
}

struct neigh *spate_net_neigh_find(struct spate_net *n, unsigned iface, const uint8_t ip[16])
{
	for (uint16_t i = n->bucket[hash(iface, ip)]; i != NEIGH_NONE; i = n->neigh[i].next)
		if (n->neigh[i].iface == iface && memcmp(n->neigh[i].ip, ip, 16) == 0)
			return &n->neigh[i];
	return NULL;
}

static void set_state(struct spate_net *n, struct neigh *e, enum neigh_state to)
{
	n->nincomplete += (to == NEIGH_INCOMPLETE) - (e->state == NEIGH_INCOMPLETE);
	e->state = (uint8_t)to;
}

static void unlink_entry(struct spate_net *n, struct neigh *e)
{
	uint16_t self = (uint16_t)(e - n->neigh);
	uint16_t *p = &n->bucket[hash(e->iface, e->ip)];

	while (*p != self)
		p = &n->neigh[*p].next;
	*p = e->next;
}

static void drop_parked(struct spate_net *n, struct neigh *e)
{
	struct spate_txq *q = &n->iface[e->iface].hot.txq;

	for (unsigned i = 0; i < e->nparked; i++) {
		q->port->ops->tx_put(q->port, q->queue, &n->parked[e->parked[i]], 1);
		n->parked_free[n->nparked_free++] = e->parked[i];
		drop(n, SPATE_NET_DROP_NO_NEIGHBOUR);
	}
	e->nparked = 0;
}

/* Does a route lead over it? What goes there reaches everybody behind. */
static bool is_next_hop(const struct spate_net *n, unsigned iface, const uint8_t ip[16])
{
	for (unsigned i = 0; i < n->nroutes; i++)
		if (!n->route[i].direct && n->route[i].iface == iface &&
		    memcmp(n->route[i].gateway, ip, 16) == 0)
			return true;
	return false;
}

/* Asked for; nobody, as it turned out; somebody. */
enum kind { ASKED, NOBODY, SOMEBODY };

static enum kind kind_of(const struct neigh *e)
{
	return e->state == NEIGH_INCOMPLETE ? ASKED : has_mac(e) ? SOMEBODY : NOBODY;
}

/* The one of these in use longest ago, but no next hop. */
static struct neigh *oldest(struct spate_net *n, enum kind kind)
{
	struct neigh *best = NULL;

	for (unsigned i = 0; i < n->neigh_high; i++) {
		struct neigh *e = &n->neigh[i];

		if (kind_of(e) == kind && (best == NULL || e->used_us < best->used_us) &&
		    !is_next_hop(n, e->iface, e->ip))
			best = e;
	}
	return best;
}

/*
 * A free entry, or the one in use longest ago, of those where nobody is before those where somebody
 * is. Questions to addresses where perhaps nobody is, which any sender can make us ask, have a
 * quarter of the table and push out each other (RFC 6583).
 */
static struct neigh *take_entry(struct spate_net *n)
{
	struct neigh *e = NULL;

	if (n->nincomplete >= NEIGH_INCOMPLETE_MAX)
		e = oldest(n, ASKED);
	if (e == NULL && n->neigh_high < SPATE_NET_NEIGHBOURS)
		return &n->neigh[n->neigh_high++];
	if (e == NULL)
		e = oldest(n, NOBODY);
	if (e == NULL)
		e = oldest(n, SOMEBODY);
	if (e == NULL)
		e = oldest(n, ASKED);
	if (e == NULL)
		return NULL;
	drop_parked(n, e);
	unlink_entry(n, e);
	if (has_mac(e))
		spate_net_moved(n);
	set_state(n, e, NEIGH_FREE);
	return e;
}

struct neigh *spate_net_neigh_add(struct spate_net *n, unsigned iface, const uint8_t ip[16])
{
	struct neigh *e = NULL;

	/* A flood, and no question may be asked now: not even looked for a place, which takes
	 * longer. */
	if (n->nincomplete < NEIGH_INCOMPLETE_MAX || spate_net_bucket_has(&n->ask, n->now_us) ||
	    is_next_hop(n, iface, ip))
		e = take_entry(n);
	if (e == NULL) {
		drop(n, SPATE_NET_DROP_NEIGHBOUR_FULL);
		return NULL;
	}
	unsigned b = hash(iface, ip);

	*e = (struct neigh){.iface = (uint8_t)iface, .state = NEIGH_FREE, .next = n->bucket[b]};
	memcpy(e->ip, ip, 16);
	n->bucket[b] = (uint16_t)(e - n->neigh);
	return e;
}

static void ask(struct spate_net *n, struct neigh *e)
{
	const uint8_t *mac = e->state == NEIGH_PROBE ? e->mac : NULL;
	bool known = mac != NULL || is_next_hop(n, e->iface, e->ip);
	const struct address *src;

	e->probes++;
	due(n, e, RETRANS_US);
	if (!spate_net_bucket_take(known ? &n->ask_known : &n->ask, n->now_us)) {
		drop(n, SPATE_NET_DROP_ARP_RATE);
		return;
	}
	src = spate_net_source(n, e->iface, e->ip);
	if (src == NULL)
		return;
	if (is_ip4(e->ip))
		spate_net_arp_request(n, e->iface, e->ip + 12, src->ip + 12, mac);
	else
		spate_net_nd_solicit(n, e->iface, e->ip, src->ip, mac);
}

bool spate_net_neigh_use(struct spate_net *n, struct neigh *e)
{
	e->used_us = n->now_us;
	switch ((enum neigh_state)e->state) {
	case NEIGH_FAILED:
		if (n->now_us < e->at_us)
			return false; /* did not answer a moment ago */
				      /* fall through */
	case NEIGH_FREE:
		set_state(n, e, NEIGH_INCOMPLETE);
		e->probes = 0;
		ask(n, e);
		return false;
	case NEIGH_INCOMPLETE:
		return false;
	case NEIGH_STALE:
		set_state(n, e, NEIGH_DELAY);
		due(n, e, DELAY_US);
		return true;
	case NEIGH_REACHABLE:
	case NEIGH_DELAY:
	case NEIGH_PROBE:
		return true;
	}
	return false;
}

void spate_net_neigh_confirmed(struct spate_net *n, struct neigh *e)
{
	if (!has_mac(e))
		return;
	set_state(n, e, NEIGH_REACHABLE);
	e->probes = 0;
	due(n, e, jitter(n, REACHABLE_US));
}

static void send_parked(struct spate_net *n, struct neigh *e)
{
	struct spate_txq *q = &n->iface[e->iface].hot.txq;

	for (unsigned i = 0; i < e->nparked; i++) {
		struct spate_pkt_tx *tx = &n->parked[e->parked[i]];

		memcpy(tx->head, e->mac, 6);
		spate_txq_give(q, tx);
		n->parked_free[n->nparked_free++] = e->parked[i];
	}
	e->nparked = 0;
}

/* Nobody is at a group address or at zero: such a claim is a mistake or an attack. */
static bool can_be_at(const uint8_t mac[6])
{
	return !(mac[0] & 1) && memcmp(mac, "\0\0\0\0\0\0", 6) != 0;
}

/* Good to use, but nobody has confirmed it: asked about soon once something is sent there. */
static void make_stale(struct spate_net *n, struct neigh *e)
{
	bool sends = e->nparked != 0; /* what waits goes now */

	set_state(n, e, sends ? NEIGH_DELAY : NEIGH_STALE);
	e->at_us = UINT64_MAX;
	if (sends)
		due(n, e, DELAY_US);
}

bool spate_net_neigh_learn(struct spate_net *n, unsigned iface, const uint8_t ip[16],
			   const uint8_t *mac, unsigned how)
{
	struct neigh *e = spate_net_neigh_find(n, iface, ip);
	bool fresh = e == NULL;

	if (mac != NULL && !can_be_at(mac))
		return false;
	if (fresh && (mac == NULL || !(how & NEIGH_CREATE) ||
		      (e = spate_net_neigh_add(n, iface, ip)) == NULL))
		return false;
	bool had = has_mac(e), same = had && (mac == NULL || memcmp(e->mac, mac, 6) == 0);

	if (!had && mac == NULL)
		return false;
	if (had && !same && !(how & NEIGH_OVERRIDE)) {
		/* Perhaps somebody's proxy: ours stays, in doubt. */
		if (e->state == NEIGH_REACHABLE) {
			make_stale(n, e);
			spate_net_moved(n); /* paths look again: then use() moves it on */
		}
		return false;
	}
	if (!same) {
		memcpy(e->mac, mac, 6);
		make_stale(n, e);
		/* Also when there was none: whoever waits for it looks again. */
		if (!fresh)
			spate_net_moved(n);
	}
	if (how & NEIGH_SOLICITED)
		spate_net_neigh_confirmed(n, e);
	send_parked(n, e);
	return true;
}

/*
 * The other workers may be waiting for this answer, or use the old address. A stranger's chatter
 * is bounded.
 */
void spate_net_neigh_share(struct spate_net *n, unsigned iface, const uint8_t ip[16],
			   const uint8_t *mac, unsigned how)
{
	struct spate_net_post p = {.type = SPATE_POST_NEIGHBOUR,
				   .solicited = how & NEIGH_SOLICITED,
				   .override = how & NEIGH_OVERRIDE};

	if (mac != NULL ? !can_be_at(mac) : !p.solicited)
		return; /* says nothing */
	if (n->setup.board == NULL || !spate_net_bucket_take(&n->post, n->now_us))
		return;
	p.worker = (uint8_t)n->setup.worker;
	p.iface = (uint8_t)iface;
	if (mac != NULL)
		memcpy(p.mac, mac, 6);
	memcpy(p.ip, ip, 16);
	spate_net_board_post(n->setup.board, &p);
}

void spate_net_neigh_heard(struct spate_net *n, const struct spate_net_post *p)
{
	spate_net_neigh_learn(n, p->iface, p->ip, can_be_at(p->mac) ? p->mac : NULL,
			      (p->solicited ? NEIGH_SOLICITED : 0) |
				      (p->override ? NEIGH_OVERRIDE : 0));
}

static void fail(struct spate_net *n, struct neigh *e)
{
	drop_parked(n, e);
	set_state(n, e, NEIGH_FAILED);
	spate_net_router_failed(n, e);
	spate_net_moved(n);
	due(n, e, FAILED_US);
}

/* The state's time is over. */
static void expire(struct spate_net *n, struct neigh *e)
{
	bool in_use = n->now_us - e->used_us < IN_USE_US;

	switch ((enum neigh_state)e->state) {
	case NEIGH_INCOMPLETE:
	case NEIGH_PROBE:
		if (e->probes < PROBES)
			ask(n, e);
		else
			fail(n, e);
		break;
	case NEIGH_REACHABLE:
		if (in_use) {
			set_state(n, e, NEIGH_PROBE);
			e->probes = 0;
			ask(n, e);
			break;
		}
		/* Perhaps nobody uses it any more: paths look again, and then use() moves it on. */
		set_state(n, e, NEIGH_STALE);
		spate_net_moved(n);
		e->at_us = UINT64_MAX;
		break;
	case NEIGH_DELAY:
		set_state(n, e, NEIGH_PROBE);
		e->probes = 0;
		ask(n, e);
		break;
	case NEIGH_FAILED:
		set_state(n, e, NEIGH_FREE); /* the next use may ask again */
		spate_net_moved(n);
		/* fall through */
	case NEIGH_FREE:
	case NEIGH_STALE:
		e->at_us = UINT64_MAX; /* stays until used or pushed out */
		break;
	}
}

void spate_net_neigh_tick(struct spate_net *n)
{
	uint64_t next = UINT64_MAX;

	n->neigh_due_us = UINT64_MAX;
	for (unsigned i = 0; i < n->neigh_high; i++) {
		struct neigh *e = &n->neigh[i];

		if (e->at_us <= n->now_us)
			expire(n, e);
		if (e->at_us < next)
			next = e->at_us;
	}
	n->neigh_due_us = next;
}

bool spate_net_neigh_park(struct spate_net *n, struct neigh *e, struct spate_txq *q)
{
	if (e->state != NEIGH_INCOMPLETE || e->nparked == PARKED_EACH || n->nparked_free == 0)
		return false;
	uint8_t slot = n->parked_free[--n->nparked_free];

	e->parked[e->nparked++] = slot;
	spate_txq_keep(q, &n->parked[slot]);
	return true;
}

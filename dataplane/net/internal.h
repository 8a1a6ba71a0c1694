/* internal.h: what the files of net/ share and nobody else sees. */
#ifndef SPATE_NET_INTERNAL_H
#define SPATE_NET_INTERNAL_H

#include "dataplane/net/board.h"
#include "dataplane/net/net.h"

#define ETH_IP4  0x0800
#define ETH_ARP  0x0806
#define ETH_VLAN 0x8100
#define ETH_IP6  0x86dd

#define PROTO_ICMP  1
#define PROTO_TCP   6
#define PROTO_UDP   17
#define PROTO_ICMP6 58

#define NEIGH_NONE           0xffff
#define NEIGH_BUCKETS        2048
#define NEIGH_INCOMPLETE_MAX (SPATE_NET_NEIGHBOURS / 4)
#define PARKED_MAX           64 /* packets waiting for neighbours, over all */
#define PARKED_EACH          2
#define UDP_PORTS            16
#define PMTU_SLOTS           256
#define PMTU_US              600000000u
#define SCRATCH_SLOTS        32 /* payloads of echo replies on their way */
#define SCRATCH_BYTES        9216

enum neigh_state {
	NEIGH_FREE,
	NEIGH_INCOMPLETE, /* asked, no answer yet */
	NEIGH_REACHABLE,  /* confirmed not long ago */
	NEIGH_STALE,      /* has an address, not confirmed lately, not in use */
	NEIGH_DELAY,      /* stale and in use: somebody may confirm it before we ask */
	NEIGH_PROBE,      /* asking for a confirmation, still in use */
	NEIGH_FAILED,     /* did not answer: no new question until `at_us` */
};

struct neigh {
	uint8_t ip[16];
	uint8_t mac[6];
	uint8_t state;
	uint8_t iface;
	uint8_t probes;
	uint8_t nparked;
	uint8_t parked[PARKED_EACH];
	uint16_t next;    /* in its bucket */
	uint64_t at_us;   /* when the state's time is over */
	uint64_t used_us; /* last time a path was resolved to it */
};

struct address {
	uint8_t ip[16];
	uint8_t prefix; /* 0..128, IPv4 counted from 96 */
	uint8_t iface;
	bool link_local;
	uint64_t defend_us; /* not defended again before */
	uint64_t report_us; /* then a router's query is answered; 0: none is */
};

struct route {
	uint8_t dst[16];
	uint8_t prefix; /* as in address */
	uint8_t iface;
	bool direct;
	uint8_t gateway[16];
	uint64_t until_us; /* 0: configured. Else a router said so */
};

struct router {
	uint8_t ip[16];
	uint8_t preference; /* RFC 4191: 0 low, 1 medium, 2 high */
	uint64_t until_us;
};

/* What an interface that follows router advertisements knows (router.c). */
struct routers {
	bool followed;
	uint8_t solicits; /* to be sent yet */
	uint8_t n;
	uint64_t solicit_us; /* when the next one goes */
	struct router list[SPATE_NET_ROUTERS];
};

struct iface {
	struct spate_net_if hot;
	uint8_t mac[6];
	uint16_t vlan, mtu;
	uint16_t mtu6; /* of IPv6: a router may lower it */
	uint8_t l2_len;
	bool quiet;
	bool up;              /* when the link was last looked at (link.c) */
	uint8_t announces;    /* to be made yet, */
	uint64_t announce_us; /* the next one then */
	uint64_t mac_cmp;     /* mac in the low six bytes of a little-endian load */
	struct routers routers;
};

/*
 * What a believed ICMP error said of the way to one address; forgotten after ten minutes (RFC
 * 1191 6.3).
 */
struct pmtu {
	uint8_t ip[16];
	uint16_t mtu; /* 0: free */
	uint64_t until_us;
};

struct bucket {
	uint64_t at_us;
	uint32_t rate, tokens; /* per second; at most one second's worth saved */
};

struct spate_net {
	struct spate_net_hot hot; /* first: net.h casts */
	unsigned nifaces, naddresses, nroutes, nudp;
	uint32_t addr4[SPATE_NET_ADDRESSES]; /* network order; the IPv4 ones of address[] again, for
						the hot check */
	unsigned naddr4;
	struct iface iface[SPATE_NET_IFACES];
	struct address address[SPATE_NET_ADDRESSES];
	struct route route[SPATE_NET_ROUTES]; /* longest prefix first */
	uint16_t udp[UDP_PORTS];              /* host order */
	uint64_t tcp[1024];      /* a bit a port; only looked at with an exception path */
	_Atomic uint64_t *count; /* [SPATE_NET_VERDICTS], in a stats block */
	struct spate_stats *own_stats;
	uint64_t now_us;
	uint64_t seed;
	struct spate_net_setup setup;
	struct bucket ask,
		ask_known; /* questions: for strangers; for who is known, and next hops */
	struct bucket icmp, mld;
	struct bucket post,
		post_event; /* to the board: of the link; what anybody may make us say */

	uint16_t bucket[NEIGH_BUCKETS];
	struct neigh neigh[SPATE_NET_NEIGHBOURS];
	unsigned neigh_high; /* entries ever used: the scan ends here */
	unsigned nincomplete;
	uint64_t neigh_due_us;
	uint64_t pmtu_due_us;
	uint64_t mld_due_us;
	uint64_t router_due_us;
	uint64_t link_due_us;

	struct spate_pkt_tx parked[PARKED_MAX];
	uint8_t parked_free[PARKED_MAX];
	unsigned nparked_free;

	struct pmtu pmtu[PMTU_SLOTS];

	uint64_t board_at;
	unsigned scratch_at;
	uint8_t scratch[SCRATCH_SLOTS][SCRATCH_BYTES];
};

static inline uint16_t load16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t load32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void store32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, 4);
}

static inline bool is_ip4(const uint8_t ip[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(ip, mapped, 12) == 0;
}

static inline void map_ip4(uint8_t out[16], const uint8_t ip4[4])
{
	memset(out, 0, 10);
	out[10] = out[11] = 0xff;
	memcpy(out + 12, ip4, 4);
}

/* Neither this network, loopback, a group nor what is reserved (RFC 1122 3.2.1.3). */
static inline bool can_be_host4(const uint8_t ip4[4])
{
	return ip4[0] != 0 && ip4[0] != 127 && ip4[0] < 224;
}

static inline bool ip_is_zero(const uint8_t ip[16])
{
	uint64_t a, b;

	memcpy(&a, ip, 8);
	memcpy(&b, ip + 8, 8);
	return (a | b) == 0;
}

static inline bool is_link_local(const uint8_t ip[16])
{
	return ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80;
}

/* Bits of 16-byte addresses that agree, up to `bits`. */
static inline bool same_prefix(const uint8_t a[16], const uint8_t b[16], unsigned bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;

	return memcmp(a, b, bytes) == 0 &&
	       (rest == 0 || ((a[bytes] ^ b[bytes]) & (0xff00 >> rest) & 0xff) == 0);
}

static inline bool has_mac(const struct neigh *e)
{
	return e->state >= NEIGH_REACHABLE && e->state <= NEIGH_PROBE;
}

static inline void drop(struct spate_net *n, enum spate_net_verdict v)
{
	atomic_store_explicit(&n->count[v],
			      atomic_load_explicit(&n->count[v], memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

/*
 * Nobody sends from one of our addresses, a broadcast address or ::1 (RFC 1122 3.2.1.3, RFC
 * 4291 2.5.3). Asked before something is answered or remembered.
 */
bool spate_net_odd_source(const struct spate_net *n, const uint8_t ip[16]);

/* One token, or false. A rate of 0 never gives. */
bool spate_net_bucket_take(struct bucket *b, uint64_t now_us);
bool spate_net_bucket_has(struct bucket *b, uint64_t now_us); /* would take give one? */

/* --- one packet being looked at --- */
struct view {
	struct spate_pkt_rx *pkt;
	const uint8_t *eth;
	uint8_t *ip;
	uint32_t near; /* bytes contiguous from ip on, at most the IP packet's length */
	uint32_t len;  /* of the IP packet */
	unsigned iface;
	bool multicast;    /* the destination address is */
	bool fragment;     /* it came with a fragment header, whole */
	bool router_alert; /* IPv6: it asks routers to look at it */
};

/* Not part of a connection: a SYN, or not TCP. */
static inline bool spate_net_begins(const struct view *v, uint8_t proto, const uint8_t *l4)
{
	return proto != PROTO_TCP || (l4 + 13 < v->ip + v->near && (l4[13] & 0x12) == 0x02);
}

/* Each takes the packet and says what became of it; TCP, UDP and ICMP_EVENT append to `in`. */
enum spate_net_verdict spate_net_arp_input(struct spate_net *n, const struct view *v);
enum spate_net_verdict spate_net_ip4_input(struct spate_net *n, struct view *v,
					   struct spate_net_in *in);
enum spate_net_verdict spate_net_ip6_input(struct spate_net *n, struct view *v,
					   struct spate_net_in *in);
enum spate_net_verdict spate_net_icmp4_input(struct spate_net *n, const struct view *v,
					     uint8_t *icmp, uint32_t len, struct spate_net_in *in);
enum spate_net_verdict spate_net_icmp6_input(struct spate_net *n, const struct view *v,
					     uint8_t *icmp, uint32_t len, struct spate_net_in *in);
enum spate_net_verdict spate_net_nd_input(struct spate_net *n, const struct view *v,
					  const uint8_t *icmp, uint32_t len);
enum spate_net_verdict spate_net_mld_query(struct spate_net *n, const struct view *v,
					   const uint8_t *icmp, uint32_t len);
enum spate_net_verdict spate_net_l4_input(struct spate_net *n, struct view *v, uint8_t proto,
					  uint8_t *l4, uint32_t len, struct spate_net_in *in);

/* --- sending of net's own --- */
/* A packet with the ethernet header written (and the VLAN tag); NULL: counted. */
struct spate_pkt_tx *spate_net_frame(struct spate_net *n, unsigned iface, const uint8_t dst_mac[6],
				     uint16_t ethertype);
/* head_len and frags are set and every checksum is in place. */
void spate_net_frame_send(struct spate_net *n, unsigned iface, struct spate_pkt_tx *tx);
/* Writes headers; total is the length of what follows them. */
void spate_net_ip4_header(struct spate_net *n, uint8_t *ip, uint8_t proto, const uint8_t src[4],
			  const uint8_t dst[4], uint32_t total);
void spate_net_ip6_header(uint8_t *ip, uint8_t next, uint8_t hops, const uint8_t src[16],
			  const uint8_t dst[16], uint32_t total);
uint64_t spate_net_pseudo6(const uint8_t src[16], const uint8_t dst[16], uint8_t next,
			   uint32_t len);
void spate_net_arp_request(struct spate_net *n, unsigned iface, const uint8_t target[4],
			   const uint8_t source[4], const uint8_t *unicast_mac);
void spate_net_arp_announce(struct spate_net *n, unsigned iface, const uint8_t ip[4]);
void spate_net_nd_solicit(struct spate_net *n, unsigned iface, const uint8_t target[16],
			  const uint8_t source[16], const uint8_t *unicast_mac);
void spate_net_nd_announce(struct spate_net *n, unsigned iface, const uint8_t ip[16]);
void spate_net_solicited_node(const uint8_t ip[16], uint8_t group[16]); /* RFC 4291 2.7.1 */
void spate_net_group_mac(const uint8_t group[16], uint8_t mac[6]);      /* RFC 2464 7 */
void spate_net_mld_report(struct spate_net *n, unsigned iface);
void spate_net_mld_tick(struct spate_net *n);
/*
 * Copies len bytes behind the first `after` bytes past the ethernet header; sets head_len and the
 * frag.
 */
void spate_net_copy_tail(struct spate_net *n, struct spate_pkt_tx *tx, uint32_t after,
			 const uint8_t *bytes, uint32_t len);
void spate_net_unreachable(struct spate_net *n, const struct view *v, uint8_t code4, uint8_t code6);
/* at: where in the IPv6 packet the next header is named that nobody here speaks (RFC 8200 4). */
void spate_net_unknown_header(struct spate_net *n, const struct view *v, uint32_t at);

/* --- neighbours --- */
struct neigh *spate_net_neigh_find(struct spate_net *n, unsigned iface, const uint8_t ip[16]);
struct neigh *spate_net_neigh_add(struct spate_net *n, unsigned iface, const uint8_t ip[16]);
/* In use now: starts asking when need be. true: mac is good to use. */
bool spate_net_neigh_use(struct spate_net *n, struct neigh *e);
/* What an NA says with its flags (RFC 4861 4.4), and others by what they are. */
enum {
	NEIGH_SOLICITED = 1, /* an answer to our question: nothing else makes it reachable */
	NEIGH_OVERRIDE = 2,  /* goes before the address that we have */
	NEIGH_CREATE = 4,    /* worth an entry if there is none */
};
/*
 * Somebody said that ip is at mac (RFC 4861 7.2.3, 7.2.5); NULL: he did not say where. false: not
 * believed, or about nobody we know.
 */
bool spate_net_neigh_learn(struct spate_net *n, unsigned iface, const uint8_t ip[16],
			   const uint8_t *mac, unsigned how);
/* Tells the other workers, when there are any. */
void spate_net_neigh_share(struct spate_net *n, unsigned iface, const uint8_t ip[16],
			   const uint8_t *mac, unsigned how);
void spate_net_neigh_heard(struct spate_net *n, const struct spate_net_post *p); /* and hears */
void spate_net_neigh_confirmed(struct spate_net *n, struct neigh *e);
void spate_net_moved(struct spate_net *n); /* a path may lead elsewhere now: hot.gen */
void spate_net_neigh_tick(struct spate_net *n);
bool spate_net_neigh_park(struct spate_net *n, struct neigh *e, struct spate_txq *q);

/* RFC 4861 4.6: none is empty, and the last one ends where the message does. */
bool spate_net_nd_options_whole(const uint8_t *p, uint32_t len);

static inline const uint8_t *nd_option_next(const uint8_t *p)
{
	return p + p[1] * (size_t)8;
}

void spate_net_link_tick(struct spate_net *n); /* link.c */
void spate_net_pmtu_tick(struct spate_net *n); /* path.c */

/* --- routers --- */
enum spate_net_verdict spate_net_router_input(struct spate_net *n, const struct view *v,
					      const uint8_t *icmp, uint32_t len);
/* A finding of this worker or another: SPATE_POST_ROUTER or SPATE_POST_PREFIX. */
void spate_net_router_heard(struct spate_net *n, const struct spate_net_post *p);
/* A neighbour did not answer: when it is the router in use, another one's turn comes. */
void spate_net_router_failed(struct spate_net *n, const struct neigh *e);
/* A neighbour says that it is no router (any more). */
void spate_net_router_left(struct spate_net *n, unsigned iface, const uint8_t ip[16]);
void spate_net_router_solicit(struct spate_net *n, unsigned iface); /* from now on */
void spate_net_router_tick(struct spate_net *n);

uint64_t spate_net_random(struct spate_net *n); /* for spreading in time, not for secrets */
/* Keeps the table sorted, longest prefix first; among equals the first one stays first. */
int spate_net_route_insert(struct spate_net *n, const struct route *r);
void spate_net_route_remove(struct spate_net *n, struct route *r);
const uint8_t *spate_net_link_local(const struct spate_net *n, unsigned iface); /* NULL: no IPv6 */
/* Is it in a network of the interface's own, whatever routes say of parts of it? */
bool spate_net_on_link(const struct spate_net *n, unsigned iface, const uint8_t ip[16]);
const struct route *spate_net_route_find(const struct spate_net *n, const uint8_t dst[16]);
/* The same, out of this interface only. */
const struct route *spate_net_route_on(const struct spate_net *n, unsigned iface,
				       const uint8_t dst[16]);
const struct address *spate_net_address_find(const struct spate_net *n, const uint8_t ip[16]);
/*
 * Another host claims it: shall we object? Not twice within ten seconds, or two hosts that both
 * defend go on for ever (RFC 5227 2.4 (c)).
 */
bool spate_net_may_defend(struct spate_net *n, const struct address *a);
/* The best source address towards dst on iface, or NULL. */
const struct address *spate_net_source(const struct spate_net *n, unsigned iface,
				       const uint8_t dst[16]);
void spate_net_event(struct spate_net *n, struct spate_net_in *in,
		     const struct spate_net_event *ev);

#endif

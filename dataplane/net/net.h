/*
 * net.h: ethernet, VLAN, ARP, IPv4, IPv6, neighbour discovery, ICMP, UDP: from frames to segments
 * and back. One struct spate_net a worker, touched by that worker alone. No I/O, no clock: packets
 * come from and go to ports (port.h), and now_us is handed in.
 *
 * Set up:
 *   spate_net_create(&setup)
 *   i = spate_net_add_iface(n, &iface)    one a port
 *   spate_net_add_address / _add_route    a route of length 0 is the gateway
 *
 * A turn (backend_dpdk.c):
 *   n_pkts = rx(...)
 *   spate_net_rx(n, i, pkts, n_pkts, ...) eats what is net's own (ARP, ND, echo), and gives back,
 *                                         in order: in.tcp[], in.udp[] (views into the packets)
 *                                         and in.events[] (what ICMP said of a TCP connection)
 *   ... tcp works on them, keeps what it must
 *   rx_free(...)
 *   spate_net_tick(n, now_us, &in)        retries, probes, expiry; says when to call it next
 *   spate_net_flush(n)                    sends the burst
 *
 * tcp/ has its headers from lower.h. Others (udp) send on a path:
 *   spate_net_path(n, &path, ...)         once, at set-up
 *   tx = spate_net_begin(n, path)         NULL: no buffers now; l2, l3 and the ports are written
 *   ... write the rest of the header at spate_net_l4(tx), set tx->frag, nfrags, frag_len
 *   spate_net_send(n, path, tx, ...)      lengths, checksums, out
 *
 * A neighbour that is not known yet is asked for at the first send; that packet waits (two a
 * neighbour at most, without frags), others are dropped and counted.
 *
 * Each packet that goes no further ends in a verdict (tbl/net.def), counted. Addresses are 16
 * bytes, IPv4 as ::ffff:a.b.c.d. Ports are in host order except inside headers.
 */
#ifndef SPATE_NET_H
#define SPATE_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "dataplane/net/checksum.h"
#include "dataplane/port/port.h"
#include "dataplane/port/txq.h"
#include "spate/stats.h"

#define SPATE_NET_IFACES     4
#define SPATE_NET_ADDRESSES  32 /* over all interfaces, link-local ones included */
#define SPATE_NET_ROUTERS    4  /* an interface: default routers that are remembered, */
#define SPATE_NET_PREFIXES   8  /* and prefixes that are on its link */
#define SPATE_NET_CONFIGURED 18 /* an interface: gateways and routes of the configuration */
#define SPATE_NET_ROUTES       \
	(SPATE_NET_ADDRESSES + \
	 SPATE_NET_IFACES * (SPATE_NET_CONFIGURED + SPATE_NET_PREFIXES + 1 /* a router */))
#define SPATE_NET_NEIGHBOURS 1024
#define SPATE_NET_EVENTS     SPATE_BURST

enum spate_net_verdict {
#define SPATE_NET_COUNTER(NAME, name, help) SPATE_NET_##NAME,
#include "spate/tbl/net.def"
#undef SPATE_NET_COUNTER
	SPATE_NET_VERDICTS
};

struct spate_net_verdict_info {
	const char *name, *help;
};
extern const struct spate_net_verdict_info spate_net_verdicts[SPATE_NET_VERDICTS];

/* A TCP segment or UDP datagram that is ours, whole, with its checksum verified. */
struct spate_seg {
	struct spate_pkt_rx *pkt; /* in the burst given to spate_net_rx */
	const uint8_t *ip;        /* the IP header: version by `ip4` */
	uint8_t *l4;              /* the TCP or UDP header */
	uint32_t len;             /* bytes from l4 on; those over l4_near are in pkt's rest */
	uint32_t l4_near;         /* bytes contiguous at l4, at least the whole TCP header */
	bool ip4;
	uint8_t tos; /* traffic class; the low two bits are ECN */
	uint8_t iface;
	uint8_t hops; /* TTL or hop limit as received */
};

static inline const uint8_t *spate_seg_src(const struct spate_seg *s)
{
	return s->ip + (s->ip4 ? 12 : 8); /* 4 or 16 bytes */
}

static inline const uint8_t *spate_seg_dst(const struct spate_seg *s)
{
	return s->ip + (s->ip4 ? 16 : 24);
}

void spate_seg_addrs(const struct spate_seg *s, uint8_t src[16], uint8_t dst[16]);

/*
 * What ICMP said about a TCP packet that we seem to have sent. Believe it only if it matches a
 * live connection and seq lies in what that has in flight (RFC 5927, RFC 8201).
 */
struct spate_net_event {
	enum { SPATE_NET_PMTU, SPATE_NET_UNREACHABLE } type;
	uint8_t local[16], remote[16];
	uint16_t lport, rport;
	uint32_t seq; /* of the quoted TCP header */
	uint32_t mtu; /* PMTU: largest IP packet; at least 68 or 1280 */
	bool hard; /* UNREACHABLE: there is nobody (protocol, port, prohibited), not just no way now
		    */
};

struct spate_net_in {
	struct spate_seg tcp[SPATE_BURST], udp[SPATE_BURST];
	struct spate_net_event events[SPATE_NET_EVENTS];
	unsigned ntcp, nudp, nevents;
};

/*
 * The way to one remote endpoint: a header template and what must be patched in each packet.
 * 84 bytes, of who sends; holds addresses and ports, so that the connection need
 * not.
 */
struct spate_net_path {
	uint8_t head[64]; /* ethernet, vlan, ip, source and destination port: as they go out */
	uint8_t l2_len, l3_len;
	uint8_t iface;
	uint8_t flags;   /* SPATE_TX_IP4 or 0 */
	uint16_t mtu;    /* largest IP packet this way; TCP lowers it on PMTU events */
	uint16_t neigh;  /* entry in the neighbour table */
	uint32_t gen;    /* of the MAC address in head; 0: not resolved yet */
	uint32_t ip_sum; /* IPv4 header sum with length and id 0 */
	uint32_t pseudo; /* sum of addresses and protocol */
};

struct spate_net_setup {
	uint64_t seed;       /* for ids and jitter; any value */
	uint32_t arp_per_s;  /* requests and solicitations; 0: 1000 */
	uint32_t icmp_per_s; /* echo replies and errors together; 0: 1000 */
	/*
	 * What is not ours (other protocols, frames to addresses we do not have), or NULL. Not
	 * kept: copy it.
	 */
	void (*exception)(void *ctx, unsigned iface, const struct spate_pkt_rx *pkt);
	void *exception_ctx;
	/*
	 * With an exception path: the TCP ports that are ours (host order); segments to others
	 * are not. Copied.
	 */
	const uint16_t *tcp_ports;
	unsigned ntcp_ports;
	struct spate_net_board *board; /* shared by the workers of one edge; NULL: alone */
	unsigned worker;
	struct spate_stats *stats; /* where to count (net_*); NULL: in a block of its own */
};

struct spate_net_iface_setup {
	struct spate_port *port;
	unsigned queue;
	uint16_t vlan; /* tag to use; 0: untagged */
	uint16_t mtu;  /* 0: the port's */
	bool quiet;    /* not the first worker: no announcements, no router solicitations */
	bool routers;  /* follow router advertisements; routes that are added here go first */
};

struct spate_net;

/* Errors: -ENOSPC a table is full, -EINVAL nonsense. */
struct spate_net *spate_net_create(const struct spate_net_setup *setup); /* NULL: no memory */
void spate_net_destroy(struct spate_net *n); /* gives back every buffer of the ports */
/* Its index, 0 for the first, by which it is named from then on. */
int spate_net_add_iface(struct spate_net *n, const struct spate_net_iface_setup *setup);
/* prefix in bits of the family: 0..32 or 0..128. Also adds the route to the prefix itself.
 * -EEXIST: the address is there already. */
int spate_net_add_address(struct spate_net *n, unsigned iface, const uint8_t ip[16],
			  unsigned prefix);
/*
 * prefix as above; dst's bits behind it are 0. -ENETUNREACH: gateway is in the network of none of
 * the interface's addresses.
 */
int spate_net_add_route(struct spate_net *n, unsigned iface, const uint8_t dst[16], unsigned prefix,
			const uint8_t gateway[16]);
/*
 * Says who we are (gratuitous ARP, unsolicited NA, MLD), and asks for routers where they are
 * followed. watch_links: now, two seconds later, and from tick() whenever a link comes up.
 */
void spate_net_announce(struct spate_net *n, uint64_t now_us);
void spate_net_watch_links(struct spate_net *n, uint64_t now_us);

void spate_net_rx(struct spate_net *n, unsigned iface, struct spate_pkt_rx *pkts, unsigned count,
		  uint64_t now_us, struct spate_net_in *in);
/*
 * now_us of the next call it wants (UINT64_MAX: none). Cheap when nothing is due. Other workers'
 * findings (the board) arrive here too: in->events is appended to.
 */
uint64_t spate_net_tick(struct spate_net *n, uint64_t now_us, struct spate_net_in *in);
void spate_net_flush(struct spate_net *n);
uint64_t spate_net_count(const struct spate_net *n, enum spate_net_verdict v);

/*
 * Fills in a path for TCP (proto 6) or UDP (17). local all zero: the source address is chosen
 * (RFC 6724 light: same family, same link, then global). 0, -ENETUNREACH no route, or remote is
 * ourselves, a group or a broadcast address, -EADDRNOTAVAIL local is not ours. Starts resolving the
 * neighbour.
 */
int spate_net_path(struct spate_net *n, struct spate_net_path *path, uint8_t proto,
		   const uint8_t local[16], uint16_t lport, const uint8_t remote[16],
		   uint16_t rport, uint64_t now_us);
/*
 * The way to `remote` carries no more than mtu bytes: paths to it are that small for ten minutes.
 * For who has checked the event (TCP believed it). Paths given out look again, then and when it is
 * forgotten.
 */
void spate_net_pmtu(struct spate_net *n, const uint8_t remote[16], uint32_t mtu, uint64_t now_us);
bool spate_net_local(const struct spate_net *n, const uint8_t ip[16]);
void spate_net_path_addrs(const struct spate_net_path *p, uint8_t local[16], uint8_t remote[16]);
/*
 * Forward progress was seen on this path (RFC 4861 7.3.1): spares a probe. At most once a second
 * is enough.
 */
void spate_net_confirm(struct spate_net *n, const struct spate_net_path *p, uint64_t now_us);

/* The hot part, shared by tcp and udp: the inline functions below want these open. */
struct spate_net_if {
	struct spate_txq txq;
	uint32_t offloads; /* of the port */
	uint32_t tso_max;
};
struct spate_net_hot {
	struct spate_net_if *iface[SPATE_NET_IFACES];
	uint32_t gen; /* moves when any neighbour's address changes: paths look again */
	uint16_t ip_id;
};
static inline struct spate_net_hot *spate_net_hot(struct spate_net *n)
{
	return (struct spate_net_hot *)(void *)n; /* the first member */
}

/* begin's slow path: the MAC address is not known or may have changed. */
bool spate_net_resolve(struct spate_net *n, struct spate_net_path *p);
/* send's slow path: keeps the packet for when the neighbour answers, or drops it. */
void spate_net_park(struct spate_net *n, struct spate_net_path *p);

/*
 * The next packet on this path with ethernet, IP and ports written; NULL when the port has no
 * buffers (stop sending for this turn). Never fails for an unresolved neighbour: send parks it.
 */
static inline struct spate_pkt_tx *spate_net_begin(struct spate_net *n, struct spate_net_path *p)
{
	struct spate_net_hot *h = spate_net_hot(n);

	if (__builtin_expect(p->gen != h->gen, 0))
		spate_net_resolve(n, p); /* may itself send: before the packet is taken */
	struct spate_pkt_tx *tx = spate_txq_next(&h->iface[p->iface]->txq);

	if (__builtin_expect(tx == NULL, 0))
		return NULL;
	memcpy(tx->head, p->head, sizeof(p->head));
	tx->l2_len = p->l2_len;
	tx->l3_len = p->l3_len;
	tx->nfrags = 0;
	tx->frag_len = 0;
	return tx;
}

/* Where the TCP or UDP header starts; the ports are in place. */
static inline uint8_t *spate_net_l4(const struct spate_pkt_tx *tx)
{
	return tx->head + tx->l2_len + tx->l3_len;
}

static inline void spate_store16(uint8_t *p, uint16_t v) /* host to network order */
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, 2);
}

/*
 * Sends what begin gave: l4_len bytes of TCP header (or UDP header and copied payload) in head,
 * frags set. tos: 0, or ECN bits. mss: payload a segment when frag_len is to be cut by the device
 * (TSO), else 0. Writes IP length, id and checksum and the L4 checksum; nothing of tx may be
 * touched afterwards.
 */
static inline void spate_net_send(struct spate_net *n, struct spate_net_path *p,
				  struct spate_pkt_tx *tx, unsigned l4_len, unsigned csum_at,
				  uint8_t tos, uint16_t mss)
{
	struct spate_net_hot *h = spate_net_hot(n);
	uint8_t *ip = tx->head + tx->l2_len;
	uint32_t l4_total = l4_len + tx->frag_len;
	uint8_t flags = p->flags | SPATE_TX_L4_CSUM;
	uint64_t pseudo = p->pseudo;

	tx->l4_len = (uint8_t)l4_len;
	tx->head_len = (uint16_t)(tx->l2_len + tx->l3_len + l4_len);
	tx->tso_mss = mss;
	if (mss != 0)
		flags |= SPATE_TX_TSO;
	else
		pseudo += __builtin_bswap16((uint16_t)l4_total);
	if (p->flags & SPATE_TX_IP4) {
		uint16_t total = __builtin_bswap16((uint16_t)(l4_total + 20));
		uint16_t id = h->ip_id++;
		uint32_t sum = p->ip_sum + total + id;

		memcpy(ip + 2, &total, 2);
		memcpy(ip + 4, &id, 2);
		if (tos != 0) {
			ip[1] = tos;
			sum += __builtin_bswap16(tos);
		}
		if (mss != 0) {
			flags |= SPATE_TX_IP_CSUM; /* the device makes several headers of it */
		} else {
			uint16_t csum = (uint16_t)~spate_csum_fold(sum);

			memcpy(ip + 10, &csum, 2);
		}
	} else {
		spate_store16(ip + 4, (uint16_t)l4_total);
		if (tos != 0) {
			ip[0] = (uint8_t)(0x60 | tos >> 4);
			ip[1] = (uint8_t)(tos << 4 | (ip[1] & 0x0f)); /* the rest is flow label */
		}
	}
	uint16_t seed = spate_csum_fold(pseudo);

	memcpy(tx->head + tx->l2_len + tx->l3_len + csum_at, &seed, 2);
	tx->flags = flags;
	if (__builtin_expect(p->gen == 0, 0)) {
		spate_net_park(n, p);
		return;
	}
	spate_txq_push(&h->iface[p->iface]->txq);
}

#define SPATE_TCP_CSUM_AT 16
#define SPATE_UDP_CSUM_AT 6

/*
 * A datagram from a local port we were told of with spate_net_udp_open. payload is copied into
 * the header room when it fits (SPATE_PKT_HEAD - 62), else it is a frag: then it must stay valid
 * until `flush` on ports that copy, so give arena or static memory. 0, -EAGAIN no buffers,
 * -EMSGSIZE over the MTU (never fragmented).
 */
int spate_net_udp_send(struct spate_net *n, struct spate_net_path *p, const void *payload,
		       size_t len);
/* Which UDP ports are ours; others get port unreachable. -ENOSPC over 16. */
int spate_net_udp_open(struct spate_net *n, uint16_t port);
void spate_net_udp_close(struct spate_net *n, uint16_t port);

#endif

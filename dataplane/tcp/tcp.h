/*
 * tcp.h: TCP as an engine: no I/O of its own, no clock, no allocation per packet. One engine a
 * worker, one thread. RFC 9293; docs/rfc-map.md says what else and where.
 *
 *   spate_tcp_create(&t, &config, &lower)
 *   spate_tcp_listen(t, &addr, user, ctx, &listener)
 *   each turn of the worker:
 *     spate_tcp_clock(t, now_us)    the time of this turn; runs the timers that are due (once
 *                                   before anything else too: it starts them)
 *     spate_tcp_input(t, &in)       each received segment (net/ has looked at IP, not at TCP);
 *                                   or spate_tcp_input_burst(t, in, n)
 *     ... the user's own calls on connections
 *     spate_tcp_flush(t)            tells users what happened, then cuts and queues segments on
 *                                   the path's txq. Whoever owns the txq flushes it after this
 *     spate_tcp_wait_us(t)          how long the worker may sleep when nothing arrives
 *   spate_tcp_destroy(t)            every connection is closed (SPATE_TCP_STOPPED) and reset
 *
 * A connection, as its user sees it:
 *   accepted(c, ctx)   a handshake has ended: call spate_tcp_attach(c, queue), return true;
 *                      false resets it
 *   connected(c)       the same for spate_tcp_connect
 *   data(c, p, n)      in-order bytes, straight from the packet; returns how many it took. Fewer
 *                      than n stops delivery (and in time closes the window) until
 *                      spate_tcp_resume(c)
 *   event(c, what)     once a turn, from flush: SPATE_TCP_EV_*
 *   closed(c, why)     once for each accepted or connected (or failed to connect) one; the last
 *                      call. Always from flush, never from inside one of the user's own calls;
 *                      and only when no packet that a txq or a device still holds points at what
 *                      was not acknowledged, given that each txq is flushed each turn
 *
 * What the user may call on it: kick, finish, abort, resume, timer. All of them only mark; flush
 * does the work.
 *
 * Sending: the user queues on its spate_sendq; the engine points segments at it, by stream offset,
 * and again when it sends again. It releases what is acknowledged.
 */
#ifndef SPATE_TCP_H
#define SPATE_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/stream/stream.h"

struct spate_txq;
struct spate_stats;
struct spate_tcp;
struct spate_tcp_conn;
struct spate_tcp_listener;

/* --- below: what the engine asks of net/ --- */

#define SPATE_TCP_PATH_HEAD 60 /* ethernet, a VLAN tag, IPv6 */

/*
 * A way to a peer, as net/ knows it: the headers that go in front, complete but for IPv4 total
 * length, ID and checksum, IPv6 payload length and the ECN bits, which the engine fills in. DF set
 * on IPv4.
 */
struct spate_tcp_path {
	struct spate_txq *txq;
	uint16_t mtu; /* of the way: IP header and all; already lowered by what PTB messages taught
			 net/ */
	uint8_t l2_len; /* 14, or 18 with a tag */
	uint8_t l3_len; /* 20 or 40 */
	uint8_t head[SPATE_TCP_PATH_HEAD];
};

enum spate_tcp_path_verdict {
	SPATE_TCP_PATH_READY,
	SPATE_TCP_PATH_PENDING, /* the neighbour is being asked; *epoch moves when there is news */
	SPATE_TCP_PATH_NONE,    /* no route, or the neighbour does not answer */
};

struct spate_tcp_lower {
	/* local, peer: 16 bytes, IPv4 as ::ffff:a.b.c.d */
	enum spate_tcp_path_verdict (*path)(void *net, const uint8_t local[16],
					    const uint8_t peer[16], struct spate_tcp_path *out);
	/* Which of our addresses to use towards peer. false: no route. */
	bool (*source)(void *net, const uint8_t peer[16], uint8_t local[16]);
	/* Will packets peer -> local arrive on this worker's queue (RSS)? NULL: always. Ports in
	 * host order. */
	bool (*mine)(void *net, const struct spate_addr *local, const struct spate_addr *peer);
	/* The i-th of all txqs that path() may name; NULL: there are no more. May be NULL when it
	 * always names the same one. */
	struct spate_txq *(*txq)(void *net, unsigned i);
	void *net;
	/* Changes whenever a path that was given out, or refused, may have changed. Paths are kept
	 * while it stands still. */
	const uint32_t *epoch;
};

/* One segment, as net/ hands it up. Everything is only read, and only during the call. */
struct spate_tcp_in {
	const uint8_t *src, *dst; /* addresses, network order: 16 bytes with v6, else 4 */
	const uint8_t *seg;       /* the TCP header; contiguous with its payload */
	uint32_t len;             /* of header and payload, from the IP length */
	bool v6;
	bool csum_good; /* SPATE_RX_L4_GOOD; otherwise the engine checks */
	uint8_t ecn;    /* the two ECN bits of the IP header */
};

/* --- what becomes of a segment, and what happened: counters tcp_* (include/spate/tbl/tcp.def) ---
 */
enum spate_tcp_verdict {
#define SPATE_TCP_COUNTER(NAME, name, help) SPATE_TCP_##NAME,
#include "spate/tbl/tcp.def"
#undef SPATE_TCP_COUNTER
	SPATE_TCP_COUNTERS
};

/* --- above --- */

enum spate_tcp_close_why {
	SPATE_TCP_DONE,    /* both FINs are acknowledged */
	SPATE_TCP_RESET,   /* the peer's RST */
	SPATE_TCP_REFUSED, /* connect: RST, or an ICMP port unreachable */
	SPATE_TCP_TIMEOUT, /* retransmissions, persist or keep-alive gave up */
	SPATE_TCP_ABORTED, /* spate_tcp_abort */
	SPATE_TCP_SHORT,   /* the send queue has an extent whose fill failed */
	SPATE_TCP_STOPPED, /* spate_tcp_destroy */
};

#define SPATE_TCP_EV_ACKED   0x01 /* the queue's base has moved */
#define SPATE_TCP_EV_DRAINED 0x02 /* all that was queued is acknowledged */
#define SPATE_TCP_EV_EOF     0x04 /* the peer's FIN, after its last byte was taken by data() */
#define SPATE_TCP_EV_DRY \
	0x08 /* sending stopped at a dry object: watch spate_tcp_dry(c), then kick */
#define SPATE_TCP_EV_TIMER 0x10 /* the user's timer ran out */

struct spate_tcp_ahead {
	struct spate_tcp_conn *c;
	const uint8_t *data; /* in the packet: there until the end of spate_tcp_input_burst */
	size_t len;
	void *listener; /* not NULL: accepted() comes first; the listener's ctx */
};

struct spate_tcp_user {
	bool (*accepted)(struct spate_tcp_conn *c, void *ctx);
	void (*connected)(struct spate_tcp_conn *c);
	size_t (*data)(struct spate_tcp_conn *c, const uint8_t *p, size_t n);
	void (*event)(struct spate_tcp_conn *c, unsigned what);
	void (*closed)(struct spate_tcp_conn *c, enum spate_tcp_close_why why);
	/* May be NULL. Before a burst's data() calls: bytes that are about to come, to fetch what
	 * taking them will need. A hint: data() may never follow, or with more bytes. */
	void (*ahead)(const struct spate_tcp_ahead *a, unsigned n);
};

enum spate_tcp_cc { SPATE_TCP_CUBIC, SPATE_TCP_BBR };

/* Defaults: spate_tcp_config_init. */
struct spate_tcp_config {
	uint32_t max_conns;     /* TCBs; memory is reserved, and touched as used */
	uint32_t max_half_open; /* SYN-RECEIVED at most; from then on SYN cookies */
	uint32_t max_time_wait; /* the oldest goes first */
	uint32_t user_bytes;  /* of the user's own behind each TCB, zeroed: spate_tcp_user_of(c) */
	uint32_t rcv_buf;     /* receive window, bytes a connection */
	uint32_t rcv_total;   /* bytes held for all connections: out of order, or not taken */
	uint32_t max_runs;    /* sent-run records for all connections together, 64 bytes each */
	uint32_t conn_runs;   /* records, for one connection */
	uint32_t init_window; /* segments, RFC 6928 */
	uint32_t mss_min;     /* a smaller MSS option counts as this */
	uint32_t rto_min_us, rto_max_us, rto_init_us;
	uint32_t delack_us;
	uint32_t give_up_us; /* no acknowledgement of what was sent for so long: TIMEOUT (R2) */
	uint32_t syn_retries, synack_retries;
	uint32_t persist_us; /* a zero window for so long: TIMEOUT */
	uint32_t keepalive_s, keepalive_interval_s, keepalive_probes; /* keepalive_s 0: none */
	uint32_t fin_wait_2_us; /* from our FIN's ACK: so long without a byte for the user, or ten
				   times so long in all on a connection that we accepted */
	uint32_t time_wait_us;
	uint32_t challenge_per_s;     /* challenge ACKs, a connection */
	uint16_t port_low, port_high; /* ephemeral */
	enum spate_tcp_cc cc;
	bool sack, timestamps, wscale, ecn; /* offered, and taken when offered */
	bool pacing;         /* segments leave at cwnd's rate; false: when cwnd lets them */
	bool cookies_always; /* no SYN makes state: for tests, or under attack from the start */
	bool hystart;        /* RFC 9406, with CUBIC */
	uint8_t secret[32];  /* random: ISNs, ports, cookies, lookup (RFC 6528, 6056) */
};

/* The secret is left zero and must be set. */
void spate_tcp_config_init(struct spate_tcp_config *cfg);

/* 0, -EINVAL or -ENOMEM. env: the worker's, for send queues. stats may be NULL. Caller destroys. */
int spate_tcp_create(struct spate_tcp **out, const struct spate_tcp_config *cfg,
		     const struct spate_tcp_lower *lower, struct spate_sendq_env *env,
		     struct spate_stats *stats);
void spate_tcp_destroy(struct spate_tcp *t);

void spate_tcp_clock(struct spate_tcp *t, uint64_t now_us);
enum spate_tcp_verdict spate_tcp_input(struct spate_tcp *t, const struct spate_tcp_in *in);
/* The same for n segments in order, faster: burst.c. n <= SPATE_TCP_BURST. */
void spate_tcp_input_burst(struct spate_tcp *t, const struct spate_tcp_in *in, unsigned n);
#define SPATE_TCP_BURST 32
/* False: of no connection here, and no SYN. Input would answer with a RST, or find a cookie in it.
 */
bool spate_tcp_knows(struct spate_tcp *t, const struct spate_tcp_in *in);
void spate_tcp_flush(struct spate_tcp *t);
/* The end is near: from now on who is dead is told at once, whatever the device still holds. */
void spate_tcp_ending(struct spate_tcp *t);
uint64_t spate_tcp_wait_us(const struct spate_tcp *t); /* UINT64_MAX: no timer is set */

/* addr->ip all zero: any address of ours, both families; ::ffff:0.0.0.0: any IPv4 one. 0,
 * -EADDRINUSE, -ENOMEM. */
int spate_tcp_listen(struct spate_tcp *t, const struct spate_addr *addr,
		     const struct spate_tcp_user *user, void *ctx, struct spate_tcp_listener **out);
void spate_tcp_unlisten(struct spate_tcp *t,
			struct spate_tcp_listener *l); /* its half-open ones are reset */

/* local may be NULL, or have a zero address or port: chosen here. 0, -EADDRNOTAVAIL (peer is a
 * multicast, the limited broadcast or the unspecified address), -ENETUNREACH, -EADDRINUSE, -ENOMEM;
 * then nothing was made. On success the SYN leaves with the next flush. */
int spate_tcp_connect(struct spate_tcp *t, const struct spate_addr *local,
		      const struct spate_addr *peer, const struct spate_tcp_user *user,
		      struct spate_tcp_conn **out);

/* The queue to send from; must outlive closed(), which must clear it. In accepted(), or any time in
 * connect's life before connected() returns. */
void spate_tcp_attach(struct spate_tcp_conn *c, struct spate_sendq *q);
void *spate_tcp_user_of(struct spate_tcp_conn *c);
struct spate_tcp_conn *spate_tcp_of_user(void *user);
struct spate_tcp *spate_tcp_of(struct spate_tcp_conn *c);
void spate_tcp_addrs(const struct spate_tcp_conn *c, struct spate_addr *local,
		     struct spate_addr *peer);

bool spate_tcp_closed(
	const struct spate_tcp_conn *c); /* aborted or reset; closed() is on its way */
void spate_tcp_kick(struct spate_tcp_conn *c);
void spate_tcp_resume(struct spate_tcp_conn *c);
void spate_tcp_finish(struct spate_tcp_conn *c); /* FIN after what is queued; queue nothing more */
void spate_tcp_abort(struct spate_tcp_conn *c);
void spate_tcp_timer(struct spate_tcp_conn *c, uint32_t ms); /* one each; 0 stops it */
struct spate_object *spate_tcp_dry(const struct spate_tcp_conn *c,
				   uint64_t *off); /* in event(), with EV_DRY */

/* --- ICMP, from net/: the quoted segment's addresses (16 bytes) and its first 8 TCP bytes.
 * Believed only when they match a connection and the sequence number is in flight (RFC 5927). True:
 * it was believed. --- */
bool spate_tcp_packet_too_big(struct spate_tcp *t, const uint8_t local[16], const uint8_t peer[16],
			      const uint8_t tcp[8], uint32_t mtu);
bool spate_tcp_unreachable(struct spate_tcp *t, const uint8_t local[16], const uint8_t peer[16],
			   const uint8_t tcp[8], bool hard);

/* --- looking in --- */
enum spate_tcp_state {
	SPATE_TCP_CLOSED,
	SPATE_TCP_SYN_SENT,
	SPATE_TCP_SYN_RCVD,
	SPATE_TCP_ESTABLISHED,
	SPATE_TCP_FIN_WAIT_1,
	SPATE_TCP_FIN_WAIT_2,
	SPATE_TCP_CLOSE_WAIT,
	SPATE_TCP_CLOSING,
	SPATE_TCP_LAST_ACK,
	SPATE_TCP_TIME_WAIT, /* only until the user has taken its last bytes; then a record of its
				own */
};

struct spate_tcp_info {
	enum spate_tcp_state state;
	uint32_t mss, cwnd, ssthresh, srtt_us, rttvar_us, rto_us, min_rtt_us, in_flight, snd_wnd,
		rcv_wnd;
	uint32_t runs, held;  /* records in use; received bytes held */
	uint64_t pacing_rate; /* bytes a second; 0: not paced yet */
	uint8_t ca;           /* enum tcp_ca of conn.h */
	bool sack, timestamps, ecn;
};
void spate_tcp_info(const struct spate_tcp_conn *c, struct spate_tcp_info *out);

struct spate_tcp_usage {
	uint32_t conns, half_open, time_wait, runs, held_nodes;
};
void spate_tcp_usage(const struct spate_tcp *t, struct spate_tcp_usage *out);
uint64_t spate_tcp_count(const struct spate_tcp *t, enum spate_tcp_verdict v);
const char *spate_tcp_verdict_name(enum spate_tcp_verdict v);

/* Walks every invariant of one connection, or of the engine and all of them; aborts with a message.
 */
void spate_tcp_check(const struct spate_tcp_conn *c);
void spate_tcp_check_all(const struct spate_tcp *t);

#endif

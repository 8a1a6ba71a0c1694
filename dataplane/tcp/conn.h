/*
 * conn.h: the inside of the engine: the TCB, the engine, and what its files offer each other. Names
 * tcp_* stay inside this folder; whoever uses TCP includes tcp.h.
 *
 * Sequence space of the sender, runs above it (S sacked, L lost, else in flight):
 *
 *        snd_una                                   snd_nxt        una + snd_wnd
 *   ────────┼───────┬───────┬──────────┬──────────────┼──────────────┼────────
 *    acked  │ run L │ run S │   run    │     run      │  may be sent │
 *           └───────┴───────┴──────────┴──────────────┘
 * in flight = (snd_nxt - snd_una) - sacked_out - lost_out, in bytes. snd_nxt never moves back: what
 * is lost is sent again from its run.
 */
#ifndef SPATE_TCP_CONN_H
#define SPATE_TCP_CONN_H

#include <assert.h>
#include <string.h>

#include "dataplane/stream/sendq.h"
#include "dataplane/tcp/tcp.h"
#include "dataplane/tcp/wheel.h"
#include "dataplane/util/pool.h"
#include "spate/stats.h"

/* --- sequence arithmetic (RFC 9293 3.4), and the same for 32-bit times --- */
static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}
static inline bool seq_leq(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}
static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
	return seq_lt(a, b) ? b : a;
}
static inline uint32_t seq_min(uint32_t a, uint32_t b)
{
	return seq_lt(a, b) ? a : b;
}
static inline uint32_t min32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}
static inline uint32_t max32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20
#define TCP_ECE 0x40
#define TCP_CWR 0x80

#define TCP_SACK_MAX    4
#define TCP_ISLANDS     512 /* of one connection, at most: every second packet of 1,000 lost */
#define TCP_NODE_DATA   2016
#define TCP_HEAD        30
#define TCP_DUPTHRESH   3
#define TCP_RECORDS_FEW 8 /* tcp_record_due */
#define TCP_MTU_MIN4    552
#define TCP_MTU_MIN6    1280
#define TCP_PAWS_MS \
	(24u * 24 * 3600 * 1000) /* ts_recent is no proof after 24 days (RFC 7323 5.5) */
#define TCP_TICK_US 64
#define TCP_NO_SAMPLE \
	0xff /* retries: a cookie, or a SYN twice; no round trip to measure, but none was lost */

/* Neighbouring bytes sent at one time. One cache line. */
struct tcp_run {
	struct tcp_run *next, *prev; /* by sequence */
	struct tcp_run *tnext,
		*tprev; /* in flight: by sent_us. lost: as they were found. sacked: none */
	uint32_t start, end;
	uint32_t sent_us;                 /* the last time */
	uint32_t first_us;                /* rate sample: start of the send interval at that time */
	uint32_t delivered, delivered_us; /* rate sample: the connection's at that time */
	uint8_t flags;                    /* RUN_* */
};
#define RUN_SACKED      0x1
#define RUN_LOST        0x2 /* and not sent again yet */
#define RUN_REXMIT      0x4 /* sent more than once */
#define RUN_APP_LIMITED 0x8
#define RUN_GROWN       0x10 /* no record was left: only its last byte was sent at sent_us */
#define RUN_SHORT \
	0x20 /* its last segment is no full one: nothing is added, so that the others are */
static_assert(sizeof(struct tcp_run) <= 64, "a run is one cache line");

struct tcp_runs { /* head and tail of one of the lists */
	struct tcp_run *head, *tail;
};

/* Received bytes that wait, contiguous; the first island may be in order and wait for the user. */
struct tcp_node {
	struct tcp_node *next;
	uint32_t seq, len;
	uint8_t data[TCP_NODE_DATA];
};
struct tcp_island {
	struct tcp_island *next;
	uint32_t start, end;
	uint32_t stamp; /* the larger, the more recently changed: the order of SACK blocks */
	struct tcp_node *head, *tail;
};

enum tcp_ca { CA_OPEN, CA_CWR, CA_RECOVERY, CA_LOSS };
enum tcp_rexmit { REXMIT_NONE, REXMIT_SYN, REXMIT_RTO, REXMIT_TLP, REXMIT_REO, REXMIT_PERSIST };
enum tcp_deadline { TM_REXMIT, TM_DELACK, TM_PACE, TM_CONN, TM_USER, TM_N };

struct tcp_hystart {
	uint32_t window_end, round_min, last_min; /* us; UINT32_MAX: none */
	uint32_t css_base_min, group_min;
	uint8_t samples, css_rounds, group;
	bool css;
};

/* HyStart++ only lives until ssthresh is first set; CUBIC's curve only from then on. */
struct tcp_cubic {
	union {
		struct tcp_hystart hs;
		struct {
			double w_est;                /* bytes: what Reno would have */
			float k;                     /* seconds */
			uint32_t epoch_ms, grown_ms; /* t = 0; when the curve was last followed */
			uint32_t cwnd_prior;
		};
	};
	uint32_t w_max; /* bytes; 0: no reduction yet */
	/* As they were before the last reduction. */
	uint32_t undo_w_max, undo_epoch_ms;
	float undo_k, undo_w_est;
	uint32_t undo_cwnd_prior : 24; /* in units of 64 bytes */
	uint32_t undo_in_epoch : 1, in_epoch : 1, hs_done : 1;
};

struct tcp_bbr {
	uint32_t bw[2]; /* max filter, in BBR_UNIT: this and the last cycle */
	uint32_t full_bw;
	uint32_t min_rtt_us, min_rtt_ms; /* and when it was seen */
	uint32_t next_round;             /* delivered */
	uint32_t cycle_us, probe_rtt_done_ms;
	uint32_t prior_cwnd;
	uint8_t mode, cycle_idx, full_count, bw_round;
	bool round_start, filled, probe_rtt_round_done, restoring, idle_restart;
};

#define F_DIRTY      0x00000001u /* on the engine's list, flush comes by */
#define F_ACK_NOW    0x00000002u
#define F_SACK       0x00000004u
#define F_TS         0x00000008u
#define F_WSCALE     0x00000010u
#define F_ECN        0x00000020u
#define F_ECE        0x00000040u /* say ECE until the peer says CWR */
#define F_CWR        0x00000080u /* say CWR with the next new data */
#define F_FINISH     0x00000100u /* the user is done: FIN after the queue */
#define F_FIN_SENT   0x00000200u
#define F_FIN_SEEN   0x00000400u /* fin_rcv holds the peer's FIN's place */
#define F_FIN_RCVD   0x00000800u /* ... and all before it has come */
#define F_EOF_TOLD   0x00001000u
#define F_PAUSED     0x00002000u /* the user took less than it was given */
#define F_ACCEPTED   0x00004000u /* the user knows it: closed() is owed */
#define F_CLIENT     0x00008000u
#define F_SEND_SYN   0x00010000u
#define F_REARM      0x00020000u /* something changed that the retransmission timer depends on */
#define F_PROGRESS   0x00040000u /* ... and it was an ACK: the RTO starts anew */
#define F_TLP_OUT    0x00080000u
#define F_TLP_REXMIT 0x00100000u
#define F_TLP_SEND   0x00200000u /* flush may send one probe over cwnd */
#define F_REORDER    0x00400000u
#define F_UNDO       0x00800000u /* a reduction that may turn out to be wrong */
#define F_PATH_WAIT  0x01000000u
#define F_DSACK      0x02000000u /* dsack_* are to be reported */
#define F_PROBE      0x04000000u /* send a window or keep-alive probe */
#define F_DRY        0x08000000u
#define F_ENDED      0x10000000u /* both FINs are acknowledged: goes when the user has all bytes */
#define F_CWND_LIMIT 0x20000000u /* cwnd was what stopped the last send */
#define F_CONNECTED  0x40000000u /* connected() is owed */
#define F_DEAD       0x80000000u /* closed: flush tells the user and frees it */

struct spate_tcp_conn {
	/* line 0: who, and what each segment looks at */
	uint8_t peer_ip[16], local_ip[16];
	uint16_t peer_port, local_port; /* network order */
	uint32_t hash;
	uint32_t flags;
	uint8_t state, ca, rexmit_kind, backoff;
	uint32_t rcv_nxt, rcv_adv /* right edge we told */, snd_una, snd_nxt;

	/* line 1: sequence space and options */
	struct spate_tcp *t;
	struct spate_sendq *q;
	union {
		uint64_t una_off; /* stream offset of snd_una */
		uint64_t tx_mark; /* dead: what the port still has to let go of; 0: not asked yet */
	};
	uint32_t snd_wnd, snd_wl1, snd_wl2, max_wnd;
	uint16_t mss; /* payload of a full segment, options paid for */
	uint16_t peer_mss;
	uint8_t snd_scale, rcv_scale, dupacks, events;
	uint32_t ts_recent, ts_recent_ms, ts_off;
	uint32_t ack_sent; /* rcv_nxt as last told */

	/* line 2: congestion and RTT */
	uint32_t cwnd, ssthresh;
	uint32_t srtt8_us, rttvar4_us, rto_us;           /* scaled as in RFC 6298's integer form */
	uint32_t min_rtt_us, min_rtt_old_us, min_rtt_ms; /* the least of this and the last window */
	uint32_t sacked_out, lost_out;
	uint32_t delivered, delivered_us, first_us, app_limited;
	uint32_t pace_next_us, rto_base_us;

	/* line 3: runs */
	struct tcp_runs runs, flight, lost;
	struct tcp_run *sack_hint;
	uint32_t nruns, fack; /* highest byte known to have arrived */

	/* line 4: recovery */
	uint32_t recover, prr_delivered, prr_out, prr_fs;
	uint32_t rack_us, rack_end, rack_rtt_us, rack_round /* delivered when reo_mult last grew */;
	uint32_t tlp_end, undo_cwnd, undo_ssthresh, undo_bytes;
	union {
		uint32_t undo_ts;
		uint32_t fin_wait_rcv; /* in FIN-WAIT-2: rcv_nxt when it was last looked at */
	};
	uint32_t progress_ms; /* last time the peer acknowledged something, or nothing was owed */
	uint8_t reo_mult, reo_persist, ack_segs;
	union {
		uint8_t probes;
		uint8_t asked; /* dead: ports that have let go of it */
	};
	uint8_t challenges, challenge_s, retries, l2_len;

	/* line 5: timers, lists, user */
	struct tcp_timer timer;
	uint32_t deadline[TM_N]; /* ticks */
	uint8_t armed, l3_len;
	uint16_t islands;
	const struct spate_tcp_user *user;
	uint32_t dirty_next; /* index + 1 */
	uint32_t island_stamp;

	/* line 6: receiver's waiting bytes, path */
	struct tcp_island *held;
	uint32_t nodes; /* of all islands */
	uint32_t fin_rcv, dsack_start, dsack_end;
	uint32_t rcv_ms; /* last segment, for keep-alive */
	struct spate_txq *txq;
	uint32_t path_epoch;
	uint16_t phsum, mtu;
	uint8_t head[TCP_HEAD]; /* ethernet and what of IP comes before the addresses */
	uint8_t why;
	bool black_hole : 1; /* mtu is our own guess: the path does not raise it again */
	bool moved : 1;      /* has sent through more than one port */

	union {
		struct spate_tcp_listener *listener; /* in SYN-RECEIVED */
		struct tcp_cubic cubic;
		struct tcp_bbr bbr;
	} cc;
};
static_assert(sizeof(struct spate_tcp_conn) <= 512, "TCB");

/* A closed connection that still has to answer (RFC 9293 3.6.1). */
struct tcp_tw {
	uint8_t peer_ip[16], local_ip[16];
	uint16_t peer_port, local_port;
	uint32_t hash;
	uint32_t snd_nxt, rcv_nxt, ts_recent, ts_recent_ms, ts_off;
	uint32_t expire_ms, ack_ms;
	uint32_t next, prev; /* index + 1 in the pool; the list is in order of expiry */
	uint16_t wnd;
	bool ts, used;
	bool fin_owed; /* in FIN-WAIT-2: the peer's FIN is still to come */
};

struct tcp_entry {
	uint32_t hash;
	uint32_t ref; /* 0: free; index + 1; TCP_REF_TW: of a tcp_tw */
};
#define TCP_REF_TW 0x80000000u

struct tcp_tuple {
	uint8_t local_ip[16], peer_ip[16];
	uint16_t local_port, peer_port; /* network order */
};

struct spate_tcp_listener {
	struct spate_tcp_listener *next;
	struct spate_addr addr;
	const struct spate_tcp_user *user;
	void *ctx;
};

/* What one ACK said, for congestion control. */
struct tcp_ack {
	uint32_t acked;        /* bytes una moved */
	uint32_t sacked;       /* newly */
	uint32_t delivered;    /* newly known to have arrived */
	uint32_t lost;         /* newly marked */
	uint32_t prior_flight; /* bytes in flight before */
	uint32_t rtt_us;       /* 0: no sample */
	uint32_t fack;         /* highest end delivered by this ACK */
	bool reordered, dsack, ece, spurious, any;
	bool repeats; /* the ACK before, and nothing else */
	bool left;    /* this ACK ended a recovery */
	bool timeout; /* it came after a timeout, and before all of that was repaired */
	/* rate sample (Cheng, Cardwell: delivery rate estimation); interval 0: none */
	uint32_t rate_delivered, rate_interval_us, rate_prior;
	bool rate_app_limited;
	uint32_t rate_sent_us, rate_end, rate_first_us, rate_delivered_us;
};

struct tcp_cc_ops {
	const char *name;
	bool owns_cwnd; /* in recovery too: no PRR */
	void (*init)(struct spate_tcp_conn *c);
	void (*ack)(struct spate_tcp_conn *c, const struct tcp_ack *a);
	uint32_t (*ssthresh)(struct spate_tcp_conn *c); /* a reduction is due: the new ssthresh */
	void (*event)(struct spate_tcp_conn *c, int what); /* enum tcp_cc_event */
	uint64_t (*rate)(const struct spate_tcp_conn *c);  /* bytes a second, 0: not known */
};
enum tcp_cc_event { CC_RTO, CC_RECOVERY, CC_RECOVERED, CC_UNDO, CC_START /* nothing was out */ };
extern const struct tcp_cc_ops tcp_cubic_ops, tcp_bbr_ops;

struct spate_tcp {
	uint64_t now_us;
	uint32_t now32, now_ms; /* of the same time */
	const struct tcp_cc_ops *cc;
	uint32_t dirty, dirty_last; /* index + 1 */
	/* The device had no room: at the next flush, before the others, in the order in which
	 * they were stopped; first those who could send nothing, then those who sent something. */
	struct tcp_late {
		uint32_t first, last; /* index + 1 */
	} late[2];
	bool held_up;     /* the one being visited was stopped because of that, */
	bool gave;        /* after it had sent payload */
	uint32_t parting; /* dead, but packets under way may still point into their queues */
	bool ending;      /* nobody waits for the device any more */
	struct tcp_entry *table;
	uint32_t mask;
	uint32_t stride;
	uint8_t *conns;     /* max_conns × stride, reserved */
	uint32_t free_conn; /* index + 1, linked through the hash field; 0: none */
	uint32_t conns_made, conns_used, half_open;
	struct spate_sendq_env *env;
	struct spate_tcp_lower lower;
	_Atomic uint64_t *count;
	uint32_t epoch_seen, path_waiting;
	uint64_t scanned_us; /* when those that wait were last looked for */
	uint64_t key_hash[2], key_isn[2], key_ts[2], key_port[2], key_cookie[2];
	struct spate_tcp_config cfg;
	struct spate_pool run_pool, node_pool;
	struct tcp_tw *tw;
	uint32_t tw_free, tw_made, tw_used, tw_head, tw_tail;
	struct spate_tcp_listener *listeners;
	uint64_t cookie_us; /* when the last cookie was sent; 0: never */
	uint32_t port_counter, chal_rng;
	uint16_t ip_id;
	size_t conns_bytes, tw_bytes, table_bytes;
	struct tcp_wheel wheel;
	struct spate_stats *own_stats;
};

static inline void tcp_count(struct spate_tcp *t, enum spate_tcp_verdict v, uint64_t n)
{
	atomic_store_explicit(&t->count[v],
			      atomic_load_explicit(&t->count[v], memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* --- a parsed segment (options.c) --- */
struct tcp_seg {
	const struct spate_tcp_in *in;
	struct tcp_tuple key;
	uint32_t seq, ack, end /* seq + all it occupies */;
	uint32_t tsval, tsecr, len;
	const uint8_t *data;
	uint16_t wnd, mss; /* mss 0: no option */
	uint8_t flags, nsack, wscale /* 0xff: none */, ecn;
	bool has_ts, sack_ok;
	uint32_t sack[TCP_SACK_MAX][2];
};
/* OK, or the drop. */
enum spate_tcp_verdict tcp_parse(struct spate_tcp *t, const struct spate_tcp_in *in,
				 struct tcp_seg *s);

static inline void put16(uint8_t *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, 2);
}
static inline void put32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, 4);
}
static inline uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, 2);
	return __builtin_bswap16(v);
}
static inline uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return __builtin_bswap32(v);
}

/*
 * Runs and islands share a pool. Its last quarter is for connections that have few of them: those
 * whose peers acknowledge nothing, or in crumbs, cannot keep the others from sending.
 */
static inline bool tcp_record_due(const struct spate_tcp *t, uint32_t have)
{
	return have < TCP_RECORDS_FEW || t->run_pool.used < t->run_pool.limit / 4 * 3;
}
static inline uint32_t tcp_flight(const struct spate_tcp_conn *c)
{
	return c->snd_nxt - c->snd_una - c->sacked_out - c->lost_out;
}
/* What is delivered from here on was not limited by the path. */
static inline void tcp_app_limited(struct spate_tcp_conn *c)
{
	uint32_t at = c->delivered + tcp_flight(c);

	c->app_limited = at != 0 ? at : 1;
}
static inline uint32_t tcp_srtt(const struct spate_tcp_conn *c)
{
	return c->srtt8_us >> 3;
}
static inline uint32_t tcp_tsval(const struct spate_tcp_conn *c)
{
	return c->t->now_ms + c->ts_off;
}
static inline uint32_t tcp_min_rtt(const struct spate_tcp_conn *c)
{
	return min32(c->min_rtt_us, c->min_rtt_old_us);
}
/* RFC 6928 (1), for any number of segments: large ones are fewer, but at least two. */
static inline uint32_t tcp_initial_window(const struct spate_tcp_conn *c)
{
	uint32_t n = c->t->cfg.init_window;

	return min32(n * c->mss, max32(2u * c->mss, n * 1460));
}
static inline bool tcp_synced(const struct spate_tcp_conn *c)
{
	return c->state >= SPATE_TCP_ESTABLISHED;
}

/* lookup.c */
uint32_t tcp_hash(const struct spate_tcp *t, const struct tcp_tuple *k);
/* NULL, and *tw when the tuple is in TIME-WAIT. */
struct spate_tcp_conn *tcp_find(struct spate_tcp *t, const struct tcp_tuple *k, uint32_t hash,
				struct tcp_tw **tw);
void tcp_table_add(struct spate_tcp *t, uint32_t hash, uint32_t ref);
void tcp_table_del(struct spate_tcp *t, uint32_t hash, uint32_t ref);
struct spate_tcp_listener *tcp_find_listener(struct spate_tcp *t, const struct tcp_tuple *k);
static inline struct spate_tcp_conn *tcp_conn_at(const struct spate_tcp *t, uint32_t i)
{
	return (struct spate_tcp_conn *)(void *)(t->conns + (size_t)i * t->stride);
}
static inline uint32_t tcp_conn_index(const struct spate_tcp_conn *c)
{
	return (uint32_t)((size_t)((const uint8_t *)c - c->t->conns) / c->t->stride);
}

/* conn.c: life */
struct spate_tcp_conn *tcp_conn_new(struct spate_tcp *t, const struct tcp_tuple *k, uint32_t hash);
void tcp_conn_free(
	struct spate_tcp_conn *c); /* after tcp_close; everything it holds is given back */
void tcp_dirty(struct spate_tcp_conn *c);
void tcp_close(struct spate_tcp_conn *c,
	       enum spate_tcp_close_why why); /* gone; closed() with the next flush */
void tcp_reset(struct spate_tcp_conn *c, enum spate_tcp_close_why why); /* with a RST */
void tcp_established(struct spate_tcp_conn *c);
void tcp_ended(struct spate_tcp_conn *c); /* both FINs are acknowledged */
void tcp_state_after_fin_acked(struct spate_tcp_conn *c);
void tcp_set_mss(struct spate_tcp_conn *c);

/* syn.c */
enum spate_tcp_verdict tcp_listen_input(struct spate_tcp *t, struct spate_tcp_listener *l,
					struct tcp_seg *s, uint32_t hash, uint32_t iss,
					bool iss_given);
enum spate_tcp_verdict tcp_syn_sent_input(struct spate_tcp_conn *c, struct tcp_seg *s);
void tcp_take_syn_options(struct spate_tcp_conn *c, const struct tcp_seg *s);
enum spate_tcp_verdict tcp_segment(struct spate_tcp_conn *c,
				   struct tcp_seg *s); /* input.c: synchronised */
enum spate_tcp_verdict tcp_dispatch(struct spate_tcp *t, struct tcp_seg *s,
				    uint32_t hash); /* input.c: to whom */

/* isn.c, syncookie.c */
uint32_t tcp_isn(const struct spate_tcp *t, const struct tcp_tuple *k);
uint32_t tcp_ts_offset(const struct spate_tcp *t, const struct tcp_tuple *k);
uint32_t tcp_port_offset(const struct spate_tcp *t, const struct tcp_tuple *k);
bool tcp_cookies_about(const struct spate_tcp *t);
void tcp_cookie_send(struct spate_tcp *t, const struct tcp_seg *s);
/* True: the ACK proves a cookie; mss, wscale (0xff none), sack, ecn are what the SYN had said. */
bool tcp_cookie_check(struct spate_tcp *t, const struct tcp_seg *s, uint16_t *mss, uint8_t *wscale,
		      bool *sack, bool *ecn);

/* ack.c */
enum spate_tcp_verdict tcp_ack_input(struct spate_tcp_conn *c, const struct tcp_seg *s);

/* runs.c */
struct tcp_run *tcp_run_append(struct spate_tcp_conn *c, uint32_t start,
			       uint32_t end); /* just sent */
void tcp_run_free(struct spate_tcp_conn *c, struct tcp_run *r);
/* r keeps [start, at). sent: for what we send again; else the peer asked for it. */
bool tcp_run_split(struct spate_tcp_conn *c, struct tcp_run *r, uint32_t at, bool sent);
void tcp_run_resent(struct spate_tcp_conn *c, struct tcp_run *r);
void tcp_run_lose(struct spate_tcp_conn *c, struct tcp_run *r);
/* Merges it with sacked neighbours; returns the run it is part of now. */
struct tcp_run *tcp_run_sack(struct spate_tcp_conn *c, struct tcp_run *r);
void tcp_runs_clear(struct spate_tcp_conn *c);
void tcp_runs_lose_all(struct spate_tcp_conn *c, bool forget_sacks);
void tcp_list_add(struct tcp_runs *l, struct tcp_run *r);
void tcp_list_del(struct tcp_runs *l, struct tcp_run *r);

/* sack.c */
void tcp_sack_input(struct spate_tcp_conn *c, const struct tcp_seg *s, struct tcp_ack *a);
unsigned tcp_sack_blocks(const struct spate_tcp_conn *c, uint32_t blocks[][2], unsigned max);

/* rack.c, recovery.c, prr.c, rtt.c, rate.c */
void tcp_delivered(struct spate_tcp_conn *c, struct tcp_run *r, uint32_t start, uint32_t end,
		   const struct tcp_seg *s, struct tcp_ack *a);
uint32_t tcp_rack_detect(struct spate_tcp_conn *c); /* marks what is lost; bytes */
uint32_t
tcp_rack_timeout(struct spate_tcp_conn *c);    /* us until the next run may be lost; 0: none */
void tcp_rack_reset(struct spate_tcp_conn *c); /* nothing is in flight */
void tcp_rack_dsack(struct spate_tcp_conn *c);
uint32_t tcp_reno_loss(struct spate_tcp_conn *c, const struct tcp_ack *a, bool dupack);
void tcp_recovery_ack(struct spate_tcp_conn *c, struct tcp_ack *a, const struct tcp_seg *s);
void tcp_enter_recovery(struct spate_tcp_conn *c);
void tcp_enter_cwr(struct spate_tcp_conn *c);
void tcp_enter_loss(struct spate_tcp_conn *c);
void tcp_prr_start(struct spate_tcp_conn *c);
void tcp_prr_ack(struct spate_tcp_conn *c, const struct tcp_ack *a);
void tcp_rtt_sample(struct spate_tcp_conn *c, uint32_t rtt_us);
void tcp_min_rtt_sample(struct spate_tcp_conn *c, uint32_t rtt_us);
void tcp_rate_sent(struct spate_tcp_conn *c, struct tcp_run *r);
void tcp_rate_done(struct spate_tcp_conn *c, struct tcp_ack *a);
void tcp_tlp_ack(struct spate_tcp_conn *c, const struct tcp_ack *a, const struct tcp_seg *s);

/* hystart.c */
void tcp_hystart_init(struct tcp_hystart *h);
/* How much of the acked bytes may grow cwnd in slow start; leaves slow start by setting ssthresh.
 */
uint32_t tcp_hystart_ack(struct spate_tcp_conn *c, struct tcp_hystart *h, const struct tcp_ack *a,
			 uint32_t acked);

/* pacing.c */
uint32_t
tcp_pace_budget(struct spate_tcp_conn *c); /* bytes that may leave now; 0: TM_PACE is set */
void tcp_pace_sent(struct spate_tcp_conn *c, uint32_t bytes);
void tcp_pace_wait(struct spate_tcp_conn *c); /* more to send: come by when pacing lets it */

/* output.c: one visit; segment.c: one segment */
void tcp_output(struct spate_tcp_conn *c);
bool tcp_more(const struct spate_tcp_conn *c); /* bytes or a FIN not yet sent once */
bool tcp_path(struct spate_tcp_conn *c);
/* Sends seq.. with flags and the payload pieces; false: no buffer (nothing was sent). */
struct tcp_cut {
	const struct iovec *iov;
	unsigned n;   /* pieces left */
	uint32_t off; /* into iov[0] */
};
bool tcp_emit_syn(struct spate_tcp_conn *c);
bool tcp_emit(struct spate_tcp_conn *c, uint32_t seq, uint32_t len, uint8_t flags,
	      struct tcp_cut *cut);
uint32_t tcp_fits(const struct spate_tcp_conn *c, const struct tcp_cut *cut, uint32_t want);
/* Answers s without a connection. opts: at most 40 bytes, a multiple of 4. */
void tcp_answer(struct spate_tcp *t, const struct tcp_seg *s, uint8_t flags, uint32_t seq,
		uint32_t ack, uint16_t wnd, const uint8_t *opts, unsigned opts_len);
void tcp_answer_reset(struct spate_tcp *t, const struct tcp_seg *s);
void tcp_challenge(struct spate_tcp_conn *c); /* RFC 5961, rate limited */
unsigned tcp_syn_options(const struct spate_tcp *t, uint8_t *p, uint16_t mss, bool ts,
			 uint32_t tsval, uint32_t tsecr, bool sack, uint8_t wscale);
uint16_t tcp_rcv_wnd_field(struct spate_tcp_conn *c);

/* reass.c: the receiver's bytes */
/* In order, but not taken by the user. */
static inline uint32_t tcp_held(const struct spate_tcp_conn *c)
{
	return c->held != NULL && seq_leq(c->held->start, c->rcv_nxt)
		       ? c->held->end - c->held->start
		       : 0;
}
enum spate_tcp_verdict tcp_data_input(struct spate_tcp_conn *c, const struct tcp_seg *s);
void tcp_deliver(struct spate_tcp_conn *c); /* gives held in-order bytes to the user */
void tcp_held_clear(struct spate_tcp_conn *c);
uint32_t tcp_rcv_wnd(const struct spate_tcp_conn *c);
void tcp_fin_rcvd(struct spate_tcp_conn *c);

/* timewait.c */
void tcp_time_wait(struct spate_tcp_conn *c); /* makes the record; the caller frees the TCB */
enum spate_tcp_verdict tcp_time_wait_input(struct spate_tcp *t, struct tcp_tw *w,
					   struct tcp_seg *s);
void tcp_time_wait_expire(struct spate_tcp *t);
void tcp_time_wait_free(struct spate_tcp *t, struct tcp_tw *w);

/* timer.c */
void tcp_arm(struct spate_tcp_conn *c, enum tcp_deadline which, uint64_t delay_us);
void tcp_disarm(struct spate_tcp_conn *c, enum tcp_deadline which);
void tcp_timer_fire(struct spate_tcp *t, struct tcp_timer *timer);
void tcp_rearm(struct spate_tcp_conn *c); /* chooses RTO, TLP, reordering or persist */

#endif

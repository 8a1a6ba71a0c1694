/*
 * BBR, version 1 (draft-cardwell-iccrg-bbr-congestion-control-00): a model of the path instead of
 * losses: the highest delivery rate of the last rounds, the least round trip of ten seconds; paces
 * at gains around the first, keeps about twice their product in flight. Loss only limits it for a
 * round (packet conservation).
 *
 *     STARTUP ── rate stops growing ──► DRAIN ── queue gone ──► PROBE_BW ◄──► PROBE_RTT (every 10
 * s, 200 ms)
 */
#include "dataplane/tcp/conn.h"

#define BBR_UNIT     64 /* bytes a second, of the stored rates: up to 2 Tbit/s */
#define GAIN_1       256u
#define HIGH_GAIN    739u /* 2 / ln 2 */
#define DRAIN_GAIN   89u  /* 1 / HIGH_GAIN */
#define CWND_GAIN    512u
#define BIN_ROUNDS   5 /* two bins: the maximum of the last 5 to 10 rounds */
#define CYCLE        8
#define MIN_RTT_MS   10000
#define PROBE_RTT_MS 200
#define MIN_SEGMENTS 4

enum { STARTUP, DRAIN, PROBE_BW, PROBE_RTT };

static const uint16_t cycle_gain[CYCLE] = {320, 192, 256, 256, 256, 256, 256, 256};

static uint64_t max_bw(const struct tcp_bbr *b)
{
	return (uint64_t)max32(b->bw[0], b->bw[1]) * BBR_UNIT;
}

static uint32_t pacing_gain(const struct tcp_bbr *b)
{
	switch (b->mode) {
	case STARTUP:
		return HIGH_GAIN;
	case DRAIN:
		return DRAIN_GAIN;
	case PROBE_BW:
		return cycle_gain[b->cycle_idx];
	default:
		return GAIN_1;
	}
}

/* gain times bandwidth times delay, in bytes. */
static uint32_t target(const struct spate_tcp_conn *c, uint32_t gain)
{
	const struct tcp_bbr *b = &c->cc.bbr;
	uint64_t bdp;

	if (b->min_rtt_us == UINT32_MAX)
		return tcp_initial_window(c);
	bdp = max_bw(b) * b->min_rtt_us / 1000000 * gain / GAIN_1;
	return bdp < 1u << 30 ? (uint32_t)bdp : 1u << 30;
}

static void bbr_init(struct spate_tcp_conn *c)
{
	c->cc.bbr = (struct tcp_bbr){
		.mode = STARTUP,
		.min_rtt_us = UINT32_MAX,
		.min_rtt_ms = c->t->now_ms,
		.next_round = c->delivered,
	};
}

static void take_rate(struct tcp_bbr *b, const struct spate_tcp_conn *c, const struct tcp_ack *a)
{
	uint64_t bw;

	b->round_start = false;
	if (!a->any)
		return;
	if (!seq_lt(a->rate_prior, b->next_round)) {
		b->next_round = c->delivered;
		b->round_start = true;
		b->bw_round += b->bw_round < BIN_ROUNDS;
	}
	if (a->rate_interval_us == 0)
		return;
	bw = (uint64_t)a->rate_delivered * 1000000 / a->rate_interval_us;
	/* An application that sent too little says nothing about the path, unless it beat the
	 * record. */
	if (a->rate_app_limited && bw < max_bw(b))
		return;
	/* Rounds that say nothing do not make the filter forget what others said. */
	if (b->bw_round == BIN_ROUNDS) {
		b->bw_round = 0;
		b->bw[1] = b->bw[0];
		b->bw[0] = 0;
	}
	b->bw[0] = max32(b->bw[0], (uint32_t)(bw / BBR_UNIT));
}

static void check_full(struct tcp_bbr *b, const struct tcp_ack *a)
{
	uint32_t now = max32(b->bw[0], b->bw[1]);

	if (b->filled || !b->round_start || a->rate_app_limited)
		return;
	if (now >= b->full_bw / 4 * 5) {
		b->full_bw = now;
		b->full_count = 0;
	} else if (++b->full_count >= 3) {
		b->filled = true;
	}
}

static void enter_probe_bw(struct spate_tcp_conn *c)
{
	struct tcp_bbr *b = &c->cc.bbr;

	b->mode = PROBE_BW;
	b->cycle_us = c->t->now32;
	/* Anywhere but the draining phase; the tuple's hash is as good as a die. */
	b->cycle_idx = (uint8_t)((c->hash + c->t->now32) % (CYCLE - 1));
	b->cycle_idx += b->cycle_idx >= 1;
}

static void advance_cycle(struct spate_tcp_conn *c, const struct tcp_ack *a)
{
	struct tcp_bbr *b = &c->cc.bbr;
	uint32_t gain = cycle_gain[b->cycle_idx];
	bool over = c->t->now32 - b->cycle_us > b->min_rtt_us;

	if (gain > GAIN_1)
		over = over && (a->lost != 0 || a->prior_flight >= target(c, gain));
	else if (gain < GAIN_1)
		over = over || tcp_flight(c) <= target(c, GAIN_1);
	if (over) {
		b->cycle_idx = (b->cycle_idx + 1) % CYCLE;
		b->cycle_us = c->t->now32;
	}
}

static void save_cwnd(struct spate_tcp_conn *c)
{
	struct tcp_bbr *b = &c->cc.bbr;

	if (c->ca < CA_RECOVERY && b->mode != PROBE_RTT)
		b->prior_cwnd = c->cwnd;
	else
		b->prior_cwnd = max32(b->prior_cwnd, c->cwnd);
}

static void take_min_rtt(struct spate_tcp_conn *c, const struct tcp_ack *a)
{
	struct tcp_bbr *b = &c->cc.bbr;
	uint32_t now = c->t->now_ms;
	bool expired = now - b->min_rtt_ms > MIN_RTT_MS;

	if (a->rtt_us != 0 && (a->rtt_us <= b->min_rtt_us || expired)) {
		b->min_rtt_us = a->rtt_us;
		b->min_rtt_ms = now;
	}
	if (expired && b->mode != PROBE_RTT && !b->idle_restart && tcp_flight(c) != 0) {
		save_cwnd(c);
		b->mode = PROBE_RTT;
		b->probe_rtt_done_ms = 0;
	}
	if (a->delivered != 0)
		b->idle_restart = false;
	if (b->mode != PROBE_RTT)
		return;
	tcp_app_limited(c); /* four segments say nothing about the path's rate */
	if (b->probe_rtt_done_ms == 0) {
		if (tcp_flight(c) <= MIN_SEGMENTS * (uint32_t)c->mss) {
			b->probe_rtt_done_ms = (now + PROBE_RTT_MS) | 1;
			b->probe_rtt_round_done = false;
			b->next_round = c->delivered;
		}
		return;
	}
	b->probe_rtt_round_done |= b->round_start;
	if (b->probe_rtt_round_done && !seq_lt(now, b->probe_rtt_done_ms)) {
		b->min_rtt_ms = now;
		c->cwnd = max32(c->cwnd, b->prior_cwnd);
		if (b->filled)
			enter_probe_bw(c);
		else
			b->mode = STARTUP;
	}
}

static void set_cwnd(struct spate_tcp_conn *c, const struct tcp_ack *a)
{
	struct tcp_bbr *b = &c->cc.bbr;
	uint32_t gain = b->mode == STARTUP || b->mode == DRAIN ? HIGH_GAIN : CWND_GAIN;
	uint32_t want = target(c, gain) + 3 * 2 * (uint32_t)c->mss;

	if (a->lost != 0) /* what is lost makes no room */
		c->cwnd -= min32(c->cwnd - c->mss, a->lost);
	if (c->ca == CA_RECOVERY && b->restoring) {
		/* The first round of a recovery: one out for one in. */
		c->cwnd = max32(c->cwnd, tcp_flight(c) + a->delivered);
		if (b->round_start)
			b->restoring = false;
	} else if (b->filled) {
		c->cwnd = min32(c->cwnd + a->delivered, want);
	} else if (c->cwnd < want || c->delivered < tcp_initial_window(c)) {
		c->cwnd += a->delivered;
	}
	c->cwnd = max32(c->cwnd, MIN_SEGMENTS * (uint32_t)c->mss);
	if (b->mode == PROBE_RTT)
		c->cwnd = min32(c->cwnd, MIN_SEGMENTS * (uint32_t)c->mss);
}

static void bbr_ack(struct spate_tcp_conn *c, const struct tcp_ack *a)
{
	struct tcp_bbr *b = &c->cc.bbr;

	take_rate(b, c, a);
	check_full(b, a);
	if (b->mode == STARTUP && b->filled)
		b->mode = DRAIN;
	if (b->mode == DRAIN && tcp_flight(c) <= target(c, GAIN_1))
		enter_probe_bw(c);
	if (b->mode == PROBE_BW)
		advance_cycle(c, a);
	take_min_rtt(c, a);
	set_cwnd(c, a);
}

static uint32_t bbr_ssthresh(struct spate_tcp_conn *c)
{
	save_cwnd(c);
	return c->ssthresh; /* it has none */
}

static void bbr_event(struct spate_tcp_conn *c, int what)
{
	struct tcp_bbr *b = &c->cc.bbr;

	switch (what) {
	case CC_RECOVERY:
		b->restoring = true;
		b->next_round = c->delivered;
		c->cwnd = tcp_flight(c) + c->mss;
		break;
	case CC_START:
		/* Its first round trip is as good as one of PROBE_RTT: nothing of ours is queued.
		 */
		b->idle_restart = c->app_limited != 0;
		break;
	case CC_RECOVERED:
	case CC_UNDO:
		b->restoring = false;
		c->cwnd = max32(c->cwnd, b->prior_cwnd);
		break;
	default:
		break;
	}
}

static uint64_t bbr_rate(const struct spate_tcp_conn *c)
{
	const struct tcp_bbr *b = &c->cc.bbr;
	uint64_t bw = max_bw(b) * pacing_gain(b) / GAIN_1;

	if (!b->filled && b->mode == STARTUP) {
		/* Until the pipe was full once, never slower than the first window a round trip: a
		 * small request before a large response must not set the pace. */
		uint32_t srtt = tcp_srtt(c), iw = tcp_initial_window(c);
		uint64_t least = srtt == 0 ? 0 : (uint64_t)iw * 1000000 / srtt * HIGH_GAIN / GAIN_1;

		return bw > least ? bw : least;
	}
	/* A filter that has seen only crumbs must not strangle the connection. */
	return bw > c->mss ? bw : c->mss;
}

const struct tcp_cc_ops tcp_bbr_ops = {
	.name = "bbr",
	.owns_cwnd = true,
	.init = bbr_init,
	.ack = bbr_ack,
	.ssthresh = bbr_ssthresh,
	.event = bbr_event,
	.rate = bbr_rate,
};

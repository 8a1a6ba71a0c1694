/* CUBIC (RFC 9438), in bytes. Slow start is HyStart++'s. */
#include <math.h>

#include "dataplane/tcp/conn.h"

#define C_CUBIC 0.4
#define BETA    0.7
#define ALPHA   (3.0 * (1.0 - BETA) / (1.0 + BETA))

#define CUBIC_PRIOR 64u /* a unit of undo_cwnd_prior: cwnd is at most 2^30 */

static void cubic_init(struct spate_tcp_conn *c)
{
	c->cc.cubic = (struct tcp_cubic){.hs_done = !c->t->cfg.hystart};
	tcp_hystart_init(&c->cc.cubic.hs);
	c->cc.cubic.hs.window_end = c->snd_nxt;
}

/* RFC 9438 4.9: what a reduction changes, for when it turns out to have been wrong. In the first
 * slow start there is no curve yet. */
static void remember(struct tcp_cubic *q)
{
	q->undo_w_max = q->w_max;
	q->undo_in_epoch = q->in_epoch;
	if (!q->hs_done)
		return;
	q->undo_epoch_ms = q->epoch_ms;
	q->undo_k = q->k;
	q->undo_w_est = (float)q->w_est;
	q->undo_cwnd_prior = min32((q->cwnd_prior + CUBIC_PRIOR - 1) / CUBIC_PRIOR, (1u << 24) - 1);
}

static void restore(struct tcp_cubic *q)
{
	q->w_max = q->undo_w_max;
	q->in_epoch = q->undo_in_epoch;
	q->epoch_ms = q->undo_epoch_ms;
	q->k = q->undo_k;
	q->w_est = q->undo_w_est;
	q->cwnd_prior = q->undo_cwnd_prior * CUBIC_PRIOR;
}

static uint32_t cubic_ssthresh(struct spate_tcp_conn *c)
{
	struct tcp_cubic *q = &c->cc.cubic;

	remember(q);
	q->hs_done = true;
	q->w_est = 0;
	q->cwnd_prior = c->cwnd;
	/* Fast convergence (4.7): a flow that is giving way gives a little more. */
	q->w_max = c->cwnd < q->w_max ? (uint32_t)(c->cwnd * (1.0 + BETA) / 2.0) : c->cwnd;
	q->in_epoch = false;
	return max32((uint32_t)(c->cwnd * BETA), 2 * (uint32_t)c->mss);
}

static void start_epoch(struct spate_tcp_conn *c, struct tcp_cubic *q)
{
	q->in_epoch = true;
	q->epoch_ms = q->grown_ms = c->t->now_ms;
	q->w_est = c->cwnd;
	if (q->w_max <= c->cwnd) {
		q->w_max = c->cwnd;
		q->k = 0;
	} else {
		q->k = (float)cbrt((double)(q->w_max - c->cwnd) / c->mss / C_CUBIC);
	}
}

static double w_cubic(const struct spate_tcp_conn *c, const struct tcp_cubic *q, double t)
{
	double d = t - q->k;

	return C_CUBIC * d * d * d * c->mss + q->w_max;
}

/* Time in which the window was not used is not the curve's (4.2, 5.8): a player that paused would
 * come back to a window grown by half each round trip. */
static void skip_pause(const struct spate_tcp_conn *c, struct tcp_cubic *q)
{
	uint32_t gap = c->t->now_ms - q->grown_ms, most = 2 * tcp_srtt(c) / 1000 + 1;

	if (gap > most)
		q->epoch_ms += gap - most;
	q->grown_ms = c->t->now_ms;
}

static void avoid_congestion(struct spate_tcp_conn *c, uint32_t acked)
{
	struct tcp_cubic *q = &c->cc.cubic;

	if (!q->in_epoch)
		start_epoch(c, q);
	skip_pause(c, q);
	double t = (c->t->now_ms - q->epoch_ms) / 1e3, cwnd = c->cwnd;

	/* What Reno would have by now (4.3). */
	q->w_est += (q->w_est < q->cwnd_prior ? ALPHA : 1.0) * acked * c->mss / cwnd;
	if (w_cubic(c, q, t) < q->w_est) {
		if (q->w_est > cwnd)
			cwnd = q->w_est;
	} else {
		double target = w_cubic(c, q, t + tcp_srtt(c) / 1e6);

		if (target > 1.5 * cwnd)
			target = 1.5 * cwnd;
		if (target > cwnd)
			cwnd += (target - cwnd) * acked / cwnd;
	}
	/* Slow start ended on round trips alone and nothing was lost yet: the curve knows no
	 * plateau to go back to, and would look for the wire's end for many seconds. As Linux: 5 %
	 * a round trip. */
	if (q->cwnd_prior == 0 && cwnd < c->cwnd + acked / 20.0)
		cwnd = c->cwnd + acked / 20.0;
	/* Whole bytes only: what is left over waits in the fraction of w_est or of the next target.
	 */
	c->cwnd = cwnd < 1u << 30 ? (uint32_t)cwnd : 1u << 30;
}

/* Growing is for who is using the window (RFC 9438 4.2, RFC 7661). */
static bool limited(const struct spate_tcp_conn *c, const struct tcp_ack *a)
{
	/* Pacing may still owe what an ACK made room for; without more to send there is nothing
	 * owed. */
	uint32_t owed = tcp_more(c) && !(c->flags & F_DRY) ? a->acked : 0;

	if (c->cwnd < c->ssthresh)
		return a->prior_flight + owed >= c->cwnd / 2 || (c->flags & F_CWND_LIMIT);
	return (c->flags & F_CWND_LIMIT) || a->prior_flight + 2 * (uint32_t)c->mss >= c->cwnd;
}

static void cubic_ack(struct spate_tcp_conn *c, const struct tcp_ack *a)
{
	struct tcp_cubic *q = &c->cc.cubic;
	uint32_t acked = a->acked;

	if (c->ca == CA_RECOVERY || c->ca == CA_CWR || acked == 0 || a->left || !limited(c, a))
		return;
	/* After a timeout too (RFC 3168 6.1.2); but who has had no chance to hear of it, as CWR
	 * goes with new data only, would hold us at a segment a round trip. */
	if (a->ece && !(c->flags & F_CWR))
		return;
	if (c->cwnd < c->ssthresh) {
		/* What was SACKed before the timeout is no new sign of room (RFC 5681 3.1). */
		if (a->timeout)
			acked = min32(acked, a->delivered);
		/* Without pacing what grows leaves in one burst: L = 8 (RFC 9406 4.2). */
		if (!c->t->cfg.pacing)
			acked = min32(acked, 8 * (uint32_t)c->mss);
		/* Only the first slow start, when ssthresh says nothing yet (RFC 9406 4.3). */
		uint32_t grow = q->hs_done ? acked : tcp_hystart_ack(c, &q->hs, a, acked);
		uint32_t room = c->ssthresh - c->cwnd;

		if (c->ssthresh != UINT32_MAX && !q->hs_done) {
			q->hs_done = true; /* from here on the union is the curve's */
			q->cwnd_prior = 0; /* nothing was lost yet */
		}
		if (c->cwnd >= 1u << 30)
			return;
		if (grow <= room) {
			c->cwnd += grow;
			return;
		}
		c->cwnd = c->ssthresh;
		acked = grow - room;
	}
	avoid_congestion(c, acked);
}

static void cubic_event(struct spate_tcp_conn *c, int what)
{
	struct tcp_cubic *q = &c->cc.cubic;

	if (what == CC_UNDO && c->ssthresh == UINT32_MAX) {
		cubic_init(c); /* nothing was lost yet: slow start goes on, and must find its end */
	} else if (what == CC_UNDO) {
		restore(q);
	} else if (what == CC_RTO) {
		q->in_epoch = false; /* 4.8: the next epoch starts with what the timeout left */
	}
}

/* As Linux: twice the window a round trip while it doubles, then a fifth over, so that pacing never
 * binds. */
static uint64_t cubic_rate(const struct spate_tcp_conn *c)
{
	uint32_t srtt = tcp_srtt(c);
	uint64_t factor = c->cwnd < c->ssthresh / 2 ? 200 : 120;

	return srtt == 0 ? 0 : (uint64_t)c->cwnd * factor * 10000 / srtt;
}

const struct tcp_cc_ops tcp_cubic_ops = {
	.name = "cubic",
	.init = cubic_init,
	.ack = cubic_ack,
	.ssthresh = cubic_ssthresh,
	.event = cubic_event,
	.rate = cubic_rate,
};

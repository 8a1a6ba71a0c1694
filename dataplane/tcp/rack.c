/*
 * RACK (RFC 8985): a run is lost when something sent after it has arrived, and longer ago than the
 * reordering window allows. Time order and sequence order within one burst stand in for each other
 * (section 6.2).
 */
#include "dataplane/tcp/conn.h"

static bool sent_after(uint32_t us1, uint32_t end1, uint32_t us2, uint32_t end2)
{
	return seq_lt(us2, us1) || (us1 == us2 && seq_lt(end2, end1));
}

void tcp_rack_reset(struct spate_tcp_conn *c)
{
	c->rack_us = c->t->now32;
	c->rack_end = c->snd_una;
	c->fack = c->snd_una;
	c->rack_rtt_us = 0;
}

/* Was it the first transmission, not our repeat, that this ACK answers? (section 6.2, step 2) */
static bool answers_original(const struct spate_tcp_conn *c, const struct tcp_run *r, uint32_t rtt,
			     const struct tcp_seg *s)
{
	if (s->has_ts && (c->flags & F_TS)) {
		uint32_t sent_ms = (uint32_t)((c->t->now_us - rtt) / 1000);

		if (seq_lt(s->tsecr, sent_ms + c->ts_off))
			return true;
	}
	return rtt < tcp_min_rtt(c);
}

/* Bytes [start, end) of r have arrived: RTT, rate sample, RACK's newest, reordering. */
void tcp_delivered(struct spate_tcp_conn *c, struct tcp_run *r, uint32_t start, uint32_t end,
		   const struct tcp_seg *s, struct tcp_ack *a)
{
	uint32_t now = c->t->now32, rtt = now - r->sent_us, len = end - start;

	a->delivered += len;
	c->delivered += len;
	c->delivered_us = now;
	if (!a->any || seq_lt(a->fack, end))
		a->fack = end;
	if (!a->any || sent_after(r->sent_us, end, a->rate_sent_us, a->rate_end)) {
		a->rate_sent_us = r->sent_us;
		a->rate_end = end;
		a->rate_first_us = r->first_us;
		a->rate_prior = r->delivered;
		a->rate_delivered_us = r->delivered_us;
		a->rate_app_limited = r->flags & RUN_APP_LIMITED;
	}
	a->any = true;
	if ((r->flags & RUN_GROWN) && end != r->end)
		return; /* older than it looks: no round trip, and nothing sent later is late */
	if (!(r->flags & RUN_REXMIT)) {
		rtt = max32(rtt, 1);
		if (a->rtt_us == 0 || rtt < a->rtt_us)
			a->rtt_us = rtt;
		if (seq_lt(end, c->fack))
			a->reordered = true;
	} else if (answers_original(c, r, rtt, s)) {
		return;
	}
	if (c->rack_rtt_us == 0 || sent_after(r->sent_us, end, c->rack_us, c->rack_end)) {
		c->rack_us = r->sent_us;
		c->rack_end = end;
		c->rack_rtt_us = max32(rtt, 1);
	}
}

/* Section 6.2, step 4. */
static uint32_t reo_wnd(const struct spate_tcp_conn *c)
{
	if (!(c->flags & F_REORDER) &&
	    (c->ca >= CA_RECOVERY || c->sacked_out >= TCP_DUPTHRESH * (uint32_t)c->mss))
		return 0;
	uint64_t w = (uint64_t)tcp_min_rtt(c) / 4 * c->reo_mult;

	return min32((uint32_t)(w < UINT32_MAX ? w : UINT32_MAX), tcp_srtt(c));
}

/* How long until r counts as lost; 0: it does. UINT32_MAX: nothing sent after it has arrived. */
static uint32_t time_left(const struct spate_tcp_conn *c, const struct tcp_run *r, uint32_t wnd)
{
	uint32_t age = c->t->now32 - r->sent_us, limit = c->rack_rtt_us + wnd;

	if (!sent_after(c->rack_us, c->rack_end, r->sent_us, r->end))
		return UINT32_MAX;
	return age >= limit ? 0 : limit - age;
}

uint32_t tcp_rack_detect(struct spate_tcp_conn *c)
{
	uint32_t wnd = reo_wnd(c), lost = 0;
	struct tcp_run *r = c->flight.head;

	if (c->rack_rtt_us == 0)
		return 0;
	while (r != NULL && time_left(c, r, wnd) == 0) {
		struct tcp_run *next = r->tnext;

		lost += r->end - r->start;
		tcp_run_lose(c, r);
		r = next;
	}
	return lost;
}

uint32_t tcp_rack_timeout(struct spate_tcp_conn *c)
{
	const struct tcp_run *r = c->flight.head;
	uint32_t left;

	if (r == NULL || c->rack_rtt_us == 0 || !(c->flags & F_SACK))
		return 0;
	left = time_left(c, r, reo_wnd(c));
	return left == UINT32_MAX ? 0 : max32(left, 1);
}

/* A DSACK says we were too quick: a wider window for the next 16 recoveries, at most once a round
 * trip. */
void tcp_rack_dsack(struct spate_tcp_conn *c)
{
	if (!seq_lt(c->rack_round, c->snd_una) && c->reo_mult > 1)
		return;
	c->rack_round = c->snd_nxt;
	if (c->reo_mult < 255)
		c->reo_mult++;
	c->reo_persist = 16;
}

/* Round trip time and RTO (RFC 6298), the least round trip of the last minutes, delivery rate
 * samples. */
#include "dataplane/tcp/conn.h"

#define MIN_RTT_WINDOW_MS 150000

/* srtt8 = 8 srtt, rttvar4 = 4 rttvar, so that the RFC's 1/8 and 1/4 are shifts. */
void tcp_rtt_sample(struct spate_tcp_conn *c, uint32_t rtt_us)
{
	const struct spate_tcp_config *cfg = &c->t->cfg;

	rtt_us = min32(max32(rtt_us, 1), 1u << 28);
	if (c->srtt8_us == 0) {
		c->srtt8_us = rtt_us << 3;
		c->rttvar4_us = rtt_us << 1;
	} else {
		int32_t err = (int32_t)(rtt_us - (c->srtt8_us >> 3));

		c->srtt8_us += (uint32_t)err;
		c->rttvar4_us += (uint32_t)((err < 0 ? -err : err) - (int32_t)(c->rttvar4_us >> 2));
	}
	/* The least RTO goes on top of the round trip, as a late delayed ACK does. */
	c->rto_us =
		min32((c->srtt8_us >> 3) + max32(c->rttvar4_us, cfg->rto_min_us), cfg->rto_max_us);
	tcp_min_rtt_sample(c, rtt_us);
}

void tcp_min_rtt_sample(struct spate_tcp_conn *c, uint32_t rtt_us)
{
	if (c->t->now_ms - c->min_rtt_ms > MIN_RTT_WINDOW_MS) {
		c->min_rtt_ms = c->t->now_ms;
		c->min_rtt_old_us = c->min_rtt_us;
		c->min_rtt_us = UINT32_MAX;
	}
	c->min_rtt_us = min32(c->min_rtt_us, rtt_us);
}

/* Delivery rate estimation (draft-cheng-iccrg-delivery-rate-estimation), per run instead of per
 * packet. */
void tcp_rate_sent(struct spate_tcp_conn *c, struct tcp_run *r)
{
	uint32_t now = c->t->now32;

	if (c->snd_nxt - c->snd_una - c->sacked_out <= r->end - r->start)
		c->first_us = c->delivered_us = now; /* nothing else is out: a new interval */
	r->first_us = c->first_us;
	r->delivered = c->delivered;
	r->delivered_us = c->delivered_us;
	if (c->app_limited != 0)
		r->flags |= RUN_APP_LIMITED;
	else
		r->flags &= (uint8_t)~RUN_APP_LIMITED;
}

void tcp_rate_done(struct spate_tcp_conn *c, struct tcp_ack *a)
{
	uint32_t send_us, ack_us;

	if (c->app_limited != 0 && seq_lt(c->app_limited, c->delivered))
		c->app_limited = 0;
	if (!a->any)
		return;
	c->first_us = a->rate_sent_us;
	send_us = a->rate_sent_us - a->rate_first_us;
	ack_us = c->delivered_us - a->rate_delivered_us;
	a->rate_delivered = c->delivered - a->rate_prior;
	a->rate_interval_us = max32(send_us, ack_us);
	/* Shorter than any round trip: a run acknowledged in pieces, or a clock too coarse to say.
	 */
	if (a->rate_interval_us < tcp_min_rtt(c))
		a->rate_interval_us = 0;
}

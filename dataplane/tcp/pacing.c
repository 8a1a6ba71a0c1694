/*
 * Pacing: each connection leaves in bursts of at most what its rate sends in two ticks, but at
 * least two segments; after a pause one initial window may leave at once, after a late turn what
 * should have left since. One deadline a connection, on the wheel all share.
 */
#include "dataplane/tcp/conn.h"

#define BURST_US    (2 * TCP_TICK_US)
#define BURST_MAX   (1u << 20)
#define LATE_MAX_US 8000

static uint32_t burst(const struct spate_tcp_conn *c, uint64_t rate)
{
	uint64_t n = rate * BURST_US / 1000000;

	if (n > BURST_MAX)
		n = BURST_MAX;
	return max32((uint32_t)n, 2 * (uint32_t)c->mss);
}

uint32_t tcp_pace_budget(struct spate_tcp_conn *c)
{
	uint64_t rate = c->t->cfg.pacing ? c->t->cc->rate(c) : 0;
	int32_t wait = (int32_t)(c->pace_next_us - c->t->now32);

	if (rate == 0)
		return UINT32_MAX;
	if (c->snd_una == c->snd_nxt) {
		/* Nothing is out: a short response need not be spread over a round trip. */
		if (wait > 0 && wait < 1 << 20) {
			tcp_arm(c, TM_PACE, (uint64_t)wait);
			return 0;
		}
		c->pace_next_us = c->t->now32;
		return max32(burst(c, rate), min32(c->cwnd, tcp_initial_window(c)));
	}
	if (wait > 0) {
		tcp_arm(c, TM_PACE, (uint64_t)wait);
		return 0;
	}
	/* A worker that was held up catches up, or its connections would be slower than their
	 * windows wherever turns are longer than a burst. A quarter of a round trip at most: the
	 * window never leaves at once. */
	uint32_t behind = (uint32_t)-wait, one = burst(c, rate),
		 late = min32(tcp_srtt(c) / 4, LATE_MAX_US);
	uint64_t credit;

	if (behind > late) {
		behind = late;
		c->pace_next_us = c->t->now32 - late;
	}
	credit = rate * behind / 1000000;
	if (credit > BURST_MAX)
		credit = BURST_MAX;
	return one + (uint32_t)credit;
}

void tcp_pace_sent(struct spate_tcp_conn *c, uint32_t bytes)
{
	uint64_t rate = c->t->cfg.pacing ? c->t->cc->rate(c) : 0;

	if (rate != 0)
		c->pace_next_us += (uint32_t)((uint64_t)bytes * 1000000 / rate);
}

void tcp_pace_wait(struct spate_tcp_conn *c)
{
	int32_t wait = (int32_t)(c->pace_next_us - c->t->now32);

	if (wait > 0 && wait < 1 << 20)
		tcp_arm(c, TM_PACE, (uint64_t)wait);
}

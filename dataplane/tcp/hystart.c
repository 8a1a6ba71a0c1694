/*
 * HyStart++ (RFC 9406): leave slow start when round trips grow, carefully, through conservative
 * slow start.
 *
 * A round's least round trip is that of its first packets, which left a round ago, when the window
 * was half as large: where the queue holds less than the path, it is full before the next round
 * tells. So besides the RFC's look at each round we look at each eight samples within one: we pace,
 * so round trips that grow inside a round are a queue and not our own burst. What is found so is
 * judged by packets that left after it, and slow start goes on if it was nothing.
 */
#include "dataplane/tcp/conn.h"

#define MIN_RTT_THRESH_US  4000
#define MAX_RTT_THRESH_US  16000
#define MIN_RTT_DIVISOR    8
#define N_RTT_SAMPLE       8
#define CSS_GROWTH_DIVISOR 4
#define CSS_ROUNDS         5

void tcp_hystart_init(struct tcp_hystart *h)
{
	*h = (struct tcp_hystart){.round_min = UINT32_MAX, .last_min = UINT32_MAX};
}

static void new_round(struct spate_tcp_conn *c, struct tcp_hystart *h)
{
	h->window_end = c->snd_nxt;
	h->last_min = h->round_min;
	h->round_min = UINT32_MAX;
	h->samples = h->group = 0;
	if (h->css && ++h->css_rounds >= CSS_ROUNDS)
		c->ssthresh = c->cwnd;
}

static void enter_css(struct tcp_hystart *h, uint32_t baseline)
{
	h->css = true;
	h->css_base_min = baseline;
	h->css_rounds = 0;
}

/* Eight samples in a row: the least of them. UINT32_MAX: not yet eight. */
static uint32_t group_min(struct tcp_hystart *h, uint32_t rtt)
{
	h->group_min = h->group == 0 ? rtt : min32(h->group_min, rtt);
	if (++h->group < N_RTT_SAMPLE)
		return UINT32_MAX;
	h->group = 0;
	return h->group_min;
}

uint32_t tcp_hystart_ack(struct spate_tcp_conn *c, struct tcp_hystart *h, const struct tcp_ack *a,
			 uint32_t acked)
{
	uint32_t late = UINT32_MAX;

	if (seq_lt(h->window_end, c->snd_una))
		new_round(c, h);
	if (a->rtt_us != 0) {
		h->round_min = min32(h->round_min, a->rtt_us);
		if (h->samples < 255)
			h->samples++;
		late = group_min(h, a->rtt_us);
	}
	if (h->samples >= N_RTT_SAMPLE && h->round_min != UINT32_MAX && h->last_min != UINT32_MAX) {
		uint32_t thresh = max32(MIN_RTT_THRESH_US,
					min32(h->last_min / MIN_RTT_DIVISOR, MAX_RTT_THRESH_US));

		if (!h->css && h->round_min >= h->last_min + thresh) {
			enter_css(h, h->round_min);
		} else if (!h->css && c->t->cfg.pacing && late != UINT32_MAX &&
			   late >= h->last_min + thresh) {
			enter_css(h, h->last_min + thresh);
			/* What is out left before: a round that says nothing about this. */
			h->window_end = c->snd_nxt;
			h->round_min = late;
		} else if (h->css && h->round_min < h->css_base_min) {
			h->css = false; /* it was no queue after all */
		}
	}
	return h->css ? acked / CSS_GROWTH_DIVISOR : acked;
}

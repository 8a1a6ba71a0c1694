/* HyStart++ (RFC 9406): leave slow start when round trips grow, carefully, through conservative
 * slow start. */
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
	h->samples = 0;
	if (h->css && ++h->css_rounds >= CSS_ROUNDS) {
		c->ssthresh = c->cwnd;
	}
}

uint32_t tcp_hystart_ack(struct spate_tcp_conn *c, struct tcp_hystart *h, const struct tcp_ack *a,
			 uint32_t acked)
{
	if (seq_lt(h->window_end, c->snd_una))
		new_round(c, h);
	if (a->rtt_us != 0) {
		h->round_min = min32(h->round_min, a->rtt_us);
		if (h->samples < 255)
			h->samples++;
	}
	if (h->samples >= N_RTT_SAMPLE && h->round_min != UINT32_MAX && h->last_min != UINT32_MAX) {
		uint32_t thresh = max32(MIN_RTT_THRESH_US,
					min32(h->last_min / MIN_RTT_DIVISOR, MAX_RTT_THRESH_US));

		if (!h->css && h->round_min >= h->last_min + thresh) {
			h->css = true;
			h->css_base_min = h->round_min;
			h->css_rounds = 0;
		} else if (h->css && h->round_min < h->css_base_min) {
			h->css = false; /* it was no queue after all */
		}
	}
	return h->css ? acked / CSS_GROWTH_DIVISOR : acked;
}

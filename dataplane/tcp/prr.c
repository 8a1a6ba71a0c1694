/*
 * Proportional rate reduction (RFC 9937, which replaces 6937): during recovery the window shrinks
 * with what is delivered, so that it meets ssthresh when recovery ends, and never grows faster than
 * slow start below it.
 */
#include "dataplane/tcp/conn.h"

/* RecoverFS (section 6.1) is what may still be delivered: what was SACKed before is none of it.
 * What the ACK that starts recovery delivers is, and is put back by who knows that ACK. */
void tcp_prr_start(struct spate_tcp_conn *c)
{
	c->prr_delivered = c->prr_out = 0;
	c->prr_fs = max32(c->snd_nxt - c->snd_una - c->sacked_out, 1);
}

void tcp_prr_ack(struct spate_tcp_conn *c, const struct tcp_ack *a)
{
	uint32_t pipe = tcp_flight(c);
	int64_t send;

	if (a->delivered == 0 && c->prr_out != 0)
		return;
	c->prr_delivered += a->delivered;
	if (pipe > c->ssthresh) {
		send = (int64_t)(((uint64_t)c->prr_delivered * c->ssthresh + c->prr_fs - 1) /
				 c->prr_fs) -
		       c->prr_out;
	} else {
		send = (int64_t)c->prr_delivered - c->prr_out;
		if (send < a->delivered)
			send = a->delivered;
		/* SafeACK: progress, and no sign of more loss: catch up as slow start would. */
		if (a->acked != 0 && a->lost == 0)
			send += c->mss;
		if (send > (int64_t)c->ssthresh - pipe)
			send = (int64_t)c->ssthresh - pipe;
	}
	/* The fast retransmission itself always leaves. */
	if (c->prr_out == 0 && send < c->mss)
		send = c->mss;
	if (send < 0)
		send = 0;
	c->cwnd = max32(pipe + (uint32_t)send, c->mss);
}

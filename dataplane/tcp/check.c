/* Every invariant of a connection and of the engine, for tests: after each step of the simulator.
 */
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/tcp/conn.h"

#define CHECK(cond)                                                                           \
	do {                                                                                  \
		if (!(cond)) {                                                                \
			fprintf(stderr, "tcp_check: %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                              \
		}                                                                             \
	} while (0)

static void check_runs(const struct spate_tcp_conn *c)
{
	uint32_t n = 0, sacked = 0, lost = 0, at = c->snd_una, flight = 0, in_lists = 0;
	bool hint = c->sack_hint == NULL;
	const struct tcp_run *prev = NULL;

	for (const struct tcp_run *r = c->runs.head; r != NULL; prev = r, r = r->next) {
		CHECK(r->prev == prev);
		CHECK(r->start == at);
		CHECK(seq_lt(r->start, r->end));
		CHECK((r->flags & (RUN_SACKED | RUN_LOST)) != (RUN_SACKED | RUN_LOST));
		if (r->flags & RUN_SACKED)
			sacked += r->end - r->start;
		else if (r->flags & RUN_LOST)
			lost += r->end - r->start;
		else
			flight += r->end - r->start;
		in_lists += !(r->flags & RUN_SACKED);
		hint |= c->sack_hint == r;
		at = r->end;
		n++;
	}
	CHECK(c->runs.tail == prev);
	CHECK(at == c->snd_nxt);
	CHECK(n == c->nruns && n <= c->t->cfg.conn_runs);
	CHECK(hint);
	CHECK(lost == c->lost_out);
	if (c->flags & F_SACK) {
		CHECK(sacked == c->sacked_out);
		CHECK(flight == tcp_flight(c));
	} else {
		CHECK(sacked == 0);
		CHECK(c->sacked_out <= flight);
	}
	for (const struct tcp_run *r = c->flight.head, *p = NULL; r != NULL; p = r, r = r->tnext) {
		CHECK(!(r->flags & (RUN_SACKED | RUN_LOST)));
		CHECK(r->tprev == p);
		CHECK(p == NULL || seq_leq(p->sent_us, r->sent_us));
		CHECK(r->tnext != NULL || r == c->flight.tail);
		in_lists--;
	}
	for (const struct tcp_run *r = c->lost.head; r != NULL; r = r->tnext) {
		CHECK((r->flags & (RUN_SACKED | RUN_LOST)) == RUN_LOST);
		CHECK(r->tnext != NULL || r == c->lost.tail);
		in_lists--;
	}
	CHECK(in_lists == 0);
}

static void check_held(const struct spate_tcp_conn *c)
{
	const struct tcp_island *prev = NULL;
	uint32_t islands = 0, nodes = 0;

	for (const struct tcp_island *i = c->held; i != NULL; prev = i, i = i->next) {
		uint32_t at = i->start;

		CHECK(seq_lt(i->start, i->end));
		CHECK(prev == NULL || seq_lt(prev->end, i->start));
		CHECK(i->head != NULL && i->tail != NULL);
		for (const struct tcp_node *n = i->head; n != NULL; n = n->next) {
			CHECK(n->len <= TCP_NODE_DATA);
			CHECK(seq_leq(n->seq, at) && seq_lt(at, n->seq + n->len));
			at = n->seq + n->len;
			CHECK(n->next != NULL || n == i->tail);
			nodes++;
		}
		CHECK(at == i->end);
		CHECK(seq_leq(i->end, c->rcv_adv));
		/* In order, and waiting: ends at rcv_nxt (the FIN may be one beyond). */
		if (seq_leq(i->start, c->rcv_nxt)) {
			CHECK(i == c->held);
			CHECK(i->end + ((c->flags & F_FIN_RCVD) != 0) == c->rcv_nxt);
		}
		islands++;
	}
	CHECK(prev == NULL || !(c->flags & F_FIN_SEEN) || seq_leq(prev->end, c->fin_rcv));
	CHECK(islands == c->islands && islands <= TCP_ISLANDS);
	CHECK(nodes == c->nodes);
}

void spate_tcp_check(const struct spate_tcp_conn *c)
{
	CHECK(c->t != NULL);
	CHECK(c->state != SPATE_TCP_CLOSED);
	CHECK(!(c->flags & F_DEAD));
	CHECK(c->timer.prev == NULL || *c->timer.prev == &c->timer);
	for (int i = 0; i < TM_N; i++)
		if (c->armed & 1u << i)
			CHECK(tcp_timer_set(&c->timer) &&
			      seq_leq(c->timer.tick, seq_max(c->deadline[i], c->t->wheel.now + 1)));
	if (!tcp_synced(c)) {
		CHECK(c->snd_nxt == c->snd_una + 1);
		CHECK(c->runs.head == NULL && c->held == NULL);
		CHECK(c->armed & 1u << TM_REXMIT);
		return;
	}
	CHECK(!(c->flags & F_SEND_SYN));
	CHECK(!(c->flags & F_FIN_SEEN) ||
	      seq_leq(c->rcv_nxt, c->fin_rcv + ((c->flags & F_FIN_RCVD) != 0)));
	CHECK(seq_leq(c->snd_una, c->snd_nxt));
	CHECK(c->cwnd >= c->mss && c->mss > 0);
	CHECK(c->rto_us <= c->t->cfg.rto_max_us);
	CHECK(seq_leq(c->rcv_nxt, c->rcv_adv + 1)); /* a FIN may fill the window and one more */
	CHECK(seq_leq(c->ack_sent, c->rcv_nxt));
	CHECK(c->snd_una == c->snd_nxt || (c->armed & 1u << TM_REXMIT) || (c->flags & F_DIRTY));
	if (c->q != NULL) {
		CHECK(c->una_off == c->q->base);
		CHECK(c->una_off + (c->snd_nxt - c->snd_una) <=
		      c->q->end + ((c->flags & F_FIN_SENT) != 0));
	}
	check_runs(c);
	check_held(c);
}

void spate_tcp_check_all(const struct spate_tcp *t)
{
	uint32_t live = 0, entries = 0, half = 0, tw = 0, runs = 0, nodes = 0, waiting = 0;

	for (uint32_t i = 0; i <= t->mask; i++) {
		uint32_t ref = t->table[i].ref;

		entries += ref != 0;
		if (ref == 0 || (ref & TCP_REF_TW))
			continue;
		CHECK(tcp_conn_at(t, ref - 1)->hash == t->table[i].hash);
	}
	for (uint32_t i = 0; i < t->conns_made; i++) {
		const struct spate_tcp_conn *c = tcp_conn_at(t, i);

		if (c->state == SPATE_TCP_CLOSED)
			continue;
		spate_tcp_check(c);
		live++;
		half += c->state == SPATE_TCP_SYN_RCVD && !(c->flags & F_CLIENT);
		runs += c->nruns + c->islands;
		nodes += c->nodes;
		waiting += (c->flags & F_PATH_WAIT) != 0;
	}
	for (uint32_t w = t->tw_head; w != 0; w = t->tw[w - 1].next)
		tw++;
	CHECK(tw == t->tw_used);
	CHECK(entries == live + tw);
	CHECK(half == t->half_open);
	CHECK(waiting == t->path_waiting);
	if (t->dirty == 0 && t->late[0].first == 0 && t->late[1].first == 0 && t->parting == 0) {
		CHECK(live == t->conns_used);
		CHECK(runs == t->run_pool.used);
		CHECK(nodes == t->node_pool.used);
	}
}

/*
 * TIME-WAIT (RFC 9293 3.6.1): a record of its own, so that a busy edge does not keep whole TCBs for
 * a minute. All wait equally long, so one list in order of arrival is in order of expiry. What is
 * given up in FIN-WAIT-2 goes on as such a record too, and waits in it for its FIN.
 */
#include "dataplane/tcp/conn.h"

#define ACK_EVERY_MS 50

static struct tcp_tw *at(struct spate_tcp *t, uint32_t ref)
{
	return &t->tw[ref - 1];
}

static void unlink_tw(struct spate_tcp *t, struct tcp_tw *w)
{
	if (w->prev != 0)
		at(t, w->prev)->next = w->next;
	else
		t->tw_head = w->next;
	if (w->next != 0)
		at(t, w->next)->prev = w->prev;
	else
		t->tw_tail = w->prev;
}

static void link_tail(struct spate_tcp *t, struct tcp_tw *w)
{
	uint32_t ref = (uint32_t)(w - t->tw) + 1;

	w->expire_ms = t->now_ms + t->cfg.time_wait_us / 1000;
	w->next = 0;
	w->prev = t->tw_tail;
	if (t->tw_tail != 0)
		at(t, t->tw_tail)->next = ref;
	else
		t->tw_head = ref;
	t->tw_tail = ref;
}

void tcp_time_wait_free(struct spate_tcp *t, struct tcp_tw *w)
{
	uint32_t ref = (uint32_t)(w - t->tw) + 1;

	tcp_table_del(t, w->hash, ref | TCP_REF_TW);
	unlink_tw(t, w);
	w->used = false;
	w->next = t->tw_free;
	t->tw_free = ref;
	t->tw_used--;
}

void tcp_time_wait(struct spate_tcp_conn *c)
{
	struct spate_tcp *t = c->t;
	struct tcp_tw *w;
	uint32_t ref;

	if (t->cfg.max_time_wait == 0)
		return;
	if (t->tw_free == 0 && t->tw_made == t->cfg.max_time_wait)
		tcp_time_wait_free(t, at(t, t->tw_head));
	if (t->tw_free != 0) {
		ref = t->tw_free;
		t->tw_free = at(t, ref)->next;
	} else {
		ref = ++t->tw_made;
	}
	w = at(t, ref);
	*w = (struct tcp_tw){
		.peer_port = c->peer_port,
		.local_port = c->local_port,
		.hash = c->hash,
		.snd_nxt = c->snd_nxt,
		.rcv_nxt = c->rcv_nxt,
		.ts_recent = c->ts_recent,
		.ts_recent_ms = c->ts_recent_ms,
		.ts_off = c->ts_off,
		.ack_ms = t->now_ms - ACK_EVERY_MS,
		.wnd = (uint16_t)min32((c->rcv_adv - c->rcv_nxt) >> c->rcv_scale, 65535),
		.ts = c->flags & F_TS,
		.used = true,
		.fin_owed = c->state == SPATE_TCP_FIN_WAIT_2,
	};
	memcpy(w->peer_ip, c->peer_ip, 16);
	memcpy(w->local_ip, c->local_ip, 16);
	link_tail(t, w);
	tcp_table_add(t, w->hash, ref | TCP_REF_TW);
	t->tw_used++;
}

void tcp_time_wait_expire(struct spate_tcp *t)
{
	while (t->tw_head != 0 && !seq_lt(t->now_ms, at(t, t->tw_head)->expire_ms))
		tcp_time_wait_free(t, at(t, t->tw_head));
}

/* RFC 6191, and RFC 1122 4.2.2.13 for peers without timestamps. */
static bool may_reuse(const struct spate_tcp *t, const struct tcp_tw *w, const struct tcp_seg *s)
{
	if ((s->flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return false;
	if (w->ts && s->has_ts) {
		if (seq_lt(w->ts_recent, s->tsval))
			return true;
		return w->ts_recent == s->tsval && seq_lt(w->rcv_nxt, s->seq);
	}
	/* What is left of the old one has no timestamps, and the new one will drop what has none.
	 */
	return (!w->ts && s->has_ts && t->cfg.timestamps) || seq_lt(w->rcv_nxt, s->seq);
}

static void answer(struct spate_tcp *t, struct tcp_tw *w, const struct tcp_seg *s)
{
	uint8_t opts[12];

	if (t->now_ms - w->ack_ms < ACK_EVERY_MS)
		return;
	w->ack_ms = t->now_ms;
	put32(opts, 0x0101080a);
	put32(opts + 4, t->now_ms + w->ts_off);
	put32(opts + 8, w->ts_recent);
	tcp_answer(t, s, TCP_ACK, w->snd_nxt, w->rcv_nxt, w->wnd, opts, w->ts ? 12 : 0);
}

/* In order, where our user has gone: only a FIN is welcome. Bytes have no reader any more (RFC 9293
 * 3.6.1, RFC 1122 4.2.2.13). */
static enum spate_tcp_verdict fin_wait_2_input(struct spate_tcp *t, struct tcp_tw *w,
					       const struct tcp_seg *s)
{
	if (s->flags & TCP_RST) {
		tcp_time_wait_free(t, w);
		return SPATE_TCP_TAKEN_RST;
	}
	if (s->len != 0) {
		tcp_answer_reset(t, s);
		tcp_time_wait_free(t, w);
		return SPATE_TCP_DROP_CLOSED;
	}
	if (s->flags & TCP_FIN) {
		w->rcv_nxt++;
		w->fin_owed = false;
		w->ack_ms = t->now_ms - ACK_EVERY_MS; /* whatever was answered just before */
		if (w->ts && s->has_ts) {
			w->ts_recent = s->tsval;
			w->ts_recent_ms = t->now_ms;
		}
		unlink_tw(t, w);
		link_tail(t, w);
		answer(t, w, s);
		return SPATE_TCP_OK;
	}
	return SPATE_TCP_DROP_TIME_WAIT;
}

enum spate_tcp_verdict tcp_time_wait_input(struct spate_tcp *t, struct tcp_tw *w, struct tcp_seg *s)
{
	struct spate_tcp_listener *l;
	bool bare = s->seq == w->rcv_nxt && s->end == s->seq;

	if (w->fin_owed && s->seq == w->rcv_nxt && !(s->flags & TCP_SYN))
		return fin_wait_2_input(t, w, s);
	/* RFC 1337: a reset must not end it early. */
	if (s->flags & TCP_RST)
		return SPATE_TCP_DROP_TIME_WAIT;
	l = may_reuse(t, w, s) ? tcp_find_listener(t, &s->key) : NULL;
	if (l != NULL) {
		uint32_t iss = tcp_isn(t, &s->key), hash = w->hash;

		if (seq_leq(iss, w->snd_nxt))
			iss = w->snd_nxt + 65536 + (iss & 0xffff);
		tcp_time_wait_free(t, w);
		tcp_count(t, SPATE_TCP_TIME_WAIT_REUSED, 1);
		return tcp_listen_input(t, l, s, hash, iss, true);
	}
	/* Its FIN again: our last ACK was lost, and the wait begins anew. */
	if ((s->flags & TCP_FIN) && s->end == w->rcv_nxt) {
		unlink_tw(t, w);
		link_tail(t, w);
	}
	/* Nor is there an answer to an ACK in its place: two in TIME-WAIT would go on for ever. */
	if (!bare)
		answer(t, w, s);
	return SPATE_TCP_DROP_TIME_WAIT;
}

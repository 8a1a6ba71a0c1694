/*
 * One visit of a connection at the end of a burst: what was lost first, then new data as far as
 * peer's window, cwnd and pacing let it, then FIN, then a bare ACK if nothing carried it.
 */
#include "dataplane/port/txq.h"
#include "dataplane/tcp/conn.h"
#include "dataplane/tcp/csum.h"

#define IOV_MAX_CUT 32
#define TSO_MSS_MIN 256 /* i40e and its kin refuse to cut smaller */

bool tcp_path(struct spate_tcp_conn *c)
{
	struct spate_tcp *t = c->t;
	struct spate_tcp_path p;

	if (c->txq != NULL && c->path_epoch == *t->lower.epoch)
		return true;
	if (t->lower.path(t->lower.net, c->local_ip, c->peer_ip, &p) != SPATE_TCP_PATH_READY) {
		if (!(c->flags & F_PATH_WAIT)) {
			c->flags |= F_PATH_WAIT;
			t->path_waiting++;
		}
		return c->txq != NULL; /* an old way is better than none */
	}
	if (c->flags & F_PATH_WAIT) {
		c->flags &= ~F_PATH_WAIT;
		t->path_waiting--;
	}
	c->moved |= c->txq != NULL && c->txq != p.txq && t->lower.txq != NULL;
	c->txq = p.txq;
	c->path_epoch = *t->lower.epoch;
	c->l2_len = p.l2_len;
	c->l3_len = p.l3_len;
	memcpy(c->head, p.head, TCP_HEAD);
	bool v6 = p.l3_len == 40;

	c->phsum =
		csum_fold(csum_pseudo(c->local_ip + (v6 ? 0 : 12), c->peer_ip + (v6 ? 0 : 12), v6));
	/* Whatever ICMP told net/: smaller segments would only serve an attacker. */
	uint16_t mtu = (uint16_t)max32(p.mtu, v6 ? TCP_MTU_MIN6 : TCP_MTU_MIN4);

	if (mtu < c->mtu || (mtu > c->mtu && !c->black_hole)) {
		c->mtu = mtu;
		tcp_set_mss(c);
	}
	return true;
}

/* No buffer or no record now: look again in a moment. */
static void later(struct spate_tcp_conn *c)
{
	tcp_arm(c, TM_PACE, 1000);
}

/* The largest segment to cut at once: whole MSS, or what TSO takes. */
static uint32_t cut_size(const struct spate_tcp_conn *c, uint32_t want)
{
	uint32_t tso = c->txq->port->caps.tso_max;

	if (want <= c->mss || tso < 2 * (uint32_t)c->mss || c->mss < TSO_MSS_MIN)
		return min32(want, c->mss);
	want = min32(min32(want, tso), 65535 - 60 - 40);
	return want - want % c->mss;
}

/* Sends up to len bytes from seq (and the FIN, if it is in there) again. How much was sent; 0: not
 * now. */
static uint32_t resend(struct spate_tcp_conn *c, uint32_t seq, uint32_t len)
{
	struct iovec iov[SPATE_PKT_FRAGS];
	struct tcp_cut cut = {.iov = iov};
	uint8_t flags = TCP_ACK | TCP_PSH;
	uint32_t data = len, fin = 0;

	if ((c->flags & F_FIN_SENT) && seq + len == c->snd_nxt) {
		fin = 1;
		data--;
	}
	if (data != 0) {
		enum spate_sendq_stop stop;
		struct spate_object *dry;
		uint64_t dry_off, n;

		n = spate_sendq_iov(c->t->env, c->q, c->una_off + (seq - c->snd_una), data, iov,
				    SPATE_PKT_FRAGS, &cut.n, &stop, &dry, &dry_off);
		if (stop == SPATE_SENDQ_FAILED || n == 0) {
			tcp_reset(c, SPATE_TCP_SHORT);
			return 0;
		}
		if (n < data) {
			/* More pieces than a packet holds: the rest goes with the next one. */
			data = (uint32_t)n;
			fin = 0;
		}
	}
	if (fin)
		flags |= TCP_FIN;
	if (!tcp_emit(c, seq, data, flags, &cut)) {
		later(c);
		return 0;
	}
	if (c->undo_ts == 0)
		c->undo_ts = tcp_tsval(c) != 0 ? tcp_tsval(c) : 1;
	c->undo_bytes += data;
	c->prr_out += data + fin;
	tcp_count(c->t, SPATE_TCP_REXMIT, 1);
	tcp_count(c->t, SPATE_TCP_REXMIT_BYTES, data);
	c->flags |= F_REARM;
	return data + fin;
}

/* The first len bytes of r have been sent again. Without a record for the rest, all of r counts as
 * sent. */
static void resent(struct spate_tcp_conn *c, struct tcp_run *r, uint32_t len)
{
	if (len < r->end - r->start)
		tcp_run_split(c, r, r->start + len, true);
	tcp_run_resent(c, r);
}

/*
 * Is the device behind? Noted for engine.c, which must not ask again: by then the device may have
 * made room, and c, which was stopped, would not be visited again.
 */
static bool held_up(struct spate_tcp_conn *c)
{
	if (__builtin_expect(!spate_txq_full(c->txq), 1))
		return false;
	c->t->held_up = true;
	return true;
}

/* Lost runs, oldest finding first. Returns bytes sent. */
static uint32_t send_lost(struct spate_tcp_conn *c, uint32_t budget)
{
	struct tcp_run *r;
	uint32_t sent = 0;

	while (sent < budget && (r = c->lost.head) != NULL && !held_up(c)) {
		uint32_t len = r->end - r->start, flight = tcp_flight(c), n;

		if (flight != 0 && flight + min32(len, c->mss) > c->cwnd) {
			c->flags |= F_CWND_LIMIT;
			break;
		}
		n = flight < c->cwnd ? c->cwnd - flight : 0;
		if (r == c->runs.head && c->ca == CA_RECOVERY)
			c->rto_base_us = c->t->now32; /* the repeat's answer is a round trip away */
		n = resend(c, r->start,
			   cut_size(c, min32(len, max32(min32(n, budget - sent), c->mss))));
		if (n == 0)
			break;
		resent(c, r, n);
		sent += n;
	}
	return sent;
}

/*
 * A probe has left: the timeout starts anew, or it would come before the answer (RFC 8985 7.3). If
 * none could leave, it is the timeout's turn as well, from where it was.
 */
static void probed(struct spate_tcp_conn *c, bool sent)
{
	c->flags |= F_TLP_OUT | F_REARM;
	c->tlp_end = c->snd_nxt;
	if (!sent)
		return;
	c->rto_base_us = c->t->now32;
	tcp_count(c->t, SPATE_TCP_TLP, 1);
}

/* RFC 8985 7.3: nothing new to send, so the last segment again. */
static void send_probe(struct spate_tcp_conn *c)
{
	struct tcp_run *r = c->runs.tail;

	c->flags &= ~F_TLP_SEND;
	if (r == NULL)
		return;
	probed(c, false);
	if (r->flags & (RUN_SACKED | RUN_LOST))
		return;
	if (r->end - r->start > c->mss) {
		if (!tcp_run_split(c, r, r->end - c->mss, true))
			return;
		r = r->next;
	}
	if (c->ca == CA_OPEN)
		c->undo_ts =
			0; /* whatever was repeated before: this is the first of a new trouble */
	uint32_t n = resend(c, r->start, r->end - r->start);

	if (n == 0)
		return;
	resent(c, r, n);
	probed(c, true);
	c->flags |= F_TLP_REXMIT;
}

static void fin_sent(struct spate_tcp_conn *c)
{
	c->flags |= F_FIN_SENT;
	c->state = c->state == SPATE_TCP_CLOSE_WAIT ? SPATE_TCP_LAST_ACK : SPATE_TCP_FIN_WAIT_1;
}

/* One new segment. False: not now. */
static bool send_one(struct spate_tcp_conn *c, uint32_t len, bool fin, bool push,
		     struct tcp_cut *cut)
{
	uint32_t seq = c->snd_nxt, end = seq + len + fin;
	struct tcp_run *r;

	if (spate_txq_next(c->txq) == NULL) {
		tcp_count(c->t, SPATE_TCP_TX_NO_BUFFER, 1);
		later(c);
		return false;
	}
	if (c->snd_una == seq) {
		tcp_rack_reset(c);
		c->rto_base_us = c->t->now32;
		c->progress_ms = c->t->now_ms;
		c->flags |= F_PROGRESS;
		if (c->rexmit_kind == REXMIT_PERSIST)
			c->backoff = 0; /* of the probes: the path has lost nothing */
		c->t->cc->event(c, CC_START);
	}
	r = tcp_run_append(c, seq, end);
	if (r == NULL) {
		tcp_count(c->t, SPATE_TCP_TX_NO_RUN, 1);
		later(c);
		return false;
	}
	tcp_emit(c, seq, len, (uint8_t)(TCP_ACK | (push ? TCP_PSH : 0) | (fin ? TCP_FIN : 0)), cut);
	c->snd_nxt = end;
	if (r->start == seq)
		tcp_rate_sent(c, r);
	if (fin)
		fin_sent(c);
	if (c->ca == CA_RECOVERY)
		c->prr_out += len;
	tcp_count(c->t, SPATE_TCP_BYTES_SENT, len);
	c->flags |= F_REARM;
	return true;
}

/* Room for new data: what the peer, cwnd and pacing allow; and whether it was cwnd that said stop.
 */
static uint32_t room(struct spate_tcp_conn *c, uint32_t budget, uint64_t avail)
{
	int32_t wnd = (int32_t)(c->snd_una + c->snd_wnd - c->snd_nxt);
	uint32_t flight = tcp_flight(c), cw = flight < c->cwnd ? c->cwnd - flight : 0, n;

	if (wnd <= 0)
		return 0;
	if (c->flags & F_TLP_SEND)
		return min32((uint32_t)wnd, c->mss);
	n = min32(min32((uint32_t)wnd, cw), budget);
	if (n >= avail)
		return n;
	if (cw < (uint32_t)wnd && cw < budget)
		c->flags |= F_CWND_LIMIT;
	if (c->flags & F_PROBE)
		return n; /* waited for long enough: the override timeout (RFC 9293 3.8.6.2.1) */
	/* Not all of it: whole segments only, unless the peer never offers one (RFC
	 * 9293 3.8.6.2.1). */
	if (n < c->mss && n == (uint32_t)wnd && n >= c->max_wnd / 2)
		return n;
	return n - n % c->mss; /* NOLINT(clang-analyzer-core.DivideZero): tcp_set_mss has a floor */
}

static void send_new(struct spate_tcp_conn *c, uint32_t budget)
{
	struct spate_sendq *q = c->q;
	bool finish = c->flags & F_FINISH;

	while (q != NULL && !(c->flags & (F_FIN_SENT | F_DRY)) && !held_up(c)) {
		uint64_t at = c->una_off + (c->snd_nxt - c->snd_una), avail = q->end - at, got;
		uint32_t n = room(c, budget, avail), start = c->snd_nxt;
		struct iovec iov[IOV_MAX_CUT];
		struct tcp_cut cut = {.iov = iov};
		enum spate_sendq_stop stop;
		struct spate_object *dry;
		uint64_t dry_off;

		if (n == 0 || avail == 0)
			break;
		if (n > avail)
			n = (uint32_t)avail;
		got = spate_sendq_iov(c->t->env, q, at, n, iov, IOV_MAX_CUT, &cut.n, &stop, &dry,
				      &dry_off);
		if (stop == SPATE_SENDQ_FAILED && got == 0) {
			tcp_reset(c, SPATE_TCP_SHORT);
			return;
		}
		/* Out of iovecs in the middle: only whole segments, the rest comes with the next
		 * walk. */
		if (got < n && stop == SPATE_SENDQ_ENOUGH && got > c->mss)
			got -= got % c->mss;
		for (uint32_t left = (uint32_t)got; left > 0;) {
			uint32_t len = tcp_fits(c, &cut, cut_size(c, left));
			bool last = at + got == q->end && len == left;
			bool push = last || (stop == SPATE_SENDQ_DRY && len == left);

			/* PSH where there is no more to come, not where pacing or a window paused:
			 * Linux answers each with an ACK. */
			if (!send_one(c, len, last && finish, push, &cut))
				return;
			if (held_up(c))
				return; /* engine.c comes back to it next turn */
			left -= len;
			if (c->flags & F_TLP_SEND) {
				c->flags &= ~F_TLP_SEND;
				probed(c, true);
			}
		}
		budget -= min32(budget, c->snd_nxt - start);
		if (stop == SPATE_SENDQ_DRY && got < n) {
			c->flags = (c->flags & ~F_CWND_LIMIT) | F_DRY;
			c->events |= SPATE_TCP_EV_DRY;
		}
	}
	/*
	 * A FIN waits for the window as a byte would: behind a closed one Linux before 6.11 drops
	 * it. In the end it is the probe: others take it, and its peer is spared the reset that
	 * follows.
	 */
	if (finish && !(c->flags & F_FIN_SENT) &&
	    (seq_lt(c->snd_nxt, c->snd_una + c->snd_wnd) ||
	     ((c->flags & F_PROBE) &&
	      c->t->now_ms - c->progress_ms >= c->t->cfg.persist_us / 2000)) &&
	    (q == NULL || c->una_off + (c->snd_nxt - c->snd_una) == q->end))
		send_one(c, 0, true, false, NULL);
}

bool tcp_more(const struct spate_tcp_conn *c)
{
	if (c->flags & F_FIN_SENT)
		return false;
	return (c->flags & F_FINISH) ||
	       (c->q != NULL && c->una_off + (c->snd_nxt - c->snd_una) != c->q->end);
}

static void note_limits(struct spate_tcp_conn *c)
{
	/* Nothing more to say, and room to say it: rate samples from here on say little about the
	 * path. */
	if ((!tcp_more(c) || (c->flags & F_DRY)) && tcp_flight(c) < c->cwnd && c->lost.head == NULL)
		tcp_app_limited(c);
}

static void send_syn(struct spate_tcp_conn *c)
{
	if (!tcp_path(c))
		return;
	if (!tcp_emit_syn(c)) {
		later(c);
		return;
	}
	c->flags &= ~F_SEND_SYN;
	if (c->retries == 0)
		c->first_us = c->t->now32;
}

void tcp_output(struct spate_tcp_conn *c)
{
	if (c->flags & F_SEND_SYN)
		send_syn(c);
	if (!tcp_synced(c)) {
		/* RFC 5961 4: a SYN with another number is told what we wait for. */
		if (c->state == SPATE_TCP_SYN_RCVD && (c->flags & F_ACK_NOW) && c->txq != NULL)
			tcp_emit(c, c->snd_nxt, 0, TCP_ACK, NULL);
		return;
	}
	if (!tcp_path(c))
		return;
	if (c->lost.head != NULL || tcp_more(c)) {
		uint32_t budget = c->flags & F_TLP_SEND ? c->mss : tcp_pace_budget(c);

		c->flags &= ~F_CWND_LIMIT;
		if (budget != 0) {
			uint32_t sent = send_lost(c, budget), nxt = c->snd_nxt;

			if (c->lost.head == NULL && sent < budget)
				send_new(c, budget - sent);
			if (c->flags & F_DEAD)
				return; /* a fill failed under an extent */
			sent += c->snd_nxt - nxt;
			if (sent != 0)
				tcp_pace_sent(c, sent);
			/* Pacing said stop: the next ACK may be a round trip away, or wait for more
			 * from us. */
			if (!(c->flags & F_CWND_LIMIT) && (c->lost.head != NULL || tcp_more(c)))
				tcp_pace_wait(c);
		}
	}
	if (c->flags & F_TLP_SEND)
		send_probe(c);
	if (c->flags & F_DEAD)
		return;
	note_limits(c);
	if (c->flags & F_PROBE) {
		c->flags &= ~F_PROBE;
		if (c->snd_una == c->snd_nxt)
			tcp_emit(c, c->snd_una - 1, 0, TCP_ACK, NULL);
	}
	if ((c->flags & F_ACK_NOW) && !tcp_emit(c, c->snd_nxt, 0, TCP_ACK, NULL))
		later(c);
	if ((c->flags & F_REARM) ||
	    (c->snd_una == c->snd_nxt && tcp_more(c) && c->rexmit_kind == REXMIT_NONE))
		tcp_rearm(c);
}

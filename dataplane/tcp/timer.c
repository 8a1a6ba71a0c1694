/*
 * Deadlines: five a connection, one wheel entry (docs/design/tcp.md). What is due only changes
 * state and marks the connection; flush sends.
 */
#include "dataplane/tcp/conn.h"

#define TLP_MIN_US      2000
#define PERSIST_MAX_US  60000000u
#define FIN_WAIT_2_MOST 10

static void sync_wheel(struct spate_tcp_conn *c)
{
	struct tcp_wheel *w = &c->t->wheel;
	uint32_t first = 0;
	bool any = false;

	for (int i = 0; i < TM_N; i++) {
		if (!(c->armed & 1u << i))
			continue;
		if (!any || seq_lt(c->deadline[i], first))
			first = c->deadline[i];
		any = true;
	}
	/* Later than the entry: it fires early, and looks. */
	if (any && (!tcp_timer_set(&c->timer) || seq_lt(first, c->timer.tick)))
		tcp_wheel_set(w, &c->timer, first);
}

void tcp_arm(struct spate_tcp_conn *c, enum tcp_deadline which, uint64_t delay_us)
{
	uint64_t at = (c->t->now_us + delay_us + TCP_TICK_US - 1) / TCP_TICK_US;

	/* Whoever goes on after a close must not leave a timer behind in a TCB that is about to be
	 * freed. */
	if (c->flags & F_DEAD)
		return;
	c->deadline[which] = (uint32_t)at;
	c->armed |= (uint8_t)(1u << which);
	sync_wheel(c);
}

void tcp_disarm(struct spate_tcp_conn *c, enum tcp_deadline which)
{
	c->armed &= (uint8_t) ~(1u << which);
}

/* RFC 8985 7.2: when to probe the tail. */
static uint64_t probe_timeout(const struct spate_tcp_conn *c)
{
	uint64_t pto = 1000000;

	if (c->srtt8_us != 0) {
		pto = (uint64_t)c->srtt8_us >> 2;
		if (tcp_flight(c) <= c->mss)
			pto += c->t->cfg.delack_us;
		else
			pto += TLP_MIN_US;
	}
	return pto;
}

static void arm_rexmit(struct spate_tcp_conn *c, enum tcp_rexmit kind, uint64_t us)
{
	c->rexmit_kind = (uint8_t)kind;
	tcp_arm(c, TM_REXMIT, us);
}

static uint64_t backed_off(const struct spate_tcp_conn *c, uint64_t max)
{
	uint64_t us = (uint64_t)c->rto_us << (c->backoff < 20 ? c->backoff : 20);

	return us < max ? us : max;
}

void tcp_rearm(struct spate_tcp_conn *c)
{
	const struct spate_tcp_config *cfg = &c->t->cfg;

	if (c->flags & F_PROGRESS)
		c->rto_base_us = c->t->now32;
	c->flags &= ~(F_REARM | F_PROGRESS);
	if (c->snd_una == c->snd_nxt) {
		c->rexmit_kind = REXMIT_NONE;
		tcp_disarm(c, TM_REXMIT);
		/* Something to send, nothing out, nothing else that would wake us: the window is
		 * too small. */
		if (tcp_more(c) && !(c->flags & F_DRY) && !(c->armed & 1u << TM_PACE)) {
			c->progress_ms = c->t->now_ms;
			c->backoff = 0;
			arm_rexmit(c, REXMIT_PERSIST, c->rto_us);
		}
		return;
	}
	uint64_t rto = backed_off(c, cfg->rto_max_us);
	uint32_t gone = c->t->now32 - c->rto_base_us, reo = tcp_rack_timeout(c);

	rto = gone < rto ? rto - gone : 1;
	if (reo != 0 && reo < rto) {
		arm_rexmit(c, REXMIT_REO, reo);
		return;
	}
	if (c->ca == CA_OPEN && (c->flags & F_SACK) && !(c->flags & F_TLP_OUT) &&
	    c->sacked_out == 0 && c->backoff == 0) {
		/* Instead of the first timeout, never after it (RFC 8985 7.2). */
		uint64_t pto = probe_timeout(c);

		arm_rexmit(c, REXMIT_TLP, pto < rto ? pto : rto);
		return;
	}
	arm_rexmit(c, REXMIT_RTO, rto);
}

static bool gave_up(struct spate_tcp_conn *c, uint32_t after_us)
{
	if (c->t->now_ms - c->progress_ms < after_us / 1000)
		return false;
	tcp_count(c->t, SPATE_TCP_TIMEOUTS, 1);
	tcp_reset(c, SPATE_TCP_TIMEOUT);
	return true;
}

/* A path that swallows full segments and says nothing (RFC 4821 in its simplest form). */
static void suspect_black_hole(struct spate_tcp_conn *c)
{
	uint16_t low = (uint16_t)(c->l3_len == 40 ? 1280 : c->mtu > 1280 ? 1280 : 576);

	if (c->backoff != 3 || c->mtu <= low || c->runs.head == NULL ||
	    c->runs.head->end - c->runs.head->start < c->mss)
		return;
	c->mtu = low;
	c->black_hole = true;
	tcp_set_mss(c);
	tcp_count(c->t, SPATE_TCP_PMTU, 1);
}

static void rto_fired(struct spate_tcp_conn *c)
{
	const struct spate_tcp_config *cfg = &c->t->cfg;

	if (gave_up(c, cfg->give_up_us))
		return;
	if (c->backoff < 20)
		c->backoff++;
	suspect_black_hole(c);
	tcp_enter_loss(c);
	c->rto_base_us = c->t->now32;
	c->pace_next_us = c->t->now32;
	c->flags |= F_REARM;
}

static void syn_fired(struct spate_tcp_conn *c)
{
	const struct spate_tcp_config *cfg = &c->t->cfg;
	uint32_t max = c->state == SPATE_TCP_SYN_SENT ? cfg->syn_retries : cfg->synack_retries;

	if (c->retries == TCP_NO_SAMPLE)
		c->retries = 0;
	if (c->retries >= max) {
		tcp_count(c->t, SPATE_TCP_TIMEOUTS, 1);
		tcp_close(c, SPATE_TCP_TIMEOUT);
		return;
	}
	c->retries++;
	c->backoff++;
	c->flags |= F_SEND_SYN;
	arm_rexmit(c, REXMIT_SYN, backed_off(c, cfg->rto_max_us));
}

static void persist_fired(struct spate_tcp_conn *c)
{
	if (gave_up(c, c->t->cfg.persist_us))
		return;
	if (c->backoff < 20)
		c->backoff++;
	c->flags |= F_PROBE;
	tcp_count(c->t, SPATE_TCP_PERSIST, 1);
	/* Two probes at least before giving up: a peer that answers must always have been heard by
	 * then. */
	arm_rexmit(c, REXMIT_PERSIST,
		   backed_off(c, min32(PERSIST_MAX_US, c->t->cfg.persist_us / 2)));
}

static void rexmit_fired(struct spate_tcp_conn *c)
{
	enum tcp_rexmit kind = c->rexmit_kind;

	c->rexmit_kind = REXMIT_NONE;
	switch (kind) {
	case REXMIT_SYN:
		syn_fired(c);
		break;
	case REXMIT_RTO:
		rto_fired(c);
		break;
	case REXMIT_TLP:
		c->flags |= F_TLP_SEND | F_REARM;
		break;
	case REXMIT_REO: {
		struct tcp_ack a = {.lost = tcp_rack_detect(c), .prior_flight = tcp_flight(c)};

		if (a.lost != 0 && c->ca < CA_RECOVERY) {
			tcp_enter_recovery(c);
			if (!c->t->cc->owns_cwnd)
				tcp_prr_ack(c, &a);
		}
		c->flags |= F_REARM;
		break;
	}
	case REXMIT_PERSIST:
		persist_fired(c);
		break;
	case REXMIT_NONE:
		break;
	}
}

/*
 * The peer owes us a FIN, and sends nothing that our user could take: for us it ended in order, all
 * of ours was acknowledged. Bare ACKs and old bytes do not keep it, and a connection that we
 * accepted is not kept beyond FIN_WAIT_2_MOST times the limit, whatever it sends. Nothing is sent
 * then: a reset would cost a slow reader what its kernel holds for it. A record goes on for it
 * (timewait.c).
 */
static void fin_wait_2_fired(struct spate_tcp_conn *c)
{
	uint64_t limit_us = c->t->cfg.fin_wait_2_us;
	uint64_t since_us = (uint64_t)(c->t->now_ms - c->progress_ms) * 1000;

	if (c->rcv_nxt == c->fin_wait_rcv ||
	    (!(c->flags & F_CLIENT) && since_us >= FIN_WAIT_2_MOST * limit_us)) {
		tcp_count(c->t, SPATE_TCP_TIMEOUTS, 1);
		tcp_time_wait(c);
		tcp_close(c, SPATE_TCP_DONE);
		return;
	}
	c->fin_wait_rcv = c->rcv_nxt;
	tcp_arm(c, TM_CONN, limit_us);
}

/* Keep-alive (RFC 9293 3.8.4). */
static void conn_fired(struct spate_tcp_conn *c)
{
	const struct spate_tcp_config *cfg = &c->t->cfg;
	uint32_t quiet_ms = c->t->now_ms - c->rcv_ms, idle_ms = cfg->keepalive_s * 1000;

	if (c->state == SPATE_TCP_FIN_WAIT_2) {
		fin_wait_2_fired(c);
		return;
	}
	if (c->flags & F_ENDED) { /* and its user has not taken the last bytes */
		if (c->state == SPATE_TCP_TIME_WAIT)
			tcp_time_wait(c);
		tcp_close(c, SPATE_TCP_DONE);
		return;
	}
	if (cfg->keepalive_s == 0)
		return;
	if (quiet_ms < idle_ms || c->snd_una != c->snd_nxt) {
		c->probes = 0;
		tcp_arm(c, TM_CONN,
			quiet_ms < idle_ms ? (idle_ms - quiet_ms) * 1000ull : idle_ms * 1000ull);
		return;
	}
	if (c->probes >= cfg->keepalive_probes) {
		tcp_count(c->t, SPATE_TCP_TIMEOUTS, 1);
		tcp_reset(c, SPATE_TCP_TIMEOUT);
		return;
	}
	c->probes++;
	c->flags |= F_PROBE;
	tcp_count(c->t, SPATE_TCP_KEEPALIVE, 1);
	tcp_arm(c, TM_CONN, cfg->keepalive_interval_s * 1000000ull);
}

void tcp_timer_fire(struct spate_tcp *t, struct tcp_timer *timer)
{
	struct spate_tcp_conn *c =
		(struct spate_tcp_conn *)(void *)((uint8_t *)timer -
						  offsetof(struct spate_tcp_conn, timer));
	uint8_t due = 0;

	for (int i = 0; i < TM_N; i++)
		if ((c->armed & 1u << i) && !seq_lt(t->wheel.now, c->deadline[i]))
			due |= (uint8_t)(1u << i);
	c->armed &= (uint8_t)~due;
	if (due & 1u << TM_REXMIT)
		rexmit_fired(c);
	if ((due & 1u << TM_DELACK) && !(c->flags & F_DEAD))
		c->flags |= F_ACK_NOW;
	if ((due & 1u << TM_CONN) && !(c->flags & F_DEAD))
		conn_fired(c);
	if (due & 1u << TM_USER)
		c->events |= SPATE_TCP_EV_TIMER;
	if (due != 0)
		tcp_dirty(c);
	if (!(c->flags & F_DEAD))
		sync_wheel(c);
}

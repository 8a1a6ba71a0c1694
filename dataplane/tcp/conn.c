/* Life and death of a connection, and what its user may call. */
#include "dataplane/tcp/conn.h"

struct spate_tcp_conn *tcp_conn_new(struct spate_tcp *t, const struct tcp_tuple *k, uint32_t hash)
{
	struct spate_tcp_conn *c;
	uint32_t i;

	if (t->free_conn != 0) {
		i = t->free_conn - 1;
		t->free_conn = tcp_conn_at(t, i)->hash;
	} else if (t->conns_made < t->cfg.max_conns) {
		i = t->conns_made++;
	} else {
		return NULL;
	}
	c = tcp_conn_at(t, i);
	memset(c, 0, t->stride);
	memcpy(c->peer_ip, k->peer_ip, 16);
	memcpy(c->local_ip, k->local_ip, 16);
	c->peer_port = k->peer_port;
	c->local_port = k->local_port;
	c->hash = hash;
	c->t = t;
	c->rto_us = t->cfg.rto_init_us;
	c->min_rtt_us = c->min_rtt_old_us = UINT32_MAX;
	c->min_rtt_ms = c->progress_ms = c->rcv_ms = t->now_ms;
	c->reo_mult = 1;
	c->ssthresh = UINT32_MAX;
	c->ts_off = tcp_ts_offset(t, k);
	c->mtu = 576;
	c->peer_mss = 536;
	c->snd_una = c->snd_nxt = c->recover = tcp_isn(t, k);
	/* The least scale that lets the whole buffer be told. */
	while (c->rcv_scale < 14 && (uint32_t)65535 << c->rcv_scale < t->cfg.rcv_buf)
		c->rcv_scale++;
	tcp_table_add(t, hash, i + 1);
	t->conns_used++;
	return c;
}

void tcp_dirty(struct spate_tcp_conn *c)
{
	struct spate_tcp *t = c->t;
	uint32_t ref;

	if (c->flags & F_DIRTY)
		return;
	ref = tcp_conn_index(c) + 1;
	c->flags |= F_DIRTY;
	c->dirty_next = 0;
	if (t->dirty != 0)
		tcp_conn_at(t, t->dirty_last - 1)->dirty_next = ref;
	else
		t->dirty = ref;
	t->dirty_last = ref;
}

/* From here on segments for it find nothing; flush tells the user and frees it. */
void tcp_close(struct spate_tcp_conn *c, enum spate_tcp_close_why why)
{
	struct spate_tcp *t = c->t;

	if (c->flags & F_DEAD)
		return;
	if (c->state == SPATE_TCP_SYN_RCVD && !(c->flags & F_CLIENT))
		t->half_open--;
	c->state = SPATE_TCP_CLOSED;
	c->flags |= F_DEAD;
	c->why = (uint8_t)why;
	tcp_table_del(t, c->hash, tcp_conn_index(c) + 1);
	tcp_wheel_stop(&t->wheel, &c->timer);
	c->armed = 0;
	if (c->flags & F_PATH_WAIT)
		t->path_waiting--;
	c->flags &= ~F_PATH_WAIT;
	tcp_dirty(c);
}

void tcp_conn_free(struct spate_tcp_conn *c)
{
	struct spate_tcp *t = c->t;
	uint32_t i = tcp_conn_index(c);

	assert((c->flags & F_DEAD) && !tcp_timer_set(&c->timer));
	tcp_runs_clear(c);
	tcp_held_clear(c);
	t->conns_used--;
	c->hash = t->free_conn;
	t->free_conn = i + 1;
}

void tcp_reset(struct spate_tcp_conn *c, enum spate_tcp_close_why why)
{
	if (c->flags & F_DEAD)
		return;
	if (c->state >= SPATE_TCP_SYN_RCVD && tcp_path(c)) {
		tcp_count(c->t, SPATE_TCP_RST_SENT, 1);
		tcp_emit(c, c->snd_nxt, 0, TCP_RST | TCP_ACK, NULL);
	}
	tcp_close(c, why);
}

/* What a full segment carries: both MSS options, and the way; less what each segment's options
 * take. */
void tcp_set_mss(struct spate_tcp_conn *c)
{
	uint32_t mss = c->mtu - (c->l3_len != 0 ? c->l3_len : 40u) - 20;

	mss = min32(mss, c->peer_mss);
	if (c->flags & F_TS)
		mss -= 12;
	c->mss = (uint16_t)mss;
	if (tcp_synced(c))
		c->cwnd = max32(c->cwnd, 2 * mss);
}

/* The handshake is over on our side: congestion control starts, keep-alive too. */
void tcp_established(struct spate_tcp_conn *c)
{
	struct spate_tcp *t = c->t;
	uint32_t rtt = t->now32 - c->first_us;
	bool sampled = c->retries == 0;

	c->state = SPATE_TCP_ESTABLISHED;
	c->flags &= ~F_SEND_SYN;
	tcp_path(c);
	tcp_set_mss(c);
	c->backoff = 0;
	c->rexmit_kind = REXMIT_NONE;
	tcp_disarm(c, TM_REXMIT);
	c->fack = c->snd_una;
	c->progress_ms = c->rcv_ms = t->now_ms;
	c->delivered_us = c->first_us = t->now32;
	/* RFC 6928; one segment when the handshake lost a packet (RFC 5681 3.1, RFC 6298 5.7). */
	bool lost = !sampled && c->retries != TCP_NO_SAMPLE;

	c->cwnd = lost ? c->mss : tcp_initial_window(c);
	if (lost)
		c->rto_us = max32(c->rto_us, min32(3000000, t->cfg.rto_max_us));
	c->retries = 0;
	c->pace_next_us = t->now32;
	c->recover = c->snd_una - 1;
	t->cc->init(c);
	tcp_rack_reset(c);
	if (sampled)
		tcp_rtt_sample(c, max32(rtt, 1));
	if (t->cfg.keepalive_s != 0)
		tcp_arm(c, TM_CONN, t->cfg.keepalive_s * 1000000ull);
}

/* The user may still have bytes to take; when it takes them is not for the peer to wait for. */
void tcp_ended(struct spate_tcp_conn *c)
{
	c->flags |= F_ENDED;
	tcp_arm(c, TM_CONN, c->t->cfg.fin_wait_2_us);
}

void tcp_state_after_fin_acked(struct spate_tcp_conn *c)
{
	switch (c->state) {
	case SPATE_TCP_FIN_WAIT_1:
		c->state = SPATE_TCP_FIN_WAIT_2;
		c->fin_wait_rcv = c->rcv_nxt;
		tcp_arm(c, TM_CONN, c->t->cfg.fin_wait_2_us);
		break;
	case SPATE_TCP_CLOSING:
		c->state = SPATE_TCP_TIME_WAIT;
		tcp_ended(c);
		break;
	case SPATE_TCP_LAST_ACK:
		tcp_ended(c);
		break;
	default:
		break;
	}
}

/* --- the user's side --- */

void spate_tcp_attach(struct spate_tcp_conn *c, struct spate_sendq *q)
{
	c->q = q;
}

void *spate_tcp_user_of(struct spate_tcp_conn *c)
{
	return c + 1;
}

struct spate_tcp_conn *spate_tcp_of_user(void *user)
{
	return (struct spate_tcp_conn *)user - 1;
}

struct spate_tcp *spate_tcp_of(struct spate_tcp_conn *c)
{
	return c->t;
}

void spate_tcp_addrs(const struct spate_tcp_conn *c, struct spate_addr *local,
		     struct spate_addr *peer)
{
	memcpy(local->ip, c->local_ip, 16);
	memcpy(peer->ip, c->peer_ip, 16);
	local->port = __builtin_bswap16(c->local_port);
	peer->port = __builtin_bswap16(c->peer_port);
}

bool spate_tcp_closed(const struct spate_tcp_conn *c)
{
	return c->flags & F_DEAD;
}

void spate_tcp_kick(struct spate_tcp_conn *c)
{
	c->flags &= ~F_DRY;
	tcp_dirty(c);
}

void spate_tcp_resume(struct spate_tcp_conn *c)
{
	c->flags &= ~F_PAUSED;
	tcp_dirty(c);
}

void spate_tcp_finish(struct spate_tcp_conn *c)
{
	c->flags |= F_FINISH;
	tcp_dirty(c);
}

void spate_tcp_abort(struct spate_tcp_conn *c)
{
	tcp_reset(c, SPATE_TCP_ABORTED);
}

void spate_tcp_timer(struct spate_tcp_conn *c, uint32_t ms)
{
	c->events &= (uint8_t)~SPATE_TCP_EV_TIMER;
	if (ms == 0 || (c->flags & F_DEAD))
		tcp_disarm(c, TM_USER);
	else
		tcp_arm(c, TM_USER, ms * 1000ull);
}

struct spate_object *spate_tcp_dry(const struct spate_tcp_conn *c, uint64_t *off)
{
	struct spate_object *dry = NULL;
	enum spate_sendq_stop stop;
	struct iovec iov;
	unsigned n;

	if (c->q == NULL)
		return NULL;
	spate_sendq_iov(c->t->env, c->q, c->una_off + (c->snd_nxt - c->snd_una), 1, &iov, 1, &n,
			&stop, &dry, off);
	return stop == SPATE_SENDQ_DRY ? dry : NULL;
}

void spate_tcp_info(const struct spate_tcp_conn *c, struct spate_tcp_info *out)
{
	*out = (struct spate_tcp_info){
		.state = c->state,
		.mss = c->mss,
		.cwnd = c->cwnd,
		.ssthresh = c->ssthresh,
		.srtt_us = tcp_srtt(c),
		.rttvar_us = c->rttvar4_us >> 2,
		.rto_us = c->rto_us,
		.min_rtt_us = tcp_min_rtt(c),
		.in_flight = tcp_synced(c) ? tcp_flight(c) : 0,
		.snd_wnd = c->snd_wnd,
		.rcv_wnd = tcp_rcv_wnd(c),
		.runs = c->nruns,
		.pacing_rate = c->t->cfg.pacing && tcp_synced(c) ? c->t->cc->rate(c) : 0,
		.ca = c->ca,
		.sack = c->flags & F_SACK,
		.timestamps = c->flags & F_TS,
		.ecn = c->flags & F_ECN,
	};
	for (const struct tcp_island *i = c->held; i != NULL; i = i->next)
		out->held += i->end - i->start;
}

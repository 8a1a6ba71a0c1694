/* The engine: making it, its turn, connecting and listening. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "dataplane/port/txq.h"
#include "dataplane/tcp/conn.h"

#define PARTING_US 100  /* how often the device is asked what it still holds */
#define UNTOLD_MS  1000 /* a device that does not say has sent it by then */

void spate_tcp_config_init(struct spate_tcp_config *cfg)
{
	*cfg = (struct spate_tcp_config){
		.max_conns = 65536,
		.max_half_open = 4096,
		.max_time_wait = 32768,
		.rcv_buf = 256 << 10,
		.rcv_total = 64 << 20,
		.max_runs = 1 << 18,
		.conn_runs = 4096,
		.init_window = 10,
		.mss_min = 216,
		.rto_min_us = 200000,
		.rto_max_us = 60000000,
		.rto_init_us = 1000000,
		.delack_us = 40000,
		.give_up_us = 120000000,
		.syn_retries = 7, /* three minutes: RFC 9293 3.8.3, MUST-23 */
		.synack_retries = 5,
		.persist_us = 120000000,
		.keepalive_s = 7200,
		.keepalive_interval_s = 75,
		.keepalive_probes = 9,
		.fin_wait_2_us = 60000000,
		.time_wait_us = 60000000,
		.challenge_per_s = 10,
		.port_low = 32768,
		.port_high = 60999,
		.cc = SPATE_TCP_CUBIC,
		.sack = true,
		.timestamps = true,
		.wscale = true,
		.ecn = true,
		.pacing = true,
		.hystart = true,
	};
}

#define HUGE_WORTH ((size_t)8 << 20)

static void *reserve(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* Looked up at random, by every segment: a TLB miss each in small pages. */
	if (bytes >= HUGE_WORTH)
		madvise(p, bytes, MADV_HUGEPAGE);
	return p;
}

static void set_now(struct spate_tcp *t, uint64_t now_us)
{
	t->now_us = now_us;
	t->now32 = (uint32_t)now_us;
	t->now_ms = (uint32_t)(now_us / 1000);
}

int spate_tcp_create(struct spate_tcp **out, const struct spate_tcp_config *cfg,
		     const struct spate_tcp_lower *lower, struct spate_sendq_env *env,
		     struct spate_stats *stats)
{
	struct spate_tcp *t;
	uint32_t slots = 64;

	if (cfg->max_conns == 0 || cfg->max_conns > 1u << 28 || cfg->rcv_buf < 4096 ||
	    cfg->rcv_buf > 1u << 29 || cfg->init_window == 0 || cfg->port_low > cfg->port_high ||
	    cfg->mss_min < 48 || cfg->challenge_per_s > 255 || cfg->syn_retries > 250 ||
	    cfg->synack_retries > 250 || cfg->max_runs == 0)
		return -EINVAL;
	if (posix_memalign((void **)&t, 64, sizeof *t) != 0)
		return -ENOMEM;
	memset(t, 0, sizeof *t);
	t->cfg = *cfg;
	t->cfg.pacing |= cfg->cc == SPATE_TCP_BBR; /* BBR is nothing without */
	t->cfg.ecn &= cfg->cc != SPATE_TCP_BBR;    /* v1 does not answer ECE (RFC 3168 6.1.2) */
	t->lower = *lower;
	t->env = env;
	t->cc = cfg->cc == SPATE_TCP_BBR ? &tcp_bbr_ops : &tcp_cubic_ops;
	t->epoch_seen = *lower->epoch;
	if (stats == NULL) {
		if (posix_memalign((void **)&t->own_stats, 64, sizeof *stats) != 0)
			goto fail;
		memset(t->own_stats, 0, sizeof *stats);
		stats = t->own_stats;
	}
	t->count = &stats->tcp_ok;
	while (slots < 2 * (cfg->max_conns + cfg->max_time_wait))
		slots *= 2;
	t->mask = slots - 1;
	t->table_bytes = (size_t)slots * sizeof *t->table;
	t->stride = (uint32_t)(sizeof(struct spate_tcp_conn) + cfg->user_bytes + 63) & ~63u;
	t->conns_bytes = (size_t)cfg->max_conns * t->stride;
	t->tw_bytes = ((size_t)cfg->max_time_wait + 1) * sizeof *t->tw;
	t->table = reserve(t->table_bytes);
	t->conns = reserve(t->conns_bytes);
	t->tw = reserve(t->tw_bytes);
	if (t->table == NULL || t->conns == NULL || t->tw == NULL)
		goto fail;
	spate_pool_init(&t->run_pool, sizeof(struct tcp_run), cfg->max_runs);
	spate_pool_init(&t->node_pool, sizeof(struct tcp_node), cfg->rcv_total / TCP_NODE_DATA + 1);
	tcp_wheel_init(&t->wheel, 0);
	uint64_t s[4];

	memcpy(s, cfg->secret, sizeof s);
	/* Five keys of two words from four words of secret: each its own rotation is enough for
	 * SipHash. */
	for (int i = 0; i < 2; i++) {
		t->key_hash[i] = s[i];
		t->key_isn[i] = s[2 + i];
		t->key_ts[i] = s[i] ^ (s[3 - i] << 21 | s[3 - i] >> 43);
		t->key_port[i] = s[2 + i] ^ (s[1 - i] << 13 | s[1 - i] >> 51);
		t->key_cookie[i] = s[i] + (s[2 + i] << 7 | s[2 + i] >> 57);
	}
	t->port_counter = (uint32_t)(s[0] ^ s[3]);
	*out = t;
	return 0;
fail:
	spate_tcp_destroy(t);
	return -ENOMEM;
}

void spate_tcp_destroy(struct spate_tcp *t)
{
	if (t->conns != NULL) {
		for (uint32_t i = 0; i < t->conns_made; i++) {
			struct spate_tcp_conn *c = tcp_conn_at(t, i);

			if (c->t == t && c->state != SPATE_TCP_CLOSED)
				tcp_reset(c, SPATE_TCP_STOPPED);
		}
		spate_tcp_ending(t);
		spate_tcp_flush(t);
		spate_tcp_flush(t); /* those that had bytes out */
		munmap(t->conns, t->conns_bytes);
	}
	while (t->listeners != NULL) {
		struct spate_tcp_listener *l = t->listeners;

		t->listeners = l->next;
		free(l);
	}
	if (t->table != NULL)
		munmap(t->table, t->table_bytes);
	if (t->tw != NULL)
		munmap(t->tw, t->tw_bytes);
	if (t->run_pool.node_bytes != 0) {
		spate_pool_finish(&t->run_pool);
		spate_pool_finish(&t->node_pool);
	}
	free(t->own_stats);
	free(t);
}

static void fire(void *ctx, struct tcp_timer *timer)
{
	tcp_timer_fire(ctx, timer);
}

void spate_tcp_clock(struct spate_tcp *t, uint64_t now_us)
{
	uint64_t at = t->now_us / TCP_TICK_US, tick = now_us / TCP_TICK_US;

	if (t->now_us == 0) {
		at = tick;
		tcp_wheel_init(&t->wheel, (uint32_t)tick);
	}
	set_now(t, now_us);
	/* The wheel has 32 bits of ticks: after a sleep of a day and more time must not seem to go
	 * backwards. */
	while (at < tick) {
		at = tick - at > 1u << 30 ? at + (1u << 30) : tick;
		tcp_wheel_advance(&t->wheel, (uint32_t)at, fire, t);
	}
	tcp_time_wait_expire(t);
}

/*
 * When to look for those whose way may be known now; UINT64_MAX: nobody waits, or nothing has
 * changed. At once, but where neighbours come and go all the time not for more than about a tenth
 * of it: a look costs some 20 ns a connection.
 */
static uint64_t scan_us(const struct spate_tcp *t)
{
	uint64_t gone = t->now_us - t->scanned_us;

	if (t->path_waiting == 0 || t->epoch_seen == *t->lower.epoch)
		return UINT64_MAX;
	return gone < t->conns_made / 4 ? t->conns_made / 4 - gone : 0;
}

uint64_t spate_tcp_wait_us(const struct spate_tcp *t)
{
	uint32_t ticks = tcp_wheel_next(&t->wheel);
	uint64_t at, timer;

	if (t->dirty != 0 || t->late[0].first != 0 || t->late[1].first != 0)
		return 0;
	at = scan_us(t);
	if (t->parting != 0 && at > PARTING_US)
		at = PARTING_US;
	if (ticks == UINT32_MAX)
		return at;
	timer = (t->now_us / TCP_TICK_US + ticks) * TCP_TICK_US - t->now_us;
	return timer < at ? timer : at;
}

static void tell(struct spate_tcp_conn *c)
{
	unsigned events;

	if (c->flags & F_CONNECTED) {
		c->flags &= ~F_CONNECTED;
		c->user->connected(c);
	}
	if (c->held != NULL)
		tcp_deliver(c);
	if (c->flags & F_DEAD)
		return;
	if ((c->flags & F_FIN_RCVD) && !(c->flags & F_EOF_TOLD) && c->held == NULL) {
		c->flags |= F_EOF_TOLD;
		c->events |= SPATE_TCP_EV_EOF;
	}
	events = c->events;
	c->events = 0;
	if (events != 0)
		c->user->event(c, events);
}

/*
 * After a slow user took bytes, has the window opened enough to be told (RFC 9293 3.8.6.2.2)? Only
 * where what the peer knows of is small: else the next segment tells it for nothing.
 */
static void window_update(struct spate_tcp_conn *c)
{
	uint32_t buf = c->t->cfg.rcv_buf, wnd = tcp_rcv_wnd(c), told = c->rcv_adv - c->rcv_nxt;

	if ((c->flags & F_FIN_RCVD) || seq_lt(c->rcv_adv, c->rcv_nxt) ||
	    told >= min32(buf, 65535) / 2)
		return;
	if (wnd > told && wnd - told >= min32(buf / 2, 2u * c->mss))
		c->flags |= F_ACK_NOW;
}

/* To be visited at the next flush, before the others. Keeps F_DIRTY. */
static void visit_late(struct spate_tcp_conn *c)
{
	struct tcp_late *l = &c->t->late[c->t->gave];
	uint32_t ref = tcp_conn_index(c) + 1;

	c->dirty_next = 0;
	if (l->first == 0)
		l->first = ref;
	else
		tcp_conn_at(c->t, l->last - 1)->dirty_next = ref;
	l->last = ref;
}

/*
 * The device was behind, and c has more for it. A packet pushed now would be lost at home, and a
 * loss that we made ourselves must not look like one of the path.
 */
static bool held_up(struct spate_tcp_conn *c)
{
	return c->t->held_up && tcp_synced(c) && (c->lost.head != NULL || tcp_more(c));
}

/* c is off the list but keeps F_DIRTY, so that nothing that happens in here puts it there again. */
static void visit(struct spate_tcp_conn *c)
{
	/* Who connects is told of its timer before there is a connection. */
	if (!(c->flags & F_DEAD) && (c->flags & (F_ACCEPTED | F_CLIENT))) {
		tell(c);
		if (!(c->flags & F_DEAD) && tcp_synced(c))
			window_update(c);
	}
	c->t->held_up = c->t->gave = false;
	if (!(c->flags & F_DEAD))
		tcp_output(c);
	if ((c->flags & F_ENDED) && (c->flags & F_EOF_TOLD) && !(c->flags & F_DEAD)) {
		if (c->state == SPATE_TCP_TIME_WAIT)
			tcp_time_wait(c);
		tcp_close(c, SPATE_TCP_DONE);
	}
	if (c->flags & F_DEAD) {
		if (c->runs.head != NULL) {
			/* closed() gives the send queue back, and what was cut from it may not have
			 * left yet: the peer would get whatever is put there next. */
			tcp_runs_clear(c);
			c->tx_mark = 0;
			c->asked = 0;
			c->progress_ms = c->t->now_ms;
			c->dirty_next = c->t->parting;
			c->t->parting = tcp_conn_index(c) + 1;
			return;
		}
		if (c->flags & (F_ACCEPTED | F_CLIENT))
			c->user->closed(c, c->why);
		tcp_conn_free(c);
		return;
	}
	if (held_up(c)) {
		visit_late(c);
		return;
	}
	c->flags &= ~F_DIRTY;
	/* Resumed from inside event(), or something to tell came up while sending. */
	if (c->events != 0 || (tcp_held(c) != 0 && !(c->flags & F_PAUSED)))
		tcp_dirty(c);
}

static bool past(struct spate_tcp_conn *c, const struct spate_txq *q)
{
	struct spate_port *p = q->port;

	if (!p->caps.zero_copy || p->ops->tx_mark == NULL)
		return true;
	if (c->tx_mark == 0)
		c->tx_mark = p->ops->tx_mark(p, q->queue);
	return p->ops->tx_past(p, q->queue, c->tx_mark) ||
	       (p->caps.tx_untold && c->t->now_ms - c->progress_ms > UNTOLD_MS);
}

/*
 * Is nothing under way any more that points into c's queue? Asked a turn after its death at the
 * earliest: until then the burst is the txq's. A route may have led it from port to port, and none
 * is asked while a connection lives: then all are, one after the other, as it sends no more.
 */
static bool let_go(struct spate_tcp_conn *c)
{
	const struct spate_tcp_lower *l = &c->t->lower;
	const struct spate_txq *q;

	if (c->t->ending)
		return true;
	if (!c->moved)
		return past(c, c->txq);
	for (; (q = l->txq(l->net, c->asked)) != NULL; c->asked++) {
		if (!past(c, q))
			return false;
		c->tx_mark = 0;
	}
	return true;
}

static void visit_parting(struct spate_tcp *t)
{
	uint32_t ref = t->parting, next;

	for (t->parting = 0; ref != 0; ref = next) {
		struct spate_tcp_conn *c = tcp_conn_at(t, ref - 1);

		next = c->dirty_next;
		if (let_go(c)) {
			visit(c);
		} else {
			c->dirty_next = t->parting;
			t->parting = ref;
		}
	}
}

void spate_tcp_ending(struct spate_tcp *t)
{
	t->ending = true;
}

void spate_tcp_flush(struct spate_tcp *t)
{
	if (scan_us(t) == 0) {
		t->epoch_seen = *t->lower.epoch;
		t->scanned_us = t->now_us;
		for (uint32_t i = 0; i < t->conns_made; i++)
			if (tcp_conn_at(t, i)->flags & F_PATH_WAIT)
				tcp_dirty(tcp_conn_at(t, i));
	}
	if (t->parting != 0)
		visit_parting(t);
	struct tcp_late late[2] = {t->late[0], t->late[1]};

	memset(t->late, 0, sizeof(t->late));
	for (unsigned i = 0; i < 2; i++) {
		for (uint32_t ref = late[i].first, next; ref != 0; ref = next) {
			struct spate_tcp_conn *c = tcp_conn_at(t, ref - 1);

			next = c->dirty_next;
			visit(c);
		}
	}
	while (t->dirty != 0) {
		struct spate_tcp_conn *c = tcp_conn_at(t, t->dirty - 1);

		t->dirty = c->dirty_next;
		visit(c);
	}
}

int spate_tcp_listen(struct spate_tcp *t, const struct spate_addr *addr,
		     const struct spate_tcp_user *user, void *ctx, struct spate_tcp_listener **out)
{
	struct spate_tcp_listener *l;

	for (l = t->listeners; l != NULL; l = l->next)
		if (l->addr.port == addr->port && memcmp(l->addr.ip, addr->ip, 16) == 0)
			return -EADDRINUSE;
	l = calloc(1, sizeof *l);
	if (l == NULL)
		return -ENOMEM;
	l->addr = *addr;
	l->user = user;
	l->ctx = ctx;
	l->next = t->listeners;
	t->listeners = l;
	*out = l;
	return 0;
}

void spate_tcp_unlisten(struct spate_tcp *t, struct spate_tcp_listener *l)
{
	struct spate_tcp_listener **p = &t->listeners;

	for (uint32_t i = 0; i < t->conns_made; i++) {
		struct spate_tcp_conn *c = tcp_conn_at(t, i);

		if (c->state == SPATE_TCP_SYN_RCVD && !(c->flags & F_CLIENT) && c->cc.listener == l)
			tcp_reset(c, SPATE_TCP_ABORTED);
	}
	while (*p != l)
		p = &(*p)->next;
	*p = l->next;
	free(l);
}

/* RFC 6056 3.3.3 (algorithm 3): an offset per destination, a common counter, and a look who is
 * there. */
static bool choose_port(struct spate_tcp *t, struct tcp_tuple *k, const struct spate_addr *peer)
{
	uint32_t low = t->cfg.port_low, n = t->cfg.port_high - low + 1u;
	uint32_t offset = tcp_port_offset(t, k);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t port = low + (offset + t->port_counter++) % n;
		struct spate_addr local = {.port = (uint16_t)port};
		struct tcp_tw *tw;

		k->local_port = __builtin_bswap16((uint16_t)port);
		memcpy(local.ip, k->local_ip, 16);
		if (t->lower.mine != NULL && !t->lower.mine(t->lower.net, &local, peer))
			continue;
		if (tcp_find(t, k, tcp_hash(t, k), &tw) == NULL && tw == NULL)
			return true;
	}
	return false;
}

/* A group, everybody or nobody (RFC 9293 MUST-46, RFC 1122 3.2.1.3). A subnet's broadcast address
 * is for net/ to know. */
static bool no_host(const uint8_t ip[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, zero[16];

	if (memcmp(ip, mapped, 12) != 0)
		return ip[0] == 0xff || memcmp(ip, zero, 16) == 0;
	return (ip[12] & 0xf0) == 0xe0 || get32(ip + 12) == 0 || get32(ip + 12) == UINT32_MAX;
}

int spate_tcp_connect(struct spate_tcp *t, const struct spate_addr *local,
		      const struct spate_addr *peer, const struct spate_tcp_user *user,
		      struct spate_tcp_conn **out)
{
	static const uint8_t zero[16];
	struct tcp_tuple k = {.peer_port = __builtin_bswap16(peer->port)};
	struct spate_tcp_conn *c;
	struct tcp_tw *tw;

	if (no_host(peer->ip))
		return -EADDRNOTAVAIL;
	memcpy(k.peer_ip, peer->ip, 16);
	if (local != NULL && memcmp(local->ip, zero, 16) != 0)
		memcpy(k.local_ip, local->ip, 16);
	else if (!t->lower.source(t->lower.net, peer->ip, k.local_ip))
		return -ENETUNREACH;
	if (local != NULL && local->port != 0) {
		k.local_port = __builtin_bswap16(local->port);
		if (tcp_find(t, &k, tcp_hash(t, &k), &tw) != NULL || tw != NULL)
			return -EADDRINUSE;
	} else if (!choose_port(t, &k, peer)) {
		return -EADDRINUSE;
	}
	c = tcp_conn_new(t, &k, tcp_hash(t, &k));
	if (c == NULL)
		return -ENOMEM;
	c->user = user;
	c->state = SPATE_TCP_SYN_SENT;
	c->flags |= F_CLIENT | F_SEND_SYN;
	if (t->cfg.sack)
		c->flags |= F_SACK;
	if (t->cfg.timestamps)
		c->flags |= F_TS;
	if (t->cfg.wscale)
		c->flags |= F_WSCALE;
	c->snd_nxt = c->snd_una + 1;
	c->first_us = t->now32;
	c->rexmit_kind = REXMIT_SYN;
	tcp_arm(c, TM_REXMIT, t->cfg.rto_init_us);
	tcp_dirty(c);
	*out = c;
	return 0;
}

void spate_tcp_usage(const struct spate_tcp *t, struct spate_tcp_usage *out)
{
	*out = (struct spate_tcp_usage){
		.conns = t->conns_used,
		.half_open = t->half_open,
		.time_wait = t->tw_used,
		.runs = t->run_pool.used,
		.held_nodes = t->node_pool.used,
	};
}

uint64_t spate_tcp_count(const struct spate_tcp *t, enum spate_tcp_verdict v)
{
	return atomic_load_explicit(&t->count[v], memory_order_relaxed);
}

const char *spate_tcp_verdict_name(enum spate_tcp_verdict v)
{
	static const char *const names[] = {
#define SPATE_TCP_COUNTER(NAME, name, help) #name,
#include "spate/tbl/tcp.def"
#undef SPATE_TCP_COUNTER
	};

	return v < SPATE_TCP_COUNTERS ? names[v] : "?";
}

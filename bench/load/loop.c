/*
 * loop.c: who asks when. Closed loop: a connection asks again as soon as it was answered. Open
 * loop: a clock asks: due_ns moves on by 1/rate whatever happens, and a request is given to the
 * first connection that is free; when none is, due_ns waits in the past: nothing is left out, and
 * latency counts from it. With --dash viewers ask for what they are about to play (dash.c).
 */
#include "bench/load/loop.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_NS    50000000u
#define REST_NS     100000000u /* after a connection could not be made */
#define WAIT_NS     5000000u
#define SPIN_NS     30000u /* a shorter wait is not worth the sleep */
#define RAMP        512    /* connections on their way up at once */
#define DUE_AT_ONCE 256

struct run {
	struct load_loop *l;
	struct load_conn *conn;
	uint32_t
		*free; /* open loop: connections with room, a stack; each as often as it has room */
	uint32_t nfree;
	uint32_t started; /* closed loop: connections that have begun */
	uint64_t answered_once;
	uint64_t left; /* requests that may still be asked; UINT64_MAX: no limit */
	uint64_t seed, asked;
	uint64_t cover; /* URL that is the next to be asked once; past the last: all have been */
	uint64_t due_ns, end_ns, next_check_ns;
	double due_f, gap_ns;
	uint64_t answers0, bytes0, opened0, cpu0;
	bool measuring, over;
};

static uint64_t read_count(_Atomic uint64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

static void window_begin(struct run *r)
{
	struct load_loop *l = r->l;

	r->measuring = true;
	l->from_ns = l->client.net->now_ns;
	r->end_ns = l->from_ns + l->o->duration_ns;
	r->answers0 = read_count(&l->counts.done);
	r->bytes0 = read_count(&l->counts.bytes);
	r->opened0 = read_count(&l->counts.connects);
	r->cpu0 = load_busy_ns(l->client.net, l->o);
}

static void window_end(struct run *r)
{
	struct load_loop *l = r->l;

	if (r->over)
		return;
	r->over = true;
	l->to_ns = l->client.net->now_ns;
	l->answers = read_count(&l->counts.done) - r->answers0;
	l->bytes = read_count(&l->counts.bytes) - r->bytes0;
	l->opened = read_count(&l->counts.connects) - r->opened0;
	l->busy_ns = load_busy_ns(l->client.net, l->o) - r->cpu0;
}

/* What to ask for next. */
static void choose(struct run *r, struct load_ask *a)
{
	const struct load_options *o = r->l->o;
	uint64_t size;

	*a = (struct load_ask){.url = r->cover < r->l->plan->n
					      ? (uint32_t)r->cover
					      : load_zipf_draw(&r->l->plan->zipf, &r->seed)};
	r->cover += r->cover < r->l->plan->n ? o->threads : 0;
	a->verify = o->verify != LOAD_VERIFY_NONE && r->asked % o->verify_sample == 0;
	r->asked++;
	if (!o->has_range)
		return;
	a->ranged = true;
	a->first = o->range_first;
	a->last = o->range_last;
	if (!o->range_random)
		return;
	/* The size is known once one range has come. */
	size = atomic_load_explicit(&r->l->plan->size[a->url], memory_order_relaxed);
	a->first = size > o->range_bytes
			   ? load_random(&r->seed) % (size / o->range_bytes) * o->range_bytes
			   : 0;
	a->last = a->first + o->range_bytes - 1;
}

static void record(struct run *r, const struct load_ask *a)
{
	uint64_t now = r->l->client.net->now_ns;

	if (!r->measuring)
		return;
	if (r->gap_ns > 0 ? a->due_ns >= r->l->from_ns && a->due_ns < r->end_ns : !r->over)
		load_hist_add(r->l->hist, now > a->due_ns ? now - a->due_ns : 0);
}

static void ask_closed(struct run *r, struct load_conn *conn)
{
	struct load_ask a;

	if (r->left == 0 || r->over)
		return;
	if (r->left != UINT64_MAX)
		r->left--;
	choose(r, &a);
	a.due_ns = r->l->client.net->now_ns;
	load_conn_ask(conn, &a);
}

static void done(struct load_conn *conn, const struct load_ask *a, enum load_outcome what)
{
	struct run *r = conn->client->ctx;

	if (r->l->dash != NULL) {
		record(r, a);
		load_dash_done(r->l->dash, conn, a, what);
		return;
	}
	r->answered_once += a->due_ns != 0 && conn->answered <= 1;
	if (what == LOAD_OK && a->total != 0)
		atomic_store_explicit(&r->l->plan->size[a->url], a->total, memory_order_relaxed);
	/* A failure has a latency too: its client has waited. */
	record(r, a);
	if (what == LOAD_FAIL_CONNECT)
		conn->rest_until_ns = conn->client->net->now_ns + REST_NS;
	if (r->gap_ns > 0)
		r->free[r->nfree++] = (uint32_t)(conn - r->conn);
	else if (what != LOAD_FAIL_CONNECT)
		ask_closed(r, conn);
}

/* --- open loop --- */

static uint64_t next_gap(struct run *r)
{
	uint64_t before = (uint64_t)r->due_f;
	double u;

	if (r->l->o->poisson) {
		u = (double)(load_random(&r->seed) >> 11) / 9007199254740992.0;
		r->due_f += -log1p(-u) * r->gap_ns;
	} else {
		r->due_f += r->gap_ns;
	}
	return (uint64_t)r->due_f - before;
}

static void send_due(struct run *r)
{
	struct load_loop *l = r->l;
	uint64_t now = l->client.net->now_ns, tried = 0;

	while (r->due_ns <= now && r->due_ns < r->end_ns && r->nfree > 0 && r->left > 0 &&
	       tried++ < DUE_AT_ONCE) {
		uint32_t i = --r->nfree;
		struct load_ask a;

		if (r->conn[i].rest_until_ns > now) { /* to the bottom */
			memmove(r->free + 1, r->free, r->nfree * sizeof(r->free[0]));
			r->free[0] = i;
			r->nfree++;
			continue;
		}
		choose(r, &a);
		a.due_ns = r->due_ns;
		if (r->left != UINT64_MAX)
			r->left--;
		if (now - r->due_ns > l->worst_late_ns && r->measuring)
			l->worst_late_ns = now - r->due_ns;
		r->due_ns += next_gap(r);
		load_conn_ask(&r->conn[i], &a);
	}
}

/* What was due and never sent: it has waited until now at least. */
static void count_unsent(struct run *r)
{
	uint64_t now = r->l->client.net->now_ns;

	while (r->due_ns < r->end_ns && r->due_ns <= now && r->left > 0) {
		if (r->due_ns >= r->l->from_ns) {
			load_hist_add(r->l->hist, now - r->due_ns);
			r->l->unsent++;
		}
		r->due_ns += next_gap(r);
	}
	LOAD_COUNT(r->l->counts.failed[LOAD_FAIL_UNSENT], r->l->unsent);
}

/* Likewise what was sent and not answered when we leave. */
static void count_unanswered(struct run *r)
{
	for (unsigned i = 0; i < r->l->nconns; i++) {
		struct load_conn *c = &r->conn[i];

		for (uint32_t k = 0; k < c->count; k++) {
			record(r, &c->ask[(c->head + k) % r->l->o->pipeline]);
			LOAD_COUNT(r->l->counts.failed[LOAD_FAIL_TIMEOUT], 1);
		}
	}
}

static bool all_answered(const struct run *r)
{
	for (unsigned i = 0; i < r->l->nconns; i++)
		if (r->conn[i].count != 0)
			return false;
	return true;
}

/* --- the loop --- */

static void check_conns(struct run *r)
{
	uint64_t now = r->l->client.net->now_ns;

	r->next_check_ns = now + CHECK_NS;
	for (unsigned i = 0; i < r->l->nconns; i++) {
		struct load_conn *c = &r->conn[i];

		load_conn_check(c);
		if (r->l->dash == NULL && r->gap_ns == 0 && i < r->started && c->count == 0 &&
		    c->rest_until_ns <= now)
			ask_closed(r, c);
	}
	/* Nothing has ever answered and each connection has tried: it will not get better. */
	if (read_count(&r->l->counts.done) == 0 &&
	    read_count(&r->l->counts.failed[LOAD_FAIL_CONNECT]) >= r->l->nconns)
		r->l->fatal = true;
}

static void begin_some(struct run *r)
{
	while (r->started < r->l->nconns && r->started < r->answered_once + RAMP && r->left > 0) {
		struct load_conn *c = &r->conn[r->started++];

		for (unsigned k = 0; k < r->l->o->pipeline; k++)
			ask_closed(r, c);
	}
}

static uint64_t wait_ns(const struct run *r)
{
	uint64_t now = r->l->client.net->now_ns, wait = WAIT_NS;

	if (r->gap_ns > 0 && r->due_ns < r->end_ns && r->nfree > 0) {
		wait = r->due_ns > now ? r->due_ns - now : 0;
		if (wait > WAIT_NS)
			wait = WAIT_NS;
		if (wait < SPIN_NS)
			wait = 0;
	}
	return wait;
}

static bool stopped(const struct run *r)
{
	return atomic_load_explicit(r->l->stop, memory_order_relaxed) || r->l->fatal;
}

static void turn(struct run *r)
{
	struct load_net *net = r->l->client.net;

	if (r->gap_ns > 0)
		send_due(r);
	else if (r->started < r->l->nconns)
		begin_some(r);
	net->ops->turn(net, wait_ns(r));
	if (net->now_ns >= r->next_check_ns)
		check_conns(r);
}

static void drive(struct run *r)
{
	struct load_loop *l = r->l;
	struct load_net *net = l->client.net;
	uint64_t begin, grace;

	r->due_f = (double)net->now_ns;
	r->due_ns = net->now_ns;
	r->end_ns = UINT64_MAX;
	while (!stopped(r) && r->cover < l->plan->n && r->left > 0)
		turn(r);
	begin = net->now_ns;
	while (!stopped(r) && net->now_ns < begin + l->o->warmup_ns && r->left > 0)
		turn(r);
	window_begin(r);
	while (!stopped(r) && net->now_ns < r->end_ns && (r->left > 0 || !all_answered(r)))
		turn(r);
	window_end(r);
	if (net->now_ns < r->end_ns)
		r->end_ns = net->now_ns; /* stopped early: what would be due later is not missing */
	if (r->gap_ns == 0)
		return;
	for (grace = net->now_ns + l->o->timeout_ns;
	     !l->fatal && net->now_ns < grace &&
	     (!all_answered(r) || (r->due_ns < r->end_ns && r->left > 0));)
		turn(r);
	count_unanswered(r);
	count_unsent(r);
}

/* Until every viewer has seen the end, or the time is up. */
static void drive_viewers(struct run *r)
{
	struct load_loop *l = r->l;
	struct load_net *net = l->client.net;

	if (load_dash_create(&l->dash, r->conn, l->nconns, l->o) != 0) {
		snprintf(l->why, sizeof(l->why), "out of memory");
		return;
	}
	window_begin(r);
	while (!stopped(r) && net->now_ns < r->end_ns && load_dash_tick(l->dash)) {
		net->ops->turn(net, WAIT_NS);
		if (net->now_ns >= r->next_check_ns)
			check_conns(r);
	}
	window_end(r);
	load_dash_sum(l->dash, l->viewers);
	load_dash_destroy(l->dash);
	l->dash = NULL;
}

static int open_run(struct run *r, struct load_loop *l)
{
	unsigned slots = l->nconns * l->o->pipeline;

	*r = (struct run){.l = l, .seed = l->o->seed * 0x9e3779b97f4a7c15u + l->id};
	r->cover = l->o->cover ? l->id : UINT64_MAX;
	r->left = l->requests != 0 ? l->requests : UINT64_MAX;
	r->gap_ns = l->rate > 0 ? 1e9 / l->rate : 0;
	r->conn = calloc(l->nconns, sizeof(*r->conn));
	r->free = calloc(slots, sizeof(*r->free));
	if (r->conn == NULL || r->free == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < l->nconns; i++)
		if (load_conn_init(&r->conn[i], &l->client) != 0)
			return -ENOMEM;
	for (unsigned i = 0; i < slots; i++)
		r->free[r->nfree++] = l->nconns - 1 - i % l->nconns;
	return 0;
}

static void close_run(struct run *r)
{
	for (unsigned i = 0; r->conn != NULL && i < r->l->nconns; i++)
		load_conn_finish(&r->conn[i]);
	free(r->conn);
	free(r->free);
}

void load_loop_run(struct load_loop *l)
{
	cpu_set_t set;
	struct run r = {.l = l};
	int err;

	if (l->cpu >= 0) {
		CPU_ZERO(&set);
		CPU_SET((unsigned)l->cpu, &set);
		if (sched_setaffinity(0, sizeof(set), &set) < 0)
			snprintf(l->why, sizeof(l->why), "CPU %d: %s", l->cpu, strerror(errno));
	}
	err = l->why[0] != '\0' ? -EINVAL
				: load_net_open(&l->client.net, l->o, l->why, sizeof(l->why));
	if (err == 0) {
		l->client.plan = l->plan;
		l->client.o = l->o;
		l->client.counts = &l->counts;
		l->client.done = done;
		l->client.ctx = &r;
		err = load_client_init(&l->client);
		if (err == 0)
			err = open_run(&r, l);
		if (err != 0)
			snprintf(l->why, sizeof(l->why), "out of memory");
	}
	atomic_store(&l->ready, true);
	while (err == 0 && !atomic_load(l->start) && !atomic_load(l->stop))
		sched_yield();
	if (err == 0 && l->o->dash)
		drive_viewers(&r);
	else if (err == 0)
		drive(&r);
	if (l->client.net != NULL)
		l->client.net->ops->close(l->client.net);
	close_run(&r);
	load_client_finish(&l->client);
}

/*
 * Sent runs: what is out there, in as few records as there were bursts. See conn.h for the drawing.
 * Each run is in the list by sequence, and in exactly one of: flight (by send time), lost, or
 * neither when it is sacked.
 */
#include "dataplane/tcp/conn.h"

void tcp_list_add(struct tcp_runs *l, struct tcp_run *r)
{
	r->tnext = NULL;
	r->tprev = l->tail;
	if (l->tail != NULL)
		l->tail->tnext = r;
	else
		l->head = r;
	l->tail = r;
}

void tcp_list_del(struct tcp_runs *l, struct tcp_run *r)
{
	if (r->tprev != NULL)
		r->tprev->tnext = r->tnext;
	else
		l->head = r->tnext;
	if (r->tnext != NULL)
		r->tnext->tprev = r->tprev;
	else
		l->tail = r->tprev;
	r->tnext = r->tprev = NULL;
}

/* Lost and in-flight runs hang in different lists. */
static struct tcp_runs *list_of(struct spate_tcp_conn *c, const struct tcp_run *r)
{
	if (r->flags & RUN_SACKED)
		return NULL;
	return r->flags & RUN_LOST ? &c->lost : &c->flight;
}

static struct tcp_run *run_new(struct spate_tcp_conn *c, bool sent)
{
	struct tcp_run *r =
		c->nruns < c->t->cfg.conn_runs && (sent || tcp_record_due(c->t, c->nruns))
			? spate_pool_get(&c->t->run_pool)
			: NULL;

	if (r != NULL)
		c->nruns++;
	return r;
}

static uint8_t short_tail(const struct spate_tcp_conn *c, uint32_t len)
{
	return len != c->mss && len % c->mss != 0 ? RUN_SHORT : 0;
}

/* Out of every list; the counters are the caller's. */
void tcp_run_free(struct spate_tcp_conn *c, struct tcp_run *r)
{
	struct tcp_runs *l = list_of(c, r);

	if (l != NULL)
		tcp_list_del(l, r);
	if (r->prev != NULL)
		r->prev->next = r->next;
	else
		c->runs.head = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
	else
		c->runs.tail = r->prev;
	if (c->sack_hint == r)
		c->sack_hint = r->prev != NULL ? r->prev : r->next;
	c->nruns--;
	spate_pool_put(&c->t->run_pool, r);
}

struct tcp_run *tcp_run_append(struct spate_tcp_conn *c, uint32_t start, uint32_t end)
{
	struct tcp_run *r = c->runs.tail;
	uint32_t now = c->t->now32;
	uint8_t tail = short_tail(c, end - start);

	/* The same burst goes on. tail of flight: so the order by time stays. */
	if (r != NULL && r->sent_us == now && (r->flags & ~RUN_APP_LIMITED) == 0 &&
	    r == c->flight.tail && end - r->start < 1u << 24) {
		r->end = end;
		r->flags |= tail;
		return r;
	}
	struct tcp_run *n = run_new(c, false);

	if (n == NULL) {
		/* No record left: the newest run grows and looks as young as its youngest byte. */
		if (r == NULL || (r->flags & (RUN_SACKED | RUN_LOST)))
			return NULL;
		r->end = end;
		r->sent_us = now;
		r->flags |= RUN_GROWN | tail;
		tcp_list_del(&c->flight, r);
		tcp_list_add(&c->flight, r);
		return r;
	}
	*n = (struct tcp_run){.prev = r, .start = start, .end = end, .sent_us = now, .flags = tail};
	if (r != NULL)
		r->next = n;
	else
		c->runs.head = n;
	c->runs.tail = n;
	tcp_list_add(&c->flight, n);
	return n;
}

bool tcp_run_split(struct spate_tcp_conn *c, struct tcp_run *r, uint32_t at, bool sent)
{
	struct tcp_run *n = run_new(c, sent);
	struct tcp_runs *l = list_of(c, r);

	assert(seq_lt(r->start, at) && seq_lt(at, r->end));
	if (n == NULL)
		return false;
	*n = *r;
	if (r->flags & RUN_GROWN) /* only the end is as young as it looks */
		r->flags = (uint8_t)((r->flags & ~RUN_GROWN) | RUN_REXMIT);
	n->start = at;
	r->end = at;
	r->flags = (uint8_t)((r->flags & ~RUN_SHORT) | short_tail(c, at - r->start));
	n->prev = r;
	if (r->next != NULL)
		r->next->prev = n;
	else
		c->runs.tail = n;
	r->next = n;
	if (l != NULL) {
		n->tprev = r;
		if (r->tnext != NULL)
			r->tnext->tprev = n;
		else
			l->tail = n;
		r->tnext = n;
	}
	return true;
}

/* Two neighbours that say the same are one. */
static bool alike(const struct tcp_run *a, const struct tcp_run *b)
{
	if ((a->flags | b->flags) & RUN_SACKED)
		return a->flags & b->flags & RUN_SACKED;
	return (a->flags | RUN_SHORT) == (b->flags | RUN_SHORT) && a->sent_us == b->sent_us &&
	       !(a->flags & (RUN_LOST | RUN_SHORT)) && a->tnext == b;
}

static struct tcp_run *merge_back(struct spate_tcp_conn *c, struct tcp_run *r)
{
	struct tcp_run *p = r->prev;

	if (p == NULL || p->end != r->start || !alike(p, r))
		return r;
	p->end = r->end;
	p->flags |= r->flags & RUN_SHORT;
	if (c->sack_hint == r)
		c->sack_hint = p;
	tcp_run_free(c, r);
	return p;
}

/* r was sent again, all of it, now. */
void tcp_run_resent(struct spate_tcp_conn *c, struct tcp_run *r)
{
	tcp_list_del(list_of(c, r), r);
	if (r->flags & RUN_LOST)
		c->lost_out -= r->end - r->start;
	r->flags = (uint8_t)((r->flags & ~(RUN_LOST | RUN_GROWN | RUN_SHORT)) | RUN_REXMIT |
			     short_tail(c, r->end - r->start));
	r->sent_us = c->t->now32;
	tcp_rate_sent(c, r);
	tcp_list_add(&c->flight, r);
	merge_back(c, r);
}

void tcp_run_lose(struct spate_tcp_conn *c, struct tcp_run *r)
{
	assert(!(r->flags & (RUN_LOST | RUN_SACKED)));
	tcp_list_del(&c->flight, r);
	r->flags |= RUN_LOST;
	c->lost_out += r->end - r->start;
	tcp_list_add(&c->lost, r);
}

struct tcp_run *tcp_run_sack(struct spate_tcp_conn *c, struct tcp_run *r)
{
	tcp_list_del(list_of(c, r), r);
	if (r->flags & RUN_LOST)
		c->lost_out -= r->end - r->start;
	r->flags = (uint8_t)((r->flags & ~RUN_LOST) | RUN_SACKED);
	c->sacked_out += r->end - r->start;
	r = merge_back(c, r);
	if (r->next != NULL)
		merge_back(c, r->next);
	return r;
}

void tcp_runs_clear(struct spate_tcp_conn *c)
{
	while (c->runs.head != NULL)
		tcp_run_free(c, c->runs.head);
	c->sacked_out = c->lost_out = 0;
	c->sack_hint = NULL;
}

/* After a timeout: all that is not known to have arrived counts as lost, in order. */
void tcp_runs_lose_all(struct spate_tcp_conn *c, bool forget_sacks)
{
	c->flight = c->lost = (struct tcp_runs){NULL, NULL};
	c->lost_out = 0;
	if (forget_sacks || !(c->flags & F_SACK))
		c->sacked_out = c->dupacks = 0;
	for (struct tcp_run *r = c->runs.head; r != NULL; r = r->next) {
		if (forget_sacks)
			r->flags &= (uint8_t)~RUN_SACKED;
		if (r->flags & RUN_SACKED)
			continue;
		r->flags |= RUN_LOST;
		c->lost_out += r->end - r->start;
		tcp_list_add(&c->lost, r);
	}
}

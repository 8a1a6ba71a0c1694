/*
 * A burst of segments, in steps, so that what is not in the caches is asked for long before it is
 * looked at, and for all of them at once:
 *
 *     parse all ──► table entries ──► TCBs ──► user: ahead() ──► each in order, as spate_tcp_input
 *          └ fetch ─────┘   └ fetch ────┘  └ fetch, and more of it in there
 *
 * The first three only guess and fetch; nothing they saw is used again, for a segment may change
 * what the next one finds. spate_tcp_input() is the plain twin: the same without the guessing.
 */
#include "dataplane/tcp/conn.h"

#define LINE 64

static void fetch(const void *p, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += LINE)
		__builtin_prefetch((const uint8_t *)p + at);
}

/* Whose segment it may be, by the hash alone: its addresses would have to be read to be sure. */
static struct spate_tcp_conn *guess(const struct spate_tcp *t, uint32_t hash)
{
	for (uint32_t i = hash & t->mask; t->table[i].ref != 0; i = (i + 1) & t->mask)
		if (t->table[i].hash == hash)
			return t->table[i].ref & TCP_REF_TW ? NULL
							    : tcp_conn_at(t, t->table[i].ref - 1);
	return NULL;
}

/* What an ACK that takes in all of c's queue looks at: its first run, its first bytes. */
static void fetch_sent(const struct spate_tcp_conn *c)
{
	if (c->snd_una == c->snd_nxt)
		return;
	__builtin_prefetch(c->runs.head, 1);
	if (c->q != NULL)
		spate_sendq_ahead(c->q);
}

/* Bytes that the user will be given just so, if nothing before them in this burst ends c. */
static bool in_order(const struct spate_tcp_conn *c, const struct tcp_seg *s)
{
	return (c->state == SPATE_TCP_ESTABLISHED || c->state == SPATE_TCP_SYN_RCVD) &&
	       s->seq == c->rcv_nxt && s->len != 0 && c->held == NULL &&
	       !(c->flags & (F_DEAD | F_PAUSED));
}

/* Whose bytes they will be; of a connection that these bytes' ACK makes, its listener's user. */
static const struct spate_tcp_user *user_of(const struct spate_tcp_conn *c, void **listener)
{
	*listener = NULL;
	if (c->state != SPATE_TCP_SYN_RCVD || (c->flags & F_CLIENT))
		return c->user;
	*listener = c->cc.listener->ctx;
	return c->cc.listener->user;
}

void spate_tcp_input_burst(struct spate_tcp *t, const struct spate_tcp_in *in, unsigned n)
{
	struct tcp_seg seg[SPATE_TCP_BURST];
	enum spate_tcp_verdict verdict[SPATE_TCP_BURST];
	uint32_t hash[SPATE_TCP_BURST];
	struct spate_tcp_conn *who[SPATE_TCP_BURST];
	struct spate_tcp_ahead ahead[SPATE_TCP_BURST];
	const struct spate_tcp_user *user = NULL;
	unsigned nahead = 0;

	assert(n <= SPATE_TCP_BURST);
	for (unsigned i = 0; i < n; i++) {
		verdict[i] = tcp_parse(t, &in[i], &seg[i]);
		if (verdict[i] != SPATE_TCP_OK)
			continue;
		hash[i] = tcp_hash(t, &seg[i].key);
		__builtin_prefetch(&t->table[hash[i] & t->mask]);
	}
	for (unsigned i = 0; i < n; i++) {
		who[i] = verdict[i] == SPATE_TCP_OK ? guess(t, hash[i]) : NULL;
		if (who[i] != NULL)
			fetch(who[i], t->stride);
	}
	for (unsigned i = 0; i < n; i++) {
		struct spate_tcp_conn *c = who[i];
		const struct spate_tcp_user *u;
		void *listener;

		if (c == NULL)
			continue;
		fetch_sent(c);
		if (!in_order(c, &seg[i]))
			continue;
		u = user_of(c, &listener);
		/* One user a burst is enough: streams all have the same. */
		if (u == NULL || u->ahead == NULL || (user != NULL && user != u))
			continue;
		user = u;
		ahead[nahead++] = (struct spate_tcp_ahead){c, seg[i].data, seg[i].len, listener};
	}
	if (nahead != 0)
		user->ahead(ahead, nahead);
	for (unsigned i = 0; i < n; i++) {
		if (verdict[i] == SPATE_TCP_OK)
			verdict[i] = tcp_dispatch(t, &seg[i], hash[i]);
		tcp_count(t, verdict[i], 1);
	}
}

/*
 * choke.c: who is sent to. Without a rate there is nothing to share out, and everybody is. With
 * one, a swarm has p2p.slots: all but one for those who took most in the last round, one in turn
 * for somebody else (the optimistic unchoke), so that a newcomer can show how fast he is.
 *
 * Rounds are a swarm's, every 10 s, and the timer of whichever peer comes first runs them; an
 * interested newcomer gets a free slot at once.
 */
#include "dataplane/bt/fast.h"
#include "dataplane/bt/impl.h"

#define ROUND_US      10000000u
#define OPTIMISTIC_US 30000000u

static bool limited(const struct spate_bt_conn *c)
{
	return c->s->worker->config->bt_rate != 0;
}

static void unchoke(struct spate_bt_conn *c)
{
	c->choked = false;
	c->seed->unchoked++;
	spate_bt_say_numbers(c, SPATE_BT_UNCHOKE, 0, 0, 0, 0);
	spate_stream_kick(c->s);
}

static void choke(struct spate_bt_conn *c)
{
	c->choked = true;
	c->optimistic = false;
	c->seed->unchoked--;
	spate_bt_say_numbers(c, SPATE_BT_CHOKE, 0, 0, 0, 0);
	spate_bt_reject_all(c);
	spate_stream_kick(c->s);
}

static bool waits(const struct spate_bt_conn *c)
{
	return c->choked && c->interested && !c->closing;
}

/* Free slots to whoever waits; the list is newest first, so the longest wait is at its end. */
static void fill_slots(struct spate_seed *seed, uint32_t slots)
{
	while (seed->unchoked < slots) {
		struct spate_bt_conn *last = NULL;

		for (struct spate_bt_conn *c = seed->conns; c != NULL; c = c->next)
			if (waits(c))
				last = c;
		if (last == NULL)
			return;
		unchoke(last);
	}
}

/* The unchoked one, not optimistic, that took least in this round. */
static struct spate_bt_conn *slowest(struct spate_seed *seed)
{
	struct spate_bt_conn *s = NULL;

	for (struct spate_bt_conn *c = seed->conns; c != NULL; c = c->next)
		if (!c->choked && !c->optimistic && !c->closing &&
		    (s == NULL || c->sent_bytes - c->round_bytes < s->sent_bytes - s->round_bytes))
			s = c;
	return s;
}

/*
 * Who wants nothing gives his slot up. Each optimistic period the slowest makes room for the one
 * that has waited longest; he keeps the place when by its end somebody else is slower.
 */
static void round_of(struct spate_seed *seed, uint32_t slots, uint64_t now_us)
{
	struct spate_bt_conn *c, *old = NULL, *next = NULL, *out;

	for (c = seed->conns; c != NULL; c = c->next) {
		if (!c->choked && !c->interested && c->queue == NULL && !c->closing)
			choke(c);
		if (c->optimistic)
			old = c;
		if (waits(c))
			next = c;
	}
	if (next != NULL && seed->unchoked >= slots && now_us >= seed->optimistic_us) {
		seed->optimistic_us = now_us + OPTIMISTIC_US;
		if (old != NULL)
			old->optimistic = false;
		out = slowest(seed);
		if (out != NULL) {
			choke(out);
			/* To the front of the list: it is the last to be asked again. */
			*out->prev = out->next;
			if (out->next != NULL)
				out->next->prev = out->prev;
			out->next = seed->conns;
			if (out->next != NULL)
				out->next->prev = &out->next;
			out->prev = &seed->conns;
			seed->conns = out;
			unchoke(next);
			next->optimistic = true;
		}
	}
	fill_slots(seed, slots);
	for (c = seed->conns; c != NULL; c = c->next)
		c->round_bytes = c->sent_bytes;
}

/* Something to begin with, and to trade, before a slot is free (BEP 6). */
static void allow_fast(struct spate_bt_conn *c)
{
	const struct spate_torrent *t = c->seed->t;

	if (!c->can_fast)
		return;
	c->nfast = spate_bt_fast_set(c->s->peer.ip, c->v2 ? t->infohash_v2 : t->infohash, t->pieces,
				     SPATE_BT_FAST, c->fast);
	for (unsigned i = 0; i < c->nfast; i++) {
		spate_bt_say_numbers(c, SPATE_BT_ALLOWED_FAST, 1, c->fast[i], 0, 0);
		c->fast_left += spate_torrent_piece_len(t, c->fast[i]);
	}
}

void spate_choke_start(struct spate_bt_conn *c)
{
	c->choked = true;
	if (limited(c))
		allow_fast(c);
	else
		unchoke(c);
}

void spate_choke_interest(struct spate_bt_conn *c)
{
	if (c->choked && c->interested)
		fill_slots(c->seed, limited(c) ? c->s->worker->config->bt_slots : UINT32_MAX);
}

void spate_choke_tick(struct spate_bt_conn *c)
{
	struct spate_worker *w = c->s->worker;
	struct spate_seed *seed = c->seed;

	if (!limited(c)) {
		if (c->choked) /* a rate was set, and is no more */
			unchoke(c);
		return;
	}
	if (w->now_us < seed->round_us)
		return;
	seed->round_us = w->now_us + ROUND_US;
	round_of(seed, w->config->bt_slots, w->now_us);
}

void spate_choke_left(struct spate_worker *w, struct spate_seed *seed)
{
	fill_slots(seed, w->config->bt_rate != 0 ? w->config->bt_slots : UINT32_MAX);
}

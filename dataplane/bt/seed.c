/*
 * seed.c: one torrent on this worker. It lives as long as it has peers.
 *
 * Where a rate is set, peers whose turn it is stand in a line: the head sends one piece and goes to
 * the end, as long as the bucket is open. So a swarm's rate is shared evenly, however unevenly the
 * peers' timers run. While it is closed only the head keeps time, for all: a line may be long.
 */
#include <string.h>

#include "dataplane/bt/impl.h"

static struct spate_seed **bucket_of(struct spate_bt *b, const struct spate_torrent *t)
{
	uint64_t h;

	memcpy(&h, t->infohash, sizeof(h));
	return &b->seed[h % SPATE_SEED_BUCKETS];
}

struct spate_seed *spate_seed_get(struct spate_bt *b, struct spate_torrent *t)
{
	struct spate_seed **at = bucket_of(b, t), *seed;

	for (seed = *at; seed != NULL; seed = seed->next)
		if (seed->t == t)
			return seed;
	seed = spate_pool_get(&b->seeds);
	if (seed == NULL)
		return NULL;
	*seed = (struct spate_seed){.next = *at, .t = t};
	seed->turn_tail = &seed->turn;
	spate_torrent_ref(t);
	*at = seed;
	return seed;
}

void spate_seed_join(struct spate_seed *seed, struct spate_bt_conn *c)
{
	c->seed = seed;
	c->next = seed->conns;
	if (c->next != NULL)
		c->next->prev = &c->next;
	c->prev = &seed->conns;
	seed->conns = c;
	seed->nconns++;
}

void spate_seed_leave_line(struct spate_bt_conn *c)
{
	struct spate_seed *seed = c->seed;
	bool head;

	if (!c->on_turn)
		return;
	head = seed->turn == c;

	for (struct spate_bt_conn **at = &seed->turn; *at != NULL; at = &(*at)->turn_next) {
		if (*at != c)
			continue;
		*at = c->turn_next;
		if (*at == NULL)
			seed->turn_tail = at;
		break;
	}
	c->on_turn = false;
	if (head && seed->turn != NULL)
		spate_bt_timer(seed->turn, SPATE_BT_RATE_MS);
}

void spate_seed_leave(struct spate_bt_conn *c)
{
	struct spate_seed *seed = c->seed, **at;
	struct spate_bt *b = spate_bt_of(c);

	spate_seed_leave_line(c);
	*c->prev = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	seed->nconns--;
	c->seed = NULL;
	if (!c->choked) {
		seed->unchoked--;
		spate_choke_left(b->w, seed);
	}
	if (seed->nconns > 0)
		return;
	for (at = bucket_of(b, seed->t); *at != seed; at = &(*at)->next)
		;
	*at = seed->next;
	spate_torrent_unref(seed->t);
	spate_pool_put(&b->seeds, seed);
}

void spate_seed_turn(struct spate_bt_conn *c)
{
	struct spate_seed *seed = c->seed;

	if (c->on_turn)
		return;
	c->on_turn = true;
	c->turn_next = NULL;
	*seed->turn_tail = c;
	seed->turn_tail = &c->turn_next;
}

void spate_seed_run(struct spate_bt *b, struct spate_seed *seed)
{
	uint64_t rate = b->w->config->bt_rate;

	while (seed->turn != NULL && spate_bt_bucket_open(&seed->bucket, rate, b->w->now_us)) {
		struct spate_bt_conn *c = seed->turn;

		seed->turn = c->turn_next;
		if (seed->turn == NULL)
			seed->turn_tail = &seed->turn;
		c->on_turn = false;
		if (spate_bt_serve_one(c))
			spate_seed_turn(c);
		spate_stream_kick(c->s);
	}
	if (seed->turn != NULL)
		spate_bt_timer(seed->turn, SPATE_BT_RATE_MS);
}

/*
 * publish.c: the set of torrents that are published, and its tables' lives.
 *
 *     generation    7         8           9 (current)
 *     tables      out: 1 ─► out: 0, freed ─► out: 2         a worker says DONE to 7 when it has 8
 *     retired     made, gone in 8: freed when no table below 8 is left and nobody refs it
 */
#include "control/torrent/publish.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/log/event.h"
#include "control/torrent/internal.h"
#include "control/torrent/table.h"
#include "dataplane/cache/write.h"

#define ZEROS    131072u /* the largest request that peers may make */
#define SWEEP_MS 1000

static void free_made(struct spate_made *m)
{
	if (m == NULL)
		return;
	free((void *)m->t.file_meta);
	spate_made_free(m);
}

/* --- tables --- */

static void drop_table(struct spate_publisher *p, struct table *x)
{
	for (struct table **at = &p->tables; *at != NULL; at = &(*at)->next)
		if (*at == x) {
			*at = x->next;
			break;
		}
	spate_table_free(x->t);
	free(x);
}

static uint64_t oldest(const struct spate_publisher *p)
{
	uint64_t g = UINT64_MAX;

	for (const struct table *x = p->tables; x != NULL; x = x->next)
		g = x->t->generation < g ? x->t->generation : g;
	return g;
}

/* Workers withdraw too: one that was given other content than was hashed. */
static void look_at_withdrawn(struct spate_publisher *p)
{
	for (struct manifest *m = p->manifests; m != NULL; m = m->next)
		for (uint32_t i = 0; i < m->n; i++)
			spate_rep_look(&m->reps[i]);
}

static void on_sweep(struct spate_timer *t)
{
	struct spate_publisher *p =
		(struct spate_publisher *)((char *)t - offsetof(struct spate_publisher, sweep));
	uint64_t g = oldest(p);

	look_at_withdrawn(p);
	for (struct retired **at = &p->retired, *x; (x = *at) != NULL;) {
		if (g < x->generation ||
		    atomic_load_explicit(&x->made->t.refs, memory_order_acquire) > 0) {
			at = &x->next;
			continue;
		}
		*at = x->next;
		free_made(x->made);
		free(x);
	}
	if ((p->retired != NULL || p->published > 0) && !p->finishing)
		spate_loop_timer(p->s.env->loop, t, SWEEP_MS, on_sweep);
}

void spate_publisher_retire(struct spate_publisher *p, struct spate_made *m)
{
	struct retired *x = calloc(1, sizeof(*x));

	atomic_store_explicit(&m->t.withdrawn, true, memory_order_release);
	if (x == NULL)
		return; /* it leaks: better than freeing what workers read */
	x->made = m;
	x->generation = p->generation + 1; /* that of the next table */
	x->next = p->retired;
	p->retired = x;
	if (!p->sweep.set)
		spate_loop_timer(p->s.env->loop, &p->sweep, SWEEP_MS, on_sweep);
}

static uint32_t count_ready(const struct spate_publisher *p, struct spate_torrent **list)
{
	uint32_t n = 0;

	for (const struct manifest *m = p->manifests; m != NULL; m = m->next)
		for (uint32_t i = 0; i < m->n; i++) {
			const struct rep *r = &m->reps[i];

			if (r->state != REP_READY)
				continue;
			if (list != NULL) {
				list[n] = &r->v1->t;
				list[n + 1] = &r->hybrid->t;
			}
			n += 2;
		}
	return n;
}

/* A zeros object that all pads come from; made with the first table, when there is room for sure.
 */
static int make_zeros(struct spate_publisher *p)
{
	static const char name[] = "spate:zeros"; /* no URL */
	struct spate_key key = spate_key_of(name, sizeof(name) - 1);
	struct spate_cache *c = p->s.env->cache;
	struct spate_object *o = spate_cache_insert_private(c, &key);
	struct spate_meta *meta = calloc(1, sizeof(*meta) + 8);
	uint64_t at = 0, got, waiting;
	struct iovec iov[16];
	unsigned n;

	if (o == NULL || meta == NULL) {
		free(meta);
		if (o != NULL)
			spate_cache_release(c, o);
		return -ENOMEM;
	}
	meta->status = 200;
	meta->last_modified_s = -1;
	if (spate_cache_publish(c, o, meta, ZEROS, INT64_MAX) < 0) {
		free(meta);
		spate_cache_release(c, o);
		return -EFBIG;
	}
	while (at < ZEROS && (got = spate_cache_room(c, o, ZEROS - at, iov, 16, &n)) > 0) {
		for (unsigned i = 0; i < n; i++)
			memset(iov[i].iov_base, 0, iov[i].iov_len);
		spate_cache_filled(c, o, got);
		at += got;
	}
	if (at < ZEROS) {
		spate_cache_fail(c, o, &waiting);
		spate_cache_release(c, o);
		return -ENOMEM;
	}
	spate_cache_complete(c, o, &waiting);
	p->zeros = o;
	return 0;
}

static int publish(struct spate_publisher *p)
{
	struct table *x = calloc(1, sizeof(*x));
	struct spate_torrent **list =
		calloc(count_ready(p, NULL) + 1, sizeof(struct spate_torrent *));
	int rc = -ENOMEM;

	if (x == NULL || list == NULL || (p->zeros == NULL && make_zeros(p) < 0))
		goto fail;
	rc = spate_table_create(&x->t, list, count_ready(p, list), p->generation + 1);
	if (rc < 0)
		goto fail;
	p->generation++;
	x->t->zeros = p->zeros;
	x->t->zeros_bytes = ZEROS;
	x->t->owner = x;
	p->published = x->t->n;
	if (!p->sweep.set)
		spate_loop_timer(p->s.env->loop, &p->sweep, SWEEP_MS, on_sweep);
	x->out = p->s.workers;
	x->next = p->tables;
	p->tables = x;
	atomic_store_explicit(&p->s.env->stats->torrents_published, x->t->n, memory_order_relaxed);
	p->s.tell(p->s.ctx, x->t);
	free(list);
	/* Where no worker will ever say so. */
	if (p->s.workers == 0)
		while (x->next != NULL)
			drop_table(p, x->next);
	return 0;

fail:
	free(list);
	free(x);
	return rc;
}

void spate_publisher_done(struct spate_publisher *p, const struct spate_torrents *t)
{
	struct table *x = t != NULL ? t->owner : NULL;

	if (x != NULL && --x->out == 0)
		drop_table(p, x);
}

void spate_publisher_trim(struct spate_publisher *p, const struct rep *keep)
{
	for (;;) {
		struct rep *oldest_asked = NULL;

		spate_manifests_trim(p);
		if (p->used + p->listed <= p->memory)
			return;
		for (struct manifest *m = p->manifests; m != NULL; m = m->next)
			for (uint32_t i = 0; i < m->n; i++) {
				struct rep *r = &m->reps[i];

				if (r != keep && r->state == REP_READY &&
				    (oldest_asked == NULL || r->asked_us < oldest_asked->asked_us))
					oldest_asked = r;
			}
		if (oldest_asked == NULL)
			return; /* one alone may be larger than p2p.torrents */
		spate_rep_withdraw(oldest_asked, "p2p.torrents is full");
	}
}

/* --- turns --- */

static void reply(struct spate_publisher_query *q, struct spate_publisher_answer *a)
{
	spate_publisher_drop(q);
	q->fn(q, a);
}

static void on_turn(struct spate_op *op, int res, unsigned flags)
{
	struct spate_publisher *p =
		(struct spate_publisher *)((char *)op - offsetof(struct spate_publisher, turn));

	spate_wants_run(p);
	for (struct spate_publisher_query *q = p->queries, *next; q != NULL; q = next) {
		struct spate_publisher_answer a = {.status = 502};

		next = q->next;
		if (spate_publisher_answer_now(p, q, &a))
			reply(q, &a);
	}
	spate_manifests_trim(p);
	atomic_store_explicit(&p->s.env->stats->torrent_memory, p->used + p->listed,
			      memory_order_relaxed);
	if (p->dirty && !p->finishing)
		p->dirty = publish(p) < 0;
}

void spate_publisher_kick(struct spate_publisher *p)
{
	if (!p->turn.busy)
		spate_loop_defer(p->s.env->loop, &p->turn, 0, on_turn);
}

void spate_publisher_changed(struct spate_publisher *p)
{
	p->dirty = true;
	spate_publisher_kick(p);
}

/* --- asked from outside --- */

bool spate_publisher_owns(struct spate_publisher *p, const char *url, size_t len)
{
	struct spate_torrent_url u;

	if (!spate_torrent_url_parse(url, len, &u))
		return false;
	return u.kind != SPATE_TURL_PAD || u.pad < p->piece_bytes;
}

void spate_publisher_ask(struct spate_publisher *p, struct spate_publisher_query *q)
{
	q->publisher = p;
	q->guess = 0;
	q->next = p->queries;
	if (q->next != NULL)
		q->next->prev = &q->next;
	q->prev = &p->queries;
	p->queries = q;
	spate_publisher_kick(p);
}

void spate_publisher_drop(struct spate_publisher_query *q)
{
	if (q->prev == NULL)
		return;
	*q->prev = q->next;
	if (q->next != NULL)
		q->next->prev = q->prev;
	q->prev = NULL;
}

void spate_publisher_purged(struct spate_publisher *p, const struct spate_key *key)
{
	for (struct manifest *m = p->manifests; m != NULL; m = m->next) {
		struct spate_key k = spate_key_of(m->url, m->len);
		bool whole = k.lo == key->lo && k.hi == key->hi;

		if (whole)
			m->expires_s = 0;
		for (uint32_t i = 0; i < m->n; i++) {
			struct rep *r = &m->reps[i];
			bool of_it = whole ||
				     (r->state == REP_READY && r->v1->t.file_key.lo == key->lo &&
				      r->v1->t.file_key.hi == key->hi);

			for (uint32_t s = 0; !of_it && s < r->n; s++)
				of_it = r->seg[s].key.lo == key->lo && r->seg[s].key.hi == key->hi;
			if (of_it)
				spate_rep_forget(r, "it was purged");
		}
	}
}

void spate_publisher_clock_back(struct spate_publisher *p, int64_t by_s)
{
	for (struct manifest *m = p->manifests; m != NULL; m = m->next)
		m->expires_s -= by_s;
}

static struct spate_published published(const struct rep *r)
{
	return (struct spate_published){.id = r->id,
					.state = spate_rep_state(r),
					.segments = r->n,
					.hashed = r->state == REP_READY  ? r->n
						  : r->state == REP_BUSY ? r->hashed
									 : 0,
					.v1 = r->v1,
					.hybrid = r->hybrid};
}

bool spate_publisher_published(struct spate_publisher *p, const char *url, unsigned i,
			       struct spate_published *out)
{
	const struct manifest *m = p->manifests;

	while (m != NULL && strcmp(m->url, url) != 0)
		m = m->next;
	if (m == NULL || i >= m->n)
		return false;
	*out = published(&m->reps[i]);
	return true;
}

void spate_publisher_each(struct spate_publisher *p,
			  void (*fn)(void *ctx, const char *manifest,
				     const struct spate_published *rep),
			  void *ctx)
{
	for (const struct manifest *m = p->manifests; m != NULL; m = m->next)
		for (uint32_t i = 0; i < m->n; i++) {
			struct spate_published rep = published(&m->reps[i]);

			if (m->reps[i].state != REP_NONE)
				fn(ctx, m->url, &rep);
		}
}

/* --- life --- */

/*
 * Without it the edge does all it did before there was one, so it starts. Not offline, where a
 * manifest's URL says too little: any folder has a "/stream.mpd".
 */
static void open_store(struct spate_publisher *p, const struct spate_config *cfg)
{
	int rc;

	if (cfg->p2p.store == NULL || *cfg->p2p.store == '\0' || p->s.workers == 0)
		return;
	rc = spate_store_create(&p->store, cfg->p2p.store, cfg->p2p.store_bytes);
	if (rc == 0)
		return;
	SPATE_COUNT(p->s.env->stats, torrent_store_errors);
	spate_event(degraded, SPATE_F_STR("what", "p2p.store"), SPATE_F_ERR(rc));
}

int spate_publisher_create(struct spate_publisher **out, const struct spate_publisher_setup *setup)
{
	struct spate_publisher *p = calloc(1, sizeof(*p));
	int rc;

	if (p == NULL)
		return -ENOMEM;
	p->s = *setup;
	p->s.config = NULL;
	p->piece_bytes = setup->config->p2p.piece_bytes;
	p->memory = setup->config->p2p.torrents_bytes;
	p->queue_end = &p->queue;
	open_store(p, setup->config);
	rc = spate_torrent_edge_create(&p->edge, setup->config);
	if (rc == 0)
		rc = spate_hash_thread_create(&p->thread, p->s.env->loop, p->s.env->cache);
	if (rc < 0) {
		spate_publisher_destroy(p);
		return rc;
	}
	*out = p;
	return 0;
}

void spate_publisher_finish(struct spate_publisher *p)
{
	if (p->finishing)
		return;
	p->finishing = true;
	spate_loop_timer_stop(p->s.env->loop, &p->sweep);
	spate_hash_thread_destroy(p->thread); /* what it has is hashed; on_hashed comes below */
	p->thread = NULL;
	for (struct manifest *m = p->manifests; m != NULL; m = m->next)
		for (uint32_t i = 0; i < m->n; i++)
			if (m->reps[i].state == REP_LOADING || m->reps[i].state == REP_BUSY ||
			    m->reps[i].state == REP_QUEUED)
				spate_rep_withdraw(&m->reps[i], "the edge stops");
	for (int i = 0; i < 100 && (p->hashing > 0 || p->turn.busy); i++)
		spate_loop_turn(p->s.env->loop, 1000);
}

/* After the fills have ended, so that no want and no query is left. */
void spate_publisher_destroy(struct spate_publisher *p)
{
	if (p == NULL)
		return;
	if (!p->finishing && p->thread != NULL)
		spate_publisher_finish(p);
	for (int i = 0; i < 100 && p->turn.busy; i++)
		spate_loop_turn(p->s.env->loop, 1000);
	spate_loop_timer_stop(p->s.env->loop, &p->sweep);
	while (p->tables != NULL)
		drop_table(p, p->tables);
	while (p->retired != NULL) {
		struct retired *x = p->retired;

		p->retired = x->next;
		free_made(x->made);
		free(x);
	}
	while (p->manifests != NULL) {
		struct manifest *m = p->manifests;

		p->manifests = m->next;
		for (uint32_t i = 0; i < m->n; i++) {
			free_made(m->reps[i].v1);
			free_made(m->reps[i].hybrid);
		}
		spate_manifest_free(m);
	}
	if (p->zeros != NULL)
		spate_cache_release(p->s.env->cache, p->zeros);
	spate_store_destroy(p->store);
	spate_torrent_edge_destroy(p->edge);
	free(p);
}

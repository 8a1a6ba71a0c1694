/*
 * keep.c: representations and the store. Every touch of the disk is a job on the hash thread; its
 * jobs keep their order, so what is removed after a save, and before a load, is removed for both.
 *
 *     asked ─► LOADING ─► same segments, none known to differ ─► READY
 *                  └────► not there, not whole, not the same ──► QUEUED, hashed, saved
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/log/event.h"
#include "control/torrent/internal.h"
#include "dataplane/cache/write.h"

#define USED_US 1000000 /* a file's time need not be more exact */

struct errand {
	struct spate_hash_job job; /* first */
	struct spate_publisher *p;
	struct rep *r;           /* load: in LOADING until done */
	char *manifest, *id;     /* but of a save: r may be gone by then */
	struct spate_record rec; /* load: what was found; save: what to write */
};

static void destroy(struct errand *e)
{
	spate_record_free(&e->rec);
	free(e->manifest);
	free(e->id);
	free(e);
}

/* NULL: no memory, or the thread has ended. */
static struct errand *create(struct rep *r, int (*work)(struct spate_hash_job *job),
			     void (*done)(struct spate_hash_job *job))
{
	struct errand *e = r->m->p->thread != NULL ? calloc(1, sizeof(*e)) : NULL;

	if (e == NULL)
		return NULL;
	e->p = r->m->p;
	e->r = r;
	e->job.work = work;
	e->job.done = done;
	e->manifest = strdup(r->m->url);
	e->id = strdup(r->id);
	if (e->manifest == NULL || e->id == NULL) {
		destroy(e);
		return NULL;
	}
	return e;
}

static void submit(struct errand *e)
{
	e->p->hashing++;
	spate_hash_thread_submit(e->p->thread, &e->job);
}

/* --- loading --- */

static int load(struct spate_hash_job *job)
{
	struct errand *e = (struct errand *)job;

	return spate_store_load(e->p->store, e->manifest, e->id, e->p->piece_bytes, &e->rec);
}

bool spate_keep_differs(struct spate_cache *c, const struct segment *s, uint64_t tag)
{
	const struct spate_object *o = spate_cache_find(c, &s->key);
	const struct spate_meta *meta =
		o != NULL ? atomic_load_explicit(&o->meta, memory_order_relaxed) : NULL;

	return meta != NULL && meta->status == 200 &&
	       atomic_load_explicit(&o->state, memory_order_relaxed) == SPATE_OBJECT_COMPLETE &&
	       spate_torrent_tag(meta, atomic_load_explicit(&o->size, memory_order_relaxed)) != tag;
}

static bool same_segments(const struct rep *r, const struct spate_record *rec)
{
	if (rec->n != r->n)
		return false;
	for (uint32_t i = 0; i < r->n; i++)
		if (strcmp(rec->parts[i].url, r->seg[i].url) != 0 ||
		    rec->parts[i].hash.padded != r->seg[i].pad ||
		    spate_keep_differs(r->m->p->s.env->cache, &r->seg[i], rec->parts[i].tag))
			return false;
	return true;
}

static int take(struct rep *r, struct spate_record *rec)
{
	int rc;

	for (uint32_t i = 0; i < r->n; i++) {
		r->seg[i].tag = rec->parts[i].tag;
		r->seg[i].hash = rec->parts[i].hash;
		memset(&rec->parts[i].hash, 0, sizeof(rec->parts[i].hash));
	}
	r->pieces = rec->pieces;
	r->npieces = rec->npieces;
	rec->pieces = NULL;
	rc = spate_rep_ready(r);
	spate_rep_drop_hashes(r);
	return rc;
}

static void on_loaded(struct spate_hash_job *job)
{
	struct errand *e = (struct errand *)job;
	struct spate_publisher *p = e->p;
	struct rep *r = e->r;

	p->hashing--;
	if (job->rc < 0 && job->rc != -ENOENT) {
		SPATE_COUNT(p->s.env->stats, torrent_store_errors);
		spate_event(torrent_store_unreadable, SPATE_F_STR("manifest", r->m->url),
			    SPATE_F_STR("representation", r->id), SPATE_F_ERR(job->rc));
	}
	if (r->stopping) {
		r->state = REP_NONE; /* who still asks begins anew */
	} else if (job->rc == 0 && same_segments(r, &e->rec) && take(r, &e->rec) == 0) {
		SPATE_COUNT(p->s.env->stats, torrent_loaded);
		spate_event(torrent_loaded, SPATE_F_STR("manifest", r->m->url),
			    SPATE_F_STR("representation", r->id),
			    SPATE_F_U64("bytes", r->v1->t.bytes));
		/* What only the index has asked for pushes nothing else out. */
		spate_publisher_trim(p, r->wanted ? r : NULL);
		spate_publisher_changed(p);
	} else if (r->wanted && !p->finishing) {
		spate_rep_queue(r);
	} else {
		r->state = REP_NONE;
	}
	destroy(e);
	spate_publisher_kick(p);
}

bool spate_keep_load(struct rep *r)
{
	struct errand *e;

	if (r->m->p->store == NULL || r->n == 0 || spate_rep_prepare(r) < 0)
		return false;
	e = create(r, load, on_loaded);
	if (e == NULL)
		return false;
	r->state = REP_LOADING;
	r->stopping = r->wanted = false;
	r->sought = true;
	r->used_us = spate_loop_now_us(r->m->p->s.env->loop);
	submit(e);
	return true;
}

/* --- saving --- */

static int save(struct spate_hash_job *job)
{
	struct errand *e = (struct errand *)job;

	return spate_store_save(e->p->store, &e->rec);
}

static void failed(struct spate_publisher *p, const char *manifest, const char *id, int rc)
{
	SPATE_COUNT(p->s.env->stats, torrent_store_errors);
	spate_event(torrent_store_failed, SPATE_F_STR("manifest", manifest),
		    SPATE_F_STR("representation", id), SPATE_F_ERR(rc));
}

static void on_saved(struct spate_hash_job *job)
{
	struct errand *e = (struct errand *)job;

	e->p->hashing--;
	if (job->rc < 0)
		failed(e->p, e->rec.manifest, e->rec.id, job->rc);
	else
		SPATE_COUNT(e->p->s.env->stats, torrent_stored);
	destroy(e);
}

/* The hashes move; URLs are copied. 0 or -ENOMEM. */
static int give(struct rep *r, struct spate_record *rec)
{
	rec->parts = calloc(r->n, sizeof(*rec->parts));
	if (rec->parts == NULL)
		return -ENOMEM;
	for (; rec->n < r->n; rec->n++) {
		struct segment *s = &r->seg[rec->n];
		struct spate_record_part *part = &rec->parts[rec->n];

		part->url = strdup(s->url);
		if (part->url == NULL)
			return -ENOMEM;
		part->url_len = s->url_len;
		part->tag = s->tag;
		part->hash = s->hash;
		memset(&s->hash, 0, sizeof(s->hash));
	}
	rec->pieces = r->pieces;
	rec->npieces = r->npieces;
	rec->piece_bytes = r->m->p->piece_bytes;
	r->pieces = NULL;
	return 0;
}

void spate_keep_save(struct rep *r)
{
	struct spate_publisher *p = r->m->p;
	struct errand *e;

	/* Of bytes that nothing but their number tells apart, no old hash is to be trusted. */
	if (p->store == NULL || p->thread == NULL || r->unproven)
		return;
	e = create(r, save, on_saved);
	if (e == NULL || give(r, &e->rec) < 0) {
		failed(p, r->m->url, r->id, -ENOMEM);
		if (e != NULL)
			destroy(e);
		return;
	}
	e->rec.manifest = e->manifest;
	e->rec.id = e->id;
	e->manifest = e->id = NULL;
	r->used_us = spate_loop_now_us(p->s.env->loop);
	submit(e);
}

/* --- using --- */

static int touch(struct spate_hash_job *job)
{
	struct errand *e = (struct errand *)job;

	return spate_store_touch(e->p->store, e->manifest, e->id, e->p->piece_bytes);
}

/* One that failed costs an earlier end at most. */
static void on_touched(struct spate_hash_job *job)
{
	struct errand *e = (struct errand *)job;

	e->p->hashing--;
	destroy(e);
}

void spate_keep_used(struct rep *r)
{
	struct spate_publisher *p = r->m->p;
	uint64_t now_us = spate_loop_now_us(p->s.env->loop);
	struct errand *e;

	if (p->store == NULL || now_us - r->used_us < USED_US)
		return;
	e = create(r, touch, on_touched);
	if (e == NULL)
		return;
	r->used_us = now_us;
	submit(e);
}

/* --- removing --- */

static int drop(struct spate_hash_job *job)
{
	struct errand *e = (struct errand *)job;

	return spate_store_remove(e->p->store, e->manifest, e->id, e->p->piece_bytes);
}

static void on_dropped(struct spate_hash_job *job)
{
	struct errand *e = (struct errand *)job;

	e->p->hashing--;
	if (job->rc < 0)
		failed(e->p, e->manifest, e->id, job->rc);
	destroy(e);
}

void spate_keep_remove(struct rep *r)
{
	struct errand *e = r->m->p->store != NULL ? create(r, drop, on_dropped) : NULL;

	if (e != NULL)
		submit(e);
}

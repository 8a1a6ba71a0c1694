/* manifest.c: manifests we know of, and what was read in them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/log/event.h"
#include "control/torrent/internal.h"
#include "dataplane/http/uri.h"

static bool idle(const struct manifest *m)
{
	if (m->state == MANIFEST_FETCHING)
		return false;
	for (uint32_t i = 0; i < m->n; i++)
		if (m->reps[i].state != REP_NONE && m->reps[i].state != REP_FAILED)
			return false;
	return true;
}

/* The one asked for longest ago that nothing depends on. */
static void forget_one(struct spate_publisher *p)
{
	struct manifest **last = NULL, *m;

	for (struct manifest **at = &p->manifests; *at != NULL; at = &(*at)->next)
		if (idle(*at))
			last = at;
	if (last == NULL)
		return;
	m = *last;
	*last = m->next;
	p->nmanifests--;
	spate_manifest_free(m);
}

struct manifest *spate_manifest_get(struct spate_publisher *p, const char *url, size_t len,
				    bool make)
{
	struct manifest *m;

	for (struct manifest **at = &p->manifests; *at != NULL; at = &(*at)->next) {
		m = *at;
		if (m->len != len || memcmp(m->url, url, len) != 0)
			continue;
		*at = m->next;
		m->next = p->manifests;
		p->manifests = m;
		return m;
	}
	if (!make || len > UINT16_MAX)
		return NULL;
	if (p->nmanifests >= MANIFESTS)
		forget_one(p);
	m = calloc(1, sizeof(*m));
	if (m == NULL || (m->url = strndup(url, len)) == NULL) {
		free(m);
		return NULL;
	}
	m->p = p;
	m->len = m->dir = len;
	while (m->dir > 0 && url[m->dir - 1] != '/')
		m->dir--;
	m->next = p->manifests;
	p->manifests = m;
	p->nmanifests++;
	return m;
}

void spate_manifest_free(struct manifest *m)
{
	spate_want_release(&m->want);
	m->p->listed -= m->bytes;
	for (uint32_t i = 0; i < m->n; i++)
		spate_rep_free(&m->reps[i]);
	free(m->reps);
	free(m->url);
	free(m);
}

struct rep *spate_manifest_rep(struct manifest *m, const char *id)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (strcmp(m->reps[i].id, id) == 0)
			return &m->reps[i];
	return NULL;
}

/* --- reading --- */

static char *normalised(const char *url, uint16_t *len)
{
	size_t n = strlen(url);
	char *buf = malloc(SPATE_URI_MAX(n) + 1), *out = NULL;
	struct spate_slice key;

	if (buf != NULL && n < UINT16_MAX &&
	    spate_http_uri_normalise(spate_slice_of(url, n), buf, SPATE_URI_MAX(n), &key) ==
		    SPATE_URI_OK &&
	    key.len <= 8192) {
		out = strndup(key.p, key.len);
		*len = (uint16_t)key.len;
	}
	free(buf);
	return out;
}

static int take_rep(struct manifest *m, struct rep *r, struct spate_mpd_rep *from)
{
	r->m = m;
	r->id = from->id;
	r->mime = from->mime;
	from->id = from->mime = NULL;
	r->bandwidth = from->bandwidth;
	r->elsewhere = from->elsewhere;
	if (strlen(r->id) > SPATE_TURL_ID_MAX) {
		r->elsewhere = true; /* no URL of ours could name it */
		return 0;
	}
	r->seg = calloc(from->n + 1, sizeof(*r->seg));
	if (r->seg == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < from->n; i++) {
		struct segment *s = &r->seg[i];

		s->rep = r;
		s->url = normalised(from->urls[i], &s->url_len);
		if (s->url == NULL)
			return -EINVAL;
		s->key = spate_key_of(s->url, s->url_len);
		r->n++;
	}
	return 0;
}

/* Are these the same files as before? Then what was hashed of them stays. */
static bool same_urls(const struct rep *a, const struct rep *b)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (strcmp(a->seg[i].url, b->seg[i].url) != 0)
			return false;
	return true;
}

static bool in_work(const struct rep *r)
{
	return r->state == REP_BUSY || r->state == REP_QUEUED || r->state == REP_LOADING;
}

/*
 * reps: what the manifest says now. Representations that are at work or published live in the old
 * array, in place, so when nothing has changed for any of them the old array stays.
 */
static bool all_same(const struct manifest *m, const struct rep *reps, uint32_t n)
{
	if (m->n != n)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(m->reps[i].id, reps[i].id) != 0 || !same_urls(&m->reps[i], &reps[i]))
			return false;
	return true;
}

static void free_reps(struct rep *reps, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		spate_rep_free(&reps[i]);
	free(reps);
}

/* The old array goes; false: some of it is at work, so not yet. */
static bool let_go(struct manifest *m)
{
	for (uint32_t i = 0; i < m->n; i++)
		spate_rep_withdraw(&m->reps[i], "its manifest has changed");
	for (uint32_t i = 0; i < m->n; i++)
		if (in_work(&m->reps[i]))
			return false;
	free_reps(m->reps, m->n);
	m->reps = NULL;
	m->n = 0;
	m->p->listed -= m->bytes;
	m->bytes = 0;
	return true;
}

/* With the paths that are made when one is asked for, which are no longer than its URLs. */
static size_t bytes_of(const struct rep *reps, uint32_t n)
{
	size_t bytes = n * sizeof(*reps);

	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < reps[i].n; k++)
			bytes += sizeof(struct segment) + 2 * (reps[i].seg[k].url_len + 16u);
	return bytes;
}

/* Who still waits may need it, with others of its folder, all at once. */
static bool waited_for(const struct manifest *m)
{
	for (const struct spate_publisher_query *q = m->p->queries; q != NULL; q = q->next)
		if (q->len >= m->dir && memcmp(q->url, m->url, m->dir) == 0)
			return true;
	return false;
}

void spate_manifests_trim(struct spate_publisher *p)
{
	while (p->used + p->listed > p->memory) {
		struct manifest *last = NULL;

		/* The one asked for last may be larger alone. */
		for (struct manifest *m = p->manifests; m != NULL; m = m->next)
			if (m != p->manifests && m->bytes > 0 && idle(m) && !waited_for(m))
				last = m;
		if (last == NULL)
			return;
		let_go(last);
		last->state = MANIFEST_KNOWN;
	}
}

static int take(struct manifest *m, const char *text, size_t len)
{
	struct spate_mpd *mpd;
	struct rep *reps = NULL;
	int rc = spate_mpd_parse(text, len, m->url, NULL, &mpd, NULL);

	if (rc < 0)
		return rc;
	if (!mpd->dynamic && (reps = calloc(mpd->n + 1, sizeof(*reps))) == NULL)
		rc = -ENOMEM;
	for (uint32_t i = 0; rc == 0 && !mpd->dynamic && i < mpd->n; i++)
		rc = take_rep(m, &reps[i], &mpd->reps[i]);
	if (rc == 0 && !mpd->dynamic && all_same(m, reps, mpd->n)) {
		free_reps(reps, mpd->n);
	} else if (rc == 0 && let_go(m)) {
		m->reps = reps;
		m->n = mpd->dynamic ? 0 : mpd->n;
		m->bytes = bytes_of(m->reps, m->n);
		m->p->listed += m->bytes;
	} else {
		free_reps(reps, reps != NULL ? mpd->n : 0);
		rc = rc < 0 ? rc : -EAGAIN;
	}
	if (rc == 0)
		m->dynamic = mpd->dynamic;
	spate_mpd_free(mpd);
	return rc;
}

static int read_object(struct manifest *m, struct spate_object *o)
{
	uint64_t len = atomic_load_explicit(&o->size, memory_order_relaxed), at = 0;
	struct iovec iov[16];
	char *text;
	int rc;

	if (len > MANIFEST_MAX)
		return -E2BIG;
	text = malloc(len + 1);
	if (text == NULL)
		return -ENOMEM;
	while (at < len) {
		unsigned n;

		if (spate_object_iov(m->p->s.env->cache, o, at, len - at, iov, 16, &n) == 0)
			break;
		for (unsigned i = 0; i < n; at += iov[i++].iov_len)
			memcpy(text + at, iov[i].iov_base, iov[i].iov_len);
	}
	rc = at < len ? -EIO : take(m, text, len);
	free(text);
	return rc;
}

static void failed(struct manifest *m, enum spate_fetch_verdict v, const char *why)
{
	m->state = MANIFEST_FAILED;
	m->verdict = v;
	m->why = why;
}

static void on_manifest(struct want *w, struct spate_object *o, enum spate_fetch_verdict v)
{
	struct manifest *m = (struct manifest *)((char *)w - offsetof(struct manifest, want));
	const struct spate_meta *meta =
		o != NULL ? atomic_load_explicit(&o->meta, memory_order_relaxed) : NULL;
	bool loaded = m->reps != NULL;
	uint64_t tag;
	int rc = 0;

	m->checked_us = spate_loop_now_us(m->p->s.env->loop);
	m->state = MANIFEST_LOADED;
	if (o == NULL || meta->status != 200) {
		/* What was read stays good where the origin only fails. */
		if (o != NULL || !loaded || v == SPATE_FETCH_NOT_FOUND)
			failed(m, o != NULL ? SPATE_FETCH_NOT_FOUND : v,
			       "the manifest cannot be had");
		m->expires_s = spate_loop_wall_s(m->p->s.env->loop) + 2;
	} else {
		tag = spate_torrent_tag(meta, atomic_load_explicit(&o->size, memory_order_relaxed));
		m->expires_s = atomic_load_explicit(&o->expires_s, memory_order_relaxed);
		if (!loaded || tag != m->tag)
			rc = read_object(m, o);
		if (rc == 0) {
			m->tag = tag;
		} else if (rc != -EAGAIN) {
			spate_event(torrent_manifest, SPATE_F_STR("url", m->url), SPATE_F_ERR(rc));
			failed(m, SPATE_FETCH_BAD_GATEWAY,
			       rc == -E2BIG ? "the manifest is too large"
					    : "the manifest cannot be read");
		}
		if (m->expires_s < spate_loop_wall_s(m->p->s.env->loop) + 1)
			m->expires_s = spate_loop_wall_s(m->p->s.env->loop) + 1;
	}
	spate_want_release(w);
	spate_publisher_kick(m->p);
}

bool spate_manifest_ready(struct manifest *m)
{
	struct spate_loop *l = m->p->s.env->loop;

	if (m->state == MANIFEST_FETCHING)
		return false;
	if (m->state == MANIFEST_FAILED &&
	    spate_loop_now_us(l) - m->checked_us < FAILED_KEEP_US / 5)
		return true;
	if (m->state == MANIFEST_LOADED && spate_loop_wall_s(l) < m->expires_s)
		return true;
	if (m->p->finishing)
		return true;
	m->state = MANIFEST_FETCHING;
	spate_want(m->p, &m->want, m->url, (uint16_t)m->len, on_manifest);
	return m->state != MANIFEST_FETCHING;
}

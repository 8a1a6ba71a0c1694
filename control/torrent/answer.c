/* answer.c: what a URL made here is at this moment. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "control/torrent/internal.h"

static bool say(struct spate_publisher_answer *a, uint16_t status, const char *text)
{
	a->status = status;
	a->type = "text/plain; charset=utf-8";
	spate_buf_printf(&a->body, "%s\n", text);
	return true;
}

static bool say_later(struct spate_publisher_answer *a, unsigned seconds, const char *text)
{
	a->retry_s = seconds;
	return say(a, 503, text);
}

static bool say_verdict(struct spate_publisher_answer *a, const struct manifest *m)
{
	if (m->verdict == SPATE_FETCH_NOT_FOUND || m->verdict == SPATE_FETCH_FORBIDDEN)
		return say(a, 404, m->why);
	if (m->verdict == SPATE_FETCH_NO_ROOM)
		return say_later(a, 2, m->why);
	return say(a, 502, m->why);
}

/* --- the index --- */

static void member(struct spate_buf *b, const char *name, const struct spate_buf *value)
{
	spate_buf_printf(b, ",\"%s\":", name);
	if (value == NULL)
		spate_buf_text(b, "null");
	else
		spate_buf_json(b, value->p, value->len);
}

static void hash_member(struct spate_buf *b, const char *name, const uint8_t *p, size_t n)
{
	spate_buf_printf(b, ",\"%s\":", name);
	spate_buf_text(b, p == NULL ? "null" : "\"");
	for (size_t i = 0; p != NULL && i < n; i++)
		spate_buf_printf(b, "%02x", p[i]);
	spate_buf_text(b, p == NULL ? "" : "\"");
}

/* Does ".../ID.torrent" mean this one? Not where another manifest of the folder has the id too. */
static bool alone(const struct rep *r)
{
	const struct manifest *mine = r->m;

	for (const struct manifest *m = mine->p->manifests; m != NULL; m = m->next) {
		if (m == mine || m->dir != mine->dir || memcmp(m->url, mine->url, m->dir) != 0)
			continue;
		for (uint32_t i = 0; i < m->n; i++)
			if (strcmp(m->reps[i].id, r->id) == 0)
				return false;
	}
	return true;
}

static void url_member(struct spate_buf *b, const struct rep *r, const char *name, bool below,
		       const char *suffix)
{
	struct spate_buf url = {0};

	spate_buf_text(&url, r->m->p->edge->base);
	if (below) {
		spate_buf_add(&url, r->m->url, r->m->len);
		spate_buf_text(&url, ".torrents/");
	} else {
		spate_buf_add(&url, r->m->url, r->m->dir);
	}
	spate_torrent_url_id(&url, r->id);
	spate_buf_text(&url, suffix);
	b->failed |= url.failed;
	member(b, name, &url);
	free(url.p);
}

const char *spate_rep_state(const struct rep *r)
{
	static const char *const name[] = {
		[REP_NONE] = "unasked", [REP_LOADING] = "loading", [REP_QUEUED] = "queued",
		[REP_BUSY] = "hashing", [REP_READY] = "ready",     [REP_FAILED] = "failed"};

	return r->elsewhere ? "elsewhere" : r->n == 0 ? "unusable" : name[r->state];
}

static void put_rep(struct spate_buf *b, const struct rep *r)
{
	bool ready = r->state == REP_READY, below = !alone(r);

	spate_buf_text(b, "{\"id\":");
	spate_buf_json(b, r->id, strlen(r->id));
	spate_buf_printf(b, ",\"state\":\"%s\"", spate_rep_state(r));
	if (r->state == REP_FAILED)
		spate_buf_printf(b, ",\"reason\":\"%s\"", r->why);
	spate_buf_printf(b, ",\"bandwidth\":%llu,\"mime\":", (unsigned long long)r->bandwidth);
	spate_buf_json(b, r->mime, strlen(r->mime));
	spate_buf_printf(b, ",\"segments\":%u,\"hashed\":%u", r->n,
			 ready                  ? r->n
			 : r->state == REP_BUSY ? r->hashed
						: 0);
	if (ready)
		spate_buf_printf(b, ",\"bytes\":%llu", (unsigned long long)r->v1->t.bytes);
	if (!r->elsewhere && r->n > 0) {
		url_member(b, r, "torrent", below, ".torrent");
		url_member(b, r, "hybrid_torrent", below, ".hybrid.torrent");
		url_member(b, r, "file", true, strstr(r->mime, "webm") != NULL ? ".webm" : ".mp4");
		member(b, "magnet", ready ? &r->v1->magnet : NULL);
		member(b, "hybrid_magnet", ready ? &r->hybrid->magnet : NULL);
		hash_member(b, "infohash", ready ? r->v1->t.infohash : NULL, SPATE_INFOHASH_BYTES);
		hash_member(b, "hybrid_infohash", ready ? r->hybrid->t.infohash : NULL,
			    SPATE_INFOHASH_BYTES);
		hash_member(b, "hybrid_infohash_v2", ready ? r->hybrid->sha256 : NULL,
			    SPATE_SHA256_BYTES);
	}
	spate_buf_text(b, "}");
}

/* What is stored is published by this question too, once; nothing is hashed by it. */
static bool look_in_store(struct manifest *m)
{
	bool loading = false;

	for (uint32_t i = 0; i < m->n; i++) {
		struct rep *r = &m->reps[i];

		if (r->state == REP_NONE && !r->sought && !m->p->finishing)
			spate_keep_load(r);
		loading |= r->state == REP_LOADING;
	}
	return loading;
}

static bool say_index(struct spate_publisher_answer *a, struct manifest *m)
{
	struct spate_buf *b = &a->body;

	if (look_in_store(m))
		return false;
	a->status = 200;
	a->type = "application/json";
	spate_buf_text(b, "{\"manifest\":");
	spate_buf_json(b, m->url, m->len);
	/* A live one grows: its hashes are never whole. */
	spate_buf_printf(b, ",\"state\":\"%s\",\"representations\":[",
			 m->dynamic ? "live" : "static");
	for (uint32_t i = 0; i < m->n; i++) {
		if (i > 0)
			spate_buf_text(b, ",");
		put_rep(b, &m->reps[i]);
	}
	spate_buf_text(b, "]}\n");
	snprintf(a->etag, sizeof(a->etag), "\"%016llx\"",
		 (unsigned long long)XXH3_64bits(b->p, b->len));
	return true;
}

/* --- torrents --- */

static bool say_torrent(struct spate_publisher_answer *a, const struct spate_made *m)
{
	size_t n = 0;

	a->status = 200;
	a->type = "application/x-bittorrent";
	a->etag[n++] = '"';
	for (int i = 0; i < SPATE_INFOHASH_BYTES; i++)
		n += (size_t)snprintf(a->etag + n, 3, "%02x", m->t.infohash[i]);
	a->etag[n++] = '"';
	a->etag[n] = '\0';
	spate_buf_add(&a->body, m->file.p, m->file.len);
	return true;
}

static bool say_redirect(struct spate_publisher_answer *a, const struct rep *r,
			 const struct spate_torrent_url *u)
{
	char path[8192];

	if (spate_percent_decode(u->path, u->path_len, path, sizeof(path)))
		for (uint32_t i = 0; i < r->n; i++)
			if (r->seg[i].path != NULL && strcmp(r->seg[i].path, path) == 0) {
				a->status = 302;
				a->type = "text/plain; charset=utf-8";
				spate_buf_add(&a->body, r->seg[i].url, r->seg[i].url_len);
				return true;
			}
	return say(a, 404, "no such file in this torrent");
}

static bool say_zeros(struct spate_publisher *p, struct spate_publisher_answer *a, uint64_t n)
{
	if (n >= p->piece_bytes)
		return say(a, 404, "no pad is as long as a piece");
	a->status = 200;
	a->type = "application/octet-stream";
	a->zeros = n;
	snprintf(a->etag, sizeof(a->etag), "\"zeros-%llu\"", (unsigned long long)n);
	return true;
}

static bool of_rep(struct spate_publisher *p, struct rep *r, const struct spate_torrent_url *u,
		   struct spate_publisher_answer *a)
{
	if (u->kind == SPATE_TURL_FILE && spate_rep_prepare(r) == 0)
		return u->pad > 0 ? say_zeros(p, a, u->pad) : say_redirect(a, r, u);
	spate_rep_start(r);
	if (r->state == REP_LOADING)
		return false;
	if (r->state == REP_FAILED)
		return say(a, 502, r->why);
	if (r->state != REP_READY || u->kind == SPATE_TURL_WHOLE)
		return say_later(a, spate_rep_retry_s(r), "being completed");
	return say_torrent(a, u->kind == SPATE_TURL_V1 ? r->v1 : r->hybrid);
}

/* --- which manifest --- */

static bool in_folder(const struct manifest *m, const char *url, size_t dir)
{
	return m->dir == dir && memcmp(m->url, url, dir) == 0;
}

/*
 * ".../ID.torrent" does not say which manifest it belongs to: one in the same folder that we have
 * read; else one that we have seen go by; else one with a usual name. *wait: look again later.
 */
static struct rep *search(struct spate_publisher *p, struct spate_publisher_query *q,
			  const struct spate_torrent_url *u, bool *wait)
{
	static const char *const usual[] = {"manifest.mpd", "stream.mpd", "index.mpd", "dash.mpd"};
	struct rep *found = NULL;
	bool any = false;
	char url[8192];

	for (struct manifest *m = p->manifests, *next; m != NULL; m = next) {
		struct rep *r;

		next = m->next;
		if (!in_folder(m, q->url, u->dir))
			continue;
		any = any || m->state == MANIFEST_LOADED || m->state == MANIFEST_KNOWN;
		if (!spate_manifest_ready(m)) {
			*wait = true;
			return NULL;
		}
		r = spate_manifest_rep(m, u->id);
		/* The same whichever was asked for last. */
		if (r != NULL && (found == NULL || strcmp(m->url, found->m->url) < 0))
			found = r;
	}
	if (found != NULL || any)
		return found;
	while (q->guess < sizeof(usual) / sizeof(usual[0])) {
		int n = snprintf(url, sizeof(url), "%.*s%s", (int)u->dir, q->url,
				 usual[q->guess++]);
		struct manifest *m = n > 0 && (size_t)n < sizeof(url)
					     ? spate_manifest_get(p, url, (size_t)n, true)
					     : NULL;

		if (m != NULL && !spate_manifest_ready(m)) {
			*wait = true;
			return NULL;
		}
	}
	return NULL;
}

bool spate_publisher_answer_now(struct spate_publisher *p, struct spate_publisher_query *q,
				struct spate_publisher_answer *a)
{
	struct spate_torrent_url u;
	struct manifest *m;
	struct rep *r;
	bool wait = false;

	spate_torrent_url_parse(q->url, q->len, &u);
	if (u.kind == SPATE_TURL_NONE)
		return say(a, 404, "not found");
	if (u.kind == SPATE_TURL_PAD)
		return say_zeros(p, a, u.pad);
	if (u.manifest == 0) {
		r = search(p, q, &u, &wait);
		if (wait)
			return false;
		return r != NULL ? of_rep(p, r, &u, a)
				 : say(a, 404,
				       "no manifest known here has this representation: ask for "
				       "MANIFEST.torrents first");
	}
	m = spate_manifest_get(p, q->url, u.manifest, true);
	if (m == NULL)
		return say_later(a, 2, "no memory");
	if (!spate_manifest_ready(m))
		return false;
	if (m->state == MANIFEST_FAILED)
		return say_verdict(a, m);
	if (u.kind == SPATE_TURL_INDEX)
		return say_index(a, m);
	if (m->dynamic)
		return say(a, 404, "a live manifest has no torrents");
	r = spate_manifest_rep(m, u.id);
	return r != NULL ? of_rep(p, r, &u, a) : say(a, 404, "no such representation");
}

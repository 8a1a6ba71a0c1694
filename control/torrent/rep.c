/*
 * rep.c: one representation from its first segment to its torrents.
 *
 *     fetched      hashed                          a window of segments: fetched ahead, hashed in
 *        ▼            ▼                            order, for a piece of the concatenation may
 *     ───────[ 7 ][ 6 ][ 5 ][ 4 ]─────── order     begin in one and end in the next
 *              there  fills  hash thread
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/log/event.h"
#include "control/torrent/internal.h"
#include "dataplane/cache/write.h"

/* --- names --- */

/* A name for people and file systems: what may annoy either becomes '_'. */
static char *tidy(const char *p, size_t n)
{
	char *out = n < 200 ? strndup(p, n) : strndup(p, 200);

	for (char *c = out; c != NULL && *c != '\0'; c++)
		if ((uint8_t)*c < 0x20 || (uint8_t)*c >= 0x7f ||
		    strchr("/\\:*?\"<>|%", *c) != NULL || (c == out && *c == '.'))
			*c = '_';
	return out;
}

static const char *suffix_of(const struct rep *r)
{
	return strstr(r->mime, "webm") != NULL ? "webm" : "mp4";
}

static bool plain(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!((p[i] >= '0' && p[i] <= '9') ||
		      ((p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'z') ||
		      strchr("-._~/", p[i]) != NULL))
			return false;
	return true;
}

/*
 * Can a client that puts url-list, name and path together arrive at the segments' own URLs? The
 * manifest's folder must have a name, the segments lie in it, and no character be one that clients
 * encode each in their own way.
 */
static bool names_itself(const struct rep *r)
{
	const struct manifest *m = r->m;

	if (m->dir < 2 || !plain(m->url, m->dir))
		return false;
	for (uint32_t i = 0; i < r->n; i++) {
		const struct segment *s = &r->seg[i];

		if (s->url_len <= m->dir || memcmp(s->url, m->url, m->dir) != 0 ||
		    !plain(s->url, s->url_len) || !spate_torrent_path_ok(s->url + m->dir))
			return false;
	}
	return true;
}

/* The segment's path below the manifest, if that is fit to be a file's name; else a number. */
static char *path_of(const struct rep *r, uint32_t i)
{
	const struct segment *s = &r->seg[i];
	const char *query = strchr(s->url, '?');
	size_t len = query != NULL ? (size_t)(query - s->url) : s->url_len;
	char path[8192], *out = NULL;

	if (query == NULL && len > r->m->dir && memcmp(s->url, r->m->url, r->m->dir) == 0 &&
	    spate_percent_decode(s->url + r->m->dir, len - r->m->dir, path, sizeof(path)) &&
	    spate_torrent_path_ok(path) && !spate_make_path_within(path, ".pad"))
		return strdup(path);
	if (asprintf(&out, "%06u.%s", i, suffix_of(r)) < 0)
		return NULL;
	return out;
}

static int by_path(const void *a, const void *b)
{
	const struct segment *const *x = a, *const *y = b;

	return spate_make_path_order((*x)->path, (*y)->path);
}

/*
 * Which file is the last one in the torrent's order; all others are padded. Paths must differ, and
 * none be a folder that another lies in.
 */
static int order(struct rep *r)
{
	struct segment **list = malloc((r->n + 1) * sizeof(*list));
	bool twice = false;

	if (list == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < r->n; i++)
		list[i] = &r->seg[i];
	qsort(list, r->n, sizeof(*list), by_path);
	for (uint32_t i = 0; i < r->n; i++) {
		list[i]->pad = i + 1 < r->n;
		if (i > 0 && spate_make_path_within(list[i]->path, list[i - 1]->path))
			twice = true;
	}
	free(list);
	return twice ? -EEXIST : 0;
}

static int number_paths(struct rep *r)
{
	r->redirects = true;
	for (uint32_t i = 0; i < r->n; i++) {
		free(r->seg[i].path);
		if (asprintf(&r->seg[i].path, "%06u.%s", i, suffix_of(r)) < 0) {
			r->seg[i].path = NULL;
			return -ENOMEM;
		}
	}
	return order(r);
}

int spate_rep_prepare(struct rep *r)
{
	const char *url = r->m->url, *base = url + r->m->dir;
	size_t stem = strcspn(base, ".?"), folder = r->m->dir - 1;
	char *id = tidy(r->id, strlen(r->id)), *where;
	int rc;

	if (r->name != NULL) {
		free(id);
		return 0; /* prepared before */
	}
	r->redirects = !names_itself(r);
	while (folder > 0 && url[folder - 1] != '/')
		folder--;
	where = r->m->dir > 1 ? tidy(url + folder, r->m->dir - 1 - folder) : tidy(base, stem);
	if (id == NULL || where == NULL)
		goto no_memory;
	if (asprintf(&r->name, "%s-%s.%s", *where != '\0' ? where : "video", id, suffix_of(r)) <
	    0) {
		r->name = NULL;
		goto no_memory;
	}
	r->hybrid_name = r->redirects ? strndup(r->name, strlen(r->name) - strlen(suffix_of(r)) - 1)
				      : strndup(url + folder, r->m->dir - 1 - folder);
	free(id);
	free(where);
	if (r->hybrid_name == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < r->n; i++) {
		r->seg[i].path = path_of(r, i);
		if (r->seg[i].path == NULL)
			return -ENOMEM;
	}
	rc = order(r);
	return rc == -EEXIST ? number_paths(r) : rc;

no_memory:
	free(id);
	free(where);
	return -ENOMEM;
}

/* --- the end of a job --- */

static void map_remove(struct rep *r)
{
	for (uint32_t i = 0; i < r->n; i++)
		for (struct segment **at = &r->m->p->map[r->seg[i].key.lo % MAP]; *at != NULL;
		     at = &(*at)->next)
			if (*at == &r->seg[i]) {
				*at = r->seg[i].next;
				break;
			}
}

static void map_add(struct rep *r)
{
	for (uint32_t i = 0; i < r->n; i++) {
		struct segment **at = &r->m->p->map[r->seg[i].key.lo % MAP];

		r->seg[i].next = *at;
		*at = &r->seg[i];
	}
}

/* What only the work needed; the tags stay. */
void spate_rep_drop_hashes(struct rep *r)
{
	spate_hasher_destroy(r->hasher);
	r->hasher = NULL;
	free(r->pieces);
	r->pieces = NULL;
	r->npieces = 0;
	for (uint32_t i = 0; i < r->n; i++)
		spate_hashed_file_free(&r->seg[i].hash);
}

static void leave_job(struct rep *r)
{
	for (unsigned i = 0; i < WINDOW; i++)
		spate_want_release(&r->slot[i].want);
	spate_rep_drop_hashes(r);
	r->m->p->jobs--;
	spate_rep_next(r->m->p);
	spate_publisher_kick(r->m->p);
}

/* Ends as soon as nothing of it is under way any more. */
static void fail(struct rep *r, const char *why)
{
	if (!r->stopping) {
		r->stopping = true;
		r->why = why;
		SPATE_COUNT(r->m->p->s.env->stats, torrent_failed);
		spate_event(torrent_failed, SPATE_F_STR("manifest", r->m->url),
			    SPATE_F_STR("representation", r->id), SPATE_F_STR("reason", why));
	}
	if (r->hashing)
		return;
	for (unsigned i = 0; i < WINDOW; i++)
		if (r->slot[i].want.busy)
			return;
	r->state = REP_FAILED;
	r->failed_us = spate_loop_now_us(r->m->p->s.env->loop);
	leave_job(r);
}

static struct spate_meta *meta_of(struct rep *r, const struct spate_made *m)
{
	static const char form[] = "Content-Type: %s\r\nETag: \"";
	struct spate_meta *meta = calloc(1, sizeof(*meta) + 128);
	const char *type = strstr(r->mime, "webm") != NULL      ? "video/webm"
			   : strncmp(r->mime, "audio/", 6) == 0 ? "audio/mp4"
								: "video/mp4";
	int n;

	if (meta == NULL)
		return NULL;
	n = snprintf(meta->head, 100, form, type);
	meta->etag_off = (uint16_t)(n - 1);
	for (int i = 0; i < SPATE_INFOHASH_BYTES; i++)
		n += snprintf(meta->head + n, 4, "%02x", m->t.infohash[i]);
	n += snprintf(meta->head + n, 4, "\"\r\n");
	meta->etag_len = (uint16_t)(n - 2 - meta->etag_off);
	meta->head_len = (uint16_t)n;
	meta->status = 200;
	meta->cacheable = true;
	meta->last_modified_s = -1;
	meta->date_s = meta->stored_s = spate_loop_wall_s(r->m->p->s.env->loop);
	return meta;
}

static int make_both(struct rep *r)
{
	struct spate_publisher *p = r->m->p;
	const struct spate_torrent_edge *e = p->edge;
	struct spate_make_part *parts = calloc(r->n, sizeof(*parts));
	struct spate_buf file_url = {0}, seed = {0};
	struct spate_make in = {
		.name = r->name,
		.piece_bytes = p->piece_bytes,
		.parts = parts,
		.n = r->n,
		.pieces = r->pieces,
		.npieces = r->npieces,
		.trackers = (const char *const *)e->trackers,
		.ntrackers = e->ntrackers,
		.key = e->is_signed ? &e->key : NULL,
		.announce = (const char *const *)e->announce,
		.nannounce = e->nannounce,
		.peers = (const char *const *)e->peers,
		.npeers = e->npeers,
	};
	size_t up = r->m->dir - 1;
	int rc = -ENOMEM;

	if (parts == NULL)
		goto done;
	for (uint32_t i = 0; i < r->n; i++)
		parts[i] = (struct spate_make_part){.url = r->seg[i].url,
						    .url_len = r->seg[i].url_len,
						    .tag = r->seg[i].tag,
						    .path = r->seg[i].path,
						    .hash = &r->seg[i].hash};
	spate_buf_add(&file_url, r->m->url, r->m->len);
	spate_buf_text(&file_url, ".torrents/");
	spate_torrent_url_id(&file_url, r->id);
	spate_buf_printf(&file_url, ".%s", suffix_of(r));
	spate_buf_add(&file_url, "", 1);
	spate_buf_printf(&seed, "%s%s", e->base, file_url.failed ? "" : file_url.p);
	spate_buf_add(&seed, "", 1);
	if (file_url.failed || seed.failed)
		goto done;
	in.file_url = file_url.p;
	in.webseed = *e->base != '\0' ? seed.p : NULL;
	rc = spate_make_v1(&in, &r->v1);
	if (rc < 0)
		goto done;
	seed.len = 0;
	spate_buf_text(&seed, e->base);
	if (r->redirects) {
		spate_buf_add(&seed, r->m->url, r->m->len);
		spate_buf_text(&seed, ".torrents/");
		spate_torrent_url_id(&seed, r->id);
		spate_buf_text(&seed, "/");
	} else {
		while (up > 0 && r->m->url[up - 1] != '/')
			up--;
		spate_buf_add(&seed, r->m->url, up);
	}
	spate_buf_add(&seed, "", 1);
	rc = -ENOMEM;
	if (seed.failed)
		goto done;
	in.webseed = *e->base != '\0' ? seed.p : NULL;
	in.name = r->hybrid_name;
	in.file_url = NULL;
	rc = spate_make_hybrid(&in, &r->hybrid);
	if (rc == 0 && (r->v1->t.file_meta = meta_of(r, r->v1)) == NULL)
		rc = -ENOMEM;
done:
	if (rc < 0) {
		spate_made_free(r->v1);
		spate_made_free(r->hybrid);
		r->v1 = r->hybrid = NULL;
	}
	free(parts);
	free(file_url.p);
	free(seed.p);
	return rc;
}

int spate_rep_ready(struct rep *r)
{
	int rc = make_both(r);

	if (rc < 0)
		return rc;
	r->state = REP_READY;
	r->bytes = spate_made_bytes(r->v1) + spate_made_bytes(r->hybrid);
	r->m->p->used += r->bytes;
	map_add(r);
	return 0;
}

/* Of a segment that is not in the map yet nobody tells us: those hashed first are looked at once
 * more. */
static bool has_changed(const struct rep *r)
{
	for (uint32_t i = 0; i < r->n; i++)
		if (spate_keep_differs(r->m->p->s.env->cache, &r->seg[i], r->seg[i].tag))
			return true;
	return false;
}

static void finish(struct rep *r)
{
	struct spate_publisher *p = r->m->p;
	int rc;

	if (has_changed(r)) {
		fail(r, "a segment has changed meanwhile");
		return;
	}
	rc = spate_hasher_whole(r->hasher, &r->pieces, &r->npieces);
	if (rc == 0)
		rc = spate_rep_ready(r);
	if (rc < 0) {
		fail(r, rc == -ENOMEM ? "no memory" : "a segment is empty");
		return;
	}
	SPATE_COUNT_N(p->s.env->stats, torrent_pieces, r->v1->t.pieces + r->hybrid->t.pieces);
	spate_event(torrent_ready, SPATE_F_STR("manifest", r->m->url),
		    SPATE_F_STR("representation", r->id), SPATE_F_U64("bytes", r->v1->t.bytes),
		    SPATE_F_U64("ms", (spate_loop_now_us(p->s.env->loop) - r->began_us) / 1000));
	spate_keep_save(r);
	leave_job(r);
	spate_publisher_trim(p, r);
	spate_publisher_changed(p);
}

/* --- at work --- */

static void advance(struct rep *r);

static void on_hashed(struct spate_hash_job *job)
{
	struct slot *s = (struct slot *)((char *)job - offsetof(struct slot, job));
	struct rep *r = s->rep;
	struct segment *seg = &r->seg[s->index];

	r->hashing = false;
	r->m->p->hashing--;
	seg->hash = job->out;
	spate_want_release(&s->want);
	s->used = s->there = false;
	r->hashed++;
	SPATE_COUNT_N(r->m->p->s.env->stats, torrent_hashed_bytes, seg->hash.len);
	if (job->rc < 0)
		fail(r, "no memory");
	else if (r->stopping)
		fail(r, r->why);
	else
		advance(r);
}

static void on_segment(struct want *w, struct spate_object *o, enum spate_fetch_verdict v)
{
	struct slot *s = (struct slot *)w;
	struct rep *r = s->rep;
	const struct spate_meta *meta =
		o != NULL ? atomic_load_explicit(&o->meta, memory_order_relaxed) : NULL;

	if (r->stopping)
		fail(r, r->why);
	else if (o == NULL)
		fail(r, v == SPATE_FETCH_NOT_FOUND   ? "a segment is missing"
			: v == SPATE_FETCH_TOO_LARGE ? "a segment is too large for the cache"
						     : "a segment cannot be had");
	else if (meta->status != 200)
		fail(r, "a segment is missing");
	else if (!meta->cacheable)
		fail(r, "a segment is not for everybody");
	else {
		r->seg[s->index].tag = spate_torrent_tag(
			meta, atomic_load_explicit(&o->size, memory_order_relaxed));
		if (meta->etag_len == 0 && meta->last_modified_s < 0)
			r->unproven = true;
		s->there = true;
		advance(r);
	}
}

static void advance(struct rep *r)
{
	struct spate_publisher *p = r->m->p;
	struct slot *next = &r->slot[r->hashed % WINDOW];

	if (r->hashed == r->n) {
		finish(r);
		return;
	}
	if (!r->hashing && next->used && next->there) {
		r->hashing = true;
		p->hashing++;
		next->job = (struct spate_hash_job){.hasher = r->hasher,
						    .object = next->want.object,
						    .pad = r->seg[r->hashed].pad,
						    .done = on_hashed};
		spate_hash_thread_submit(p->thread, &next->job);
	}
	while (r->fetched < r->n && r->fetched < r->hashed + WINDOW && !r->stopping) {
		struct slot *s = &r->slot[r->fetched % WINDOW];
		const struct segment *seg = &r->seg[r->fetched];

		s->rep = r;
		s->index = r->fetched++;
		s->used = true;
		s->there = false;
		spate_want(p, &s->want, seg->url, seg->url_len, on_segment);
	}
}

static void begin(struct rep *r)
{
	struct spate_publisher *p = r->m->p;
	int rc = spate_rep_prepare(r);

	r->state = REP_BUSY;
	r->stopping = r->hashing = r->unproven = false;
	r->fetched = r->hashed = 0;
	r->began_us = spate_loop_now_us(p->s.env->loop);
	memset(r->slot, 0, sizeof(r->slot));
	p->jobs++;
	if (rc == 0)
		rc = spate_hasher_create(&r->hasher, p->piece_bytes);
	if (rc < 0)
		fail(r, "no memory");
	else if (r->n == 0)
		fail(r, r->elsewhere ? "its segments lie elsewhere" : "it has no segments");
	else
		advance(r);
}

void spate_rep_next(struct spate_publisher *p)
{
	while (p->queue != NULL && p->jobs < JOBS && !p->finishing) {
		struct rep *r = p->queue;

		p->queue = r->next;
		if (p->queue == NULL)
			p->queue_end = &p->queue;
		begin(r);
	}
}

void spate_rep_queue(struct rep *r)
{
	struct spate_publisher *p = r->m->p;

	r->state = REP_QUEUED;
	r->next = NULL;
	*p->queue_end = r;
	p->queue_end = &r->next;
	spate_rep_next(p);
}

void spate_rep_start(struct rep *r)
{
	struct spate_publisher *p = r->m->p;

	r->asked_us = spate_loop_now_us(p->s.env->loop);
	spate_rep_look(r);
	if (p->finishing || (r->state == REP_FAILED && r->asked_us - r->failed_us < FAILED_KEEP_US))
		return;
	if (r->state == REP_NONE || r->state == REP_FAILED)
		if (!spate_keep_load(r))
			spate_rep_queue(r);
	if (r->state == REP_READY)
		spate_keep_used(r);
	r->wanted = true;
}

void spate_rep_withdraw(struct rep *r, const char *why)
{
	struct spate_publisher *p = r->m->p;

	switch (r->state) {
	case REP_NONE:
	case REP_FAILED:
		return;
	case REP_QUEUED:
		for (struct rep **at = &p->queue; *at != NULL; at = &(*at)->next)
			if (*at == r) {
				*at = r->next;
				if (*at == NULL)
					p->queue_end = at;
				break;
			}
		r->state = REP_NONE;
		return;
	case REP_LOADING:
		r->stopping = true;
		return;
	case REP_BUSY:
		fail(r, why);
		return;
	case REP_READY:
		break;
	}
	r->state = REP_NONE;
	map_remove(r);
	p->used -= r->bytes;
	SPATE_COUNT(p->s.env->stats, torrent_withdrawn);
	spate_event(torrent_withdrawn, SPATE_F_STR("manifest", r->m->url),
		    SPATE_F_STR("representation", r->id), SPATE_F_STR("reason", why));
	spate_publisher_retire(p, r->v1);
	spate_publisher_retire(p, r->hybrid);
	r->v1 = r->hybrid = NULL;
	spate_publisher_changed(p);
}

void spate_rep_look(struct rep *r)
{
	/* Both forms are of the same segments. */
	if (r->state == REP_READY &&
	    (atomic_load_explicit(&r->v1->t.withdrawn, memory_order_acquire) ||
	     atomic_load_explicit(&r->hybrid->t.withdrawn, memory_order_acquire)))
		spate_rep_forget(r, "its content has changed");
}

void spate_rep_forget(struct rep *r, const char *why)
{
	spate_rep_withdraw(r, why);
	spate_keep_remove(r);
}

void spate_rep_free(struct rep *r)
{
	for (uint32_t i = 0; r->seg != NULL && i < r->n; i++) {
		free(r->seg[i].url);
		free(r->seg[i].path);
		spate_hashed_file_free(&r->seg[i].hash);
	}
	spate_hasher_destroy(r->hasher);
	free(r->pieces);
	free(r->seg);
	free(r->id);
	free(r->mime);
	free(r->name);
	free(r->hybrid_name);
}

/* As long again as it took so far for each of what is left; 1 to 30 s. */
unsigned spate_rep_retry_s(const struct rep *r)
{
	uint64_t took = spate_loop_now_us(r->m->p->s.env->loop) - r->began_us, s;

	if (r->state != REP_BUSY || r->hashed == 0)
		return r->state == REP_QUEUED ? 5 : 1;
	s = took * (r->n - r->hashed) / r->hashed / 1000000;
	return s < 1 ? 1 : s > 30 ? 30 : (unsigned)s;
}

/*
 * fill.c: what becomes of a fetch.
 *
 *     fetch ─► (object is there) ──────────────────────────────► reply
 *        │ joins
 *        ▼
 *     WAIT ──head──► OPEN (slot, publish, first block) ──► STREAM ──end──► complete | fail
 *        │              │ no room: stalled, again each turn
 *        └─ 304, error: reply, no object
 */
#include "control/origin/fill.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/log/event.h"
#include "dataplane/cache/write.h"

#define BUCKETS 1024 /* fills in flight are hundreds, not millions */
/* How long past its freshness an object still stands in for an origin that fails. */
#define STALE_MAX_S 600
/*
 * Not asked again for a stale object: an origin that was out of reach this recently; and, when it
 * answered with an error, for that object only: an error about one URL is no disconnection.
 */
#define ORIGIN_DOWN_US 1000000u
#define FAILED_KEPT    256 /* objects; a collision only asks once more */
/* At the end: for ops that are cancelled to come back. */
#define END_MAX_US 2000000u

struct spate_fill {
	struct spate_fill *next; /* in its bucket */
	struct spate_fill *all_next, **all_prev;
	struct spate_fill *stalled_next, **stalled_prev;
	struct spate_fills *fills;
	struct spate_origin *origin;
	const struct spate_source_ops *ops;
	struct spate_key key;
	struct spate_miss *waiting, **waiting_end;
	struct spate_object *object; /* held */
	struct spate_object *stale;  /* held */
	struct spate_fill_head head;
	struct spate_timer room_timer;
	uint64_t start_us;
	uint32_t origin_us;
	bool in_table;
	bool headed;    /* spate_fill_head was called */
	bool published; /* head.meta is the cache's */
	bool replied;   /* those who waited have the object; who comes now gets it at once */
	bool answered;  /* those who waited have something else: nothing is left to say */
	bool purged;    /* must not enter the index any more */
	bool source_ended, stopping;
	size_t url_len;
	char *url;
	_Alignas(64) char source[];
};

struct spate_fills {
	struct spate_fill_env *env;
	struct spate_fill *bucket[BUCKETS];
	struct spate_fill *all, *stalled;
	unsigned count;
	bool ending; /* freed by the last fill, should it come back */
	struct {
		struct spate_key key;
		uint64_t at_us;
	} failed[FAILED_KEPT]; /* which stale objects could not be revalidated, and when */
};

/* --- the table --- */

static bool same_key(const struct spate_key *a, const struct spate_key *b)
{
	return a->lo == b->lo && a->hi == b->hi;
}

static struct spate_fill *find(struct spate_fills *fs, const struct spate_key *key)
{
	struct spate_fill *f = fs->bucket[key->lo % BUCKETS];

	while (f != NULL && !same_key(&f->key, key))
		f = f->next;
	return f;
}

static void table_add(struct spate_fill *f)
{
	struct spate_fill **b = &f->fills->bucket[f->key.lo % BUCKETS];

	f->next = *b;
	*b = f;
	f->in_table = true;
}

static void table_del(struct spate_fill *f)
{
	if (!f->in_table)
		return;
	for (struct spate_fill **p = &f->fills->bucket[f->key.lo % BUCKETS]; *p != NULL;
	     p = &(*p)->next)
		if (*p == f) {
			*p = f->next;
			break;
		}
	f->in_table = false;
}

static void unstall(struct spate_fill *f)
{
	if (f->stalled_prev == NULL)
		return;
	*f->stalled_prev = f->stalled_next;
	if (f->stalled_next != NULL)
		f->stalled_next->stalled_prev = f->stalled_prev;
	f->stalled_prev = NULL;
}

static void destroy(struct spate_fill *f)
{
	struct spate_fills *fs = f->fills;
	struct spate_cache *c = fs->env->cache;

	assert(f->waiting == NULL);
	table_del(f);
	unstall(f);
	spate_loop_timer_stop(fs->env->loop, &f->room_timer);
	if (f->object != NULL) {
		f->object->fill = NULL;
		spate_cache_release(c, f->object);
	}
	if (f->stale != NULL)
		spate_cache_release(c, f->stale);
	if (!f->published)
		free(f->head.meta);
	*f->all_prev = f->all_next;
	if (f->all_next != NULL)
		f->all_next->all_prev = f->all_prev;
	fs->count--;
	f->origin->fills--;
	spate_origin_unref(f->origin);
	free(f);
	if (fs->ending && fs->count == 0)
		free(fs);
}

/* --- answers --- */

static void reply(struct spate_fills *fs, struct spate_miss *m, struct spate_object *o,
		  enum spate_fetch_verdict v, uint32_t origin_us)
{
	m->origin_us = origin_us;
	m->next = NULL;
	if (o != NULL)
		spate_cache_hold(fs->env->cache, o);
	fs->env->reply(fs->env, m, o, v);
}

static void reply_waiting(struct spate_fill *f, struct spate_object *o, enum spate_fetch_verdict v)
{
	struct spate_miss *m = f->waiting, *next;

	f->waiting = NULL;
	f->waiting_end = &f->waiting;
	for (; m != NULL; m = next) {
		next = m->next;
		reply(f->fills, m, o, v, f->origin_us);
	}
}

static void progress(struct spate_fill *f, uint64_t workers)
{
	if (workers != 0)
		f->fills->env->progress(f->fills->env, f->object, workers);
}

/*
 * RFC 9111 4.2.4: stale may be sent when the cache is disconnected, and (4.3.3) a 5xx while
 * validating may be taken as that, unless the response forbade it (must-revalidate,
 * proxy-revalidate, s-maxage, no-cache). For at most STALE_MAX_S, for a viewer is better off with
 * an error than with a manifest of yesterday.
 */
static bool stale_usable(struct spate_fills *fs, struct spate_object *o)
{
	const struct spate_meta *meta;

	if (o == NULL ||
	    atomic_load_explicit(&o->state, memory_order_relaxed) != SPATE_OBJECT_COMPLETE)
		return false;
	meta = atomic_load_explicit(&o->meta, memory_order_relaxed);
	return meta != NULL && !meta->must_revalidate &&
	       spate_loop_wall_s(fs->env->loop) <
		       atomic_load_explicit(&o->expires_s, memory_order_relaxed) + STALE_MAX_S;
}

static void note_failed(struct spate_fill *f)
{
	struct spate_fills *fs = f->fills;

	fs->failed[f->key.lo % FAILED_KEPT].key = f->key;
	fs->failed[f->key.lo % FAILED_KEPT].at_us = spate_loop_now_us(fs->env->loop);
}

static bool failed_just_now(const struct spate_fills *fs, const struct spate_origin *o,
			    const struct spate_key *key)
{
	uint64_t now = spate_loop_now_us(fs->env->loop);
	unsigned i = key->lo % FAILED_KEPT;

	return (o->failed_us != 0 && now - o->failed_us < ORIGIN_DOWN_US) ||
	       (fs->failed[i].at_us != 0 && same_key(&fs->failed[i].key, key) &&
		now - fs->failed[i].at_us < ORIGIN_DOWN_US);
}

/*
 * The new one broke off in the middle: what it had replaced stands in as if the origin had said
 * nothing at all, and for the next moment to everybody, so that not each viewer is cut in turn.
 */
static void put_back(struct spate_fill *f)
{
	if (f->head.share == SPATE_SHARE_STORE && !f->purged && stale_usable(f->fills, f->stale) &&
	    spate_cache_put_back(f->fills->env->cache, f->stale))
		note_failed(f);
}

/* Nothing will come of this fill (any more): tells everybody. The source may still have to end. */
static void fail(struct spate_fill *f, enum spate_fetch_verdict v)
{
	struct spate_fill_env *env = f->fills->env;
	uint64_t workers = 0;

	if (f->answered)
		return;
	f->answered = true;
	table_del(f);
	if (v == SPATE_FETCH_TIMEOUT)
		SPATE_COUNT(env->stats, origin_timeouts);
	else if (v == SPATE_FETCH_BAD_GATEWAY)
		SPATE_COUNT(env->stats, origin_errors);
	if (f->object != NULL) {
		if (f->replied)
			SPATE_COUNT(env->stats, origin_short);
		spate_cache_fail(env->cache, f->object, &workers);
		put_back(f);
		progress(f, workers);
		if (env->ended != NULL)
			env->ended(env, f->object, f->url, f->url_len, false);
	} else if (v == SPATE_FETCH_BAD_GATEWAY || v == SPATE_FETCH_TIMEOUT) {
		if (v == SPATE_FETCH_TIMEOUT)
			spate_fill_origin_down(f);
		note_failed(f);
		if (stale_usable(f->fills, f->stale)) {
			reply_waiting(f, f->stale, SPATE_FETCH_STALE);
			return;
		}
	} else if (v == SPATE_FETCH_NOT_FOUND && f->stale != NULL) {
		spate_cache_remove(env->cache, f->stale); /* the file is gone */
	}
	reply_waiting(f, NULL, v);
}

static void tell_done(struct spate_fill *f)
{
	spate_event(
		fetch_done, SPATE_F_STRN("url", f->url, f->url_len),
		SPATE_F_U64("status",
			    atomic_load_explicit(&f->object->meta, memory_order_relaxed)->status),
		SPATE_F_U64("bytes",
			    atomic_load_explicit(&f->object->filled, memory_order_relaxed)),
		SPATE_F_U64("origin_us", f->origin_us));
}

/* --- room --- */

/* Ends a fill that its source has not ended. */
static void stop(struct spate_fill *f, enum spate_fetch_verdict v)
{
	fail(f, v);
	unstall(f);
	if (f->source_ended) {
		destroy(f);
	} else if (!f->stopping) {
		f->stopping = true;
		f->ops->stop(f);
	}
}

static void on_no_room(struct spate_timer *t)
{
	stop((struct spate_fill *)((char *)t - offsetof(struct spate_fill, room_timer)),
	     SPATE_FETCH_NO_ROOM);
}

static void stall(struct spate_fill *f)
{
	struct spate_fills *fs = f->fills;

	if (f->stalled_prev != NULL)
		return;
	f->stalled_next = fs->stalled;
	if (fs->stalled != NULL)
		fs->stalled->stalled_prev = &f->stalled_next;
	f->stalled_prev = &fs->stalled;
	fs->stalled = f;
	if (!f->room_timer.set) {
		SPATE_COUNT(fs->env->stats, cache_no_room);
		spate_event(cache_no_room, SPATE_F_STRN("url", f->url, f->url_len));
		spate_loop_timer(fs->env->loop, &f->room_timer, fs->env->limits.room_ms,
				 on_no_room);
	}
}

/*
 * The answer is not to be kept; is what we have no answer either any more? Not after a success, nor
 * when it is gone, nor when we made the answer (an origin's 5xx has no head here). Any other status
 * (429, 403, a redirect for now) is about this request, and the next one may hear that nothing has
 * changed; one that says for how long it holds is kept itself.
 */
static void drop_stale(struct spate_fill *f, unsigned status)
{
	if (f->stale != NULL && (status < 300 || status == 404 || status == 410 || status >= 500))
		spate_cache_remove(f->fills->env->cache, f->stale);
}

/*
 * From head to replies: a slot, then the index, then the first block, so that who gets an object
 * can count on its beginning. False: stalled, or failed.
 */
static bool open_object(struct spate_fill *f)
{
	struct spate_fill_env *env = f->fills->env;
	struct iovec iov;
	unsigned n;

	if (f->object == NULL) {
		struct spate_object *o;
		bool keep = f->head.share == SPATE_SHARE_STORE && !f->purged;
		unsigned status = f->head.meta->status;

		o = keep ? spate_cache_insert(env->cache, &f->key)
			 : spate_cache_insert_private(env->cache, &f->key);
		if (o == NULL) {
			stall(f);
			return false;
		}
		if (spate_cache_publish(env->cache, o, f->head.meta, f->head.size,
					f->head.expires_s) < 0) {
			spate_cache_release(env->cache, o);
			fail(f, SPATE_FETCH_TOO_LARGE);
			return false;
		}
		f->published = true;
		f->object = o;
		o->fill = f;
		o->origin = f->origin->id;
		if (!keep)
			drop_stale(f, status);
	}
	if (f->head.size != 0 && spate_cache_room(env->cache, f->object, 1, &iov, 1, &n) == 0) {
		stall(f);
		return false;
	}
	/* The source may not need any for long: it has to hear from its origin first. */
	spate_loop_timer_stop(env->loop, &f->room_timer);
	f->replied = true;
	reply_waiting(f, f->object, SPATE_FETCH_OK);
	return true;
}

static void finish(struct spate_fill *f)
{
	struct spate_fill_env *env = f->fills->env;
	uint64_t workers = 0;

	spate_cache_complete(env->cache, f->object, &workers);
	progress(f, workers);
	if (env->ended != NULL)
		env->ended(env, f->object, f->url, f->url_len, true);
	f->answered = true;
	tell_done(f);
	destroy(f);
}

void spate_fills_turn(struct spate_fills *fs)
{
	struct spate_fill *list = fs->stalled;

	/* Onto a list of our own: who finds no room again goes back on the other. */
	fs->stalled = NULL;
	if (list != NULL)
		list->stalled_prev = &list;
	while (list != NULL) {
		struct spate_fill *f = list;

		unstall(f);
		if (!f->replied && !open_object(f)) {
			if (f->answered)
				stop(f, SPATE_FETCH_TOO_LARGE);
			continue;
		}
		if (f->source_ended)
			finish(f);
		else
			f->ops->resume(f);
	}
}

/* --- what sources call --- */

/* no-store, private: the first who asked may have it; everybody else asks for himself. */
static void send_others_away(struct spate_fill *f)
{
	struct spate_miss *m, *next;

	table_del(f);
	drop_stale(f, f->head.meta->status);
	if (f->waiting == NULL)
		return;
	m = f->waiting->next;
	f->waiting->next = NULL;
	f->waiting_end = &f->waiting->next;
	for (; m != NULL; m = next) {
		next = m->next;
		m->next = NULL;
		m->pass = true;
		m->coalesced = false;
		spate_fills_fetch(f->fills, m);
	}
}

static uint64_t largest(const struct spate_fill_env *env)
{
	uint64_t fits = spate_cache_max_object(env->cache), asked = env->limits.object_bytes;

	return asked != 0 && asked < fits ? asked : fits;
}

bool spate_fill_head(struct spate_fill *f, const struct spate_fill_head *h)
{
	struct spate_fill_env *env = f->fills->env;

	assert(!f->headed);
	f->headed = true;
	f->head = *h;
	f->origin_us = h->meta->fill_us;
	if (f->ops == &spate_source_http || f->ops == &spate_source_dir)
		f->origin->failed_us = 0;
	if (f->answered)
		return false;
	if (h->not_modified) {
		assert(f->stale != NULL);
		spate_cache_refresh(env->cache, f->stale, h->meta, h->expires_s);
		f->published = true;
		f->answered = true;
		table_del(f);
		if (h->share != SPATE_SHARE_STORE)
			spate_cache_remove(env->cache, f->stale);
		SPATE_COUNT(env->stats, origin_304);
		reply_waiting(f, f->stale, SPATE_FETCH_OK);
		return false;
	}
	if (h->share == SPATE_SHARE_FIRST)
		send_others_away(f);
	if (h->size != SPATE_SIZE_UNKNOWN && h->size > largest(env)) {
		fail(f, SPATE_FETCH_TOO_LARGE);
		return false;
	}
	open_object(f);
	return !f->answered;
}

uint64_t spate_fill_room(struct spate_fill *f, uint64_t want, struct iovec *iov, unsigned max,
			 unsigned *n)
{
	struct spate_fill_env *env = f->fills->env;
	uint64_t room = 0;

	if (f->replied)
		room = spate_cache_room(env->cache, f->object, want, iov, max, n);
	if (room == 0)
		stall(f);
	else
		spate_loop_timer_stop(env->loop, &f->room_timer);
	return room;
}

bool spate_fill_filled(struct spate_fill *f, uint64_t n)
{
	struct spate_fill_env *env = f->fills->env;
	uint64_t max = largest(env);

	if (f->answered)
		return false;
	SPATE_COUNT_N(env->stats, origin_bytes, n);
	progress(f, spate_cache_filled(env->cache, f->object, n));
	/* Of unknown size it could only wait for room that never comes. */
	if (f->head.size == SPATE_SIZE_UNKNOWN &&
	    atomic_load_explicit(&f->object->filled, memory_order_relaxed) >= max) {
		fail(f, SPATE_FETCH_TOO_LARGE);
		return false;
	}
	return true;
}

void spate_fill_end(struct spate_fill *f, enum spate_fetch_verdict v)
{
	assert(!f->source_ended);
	f->source_ended = true;
	if (!f->answered && v == SPATE_FETCH_OK && f->headed) {
		if (f->replied)
			finish(f);
		return; /* else: an empty body that still waits for its slot */
	}
	if (!f->headed)
		f->origin_us = (uint32_t)(spate_loop_now_us(f->fills->env->loop) - f->start_us);
	fail(f, v == SPATE_FETCH_OK ? SPATE_FETCH_BAD_GATEWAY : v);
	destroy(f);
}

void *spate_fill_source(struct spate_fill *f)
{
	return f->source;
}

struct spate_fill *spate_fill_of_source(void *source)
{
	return (struct spate_fill *)((char *)source - offsetof(struct spate_fill, source));
}

struct spate_fill_env *spate_fill_env(struct spate_fill *f)
{
	return f->fills->env;
}

struct spate_origin *spate_fill_origin(struct spate_fill *f)
{
	return f->origin;
}

void spate_fill_origin_down(struct spate_fill *f)
{
	f->origin->failed_us = spate_loop_now_us(f->fills->env->loop);
}

const char *spate_fill_url(struct spate_fill *f, size_t *len)
{
	*len = f->url_len;
	return f->url;
}

/*
 * A validator means something to the origin that made it only (RFC 9110 8.8): after a reload that
 * put another one in its place, the object may stand in for an error, and that is all.
 */
const struct spate_meta *spate_fill_stale(struct spate_fill *f)
{
	if (f->stale == NULL || f->stale->origin != f->origin->id)
		return NULL;
	return atomic_load_explicit(&f->stale->meta, memory_order_relaxed);
}

/* --- what control calls --- */

static const struct spate_source_ops *
source_of(struct spate_fill_env *env, const struct spate_miss *m, const struct spate_origin *o)
{
	const struct spate_source_ops *own =
		env->made_here != NULL ? env->made_here(env, m->url, m->url_len) : NULL;

	return own != NULL ? own : o->is_dir ? &spate_source_dir : &spate_source_http;
}

static struct spate_fill *create(struct spate_fills *fs, struct spate_miss *m,
				 struct spate_origin *o)
{
	const struct spate_source_ops *ops = source_of(fs->env, m, o);
	size_t bytes = (sizeof(struct spate_fill) + ops->bytes + m->url_len + 63) & ~(size_t)63;
	struct spate_fill *f = aligned_alloc(64, bytes);

	if (f == NULL)
		return NULL;
	memset(f, 0, bytes);
	f->fills = fs;
	f->origin = spate_origin_ref(o);
	o->fills++;
	f->ops = ops;
	f->key = m->key;
	f->waiting_end = &f->waiting;
	f->start_us = spate_loop_now_us(fs->env->loop);
	f->url = f->source + ops->bytes;
	f->url_len = m->url_len;
	memcpy(f->url, m->url, m->url_len);
	f->all_next = fs->all;
	if (fs->all != NULL)
		fs->all->all_prev = &f->all_next;
	f->all_prev = &fs->all;
	fs->all = f;
	fs->count++;
	return f;
}

/* Of several origins none may have all: one that hangs would leave nothing for the others. */
static bool may_begin(const struct spate_fills *fs, const struct spate_origin *o)
{
	uint32_t most = fs->env->limits.fills;

	return fs->count < most && (fs->env->origins->n == 1 || o->fills < most - most / 4);
}

static void join(struct spate_fill *f, struct spate_miss *m)
{
	m->next = NULL;
	*f->waiting_end = m;
	f->waiting_end = &m->next;
}

/*
 * The answer may have come while the miss was on its way. What there is to revalidate is what the
 * index has now: the worker's m->stale may have failed or been purged since.
 */
static bool answer_from_cache(struct spate_fills *fs, struct spate_miss *m,
			      struct spate_object **stale)
{
	struct spate_object *o = spate_cache_find(fs->env->cache, &m->key);

	if (o == NULL)
		return false;
	if (spate_loop_wall_s(fs->env->loop) <
	    atomic_load_explicit(&o->expires_s, memory_order_relaxed)) {
		m->coalesced = true;
		reply(fs, m, o, SPATE_FETCH_OK, 0);
		return true;
	}
	if (atomic_load_explicit(&o->state, memory_order_relaxed) == SPATE_OBJECT_COMPLETE)
		*stale = o;
	return false;
}

void spate_fills_fetch(struct spate_fills *fs, struct spate_miss *m)
{
	struct spate_object *stale = NULL;
	struct spate_origin *o;
	struct spate_fill *f;

	m->coalesced = false;
	if (!m->pass) {
		f = find(fs, &m->key);
		if (f != NULL) {
			m->coalesced = true;
			if (f->replied)
				reply(fs, m, f->object, SPATE_FETCH_OK, 0);
			else
				join(f, m);
			return;
		}
		if (answer_from_cache(fs, m, &stale))
			return;
	}
	o = spate_origins_match(fs->env->origins, m->url, m->url_len);
	if (o == NULL) {
		reply(fs, m, NULL, SPATE_FETCH_NOT_FOUND, 0);
		return;
	}
	if (failed_just_now(fs, o, &m->key) && stale_usable(fs, stale)) {
		reply(fs, m, stale, SPATE_FETCH_STALE, 0);
		return;
	}
	f = may_begin(fs, o) ? create(fs, m, o) : NULL;
	if (f == NULL) {
		reply(fs, m, NULL, SPATE_FETCH_NO_ROOM, 0);
		return;
	}
	if (stale != NULL) {
		spate_cache_hold(fs->env->cache, stale);
		f->stale = stale;
	}
	join(f, m);
	if (!m->pass)
		table_add(f);
	f->ops->start(f);
}

bool spate_fills_purge(struct spate_fills *fs, const struct spate_key *key)
{
	struct spate_object *o = spate_cache_find(fs->env->cache, key);
	bool found = o != NULL;

	/* All of them: what one viewer asked for himself (pass) is in no table and may be kept. */
	for (struct spate_fill *f = fs->all; f != NULL; f = f->all_next) {
		if (!same_key(&f->key, key) || f->purged)
			continue;
		found = f->purged = true;
		table_del(f); /* who asks from now on starts anew */
	}
	if (o != NULL)
		spate_cache_remove(fs->env->cache, o);
	return found;
}

unsigned spate_fills_count(const struct spate_fills *fs)
{
	return fs->count;
}

bool spate_fills_stalled(const struct spate_fills *fs)
{
	return fs->stalled != NULL;
}

int spate_fills_create(struct spate_fills **out, struct spate_fill_env *env)
{
	struct spate_fills *fs = calloc(1, sizeof(*fs));

	if (fs == NULL)
		return -ENOMEM;
	fs->env = env;
	*out = fs;
	return 0;
}

/*
 * A read that hangs in a file system (FUSE, NFS) can't be cancelled: the kernel may write into the
 * arena whenever its server comes to. So such a fill stays, and what it stands on; if it does come
 * back, the last one frees the table.
 */
bool spate_fills_destroy(struct spate_fills *fs)
{
	uint64_t end_us;

	if (fs == NULL)
		return true;
	for (struct spate_fill *f = fs->all, *next; f != NULL; f = next) {
		next = f->all_next;
		stop(f, SPATE_FETCH_BAD_GATEWAY);
	}
	end_us = spate_loop_now_us(fs->env->loop) + END_MAX_US;
	while (fs->all != NULL && spate_loop_now_us(fs->env->loop) < end_us)
		spate_loop_turn(fs->env->loop, 10000);
	if (fs->all != NULL) {
		fs->ending = true;
		return false;
	}
	free(fs);
	return true;
}

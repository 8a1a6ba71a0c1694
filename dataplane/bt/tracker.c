/* tracker.c: who may announce, and what is answered. See tracker.h. */
#include "dataplane/bt/tracker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "dataplane/util/siphash.h"
#include "dataplane/worker.h"

#define LIMITS       8192u /* addresses a worker keeps count of; a power of two */
#define TICK_US      100000u
#define TICKS_MOST   20u
#define ID_US        60000000u
#define ID_AGES      3u /* this minute and the two before */
#define GAUGE_TICKS  5u
#define SHOWN_A_TICK 64u

/* Announces of one address in one second. Two places to be in; the busier one stays. */
struct limit {
	uint32_t tag, second, count;
};

struct limits {
	_Alignas(64) uint64_t due_us; /* of the next tick */
	unsigned ticks;
	uint32_t shown; /* place in the table of torrents; worker 0's */
	struct limit limit[LIMITS];
};

struct spate_tracker {
	struct spate_swarms *swarms;
	uint64_t id_key[2], limit_key[2];
	struct spate_token_key token_key;
	bool is_signed, open;
	uint32_t interval_s, audience, announces;
	unsigned workers, nseeds, nprefixes;
	struct spate_addr *seeds;
	struct spate_tracker_prefix *prefixes; /* longest first */
	struct limits *limits;                 /* one a worker */
};

/* --- life --- */

static int longer_first(const void *a, const void *b)
{
	return ((const struct spate_tracker_prefix *)b)->bits -
	       ((const struct spate_tracker_prefix *)a)->bits;
}

/* n of size, at least room for one. */
static void *copy(const void *from, size_t n, size_t size)
{
	void *to = calloc(n + 1, size);

	if (to != NULL && n > 0)
		memcpy(to, from, n * size);
	return to;
}

int spate_tracker_create(struct spate_tracker **out, const struct spate_tracker_setup *setup)
{
	struct spate_tracker *t = calloc(1, sizeof(*t));
	struct spate_swarms_setup ss = {
		.bytes = setup->memory_bytes,
		.expire_s = setup->interval_s * 5 / 2,
		.shared = setup->workers > 1,
	};
	int err = -ENOMEM;

	if (t == NULL)
		return err;
	t->open = setup->open;
	t->interval_s = setup->interval_s;
	t->audience = setup->audience;
	t->announces = setup->announces;
	t->workers = setup->workers;
	t->nseeds = setup->nseeds;
	t->nprefixes = setup->nprefixes;
	t->is_signed = setup->secret != NULL && setup->secret[0] != '\0';
	if (t->is_signed)
		spate_token_key(&t->token_key, setup->secret);
	t->seeds = copy(setup->seeds, setup->nseeds, sizeof(*t->seeds));
	t->prefixes = copy(setup->prefixes, setup->nprefixes, sizeof(*t->prefixes));
	t->limits = aligned_alloc(64, setup->workers * sizeof(*t->limits));
	if (t->seeds == NULL || t->prefixes == NULL || t->limits == NULL)
		goto fail;
	memset(t->limits, 0, setup->workers * sizeof(*t->limits));
	qsort(t->prefixes, t->nprefixes, sizeof(*t->prefixes), longer_first);
	err = -EIO;
	if (getrandom(t->id_key, sizeof(t->id_key), 0) != sizeof(t->id_key) ||
	    getrandom(t->limit_key, sizeof(t->limit_key), 0) != sizeof(t->limit_key) ||
	    getrandom(ss.key, sizeof(ss.key), 0) != sizeof(ss.key))
		goto fail;
	err = spate_swarms_create(&t->swarms, &ss);
	if (err < 0)
		goto fail;
	*out = t;
	return 0;

fail:
	spate_tracker_destroy(t);
	return err;
}

void spate_tracker_destroy(struct spate_tracker *t)
{
	if (t == NULL)
		return;
	spate_swarms_destroy(t->swarms);
	free(t->seeds);
	free(t->prefixes);
	free(t->limits);
	free(t);
}

uint32_t spate_tracker_interval(const struct spate_tracker *t)
{
	return t->interval_s;
}

bool spate_tracker_signed(const struct spate_tracker *t)
{
	return t->is_signed;
}

struct spate_swarms *spate_tracker_swarms(struct spate_tracker *t)
{
	return t->swarms;
}

/* --- connection ids --- */

static uint64_t id_of(const struct spate_tracker *t, const uint8_t ip[16], uint64_t minute)
{
	uint64_t w[3] = {0};

	memcpy(w, ip, 16);
	w[2] = minute;
	/* The low bits say which minute it is of, so that one hash checks it. */
	return (siphash(t->id_key, w, 3, 2, 4) & ~(uint64_t)3) | (minute & 3);
}

uint64_t spate_tracker_id(const struct spate_tracker *t, const uint8_t ip[16], uint64_t now_us)
{
	return id_of(t, ip, now_us / ID_US);
}

bool spate_tracker_id_good(const struct spate_tracker *t, const uint8_t ip[16], uint64_t now_us,
			   uint64_t id)
{
	uint64_t minute = now_us / ID_US, age = (minute - id) & 3;

	return age < ID_AGES && id == id_of(t, ip, minute - age);
}

/* --- who asks --- */

bool spate_tracker_limited(struct spate_worker *w, const uint8_t ip[16])
{
	struct spate_tracker *t = w->tracker;
	struct limit *l = t->limits[w->id].limit, *e;
	uint32_t second = (uint32_t)(w->now_us / 1000000);
	uint64_t word[2], h;
	uint32_t tag;

	if (t->announces == 0)
		return false;
	memcpy(word, ip, 16);
	if (!spate_addr_is_ip4(ip))
		word[1] = 0; /* a host has a /64 to choose from */
	h = siphash(t->limit_key, word, 2, 1, 3);
	tag = (uint32_t)(h >> 32);
	e = &l[h & (LIMITS - 2)];
	if (e[1].tag == tag && e[1].second == second)
		e++;
	else if (e->tag != tag && e->second == second &&
		 (e[1].second != second || e[1].count < e->count))
		e++;
	if (e->tag != tag || e->second != second)
		*e = (struct limit){.tag = tag, .second = second};
	return e->count++ >= t->announces;
}

uint8_t spate_tracker_group(const struct spate_tracker *t, const uint8_t ip[16])
{
	for (unsigned i = 0; i < t->nprefixes; i++) {
		const struct spate_tracker_prefix *p = &t->prefixes[i];
		unsigned whole = p->bits / 8, rest = p->bits % 8;

		if (memcmp(p->ip, ip, whole) == 0 &&
		    (rest == 0 || ((p->ip[whole] ^ ip[whole]) >> (8 - rest)) == 0))
			return p->group;
	}
	return 0;
}

/* The swarm is tracked; *torrent: what we published under that name, NULL in an open tracker. */
static bool tracked(const struct spate_worker *w, const uint8_t *infohash,
		    const struct spate_torrent **torrent)
{
	*torrent = spate_torrents_find(w->torrents, infohash);
	return *torrent != NULL || w->tracker->open;
}

static bool token_good(const struct spate_tracker *t, const uint8_t *infohash,
		       const struct spate_torrent *torrent, const char *token)
{
	if (!t->is_signed)
		return true;
	return token != NULL &&
	       spate_token_good(&t->token_key, torrent != NULL ? torrent->infohash : infohash,
				token);
}

/* --- what is answered --- */

/*
 * Where the edge seeds, in the family of v4 or v6: a wildcard stands for the address that was
 * asked, which says nothing about the other family, and nothing where it is a wildcard itself.
 */
static bool seed_of(const struct spate_tracker *t, bool ip4, const struct spate_addr *local,
		    struct spate_addr *out)
{
	static const uint8_t any6[16], any4[16] = {[10] = 0xff, [11] = 0xff};

	for (unsigned i = 0; i < t->nseeds; i++) {
		const struct spate_addr *a = &t->seeds[i];

		if (spate_addr_is_ip4(a->ip) != ip4)
			continue;
		*out = *a;
		if (memcmp(a->ip, ip4 ? any4 : any6, 16) != 0)
			return true;
		if (spate_addr_is_ip4(local->ip) == ip4 &&
		    memcmp(local->ip, ip4 ? any4 : any6, 16) != 0) {
			memcpy(out->ip, local->ip, 16);
			return true;
		}
	}
	return false;
}

/* The edge itself as the first of a list. */
static bool put_seed(const struct spate_tracker *t, bool ip4, const struct spate_addr *local,
		     struct spate_peer_list *l)
{
	struct spate_addr a;

	l->n = 0;
	if (l->want == 0 || !seed_of(t, ip4, local, &a))
		return false;
	spate_addr_compact(&a, l->to);
	l->n = 1;
	return true;
}

/* Behind the edge; `to` is NULL where that family is not wanted. */
static struct spate_peer_list rest_of(const struct spate_peer_list *l, unsigned addr_len)
{
	return (struct spate_peer_list){.to = l->n > 0 ? l->to + (size_t)l->n * addr_len : l->to,
					.want = l->want - l->n};
}

enum spate_tracker_verdict spate_tracker_announce(struct spate_worker *w,
						  const struct spate_tracker_ask *ask,
						  struct spate_tracker_answer *answer)
{
	struct spate_tracker *t = w->tracker;
	const struct spate_torrent *torrent;
	struct spate_swarm_answer sa;
	struct spate_peer_announce a = {
		.infohash = ask->infohash,
		.peer = ask->peer,
		.event = ask->event,
		.seed = ask->left == 0,
		.uploaded = ask->uploaded,
		.downloaded = ask->downloaded,
		.corrupt = ask->corrupt,
		.has_corrupt = ask->has_corrupt,
		.now_s = (uint32_t)(w->now_us / 1000000),
		.audience = t->audience,
	};
	bool with_us = false;

	if (ask->peer.port == 0 && ask->event != SPATE_PEER_STOPPED)
		return SPATE_TRACKER_MALFORMED;
	if (!tracked(w, ask->infohash, &torrent))
		return SPATE_TRACKER_UNKNOWN;
	if (!token_good(t, ask->infohash, torrent, ask->token))
		return SPATE_TRACKER_UNSIGNED;
	if (t->nprefixes > 0)
		a.group = spate_tracker_group(t, ask->peer.ip);
	answer->v4.n = answer->v6.n = 0;
	if (torrent != NULL && !atomic_load_explicit(&torrent->withdrawn, memory_order_relaxed) &&
	    ask->event != SPATE_PEER_STOPPED) {
		/*
		 * Who has everything needs no seed, but is counted to. At its start nothing left
		 * may also mean that it does not know yet: aria2 says so as long as it has a magnet
		 * only.
		 */
		bool other = ask->left == 0 && ask->event != SPATE_PEER_STARTED;
		struct spate_addr us;

		with_us = seed_of(t, true, ask->local, &us) || seed_of(t, false, ask->local, &us);
		if (!other) {
			put_seed(t, true, ask->local, &answer->v4);
			put_seed(t, false, ask->local, &answer->v6);
		}
	}
	sa.v4 = rest_of(&answer->v4, 6);
	sa.v6 = rest_of(&answer->v6, 18);
	spate_swarms_announce(t->swarms, &a, &sa);
	answer->v4.n += sa.v4.n;
	answer->v6.n += sa.v6.n;
	answer->counts = sa.counts;
	answer->counts.seeds += with_us;

	SPATE_COUNT(w->stats, tracker_announces);
	if (sa.fresh)
		SPATE_COUNT(w->stats, tracker_joined);
	if (ask->event == SPATE_PEER_COMPLETED)
		SPATE_COUNT(w->stats, tracker_completed);
	if (ask->event == SPATE_PEER_STOPPED)
		SPATE_COUNT(w->stats, tracker_left);
	if (sa.refused)
		SPATE_COUNT(w->stats, tracker_no_room);
	SPATE_COUNT_N(w->stats, tracker_uploaded_bytes, sa.uploaded);
	SPATE_COUNT_N(w->stats, tracker_downloaded_bytes, sa.downloaded);
	SPATE_COUNT_N(w->stats, tracker_corrupt_bytes, sa.corrupt);
	return SPATE_TRACKER_OK;
}

bool spate_tracker_scrape(struct spate_worker *w, const uint8_t *infohash, const char *token,
			  struct spate_swarm_counts *out)
{
	const struct spate_torrent *torrent;

	*out = (struct spate_swarm_counts){0};
	if (!tracked(w, infohash, &torrent) || !token_good(w->tracker, infohash, torrent, token))
		return false;
	spate_swarms_scrape(w->tracker->swarms, infohash, out);
	out->seeds += torrent != NULL && w->tracker->nseeds > 0;
	return true;
}

void spate_tracker_pex(struct spate_worker *w, const uint8_t *infohash,
		       const struct spate_addr *peer, struct spate_peer_list *v4,
		       struct spate_peer_list *v6)
{
	struct spate_tracker *t = w->tracker;
	struct spate_swarm_answer sa = {.v4 = *v4, .v6 = *v6};

	v4->n = v6->n = 0;
	if (t == NULL || t->is_signed) /* who has an infohash only is not told */
		return;
	spate_swarms_peers(t->swarms, infohash,
			   t->nprefixes > 0 ? spate_tracker_group(t, peer->ip) : 0, peer, &sa);
	if (sa.counts.seeds + sa.counts.leechers < t->audience)
		return;
	v4->n = sa.v4.n;
	v6->n = sa.v6.n;
}

const char *spate_tracker_reason(enum spate_tracker_verdict v)
{
	static const char *const text[SPATE_TRACKER_VERDICTS] = {
		[SPATE_TRACKER_OK] = "",
		[SPATE_TRACKER_MALFORMED] = "malformed announce",
		[SPATE_TRACKER_BAD_ID] = "unknown connection id",
		[SPATE_TRACKER_UNKNOWN] = "this swarm is not tracked here",
		[SPATE_TRACKER_UNSIGNED] = "this announce URL is not of this torrent",
		[SPATE_TRACKER_LIMITED] = "too many announces from your address",
	};

	return text[v];
}

void spate_tracker_count(struct spate_worker *w, enum spate_tracker_verdict v)
{
	switch (v) {
	case SPATE_TRACKER_MALFORMED:
		SPATE_COUNT(w->stats, tracker_malformed);
		break;
	case SPATE_TRACKER_BAD_ID:
		SPATE_COUNT(w->stats, tracker_bad_id);
		break;
	case SPATE_TRACKER_UNKNOWN:
		SPATE_COUNT(w->stats, tracker_unknown);
		break;
	case SPATE_TRACKER_UNSIGNED:
		SPATE_COUNT(w->stats, tracker_unsigned);
		break;
	case SPATE_TRACKER_LIMITED:
		SPATE_COUNT(w->stats, tracker_limited);
		break;
	case SPATE_TRACKER_OK:
	case SPATE_TRACKER_VERDICTS:
		break;
	}
}

/* --- time --- */

static void show(struct spate_worker *w)
{
	struct spate_swarms_usage u;

	spate_swarms_usage(w->tracker->swarms, &u);
	atomic_store_explicit(&w->stats->swarms, u.swarms, memory_order_relaxed);
	atomic_store_explicit(&w->stats->swarm_peers, u.peers, memory_order_relaxed);
	atomic_store_explicit(&w->stats->swarm_bytes, u.bytes, memory_order_relaxed);
}

/* The next few places of the table of torrents: what each swarm counts, for /stat. */
static void show_some(struct spate_worker *w)
{
	const struct spate_torrents *all = w->torrents;

	if (all == NULL || all->by_hash == NULL)
		return;
	for (uint32_t i = 0; i < SHOWN_A_TICK && i <= all->mask; i++) {
		struct spate_torrent *one =
			all->by_hash[w->tracker->limits[w->id].shown++ & all->mask];
		struct spate_swarm_counts c;

		if (one == NULL)
			continue;
		spate_swarms_scrape(w->tracker->swarms, one->infohash, &c);
		atomic_store_explicit(&one->swarm_seeds, c.seeds, memory_order_relaxed);
		atomic_store_explicit(&one->swarm_leechers, c.leechers, memory_order_relaxed);
		atomic_store_explicit(&one->swarm_completed, c.completed, memory_order_relaxed);
	}
}

void spate_tracker_turn(struct spate_worker *w)
{
	struct spate_tracker *t = w->tracker;
	struct limits *l = &t->limits[w->id];

	if (w->now_us < l->due_us)
		return;
	uint64_t n = l->due_us == 0 ? 1 : (w->now_us - l->due_us) / TICK_US + 1;

	l->due_us = w->now_us + TICK_US;
	for (uint64_t i = 0; i < n && i < TICKS_MOST; i++)
		spate_swarms_tick(t->swarms, w->id, t->workers, (uint32_t)(w->now_us / 1000000));
	l->ticks += (unsigned)n;
	if (w->id != 0)
		return;
	show_some(w);
	if (l->ticks >= GAUGE_TICKS) {
		l->ticks = 0;
		show(w);
	}
}

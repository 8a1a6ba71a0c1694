/*
 * swarm.c: the store. A table of chains, cut into shards that are locked one at a time; one region
 * of memory behind a lock of its own, taken only when a swarm comes, goes or grows.
 *
 *     infohash ─SipHash─► bucket ─► swarm ─► swarm         shard = bucket mod SHARDS
 *                                    │ inline room, or
 *                                    └► block of IPv4 peers, block of IPv6 peers   (peers.h)
 *
 * Under a shard's lock nothing waits and nothing is unbounded: a probe, a record, a copy of at most
 * an answer, once in a quarter of the expiry time a sweep of the swarm's `seen` column, and at
 * powers of two a move to a larger block.
 */
#include "dataplane/bt/swarm.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <immintrin.h>

#include "dataplane/bt/peers.h"
#include "dataplane/util/siphash.h"
#include "dataplane/util/buddy.h"

#define SHARDS     256u
#define INLINE_LEN 144u
#define SPINS      200 /* then the holder has lost its core: let it run */
#define ORDER_MAX  14  /* 4 MiB: 181,000 IPv4 peers in a swarm */
#define TICKS      10  /* a second */
#define V4         0
#define V6         1

struct swarm {
	uint8_t infohash[20];
	uint32_t next;  /* in its bucket; 0: the end */
	uint32_t swept; /* seconds */
	uint32_t completed;
	uint32_t block[2]; /* buddy's names; 0: inline, or nothing yet */
	uint8_t order[2];  /* of those */
	uint8_t inline_of; /* 1 + family, 0: free */
	struct spate_peers peers[2];
	uint8_t room[INLINE_LEN] __attribute__((aligned(8)));
};
static_assert(sizeof(struct swarm) <= SPATE_BUDDY_MIN, "a swarm is one unit");

struct lock {
	_Atomic uint32_t taken;
};

struct shard {
	_Alignas(64) struct lock lock;
	uint64_t random;
	_Atomic uint64_t swarms, peers; /* written under the lock */
};

struct spate_swarms {
	struct shard shard[SHARDS];
	uint64_t key[2];
	uint32_t expire_s, sweep_s;
	bool shared;
	uint32_t mask;     /* buckets - 1 */
	uint32_t *buckets; /* first swarm, 0: none */
	struct lock memory_lock;
	struct spate_buddy memory;
	uint64_t bytes;
	struct {
		_Alignas(64) uint32_t bucket; /* of the worker's share, where its tick goes on */
	} part[64];
};

/* --- locks --- */

static void lock(const struct spate_swarms *s, struct lock *l)
{
	int spins = 0;

	if (!s->shared)
		return;
	while (atomic_exchange_explicit(&l->taken, 1, memory_order_acquire) != 0)
		while (atomic_load_explicit(&l->taken, memory_order_relaxed) != 0) {
			_mm_pause();
			if (++spins % SPINS == 0)
				sched_yield();
		}
}

static void unlock(const struct spate_swarms *s, struct lock *l)
{
	if (s->shared)
		atomic_store_explicit(&l->taken, 0, memory_order_release);
}

static void add(_Atomic uint64_t *n, uint64_t more)
{
	atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + more,
			      memory_order_relaxed);
}

/* --- memory --- */

static uint32_t get_block(struct spate_swarms *s, unsigned order)
{
	lock(s, &s->memory_lock);
	uint32_t at = spate_buddy_get(&s->memory, order);

	unlock(s, &s->memory_lock);
	return at;
}

static void put_block(struct spate_swarms *s, uint32_t at, unsigned order)
{
	lock(s, &s->memory_lock);
	spate_buddy_put(&s->memory, at, order);
	unlock(s, &s->memory_lock);
}

/* --- the table --- */

static uint32_t bucket_of(const struct spate_swarms *s, const uint8_t *infohash)
{
	uint64_t w[3] = {0};

	memcpy(w, infohash, 20);
	return (uint32_t)siphash(s->key, w, 3, 1, 3) & s->mask;
}

static struct swarm *at(const struct spate_swarms *s, uint32_t name)
{
	return name == 0 ? NULL : spate_buddy_at(&s->memory, name);
}

static struct swarm *find(const struct spate_swarms *s, uint32_t bucket, const uint8_t *infohash)
{
	struct swarm *w = at(s, s->buckets[bucket]);

	while (w != NULL && memcmp(w->infohash, infohash, 20) != 0)
		w = at(s, w->next);
	return w;
}

static struct swarm *make(struct spate_swarms *s, uint32_t bucket, const uint8_t *infohash,
			  uint32_t now_s)
{
	uint32_t name = get_block(s, 0);
	struct swarm *w = at(s, name);

	if (w == NULL)
		return NULL;
	memset(w, 0, sizeof(*w));
	memcpy(w->infohash, infohash, 20);
	w->swept = now_s;
	w->next = s->buckets[bucket];
	__atomic_store_n(&s->buckets[bucket], name, __ATOMIC_RELAXED);
	add(&s->shard[bucket % SHARDS].swarms, 1);
	return w;
}

static void free_room(struct spate_swarms *s, struct swarm *w, int family)
{
	if (w->block[family] != 0)
		put_block(s, w->block[family], w->order[family]);
	else if (w->inline_of == family + 1)
		w->inline_of = 0;
	w->block[family] = 0;
	w->peers[family].base = NULL;
}

/* Room for one peer more. False: none is to be had. */
static bool grow(struct spate_swarms *s, struct swarm *w, int family)
{
	struct spate_peers *p = &w->peers[family], next;
	uint8_t addr_len = family == V4 ? 6 : 18;
	unsigned order;
	uint32_t block;

	if (p->base == NULL && w->inline_of == 0) {
		spate_peers_place(p, addr_len, w->room, INLINE_LEN, NULL, s->key);
		w->inline_of = (uint8_t)(family + 1);
		return true;
	}
	order = w->block[family] == 0 ? 0 : w->order[family] + 1u;
	if (order > ORDER_MAX || (block = get_block(s, order)) == 0)
		return false;
	spate_peers_place(&next, addr_len, spate_buddy_at(&s->memory, block),
			  SPATE_BUDDY_MIN << order, p->base != NULL ? p : NULL, s->key);
	free_room(s, w, family);
	*p = next;
	w->block[family] = block;
	w->order[family] = (uint8_t)order;
	return true;
}

/* After many have left: the smallest block that leaves as much room again. */
static void shrink(struct spate_swarms *s, struct swarm *w, int family)
{
	struct spate_peers *p = &w->peers[family], next;
	unsigned order = w->order[family];
	uint32_t block;

	if (p->n == 0) {
		free_room(s, w, family);
		*p = (struct spate_peers){0};
		return;
	}
	if (w->block[family] == 0 || p->n > p->cap / 8)
		return;
	order -= order >= 2 ? 2 : order;
	if (order == w->order[family] || (block = get_block(s, order)) == 0)
		return;
	spate_peers_place(&next, p->addr_len, spate_buddy_at(&s->memory, block),
			  SPATE_BUDDY_MIN << order, p, s->key);
	if (next.cap < p->n) {
		put_block(s, block, order);
		return;
	}
	free_room(s, w, family);
	*p = next;
	w->block[family] = block;
	w->order[family] = (uint8_t)order;
}

/* Workers' clocks stand where their turns began, so now may be a little before the last sweep. */
static bool due(const struct spate_swarms *s, const struct swarm *w, uint32_t now_s)
{
	return (int32_t)(now_s - w->swept) >= (int32_t)s->sweep_s;
}

static void sweep(struct spate_swarms *s, struct shard *h, struct swarm *w, uint32_t now_s)
{
	for (int f = V4; f <= V6; f++) {
		struct spate_peers *p = &w->peers[f];

		if (p->base == NULL)
			continue;
		add(&h->peers, -(uint64_t)spate_peers_sweep(p, (uint16_t)now_s,
							    (uint16_t)s->expire_s, s->key));
		shrink(s, w, f);
	}
	w->swept = now_s;
}

/* --- announce --- */

static void count(const struct swarm *w, struct spate_swarm_counts *c)
{
	*c = (struct spate_swarm_counts){.completed = w->completed};
	for (int f = V4; f <= V6; f++) {
		c->leechers += w->peers[f].leechers;
		c->seeds += w->peers[f].n - w->peers[f].leechers;
	}
}

static uint64_t next_random(struct shard *h) /* xorshift64* */
{
	h->random ^= h->random >> 12;
	h->random ^= h->random << 25;
	h->random ^= h->random >> 27;
	return (h->random * 0x2545f4914f6cdd1dull) >> 32;
}

/* More than last time, in bytes; nothing when it counts from the beginning again. */
static uint64_t since(uint32_t *kib, uint64_t bytes, bool started)
{
	uint32_t now = (uint32_t)(bytes >> 10), more = now - *kib;

	*kib = now;
	return started || more > UINT32_MAX / 2 ? 0 : (uint64_t)more << 10;
}

/* As since(), in units of 64 KiB of which 256 are told apart; a peer that begins again says so. */
static uint64_t since_corrupt(uint8_t *units, const struct spate_peer_announce *a, bool known)
{
	uint8_t now = (uint8_t)(a->corrupt >> 16), more = (uint8_t)(now - *units);

	if (!a->has_corrupt)
		return 0;
	*units = now;
	return !known || a->event == SPATE_PEER_STARTED ? 0 : (uint64_t)more << 16;
}

/* Returns the place, or NONE. */
static uint32_t record(struct spate_swarms *s, struct shard *h, struct swarm *w, int family,
		       const uint8_t *addr, const struct spate_peer_announce *a,
		       struct spate_swarm_answer *answer)
{
	struct spate_peers *p = &w->peers[family];
	uint32_t place = p->n > 0 ? spate_peers_find(p, addr, s->key) : SPATE_PEERS_NONE;
	bool stopped = a->event == SPATE_PEER_STOPPED, known = place != SPATE_PEERS_NONE;
	struct spate_peers_record r = {0};

	if (!known && stopped)
		return SPATE_PEERS_NONE;
	if (known)
		spate_peers_get(p, place, &r);
	answer->uploaded = since(&r.up_kib, a->uploaded, !known || a->event == SPATE_PEER_STARTED);
	answer->downloaded =
		since(&r.down_kib, a->downloaded, !known || a->event == SPATE_PEER_STARTED);
	answer->corrupt = since_corrupt(&r.corrupt, a, known);
	r.seen = (uint16_t)a->now_s;
	r.group = a->group;
	if (stopped) {
		spate_peers_remove(p, place, s->key);
		add(&h->peers, -(uint64_t)1);
		return SPATE_PEERS_NONE;
	}
	w->completed += a->event == SPATE_PEER_COMPLETED && a->seed;
	if (known) {
		if ((place >= p->leechers) != a->seed)
			place = spate_peers_turn(p, place, s->key);
		spate_peers_set(p, place, &r);
		return place;
	}
	answer->fresh = true;
	if (p->n == p->cap && !grow(s, w, family)) {
		answer->refused = true;
		return SPATE_PEERS_NONE;
	}
	add(&h->peers, 1);
	return spate_peers_add(p, addr, a->seed, &r, s->key);
}

static void pick(struct shard *h, const struct swarm *w, int family, uint32_t place, bool seed,
		 uint8_t group, struct spate_swarm_answer *answer)
{
	struct spate_peer_list *l[2] = {&answer->v4, &answer->v6};

	for (int f = V4; f <= V6; f++) {
		l[f]->n = 0;
		if (l[f]->want > 0 && w->peers[f].n > 0)
			l[f]->n = spate_peers_pick(&w->peers[f], l[f]->to, l[f]->want,
						   f == family ? place : SPATE_PEERS_NONE, seed,
						   group, next_random(h));
	}
}

void spate_swarms_announce(struct spate_swarms *s, const struct spate_peer_announce *a,
			   struct spate_swarm_answer *answer)
{
	uint32_t bucket = bucket_of(s, a->infohash), place;
	struct shard *h = &s->shard[bucket % SHARDS];
	int family = spate_addr_is_ip4(a->peer.ip) ? V4 : V6;
	uint8_t addr[18];
	struct swarm *w;

	spate_addr_compact(&a->peer, addr);
	answer->counts = (struct spate_swarm_counts){0};
	answer->uploaded = answer->downloaded = answer->corrupt = 0;
	answer->fresh = answer->refused = false;
	answer->v4.n = answer->v6.n = 0;
	lock(s, &h->lock);
	w = find(s, bucket, a->infohash);
	if (w == NULL && a->event != SPATE_PEER_STOPPED) {
		w = make(s, bucket, a->infohash, a->now_s);
		answer->refused = w == NULL;
	}
	if (w != NULL) {
		if (due(s, w, a->now_s))
			sweep(s, h, w, a->now_s);
		place = record(s, h, w, family, addr, a, answer);
		count(w, &answer->counts);
		if (a->event != SPATE_PEER_STOPPED &&
		    answer->counts.seeds + answer->counts.leechers >= a->audience)
			pick(h, w, family, place, a->seed, a->group, answer);
	}
	unlock(s, &h->lock);
}

void spate_swarms_peers(struct spate_swarms *s, const uint8_t *infohash, uint8_t group,
			const struct spate_addr *not_me, struct spate_swarm_answer *answer)
{
	uint32_t bucket = bucket_of(s, infohash), place = SPATE_PEERS_NONE;
	struct shard *h = &s->shard[bucket % SHARDS];
	int family = not_me == NULL || spate_addr_is_ip4(not_me->ip) ? V4 : V6;
	uint8_t addr[18];
	struct swarm *w;

	answer->counts = (struct spate_swarm_counts){0};
	answer->v4.n = answer->v6.n = 0;
	lock(s, &h->lock);
	w = find(s, bucket, infohash);
	if (w != NULL) {
		count(w, &answer->counts);
		if (not_me != NULL && w->peers[family].n > 0) {
			spate_addr_compact(not_me, addr);
			place = spate_peers_find(&w->peers[family], addr, s->key);
		}
		pick(h, w, family, place, false, group, answer);
	}
	unlock(s, &h->lock);
}

bool spate_swarms_scrape(struct spate_swarms *s, const uint8_t *infohash,
			 struct spate_swarm_counts *out)
{
	uint32_t bucket = bucket_of(s, infohash);
	struct shard *h = &s->shard[bucket % SHARDS];
	const struct swarm *w;

	*out = (struct spate_swarm_counts){0};
	lock(s, &h->lock);
	w = find(s, bucket, infohash);
	if (w != NULL)
		count(w, out);
	unlock(s, &h->lock);
	return w != NULL;
}

/* --- time --- */

static void sweep_bucket(struct spate_swarms *s, uint32_t bucket, uint32_t now_s)
{
	struct shard *h = &s->shard[bucket % SHARDS];

	/* Without the lock: what is missed now is seen when it comes by again. */
	if (__atomic_load_n(&s->buckets[bucket], __ATOMIC_RELAXED) == 0)
		return;
	lock(s, &h->lock);
	for (uint32_t *link = &s->buckets[bucket]; *link != 0;) {
		struct swarm *w = at(s, *link);
		uint32_t name = *link;

		if (due(s, w, now_s))
			sweep(s, h, w, now_s);
		if (w->peers[V4].n + w->peers[V6].n > 0) {
			link = &w->next;
			continue;
		}
		free_room(s, w, V4);
		free_room(s, w, V6);
		__atomic_store_n(link, w->next, __ATOMIC_RELAXED);
		put_block(s, name, 0);
		add(&h->swarms, -(uint64_t)1);
	}
	unlock(s, &h->lock);
}

void spate_swarms_tick(struct spate_swarms *s, unsigned part, unsigned parts, uint32_t now_s)
{
	uint32_t share = (s->mask + 1) / parts + 1;
	uint32_t todo = share / (s->sweep_s * TICKS) + 1;
	uint32_t *at_bucket = &s->part[part % 64].bucket;

	for (uint32_t i = 0; i < todo; i++) {
		uint32_t bucket = part * share + *at_bucket;

		if (bucket <= s->mask)
			sweep_bucket(s, bucket, now_s);
		*at_bucket = (*at_bucket + 1) % share;
	}
}

/* --- life --- */

int spate_swarms_create(struct spate_swarms **out, const struct spate_swarms_setup *setup)
{
	struct spate_swarms *s = aligned_alloc(64, (sizeof(*s) + 63) & ~(size_t)63);
	uint64_t buckets = SHARDS;
	int err;

	if (s == NULL)
		return -ENOMEM;
	memset(s, 0, sizeof(*s));
	memcpy(s->key, setup->key, sizeof(s->key));
	s->shared = setup->shared;
	s->expire_s = setup->expire_s > 0 ? setup->expire_s : 1;
	s->sweep_s = s->expire_s / 4 > 0 ? s->expire_s / 4 : 1;
	s->bytes = setup->bytes;
	while (buckets < setup->bytes / 1024 && buckets < 1u << 26)
		buckets *= 2;
	s->mask = (uint32_t)buckets - 1;
	for (unsigned i = 0; i < SHARDS; i++)
		s->shard[i].random = siphash(s->key, &(uint64_t){i}, 1, 2, 4) | 1;
	s->buckets = mmap(NULL, buckets * sizeof(uint32_t), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	err = s->buckets == MAP_FAILED ? -ENOMEM : spate_buddy_init(&s->memory, setup->bytes);
	if (err < 0) {
		if (s->buckets != MAP_FAILED)
			munmap(s->buckets, buckets * sizeof(uint32_t));
		free(s);
		return err;
	}
	*out = s;
	return 0;
}

void spate_swarms_destroy(struct spate_swarms *s)
{
	if (s == NULL)
		return;
	munmap(s->buckets, ((size_t)s->mask + 1) * sizeof(uint32_t));
	spate_buddy_finish(&s->memory);
	free(s);
}

void spate_swarms_usage(struct spate_swarms *s, struct spate_swarms_usage *out)
{
	*out = (struct spate_swarms_usage){.bytes_limit = s->bytes};
	for (unsigned i = 0; i < SHARDS; i++) {
		out->swarms += atomic_load_explicit(&s->shard[i].swarms, memory_order_relaxed);
		out->peers += atomic_load_explicit(&s->shard[i].peers, memory_order_relaxed);
	}
	lock(s, &s->memory_lock);
	out->bytes = (uint64_t)s->memory.used * SPATE_BUDDY_MIN;
	unlock(s, &s->memory_lock);
}

void spate_swarms_check(struct spate_swarms *s)
{
	uint64_t swarms = 0, peers = 0;
	struct spate_swarms_usage u;

	for (uint32_t b = 0; b <= s->mask; b++)
		for (struct swarm *w = at(s, s->buckets[b]); w != NULL; w = at(s, w->next)) {
			swarms++;
			for (int f = V4; f <= V6; f++) {
				if (w->peers[f].base == NULL)
					continue;
				spate_peers_check(&w->peers[f], s->key);
				peers += w->peers[f].n;
			}
		}
	spate_swarms_usage(s, &u);
	if (u.swarms != swarms || u.peers != peers)
		abort();
}

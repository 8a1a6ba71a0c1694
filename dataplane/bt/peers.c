#include "dataplane/bt/peers.h"

#include <stdlib.h>
#include <string.h>

#include "dataplane/util/siphash.h"

#define RECORD_BYTES 12u  /* beside the address: two kib, seen, group, corrupt */
#define WINDOW       256u /* places that are looked at for peers of one's own group */

/* --- columns --- */

static uint8_t *addr_at(const struct spate_peers *p, uint32_t at)
{
	return p->base + (size_t)at * p->addr_len;
}

static uint32_t *kib(const struct spate_peers *p)
{
	return (uint32_t *)(void *)(p->base + (((size_t)p->cap * p->addr_len + 3) & ~(size_t)3));
}

static uint16_t *seen(const struct spate_peers *p)
{
	return (uint16_t *)(kib(p) + 2 * (size_t)p->cap);
}

static uint8_t *groups(const struct spate_peers *p)
{
	return (uint8_t *)(seen(p) + p->cap);
}

static uint8_t *corrupt(const struct spate_peers *p)
{
	return groups(p) + p->cap;
}

/* Peers in so many bytes: kib is aligned behind the addresses. */
static uint32_t fit(uint32_t bytes, uint8_t addr_len)
{
	uint32_t n = bytes / (addr_len + RECORD_BYTES);

	return ((n * addr_len + 3) & ~3u) + n * RECORD_BYTES <= bytes ? n : n - 1;
}

/* At the end of the block: place + 1, 0: empty. */
static uint32_t *slots(const struct spate_peers *p)
{
	return (uint32_t *)(void *)(p->base + p->bytes) - p->slots;
}

/* --- the index: open addressing, linear, no tombstones --- */

static uint32_t hash(const struct spate_peers *p, const uint8_t *addr, const uint64_t key[2])
{
	uint64_t w[3] = {0};

	memcpy(w, addr, p->addr_len);
	return (uint32_t)siphash(key, w, p->addr_len == 6 ? 1 : 3, 1, 3) & (p->slots - 1);
}

static uint32_t slot_of(const struct spate_peers *p, uint32_t at, const uint64_t key[2])
{
	uint32_t i = hash(p, addr_at(p, at), key);

	while (slots(p)[i] != at + 1)
		i = (i + 1) & (p->slots - 1);
	return i;
}

static void index_add(struct spate_peers *p, uint32_t at, const uint64_t key[2])
{
	uint32_t i = hash(p, addr_at(p, at), key);

	while (slots(p)[i] != 0)
		i = (i + 1) & (p->slots - 1);
	slots(p)[i] = at + 1;
}

/* Closes the gap (Knuth 6.4, algorithm R). */
static void index_remove(struct spate_peers *p, uint32_t at, const uint64_t key[2])
{
	uint32_t mask = p->slots - 1, gap = slot_of(p, at, key), i = gap;

	for (;;) {
		i = (i + 1) & mask;
		if (slots(p)[i] == 0)
			break;
		uint32_t home = hash(p, addr_at(p, slots(p)[i] - 1), key);

		if (((i - home) & mask) >= ((i - gap) & mask)) {
			slots(p)[gap] = slots(p)[i];
			gap = i;
		}
	}
	slots(p)[gap] = 0;
}

/* --- records --- */

void spate_peers_get(const struct spate_peers *p, uint32_t at, struct spate_peers_record *r)
{
	r->up_kib = kib(p)[at];
	r->down_kib = kib(p)[p->cap + at];
	r->seen = seen(p)[at];
	r->group = groups(p)[at];
	r->corrupt = corrupt(p)[at];
}

void spate_peers_set(struct spate_peers *p, uint32_t at, const struct spate_peers_record *r)
{
	kib(p)[at] = r->up_kib;
	kib(p)[p->cap + at] = r->down_kib;
	seen(p)[at] = r->seen;
	groups(p)[at] = r->group;
	corrupt(p)[at] = r->corrupt;
}

/* The peer at `from` moves to the free place `to`. */
static void move(struct spate_peers *p, uint32_t from, uint32_t to, const uint64_t key[2])
{
	struct spate_peers_record r;

	if (from == to)
		return;
	if (p->slots != 0)
		slots(p)[slot_of(p, from, key)] = to + 1;
	memcpy(addr_at(p, to), addr_at(p, from), p->addr_len);
	spate_peers_get(p, from, &r);
	spate_peers_set(p, to, &r);
}

static void write_at(struct spate_peers *p, uint32_t at, const uint8_t *addr,
		     const struct spate_peers_record *r, const uint64_t key[2])
{
	memcpy(addr_at(p, at), addr, p->addr_len);
	spate_peers_set(p, at, r);
	if (p->slots != 0)
		index_add(p, at, key);
}

void spate_peers_place(struct spate_peers *p, uint8_t addr_len, uint8_t *base, uint32_t bytes,
		       const struct spate_peers *from, const uint64_t key[2])
{
	uint32_t index = bytes >= SPATE_PEERS_INDEXED ? bytes / 16 : 0; /* a power of two */
	uint32_t room = bytes - index * 4;

	*p = (struct spate_peers){
		.base = base,
		.bytes = bytes,
		.slots = index,
		.addr_len = addr_len,
		.cap = fit(room, addr_len),
	};
	if (index != 0)
		memset(slots(p), 0, index * sizeof(uint32_t));
	for (uint32_t i = 0; from != NULL && i < from->n; i++) {
		struct spate_peers_record r;

		spate_peers_get(from, i, &r);
		write_at(p, i, addr_at(from, i), &r, key);
	}
	if (from != NULL) {
		p->n = from->n;
		p->leechers = from->leechers;
	}
}

uint32_t spate_peers_find(const struct spate_peers *p, const uint8_t *addr, const uint64_t key[2])
{
	if (p->slots != 0) {
		for (uint32_t i = hash(p, addr, key); slots(p)[i] != 0;
		     i = (i + 1) & (p->slots - 1))
			if (memcmp(addr_at(p, slots(p)[i] - 1), addr, p->addr_len) == 0)
				return slots(p)[i] - 1;
		return SPATE_PEERS_NONE;
	}
	for (uint32_t i = 0; i < p->n; i++)
		if (memcmp(addr_at(p, i), addr, p->addr_len) == 0)
			return i;
	return SPATE_PEERS_NONE;
}

uint32_t spate_peers_add(struct spate_peers *p, const uint8_t *addr, bool seed,
			 const struct spate_peers_record *r, const uint64_t key[2])
{
	uint32_t at = p->n;

	if (!seed) { /* the first seed makes room at the border */
		move(p, p->leechers, p->n, key);
		at = p->leechers++;
	}
	p->n++;
	write_at(p, at, addr, r, key);
	return at;
}

void spate_peers_remove(struct spate_peers *p, uint32_t at, const uint64_t key[2])
{
	if (p->slots != 0)
		index_remove(p, at, key);
	if (at <
	    p->leechers) { /* the last leecher fills the gap, the last seed the last leecher's */
		p->leechers--;
		move(p, p->leechers, at, key);
		at = p->leechers;
	}
	p->n--;
	move(p, p->n, at, key);
}

uint32_t spate_peers_turn(struct spate_peers *p, uint32_t at, const uint64_t key[2])
{
	struct spate_peers_record r;
	uint8_t addr[18];
	bool seed = at < p->leechers;

	spate_peers_get(p, at, &r);
	memcpy(addr, addr_at(p, at), p->addr_len);
	spate_peers_remove(p, at, key);
	return spate_peers_add(p, addr, seed, &r, key);
}

uint32_t spate_peers_sweep(struct spate_peers *p, uint16_t now, uint16_t age, const uint64_t key[2])
{
	uint32_t before = p->n;

	/* From the end: what moves into a gap comes from behind it, or has been looked at. */
	for (uint32_t i = p->n; i-- > 0;)
		while (i < p->n && (int16_t)(now - seen(p)[i]) > (int)age)
			spate_peers_remove(p, i, key);
	return before - p->n;
}

/* --- answers --- */

struct pick {
	const struct spate_peers *p;
	uint8_t *to;
	uint32_t n, want, not_at;
};

/* [from, from + count), which does not wrap. */
static void copy_run(struct pick *k, uint32_t from, uint32_t count)
{
	uint32_t before;

	if (k->not_at >= from && k->not_at < from + count) {
		before = k->not_at - from;
		if (before > k->want - k->n)
			before = k->want - k->n;
		memcpy(k->to + (size_t)k->n * k->p->addr_len, addr_at(k->p, from),
		       (size_t)before * k->p->addr_len);
		k->n += before;
		count -= k->not_at - from + 1;
		from = k->not_at + 1;
	}
	if (count > k->want - k->n)
		count = k->want - k->n;
	memcpy(k->to + (size_t)k->n * k->p->addr_len, addr_at(k->p, from),
	       (size_t)count * k->p->addr_len);
	k->n += count;
}

static void copy_ring(struct pick *k, uint32_t from, uint32_t count, uint32_t ring)
{
	uint32_t first;

	from %= ring;
	first = count < ring - from ? count : ring - from;
	copy_run(k, from, first);
	copy_run(k, 0, count - first);
}

/*
 * Those of [from, from + count) that are of this group, or those that are not, until there are
 * `most`. How many places were looked at.
 */
static uint32_t copy_group(struct pick *k, uint32_t from, uint32_t count, uint32_t ring,
			   uint8_t group, bool same, uint32_t most)
{
	uint32_t i;

	for (i = 0; i < count && k->n < most; i++) {
		uint32_t at = (from + i) % ring;

		if (at == k->not_at || (groups(k->p)[at] == group) != same)
			continue;
		memcpy(k->to + (size_t)k->n * k->p->addr_len, addr_at(k->p, at), k->p->addr_len);
		k->n++;
	}
	return i;
}

uint32_t spate_peers_pick(const struct spate_peers *p, uint8_t *to, uint32_t want, uint32_t not_at,
			  bool for_seed, uint8_t group, uint64_t random)
{
	struct pick k = {.p = p, .to = to, .want = want, .not_at = not_at};
	uint32_t ring = for_seed ? p->leechers : p->n;
	uint32_t start = (uint32_t)((uint64_t)(uint32_t)random * ring >> 32);
	uint32_t window, near, most = want;

	if (ring == 0 || want == 0)
		return 0;
	if (group == 0) {
		copy_ring(&k, start, ring, ring);
		return k.n;
	}
	/*
	 * Near ones first, but where there are many peers every fourth is from anywhere: swarms
	 * that know only themselves would split. Each place is named by one of the four at most.
	 */
	window = ring < WINDOW ? ring : WINDOW;
	if (ring > want)
		most = want - want / 4;
	near = copy_group(&k, start, window, ring, group, true, most);
	copy_ring(&k, start + window, ring - window, ring);
	copy_group(&k, start, window, ring, group, false, want);
	copy_group(&k, start + near, window - near, ring, group, true, want);
	return k.n;
}

void spate_peers_check(const struct spate_peers *p, const uint64_t key[2])
{
	uint32_t used = 0;

	if (p->leechers > p->n || p->n > p->cap)
		abort();
	if (p->base != NULL && corrupt(p) + p->cap > (const uint8_t *)slots(p))
		abort();
	for (uint32_t i = 0; i < p->slots; i++)
		used += slots(p)[i] != 0;
	if (p->slots != 0 && used != p->n)
		abort();
	for (uint32_t i = 0; i < p->n; i++)
		if (spate_peers_find(p, addr_at(p, i), key) != i)
			abort();
}

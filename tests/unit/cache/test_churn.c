/*
 * Everything at once, at random: fills side by side, pins, holds, purges, replacements, ranges,
 * refreshes. After each few steps every invariant is walked, and the bytes of what can be found are
 * compared.
 */
#include "lib.h"

enum { FILLS = 12, PINS = 40, KEYS = 200, STEPS = 30000 };

struct fill {
	struct spate_object *o;
	uint64_t n, size, from; /* from: where a range fill began */
	bool known;
};

static struct spate_cache *c;
static struct fill fills[FILLS];
static struct spate_object *pinned[PINS];
static uint64_t pinned_n[PINS], pinned_ready[PINS];
static uint64_t seed;
static uint64_t done[4]; /* completed, failed, given up for room, large ones refused */

static uint64_t below(uint64_t n)
{
	return rnd(&seed) % n;
}

static uint64_t random_size(void)
{
	switch (below(4)) {
	case 0:
		return below(BLOCK);
	case 1:
		return below(8 * BLOCK);
	case 2:
		return below(40 * BLOCK);
	default:
		return below(3) * BLOCK;
	}
}

/* Most heads lie beside their object. */
static struct spate_meta *random_meta(void)
{
	return make_meta((uint16_t)(below(10) == 0 ? below(16384) : below(300)));
}

static void begin(struct fill *f)
{
	f->n = below(KEYS);
	f->size = below(50) == 0 ? spate_cache_max_object(c) * 2 : random_size();
	f->known = below(3) != 0;
	f->from = 0;
	struct spate_key key = key_of(f->n);

	f->o = below(8) == 0 ? spate_cache_insert_private(c, &key) : spate_cache_insert(c, &key);
	if (f->o == NULL)
		return;
	struct spate_meta *meta = random_meta();

	if (spate_cache_publish(c, f->o, meta, f->known ? f->size : SPATE_SIZE_UNKNOWN, 100) < 0) {
		free(meta);
		spate_cache_release(c, f->o);
		f->o = NULL;
		done[3]++;
	}
}

static void end(struct fill *f, bool fail)
{
	uint64_t waiting;

	if (fail)
		spate_cache_fail(c, f->o, &waiting);
	else
		assert_int_equal(spate_cache_complete(c, f->o, &waiting), 0);
	done[fail]++;
	spate_cache_release(c, f->o);
	f->o = NULL;
}

static void go_on(struct fill *f)
{
	uint64_t filled = atomic_load(&f->o->filled);
	uint64_t piece = below(6 * BLOCK) + 1;

	if (below(60) == 0) {
		end(f, true);
		return;
	}
	if (f->known && below(10) == 0 && f->size > 2 * BLOCK) { /* a range somewhere, one block */
		uint64_t at = below(f->size / BLOCK) * BLOCK, waiting;
		uint64_t len = f->size - at < BLOCK ? f->size - at : BLOCK;
		struct iovec iov[1];
		unsigned k;

		if (at > filled && spate_cache_room_at(c, f->o, at, len, iov, 1, &k) == len) {
			write_pattern(f->n, at, iov, k);
			spate_cache_filled_at(c, f->o, at, len, &waiting);
		}
		return;
	}
	if (piece > f->size - filled)
		piece = f->size - filled;
	if (fill_some(c, f->o, f->n, piece) < piece) {
		if (atomic_load(&f->o->filled) < f->size && below(4) == 0) {
			done[2]++;
			end(f, true); /* as control does after its deadline */
		}
		return;
	}
	if (atomic_load(&f->o->filled) == f->size)
		end(f, false);
}

static void read_something(void)
{
	uint64_t n = below(KEYS), at = below(PINS);
	struct spate_object *o = pinned[at] != NULL ? NULL : look(c, n);

	if (pinned[at] != NULL) {
		/* what was ready stays ready and right, whatever happened to the object */
		expect_pattern(c, pinned[at], pinned_n[at], 0, pinned_ready[at]);
		spate_cache_unpin(c, 0, pinned[at]);
		pinned[at] = NULL;
	} else if (o != NULL) {
		spate_cache_pin(c, 0, o);
		pinned[at] = o;
		pinned_n[at] = n;
		pinned_ready[at] = spate_object_ready(c, o, 0);
		if (below(10) == 0)
			spate_cache_refresh(c, o, below(2) ? random_meta() : NULL, 1);
		if (below(20) == 0)
			spate_cache_remove(c, o);
	}
}

static void churn(void **state)
{
	uint64_t evicted;

	seed = (uint64_t)(uintptr_t)*state;
	c = small_cache(128, 2);
	memset(done, 0, sizeof(done));
	spate_cache_online(c, 0);
	for (int step = 0; step < STEPS; step++) {
		struct fill *f = &fills[below(FILLS)];

		if (f->o == NULL)
			begin(f);
		else
			go_on(f);
		if (below(3) == 0)
			read_something();
		if (below(4) == 0)
			spate_cache_quiesce(c, 0);
		if (below(4) == 0)
			spate_cache_reclaim(c);
		if (below(50) == 0) {
			struct spate_cache_usage u;

			spate_cache_check(c);
			spate_cache_usage(c, &u);
			assert_true(u.bytes_mapped <= u.bytes_limit);
		}
	}
	for (unsigned i = 0; i < PINS; i++) {
		if (pinned[i] != NULL)
			spate_cache_unpin(c, 0, pinned[i]);
		pinned[i] = NULL;
	}
	for (unsigned i = 0; i < FILLS; i++)
		if (fills[i].o != NULL)
			end(&fills[i], true);
	spate_cache_offline(c, 0);
	for (int i = 0; i < 10; i++)
		spate_cache_reclaim(c);
	spate_cache_check(c);
	assert_int_equal(c->grace.count + c->limbo.count, 0);
	evicted = c->evicted;
	assert_true(done[0] > 1000 && done[1] > 50 && evicted > 100);
	spate_cache_destroy(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(churn, (void *)1),
		cmocka_unit_test_prestate(churn, (void *)2),
		cmocka_unit_test_prestate(churn, (void *)3),
	};

	return cmocka_run_group_tests_name("cache churn", tests, NULL, NULL);
}

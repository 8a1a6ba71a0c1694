/*
 * Readers while the writer writes: four reader threads look up, pin, read bytes and let go, sleep
 * and wake, while this thread fills, evicts, replaces, purges and refreshes as fast as it can. Each
 * byte that was ready must be the right one for as long as it is pinned. Under ThreadSanitizer the
 * orders drawn in the headers are checked.
 */
#include "lib.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { READERS = 4, KEYS = 60, KEPT = 8, FILLED = 3000, BYTES_LOOKED_AT = 64 };

static struct spate_cache *c;
static _Atomic bool stop;
static _Atomic uint64_t hits, wrong, waits;

/* Of each ready piece some bytes only: the run should race, not read memory. */
static bool right(struct spate_object *o, uint64_t n, uint64_t ready)
{
	for (unsigned i = 0; i < BYTES_LOOKED_AT && ready > 0; i++) {
		uint64_t at = ready * i / BYTES_LOOKED_AT;
		struct iovec iov[1];
		unsigned k;

		if (spate_object_iov(c, o, at, 1, iov, 1, &k) != 1 ||
		    *(uint8_t *)iov[0].iov_base != pattern(n, at))
			return false;
	}
	return true;
}

struct kept {
	struct spate_object *o;
	uint64_t n, ready;
};

static void *reader(void *arg)
{
	unsigned id = (unsigned)(uintptr_t)arg;
	uint64_t seed = id + 77;
	struct kept kept[KEPT] = {0};

	spate_cache_online(c, id);
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		struct kept *k = &kept[rnd(&seed) % KEPT];

		if (k->o != NULL) {
			if (!right(k->o, k->n, k->ready))
				atomic_fetch_add(&wrong, 1);
			spate_cache_unpin(c, id, k->o);
			k->o = NULL;
		}
		uint64_t n = rnd(&seed) % KEYS;
		struct spate_object *o = look(c, n);

		if (o != NULL) {
			const struct spate_meta *meta =
				atomic_load_explicit(&o->meta, memory_order_acquire);

			if (meta->status != 200)
				atomic_fetch_add(&wrong, 1);
			spate_cache_pin(c, id, o);
			*k = (struct kept){o, n, spate_object_ready(c, o, 0)};
			if (!right(o, n, k->ready))
				atomic_fetch_add(&wrong, 1);
			if (spate_object_wait(c, o, id, k->ready))
				atomic_fetch_add(&waits, 1);
			atomic_fetch_add(&hits, 1);
		}
		spate_cache_quiesce(c, id);
		if (rnd(&seed) % 64 == 0) {
			spate_cache_offline(c, id);
			sched_yield();
			spate_cache_online(c, id);
		}
	}
	for (unsigned i = 0; i < KEPT; i++)
		if (kept[i].o != NULL)
			spate_cache_unpin(c, id, kept[i].o);
	spate_cache_offline(c, id);
	return NULL;
}

/* One fill from insert to its end, waiting for room as control does. */
static bool fill_one(uint64_t n, uint64_t size, bool known, uint64_t *seed)
{
	struct spate_key key = key_of(n);
	struct spate_object *o = spate_cache_insert(c, &key);
	uint64_t waiting;

	if (o == NULL)
		return false;
	spate_cache_publish(c, o, make_meta(32), known ? size : SPATE_SIZE_UNKNOWN, 100);
	while (atomic_load(&o->filled) < size) {
		uint64_t want = size - atomic_load(&o->filled), piece = rnd(seed) % (4 * BLOCK) + 1;

		if (fill_some(c, o, n, want < piece ? want : piece) == 0) {
			spate_cache_reclaim(c);
			sched_yield();
		}
	}
	if (rnd(seed) % 20 == 0)
		spate_cache_fail(c, o, &waiting);
	else
		spate_cache_complete(c, o, &waiting);
	spate_cache_release(c, o);
	return true;
}

static void readers_see_only_what_is_right(void **state)
{
	pthread_t t[READERS];
	uint64_t seed = 1, done = 0, evicted, reads;

	c = small_cache(256, READERS);
	stop = false;
	for (unsigned i = 0; i < READERS; i++)
		pthread_create(&t[i], NULL, reader, (void *)(uintptr_t)i);
	while (done < FILLED || atomic_load(&hits) < FILLED) {
		uint64_t n = rnd(&seed) % KEYS, other = rnd(&seed) % KEYS;

		done += fill_one(n, rnd(&seed) % (20 * BLOCK), rnd(&seed) % 2, &seed);
		struct spate_object *o = look(c, other);

		if (o != NULL && rnd(&seed) % 4 == 0)
			spate_cache_remove(c, o);
		else if (o != NULL && rnd(&seed) % 4 == 0)
			spate_cache_refresh(c, o, make_meta(64), 200);
		spate_cache_reclaim(c);
		if (done % 100 == 0)
			spate_cache_check(c);
	}
	evicted = c->evicted;
	stop = true;
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(t[i], NULL);
	reads = atomic_load(&hits);
	assert_int_equal(atomic_load(&wrong), 0);
	for (int i = 0; i < 4; i++)
		spate_cache_reclaim(c);
	assert_int_equal(c->grace.count + c->limbo.count, 0);
	spate_cache_check(c);
	spate_cache_destroy(c);
	printf("# %lu fills, %lu evictions, %lu hits, %lu waits\n", done, evicted, reads,
	       atomic_load(&waits));
}

/*
 * One fill, and a reader that sleeps until it is told. The writer goes on only when the reader has
 * taken the last piece, so a wake-up that gets lost stops both.
 */
enum { PIECES = 3000, PATIENCE = 20000 };

static _Atomic uint64_t told, taken;

/* Until *what has come to n: spins a little, then sleeps; false after 20 s. */
static bool until(_Atomic uint64_t *what, uint64_t n)
{
	for (unsigned i = 0; atomic_load_explicit(what, memory_order_acquire) < n; i++) {
		struct timespec ms = {.tv_nsec = 1000000};

		if (i > PATIENCE + 1000)
			return false;
		if (i > 1000)
			nanosleep(&ms, NULL);
		else if (i > 50)
			sched_yield();
	}
	return true;
}

static void *follower(void *arg)
{
	struct spate_object *o = arg;
	uint64_t at = 0;

	for (;;) {
		uint64_t ready = spate_object_ready(c, o, at);

		if (ready > 0) {
			at += ready;
			atomic_store_explicit(&taken, at, memory_order_release);
			continue;
		}
		atomic_store_explicit(&told, 0, memory_order_relaxed);
		if (at % 300 == 0)
			usleep(100); /* often the bytes come just here, between looking and asking
				      */
		if (spate_object_wait(c, o, 0, at)) {
			if (!until(&told, 1))
				return "never told";
		} else if (spate_object_ready(c, o, at) == 0) {
			break; /* the fill has ended */
		}
	}
	return at == atomic_load(&o->size) ? NULL : "short";
}

static void no_progress_is_missed(void **state)
{
	struct spate_key key = key_of(1);
	struct spate_object *o;
	uint64_t waiting;
	pthread_t t;
	void *lost;

	c = small_cache(1024, 1);
	o = spate_cache_insert(c, &key);
	assert_int_equal(spate_cache_publish(c, o, make_meta(0), SPATE_SIZE_UNKNOWN, 100), 0);
	told = taken = 0;
	pthread_create(&t, NULL, follower, o);
	for (uint64_t i = 0; i < PIECES; i++) {
		struct iovec iov[1];
		unsigned k;

		if (!until(&taken, atomic_load(&o->filled)))
			break;
		assert_true(spate_cache_room(c, o, 100, iov, 1, &k) > 0);
		if (spate_cache_filled(c, o, iov[0].iov_len) != 0)
			atomic_store_explicit(&told, 1, memory_order_release);
	}
	spate_cache_complete(c, o, &waiting);
	if (waiting != 0)
		atomic_store_explicit(&told, 1, memory_order_release);
	pthread_join(t, &lost);
	if (lost != NULL)
		fail_msg("%s", (char *)lost);
	spate_cache_release(c, o);
	spate_cache_destroy(c);
}

/*
 * A worker that did not sleep says online though it is. That says as much as a quiesce: what it did
 * before is over once the writer has seen it. `step` is relaxed, so that it orders nothing.
 */
static _Atomic int step;
static int looked; /* stands for what the reader did with the object */

static bool step_is(int n)
{
	for (unsigned i = 0; atomic_load_explicit(&step, memory_order_relaxed) < n; i++) {
		if (i > 100000000)
			return false;
		sched_yield();
	}
	return true;
}

static void next_step(int n)
{
	atomic_store_explicit(&step, n, memory_order_relaxed);
}

static void *wakes_twice(void *arg)
{
	struct spate_object *o;

	spate_cache_online(c, 0);
	o = look(c, 1);
	spate_cache_pin(c, 0, o);
	looked = 1;
	spate_cache_quiesce(c, 0); /* the epoch is what we have seen: no store */
	next_step(1);
	if (!step_is(2))
		return "no step 2";
	spate_cache_online(c, 0);
	next_step(3);
	if (!step_is(4))
		return "no step 4";
	spate_cache_unpin(c, 0, o);
	spate_cache_offline(c, 0);
	return NULL;
}

static void online_again_is_a_quiescent_state(void **state)
{
	struct spate_object *o;
	pthread_t t;
	void *lost;

	c = small_cache(64, 1);
	o = store(c, 1, 100);
	step = looked = 0;
	pthread_create(&t, NULL, wakes_twice, NULL);
	assert_true(step_is(1));
	spate_cache_remove(c, o);
	assert_int_equal(spate_cache_reclaim(c), 1); /* steps; the reader is behind */
	next_step(2);
	assert_true(step_is(3));
	assert_true(spate_qsbr_expired(&c->qsbr) > o->retired_at);
	assert_int_equal(looked, 1); /* TSan: ordered by `seen` alone */
	assert_true(spate_cache_pinned(c, o));
	assert_int_equal(spate_cache_reclaim(c), 1);
	next_step(4);
	pthread_join(t, &lost);
	if (lost != NULL)
		fail_msg("%s", (char *)lost);
	assert_int_equal(spate_cache_reclaim(c), 0);
	spate_cache_destroy(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_see_only_what_is_right),
		cmocka_unit_test(no_progress_is_missed),
		cmocka_unit_test(online_again_is_a_quiescent_state),
	};

	return cmocka_run_group_tests_name("cache threads", tests, NULL, NULL);
}

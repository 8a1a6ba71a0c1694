/*
 * S3-FIFO against a model that is nothing but lists in arrays, written from the paper and
 * s3fifo.h's list of differences: the same hits, misses and victims, one by one, over seeded
 * traces.
 */
#include "lib.h"

/* What the paper's algorithm hits on these traces, as the model counts it; a change of policy shows
 * here. */
enum { HITS_ZIPF_UNIT = 65660, HITS_ZIPF_MIXED = 32828, HITS_SCAN = 11658, HITS_LOOP = 17190 };

enum { KEYS = 20000, SLOTS = 4096 };

/* --- the model: arrays with the oldest first; slow and plain --- */

struct entry {
	uint32_t key, weight, freq, busy;
};

struct list {
	struct entry e[KEYS];
	uint32_t n;
	uint64_t weight;
};

static struct {
	struct list small, main, ghost;
	uint64_t capacity, hits;
	uint32_t ghost_entries_max;
} m;

static void model_push(struct list *l, struct entry e)
{
	assert_true(l->n < KEYS);
	l->e[l->n++] = e;
	l->weight += e.weight;
}

static struct entry model_take(struct list *l, uint32_t at)
{
	struct entry e = l->e[at];

	memmove(&l->e[at], &l->e[at + 1], (l->n - at - 1) * sizeof(e));
	l->n--;
	l->weight -= e.weight;
	return e;
}

static struct entry *model_find(struct list *l, uint32_t key)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->e[i].key == key)
			return &l->e[i];
	return NULL;
}

static void model_ghost(struct entry e)
{
	uint64_t most = m.capacity - m.capacity / 10;

	if (e.weight > most)
		return;
	while (m.ghost.n == m.ghost_entries_max || m.ghost.weight + e.weight > most)
		model_take(&m.ghost, 0);
	model_push(&m.ghost, e);
}

static bool model_all_busy(const struct list *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (!l->e[i].busy)
			return false;
	return true;
}

static uint32_t model_evict(void)
{
	for (;;) {
		bool no_small = model_all_busy(&m.small), no_main = model_all_busy(&m.main);
		bool from_small = !no_small && (no_main || m.small.weight >= m.capacity / 10);
		struct list *l = from_small ? &m.small : &m.main;

		if (no_small && no_main)
			return UINT32_MAX;
		struct entry e = model_take(l, 0);

		if (e.busy) {
			model_push(l, e);
		} else if (from_small && e.freq > 1) {
			e.freq = 0;
			model_push(&m.main, e);
		} else if (!from_small && e.freq > 0) {
			e.freq--;
			model_push(l, e);
		} else {
			if (from_small)
				model_ghost(e);
			return e.key;
		}
	}
}

static bool model_access(uint32_t key)
{
	struct entry *e = model_find(&m.small, key);

	if (e == NULL)
		e = model_find(&m.main, key);
	if (e == NULL)
		return false;
	e->freq += e->freq < 3;
	m.hits++;
	return true;
}

static void model_insert(uint32_t key, uint32_t weight)
{
	struct entry *g = model_find(&m.ghost, key), e = {.key = key, .weight = weight};

	if (g != NULL)
		model_take(&m.ghost, (uint32_t)(g - m.ghost.e));
	model_push(g != NULL ? &m.main : &m.small, e);
}

/* --- ours, driven the same way --- */

static struct spate_object *pool;
static void *ghost_mem;
static struct spate_s3fifo s;
static struct spate_object *where[KEYS]; /* key -> object */
static uint32_t free_slot[SLOTS], nfree;
static uint64_t hits, asked; /* asked: whether an object is in use */

static bool busy(void *ctx, const struct spate_object *o)
{
	asked++;
	return o->holds > 0;
}

static void start(uint64_t capacity, uint32_t slots)
{
	memset(&m, 0, sizeof(m));
	m.capacity = capacity;
	m.ghost_entries_max = slots;
	pool = aligned_alloc(64, SLOTS * sizeof(*pool));
	memset((void *)pool, 0, SLOTS * sizeof(*pool));
	ghost_mem = calloc(1, spate_ghost_bytes(slots));
	memset(where, 0, sizeof(where));
	nfree = 0;
	for (uint32_t i = 0; i < SLOTS; i++) {
		pool[i].id = i;
		free_slot[nfree++] = i;
	}
	hits = asked = 0;
	spate_s3fifo_init(&s, pool, slots, capacity, ghost_mem);
}

static void stop(void)
{
	free(pool);
	free(ghost_mem);
}

static uint64_t weight_now(void)
{
	return s.small.weight + s.main.weight;
}

static void insert(uint32_t key, uint32_t weight)
{
	struct spate_object *o = &pool[free_slot[--nfree]];

	o->key = key_of(key);
	o->fill = &where[key]; /* key, for the victim's sake */
	o->nblocks = weight;
	o->holds = 0;
	atomic_store(&o->freq, 0);
	where[key] = o;
	spate_s3fifo_insert(&s, o);
}

static uint32_t evict(void)
{
	struct spate_object *o = spate_s3fifo_evict(&s, busy, NULL);

	if (o == NULL)
		return UINT32_MAX;
	uint32_t key = (uint32_t)((struct spate_object **)o->fill - where);

	where[key] = NULL;
	free_slot[nfree++] = o->id;
	return key;
}

static bool access_key(uint32_t key)
{
	struct spate_object *o = where[key];

	if (o == NULL)
		return false;
	if (atomic_load(&o->freq) < 3)
		atomic_fetch_add(&o->freq, 1);
	hits++;
	return true;
}

static void request(uint32_t key, uint32_t weight)
{
	bool ours = access_key(key);

	spate_s3fifo_turn(&s);
	assert_int_equal(ours, model_access(key));
	if (ours)
		return;
	while (weight_now() + weight > m.capacity) {
		uint32_t victim = evict();

		assert_int_equal(victim, model_evict());
		if (victim == UINT32_MAX)
			return; /* all busy: not stored */
	}
	insert(key, weight);
	model_insert(key, weight);
	assert_int_equal(s.small.weight, m.small.weight);
	assert_int_equal(s.main.weight, m.main.weight);
	assert_int_equal(s.ghost.weight, m.ghost.weight);
	assert_int_equal(s.ghost.entries, m.ghost.n);
}

/* Key i with a chance in proportion to 1 / (i + flat): Zipf-Mandelbrot, in integers, so the same
 * everywhere. */
static uint32_t zipf(uint64_t *seed, uint32_t flat, uint32_t n)
{
	static uint64_t cdf[KEYS];
	static uint32_t made, made_n;
	uint32_t low = 0, high = n - 1;

	if (made != flat || made_n != n) {
		uint64_t sum = 0;

		for (uint32_t i = 0; i < n; i++)
			cdf[i] = sum += (1ull << 40) / (i + flat);
		made = flat;
		made_n = n;
	}
	uint64_t u = rnd(seed) % cdf[n - 1];

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (cdf[mid] <= u)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static uint32_t weight_of(uint32_t key)
{
	return key * 2654435761u % 64 + 1;
}

static void zipf_unit_sizes(void **state)
{
	uint64_t seed = 1;

	start(500, SLOTS);
	for (int i = 0; i < 100000; i++)
		request(zipf(&seed, 3, 5000), 1);
	assert_int_equal(hits, m.hits);
	assert_int_equal(hits, HITS_ZIPF_UNIT);
	stop();
}

static void zipf_mixed_sizes(void **state)
{
	uint64_t seed = 2;

	start(10000, SLOTS);
	for (int i = 0; i < 50000; i++) {
		uint32_t key = zipf(&seed, 1, 5000);

		request(key, weight_of(key));
	}
	assert_int_equal(hits, m.hits);
	assert_int_equal(hits, HITS_ZIPF_MIXED);
	stop();
}

/* A popular few, and a scan of once-asked keys through it: the scan must not wash the few out. */
static void a_scan_leaves_the_popular_alone(void **state)
{
	uint64_t seed = 3;
	uint32_t popular_hits = 0, popular_asked = 0;

	start(1000, SLOTS);
	for (uint32_t i = 0; i < 5000; i++)
		request((uint32_t)(rnd(&seed) % 800), 1);
	for (uint32_t i = 0; i < 15000; i++) {
		if (i % 2 == 0) {
			request(5000 + i, 1);
			continue;
		}
		uint64_t before = hits;

		request((uint32_t)(rnd(&seed) % 800), 1);
		popular_hits += hits > before;
		popular_asked++;
	}
	assert_int_equal(hits, m.hits);
	assert_int_equal(hits, HITS_SCAN);
	assert_true(popular_hits > popular_asked * 97 / 100);
	stop();
}

/* Larger than the cache, in circles: FIFO's and LRU's worst. */
static void a_loop_larger_than_the_cache(void **state)
{
	start(300, SLOTS);
	for (uint32_t i = 0; i < 30000; i++)
		request(i % 400, 1);
	assert_int_equal(hits, m.hits);
	assert_int_equal(hits, HITS_LOOP);
	stop();
}

static void a_small_ghost_forgets_the_oldest(void **state)
{
	uint64_t seed = 4;

	start(200, 50);
	for (int i = 0; i < 50000; i++)
		request(zipf(&seed, 10, 3000), 1);
	assert_int_equal(hits, m.hits);
	stop();
}

static void busy_objects_stay(void **state)
{
	uint64_t seed = 5;

	start(300, SLOTS);
	for (int i = 0; i < 60000; i++) {
		uint32_t key = zipf(&seed, 3, 3000), other = zipf(&seed, 30, 3000);
		struct entry *e;

		request(key, weight_of(key) % 8 + 1);
		e = model_find(&m.small, other);
		if (e == NULL)
			e = model_find(&m.main, other);
		if (e != NULL) {
			e->busy ^= 1;
			where[other]->holds ^= 1;
		}
	}
	assert_int_equal(hits, m.hits);
	stop();
}

static void all_busy_gives_nothing(void **state)
{
	start(10, SLOTS);
	for (uint32_t k = 0; k < 10; k++) {
		request(k, 1);
		where[k]->holds = 1;
		atomic_store(&where[k]->freq, 3);
	}
	assert_int_equal(evict(), UINT32_MAX);
	where[7]->holds = 0;
	spate_s3fifo_turn(&s);
	assert_int_equal(evict(), 7);
	stop();
}

static void hold_all(uint32_t from, uint32_t to)
{
	for (uint32_t k = from; k < to; k++)
		where[k]->holds = 1;
}

/* Forty in small, the others in main: they were in the ghost. */
static void forty_small(uint32_t n)
{
	start(n, SLOTS);
	for (uint32_t k = 0; k < n; k++) {
		if (k >= 40)
			spate_ghost_add(&s.ghost, key_of(k).lo, 1);
		insert(k, 1);
	}
	assert_int_equal(s.small.count, 40);
	assert_int_equal(s.main.count, n - 40);
}

static void what_is_all_in_use_is_walked_once_a_turn(void **state)
{
	forty_small(400);
	hold_all(0, 400);
	for (int turn = 1; turn <= 3; turn++) {
		for (int i = 0; i < 100; i++)
			assert_int_equal(evict(), UINT32_MAX);
		assert_in_range(asked, turn * 400, turn * 405);
		spate_s3fifo_turn(&s);
	}
	stop();
}

static void a_small_queue_in_use_is_walked_once_for_many_from_main(void **state)
{
	forty_small(400);
	hold_all(0, 40);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(evict(), 40 + i);
	assert_in_range(asked, 140, 145);
	stop();
}

/* A turn looks at so many in use and no more; the next goes on where it ended. */
static void a_long_walk_takes_more_turns(void **state)
{
	const uint32_t n = SPATE_S3_LOOKS + SPATE_S3_LOOKS / 2;
	int turns = 1;

	start(10ull * n, SLOTS);
	for (uint32_t k = 0; k < n; k++)
		insert(k, 1);
	hold_all(0, n - 1);
	for (; evict() != n - 1; turns++) {
		assert_true(asked <= (uint64_t)turns * SPATE_S3_LOOKS);
		assert_int_equal(evict(), UINT32_MAX);
		spate_s3fifo_turn(&s);
	}
	assert_int_equal(turns, 2);
	stop();
}

static void what_enters_is_found_in_the_same_turn(void **state)
{
	forty_small(100);
	hold_all(0, 100);
	assert_int_equal(evict(), UINT32_MAX);
	insert(200, 1);
	assert_int_equal(evict(), 200);
	insert(201, 1);
	atomic_store(&where[201]->freq, 3); /* by way of main */
	assert_int_equal(evict(), 201);
	where[70]->holds = 0;
	atomic_store(&where[70]->freq, 3); /* three rounds of main more */
	spate_s3fifo_turn(&s);
	assert_int_equal(evict(), 70);
	stop();
}

/* One in use that leaves does not stand for one that was not looked at. */
static void what_leaves_is_not_counted_as_in_use(void **state)
{
	start(1000, SLOTS);
	for (uint32_t k = 0; k < 5; k++)
		insert(k, 1);
	hold_all(0, 4);
	where[4]->holds = 1;
	s.small.looks = 4;
	assert_int_equal(evict(), UINT32_MAX); /* 0 to 3 */
	s.small.looks = 100;
	where[4]->holds = 0;
	spate_s3fifo_remove(&s, where[0]);
	assert_int_equal(evict(), 4);
	stop();
}

static void removed_objects_leave_no_ghost(void **state)
{
	start(10, SLOTS);
	request(1, 3);
	spate_s3fifo_remove(&s, where[1]);
	assert_int_equal(weight_now(), 0);
	assert_int_equal(s.ghost.entries, 0);
	assert_int_equal(evict(), UINT32_MAX);
	stop();
}

static void growing_in_a_queue_weighs(void **state)
{
	start(100, SLOTS);
	insert(1, 0);
	assert_int_equal(weight_now(), 1);
	where[1]->nblocks = 1;
	spate_s3fifo_grow(&s, where[1], 1);
	assert_int_equal(weight_now(), 1);
	where[1]->nblocks = 5;
	spate_s3fifo_grow(&s, where[1], 4);
	assert_int_equal(weight_now(), 5);
	spate_s3fifo_remove(&s, where[1]);
	assert_int_equal(weight_now(), 0);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zipf_unit_sizes),
		cmocka_unit_test(zipf_mixed_sizes),
		cmocka_unit_test(a_scan_leaves_the_popular_alone),
		cmocka_unit_test(a_loop_larger_than_the_cache),
		cmocka_unit_test(a_small_ghost_forgets_the_oldest),
		cmocka_unit_test(busy_objects_stay),
		cmocka_unit_test(all_busy_gives_nothing),
		cmocka_unit_test(what_is_all_in_use_is_walked_once_a_turn),
		cmocka_unit_test(a_small_queue_in_use_is_walked_once_for_many_from_main),
		cmocka_unit_test(a_long_walk_takes_more_turns),
		cmocka_unit_test(what_enters_is_found_in_the_same_turn),
		cmocka_unit_test(what_leaves_is_not_counted_as_in_use),
		cmocka_unit_test(removed_objects_leave_no_ghost),
		cmocka_unit_test(growing_in_a_queue_weighs),
	};

	return cmocka_run_group_tests_name("s3fifo", tests, NULL, NULL);
}

#include "dataplane/cache/index.h"

/* Four objects a bucket of seven at most: about one in a hundred buckets overflows. */
static uint64_t buckets_for(uint32_t objects)
{
	uint64_t n = 16;

	while (n * 4 < objects)
		n *= 2;
	return n;
}

size_t spate_index_bytes(uint32_t objects)
{
	return (size_t)buckets_for(objects) * sizeof(struct spate_bucket);
}

void spate_index_init(struct spate_index *x, void *mem, uint32_t objects,
		      const struct spate_object *pool)
{
	*x = (struct spate_index){.bucket = mem, .mask = buckets_for(objects) - 1, .pool = pool};
}

static void add_past(struct spate_bucket *b, int64_t n)
{
	uint64_t past = atomic_load_explicit(&b->past, memory_order_relaxed);

	atomic_store_explicit(&b->past, past + (uint64_t)n, memory_order_release);
}

/* Where the entry with this key sits, and in which bucket; NULL when it is not in. */
static _Atomic uint64_t *find(const struct spate_index *x, const struct spate_key *key,
			      uint64_t *at)
{
	for (*at = key->lo; *at - key->lo <= x->mask; (*at)++) {
		struct spate_bucket *b = &x->bucket[*at & x->mask];

		for (unsigned i = 0; i < SPATE_BUCKET_ENTRIES; i++) {
			uint64_t e = atomic_load_explicit(&b->entry[i], memory_order_relaxed);

			if (e == 0)
				continue;
			const struct spate_key *k = &x->pool[(uint32_t)e - 1].key;

			if (k->lo == key->lo && k->hi == key->hi)
				return &b->entry[i];
		}
		if (atomic_load_explicit(&b->past, memory_order_relaxed) == 0)
			break;
	}
	return NULL;
}

static _Atomic uint64_t *empty_entry(struct spate_bucket *b)
{
	for (unsigned i = 0; i < SPATE_BUCKET_ENTRIES; i++)
		if (atomic_load_explicit(&b->entry[i], memory_order_relaxed) == 0)
			return &b->entry[i];
	return NULL;
}

uint32_t spate_index_put(struct spate_index *x, const struct spate_object *o)
{
	uint64_t at;
	_Atomic uint64_t *e = find(x, &o->key, &at);

	if (e != NULL) {
		uint32_t old = (uint32_t)atomic_load_explicit(e, memory_order_relaxed) - 1;

		atomic_store_explicit(e, spate_index_entry(o), memory_order_release);
		return old;
	}
	/* There are more entries than objects, so an empty one comes. */
	for (at = o->key.lo; (e = empty_entry(&x->bucket[at & x->mask])) == NULL; at++)
		add_past(&x->bucket[at & x->mask], 1);
	atomic_store_explicit(e, spate_index_entry(o), memory_order_release);
	x->count++;
	return SPATE_NO_OBJECT;
}

void spate_index_remove(struct spate_index *x, const struct spate_object *o)
{
	uint64_t at;
	_Atomic uint64_t *e = find(x, &o->key, &at);

	assert(e != NULL && *e == spate_index_entry(o));
	atomic_store_explicit(e, 0, memory_order_release);
	for (uint64_t i = o->key.lo; i != at; i++)
		add_past(&x->bucket[i & x->mask], -1);
	x->count--;
}

/* read.c: the hit path. One index line, one object line, one line of this reader's own pin counts.
 */
#include "dataplane/cache/internal.h"

struct spate_object *spate_cache_lookup(struct spate_cache *c, const struct spate_key *key)
{
	uint32_t id = spate_index_get(&c->index, key);

	if (id == SPATE_NO_OBJECT)
		return NULL;
	struct spate_object *o = &c->pool[id];

	/* failed, but the writer has not reached the index yet */
	if (atomic_load_explicit(&o->state, memory_order_acquire) == SPATE_OBJECT_FAILED)
		return NULL;
	/*
	 * Two readers, or a reader and the writer, may overwrite each other here and lose a count:
	 * S3-FIFO does not mind, and a popular object's line stays shared because 3 is not written
	 * again.
	 */
	uint8_t freq = atomic_load_explicit(&o->freq, memory_order_relaxed);

	if (freq < 3)
		atomic_store_explicit(&o->freq, freq + 1, memory_order_relaxed);
	return o;
}

#define META_LINES 4 /* fields and a head of the usual length */

static void fetch_meta(const void *meta)
{
	for (unsigned i = 0; i < META_LINES; i++)
		__builtin_prefetch((const char *)meta + i * 64);
}

void spate_cache_ahead_index(const struct spate_cache *c, const struct spate_key *key)
{
	spate_index_fetch(&c->index, key);
}

const struct spate_object *spate_cache_ahead_object(const struct spate_cache *c, unsigned reader,
						    const struct spate_key *key)
{
	uint32_t id = spate_index_guess(&c->index, key);

	if (id == SPATE_NO_OBJECT)
		return NULL;
	__builtin_prefetch(&c->pool[id], 1); /* the frequency is there */
	__builtin_prefetch(c->pool[id].direct);
	fetch_meta(c->pool[id].beside);
	__builtin_prefetch(&c->qsbr.reader[reader].pins[id], 1);
	return &c->pool[id];
}

void spate_cache_ahead_meta(const struct spate_object *o)
{
	const struct spate_meta *m = atomic_load_explicit(&o->meta, memory_order_relaxed);

	if (!spate_meta_beside(o, m))
		fetch_meta(m);
}

/*
 * The counts are this reader's alone, so a pin is a load, an add and a store.
 *
 *   pin:   relaxed. The writer looks at pins only after this reader has quiesced (release) since
 * the object left the index, or after it let go of the hold it handed over: both make the pin
 * visible. unpin: release, so that our reads of the bytes come before the writer, who sees 0,
 * reuses them.
 */
void spate_cache_pin(struct spate_cache *c, unsigned reader, struct spate_object *o)
{
	struct spate_qsbr_reader *r = &c->qsbr.reader[reader];
	uint32_t n = atomic_load_explicit(&r->pins[o->id], memory_order_relaxed);
	uint64_t sum = atomic_load_explicit(&r->pinned, memory_order_relaxed);

	atomic_store_explicit(&r->pins[o->id], n + 1, memory_order_relaxed);
	atomic_store_explicit(&r->pinned, sum + 1, memory_order_relaxed);
}

void spate_cache_unpin(struct spate_cache *c, unsigned reader, struct spate_object *o)
{
	struct spate_qsbr_reader *r = &c->qsbr.reader[reader];
	uint32_t n = atomic_load_explicit(&r->pins[o->id], memory_order_relaxed);
	uint64_t sum = atomic_load_explicit(&r->pinned, memory_order_relaxed);

	assert(n > 0);
	atomic_store_explicit(&r->pins[o->id], n - 1, memory_order_release);
	atomic_store_explicit(&r->pinned, sum - 1, memory_order_relaxed);
}

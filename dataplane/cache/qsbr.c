#include "dataplane/cache/qsbr.h"

#include <assert.h>

#include "dataplane/cache/internal.h"

void spate_qsbr_init(struct spate_qsbr *q, struct spate_qsbr_reader *reader, unsigned readers)
{
	atomic_init(&q->epoch, 1);
	q->reader = reader;
	q->readers = readers;
}

uint64_t spate_qsbr_now(const struct spate_qsbr *q)
{
	return atomic_load_explicit(&q->epoch, memory_order_relaxed); /* only the writer steps it */
}

void spate_qsbr_step(struct spate_qsbr *q)
{
	atomic_fetch_add_explicit(&q->epoch, 1, memory_order_acq_rel);
}

uint64_t spate_qsbr_expired(const struct spate_qsbr *q)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < q->readers; i++) {
		/* acquire: what the reader did before it quiesced is over before we reuse the
		 * memory */
		uint64_t seen = atomic_load_explicit(&q->reader[i].seen, memory_order_acquire);

		if (seen != 0 && seen < least)
			least = seen;
	}
	return least;
}

void spate_cache_online(struct spate_cache *c, unsigned reader)
{
	uint64_t epoch = atomic_load_explicit(&c->qsbr.epoch, memory_order_relaxed);

	assert(reader < c->qsbr.readers);
	/* release: who was online already quiesces by this */
	atomic_store_explicit(&c->qsbr.reader[reader].seen, epoch, memory_order_release);
	atomic_fetch_add_explicit(&c->qsbr.epoch, 0, memory_order_acq_rel);
}

void spate_cache_quiesce(struct spate_cache *c, unsigned reader)
{
	/* acquire: this epoch's unlinks are visible to the lookups that follow */
	uint64_t epoch = atomic_load_explicit(&c->qsbr.epoch, memory_order_acquire);
	_Atomic uint64_t *seen = &c->qsbr.reader[reader].seen;

	/* an unchanged epoch needs no store: nobody waits */
	if (atomic_load_explicit(seen, memory_order_relaxed) != epoch)
		atomic_store_explicit(seen, epoch, memory_order_release);
}

void spate_cache_offline(struct spate_cache *c, unsigned reader)
{
	atomic_store_explicit(&c->qsbr.reader[reader].seen, 0, memory_order_release);
}

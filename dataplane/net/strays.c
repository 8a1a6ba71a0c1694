#include "dataplane/net/strays.h"

#include <stdlib.h>
#include <string.h>

#include <immintrin.h>

struct box {
	_Alignas(64) _Atomic uint32_t lock; /* of those who put */
	_Atomic uint32_t tail;              /* theirs */
	_Alignas(64) _Atomic uint32_t head; /* the receiver's */
	struct spate_stray slot[SPATE_STRAYS];
};

struct spate_strays {
	unsigned workers;
	struct box box[];
};

struct spate_strays *spate_strays_create(unsigned workers)
{
	size_t bytes = sizeof(struct spate_strays) + workers * sizeof(struct box);
	struct spate_strays *s = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

	if (s == NULL)
		return NULL;
	s->workers = workers;
	for (unsigned i = 0; i < workers; i++) {
		atomic_init(&s->box[i].lock, 0);
		atomic_init(&s->box[i].tail, 0);
		atomic_init(&s->box[i].head, 0);
	}
	return s;
}

void spate_strays_destroy(struct spate_strays *s)
{
	free(s);
}

unsigned spate_strays_workers(const struct spate_strays *s)
{
	return s->workers;
}

bool spate_strays_put(struct spate_strays *s, unsigned to, unsigned iface, unsigned hops,
		      const uint8_t *frame, uint32_t len)
{
	struct box *b = &s->box[to];

	if (len > SPATE_STRAY_BYTES)
		return false;
	while (atomic_exchange_explicit(&b->lock, 1, memory_order_acquire) != 0)
		_mm_pause();
	uint32_t tail = atomic_load_explicit(&b->tail, memory_order_relaxed);
	bool room = tail - atomic_load_explicit(&b->head, memory_order_acquire) < SPATE_STRAYS;

	if (room) {
		struct spate_stray *t = &b->slot[tail % SPATE_STRAYS];

		t->len = (uint16_t)len;
		t->iface = (uint8_t)iface;
		t->hops = (uint8_t)hops;
		memcpy(t->frame, frame, len);
		atomic_store_explicit(&b->tail, tail + 1, memory_order_release);
	}
	atomic_store_explicit(&b->lock, 0, memory_order_release);
	return room;
}

struct spate_stray *spate_strays_first(struct spate_strays *s, unsigned worker)
{
	struct box *b = &s->box[worker];
	uint32_t head = atomic_load_explicit(&b->head, memory_order_relaxed);

	if (head == atomic_load_explicit(&b->tail, memory_order_acquire))
		return NULL;
	return &b->slot[head % SPATE_STRAYS];
}

void spate_strays_done(struct spate_strays *s, unsigned worker)
{
	struct box *b = &s->box[worker];

	atomic_store_explicit(&b->head, atomic_load_explicit(&b->head, memory_order_relaxed) + 1,
			      memory_order_release);
}

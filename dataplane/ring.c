/*
 * ring.c: the message ring of spate/msg.h.
 *
 *     slots:  . . [h] m m m m [t] . .      head: consumer's, tail: producer's; both only grow,
 * masked on use
 *
 * Each side keeps the other's index as it last saw it (head_seen, tail_seen) and reads the shared
 * line only when that copy says full or empty; so a busy ring moves one cache line a batch, not one
 * a message.
 */
#include "spate/msg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int spate_ring_init(struct spate_ring *r, uint32_t entries, int eventfd)
{
	size_t bytes = ((size_t)entries * sizeof(*r->slots) + 63) & ~(size_t)63;

	memset(r, 0, sizeof(*r));
	if (entries < 2 || (entries & (entries - 1)) != 0 || entries > 1u << 31)
		return -EINVAL;
	r->slots = aligned_alloc(64, bytes);
	if (r->slots == NULL)
		return -ENOMEM;
	r->mask = entries - 1;
	r->eventfd = eventfd;
	return 0;
}

void spate_ring_finish(struct spate_ring *r)
{
	free(r->slots);
	r->slots = NULL;
}

bool spate_ring_push(struct spate_ring *r, const struct spate_msg *m)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (tail - r->head_seen > r->mask) {
		r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
		if (tail - r->head_seen > r->mask)
			return false;
	}
	r->slots[tail & r->mask] = *m;
	atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
	return true;
}

bool spate_ring_pop(struct spate_ring *r, struct spate_msg *m)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	if (head == r->tail_seen) {
		r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
		if (head == r->tail_seen)
			return false;
	}
	*m = r->slots[head & r->mask];
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
	return true;
}

/*
 * Dekker: the producer stores tail then reads sleeping, the consumer stores sleeping then reads
 * tail, and they must not both miss the other's store. Both middle steps are read-modify-writes of
 * `sleeping`, which have one total order, and the later one synchronises with the earlier:
 *
 *     producer   tail = t     ─▶ sleeping += 0 ─▶ was 1: write the eventfd
 *     consumer   sleeping = 1 (exchange)       ─▶ read tail
 *
 *   producer's first: the consumer's exchange acquires it and sees tail, so it does not sleep.
 *   consumer's first: the producer reads 1 and writes the eventfd.
 *
 * (Not fences: ThreadSanitizer follows the one and not the other, and x86 pays the same.)
 */
void spate_ring_wake(struct spate_ring *r)
{
	uint64_t one = 1;

	if (atomic_fetch_add_explicit(&r->sleeping, 0, memory_order_acq_rel) == 0)
		return;
	while (write(r->eventfd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

bool spate_ring_sleep(struct spate_ring *r)
{
	atomic_exchange_explicit(&r->sleeping, 1, memory_order_acq_rel);
	if (atomic_load_explicit(&r->tail, memory_order_acquire) ==
	    atomic_load_explicit(&r->head, memory_order_relaxed))
		return true;
	spate_ring_awake(r);
	return false;
}

void spate_ring_awake(struct spate_ring *r)
{
	atomic_store_explicit(&r->sleeping, 0, memory_order_relaxed);
}

/*
 * log_ring.c: a byte ring of records. A record never wraps: when it does not fit before the end of
 * the memory, the rest is covered by a filler (bytes UINT16_MAX), which runs to the end and which
 * the reader skips:
 *
 *     | record 7 | free ....   | record 5 | record 6 | filler |
 *                ^ tail        ^ head                         ^ bytes
 *
 * As in ring.c each side keeps the other's index as it last saw it.
 */
#include "spate/log_ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILLER UINT16_MAX

static bool is_filler(const struct spate_log_record *rec)
{
	return rec->bytes == FILLER;
}

int spate_log_ring_init(struct spate_log_ring *r, uint32_t bytes)
{
	memset(r, 0, sizeof(*r));
	if (bytes < 64 || (bytes & (bytes - 1)) != 0)
		return -EINVAL;
	r->mem = aligned_alloc(64, bytes);
	if (r->mem == NULL)
		return -ENOMEM;
	r->bytes = bytes;
	return 0;
}

void spate_log_ring_finish(struct spate_log_ring *r)
{
	free(r->mem);
	r->mem = NULL;
}

static bool has_room(struct spate_log_ring *r, uint32_t tail, uint32_t n)
{
	if (r->bytes - (tail - r->head_seen) >= n)
		return true;
	r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
	return r->bytes - (tail - r->head_seen) >= n;
}

struct spate_log_record *spate_log_ring_claim(struct spate_log_ring *r, uint16_t n)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	uint32_t at = tail & (r->bytes - 1), to_end = r->bytes - at;
	uint32_t len = ((uint32_t)n + 7) & ~7u;

	if (len > SPATE_LOG_RECORD_MAX)
		return NULL;
	if (len > to_end) {
		/* 64 bits: a record near the ring's size must not wrap to "fits" */
		if ((uint64_t)to_end + len > r->bytes || !has_room(r, tail, to_end + len))
			return NULL;
		((struct spate_log_record *)(void *)(r->mem + at))->bytes = FILLER;
		atomic_store_explicit(&r->tail, tail + to_end, memory_order_release);
		at = 0;
	} else if (!has_room(r, tail, len)) {
		return NULL;
	}
	struct spate_log_record *rec = (void *)(r->mem + at);

	rec->bytes = (uint16_t)len;
	return rec;
}

void spate_log_ring_commit(struct spate_log_ring *r, struct spate_log_record *rec)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	atomic_store_explicit(&r->tail, tail + rec->bytes, memory_order_release);
}

const struct spate_log_record *spate_log_ring_peek(struct spate_log_ring *r)
{
	for (;;) {
		uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
		uint32_t at = head & (r->bytes - 1);

		if (head == r->tail_seen) {
			r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
			if (head == r->tail_seen)
				return NULL;
		}
		const struct spate_log_record *rec = (const void *)(r->mem + at);

		if (!is_filler(rec))
			return rec;
		atomic_store_explicit(&r->head, head + r->bytes - at, memory_order_release);
	}
}

void spate_log_ring_next(struct spate_log_ring *r)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	const struct spate_log_record *rec = (const void *)(r->mem + (head & (r->bytes - 1)));

	atomic_store_explicit(&r->head, head + rec->bytes, memory_order_release);
}

/* object.c: where an object's bytes are and how far they have come, as a reader may see it at any
 * moment. */
#include "dataplane/cache/internal.h"

/*
 * A range fill marks whole blocks beyond `filled`; the last block of the object counts as whole at
 * its end. Memory order: the writer writes bytes and block number, then sets the bit (release); we
 * read the bit (acquire), then block number and bytes.
 */
static uint64_t ready_in_ranges(const struct spate_cache *c, const struct spate_object *o,
				uint64_t off, uint64_t size)
{
	_Atomic uint64_t *words = atomic_load_explicit(&o->ranges, memory_order_acquire);
	uint64_t nblocks = spate_blocks_for(c, size), first = off >> c->block_shift, at = first;

	if (words == NULL)
		return 0;
	while (at < nblocks) {
		uint64_t word = atomic_load_explicit(&words[at >> 6], memory_order_acquire);
		uint64_t zeros = ~(word >> (at & 63)); /* shifted-in bits read as missing */
		unsigned run = zeros == 0 ? 64 : (unsigned)__builtin_ctzll(zeros);

		at += run;
		if (run == 0 || (at & 63) != 0)
			break;
	}
	if (at == first)
		return 0;
	uint64_t end = at << c->block_shift;

	return (end < size ? end : size) - off;
}

uint64_t spate_object_ready(const struct spate_cache *c, const struct spate_object *o, uint64_t off)
{
	uint64_t filled = atomic_load_explicit(&o->filled, memory_order_acquire);

	/* `filled` swallows ranges it meets, so nothing more is ready right behind it */
	if (off < filled)
		return filled - off;
	uint64_t size = atomic_load_explicit(&o->size, memory_order_relaxed);

	if (off >= size || size == SPATE_SIZE_UNKNOWN)
		return 0;
	return ready_in_ranges(c, o, off, size);
}

uint64_t spate_object_iov(const struct spate_cache *c, const struct spate_object *o, uint64_t off,
			  uint64_t len, struct iovec *iov, unsigned max, unsigned *n)
{
	uint64_t ready = spate_object_ready(c, o, off), done = 0;
	/*
	 * After `ready`: the table we load now is the one, or a later copy of the one, that held
	 * these block numbers when they became ready.
	 */
	const uint32_t *table = atomic_load_explicit(&o->table, memory_order_acquire);
	uint32_t i = (uint32_t)(off >> c->block_shift);
	uint64_t in = off & (c->block_bytes - 1);
	unsigned k = 0;

	if (len > ready)
		len = ready;
	for (; done < len; i++, in = 0) {
		uint32_t block =
			i < SPATE_DIRECT_BLOCKS ? o->direct[i] : table[i - SPATE_DIRECT_BLOCKS];
		uint8_t *p = c->base + ((uint64_t)block << c->block_shift) + in;
		uint64_t here = c->block_bytes - in < len - done ? c->block_bytes - in : len - done;

		if (k > 0 && (uint8_t *)iov[k - 1].iov_base + iov[k - 1].iov_len == p)
			iov[k - 1].iov_len += here;
		else if (k < max)
			iov[k++] = (struct iovec){.iov_base = p, .iov_len = here};
		else
			break;
		done += here;
	}
	*n = k;
	return done;
}

/*
 * Asking to be told, against the writer who is just making more ready:
 *
 *     reader   waiting |= me ─▶ read filled, state
 *     writer   filled = ...  ─▶ tell (waiting exchanged with 0)
 *
 * Both middle steps are read-modify-writes of `waiting`. If ours is first the writer gets our bit;
 * if the writer's is first we synchronise with it and see what it stored. Either way nobody sleeps
 * on bytes.
 */
bool spate_object_wait(const struct spate_cache *c, struct spate_object *o, unsigned reader,
		       uint64_t off)
{
	atomic_fetch_or_explicit(&o->waiting, 1ull << reader, memory_order_acq_rel);
	if (atomic_load_explicit(&o->state, memory_order_acquire) != SPATE_OBJECT_FILLING)
		return false;
	return spate_object_ready(c, o, off) == 0;
}

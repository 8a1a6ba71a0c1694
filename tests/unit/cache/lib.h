/* lib.h: what the cache tests share: small caches, keys by number, objects filled with a known
 * pattern. */
#ifndef TESTS_CACHE_LIB_H
#define TESTS_CACHE_LIB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/cache/internal.h"

#define BLOCK 4096u

/* A cache of at least `blocks` blocks (a few more: what it takes besides is rounded up). */
static inline struct spate_cache *small_cache(uint32_t blocks, unsigned readers)
{
	struct spate_cache *c;
	uint64_t bytes = (uint64_t)blocks * BLOCK;

	for (;;) {
		if (spate_cache_create(&c, bytes, BLOCK, readers) == 0) {
			if (c->arena.blocks >= blocks)
				return c;
			spate_cache_destroy(c);
		}
		bytes += 16 * BLOCK;
	}
}

static inline struct spate_key key_of(uint64_t n)
{
	return spate_key_of(&n, sizeof(n));
}

static inline struct spate_meta *make_meta(uint16_t head_len)
{
	struct spate_meta *m = calloc(1, sizeof(*m) + head_len);

	m->status = 200;
	m->head_len = head_len;
	return m;
}

/* Byte `at` of object n. */
static inline uint8_t pattern(uint64_t n, uint64_t at)
{
	return (uint8_t)(n * 131 + at * 7 + (at >> 12) * 29);
}

static inline void write_pattern(uint64_t n, uint64_t at, const struct iovec *iov, unsigned k)
{
	for (unsigned i = 0; i < k; i++)
		for (size_t j = 0; j < iov[i].iov_len; j++)
			((uint8_t *)iov[i].iov_base)[j] = pattern(n, at++);
}

/* Fills up to `bytes` more; returns how many found room. */
static inline uint64_t fill_some(struct spate_cache *c, struct spate_object *o, uint64_t n,
				 uint64_t bytes)
{
	uint64_t done = 0;

	while (done < bytes) {
		struct iovec iov[4];
		unsigned k;
		uint64_t at = atomic_load(&o->filled);
		uint64_t got = spate_cache_room(c, o, bytes - done, iov, 4, &k);

		if (got == 0)
			break;
		write_pattern(n, at, iov, k);
		spate_cache_filled(c, o, got);
		done += got;
	}
	return done;
}

/* A whole object, at rest, unheld; NULL when there was no room for it. */
static inline struct spate_object *store(struct spate_cache *c, uint64_t n, uint64_t size)
{
	struct spate_key key = key_of(n);
	struct spate_object *o = spate_cache_insert(c, &key);
	uint64_t waiting;

	if (o == NULL)
		return NULL;
	assert_int_equal(spate_cache_publish(c, o, make_meta(16), size, 100), 0);
	if (fill_some(c, o, n, size) != size) {
		spate_cache_fail(c, o, &waiting);
		spate_cache_release(c, o);
		return NULL;
	}
	assert_int_equal(spate_cache_complete(c, o, &waiting), 0);
	spate_cache_release(c, o);
	return o;
}

static inline struct spate_object *look(struct spate_cache *c, uint64_t n)
{
	struct spate_key key = key_of(n);

	return spate_cache_lookup(c, &key);
}

/* Every byte of [off, off + len) is the pattern's, through the reader's iovecs. */
static inline void expect_pattern(struct spate_cache *c, struct spate_object *o, uint64_t n,
				  uint64_t off, uint64_t len)
{
	while (len > 0) {
		struct iovec iov[3];
		unsigned k;
		uint64_t got = spate_object_iov(c, o, off, len, iov, 3, &k);

		assert_true(got > 0);
		for (unsigned i = 0; i < k; i++)
			for (size_t j = 0; j < iov[i].iov_len; j++)
				if (((uint8_t *)iov[i].iov_base)[j] != pattern(n, off++))
					fail_msg("object %lu: wrong byte at %lu", n, off - 1);
		len -= got;
	}
}

/* xorshift64*, seeded: the same run everywhere. */
static inline uint64_t rnd(uint64_t *s)
{
	*s ^= *s >> 12;
	*s ^= *s << 25;
	*s ^= *s >> 27;
	return *s * 0x2545F4914F6CDD1Dull;
}

#endif

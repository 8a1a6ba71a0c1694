/*
 * cache.h: the cache as both planes see it. One writer (control), many readers (workers).
 *
 * Order of calls, reader (a worker thread, id 0..readers-1):
 *   spate_cache_online(c, id)                      before the first lookup, and after each sleep
 *   obj = spate_cache_lookup(c, &key)              valid until the next quiesce, unless pinned
 *   spate_cache_pin(c, id, obj)                    valid until the matching unpin
 *   ... spate_object_iov() to point into the arena, spate_object_ready() for how far it is filled
 *   spate_cache_unpin(c, id, obj)
 *   spate_cache_quiesce(c, id)                     once a loop turn: "I hold no unpinned pointer"
 *   spate_cache_offline(c, id)                     before sleeping
 *
 * How an object dies (no lock, no fence on the hit path): the writer takes it out of the index,
 * waits until every online reader has quiesced once (so nobody can still be about to pin it), then
 * waits until all pin counts are zero, then frees its blocks. Each reader has its own array of pin
 * counts, so a hit writes no cache line that another core reads often.
 *
 * Order of calls, writer (the control thread only): dataplane/cache/write.h.
 *
 * Units: bytes unless named. Times: expires_s, date_s are seconds of CLOCK_REALTIME.
 */
#ifndef SPATE_CACHE_H
#define SPATE_CACHE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define SPATE_SIZE_UNKNOWN  UINT64_MAX
#define SPATE_DIRECT_BLOCKS 4
#define SPATE_READERS_MAX   64
#define SPATE_META_BESIDE \
	320 /* bytes of a meta that lie in the object itself: 272 of head lines \
	     */

struct spate_cache;

/*
 * XXH3-128 of the normalised key (path?query as http/uri.h leaves it), under a secret of the
 * process: good within it, and never to be written down. Nothing else is compared, so an edge calls
 * spate_key_secret once, before there are threads (-EIO: no random bytes); without it keys are those
 * of xxHash's own secret, which tests and benches may have.
 */
struct spate_key {
	uint64_t lo, hi;
};

int spate_key_secret(void);
struct spate_key spate_key_of(const void *bytes, size_t len);

enum spate_object_state {
	SPATE_OBJECT_FREE,
	SPATE_OBJECT_FILLING,  /* meta is set, bytes arrive; size may still be unknown */
	SPATE_OBJECT_COMPLETE, /* size known and all bytes there */
	SPATE_OBJECT_FAILED,   /* the fill ended short: never to be served as whole */
	SPATE_OBJECT_PARTIAL,  /* size known, some ranges are there, nobody fills now: what is
				  missing needs a  FETCH. Only where control parks range fills
				  (spate_cache_park). */
};

/*
 * What a response needs besides the body. Written once by control, immutable once published;
 * replaced as a whole on revalidation (the old one lives until every reader has quiesced).
 */
struct spate_meta {
	uint16_t status;   /* of the origin: 200, 301, 404, ... */
	uint16_t etag_off; /* the ETag's value inside head[], quotes and W/ included; len 0: none */
	uint16_t etag_len;
	uint16_t head_len;
	bool etag_weak;
	bool must_revalidate;    /* must-revalidate or no-cache: never serve stale */
	bool cacheable;          /* false: only for the viewer who asked (no-store, private) */
	int64_t last_modified_s; /* -1: none */
	int64_t date_s;          /* the origin's Date, or when the response came */
	int64_t stored_s; /* when the response came; with initial_age_s gives Age (RFC 9111 4.2.3)
			   */
	uint32_t initial_age_s; /* corrected_initial_age */
	uint32_t fill_us;       /* request sent to head received, for the access log */
	char head[]; /* "Content-Type: ...\r\nETag: ...\r\n...": header lines to copy as they are;
			never Content-Length, Content-Range, Age, Connection, Transfer-Encoding */
};

/* Objects live in a fixed pool and never move; a free slot's memory stays mapped. 512 bytes. */
struct spate_object {
	/* line 0: what a hit reads */
	struct spate_key key;
	_Atomic uint64_t size;     /* of the body; SPATE_SIZE_UNKNOWN while only the origin knows */
	_Atomic uint64_t filled;   /* bytes [0, filled) are valid; store-release by control */
	_Atomic int64_t expires_s; /* fresh while now < expires_s */
	_Atomic(const struct spate_meta *) meta;
	_Atomic uint8_t state;  /* enum spate_object_state */
	_Atomic uint8_t freq;   /* S3-FIFO: 0..3, readers saturate it, only the writer lowers it */
	uint16_t flags;         /* the writer's own */
	uint32_t id;            /* index in the pool, index in every pin array */
	_Atomic uint8_t gifted; /* a worker gave pages of it to the kernel: see spate_object_gift */

	/* line 1: where the bytes are: block numbers in the arena */
	_Alignas(64) uint32_t direct[SPATE_DIRECT_BLOCKS]; /* blocks 0..3 */
	_Atomic(uint32_t *)
		table; /* blocks 4..; grown by copy, old ones live as long as the object */
	_Atomic(_Atomic uint64_t *)
		ranges; /* a bit a block that is valid beyond `filled` (range fills); NULL: none */
	_Atomic uint64_t
		waiting; /* a bit a worker that ran dry here and wants SPATE_MSG_PROGRESS */

	/* lines 2 to 6: what meta points at, where it fits: fetched with the lines above */
	_Alignas(64) uint8_t beside[SPATE_META_BESIDE];

	/* line 7: the writer's: queue links, owner of the fill */
	_Alignas(64) uint32_t next;
	uint32_t prev;
	uint32_t nblocks, table_cap;
	uint32_t holds;      /* control's own references: fills, replies not yet taken over */
	uint8_t queue;       /* enum of the S3-FIFO queues, in cache/s3fifo.h */
	uint64_t retired_at; /* QSBR generation */
	void *fill;          /* control's fill in progress, or NULL */
	uint64_t origin;     /* control's: which origin it came from; 0: none */
};

/* What the arena is; the same memory is registered with io_uring and DPDK by whoever needs that. */
struct spate_arena_info {
	void *base;
	size_t bytes;
	uint32_t block_bytes; /* power of two */
	uint32_t blocks;
	int fd;            /* the memfd behind it; -1: private memory (see arena.c) */
	bool giftable;     /* spate_object_gift may be used */
	size_t page_bytes; /* 4 KiB, or 2 MiB when huge pages back it */
};

/*
 * Makes a cache whose mapping, index, object pool, block tables and heads together never exceed
 * `bytes`.
 * block_bytes 0 takes the default (16 KiB). readers: 1..SPATE_READERS_MAX.
 * 0, or -EINVAL (too small: at least 64 blocks), -ENOMEM. On failure *out is untouched. Caller
 * destroys.
 */
int spate_cache_create(struct spate_cache **out, uint64_t bytes, uint32_t block_bytes,
		       unsigned readers);

/* The same, in small pages of private memory, so that readers may give pages to the kernel
 * (spate_object_gift). */
int spate_cache_create_giftable(struct spate_cache **out, uint64_t bytes, uint32_t block_bytes,
				unsigned readers);
/*
 * The same, in memory of somebody else who outlives every access: DPDK's own, which a virtual
 * device's peer can see. take is called once; it returns at most `*bytes` (and says how many) of
 * zeroed memory and the page size, or NULL: then as spate_cache_create.
 */
typedef void *spate_cache_take(size_t *bytes, size_t *page_bytes);
int spate_cache_create_in(struct spate_cache **out, uint64_t bytes, uint32_t block_bytes,
			  unsigned readers, spate_cache_take *take);
void spate_cache_destroy(struct spate_cache *c);
void spate_cache_arena(const struct spate_cache *c, struct spate_arena_info *out);

/* --- reader side: wait-free, no allocation, no syscall --- */
void spate_cache_online(struct spate_cache *c, unsigned reader);
void spate_cache_offline(struct spate_cache *c, unsigned reader);
void spate_cache_quiesce(struct spate_cache *c, unsigned reader);

/* The object, FILLING, COMPLETE or PARTIAL, with its frequency touched; NULL on a miss. */
struct spate_object *spate_cache_lookup(struct spate_cache *c, const struct spate_key *key);
void spate_cache_pin(struct spate_cache *c, unsigned reader, struct spate_object *o);

/*
 * Three steps ahead of lookup and pin, for who has many lookups to do (a burst of requests): each
 * asks for cache lines that the next one reads, so give the lines of all of them time to come.
 * Hints: they change nothing, and the answer of the second is a guess, good for the third only.
 */
void spate_cache_ahead_index(const struct spate_cache *c, const struct spate_key *key);
const struct spate_object *spate_cache_ahead_object(const struct spate_cache *c, unsigned reader,
						    const struct spate_key *key); /* may be NULL */
void spate_cache_ahead_meta(const struct spate_object *o);
void spate_cache_unpin(struct spate_cache *c, unsigned reader, struct spate_object *o);

/* How many bytes from `off` on can be read now (0: dry, or past the end). */
uint64_t spate_object_ready(const struct spate_cache *c, const struct spate_object *o,
			    uint64_t off);

/*
 * Points up to `max` entries of iov at bytes [off, off + len) as far as they are ready;
 * neighbouring blocks are joined. Returns the bytes covered and sets *n. The caller holds a pin.
 */
uint64_t spate_object_iov(const struct spate_cache *c, const struct spate_object *o, uint64_t off,
			  uint64_t len, struct iovec *iov, unsigned max, unsigned *n);

/*
 * A reader is about to hand pages of o, which it has pinned, to the kernel by reference (vmsplice),
 * and will not learn when the last packet lets go of them. From now on the writer drops the pages
 * when it frees the object's blocks, instead of writing new bytes into them: whoever still refers
 * to the old pages keeps the old bytes. Only with giftable arenas.
 */
static inline void spate_object_gift(struct spate_object *o)
{
	if (!atomic_load_explicit(&o->gifted, memory_order_relaxed))
		atomic_store_explicit(&o->gifted, 1,
				      memory_order_relaxed); /* seen with our unpin */
}

/*
 * A reader that runs dry asks to be told. Returns true when the bit is set and the object is still
 * dry at `off` (then a PROGRESS message is sure to come); false when bytes came meanwhile or the
 * fill ended.
 */
bool spate_object_wait(const struct spate_cache *c, struct spate_object *o, unsigned reader,
		       uint64_t off);

#endif

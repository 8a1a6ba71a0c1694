/*
 * fill.h: one fetch for each key, however many misses wait for it. A fill owns the object while it
 * grows and the list of misses until the origin's head has come; then each of them gets its reply
 * and the bytes stream on.
 *
 *   spate_fills_create(&fs, &env)
 *   spate_fills_fetch(fs, miss)      joins a fill or starts one; env.reply once, now or later
 *   spate_fills_turn(fs)             once a turn, after spate_cache_reclaim: tries for room again
 *   spate_fills_destroy(fs)          ends all: waiting misses get BAD_GATEWAY
 *                                    false: see below
 *
 * A fill is never cancelled because viewers leave. It ends short: the object has failed and is
 * never served as whole. What the waiting misses get:
 *
 *   storable           the object, in the index; all but the first are marked coalesced
 *   not kept, not private (a 404 without lifetime)    the object, for those who wait now
 *   no-store, private  the object for the first; each other one gets a fetch of its own (pass)
 *   304                the object they hold, refreshed
 *   less than it said  the object, as far as it came; the stale one is put back for who comes next
 *   5xx, unreachable   the stale object if RFC 9111 4.2.4 lets us (stale_usable), or the verdict
 *
 * The other half of this header is what the sources (client.c, dir.c) call. A source is started
 * once for a fill and calls, in this order and from the loop only:
 *
 *   spate_fill_head(f, &head)        once; false: the fill wants no body, end
 *   spate_fill_room(f, want, ...)    where body bytes go; 0: none now, wait for ops->resume(f)
 *   spate_fill_filled(f, n)          false: end
 *   spate_fill_end(f, verdict)       last call, always comes; f is gone after it
 */
#ifndef SPATE_ORIGIN_FILL_H
#define SPATE_ORIGIN_FILL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "control/loop.h"
#include "control/origin/origin.h"
#include "spate/cache.h"
#include "spate/msg.h"
#include "spate/stats.h"

struct spate_dns;
struct spate_fill;
struct spate_publisher;
struct spate_source_ops;
struct spate_fills;

struct spate_fill_limits {
	uint32_t connect_ms;   /* to an origin, name resolution and every address included */
	uint32_t head_ms;      /* request sent to head complete */
	uint32_t idle_ms;      /* no byte of the body */
	uint32_t room_ms;      /* no block to be had */
	uint64_t object_bytes; /* largest object; 0: what the cache takes */
	uint32_t fills;        /* at once; one of several origins has three quarters at most */
};

struct spate_fill_env {
	struct spate_loop *loop;
	struct spate_cache *cache;
	struct spate_stats *stats; /* control's */
	struct spate_dns *dns;
	struct spate_origins *origins; /* swapped whole by a reload; borrowed */
	struct spate_fill_limits limits;
	/* o is held once for this reply (verdict OK, STALE), or NULL. The miss is the caller's no
	 * more. */
	void (*reply)(struct spate_fill_env *env, struct spate_miss *m, struct spate_object *o,
		      enum spate_fetch_verdict v);
	/* The workers in the mask ran dry on o. */
	void (*progress)(struct spate_fill_env *env, struct spate_object *o, uint64_t workers);
	/* NULL, or: the source of a URL that is made here and not fetched; NULL: it is fetched. */
	const struct spate_source_ops *(*made_here)(struct spate_fill_env *env, const char *url,
						    size_t len);
	/* NULL, or: the fill of this object has ended; not whole: it has failed. */
	void (*ended)(struct spate_fill_env *env, struct spate_object *o, const char *url,
		      size_t len, bool whole);
	struct spate_publisher *publisher; /* control/torrent; NULL: there is none */
};

/* env is borrowed and may change between turns. 0 or -ENOMEM. */
int spate_fills_create(struct spate_fills **out, struct spate_fill_env *env);
/*
 * Turns the loop until all have ended, for two seconds at most. False: the kernel still works for
 * some and can't be stopped. Then env with its stats and dns stays until the loop is destroyed, and
 * the cache, which is written into, for good. fs is gone in any case.
 */
bool spate_fills_destroy(struct spate_fills *fs);
void spate_fills_fetch(struct spate_fills *fs, struct spate_miss *m);
void spate_fills_turn(struct spate_fills *fs);
unsigned spate_fills_count(const struct spate_fills *fs);
bool spate_fills_stalled(const struct spate_fills *fs); /* something waits for room */
/*
 * Takes the key out of the index, and keeps what is on its way out of it. True: something was
 * there.
 */
bool spate_fills_purge(struct spate_fills *fs, const struct spate_key *key);

/* --- for sources --- */

/* Who may have a response: see the table above. */
enum spate_share { SPATE_SHARE_STORE, SPATE_SHARE_NOW, SPATE_SHARE_FIRST };

struct spate_fill_head {
	struct spate_meta *meta; /* malloc'd; the fill takes it over */
	uint64_t size;           /* or SPATE_SIZE_UNKNOWN */
	int64_t expires_s;
	enum spate_share share;
	bool not_modified; /* the stale object is still right; no body follows */
};

struct spate_source_ops {
	const char *name;
	void (*start)(struct spate_fill *f);
	void (*resume)(struct spate_fill *f); /* there may be room again */
	void (*stop)(struct spate_fill *f);   /* give up; spate_fill_end comes, possibly at once */
	size_t bytes;                         /* of the source's state */
};

extern const struct spate_source_ops spate_source_http, spate_source_dir;

/* What a source may know of its fill. Borrowed until the end. */
void *spate_fill_source(struct spate_fill *f); /* ops->bytes, zeroed */
struct spate_fill *spate_fill_of_source(void *source);
struct spate_fill_env *spate_fill_env(struct spate_fill *f);
struct spate_origin *spate_fill_origin(struct spate_fill *f);
/* It is out of reach: what is stale is sent without asking, for a moment. A TIMEOUT says so too. */
void spate_fill_origin_down(struct spate_fill *f);
const char *spate_fill_url(struct spate_fill *f, size_t *len);
/* What to revalidate; NULL: a plain fetch, for there is nothing that came from this origin. */
const struct spate_meta *spate_fill_stale(struct spate_fill *f);

bool spate_fill_head(struct spate_fill *f, const struct spate_fill_head *h);
uint64_t spate_fill_room(struct spate_fill *f, uint64_t want, struct iovec *iov, unsigned max,
			 unsigned *n);
bool spate_fill_filled(struct spate_fill *f, uint64_t n);
void spate_fill_end(struct spate_fill *f, enum spate_fetch_verdict v);

#endif

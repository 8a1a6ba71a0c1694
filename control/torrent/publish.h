/*
 * publish.h: the torrents of this edge: makes them when somebody asks, tells the workers, takes
 * them back when the content has changed.
 *
 *   spate_publisher_create(&p, &setup)
 *   spate_publisher_owns(p, url, len)         is this a URL made here? (control/torrent/url.h)
 *   spate_publisher_ask(p, &q)                q->fn once, never at once; or spate_publisher_drop
 *   spate_publisher_ended(p, o, url, len, ok) every fill that ends: hashes what was waited for
 *   spate_publisher_purged(p, key)
 *   spate_publisher_done(p, table)            a worker has let go of a table
 *   spate_publisher_finish(p)                 the workers' threads have ended, fills may still run
 *   spate_publisher_destroy(p)                the workers are gone
 *
 *   ask ─► manifest (fetched, or asked again when stale) ─► representation ─► answer
 *                                                              │ not hashed yet: 503, and
 *                                                              ▼
 *          segments, a few at a time, in order ─► hash thread ─► both torrents ─► table to workers
 *
 * All on the loop's thread. Manifests and segments are got through the fills like any viewer's
 * miss.
 */
#ifndef SPATE_TORRENT_PUBLISH_H
#define SPATE_TORRENT_PUBLISH_H

#include "control/config/config.h"
#include "control/origin/fill.h"
#include "control/torrent/bencode.h"
#include "spate/torrent.h"

struct spate_publisher;
struct spate_made;

struct spate_publisher_setup {
	struct spate_fill_env *env; /* borrowed */
	struct spate_fills *fills;
	const struct spate_config *config; /* read during the call */
	unsigned workers;
	/* Sends the table to every worker. */
	void (*tell)(void *ctx, const struct spate_torrents *table);
	void *ctx;
};

/* What a URL made here is now. */
struct spate_publisher_answer {
	uint16_t status; /* 200, 301, 404, 502, 503 */
	const char *type;
	char etag[48];         /* with quotes; "": none */
	unsigned retry_s;      /* 503 */
	struct spate_buf body; /* the receiver's, with 200, 404, 502 and 503; 301: the Location */
	uint64_t zeros;        /* 200: so many zeros instead of body */
};

struct spate_publisher_query {
	const char *url; /* normalised path?query; lives until fn */
	size_t len;
	void (*fn)(struct spate_publisher_query *q, struct spate_publisher_answer *a);

	/* the publisher's */
	struct spate_publisher_query *next, **prev;
	struct spate_op defer;
	struct spate_publisher *publisher;
	unsigned guess;
};

/* 0 or negative errno. */
int spate_publisher_create(struct spate_publisher **out, const struct spate_publisher_setup *setup);
void spate_publisher_finish(struct spate_publisher *p);
void spate_publisher_destroy(struct spate_publisher *p);

bool spate_publisher_owns(struct spate_publisher *p, const char *url, size_t len);
void spate_publisher_ask(struct spate_publisher *p, struct spate_publisher_query *q);
void spate_publisher_drop(struct spate_publisher_query *q);

void spate_publisher_ended(struct spate_publisher *p, struct spate_object *o, const char *url,
			   size_t len, bool whole);
void spate_publisher_purged(struct spate_publisher *p, const struct spate_key *key);
/* The wall clock was put back by so much. */
void spate_publisher_clock_back(struct spate_publisher *p, int64_t by_s);
void spate_publisher_done(struct spate_publisher *p, const struct spate_torrents *table);

/* One representation, for who lists them. Texts and torrents are borrowed until the next turn. */
struct spate_published {
	const char *id, *state; /* "unasked", "queued", "hashing", "ready", "failed", ... */
	uint32_t segments, hashed;
	const struct spate_made *v1, *hybrid; /* NULL: not ready */
};
/* The i-th of a manifest that has been read, url NUL-terminated. False: there is none. */
bool spate_publisher_published(struct spate_publisher *p, const char *url, unsigned i,
			       struct spate_published *out);
/* fn for each representation that somebody has asked a torrent of, the latest manifests first. */
void spate_publisher_each(struct spate_publisher *p,
			  void (*fn)(void *ctx, const char *manifest,
				     const struct spate_published *rep),
			  void *ctx);

extern const struct spate_source_ops spate_source_torrent;

#endif

/* internal.h: what the files of control/torrent/ share. */
#ifndef SPATE_TORRENT_INTERNAL_H
#define SPATE_TORRENT_INTERNAL_H

#include "control/dash/mpd.h"
#include "control/torrent/edge.h"
#include "control/torrent/make.h"
#include "control/torrent/publish.h"
#include "control/torrent/store.h"
#include "control/torrent/thread.h"
#include "control/torrent/url.h"

#define WINDOW         4    /* segments being fetched or hashed for one representation */
#define JOBS           2    /* representations at once */
#define MANIFESTS      1024 /* known */
#define FAILED_KEEP_US 5000000u
#define MANIFEST_MAX   (8u << 20)

struct manifest;
struct rep;

/* One object that we asked the fills for. Embedded in its owner, which waits for fn. */
struct want {
	struct spate_miss miss; /* first */
	struct spate_publisher *p;
	struct spate_object *object; /* held, from the reply on */
	struct want *next, **prev;   /* p->filling or p->due */
	/* o: complete and held by w (want_release); NULL: it could not be had. */
	void (*fn)(struct want *w, struct spate_object *o, enum spate_fetch_verdict v);
	enum spate_fetch_verdict verdict;
	bool busy; /* fn is still to come */
};

/* LOADING: looked for in the store; then READY, or QUEUED. */
enum rep_state { REP_NONE, REP_LOADING, REP_QUEUED, REP_BUSY, REP_READY, REP_FAILED };

struct slot {
	struct want want; /* first */
	struct spate_hash_job job;
	struct rep *rep;
	uint32_t index;
	bool used, there; /* there: complete, waits for its turn to be hashed */
};

/* A file of a representation: a segment. */
struct segment {
	char *url;  /* normalised */
	char *path; /* in the hybrid torrent */
	uint16_t url_len;
	bool pad; /* zeros follow it there */
	uint64_t tag;
	struct spate_hashed_file hash;
	struct spate_key key;
	struct segment *next; /* in the publisher's map, while published */
	struct rep *rep;
};

struct rep {
	struct manifest *m;
	char *id, *mime;
	uint64_t bandwidth;
	bool elsewhere;
	enum rep_state state;
	const char *why;                                 /* REP_FAILED */
	uint64_t asked_us, failed_us, began_us, used_us; /* used: its file in the store */
	uint32_t n;
	struct segment *seg;
	char *name, *hybrid_name; /* of the file; of the folder */
	bool redirects;           /* the hybrid's web seed cannot name the segments' own URLs */

	/* at work */
	struct spate_hasher *hasher;
	struct slot slot[WINDOW];
	uint32_t fetched, hashed; /* segments asked for; done */
	uint8_t *pieces;          /* of the concatenation, once all are */
	uint32_t npieces;
	bool hashing, stopping;
	bool wanted;      /* LOADING: to be hashed where it is not stored */
	bool sought;      /* the store has been asked once */
	bool unproven;    /* a segment has no validator: only its size would tell another one */
	struct rep *next; /* queued or at work */

	/* ready */
	struct spate_made *v1, *hybrid;
	size_t bytes;
};

enum manifest_state { MANIFEST_KNOWN, MANIFEST_FETCHING, MANIFEST_LOADED, MANIFEST_FAILED };

struct manifest {
	struct manifest *next; /* all, the most recently asked first */
	struct spate_publisher *p;
	enum manifest_state state;
	char *url;
	size_t len, dir; /* of url; up to its folder's slash, included */
	struct want want;
	enum spate_fetch_verdict verdict; /* MANIFEST_FAILED */
	const char *why;
	bool dynamic, unusable;
	uint64_t tag, checked_us;
	int64_t expires_s;
	uint32_t n;
	struct rep *reps;
	size_t bytes; /* of p->listed */
	bool dead;    /* to be freed once nothing is under way */
};

/* A table that workers may have. */
struct table {
	struct spate_torrents *t; /* t->owner is this */
	unsigned out;             /* workers that have it */
	struct table *next;       /* older */
};

/* A torrent no current table names. */
struct retired {
	struct spate_made *made;
	uint64_t generation; /* the first one without it */
	struct retired *next;
};

#define MAP 4096

struct spate_publisher {
	struct spate_publisher_setup s;
	struct spate_torrent_edge *edge;
	struct spate_hash_thread *thread;
	struct spate_store *store; /* NULL: hashes live in memory only; else the thread's */
	uint32_t piece_bytes;
	uint64_t memory, used, listed; /* bytes: allowed; of what is ready; of what manifests say */
	struct manifest *manifests;
	unsigned nmanifests;
	struct want *filling, *due; /* object still fills; fn is to be called */
	struct rep *queue, **queue_end;
	unsigned jobs, hashing; /* representations; jobs at the thread */
	struct spate_publisher_query *queries;
	struct spate_object *zeros;
	struct table *tables; /* the newest first */
	uint64_t generation;
	uint32_t published; /* torrents in the current table */
	struct retired *retired;
	struct spate_timer sweep; /* set while anything is published or retired */
	bool dirty;               /* the set has changed: a new table with the next turn */
	struct spate_op turn;     /* wants, then queries, then the table */
	struct segment *map[MAP]; /* published segments by key */
	bool finishing;
};

/* want.c */
void spate_want(struct spate_publisher *p, struct want *w, const char *url, uint16_t len,
		void (*fn)(struct want *w, struct spate_object *o, enum spate_fetch_verdict v));
void spate_want_release(struct want *w);
void spate_wants_run(struct spate_publisher *p);

/* manifest.c */
struct manifest *spate_manifest_get(struct spate_publisher *p, const char *url, size_t len,
				    bool make);
/* True: it is as fresh as it gets now (loaded or failed). False: queries are looked at again later.
 */
bool spate_manifest_ready(struct manifest *m);
void spate_manifest_free(struct manifest *m);
/* Frees the lists of manifests that nothing depends on, the one asked for longest ago first, until
 * all is in the memory allowed; they are read again when they are asked for. */
void spate_manifests_trim(struct spate_publisher *p);
struct rep *spate_manifest_rep(struct manifest *m, const char *id);

/* rep.c */
int spate_rep_prepare(struct rep *r); /* names, paths, pads */
void spate_rep_start(struct rep *r);  /* queues it where it is not ready, or on its way */
void spate_rep_next(struct spate_publisher *p);
void spate_rep_withdraw(struct rep *r, const char *why);
/* Withdraws it, and what the store has of it is not to be taken again. */
void spate_rep_forget(struct rep *r, const char *why);
void spate_rep_look(struct rep *r); /* forgets it where a worker has */
void spate_rep_free(struct rep *r);
const char *spate_rep_state(const struct rep *r); /* answer.c */
unsigned spate_rep_retry_s(const struct rep *r);

void spate_rep_queue(struct rep *r); /* to be hashed */
/* Makes both torrents of seg[].hash, seg[].tag and pieces: READY. 0, -EINVAL, -ENOMEM. */
int spate_rep_ready(struct rep *r);
void spate_rep_drop_hashes(struct rep *r);

/* keep.c */
/* Is what the cache has of it now something else than was hashed? */
bool spate_keep_differs(struct spate_cache *c, const struct segment *s, uint64_t tag);
/* True: it is LOADING, and queries are looked at again when it is known what the store has. */
bool spate_keep_load(struct rep *r);
void spate_keep_save(struct rep *r); /* takes r's hashes over */
void spate_keep_used(struct rep *r); /* it was asked for: its file is to be among the last to go */
void spate_keep_remove(struct rep *r);

/* publish.c */
void spate_publisher_changed(struct spate_publisher *p);
void spate_publisher_retire(struct spate_publisher *p, struct spate_made *m);
void spate_publisher_kick(struct spate_publisher *p); /* there is something to do soon */
void spate_publisher_trim(struct spate_publisher *p, const struct rep *keep);

/* answer.c */
/* False: it waits for something. */
bool spate_publisher_answer_now(struct spate_publisher *p, struct spate_publisher_query *q,
				struct spate_publisher_answer *a);

#endif

/*
 * impl.h: what the files of the peer wire share. All of it belongs to one worker.
 */
#ifndef SPATE_BT_IMPL_H
#define SPATE_BT_IMPL_H

#include "dataplane/bt/bucket.h"
#include "dataplane/bt/conn.h"
#include "dataplane/bt/message.h"
#include "dataplane/bt/span.h"
#include "dataplane/worker.h"
#include "spate/torrent.h"

#define SPATE_BT_REQQ 2048u /* requests that a peer may have outstanding; a power of two */
#define SPATE_BT_HIGH 96u   /* extents queued: no further piece; one sendmsg takes as many */
#define SPATE_BT_STOP 256u  /* extents queued: nothing more is read */
#define SPATE_BT_BUF  80u   /* holds the handshake and every message of fixed length */
#define SPATE_BT_BIG  4096u /* extended messages, when they come in pieces */
#define SPATE_BT_WAIT 4u    /* parts that one peer may wait for at a time */
#define SPATE_BT_LOOK 64u   /* requests looked at behind one that waits */
#define SPATE_BT_GONE 8u    /* pieces withdrawn from a peer (BEP 54) that we remember */
#define SPATE_BT_FAST 10u   /* BEP 6: size of the allowed fast set */

#define SPATE_BT_KEEPALIVE_US 100000000u /* we say something at least so often */
#define SPATE_BT_IDLE_US      180000000u /* and a peer that says nothing for so long has left */
#define SPATE_BT_PEX_US       60000000u
#define SPATE_BT_AGAIN_US     30000000u /* then a withdrawn piece is offered again */
#define SPATE_BT_FAILED_US    1000000u  /* before a part that could not be had is fetched again */
#define SPATE_BT_HANDSHAKE_MS 15000u
#define SPATE_BT_TICK_MS      20000u
#define SPATE_BT_ROUND_MS     1000u /* where there are rounds to run */
#define SPATE_BT_RATE_MS      50u   /* while a bucket is empty */

/* Our ids of extended messages (BEP 10), and the peer's in c->ext[]. */
enum spate_bt_ext {
	SPATE_BT_EXT_HANDSHAKE,
	SPATE_BT_EXT_METADATA,
	SPATE_BT_EXT_PEX,
	SPATE_BT_EXT_DONTHAVE,
	SPATE_BT_EXTS
};

struct spate_bt_request {
	uint32_t piece, begin, len; /* len 0: answered, or cancelled */
};

/* A peer's requests in order; taken from a pool when there is something to keep. */
struct spate_bt_queue {
	uint32_t head, tail; /* [head, tail), modulo SPATE_BT_REQQ */
	struct spate_bt_request slot[SPATE_BT_REQQ];
};

/* What this worker does for one torrent. */
struct spate_seed {
	struct spate_seed *next; /* of its hash bucket */
	struct spate_torrent *t; /* a reference */
	struct spate_bt_conn *conns;
	struct spate_bt_conn *turn, **turn_tail; /* have requests and wait for the swarm's rate */
	struct spate_bt_bucket bucket;
	uint32_t nconns, unchoked;
	uint64_t round_us, optimistic_us; /* when the next one is due */
	uint32_t failed_part;             /* the origin did not give it: not asked for before ... */
	uint64_t failed_until_us;
};

enum spate_bt_phase { SPATE_BT_PROTO, SPATE_BT_PEER_ID, SPATE_BT_MESSAGES };

struct spate_bt_conn {
	struct spate_stream *s;
	struct spate_seed *seed; /* NULL before the handshake */
	struct spate_bt_conn *next, **prev;
	struct spate_bt_conn *turn_next;
	struct spate_bt_queue *queue; /* NULL: empty */
	struct spate_span_wait *wait[SPATE_BT_WAIT];
	uint32_t wait_part[SPATE_BT_WAIT];
	struct spate_bt_bucket bucket;
	uint64_t heard_us, said_us;  /* last byte in, last byte out */
	uint64_t sent_mark, sent_us; /* s->out.base, and when it last moved or had nothing left */
	uint64_t acked_mark;         /* how far it had acknowledged when that was asked */
	uint64_t pex_us;
	uint64_t sent_bytes, round_bytes; /* of pieces; and sent_bytes at the last choke round */
	uint32_t peer_has;                /* pieces, as far as it said */
	uint32_t skip;                    /* bytes of a message that are only counted or ignored */
	uint32_t have;                    /* bytes in buf, or in big */
	uint32_t held;                    /* of bt->held */
	uint32_t over;                    /* requests past the queue's end since it was empty */
	uint64_t due_us;                  /* the timer; 0: off */
	uint8_t *big;                     /* SPATE_BT_BIG bytes, or NULL */
	uint32_t gone[SPATE_BT_GONE], ngone;
	uint64_t gone_us;
	uint32_t fast[SPATE_BT_FAST], nfast;
	uint64_t copied_to; /* of s->out: where the last of metadata and hashes ends */
	uint64_t owed;      /* bytes of metadata and hashes it may have whatever the rates say */
	uint64_t fast_left; /* bytes it may have of those while it is choked: each piece once */
	uint8_t ext[SPATE_BT_EXTS]; /* the peer's ids; 0: it does not know that message */
	uint8_t phase;              /* enum spate_bt_phase */
	bool v2;                    /* it came by the v2 infohash */
	bool can_fast, can_ext, can_v2;
	bool bits; /* skip: count the bits */
	bool interested, choked, optimistic;
	bool on_turn; /* in seed->turn */
	bool paused;  /* recv took less than it was given */
	bool closing;
	bool peer_seeds; /* has said so, in one way or another */
	uint8_t buf[SPATE_BT_BUF];
};

#define SPATE_SEED_BUCKETS 1024u

struct spate_bt {
	struct spate_worker *w;
	struct spate_pool conns, queues, bigs, seeds, waits;
	struct spate_seed *seed[SPATE_SEED_BUCKETS];
	uint32_t nconns, fetching;
	uint32_t held; /* extents that all peers have queued, or had when we last looked */
	struct spate_bt_bucket copying; /* bytes of metadata and hashes */
	struct spate_bt_bucket hashing; /* SHA-256 computed for hash requests */
	uint8_t peer_id[20];
};

static inline struct spate_bt *spate_bt_of(const struct spate_bt_conn *c)
{
	return c->s->worker->bt;
}

/* --- conn.c --- */

/* Counts why and resets. */
#define spate_bt_close(c, reason)                                              \
	do {                                                                   \
		if (!(c)->closing)                                             \
			SPATE_COUNT((c)->s->worker->stats, bt_close_##reason); \
		spate_bt_end(c);                                               \
	} while (0)
void spate_bt_end(struct spate_bt_conn *c);
/* What c has queued by now, in what all peers have. */
void spate_bt_held(struct spate_bt_conn *c);
/*
 * May it have more than it has queued? At most `most` extents; less where all peers together hold a
 * third of what the worker has for them and for viewers. Then one whose queue is empty still may.
 */
bool spate_bt_room(struct spate_bt_conn *c, uint32_t most);
/*
 * May metadata or hashes be copied into the queue? One answer at a time where it is full, none where
 * the third is, or a rate used up; else copied(), when they are queued.
 */
bool spate_bt_may_copy(struct spate_bt_conn *c, uint64_t bytes);
void spate_bt_copied(struct spate_bt_conn *c, uint64_t bytes);
/* Queues n bytes; false: no memory, or peers have their share of it. */
bool spate_bt_queue(struct spate_bt_conn *c, const void *p, size_t n);
/* The same, but closes then. */
void spate_bt_say(struct spate_bt_conn *c, const void *p, size_t n);
/* Length, id, then n numbers. */
void spate_bt_say_numbers(struct spate_bt_conn *c, uint8_t id, unsigned n, uint32_t a, uint32_t b,
			  uint32_t d);
/* Sooner than what is set; 0: by itself. */
void spate_bt_timer(struct spate_bt_conn *c, uint32_t ms);

/* --- serve.c --- */
void spate_bt_requested(struct spate_bt_conn *c, const struct spate_bt_request *r);
void spate_bt_cancelled(struct spate_bt_conn *c, const struct spate_bt_request *r);
void spate_bt_serve(struct spate_bt_conn *c); /* as much as there is room and rate for */
/* One piece at most. False: there is nothing it can send now. */
bool spate_bt_serve_one(struct spate_bt_conn *c);
void spate_bt_reject_all(struct spate_bt_conn *c);    /* we choke: BEP 6 */
void spate_bt_drop_requests(struct spate_bt_conn *c); /* it goes */

/* --- seed.c --- */
struct spate_seed *spate_seed_get(struct spate_bt *b,
				  struct spate_torrent *t); /* NULL: no memory */
void spate_seed_join(struct spate_seed *seed, struct spate_bt_conn *c);
void spate_seed_leave(struct spate_bt_conn *c); /* the last one ends the seed */
void spate_seed_turn(struct spate_bt_conn *c);  /* to the end of the line for the swarm's rate */
void spate_seed_leave_line(struct spate_bt_conn *c); /* where it stands in it */
void spate_seed_run(struct spate_bt *b, struct spate_seed *seed);

/* --- choke.c --- */
void spate_choke_start(struct spate_bt_conn *c); /* after the handshake */
void spate_choke_interest(struct spate_bt_conn *c);
void spate_choke_tick(struct spate_bt_conn *c);
void spate_choke_left(struct spate_worker *w, struct spate_seed *seed); /* a slot may be free */

/* --- span.c --- */
void spate_span_create(struct spate_bt *b); /* its pool */

/* --- extended.c --- */
void spate_bt_say_extended(struct spate_bt_conn *c);
void spate_bt_extended(struct spate_bt_conn *c, const uint8_t *p, uint32_t len);
void spate_bt_say_donthave(struct spate_bt_conn *c, uint32_t piece);
void spate_bt_offer_again(struct spate_bt_conn *c); /* what was withdrawn by it */
void spate_bt_say_pex(struct spate_bt_conn *c);

/* --- hashes.c --- */
void spate_bt_hash_request(struct spate_bt_conn *c, const uint8_t p[SPATE_BT_HASH_BYTES]);

#endif

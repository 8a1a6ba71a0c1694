/*
 * tracker.h: what the UDP tracker (tracker_udp.c) and the HTTP tracker (tracker_http.c) share:
 * which swarms are tracked, who may announce, how an answer is made. One for all workers.
 *
 *   spate_tracker_create(&t, &setup)      control, before the workers
 *   setup.tracker = t; spate_worker_create(...)
 *   a datagram or a request -> spate_tracker_announce(w, &ask, &answer), spate_tracker_scrape
 *   spate_tracker_turn(w)                 the worker, each turn
 *   spate_tracker_destroy(t)              after the workers
 *
 * Everything but the swarms and each worker's own `limits` is immutable.
 */
#ifndef SPATE_BT_TRACKER_H
#define SPATE_BT_TRACKER_H

#include "dataplane/bt/swarm.h"
#include "dataplane/bt/token.h"
#include "dataplane/stream/dgram.h"

#define SPATE_TRACKER_WANT     50u  /* where a client does not say */
#define SPATE_TRACKER_WANT_MAX 200u /* more are not named at once */

struct spate_tracker;

/* Networks near to each other. */
struct spate_tracker_prefix {
	uint8_t ip[16];
	uint8_t bits;  /* of 128: an IPv4 prefix has 96 more */
	uint8_t group; /* 1..255 */
};

struct spate_tracker_setup {
	unsigned workers;
	uint32_t interval_s;
	uint32_t audience;
	uint32_t announces; /* a second and address, a worker; 0: no limit */
	uint64_t memory_bytes;
	bool open;                      /* any infohash; else those of w->torrents */
	const char *secret;             /* NULL or "": unsigned */
	const struct spate_addr *seeds; /* where the edge itself seeds (p2p.listen); copied */
	unsigned nseeds;
	const struct spate_tracker_prefix *prefixes; /* copied */
	unsigned nprefixes;
};

int spate_tracker_create(struct spate_tracker **out, const struct spate_tracker_setup *setup);
void spate_tracker_destroy(struct spate_tracker *t); /* NULL is fine */

enum spate_tracker_verdict {
	SPATE_TRACKER_OK,
	SPATE_TRACKER_MALFORMED,
	SPATE_TRACKER_BAD_ID,
	SPATE_TRACKER_UNKNOWN,
	SPATE_TRACKER_UNSIGNED,
	SPATE_TRACKER_LIMITED,
	SPATE_TRACKER_VERDICTS
};

struct spate_tracker_ask {
	const uint8_t *infohash; /* 20 bytes */
	const char *token;       /* SPATE_TOKEN_CHARS, or NULL */
	struct spate_addr peer;  /* source address; the port that it says */
	const struct spate_addr *local;
	uint8_t event; /* enum spate_peer_event */
	uint64_t left, uploaded, downloaded;
	uint64_t corrupt; /* only HTTP has it: has_corrupt */
	bool has_corrupt;
};

/* lists: where to and how many, the edge's own entry included; n says how many there are. */
struct spate_tracker_answer {
	struct spate_peer_list v4, v6;
	struct spate_swarm_counts counts; /* the edge is one of the seeds */
};

/* Counts the verdict. The limit of the address has been looked at by spate_tracker_limited. */
enum spate_tracker_verdict spate_tracker_announce(struct spate_worker *w,
						  const struct spate_tracker_ask *ask,
						  struct spate_tracker_answer *answer);
/* One infohash of a scrape; false: not tracked here. Counts nothing. */
bool spate_tracker_scrape(struct spate_worker *w, const uint8_t *infohash, const char *token,
			  struct spate_swarm_counts *out);
/* Takes one announce or scrape off the address's second. */
bool spate_tracker_limited(struct spate_worker *w, const uint8_t ip[16]);
void spate_tracker_count(struct spate_worker *w, enum spate_tracker_verdict v);
const char *spate_tracker_reason(enum spate_tracker_verdict v);
void spate_tracker_turn(struct spate_worker *w);

uint32_t spate_tracker_interval(const struct spate_tracker *t);
bool spate_tracker_signed(const struct spate_tracker *t);
struct spate_swarms *spate_tracker_swarms(struct spate_tracker *t);
uint8_t spate_tracker_group(const struct spate_tracker *t, const uint8_t ip[16]);

/*
 * Connection ids of BEP 15, stateless: a keyed hash of the address and the minute. Good for two to
 * three minutes, on every worker.
 */
uint64_t spate_tracker_id(const struct spate_tracker *t, const uint8_t ip[16], uint64_t now_us);
bool spate_tracker_id_good(const struct spate_tracker *t, const uint8_t ip[16], uint64_t now_us,
			   uint64_t id);

/*
 * Peers for peer exchange (BEP 11), as `peer` may know them: of a swarm over the audience, near
 * ones first. None where announces are signed: nothing here shows who could sign one. NULL-safe for
 * w->tracker: none.
 */
void spate_tracker_pex(struct spate_worker *w, const uint8_t *infohash,
		       const struct spate_addr *peer, struct spate_peer_list *v4,
		       struct spate_peer_list *v6);

extern const struct spate_dgram_app spate_tracker_udp; /* BEP 15, 41; ctx unused */

#endif

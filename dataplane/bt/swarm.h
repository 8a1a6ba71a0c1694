/*
 * swarm.h: who is in which swarm. One store for the UDP tracker, the HTTP tracker and peer exchange
 * (BEP 11), IPv4 and IPv6, shared by all workers.
 *
 *   spate_swarms_create(&s, &setup)
 *   spate_swarms_announce(s, &a, &answer)      records the peer, names others
 *   spate_swarms_peers(s, ih, ..., &answer)    names some, records nobody: peer exchange
 *   spate_swarms_scrape(s, ih, &counts)
 *   spate_swarms_tick(s, part, parts, now_s)   each worker now and then: forgets who went silent
 *   spate_swarms_destroy(s)
 *
 * Peers of a swarm and family lie in one block, column by column, as they go into an answer:
 *
 *     | addr addr addr ... | kib up | kib down | seen | group | corrupt | index, in large ones |
 *       leechers   seeds                                                  (hash of addr -> place)
 *
 * so an answer is a copy from a random place on, and a seeder, who has no use for seeds, is given
 * the left part. Memory is one bounded region (util/buddy.h); when it is full a new peer is not
 * recorded, but is answered. docs/design/p2p-tracker.md says why shards are locked and how that is
 * bounded.
 */
#ifndef SPATE_BT_SWARM_H
#define SPATE_BT_SWARM_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/stream/stream.h"

struct spate_swarms;

struct spate_swarms_setup {
	uint64_t bytes;    /* for all peers and swarms; 1 MiB at least */
	uint32_t expire_s; /* a peer not heard of for so long is forgotten; 1..65535 / 2 */
	bool shared;       /* more than one thread */
	uint64_t key[2];   /* random: nobody can aim at one bucket */
};

enum spate_peer_event { /* the numbers of BEP 15 */
			SPATE_PEER_NONE,
			SPATE_PEER_COMPLETED,
			SPATE_PEER_STARTED,
			SPATE_PEER_STOPPED,
};

struct spate_peer_announce {
	const uint8_t *infohash;
	struct spate_addr peer; /* the packet's source, with the port it listens on; port > 0 */
	uint8_t group;          /* of networks near to each other; 0: of none */
	uint8_t event;          /* enum spate_peer_event */
	bool seed;              /* left is 0 */
	uint64_t uploaded, downloaded; /* as it says, since it started */
	uint64_t corrupt;              /* of those, what failed its hash ... */
	bool has_corrupt;              /* ... where it says so (HTTP) */
	uint32_t now_s;
	uint32_t audience; /* in smaller swarms nobody is named */
};

/* Where peers are put, in network order: 6 bytes each (IPv4) or 18. */
struct spate_peer_list {
	uint8_t *to;
	uint32_t want, n;
};

struct spate_swarm_counts {
	uint32_t seeds, leechers;
	uint32_t completed; /* times that a peer said so */
};

struct spate_swarm_answer {
	struct spate_peer_list v4, v6; /* caller: to, want */
	struct spate_swarm_counts counts;
	uint64_t uploaded, downloaded; /* more than when it last announced */
	uint64_t corrupt;              /* the same, in steps of 64 KiB */
	bool fresh;                    /* it was not in the swarm before */
	bool refused;                  /* no memory: not recorded */
};

int spate_swarms_create(struct spate_swarms **out, const struct spate_swarms_setup *setup);
void spate_swarms_destroy(struct spate_swarms *s);

/* Makes the swarm when it is not there. Its own address is never named to a peer. */
void spate_swarms_announce(struct spate_swarms *s, const struct spate_peer_announce *a,
			   struct spate_swarm_answer *answer);
/* want peers of each family near to group; not_me may be NULL. */
void spate_swarms_peers(struct spate_swarms *s, const uint8_t *infohash, uint8_t group,
			const struct spate_addr *not_me, struct spate_swarm_answer *answer);
/* False, and zeros: no such swarm. */
bool spate_swarms_scrape(struct spate_swarms *s, const uint8_t *infohash,
			 struct spate_swarm_counts *out);
/*
 * Worker `part` of `parts` looks at its share of the swarms, a little each call; all have been seen
 * after a quarter of expire_s when it is called ten times a second.
 */
void spate_swarms_tick(struct spate_swarms *s, unsigned part, unsigned parts, uint32_t now_s);

struct spate_swarms_usage {
	uint64_t swarms, peers, bytes, bytes_limit;
};
void spate_swarms_usage(struct spate_swarms *s, struct spate_swarms_usage *out);

/* For tests: every invariant of every swarm; aborts. */
void spate_swarms_check(struct spate_swarms *s);

/* As in an answer: 6 or 18 bytes; how many. */
static inline unsigned spate_addr_compact(const struct spate_addr *a, uint8_t out[18])
{
	unsigned ip = spate_addr_is_ip4(a->ip) ? 4 : 16;

	__builtin_memcpy(out, a->ip + 16 - ip, ip);
	out[ip] = (uint8_t)(a->port >> 8);
	out[ip + 1] = (uint8_t)a->port;
	return ip + 2;
}

#endif

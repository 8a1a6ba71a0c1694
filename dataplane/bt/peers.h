/*
 * peers.h: the peers of one swarm and family; swarm.c's own. See swarm.h for the layout.
 *
 * A set begins in the swarm's inline room or in a block of the buddy, grows by moving to a block
 * twice as large, and has an index from SPATE_PEERS_INDEXED bytes on; below, looking at each
 * address is faster. Places [0, leechers) are leechers, [leechers, n) seeds.
 */
#ifndef SPATE_BT_PEERS_H
#define SPATE_BT_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#define SPATE_PEERS_INDEXED 2048u
#define SPATE_PEERS_NONE    UINT32_MAX

struct spate_peers {
	uint8_t *base; /* NULL: no room yet */
	uint32_t bytes;
	uint32_t n, leechers, cap;
	uint32_t slots;   /* of the index; 0: none */
	uint8_t addr_len; /* 6 or 18 */
};

struct spate_peers_record {
	uint32_t up_kib, down_kib;
	uint16_t seen;
	uint8_t group;
	uint8_t corrupt; /* 64 KiB, modulo 256: only what is new counts */
};

/* bytes: of the room at base, 8-byte aligned. Peers of `from` are copied; it is not freed. */
void spate_peers_place(struct spate_peers *p, uint8_t addr_len, uint8_t *base, uint32_t bytes,
		       const struct spate_peers *from, const uint64_t key[2]);
uint32_t spate_peers_find(const struct spate_peers *p, const uint8_t *addr, const uint64_t key[2]);
/* p->n < p->cap. Where it lies then. */
uint32_t spate_peers_add(struct spate_peers *p, const uint8_t *addr, bool seed,
			 const struct spate_peers_record *r, const uint64_t key[2]);
void spate_peers_remove(struct spate_peers *p, uint32_t at, const uint64_t key[2]);
/* A leecher has become a seed, or the other way round. Where it lies then. */
uint32_t spate_peers_turn(struct spate_peers *p, uint32_t at, const uint64_t key[2]);
void spate_peers_get(const struct spate_peers *p, uint32_t at, struct spate_peers_record *r);
void spate_peers_set(struct spate_peers *p, uint32_t at, const struct spate_peers_record *r);
/*
 * Removes those that were seen before now - age. How many. Seen after now: by a worker whose clock
 * is ahead.
 */
uint32_t spate_peers_sweep(struct spate_peers *p, uint16_t now, uint16_t age,
			   const uint64_t key[2]);
/*
 * Names at most want peers, not `not_at`: those of group first (a window of them), then others,
 * from a random place on. How many were written.
 */
uint32_t spate_peers_pick(const struct spate_peers *p, uint8_t *to, uint32_t want, uint32_t not_at,
			  bool for_seed, uint8_t group, uint64_t random);
void spate_peers_check(const struct spate_peers *p, const uint64_t key[2]); /* aborts */

#endif

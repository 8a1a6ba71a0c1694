/*
 * board.h: what one worker finds out and all need: a neighbour's address (the answer to an ARP
 * request arrives at one queue, whoever asked), what a router advertises (one queue again), and
 * ICMP errors (they are hashed by the router's address, not the connection's).
 *
 *   worker: spate_net_board_post()   rare: behind a spinlock
 *   others: spate_net_board_read()   each turn: one load when nothing is new
 *
 *   posts:  ... [7] [8] [9] [. ]     a log that wraps; a reader that is lapped loses posts,
 *                   ^at      ^next   which is harmless: all of them are hints that come again
 *
 * A slot is a seqlock: its stamp is odd while it is written; a reader that sees the stamp change
 * drops the copy.
 */
#ifndef SPATE_NET_BOARD_H
#define SPATE_NET_BOARD_H

#include <assert.h>
#include <stdatomic.h>

#include "dataplane/net/net.h"

#define SPATE_BOARD_SLOTS 512
#define SPATE_BOARD_WORDS 10

struct spate_net_post {
	uint8_t type; /* enum below */
	uint8_t worker, iface;
	bool solicited, override; /* NEIGHBOUR: as in an NA */
	uint8_t mac[6];           /* NEIGHBOUR, ROUTER: zero when it did not say */
	uint8_t ip[16];           /* the neighbour's, the router's; PREFIX: all behind it is zero */
	union {
		struct spate_net_event event;
		struct {                     /* ROUTER, PREFIX */
			uint32_t lifetime_s; /* 0: no more */
			uint32_t mtu;        /* ROUTER; 0: did not say */
			uint8_t preference;  /* ROUTER */
			uint8_t prefix;      /* PREFIX: bits */
		} heard;
	};
};
enum { SPATE_POST_NEIGHBOUR, SPATE_POST_EVENT, SPATE_POST_ROUTER, SPATE_POST_PREFIX };

static_assert(sizeof(struct spate_net_post) <= SPATE_BOARD_WORDS * sizeof(uint64_t),
	      "a post fits a slot");

struct spate_net_board {
	_Atomic uint64_t next;
	_Atomic uint32_t lock;
	struct {
		_Atomic uint64_t stamp;
		_Atomic uint64_t word[SPATE_BOARD_WORDS];
	} slot[SPATE_BOARD_SLOTS];
};

void spate_net_board_init(struct spate_net_board *b);
void spate_net_board_post(struct spate_net_board *b, const struct spate_net_post *p);
/* The post at *at, which moves on; false: nothing new. */
bool spate_net_board_read(struct spate_net_board *b, uint64_t *at, struct spate_net_post *out);

#endif

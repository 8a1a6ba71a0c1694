/*
 * link.h: a seeded, impaired wire between hosts. Frames go in with link_send, come out with
 * link_due in order of their time. Everything it does follows from the seed.
 */
#ifndef SPATE_TESTS_LINK_H
#define SPATE_TESTS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct rng {
	uint64_t s;
};
uint64_t rng_next(struct rng *r);
uint32_t rng_below(struct rng *r, uint32_t n); /* 0..n-1 */
bool rng_chance(struct rng *r, uint32_t per_million);

struct link_setup {
	uint32_t delay_us, jitter_us;
	uint64_t rate;  /* bytes a second; 0: none */
	uint32_t queue; /* bytes that wait at the rate limit; then the tail is dropped */
	uint32_t loss, burst_start, burst_end; /* per million; burst: a two-state model (Gilbert) */
	unsigned fault_way; /* 0: loss and reordering both ways; 1 + dir: that way only */
	uint32_t reorder, reorder_us;
	uint32_t duplicate, corrupt, mark; /* mark: CE on ECN-capable ones */
	uint16_t mtu; /* IP bytes; larger frames are refused (link_send says so) */
};

struct link_frame {
	uint64_t at, order;
	unsigned to;
	size_t len;
	uint8_t data[];
};

struct link {
	struct link_setup setup;
	struct rng rng;
	struct link_frame **heap;
	size_t n, cap;
	uint64_t order, free_at[2]; /* a direction each: when the wire is free */
	bool burst[2];
	uint64_t burst_since[2];
	FILE *pcap;
	uint64_t sent, lost;
};

void link_init(struct link *l, const struct link_setup *s, uint64_t seed, const char *pcap);
void link_finish(struct link *l);
/* dir: 0 or 1, to: handed back with the frame. False: larger than the MTU. */
bool link_send(struct link *l, uint64_t now_us, unsigned dir, unsigned to, const uint8_t *frame,
	       size_t len);
uint64_t link_next(const struct link *l);                     /* UINT64_MAX: nothing under way */
struct link_frame *link_due(struct link *l, uint64_t now_us); /* caller frees; NULL: none */

#endif

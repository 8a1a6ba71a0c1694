/*
 * wire_rig.h: for tests of the peer wire: a worker over streams in memory, both torrents of a small
 * film, and a peer that is driven by hand. Control's part is played by the test: rig_fetch() takes
 * the next FETCH, rig_reply() answers it.
 */
#ifndef WIRE_RIG_H
#define WIRE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/bt/impl.h"
#include "dataplane/stream/mem.h"
#include "make_torrent.h"

#define RIG_PIECE 32768u

/* Four parts; the second request of piece 0 crosses from the first into the second. */
struct rig {
	struct spate_cache *cache;
	struct spate_ring to_control, from_control;
	struct spate_stats stats;
	struct spate_worker_config config;
	struct spate_stream_mem_setup setup;
	struct spate_worker *w;
	struct made_torrent m;
	int fd;
};

extern struct rig t;

int rig_set_up(void **state);
int rig_tear_down(void **state);
struct spate_miss *rig_fetch(void);
void rig_reply(struct spate_miss *miss, struct spate_object *o, enum spate_fetch_verdict v);

/* A peer. reserved5, reserved7: its bits; SPATE_BT_RESERVED_*. */
struct spate_stream_mem *rig_connect(const struct spate_torrent *to, const uint8_t *infohash,
				     uint8_t reserved5, uint8_t reserved7);
/* Of the v1 torrent, all bits; the handshake and what follows it are taken. */
struct spate_stream_mem *rig_peer(void);
void rig_say(struct spate_stream_mem *p, uint8_t id, const void *payload, size_t n);
void rig_request(struct spate_stream_mem *p, uint32_t piece, uint32_t begin, uint32_t len);

/* The next message the edge sent: its length (id counted), payload at *payload; 0: none is whole.
 */
uint32_t rig_next(struct spate_stream_mem *p, uint8_t *id, const uint8_t **payload);
/* It is of this id; others before it fail the test. Returns payload. */
const uint8_t *rig_expect(struct spate_stream_mem *p, uint8_t id, uint32_t *len);
void rig_expect_piece(struct spate_stream_mem *p, const uint8_t *flat, uint32_t piece,
		      uint32_t begin, uint32_t len);
void rig_expect_nothing(struct spate_stream_mem *p);

#endif

/*
 * taker.h: a peer that takes: one connection to a seeder on a load_net, with `depth` requests of
 * 16 KiB out at a time, round and round the torrent.
 *
 *   struct load_takers w = {.net, .torrent, .depth, .sample, .once}   what all connections share
 *   load_taker_start(t, &w, &to, piece, n)   begins at that piece; n: its number, for its peer id
 *   turns of the net until w.failed, or enough came
 *
 * A message that no seeder may send (a piece not asked for, or of another length; the wrong
 * torrent) sets w.failed, and so does a connection that ends. What is asked of a piece is asked
 * again when it was rejected.
 *
 *     asked:   the requests that are out, a ring, oldest first; answers may come in any order
 *     again:   rejected, or lost by a choke; asked before anything new
 *     pieces:  those whose hash will be looked at, put together until their last block has come
 *
 * No piece has blocks of two rounds out at a time, so a block has one place to go.
 */
#ifndef SPATE_LOAD_TAKER_H
#define SPATE_LOAD_TAKER_H

#include "bench/load/net.h"
#include "bench/load/torrent.h"

#define LOAD_TAKER_DEPTH 512 /* a quarter of an edge's reqq */

struct load_block {
	uint32_t piece, begin, len;
};

struct load_piece {
	uint32_t piece, left; /* bytes still to come; 0: free */
	uint8_t *mem;
};

struct load_takers {
	struct load_net *net;
	const struct load_torrent *torrent;
	unsigned depth;
	unsigned sample; /* the hash of one piece of so many is looked at; 0: of none */
	bool once;       /* each connection takes the torrent once, and is then done */
	/* --- filled in --- */
	uint64_t bytes, blocks;   /* payload of whole blocks */
	uint64_t verified, wrong; /* pieces by their hash */
	uint64_t rejected;        /* requests */
	uint64_t begun;           /* pieces */
	unsigned open, done;      /* connections that were ever unchoked; that are done */
	bool failed;
	char why[128];
};

struct load_taker {
	struct load_takers *w;
	struct spate_stream *s;
	bool greeted, fast, open, was_open, done;
	uint32_t next_piece, next_begin; /* to ask for */
	uint64_t left;                   /* bytes to ask for yet, with once */
	struct load_block asked[LOAD_TAKER_DEPTH], again[LOAD_TAKER_DEPTH];
	unsigned first, out, nagain;
	uint8_t head[68]; /* a handshake, or a message up to its payload */
	unsigned have, want;
	uint32_t body; /* bytes of this message still to come */
	bool block;    /* and they are `now`'s */
	struct load_block now;
	struct load_piece *into; /* where they go; NULL: nobody looks at them */
	struct load_piece *pieces;
	unsigned npieces;
};

/* 0 or -ENOMEM; or -EIO: no connection now. */
int load_taker_start(struct load_taker *t, struct load_takers *w, const struct spate_addr *to,
		     uint32_t piece, unsigned serial);
void load_taker_finish(struct load_taker *t); /* after net->ops->close */

#endif

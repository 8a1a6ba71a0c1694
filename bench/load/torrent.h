/* torrent.h: what a peer has to know of a v1 torrent, out of its .torrent (BEP 3). */
#ifndef SPATE_LOAD_TORRENT_H
#define SPATE_LOAD_TORRENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct load_torrent {
	uint8_t infohash[20];
	uint64_t bytes; /* of all files, end to end */
	uint32_t piece_bytes, pieces;
	const uint8_t *hashes; /* SHA-1 of each piece, in what was parsed */
};

/* p must stay. false: no torrent, or one without a v1 half. */
bool load_torrent_parse(struct load_torrent *t, const uint8_t *p, size_t len);

static inline uint32_t load_torrent_piece(const struct load_torrent *t, uint32_t piece)
{
	uint64_t left = t->bytes - (uint64_t)piece * t->piece_bytes;

	return left < t->piece_bytes ? (uint32_t)left : t->piece_bytes;
}

#endif

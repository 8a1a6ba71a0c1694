/*
 * torrent.h: what control has published to peers, as workers see it. A torrent is a flat space of
 * bytes cut into pieces; a table of parts says which cached object (or which run of zeros) each
 * byte comes from. Both forms of a representation fit: the v1 torrent (init + segments, end to end,
 * one file) and the hybrid one (segments as files, each padded to a piece).
 *
 *     offset 0                                                            bytes
 *     | init | seg 1     | seg 2     | ...                | seg N |          v1: parts only
 *     | init |0000| seg 1     |00| seg 2     |00| ...     | seg N |          hybrid: parts and pads
 *     |   piece 0   |   piece 1   |   piece 2   | ...
 *
 * Order of calls, writer (control): make a torrent whole, then a table that holds it, then send
 * that table to every worker (SPATE_MSG_TORRENTS). Reader (a worker): it has the last table it was
 * sent, gives back the one before (SPATE_MSG_TORRENTS_DONE), and takes a reference on each torrent
 * that a connection works on:
 *
 *   t = spate_torrents_find(table, infohash)       valid until this worker gives the table back
 *   spate_torrent_ref(t) ... spate_torrent_unref(t)  as long as a connection needs it
 *
 * Everything but `refs`, `withdrawn` (which a worker sets too, when it meets other content than was
 * hashed) and the counts is immutable once published. The last unref of a torrent
 * that no table holds any more may come from a worker; control frees it (it looks at refs once a
 * second), so a worker never frees. Sources: BEP 3, 47, 52.
 */
#ifndef SPATE_TORRENT_H
#define SPATE_TORRENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spate/cache.h"

#define SPATE_INFOHASH_BYTES 20
#define SPATE_MERKLE_LEAF    16384u /* BEP 52 */

/* A run of bytes of the flat space. */
struct spate_torrent_part {
	uint64_t start;       /* offset of its first byte; parts are in order and leave no hole */
	uint64_t len;         /* > 0 */
	struct spate_key key; /* of the object; not set for a pad */
	uint64_t tag;         /* spate_torrent_tag() of the object the hashes were made of */
	const char *url;      /* normalised path?query, to fetch it; NULL: a pad, zeros */
	uint16_t url_len;
};

/* BEP 52: one file of a hybrid torrent and its hashes, for hash requests. */
struct spate_torrent_file {
	uint8_t root[32];      /* pieces root */
	uint64_t start, len;   /* in the flat space; start is piece aligned */
	const uint8_t *leaves; /* SHA-256 of each 16 KiB block, 32 bytes each */
	uint32_t nleaves;      /* ceil(len / 16 KiB); what a full tree has beyond is zero hashes */
};

struct spate_torrent {
	uint8_t infohash[SPATE_INFOHASH_BYTES];    /* v1: SHA-1 of info */
	uint8_t infohash_v2[SPATE_INFOHASH_BYTES]; /* SHA-256 of info, cut (BEP 52); hybrid only */
	bool hybrid;
	uint64_t bytes;       /* of the flat space */
	uint32_t piece_bytes; /* power of two, 16 KiB at least */
	uint32_t pieces;      /* ceil(bytes / piece_bytes) */
	uint32_t nparts, nfiles;
	const struct spate_torrent_part *parts;
	const struct spate_torrent_file *files; /* hybrid only */
	const uint8_t *info; /* the bencoded info dictionary (BEP 9 hands it out) */
	uint32_t info_len;

	/* the web seed's single file (BEP 19), v1 form only: the concatenation under this URL */
	struct spate_key file_key; /* of file_url */
	const char *file_url;
	uint16_t file_url_len;
	const struct spate_meta *file_meta; /* head of the response: type, ETag, dates */

	_Atomic uint32_t refs;  /* connections that work on it, all workers */
	_Atomic bool withdrawn; /* content changed or was purged: close those connections */
	/* sent, all workers: over the peer wire, and as the web seed's single file */
	_Atomic uint64_t wire_bytes, file_bytes;
	/* announced to this edge's tracker under `infohash`; worker 0 renews them by and by */
	_Atomic uint32_t swarm_seeds, swarm_leechers, swarm_completed;
	void *owner; /* control's */
};

/* A snapshot: all torrents published now. Immutable; control makes a new one for each change. */
struct spate_torrents {
	uint64_t generation;
	uint32_t n;                     /* torrents */
	uint32_t mask;                  /* of both hash tables below, open addressing */
	struct spate_torrent **by_hash; /* by the first 8 bytes of either infohash */
	struct spate_torrent **by_file; /* by file_key.lo */
	struct spate_object *zeros;     /* held by control for ever: a complete object of zeros */
	uint64_t zeros_bytes;           /* its size */
	void *owner;                    /* control's */
};

/* NULL: nothing of that name. Linear in the probes of one table; both NULL-safe for t. */
struct spate_torrent *spate_torrents_find(const struct spate_torrents *t,
					  const uint8_t infohash[SPATE_INFOHASH_BYTES]);
struct spate_torrent *spate_torrents_find_file(const struct spate_torrents *t,
					       const struct spate_key *file);

/* Index of the part that holds byte `off` (off < bytes). Binary search. */
uint32_t spate_torrent_part_at(const struct spate_torrent *t, uint64_t off);

/*
 * Which version of the content an object is: a hash of its size and its validator (ETag, else
 * Last-Modified). A part whose object has another tag is not what was hashed: never send it.
 */
uint64_t spate_torrent_tag(const struct spate_meta *m, uint64_t size);

static inline uint32_t spate_torrent_piece_len(const struct spate_torrent *t, uint32_t piece)
{
	return piece + 1 < t->pieces ? t->piece_bytes
				     : (uint32_t)(t->bytes - (uint64_t)piece * t->piece_bytes);
}

static inline void spate_torrent_ref(struct spate_torrent *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
}

static inline void spate_torrent_unref(struct spate_torrent *t)
{
	atomic_fetch_sub_explicit(&t->refs, 1, memory_order_release);
}

#endif

/*
 * hash.h: everything both torrents of a representation need hashed, in one pass over its bytes.
 *
 *   spate_hasher_create(&h, piece_bytes)
 *   for each file, in the order of playing:
 *       spate_hasher_add(h, p, n) ...            its bytes
 *       spate_hasher_file(h, pad, &files[i])     its end; the hashes are yours
 *   spate_hasher_whole(h, &pieces, &n)           v1: SHA-1 over pieces of all files end to end
 *   spate_hasher_destroy(h)
 *
 * For each byte: SHA-1 in the concatenation, SHA-1 in its file's own pieces (the hybrid torrent's
 * v1 half, files aligned to pieces), SHA-256 of its 16 KiB leaf (BEP 52). No I/O, one thread at a
 * time.
 */
#ifndef SPATE_TORRENT_HASH_H
#define SPATE_TORRENT_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spate/torrent.h"

#define SPATE_SHA1_BYTES   20
#define SPATE_SHA256_BYTES 32

struct spate_hasher;

/* One file's. Pointers are malloc'd, together the owner's: spate_hashed_file_free. */
struct spate_hashed_file {
	uint64_t len;
	uint8_t *pieces; /* SHA-1 of each of its pieces, the last one with zeros after it when `pad`
			  */
	uint32_t npieces;
	uint8_t *leaves; /* SHA-256 of each 16 KiB */
	uint32_t nleaves;
	bool padded;
};

/* piece_bytes: a power of two, SPATE_MERKLE_LEAF at least. 0, -EINVAL, -ENOMEM. */
int spate_hasher_create(struct spate_hasher **out, uint32_t piece_bytes);
void spate_hasher_destroy(struct spate_hasher *h);

/* -ENOMEM: the hasher is of no more use. */
int spate_hasher_add(struct spate_hasher *h, const void *p, size_t n);
/*
 * pad: hash the file's last piece as if zeros followed to the piece's end (BEP 47), as they do for
 * all but the last file of a hybrid torrent.
 */
int spate_hasher_file(struct spate_hasher *h, bool pad, struct spate_hashed_file *out);
/* Once, at the end. *pieces: n times 20 bytes, malloc'd, the caller's. */
int spate_hasher_whole(struct spate_hasher *h, uint8_t **pieces, uint32_t *n);

void spate_hashed_file_free(struct spate_hashed_file *f);

/*
 * BEP 52: the root over n hashes of layer `layer` (0: leaves of 16 KiB), as if zero leaves followed
 * up to a power of two of them, 2^at_least of this layer's at the least. n > 0. 0 or -ENOMEM.
 */
int spate_merkle_root(const uint8_t *hashes, uint32_t n, unsigned layer, unsigned at_least,
		      uint8_t root[SPATE_SHA256_BYTES]);

int spate_sha1(const void *p, size_t n, uint8_t out[SPATE_SHA1_BYTES]);
int spate_sha256(const void *p, size_t n, uint8_t out[SPATE_SHA256_BYTES]);

#endif

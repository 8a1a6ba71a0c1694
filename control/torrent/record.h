/*
 * record.h: what was hashed of one representation, and how it lies in a file of the store. Pure: no
 * I/O, no clock.
 *
 *   spate_record_encode(&rec, &buf)       bytes to write
 *   spate_record_decode(p, n, &rec)       any bytes; what is taken is whole and fits together
 *   spate_record_free(&rec)
 *
 *     offset  0  "SPATEHSH"
 *             8  u32 version, u32 piece_bytes
 *            16  u64 bytes of the file
 *            24  u32 parts, u32 pieces of the concatenation, u32 bytes of manifest, u32 of id
 *            40  manifest, id
 *                for each part: u64 len, u64 tag, u16 bytes of URL, u8 padded, u8 0,
 *                               URL, SHA-1 of its pieces, SHA-256 of its leaves
 *                SHA-1 of the pieces of the concatenation
 *           -16  XXH3-128 of all before it, in its canonical form
 *
 * Numbers are little endian. How many hashes a part has follows from its length. XXH3 tells that a
 * disk or a crash has spoilt a file, not that an enemy has: who may write there is trusted.
 */
#ifndef SPATE_TORRENT_RECORD_H
#define SPATE_TORRENT_RECORD_H

#include "control/torrent/bencode.h"
#include "control/torrent/hash.h"

#define SPATE_RECORD_VERSION 1
#define SPATE_RECORD_MIN     56         /* bytes of head and checksum */
#define SPATE_RECORD_MAX     (1u << 30) /* bytes: hashes of 400 GB */

struct spate_record_part {
	char *url; /* normalised path?query */
	uint16_t url_len;
	uint64_t tag; /* spate_torrent_tag() of what was hashed */
	struct spate_hashed_file hash;
};

/* All pointers are malloc'd and the record's. */
struct spate_record {
	char *manifest, *id; /* normalised path?query of the manifest; the representation's */
	uint32_t piece_bytes;
	uint32_t n; /* parts, in order of playing */
	struct spate_record_part *parts;
	uint8_t *pieces; /* SHA-1 of each piece of the concatenation */
	uint32_t npieces;
};

/* Appends. 0, -EFBIG (more than SPATE_RECORD_MAX), -ENOMEM. */
int spate_record_encode(const struct spate_record *r, struct spate_buf *out);
/* Accepts what encode writes and nothing else. On failure (-EBADMSG, -ENOMEM) *out is empty. */
int spate_record_decode(const void *p, size_t n, struct spate_record *out);
void spate_record_free(struct spate_record *r);

/* Writes the checksum of p[0, n - 16) into the last 16 bytes. */
void spate_record_seal(void *p, size_t n);

#endif

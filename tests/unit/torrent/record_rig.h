/* record_rig.h: a record of any few parts, whose hashes are of no bytes: only their number is
 * right. */
#ifndef RECORD_RIG_H
#define RECORD_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/torrent/record.h"

#define RIG_PIECE 32768u

static inline uint8_t *rig_hashes(uint64_t n, unsigned bytes, uint8_t *seed)
{
	uint8_t *p = malloc(n * bytes + 1);

	for (uint64_t i = 0; i < n * bytes; i++)
		p[i] = *seed = (uint8_t)(*seed * 5 + 1);
	return p;
}

/* The last part is not padded. */
static inline void rig_record(struct spate_record *r, const char *manifest, const char *id,
			      const uint64_t *sizes, uint32_t n)
{
	uint64_t total = 0;
	uint8_t seed = 7;

	*r = (struct spate_record){.manifest = strdup(manifest),
				   .id = strdup(id),
				   .piece_bytes = RIG_PIECE,
				   .n = n,
				   .parts = calloc(n, sizeof(*r->parts))};
	for (uint32_t i = 0; i < n; i++) {
		struct spate_record_part *p = &r->parts[i];
		int len = asprintf(&p->url, "/film/%03u.m4s", i);

		p->url_len = (uint16_t)len;
		p->tag = 0x0102030405060708u + i;
		p->hash.len = sizes[i];
		p->hash.padded = i + 1 < n;
		p->hash.npieces = (uint32_t)((sizes[i] + RIG_PIECE - 1) / RIG_PIECE);
		p->hash.nleaves =
			(uint32_t)((sizes[i] + SPATE_MERKLE_LEAF - 1) / SPATE_MERKLE_LEAF);
		p->hash.pieces = rig_hashes(p->hash.npieces, SPATE_SHA1_BYTES, &seed);
		p->hash.leaves = rig_hashes(p->hash.nleaves, SPATE_SHA256_BYTES, &seed);
		total += sizes[i];
	}
	r->npieces = (uint32_t)((total + RIG_PIECE - 1) / RIG_PIECE);
	r->pieces = rig_hashes(r->npieces, SPATE_SHA1_BYTES, &seed);
}

#endif

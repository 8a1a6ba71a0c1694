/*
 * make.h: both torrents of a representation, from its hashes. Pure: no I/O, no clock, so the same
 * input makes the same bytes, and the same infohash, on every edge.
 *
 *   qsort(parts by spate_make_path_order)       before hashing: which file is the last one, unpadded
 *   spate_make_v1(&in, &made)                   the concatenation as one file (BEP 3, 19)
 *   spate_make_hybrid(&in, &made)               parts as files, v1 and v2 (BEP 47, 52)
 *   spate_made_free(made)
 *
 *   torrent   announce, announce-list, info, url-list   (+ piece layers)
 *   magnet    xt (both hashes when hybrid), dn, xl, tr, ws, x.pe
 */
#ifndef SPATE_TORRENT_MAKE_H
#define SPATE_TORRENT_MAKE_H

#include "control/torrent/bencode.h"
#include "control/torrent/hash.h"
#include "dataplane/bt/token.h"
#include "spate/torrent.h"

/* One file of the content; borrowed, all of it copied where it is kept. */
struct spate_make_part {
	const char *url; /* normalised path?query on this edge */
	uint16_t url_len;
	uint64_t tag;     /* spate_torrent_tag() of what was hashed */
	const char *path; /* hybrid: inside the torrent, "video/001.m4s" */
	const struct spate_hashed_file *hash;
};

struct spate_make {
	const char *name; /* of the file, or of the hybrid torrent's folder; UTF-8, no slash */
	uint32_t piece_bytes;
	const struct spate_make_part *parts; /* v1: in order of playing; hybrid: in any order */
	uint32_t n;                          /* at least 1; parts of no bytes are left out */
	const uint8_t *pieces;               /* v1: of the concatenation */
	uint32_t npieces;

	const char *const *trackers; /* the edge's own: "udp://host:port"; the path is made here */
	unsigned ntrackers;
	const struct spate_token_key *key; /* signs that path; NULL: "/announce" */
	const char *const *announce;       /* more tracker URLs, as they are */
	unsigned nannounce;
	const char *const *peers; /* "host:port", for magnets; they are the edge itself */
	unsigned npeers;
	const char *webseed;  /* URL: v1: of the file; hybrid: of the folder above `name`, ends in a
				 slash */
	const char *file_url; /* v1: normalised path of the concatenation on this edge, or NULL */
};

struct spate_made {
	struct spate_torrent t; /* first; owner is NULL, file_meta too: the caller's to set */
	uint8_t sha256[SPATE_SHA256_BYTES]; /* hybrid: of info, whole */
	struct spate_buf file;              /* the .torrent */
	struct spate_buf magnet;
	char **announce; /* every tracker URL */
	unsigned nannounce;
	struct spate_torrent_part *parts;
	struct spate_torrent_file *files;
	char *urls;
	uint8_t *leaves, *info;
};

/* 0, -EINVAL (nothing in it, or sizes that do not fit each other), -ENOMEM. */
int spate_make_v1(const struct spate_make *in, struct spate_made **out);
int spate_make_hybrid(const struct spate_make *in, struct spate_made **out);
void spate_made_free(struct spate_made *m);

/* Bytes that `m` and all it points to take. */
size_t spate_made_bytes(const struct spate_made *m);

/* BEP 52's order of files: by bytes of each path component. As qsort wants it, of two paths. */
int spate_make_path_order(const char *a, const char *b);
/* Is it the file `of`, or in a folder of that name? In the order above those come right behind. */
bool spate_make_path_within(const char *path, const char *of);

#endif

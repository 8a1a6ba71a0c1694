/*
 * store.h: hashes kept over a restart: a directory with a file for each representation.
 *
 *   spate_store_create(&s, path, bytes)
 *   spate_store_save(s, &rec)                          whole or not at all, over what was there
 *   spate_store_load(s, manifest, id, piece, &rec)     counts as a use
 *   spate_store_touch(s, manifest, id, piece)          is in use, though not loaded again
 *   spate_store_remove(s, manifest, id, piece)
 *   spate_store_destroy(s)
 *
 *     STORE/0123456789abcdef0123456789abcdef.hashes      control/torrent/record.h
 *     STORE/.spate-0123456789abcdef                      being written; a crash may leave it
 *
 * A name is XXH3-128 of manifest, id and piece length, and only says where to look: what the file
 * is of stands in it. Written aside, fsync, rename: a reader, a crash and another edge that shares
 * the directory see the old file or the new one. Beyond `bytes` the files used longest ago are
 * removed; a file's modification time is that of its last use. Nothing else in the directory is
 * touched.
 *
 * All calls wait for the disk: they belong on the hash thread (thread.h). One thread at a time.
 */
#ifndef SPATE_TORRENT_STORE_H
#define SPATE_TORRENT_STORE_H

#include "control/torrent/record.h"

#define SPATE_STORE_STRAY_S 600 /* written for longer than this: left by a crash */

struct spate_store;

/* path: read during the call; a directory that exists. bytes: of all files. 0 or negative errno of
 * open. */
int spate_store_create(struct spate_store **out, const char *path, uint64_t bytes);
void spate_store_destroy(struct spate_store *s); /* NULL is fine */

/* 0, -EFBIG (alone larger than the store), or negative errno; then the old file is as it was. */
int spate_store_save(struct spate_store *s, const struct spate_record *r);

/*
 * 0: *out is the caller's (spate_record_free). -ENOENT: there is none. -EBADMSG: there was one, but
 * not whole, or of something else; it is removed. Else a negative errno. *out is empty then.
 */
int spate_store_load(struct spate_store *s, const char *manifest, const char *id,
		     uint32_t piece_bytes, struct spate_record *out);

/* 0 (also where there is none) or negative errno. */
int spate_store_touch(struct spate_store *s, const char *manifest, const char *id,
		      uint32_t piece_bytes);
int spate_store_remove(struct spate_store *s, const char *manifest, const char *id,
		       uint32_t piece_bytes);

#define SPATE_STORE_NAME 40 /* "32 hex digits.hashes" and a NUL */
/* The file's name. */
void spate_store_name(const char *manifest, const char *id, uint32_t piece_bytes,
		      char out[SPATE_STORE_NAME]);

#endif

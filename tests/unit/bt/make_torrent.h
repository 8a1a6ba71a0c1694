/*
 * make_torrent.h: for tests of what peers are served: both torrents over objects in a cache in
 * memory, made by the code that makes them in the edge, and a table of them.
 *
 *   spate_cache_create(&c, ...)
 *   make_torrent(&m, c, 32768, (uint64_t[]){1000, 70000, 65536}, 3)
 *   ... m.v1->t, m.hybrid->t, m.table; m.bytes[0 .. m.len) is the concatenation ...
 *   make_torrent_end(&m)                             before spate_cache_destroy
 *
 * Part i is the object of "/film/NNN.m4s" (NNN = i, so both torrents have the same order), the
 * concatenation's URL "/film/a.mp4". Objects are complete and held until the end; to test what is
 * not cached, call make_torrent_drop(&m, i): then its bytes are gone, and make_torrent_put(&m, i)
 * stores them again, make_torrent_other(&m, i) others with another tag.
 */
#ifndef MAKE_TORRENT_H
#define MAKE_TORRENT_H

#include "control/torrent/make.h"
#include "control/torrent/table.h"
#include "dataplane/cache/write.h"

#define MAKE_TORRENT_PARTS 128

struct made_torrent {
	struct spate_cache *cache;
	struct spate_made *v1, *hybrid;
	struct spate_torrents *table;
	uint8_t *bytes;
	uint64_t len;
	unsigned n;
	uint64_t start[MAKE_TORRENT_PARTS], size[MAKE_TORRENT_PARTS];
	char url[MAKE_TORRENT_PARTS][32];
	struct spate_object *object[MAKE_TORRENT_PARTS]; /* held; NULL: dropped */
	struct spate_object *zeros;                      /* 128 KiB */
};

void make_torrent(struct made_torrent *m, struct spate_cache *c, uint32_t piece_bytes,
		  const uint64_t *sizes, unsigned n);
void make_torrent_end(struct made_torrent *m);
void make_torrent_drop(struct made_torrent *m, unsigned i);
void make_torrent_put(struct made_torrent *m, unsigned i);
void make_torrent_other(struct made_torrent *m, unsigned i);

#endif

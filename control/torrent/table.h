/*
 * table.h: the snapshot of published torrents that workers look things up in (spate/torrent.h).
 *
 *   spate_table_create(&t, list, n, generation)    the torrents are borrowed
 *   t->zeros, t->zeros_bytes = ...
 *   spate_table_free(t)                            no worker has it any more
 */
#ifndef SPATE_TORRENT_TABLE_H
#define SPATE_TORRENT_TABLE_H

#include "spate/torrent.h"

/* n may be 0. 0 or -ENOMEM. A file URL is listed for those that have one. */
int spate_table_create(struct spate_torrents **out, struct spate_torrent *const *list, uint32_t n,
		       uint64_t generation);
void spate_table_free(struct spate_torrents *t); /* NULL is fine */

#endif

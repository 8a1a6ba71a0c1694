/*
 * conn.h: the BitTorrent peer wire as a seeder speaks it (BEP 3, 6, 9, 10, 11, 21, 52, 54), over a
 * stream. One spate_bt a worker, one spate_bt_conn a stream.
 *
 *   spate_bt_create(w)                    before the backend opens
 *   listener.accept = spate_bt_accept     the backend calls it for each new stream on p2p.listen
 *   spate_bt_torrents(w)                  w->torrents is another table: close what was withdrawn
 *   spate_bt_destroy(w)                   after the backend has closed every stream
 *
 * We only ever seed: nothing is asked for, and what a peer sends beyond requests is a reason to
 * close. A request becomes extents of cached objects behind a 13-byte head; what the cache lacks is
 * fetched through control meanwhile. Every reason to close is a counter, bt_close_*.
 *
 *     conn.c      bytes to messages, handshake, timers, the end
 *     serve.c     the queue of requests, pieces out
 *     seed.c      one torrent on this worker: its peers, its rate, whose turn it is
 *     choke.c     upload slots, where a rate is set
 *     extended.c  BEP 10 and what rides on it
 *     hashes.c    BEP 52 hash requests
 */
#ifndef SPATE_BT_CONN_H
#define SPATE_BT_CONN_H

#include <stdbool.h>

#include "dataplane/stream/stream.h"

struct spate_worker;

int spate_bt_create(struct spate_worker *w); /* 0 or -ENOMEM; sets w->bt */
void spate_bt_destroy(struct spate_worker *w);
void spate_bt_torrents(struct spate_worker *w);

bool spate_bt_accept(struct spate_stream *s, void *ctx); /* ctx: unused */

#endif

/*
 * edge.h: how peers reach this edge, from the configuration: what is written into torrents.
 *
 *   spate_torrent_edge_create(&e, cfg)
 *   spate_torrent_edge_destroy(e)
 */
#ifndef SPATE_TORRENT_EDGE_H
#define SPATE_TORRENT_EDGE_H

#include "control/config/config.h"
#include "dataplane/bt/token.h"

struct spate_torrent_edge {
	char *base;      /* "http://host[:port]", no slash at its end; "": nobody can reach it */
	char **trackers; /* our own, "udp://host:port"; none where p2p.announce is said */
	unsigned ntrackers;
	char **announce; /* of p2p.announce, as they are */
	unsigned nannounce;
	char **peers; /* "host:port" of the peer wire */
	unsigned npeers;
	bool is_signed;
	struct spate_token_key key;
};

/* Does the configuration ask for torrents at all? */
bool spate_torrent_wanted(const struct spate_config *cfg);

/* 0 or -ENOMEM. */
int spate_torrent_edge_create(struct spate_torrent_edge **out, const struct spate_config *cfg);
void spate_torrent_edge_destroy(struct spate_torrent_edge *e); /* NULL is fine */

#endif

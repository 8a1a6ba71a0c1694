/*
 * token.h: signed announce URLs (p2p.secret). The one place where control, which writes them into
 * torrents, and the trackers, which check them, agree.
 *
 *     http://edge:8080/TOKEN/announce      TOKEN: 32 hex digits, a keyed function of the infohash
 *     udp://edge:6969/TOKEN/announce       clients send the path as a BEP 41 option
 *
 * So who has the torrent can announce, and who only knows (or made up) an infohash cannot. The
 * infohash is the v1 one of the torrent, also for announces of a hybrid's v2 swarm: both come from
 * the same torrent and its one URL. The token is SipHash-2-4 twice: a MAC with a 128-bit key, not a
 * checksum; forging one costs as many announces as it has bits, and each is counted.
 *
 *   spate_token_key(&key, secret)                once, from p2p.secret
 *   spate_token_path(key, infohash, path)        "/TOKEN/announce", or "/announce" for key NULL
 *   spate_token_good(key, infohash, token)       32 characters as they came
 */
#ifndef SPATE_BT_TOKEN_H
#define SPATE_BT_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPATE_TOKEN_CHARS    32
#define SPATE_TOKEN_PATH_MAX (1 + SPATE_TOKEN_CHARS + sizeof("/announce"))

struct spate_token_key {
	uint64_t word[2];
};

void spate_token_key(struct spate_token_key *key, const char *secret);
void spate_token_make(const struct spate_token_key *key, const uint8_t infohash[20],
		      char token[SPATE_TOKEN_CHARS]);
void spate_token_path(const struct spate_token_key *key, const uint8_t infohash[20],
		      char path[SPATE_TOKEN_PATH_MAX]);
/* In constant time. */
bool spate_token_good(const struct spate_token_key *key, const uint8_t infohash[20],
		      const char token[SPATE_TOKEN_CHARS]);

/*
 * What a path of an announce or scrape URL is. *token: its 32 characters, NULL without one.
 * "/announce", "/scrape", and both behind "/TOKEN". len: without the query.
 */
enum spate_token_url { SPATE_URL_OTHER, SPATE_URL_ANNOUNCE, SPATE_URL_SCRAPE };
enum spate_token_url spate_token_url(const char *path, size_t len, const char **token);

#endif

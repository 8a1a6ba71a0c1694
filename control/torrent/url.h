/*
 * url.h: which URLs are made here instead of fetched, and what is asked by them. Pure.
 *
 *     /films/a/stream.mpd.torrents                   the index
 *     /films/a/stream.mpd.torrents/ID.torrent        a torrent, whatever else lies in the folder
 *     /films/a/stream.mpd.torrents/ID.hybrid.torrent
 *     /films/a/stream.mpd.torrents/ID.mp4            the concatenation (also .webm)
 *     /films/a/stream.mpd.torrents/ID/NAME/PATH      the hybrid's web seed where PATH is no URL of
 * ours /films/a/ID.torrent  ID.hybrid.torrent         the same torrents; which manifest is to be
 * found /films/a/.pad/12345                            zeros (BEP 47)
 *
 * ID is a representation's, percent-encoded as one path component.
 */
#ifndef SPATE_TORRENT_URL_H
#define SPATE_TORRENT_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/torrent/bencode.h"

enum spate_torrent_url_kind {
	SPATE_TURL_NONE,
	SPATE_TURL_INDEX,
	SPATE_TURL_V1,
	SPATE_TURL_HYBRID,
	SPATE_TURL_WHOLE,
	SPATE_TURL_FILE,
	SPATE_TURL_PAD,
};

#define SPATE_TURL_ID_MAX 255

struct spate_torrent_url {
	enum spate_torrent_url_kind kind;
	size_t manifest; /* bytes of the URL that are the manifest's path; 0: not said */
	size_t dir;      /* bytes of the URL up to the folder's slash, included */
	char id[SPATE_TURL_ID_MAX + 1]; /* decoded */
	const char *path; /* FILE: what follows NAME/, still encoded; not terminated */
	size_t path_len;
	uint64_t pad; /* PAD, and a FILE that is one: how many zeros; else 0 */
};

/* url: normalised path?query. False: none of these (kind NONE). */
bool spate_torrent_url_parse(const char *url, size_t len, struct spate_torrent_url *out);

/* id as a path component. */
void spate_torrent_url_id(struct spate_buf *b, const char *id);

/* Undoes percent-encoding; NUL-terminated. False: a broken escape, a NUL, or no room. */
bool spate_percent_decode(const char *p, size_t n, char *out, size_t cap);

/*
 * Is this path fit to be named in a torrent: valid UTF-8 without control characters, no empty
 * component, none that is "." or "..", no backslash, none longer than 200 bytes?
 */
bool spate_torrent_path_ok(const char *path);

#endif

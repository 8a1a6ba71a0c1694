/* torrent.c: the fields of torrent.h; whatever else is in a .torrent is passed over. */
#include "bench/load/torrent.h"

#include <openssl/sha.h>

#include "dataplane/bt/bencode.h"

#define PIECE_MAX (64u << 20)

static bool file(struct spate_bdec *d, uint64_t *sum)
{
	struct spate_bstr key;
	int64_t n = -1;

	if (spate_bdec_dict(d))
		while (spate_bdec_more(d)) {
			spate_bdec_str(d, &key);
			if (spate_bstr_is(&key, "length"))
				spate_bdec_int(d, &n);
			else
				spate_bdec_skip(d);
		}
	*sum += n > 0 ? (uint64_t)n : 0;
	return spate_bdec_ok(d) && n >= 0;
}

static bool info(struct load_torrent *t, struct spate_bdec *d)
{
	struct spate_bstr key, hashes = {0};
	int64_t n = 0, piece = 0;

	if (!spate_bdec_dict(d))
		return false;
	while (spate_bdec_more(d)) {
		spate_bdec_str(d, &key);
		if (spate_bstr_is(&key, "length")) {
			if (!spate_bdec_int(d, &n) || n < 0)
				return false;
			t->bytes = (uint64_t)n;
		} else if (spate_bstr_is(&key, "files") && spate_bdec_list(d)) {
			while (spate_bdec_more(d))
				if (!file(d, &t->bytes))
					return false;
		} else if (spate_bstr_is(&key, "piece length")) {
			spate_bdec_int(d, &piece);
		} else if (spate_bstr_is(&key, "pieces")) {
			spate_bdec_str(d, &hashes);
		} else {
			spate_bdec_skip(d);
		}
	}
	if (!spate_bdec_ok(d) || piece <= 0 || piece > PIECE_MAX || t->bytes == 0)
		return false;
	t->piece_bytes = (uint32_t)piece;
	t->pieces = (uint32_t)(hashes.len / 20);
	t->hashes = hashes.p;
	return hashes.len % 20 == 0 &&
	       t->pieces == (t->bytes + t->piece_bytes - 1) / t->piece_bytes;
}

bool load_torrent_parse(struct load_torrent *t, const uint8_t *p, size_t len)
{
	struct spate_bdec d;
	struct spate_bstr key;
	bool found = false;

	*t = (struct load_torrent){0};
	spate_bdec_init(&d, p, len);
	if (!spate_bdec_dict(&d))
		return false;
	while (spate_bdec_more(&d)) {
		spate_bdec_str(&d, &key);
		if (spate_bstr_is(&key, "info") && !found) {
			const uint8_t *from = d.p;

			if (!info(t, &d))
				return false;
			SHA1(from, (size_t)(d.p - from), t->infohash);
			found = true;
		} else {
			spate_bdec_skip(&d);
		}
	}
	return found && spate_bdec_ok(&d);
}

#include "spate/torrent.h"

#include <endian.h>
#include <string.h>
#include <xxhash.h>

static uint64_t first8(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

struct spate_torrent *spate_torrents_find(const struct spate_torrents *t,
					  const uint8_t infohash[SPATE_INFOHASH_BYTES])
{
	if (t == NULL || t->by_hash == NULL)
		return NULL;
	for (uint64_t i = first8(infohash) & t->mask; t->by_hash[i] != NULL;
	     i = (i + 1) & t->mask) {
		struct spate_torrent *x = t->by_hash[i];

		if (memcmp(x->infohash, infohash, SPATE_INFOHASH_BYTES) == 0 ||
		    (x->hybrid && memcmp(x->infohash_v2, infohash, SPATE_INFOHASH_BYTES) == 0))
			return x;
	}
	return NULL;
}

struct spate_torrent *spate_torrents_find_file(const struct spate_torrents *t,
					       const struct spate_key *file)
{
	if (t == NULL || t->by_file == NULL)
		return NULL;
	for (uint64_t i = file->lo & t->mask; t->by_file[i] != NULL; i = (i + 1) & t->mask) {
		struct spate_torrent *x = t->by_file[i];

		if (x->file_key.lo == file->lo && x->file_key.hi == file->hi)
			return x;
	}
	return NULL;
}

uint32_t spate_torrent_part_at(const struct spate_torrent *t, uint64_t off)
{
	uint32_t lo = 0, hi = t->nparts; /* the answer is in [lo, hi) */

	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (t->parts[mid].start <= off)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

uint64_t spate_torrent_tag(const struct spate_meta *m, uint64_t size)
{
	uint64_t modified_s;

	if (m->etag_len > 0)
		return XXH3_64bits_withSeed(m->head + m->etag_off, m->etag_len, size);
	/* It is kept on disk (control/torrent/store.h): the same whatever the machine. */
	modified_s = htole64((uint64_t)m->last_modified_s);
	return XXH3_64bits_withSeed(&modified_s, sizeof(modified_s), size);
}

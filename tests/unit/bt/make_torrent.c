#include "make_torrent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ZEROS 131072u

static struct spate_meta *meta_of(const char *etag)
{
	struct spate_meta *m = calloc(1, sizeof(*m) + 128);

	assert_non_null(m);
	m->status = 200;
	m->cacheable = true;
	m->last_modified_s = -1;
	m->head_len =
		(uint16_t)sprintf(m->head, "Content-Type: video/mp4\r\nETag: \"%s\"\r\n", etag);
	m->etag_off = (uint16_t)(strstr(m->head, "ETag: ") + 6 - m->head);
	m->etag_len = (uint16_t)(strlen(etag) + 2);
	return m;
}

/* p NULL: zeros. Held once. */
static struct spate_object *store(struct spate_cache *c, const char *url, const char *etag,
				  const uint8_t *p, uint64_t len)
{
	struct spate_key key = spate_key_of(url, strlen(url));
	struct spate_object *o = spate_cache_insert(c, &key);
	uint64_t at = 0, waiting;

	assert_non_null(o);
	assert_int_equal(spate_cache_publish(c, o, meta_of(etag), len, INT64_MAX), 0);
	while (at < len) {
		struct iovec iov[8];
		unsigned n;
		uint64_t got = spate_cache_room(c, o, len - at, iov, 8, &n), done = 0;

		assert_true(got > 0);
		for (unsigned i = 0; i < n; done += iov[i++].iov_len)
			if (p != NULL)
				memcpy(iov[i].iov_base, p + at + done, iov[i].iov_len);
			else
				memset(iov[i].iov_base, 0, iov[i].iov_len);
		spate_cache_filled(c, o, got);
		at += got;
	}
	assert_int_equal(spate_cache_complete(c, o, &waiting), 0);
	return o;
}

void make_torrent(struct made_torrent *m, struct spate_cache *c, uint32_t piece_bytes,
		  const uint64_t *sizes, unsigned n)
{
	struct spate_hashed_file hash[MAKE_TORRENT_PARTS];
	struct spate_make_part part[MAKE_TORRENT_PARTS];
	struct spate_make in = {.name = "a.mp4",
				.piece_bytes = piece_bytes,
				.parts = part,
				.n = n,
				.file_url = "/film/a.mp4"};
	struct spate_hasher *h;
	uint8_t *pieces;
	uint64_t at = 0, x = 88172645463325252ull;

	assert_true(n <= MAKE_TORRENT_PARTS);
	memset(m, 0, sizeof(*m));
	m->cache = c;
	m->n = n;
	for (unsigned i = 0; i < n; i++)
		m->len += sizes[i];
	m->bytes = malloc(m->len + 8);
	assert_non_null(m->bytes);
	for (uint64_t i = 0; i < m->len; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		m->bytes[i] = (uint8_t)x;
	}
	assert_int_equal(spate_hasher_create(&h, piece_bytes), 0);
	for (unsigned i = 0; i < n; i++) {
		m->start[i] = at;
		m->size[i] = sizes[i];
		sprintf(m->url[i], "/film/%03u.m4s", i);
		make_torrent_put(m, i);
		assert_int_equal(spate_hasher_add(h, m->bytes + at, sizes[i]), 0);
		assert_int_equal(spate_hasher_file(h, i + 1 < n, &hash[i]), 0);
		part[i] = (struct spate_make_part){
			.url = m->url[i],
			.url_len = (uint16_t)strlen(m->url[i]),
			.tag = spate_torrent_tag(m->object[i]->meta, sizes[i]),
			.path = m->url[i] + strlen("/film/"),
			.hash = &hash[i],
		};
		at += sizes[i];
	}
	assert_int_equal(spate_hasher_whole(h, &pieces, &in.npieces), 0);
	in.pieces = pieces;
	assert_int_equal(spate_make_v1(&in, &m->v1), 0);
	in.name = "film";
	in.file_url = NULL;
	assert_int_equal(spate_make_hybrid(&in, &m->hybrid), 0);
	m->v1->t.file_meta = meta_of("whole");
	assert_int_equal(spate_table_create(&m->table,
					    (struct spate_torrent *[]){&m->v1->t, &m->hybrid->t}, 2,
					    1),
			 0);
	m->zeros = store(c, "zeros", "zeros", NULL, ZEROS);
	m->table->zeros = m->zeros;
	m->table->zeros_bytes = ZEROS;
	for (unsigned i = 0; i < n; i++)
		spate_hashed_file_free(&hash[i]);
	free(pieces);
	spate_hasher_destroy(h);
}

void make_torrent_drop(struct made_torrent *m, unsigned i)
{
	if (m->object[i] == NULL)
		return;
	spate_cache_remove(m->cache, m->object[i]);
	spate_cache_release(m->cache, m->object[i]);
	m->object[i] = NULL;
}

void make_torrent_put(struct made_torrent *m, unsigned i)
{
	char etag[32];

	make_torrent_drop(m, i);
	sprintf(etag, "part%u", i);
	m->object[i] = store(m->cache, m->url[i], etag, m->bytes + m->start[i], m->size[i]);
}

void make_torrent_other(struct made_torrent *m, unsigned i)
{
	make_torrent_drop(m, i);
	m->object[i] = store(m->cache, m->url[i], "other", NULL, m->size[i]);
}

void make_torrent_end(struct made_torrent *m)
{
	for (unsigned i = 0; i < m->n; i++)
		make_torrent_drop(m, i);
	spate_cache_release(m->cache, m->zeros);
	free((void *)m->v1->t.file_meta);
	spate_table_free(m->table);
	spate_made_free(m->v1);
	spate_made_free(m->hybrid);
	free(m->bytes);
}

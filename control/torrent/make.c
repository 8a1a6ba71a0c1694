#include "control/torrent/make.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int spate_make_path_order(const char *a, const char *b)
{
	/* A slash is less than any byte of a name, so "a/x" comes before "a.x" and "ab". */
	for (;; a++, b++) {
		int x = *a == '\0' ? -1 : *a == '/' ? 0 : (uint8_t)*a;
		int y = *b == '\0' ? -1 : *b == '/' ? 0 : (uint8_t)*b;

		if (x != y)
			return x < y ? -1 : 1;
		if (x < 0)
			return 0;
	}
}

bool spate_make_path_within(const char *path, const char *of)
{
	size_t n = strlen(of);

	return strncmp(path, of, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static int by_path(const void *a, const void *b)
{
	const struct spate_make_part *const *x = a, *const *y = b;

	return spate_make_path_order((*x)->path, (*y)->path);
}

static uint64_t pad_after(const struct spate_make *in, uint64_t len, bool last)
{
	return last || len % in->piece_bytes == 0 ? 0 : in->piece_bytes - len % in->piece_bytes;
}

/* --- the table of parts --- */

/* order: the parts that have bytes, in the torrent's order. */
static int lay_out(struct spate_made *m, const struct spate_make *in,
		   const struct spate_make_part **order, uint32_t n, bool hybrid)
{
	struct spate_torrent *t = &m->t;
	uint64_t at = 0, leaves = 0;
	size_t urls = 0;

	for (uint32_t i = 0; i < n; i++) {
		urls += order[i]->url_len;
		leaves += order[i]->hash->nleaves;
	}
	if (in->file_url != NULL)
		urls += strlen(in->file_url);
	m->parts = calloc((size_t)n * 2, sizeof(*m->parts));
	m->urls = malloc(urls + 1);
	if (hybrid) {
		m->files = calloc(n, sizeof(*m->files));
		m->leaves = malloc(leaves * SPATE_SHA256_BYTES);
	}
	if (m->parts == NULL || m->urls == NULL ||
	    (hybrid && (m->files == NULL || m->leaves == NULL)))
		return -ENOMEM;
	urls = leaves = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct spate_make_part *p = order[i];
		uint64_t pad = hybrid ? pad_after(in, p->hash->len, i + 1 == n) : 0;

		memcpy(m->urls + urls, p->url, p->url_len);
		m->parts[t->nparts++] = (struct spate_torrent_part){
			.start = at,
			.len = p->hash->len,
			.key = spate_key_of(p->url, p->url_len),
			.tag = p->tag,
			.url = m->urls + urls,
			.url_len = p->url_len,
		};
		urls += p->url_len;
		if (hybrid) {
			struct spate_torrent_file *f = &m->files[t->nfiles++];
			size_t bytes = (size_t)p->hash->nleaves * SPATE_SHA256_BYTES;

			f->start = at;
			f->len = p->hash->len;
			f->nleaves = p->hash->nleaves;
			f->leaves = m->leaves + leaves;
			memcpy(m->leaves + leaves, p->hash->leaves, bytes);
			leaves += bytes;
			if (spate_merkle_root(f->leaves, f->nleaves, 0, 0, f->root) < 0)
				return -ENOMEM;
		}
		at += p->hash->len;
		if (pad > 0) {
			m->parts[t->nparts++] =
				(struct spate_torrent_part){.start = at, .len = pad};
			at += pad;
		}
	}
	if (in->file_url != NULL) {
		t->file_url_len = (uint16_t)strlen(in->file_url);
		t->file_url = memcpy(m->urls + urls, in->file_url, t->file_url_len);
		t->file_key = spate_key_of(t->file_url, t->file_url_len);
	}
	t->hybrid = hybrid;
	t->bytes = at;
	t->piece_bytes = in->piece_bytes;
	t->pieces = (uint32_t)((at + in->piece_bytes - 1) / in->piece_bytes);
	t->parts = m->parts;
	t->files = m->files;
	return 0;
}

/* --- info --- */

static void put_path(struct spate_buf *b, const char *path)
{
	spate_bencode_open(b, 'l');
	for (const char *end; *path != '\0'; path = *end == '/' ? end + 1 : end) {
		end = strchrnul(path, '/');
		spate_bencode_bytes(b, path, (size_t)(end - path));
	}
	spate_bencode_close(b);
}

static void put_files(struct spate_buf *b, const struct spate_make *in,
		      const struct spate_make_part **order, uint32_t n)
{
	spate_bencode_open(b, 'l');
	for (uint32_t i = 0; i < n; i++) {
		uint64_t len = order[i]->hash->len, pad = pad_after(in, len, i + 1 == n);

		spate_bencode_open(b, 'd');
		spate_bencode_text(b, "length");
		spate_bencode_int(b, len);
		spate_bencode_text(b, "path");
		put_path(b, order[i]->path);
		spate_bencode_close(b);
		if (pad == 0)
			continue;
		spate_bencode_open(b, 'd');
		spate_bencode_text(b, "attr");
		spate_bencode_text(b, "p");
		spate_bencode_text(b, "length");
		spate_bencode_int(b, pad);
		spate_bencode_text(b, "path");
		spate_buf_printf(b, "l4:.pad");
		{
			char number[24];

			snprintf(number, sizeof(number), "%llu", (unsigned long long)pad);
			spate_bencode_text(b, number);
		}
		spate_bencode_close(b);
		spate_bencode_close(b);
	}
	spate_bencode_close(b);
}

/* How many bytes of folders, with their slashes, two paths begin with alike. */
static size_t shared_folders(const char *a, const char *b)
{
	size_t n = 0;

	for (size_t i = 0; a[i] != '\0' && a[i] == b[i]; i++)
		if (a[i] == '/')
			n = i + 1;
	return n;
}

static unsigned slashes(const char *p)
{
	unsigned n = 0;

	for (; *p != '\0'; p++)
		n += *p == '/';
	return n;
}

/* BEP 52: nested dictionaries, one a folder; a file is {"": {length, pieces root}}. */
static void put_tree(struct spate_buf *b, const struct spate_made *m,
		     const struct spate_make_part **order, uint32_t n)
{
	const char *before = "";

	spate_bencode_open(b, 'd');
	for (uint32_t i = 0; i < n; i++) {
		const char *path = order[i]->path;
		size_t shared = shared_folders(before, path);

		for (unsigned k = slashes(before + shared); k > 0; k--)
			spate_bencode_close(b);
		for (const char *p = path + shared, *end; p != NULL; p = end) {
			end = strchrnul(p, '/');
			spate_bencode_bytes(b, p, (size_t)(end - p));
			spate_bencode_open(b, 'd');
			end = *end == '/' ? end + 1 : NULL;
		}
		spate_bencode_text(b, "");
		spate_bencode_open(b, 'd');
		spate_bencode_text(b, "length");
		spate_bencode_int(b, order[i]->hash->len);
		spate_bencode_text(b, "pieces root");
		spate_bencode_bytes(b, m->files[i].root, SPATE_SHA256_BYTES);
		spate_bencode_close(b);
		spate_bencode_close(b);
		before = path;
	}
	for (unsigned k = slashes(before); k > 0; k--)
		spate_bencode_close(b);
	spate_bencode_close(b);
}

static void put_pieces(struct spate_buf *b, const struct spate_make_part **order, uint32_t n)
{
	size_t all = 0;

	for (uint32_t i = 0; i < n; i++)
		all += order[i]->hash->npieces;
	spate_buf_printf(b, "%zu:", all * SPATE_SHA1_BYTES);
	for (uint32_t i = 0; i < n; i++)
		spate_buf_add(b, order[i]->hash->pieces,
			      (size_t)order[i]->hash->npieces * SPATE_SHA1_BYTES);
}

static void put_info(struct spate_buf *b, const struct spate_made *m, const struct spate_make *in,
		     const struct spate_make_part **order, uint32_t n)
{
	spate_bencode_open(b, 'd');
	if (m->t.hybrid) {
		spate_bencode_text(b, "file tree");
		put_tree(b, m, order, n);
		spate_bencode_text(b, "files");
		put_files(b, in, order, n);
		spate_bencode_text(b, "meta version");
		spate_bencode_int(b, 2);
	} else {
		spate_bencode_text(b, "length");
		spate_bencode_int(b, m->t.bytes);
	}
	spate_bencode_text(b, "name");
	spate_bencode_text(b, in->name);
	spate_bencode_text(b, "piece length");
	spate_bencode_int(b, in->piece_bytes);
	spate_bencode_text(b, "pieces");
	if (m->t.hybrid)
		put_pieces(b, order, n);
	else
		spate_bencode_bytes(b, in->pieces, (size_t)in->npieces * SPATE_SHA1_BYTES);
	spate_bencode_close(b);
}

/* --- around it --- */

struct layer {
	const uint8_t *root;
	uint8_t *hashes;
	uint32_t n;
};

static int by_root(const void *a, const void *b)
{
	return memcmp(((const struct layer *)a)->root, ((const struct layer *)b)->root,
		      SPATE_SHA256_BYTES);
}

/* The hashes of the piece layer of each file that is longer than a piece. */
static int put_layers(struct spate_buf *b, const struct spate_made *m)
{
	uint32_t a_piece = m->t.piece_bytes / SPATE_MERKLE_LEAF, n = 0;
	unsigned layer = (unsigned)__builtin_ctz(a_piece);
	struct layer *l = calloc(m->t.nfiles, sizeof(*l));
	int rc = -ENOMEM;

	if (l == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->t.nfiles; i++) {
		const struct spate_torrent_file *f = &m->files[i];
		struct layer *x = &l[n];

		if (f->nleaves <= a_piece)
			continue;
		x->root = f->root;
		x->n = (f->nleaves + a_piece - 1) / a_piece;
		x->hashes = malloc((size_t)x->n * SPATE_SHA256_BYTES);
		n++;
		if (x->hashes == NULL)
			goto done;
		for (uint32_t k = 0; k < x->n; k++) {
			uint32_t left = f->nleaves - k * a_piece;

			if (spate_merkle_root(f->leaves + (size_t)k * a_piece * SPATE_SHA256_BYTES,
					      left < a_piece ? left : a_piece, 0, layer,
					      x->hashes + (size_t)k * SPATE_SHA256_BYTES) < 0)
				goto done;
		}
	}
	qsort(l, n, sizeof(*l), by_root);
	spate_bencode_text(b, "piece layers");
	spate_bencode_open(b, 'd');
	for (uint32_t i = 0; i < n; i++) {
		/* Two files with the same bytes have the same root and one entry. */
		if (i > 0 && by_root(&l[i - 1], &l[i]) == 0)
			continue;
		spate_bencode_bytes(b, l[i].root, SPATE_SHA256_BYTES);
		spate_bencode_bytes(b, l[i].hashes, (size_t)l[i].n * SPATE_SHA256_BYTES);
	}
	spate_bencode_close(b);
	rc = 0;
done:
	for (uint32_t i = 0; i < n; i++)
		free(l[i].hashes);
	free(l);
	return rc;
}

/* Our own trackers first, under the path that is signed for this infohash. */
static int list_trackers(struct spate_made *m, const struct spate_make *in)
{
	char path[SPATE_TOKEN_PATH_MAX];

	m->announce = calloc(in->ntrackers + in->nannounce + 1, sizeof(char *));
	if (m->announce == NULL)
		return -ENOMEM;
	spate_token_path(in->key, m->t.infohash, path);
	for (unsigned i = 0; i < in->ntrackers; i++) {
		if (asprintf(&m->announce[m->nannounce], "%s%s", in->trackers[i], path) < 0)
			return -ENOMEM;
		m->nannounce++;
	}
	for (unsigned i = 0; i < in->nannounce; i++) {
		m->announce[m->nannounce] = strdup(in->announce[i]);
		if (m->announce[m->nannounce] == NULL)
			return -ENOMEM;
		m->nannounce++;
	}
	return 0;
}

static int put_file(struct spate_made *m, const struct spate_make *in)
{
	struct spate_buf *b = &m->file;
	int rc = 0;

	spate_bencode_open(b, 'd');
	if (m->nannounce > 0) {
		spate_bencode_text(b, "announce");
		spate_bencode_text(b, m->announce[0]);
		spate_bencode_text(b, "announce-list"); /* BEP 12: each a tier of its own */
		spate_bencode_open(b, 'l');
		for (unsigned i = 0; i < m->nannounce; i++) {
			spate_bencode_open(b, 'l');
			spate_bencode_text(b, m->announce[i]);
			spate_bencode_close(b);
		}
		spate_bencode_close(b);
	}
	spate_bencode_text(b, "created by");
	spate_bencode_text(b, "Spate");
	spate_bencode_text(b, "info");
	spate_buf_add(b, m->info, m->t.info_len);
	if (m->t.hybrid)
		rc = put_layers(b, m);
	if (in->webseed != NULL) {
		spate_bencode_text(b, "url-list");
		spate_bencode_open(b, 'l');
		spate_bencode_text(b, in->webseed);
		spate_bencode_close(b);
	}
	spate_bencode_close(b);
	return rc < 0 || b->failed ? -ENOMEM : 0;
}

static void put_hex(struct spate_buf *b, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		spate_buf_printf(b, "%02x", p[i]);
}

static int put_magnet(struct spate_made *m, const struct spate_make *in)
{
	struct spate_buf *b = &m->magnet;

	spate_buf_text(b, "magnet:?xt=urn:btih:");
	put_hex(b, m->t.infohash, SPATE_INFOHASH_BYTES);
	if (m->t.hybrid) {
		spate_buf_text(b, "&xt=urn:btmh:1220"); /* multihash: SHA-256, 32 bytes (BEP 52) */
		put_hex(b, m->sha256, SPATE_SHA256_BYTES);
	}
	spate_buf_text(b, "&dn=");
	spate_buf_percent(b, in->name, strlen(in->name), "");
	spate_buf_printf(b, "&xl=%llu", (unsigned long long)m->t.bytes);
	for (unsigned i = 0; i < m->nannounce; i++) {
		spate_buf_text(b, "&tr=");
		spate_buf_percent(b, m->announce[i], strlen(m->announce[i]), "");
	}
	if (in->webseed != NULL) {
		spate_buf_text(b, "&ws=");
		spate_buf_percent(b, in->webseed, strlen(in->webseed), "");
	}
	for (unsigned i = 0; i < in->npeers; i++) {
		spate_buf_text(b, "&x.pe=");
		spate_buf_percent(b, in->peers[i], strlen(in->peers[i]), ":[]");
	}
	return b->failed ? -ENOMEM : 0;
}

/* --- whole --- */

/* Were all but the last file hashed with zeros after them, as they lie in the torrent? */
static bool well_padded(const struct spate_make_part **order, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (order[i]->hash->padded != (i + 1 < n) || strcmp(order[i]->path, "") == 0 ||
		    (i > 0 && spate_make_path_within(order[i]->path, order[i - 1]->path)))
			return false;
	return true;
}

static int make(const struct spate_make *in, bool hybrid, struct spate_made **out)
{
	const struct spate_make_part **order = calloc(in->n + 1, sizeof(*order));
	struct spate_made *m = calloc(1, sizeof(*m));
	struct spate_buf info = {0};
	uint32_t n = 0;
	int rc = -ENOMEM;

	if (order == NULL || m == NULL)
		goto fail;
	for (uint32_t i = 0; i < in->n; i++)
		if (in->parts[i].hash->len > 0)
			order[n++] = &in->parts[i];
	if (hybrid)
		qsort(order, n, sizeof(*order), by_path);
	rc = n == 0 || (hybrid && !well_padded(order, n)) ? -EINVAL
							  : lay_out(m, in, order, n, hybrid);
	if (rc < 0)
		goto fail;
	rc = -EINVAL;
	if (!hybrid && m->t.pieces != in->npieces)
		goto fail;
	put_info(&info, m, in, order, n);
	m->info = (uint8_t *)info.p;
	rc = -ENOMEM;
	if (info.failed || info.len > UINT32_MAX ||
	    spate_sha1(info.p, info.len, m->t.infohash) < 0 ||
	    spate_sha256(info.p, info.len, m->sha256) < 0)
		goto fail;
	if (hybrid)
		memcpy(m->t.infohash_v2, m->sha256, SPATE_INFOHASH_BYTES);
	m->t.info = m->info;
	m->t.info_len = (uint32_t)info.len;
	rc = list_trackers(m, in);
	if (rc == 0)
		rc = put_file(m, in);
	if (rc == 0)
		rc = put_magnet(m, in);
	if (rc < 0)
		goto fail;
	free(order);
	*out = m;
	return 0;

fail:
	free(order);
	spate_made_free(m);
	return rc;
}

int spate_make_v1(const struct spate_make *in, struct spate_made **out)
{
	return make(in, false, out);
}

int spate_make_hybrid(const struct spate_make *in, struct spate_made **out)
{
	return make(in, true, out);
}

void spate_made_free(struct spate_made *m)
{
	if (m == NULL)
		return;
	for (unsigned i = 0; i < m->nannounce; i++)
		free(m->announce[i]);
	free(m->announce);
	free(m->file.p);
	free(m->magnet.p);
	free(m->parts);
	free(m->files);
	free(m->urls);
	free(m->leaves);
	free(m->info);
	free(m);
}

size_t spate_made_bytes(const struct spate_made *m)
{
	size_t n = sizeof(*m) + m->file.cap + m->magnet.cap + m->t.info_len;

	for (uint32_t i = 0; i < m->t.nparts; i++)
		n += 2 * sizeof(*m->parts) + m->parts[i].url_len;
	for (uint32_t i = 0; i < m->t.nfiles; i++)
		n += sizeof(*m->files) + (size_t)m->files[i].nleaves * SPATE_SHA256_BYTES;
	return n;
}

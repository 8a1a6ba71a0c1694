/* record.c: a cursor that cannot leave the bytes it was given, and the checks of what it found. */
#include "control/torrent/record.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define PIECE_MAX (16u << 20) /* of p2p.piece */
#define SUM       16
#define PART_HEAD 20

static const char magic[8] = {'S', 'P', 'A', 'T', 'E', 'H', 'S', 'H'};

static uint64_t runs(uint64_t len, uint32_t of)
{
	return len / of + (len % of != 0);
}

static void checksum(const void *p, size_t n, uint8_t out[SUM])
{
	XXH128_canonical_t c;

	XXH128_canonicalFromHash(&c, XXH3_128bits(p, n));
	memcpy(out, c.digest, SUM);
}

void spate_record_seal(void *p, size_t n)
{
	checksum(p, n - SUM, (uint8_t *)p + n - SUM);
}

/* --- writing --- */

static void put16(struct spate_buf *b, uint16_t v)
{
	v = htole16(v);
	spate_buf_add(b, &v, sizeof(v));
}

static void put32(struct spate_buf *b, uint32_t v)
{
	v = htole32(v);
	spate_buf_add(b, &v, sizeof(v));
}

static void put64(struct spate_buf *b, uint64_t v)
{
	v = htole64(v);
	spate_buf_add(b, &v, sizeof(v));
}

static uint64_t bytes_of(const struct spate_record *r)
{
	uint64_t n = SPATE_RECORD_MIN + strlen(r->manifest) + strlen(r->id) +
		     (uint64_t)r->npieces * SPATE_SHA1_BYTES;

	for (uint32_t i = 0; i < r->n; i++)
		n += PART_HEAD + r->parts[i].url_len +
		     (uint64_t)r->parts[i].hash.npieces * SPATE_SHA1_BYTES +
		     (uint64_t)r->parts[i].hash.nleaves * SPATE_SHA256_BYTES;
	return n;
}

int spate_record_encode(const struct spate_record *r, struct spate_buf *out)
{
	uint64_t bytes = bytes_of(r);
	size_t from = out->len;

	if (bytes > SPATE_RECORD_MAX)
		return -EFBIG;
	spate_buf_add(out, magic, sizeof(magic));
	put32(out, SPATE_RECORD_VERSION);
	put32(out, r->piece_bytes);
	put64(out, bytes);
	put32(out, r->n);
	put32(out, r->npieces);
	put32(out, (uint32_t)strlen(r->manifest));
	put32(out, (uint32_t)strlen(r->id));
	spate_buf_text(out, r->manifest);
	spate_buf_text(out, r->id);
	for (uint32_t i = 0; i < r->n; i++) {
		const struct spate_record_part *p = &r->parts[i];

		put64(out, p->hash.len);
		put64(out, p->tag);
		put16(out, p->url_len);
		put16(out, p->hash.padded); /* padded, 0 */
		spate_buf_add(out, p->url, p->url_len);
		spate_buf_add(out, p->hash.pieces, (size_t)p->hash.npieces * SPATE_SHA1_BYTES);
		spate_buf_add(out, p->hash.leaves, (size_t)p->hash.nleaves * SPATE_SHA256_BYTES);
	}
	spate_buf_add(out, r->pieces, (size_t)r->npieces * SPATE_SHA1_BYTES);
	if (spate_buf_room(out, SUM) == NULL || out->failed)
		return -ENOMEM;
	spate_record_seal(out->p + from, out->len - from);
	return 0;
}

/* --- reading --- */

struct cursor {
	const uint8_t *p;
	size_t left;
	int rc; /* the first error; nothing is read after it */
};

/* NULL where there is an error, or were not that many. */
static const uint8_t *take(struct cursor *c, uint64_t n)
{
	const uint8_t *p = c->p;

	if (c->rc == 0 && n > c->left)
		c->rc = -EBADMSG;
	if (c->rc < 0)
		return NULL;
	c->p += n;
	c->left -= n;
	return p;
}

static uint16_t take16(struct cursor *c)
{
	const uint8_t *p = take(c, 2);
	uint16_t v = 0;

	if (p != NULL)
		memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

static uint32_t take32(struct cursor *c)
{
	const uint8_t *p = take(c, 4);
	uint32_t v = 0;

	if (p != NULL)
		memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t take64(struct cursor *c)
{
	const uint8_t *p = take(c, 8);
	uint64_t v = 0;

	if (p != NULL)
		memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

/* n bytes in memory of their own, with a NUL after them. */
static void *copy(struct cursor *c, uint64_t n)
{
	const uint8_t *p = take(c, n);
	uint8_t *out = p != NULL ? malloc(n + 1) : NULL;

	if (p != NULL && out == NULL)
		c->rc = -ENOMEM;
	if (out == NULL)
		return NULL;
	memcpy(out, p, n);
	out[n] = '\0';
	return out;
}

static char *copy_text(struct cursor *c, uint32_t n)
{
	char *text = copy(c, n);

	if (text != NULL && strlen(text) != n)
		c->rc = -EBADMSG;
	return text;
}

static void take_part(struct cursor *c, struct spate_record_part *p, uint32_t piece_bytes)
{
	struct spate_hashed_file *h = &p->hash;
	uint64_t pieces, leaves;
	uint16_t padded;

	h->len = take64(c);
	p->tag = take64(c);
	p->url_len = take16(c);
	padded = take16(c);
	p->url = copy_text(c, p->url_len);
	pieces = runs(h->len, piece_bytes);
	leaves = runs(h->len, SPATE_MERKLE_LEAF);
	/* More leaves than there are bytes left: said before it is multiplied. */
	if (c->rc == 0 && (padded > 1 || p->url_len == 0 || leaves > c->left))
		c->rc = -EBADMSG;
	if (c->rc < 0)
		return;
	h->padded = padded == 1;
	h->npieces = (uint32_t)pieces;
	h->nleaves = (uint32_t)leaves;
	h->pieces = copy(c, pieces * SPATE_SHA1_BYTES);
	h->leaves = copy(c, leaves * SPATE_SHA256_BYTES);
}

static bool piece_ok(uint32_t n)
{
	return n >= SPATE_MERKLE_LEAF && n <= PIECE_MAX && (n & (n - 1)) == 0;
}

int spate_record_decode(const void *p, size_t n, struct spate_record *out)
{
	struct cursor c = {.p = p, .left = n};
	uint32_t manifest, id, parts;
	uint64_t total = 0;
	uint8_t sum[SUM];

	memset(out, 0, sizeof(*out));
	if (n < SPATE_RECORD_MIN || n > SPATE_RECORD_MAX || memcmp(p, magic, sizeof(magic)) != 0)
		return -EBADMSG;
	checksum(p, n - SUM, sum);
	if (memcmp(sum, (const uint8_t *)p + n - SUM, SUM) != 0)
		return -EBADMSG;
	take(&c, sizeof(magic));
	c.left -= SUM;
	if (take32(&c) != SPATE_RECORD_VERSION)
		return -EBADMSG;
	out->piece_bytes = take32(&c);
	if (take64(&c) != n || !piece_ok(out->piece_bytes))
		return -EBADMSG;
	parts = take32(&c);
	out->npieces = take32(&c);
	manifest = take32(&c);
	id = take32(&c);
	out->manifest = copy_text(&c, manifest);
	out->id = copy_text(&c, id);
	if (c.rc == 0 && (parts == 0 || parts > c.left / PART_HEAD))
		c.rc = -EBADMSG;
	if (c.rc == 0 && (out->parts = calloc(parts, sizeof(*out->parts))) == NULL)
		c.rc = -ENOMEM;
	for (; c.rc == 0 && out->n < parts; out->n++) {
		take_part(&c, &out->parts[out->n], out->piece_bytes);
		total += out->parts[out->n].hash.len;
	}
	out->pieces = copy(&c, (uint64_t)out->npieces * SPATE_SHA1_BYTES);
	if (c.rc == 0 && (c.left > 0 || runs(total, out->piece_bytes) != out->npieces))
		c.rc = -EBADMSG;
	if (c.rc < 0)
		spate_record_free(out);
	return c.rc;
}

void spate_record_free(struct spate_record *r)
{
	for (uint32_t i = 0; i < r->n; i++) {
		free(r->parts[i].url);
		spate_hashed_file_free(&r->parts[i].hash);
	}
	free(r->parts);
	free(r->pieces);
	free(r->manifest);
	free(r->id);
	memset(r, 0, sizeof(*r));
}

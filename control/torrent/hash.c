/* hash.c: SHA-1 and SHA-256 through libcrypto, which takes SHA-NI where there is one. */
#include "control/torrent/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* Hashes of one kind, of runs of equal length. */
struct chain {
	EVP_MD_CTX *ctx;
	const EVP_MD *md;
	uint32_t run, at; /* bytes of a run; of this run so far */
	unsigned bytes;   /* of a hash */
	uint8_t *out;
	uint32_t n, cap;
};

struct spate_hasher {
	EVP_MD *sha1, *sha256;
	struct chain whole, own, leaf;
	uint64_t len; /* of this file so far */
};

static int chain_open(struct chain *c, const EVP_MD *md, unsigned bytes, uint32_t run)
{
	c->md = md;
	c->bytes = bytes;
	c->run = run;
	c->ctx = EVP_MD_CTX_new();
	return c->ctx == NULL || EVP_DigestInit_ex(c->ctx, md, NULL) != 1 ? -ENOMEM : 0;
}

static int chain_cut(struct chain *c)
{
	if (c->n == c->cap) {
		uint32_t cap = c->cap == 0 ? 64 : c->cap * 2;
		uint8_t *more = realloc(c->out, (size_t)cap * c->bytes);

		if (more == NULL)
			return -ENOMEM;
		c->out = more;
		c->cap = cap;
	}
	if (EVP_DigestFinal_ex(c->ctx, c->out + (size_t)c->n * c->bytes, NULL) != 1 ||
	    EVP_DigestInit_ex(c->ctx, NULL, NULL) != 1)
		return -ENOMEM;
	c->n++;
	c->at = 0;
	return 0;
}

static int chain_add(struct chain *c, const uint8_t *p, size_t n)
{
	while (n > 0) {
		size_t k = c->run - c->at < n ? c->run - c->at : n;

		if (EVP_DigestUpdate(c->ctx, p, k) != 1)
			return -ENOMEM;
		c->at += (uint32_t)k;
		p += k;
		n -= k;
		if (c->at == c->run && chain_cut(c) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int chain_zeros(struct chain *c, size_t n)
{
	static const uint8_t zeros[4096];

	for (size_t k; n > 0; n -= k) {
		k = n < sizeof(zeros) ? n : sizeof(zeros);
		if (chain_add(c, zeros, k) < 0)
			return -ENOMEM;
	}
	return 0;
}

static uint8_t *chain_take(struct chain *c, uint32_t *n)
{
	uint8_t *out = c->out;

	*n = c->n;
	c->out = NULL;
	c->n = c->cap = 0;
	return out;
}

int spate_hasher_create(struct spate_hasher **out, uint32_t piece_bytes)
{
	struct spate_hasher *h;

	if (piece_bytes < SPATE_MERKLE_LEAF || (piece_bytes & (piece_bytes - 1)) != 0)
		return -EINVAL;
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return -ENOMEM;
	/* Fetched once: to look an algorithm up by name takes longer than to hash a leaf's head. */
	h->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	h->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (h->sha1 == NULL || h->sha256 == NULL ||
	    chain_open(&h->whole, h->sha1, SPATE_SHA1_BYTES, piece_bytes) < 0 ||
	    chain_open(&h->own, h->sha1, SPATE_SHA1_BYTES, piece_bytes) < 0 ||
	    chain_open(&h->leaf, h->sha256, SPATE_SHA256_BYTES, SPATE_MERKLE_LEAF) < 0) {
		spate_hasher_destroy(h);
		return -ENOMEM;
	}
	*out = h;
	return 0;
}

static void chain_close(struct chain *c)
{
	EVP_MD_CTX_free(c->ctx);
	free(c->out);
}

void spate_hasher_destroy(struct spate_hasher *h)
{
	if (h == NULL)
		return;
	chain_close(&h->whole);
	chain_close(&h->own);
	chain_close(&h->leaf);
	EVP_MD_free(h->sha1);
	EVP_MD_free(h->sha256);
	free(h);
}

int spate_hasher_add(struct spate_hasher *h, const void *p, size_t n)
{
	/* A leaf at a time: the three passes read it from the nearest cache. */
	for (const uint8_t *at = p; n > 0;) {
		size_t k = n < SPATE_MERKLE_LEAF ? n : SPATE_MERKLE_LEAF;

		if (chain_add(&h->whole, at, k) < 0 || chain_add(&h->own, at, k) < 0 ||
		    chain_add(&h->leaf, at, k) < 0)
			return -ENOMEM;
		h->len += k;
		at += k;
		n -= k;
	}
	return 0;
}

int spate_hasher_file(struct spate_hasher *h, bool pad, struct spate_hashed_file *out)
{
	memset(out, 0, sizeof(*out));
	if (h->leaf.at > 0 && chain_cut(&h->leaf) < 0)
		return -ENOMEM;
	if (pad && h->own.at > 0 && chain_zeros(&h->own, h->own.run - h->own.at) < 0)
		return -ENOMEM;
	if (h->own.at > 0 && chain_cut(&h->own) < 0)
		return -ENOMEM;
	out->len = h->len;
	out->padded = pad;
	out->pieces = chain_take(&h->own, &out->npieces);
	out->leaves = chain_take(&h->leaf, &out->nleaves);
	h->len = 0;
	return 0;
}

int spate_hasher_whole(struct spate_hasher *h, uint8_t **pieces, uint32_t *n)
{
	if (h->whole.at > 0 && chain_cut(&h->whole) < 0)
		return -ENOMEM;
	*pieces = chain_take(&h->whole, n);
	return 0;
}

void spate_hashed_file_free(struct spate_hashed_file *f)
{
	free(f->pieces);
	free(f->leaves);
	memset(f, 0, sizeof(*f));
}

static int digest(const char *name, const void *p, size_t n, uint8_t *out)
{
	return EVP_Q_digest(NULL, name, NULL, p, n, out, NULL) == 1 ? 0 : -ENOMEM;
}

int spate_sha1(const void *p, size_t n, uint8_t out[SPATE_SHA1_BYTES])
{
	return digest("SHA1", p, n, out);
}

int spate_sha256(const void *p, size_t n, uint8_t out[SPATE_SHA256_BYTES])
{
	return digest("SHA256", p, n, out);
}

/*
 *      root                 a lone hash of an upper layer is paired with `zero`,
 *     /    \                the root of as many zero leaves as it stands for
 *    h      h
 *   / \    / \
 *  l   l  l   zero
 */
int spate_merkle_root(const uint8_t *hashes, uint32_t n, unsigned layer, unsigned at_least,
		      uint8_t root[SPATE_SHA256_BYTES])
{
	uint8_t zero[2 * SPATE_SHA256_BYTES] = {0}, *row;
	unsigned up = 0;
	int rc = -ENOMEM;

	while (layer-- > 0) {
		if (spate_sha256(zero, sizeof(zero), zero) < 0)
			return -ENOMEM;
		memcpy(zero + SPATE_SHA256_BYTES, zero, SPATE_SHA256_BYTES);
	}
	row = malloc(((size_t)n + 1) * SPATE_SHA256_BYTES);
	if (row == NULL)
		return -ENOMEM;
	memcpy(row, hashes, (size_t)n * SPATE_SHA256_BYTES);
	for (; n > 1 || up < at_least; up++) {
		if (n % 2 == 1)
			memcpy(row + (size_t)n++ * SPATE_SHA256_BYTES, zero, SPATE_SHA256_BYTES);
		for (uint32_t i = 0; i < n / 2; i++)
			if (spate_sha256(row + (size_t)i * sizeof(zero), sizeof(zero),
					 row + (size_t)i * SPATE_SHA256_BYTES) < 0)
				goto done;
		n /= 2;
		if (spate_sha256(zero, sizeof(zero), zero) < 0)
			goto done;
		memcpy(zero + SPATE_SHA256_BYTES, zero, SPATE_SHA256_BYTES);
	}
	memcpy(root, row, SPATE_SHA256_BYTES);
	rc = 0;
done:
	free(row);
	return rc;
}

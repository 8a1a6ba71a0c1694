/* The low-level calls: they work on the stack, where EVP would allocate for each hash. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "dataplane/bt/merkle.h"

#include <openssl/sha.h>
#include <string.h>

static void pair(const uint8_t left[32], const uint8_t right[32], uint8_t out[32])
{
	SHA256_CTX h;

	SHA256_Init(&h);
	SHA256_Update(&h, left, 32);
	SHA256_Update(&h, right, 32);
	SHA256_Final(out, &h);
}

unsigned spate_merkle_layers(uint32_t nleaves)
{
	return nleaves <= 1 ? 0 : 32 - (unsigned)__builtin_clz(nleaves - 1);
}

/* Nodes of a layer that have a leaf under them; what is right of those is all zeros below. */
static uint64_t real_nodes(const struct spate_torrent_file *f, unsigned layer)
{
	return ((uint64_t)f->nleaves + (1ull << layer) - 1) >> layer;
}

uint64_t spate_merkle_node(const struct spate_torrent_file *f, unsigned layer, uint64_t i,
			   uint8_t out[32])
{
	uint8_t left[32], right[32];
	uint64_t cost;

	if (i >= real_nodes(f, layer)) {
		memset(out, 0, 32);
		for (unsigned k = 0; k < layer; k++)
			pair(out, out, out);
		return layer;
	}
	if (layer == 0) {
		memcpy(out, f->leaves + i * 32, 32);
		return 0;
	}
	cost = spate_merkle_node(f, layer - 1, 2 * i, left) +
	       spate_merkle_node(f, layer - 1, 2 * i + 1, right);
	pair(left, right, out);
	return cost + 1;
}

unsigned spate_merkle_proof(const struct spate_torrent_file *f, uint32_t base, uint32_t index,
			    uint32_t length, uint32_t proofs, uint8_t (*out)[32], uint64_t *cost)
{
	unsigned layers = spate_merkle_layers(f->nleaves), n = 0, up;

	*cost = 0;
	if (base >= layers || proofs >= layers - base || length < 2 || length > 512 ||
	    (length & (length - 1)) != 0 || index % length != 0 ||
	    (uint64_t)index + length > (1ull << (layers - base)))
		return 0;
	if (out == NULL) {
		*cost = (uint64_t)f->nleaves + (uint64_t)layers * layers;
		return 1;
	}
	for (uint32_t i = 0; i < length; i++)
		*cost += spate_merkle_node(f, base, index + i, out[n++]);
	up = (unsigned)__builtin_ctz(length);
	for (uint32_t k = up; k <= proofs; k++)
		*cost += spate_merkle_node(f, base + k, ((uint64_t)index >> k) ^ 1, out[n++]);
	return n;
}

/* test_merkle.c: BEP 52 trees against a plain one that is built whole, layer by layer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "dataplane/bt/merkle.h"

#define LAYERS 13

/* node[k][i]: node i of layer k. All of the tree, zero leaves included. */
struct plain {
	uint8_t leaf[4096][32];
	uint8_t (*node[LAYERS + 1])[32];
	struct spate_torrent_file f;
	unsigned layers;
};

static void hash2(const uint8_t *two, uint8_t out[32])
{
	unsigned n = 32;

	assert_int_equal(EVP_Digest(two, 64, out, &n, EVP_sha256(), NULL), 1);
}

static struct plain *build(uint32_t nleaves)
{
	struct plain *p = calloc(1, sizeof(*p));
	uint64_t width = 1;

	assert_non_null(p);
	for (uint32_t i = 0; i < nleaves; i++)
		for (int k = 0; k < 32; k++)
			p->leaf[i][k] = (uint8_t)(i * 31 + (i >> 8) * 7 + (uint32_t)k * 3 + 1);
	while (width < nleaves) {
		width *= 2;
		p->layers++;
	}
	for (unsigned k = 0; k <= p->layers; k++, width /= 2) {
		p->node[k] = calloc(width, 32);
		assert_non_null(p->node[k]);
		for (uint64_t i = 0; i < width; i++)
			if (k == 0)
				memcpy(p->node[k][i], p->leaf[i], 32);
			else
				hash2(p->node[k - 1][2 * i], p->node[k][i]);
	}
	p->f = (struct spate_torrent_file){.leaves = p->leaf[0], .nleaves = nleaves};
	memcpy(p->f.root, p->node[p->layers][0], 32);
	return p;
}

static void drop(struct plain *p)
{
	for (unsigned k = 0; k <= p->layers; k++)
		free(p->node[k]);
	free(p);
}

static void layers_of_a_tree(void **state)
{
	(void)state;
	assert_int_equal(spate_merkle_layers(1), 0);
	assert_int_equal(spate_merkle_layers(2), 1);
	assert_int_equal(spate_merkle_layers(3), 2);
	assert_int_equal(spate_merkle_layers(4), 2);
	assert_int_equal(spate_merkle_layers(5), 3);
	assert_int_equal(spate_merkle_layers(0x80000000u), 31);
}

static void every_node_is_the_plain_ones(void **state)
{
	static const uint32_t sizes[] = {1, 2, 3, 5, 8, 9, 100, 1023};

	(void)state;
	for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct plain *p = build(sizes[s]);
		uint8_t got[32];

		for (unsigned k = 0; k <= p->layers; k++)
			for (uint64_t i = 0; i < 1ull << (p->layers - k); i++) {
				spate_merkle_node(&p->f, k, i, got);
				assert_memory_equal(got, p->node[k][i], 32);
			}
		drop(p);
	}
}

/*
 * What the asker does: hashes the run up to its common ancestor, joins one uncle after the other,
 * and must come out at the root when the proof goes all the way.
 */
static void proofs_lead_to_the_root(void **state)
{
	static const uint32_t sizes[] = {2, 3, 4, 64, 65, 700, 4096};
	uint8_t out[512 + SPATE_MERKLE_LAYERS_MAX][32], two[64];
	uint64_t cost;

	(void)state;
	for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct plain *p = build(sizes[s]);

		for (unsigned base = 0; base < p->layers; base++)
			for (uint32_t len = 2; len <= 512 && len <= 1u << (p->layers - base);
			     len *= 2)
				for (uint32_t at = 0; at < 1u << (p->layers - base); at += len) {
					unsigned up = (unsigned)__builtin_ctz(len);
					unsigned n = spate_merkle_proof(&p->f, base, at, len,
									p->layers - base - 1, out,
									&cost);

					assert_int_equal(n, len + p->layers - base - up);
					for (uint32_t i = 0; i < len; i++)
						assert_memory_equal(out[i], p->node[base][at + i],
								    32);
					for (uint32_t w = len; w > 1; w /= 2)
						for (uint32_t i = 0; i < w / 2; i++)
							hash2(out[2 * i], out[i]);
					for (unsigned k = 0; k < n - len; k++) {
						bool left = (at >> (up + k)) % 2 == 0;

						memcpy(two + (left ? 0 : 32), out[0], 32);
						memcpy(two + (left ? 32 : 0), out[len + k], 32);
						hash2(two, out[0]);
					}
					assert_memory_equal(out[0], p->f.root, 32);
				}
		drop(p);
	}
}

static void fewer_proof_layers_give_fewer_uncles(void **state)
{
	struct plain *p = build(64);
	uint8_t out[512 + SPATE_MERKLE_LAYERS_MAX][32];
	uint64_t cost;

	(void)state;
	/* six layers; a run of 4 reaches layer 2 by itself */
	assert_int_equal(spate_merkle_proof(&p->f, 0, 4, 4, 0, out, &cost), 4);
	assert_int_equal(spate_merkle_proof(&p->f, 0, 4, 4, 1, out, &cost), 4);
	assert_int_equal(spate_merkle_proof(&p->f, 0, 4, 4, 2, out, &cost), 5);
	assert_memory_equal(out[4], p->node[2][0], 32);
	assert_int_equal(spate_merkle_proof(&p->f, 0, 4, 4, 5, out, &cost), 8);
	drop(p);
}

static void what_cannot_be_is_refused(void **state)
{
	static const uint32_t bad[][4] = {
		{6, 0, 2, 0},                        /* the root's layer */
		{0xffffffff, 0, 2, 0}, {0, 0, 1, 0}, /* too few */
		{0, 0, 3, 0},                        /* no power of two */
		{0, 2, 4, 0},                        /* not a multiple */
		{0, 64, 2, 0},                       /* outside */
		{0, 0xfffffffe, 2, 0}, {0, 0, 128, 0}, {0, 0, 1024, 0},
		{0, 0, 0, 0},          {0, 0, 2, 6}, /* above the root */
		{0, 0, 2, 0xffffffff},
	};
	struct plain *p = build(64);
	uint8_t out[512 + SPATE_MERKLE_LAYERS_MAX][32];
	uint64_t cost;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(spate_merkle_proof(&p->f, bad[i][0], bad[i][1], bad[i][2],
						    bad[i][3], out, &cost),
				 0);
	drop(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layers_of_a_tree),
		cmocka_unit_test(every_node_is_the_plain_ones),
		cmocka_unit_test(proofs_lead_to_the_root),
		cmocka_unit_test(fewer_proof_layers_give_fewer_uncles),
		cmocka_unit_test(what_cannot_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

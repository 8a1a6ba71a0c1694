/* Infohashes and piece layers against what vectors.py reckons from the BEPs by itself. */
#include "../bt/make_torrent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct vector {
	uint32_t piece_bytes;
	unsigned n;
	uint64_t sizes[8];
	uint8_t v1[20], hybrid[20]; /* SHA-1 of info */
	uint8_t hybrid_v2[32];      /* SHA-256 of info */
	uint8_t file[32];           /* SHA-256 of all of the hybrid .torrent */
} vectors[] = {
#include "vectors.h"
};

static void each(void (*check)(const struct vector *v, const struct made_torrent *m))
{
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		const struct vector *v = &vectors[i];
		struct made_torrent m;
		struct spate_cache *c;

		assert_int_equal(spate_cache_create(&c, 16 << 20, 0, 1), 0);
		make_torrent(&m, c, v->piece_bytes, v->sizes, v->n);
		check(v, &m);
		make_torrent_end(&m);
		spate_cache_destroy(c);
	}
}

static void v1_infohash(const struct vector *v, const struct made_torrent *m)
{
	assert_memory_equal(m->v1->t.infohash, v->v1, sizeof(v->v1));
}

static void hybrid_infohashes(const struct vector *v, const struct made_torrent *m)
{
	assert_memory_equal(m->hybrid->t.infohash, v->hybrid, sizeof(v->hybrid));
	assert_memory_equal(m->hybrid->sha256, v->hybrid_v2, sizeof(v->hybrid_v2));
	assert_memory_equal(m->hybrid->t.infohash_v2, v->hybrid_v2, SPATE_INFOHASH_BYTES);
}

static void hybrid_file(const struct vector *v, const struct made_torrent *m)
{
	uint8_t got[32];

	assert_int_equal(spate_sha256(m->hybrid->file.p, m->hybrid->file.len, got), 0);
	assert_memory_equal(got, v->file, sizeof(got));
}

static void v1_infohash_is_that_of_bep_3(void **state)
{
	each(v1_infohash);
}

static void hybrid_infohashes_are_those_of_bep_52(void **state)
{
	each(hybrid_infohashes);
}

static void hybrid_file_has_the_piece_layers_of_bep_52(void **state)
{
	each(hybrid_file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(v1_infohash_is_that_of_bep_3),
		cmocka_unit_test(hybrid_infohashes_are_those_of_bep_52),
		cmocka_unit_test(hybrid_file_has_the_piece_layers_of_bep_52),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

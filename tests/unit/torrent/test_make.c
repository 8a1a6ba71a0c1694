/* Torrents: hashes against vectors and against a plain second reckoning, layout, lookup. */
#include "../bt/make_torrent.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t sizes[] = {1000, 70000, 65536, 1, 32768};
#define PARTS (sizeof(sizes) / sizeof(sizes[0]))

struct fixture {
	struct spate_cache *cache;
	struct made_torrent m;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(spate_cache_create(&f->cache, 8 << 20, 0, 1), 0);
	make_torrent(&f->m, f->cache, 32768, sizes, PARTS);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	make_torrent_end(&f->m);
	spate_cache_destroy(f->cache);
	free(f);
	return 0;
}

static const uint8_t *find(const struct spate_made *m, const char *text)
{
	const uint8_t *p = memmem(m->t.info, m->t.info_len, text, strlen(text));

	assert_non_null(p);
	return p + strlen(text);
}

/* The bytes of the torrent's flat space, pads as zeros. */
static uint8_t *flat(const struct made_torrent *m, const struct spate_torrent *t)
{
	uint8_t *p = calloc(1, t->bytes);
	uint64_t from = 0;

	for (uint32_t i = 0; i < t->nparts; i++) {
		if (t->parts[i].url == NULL)
			continue;
		memcpy(p + t->parts[i].start, m->bytes + from, t->parts[i].len);
		from += t->parts[i].len;
	}
	assert_int_equal(from, m->len);
	return p;
}

static void pieces_are(const struct made_torrent *m, const struct spate_made *made,
		       const char *head)
{
	const uint8_t *have = find(made, head);
	uint8_t *p = flat(m, &made->t), sha1[20];

	for (uint32_t i = 0; i < made->t.pieces; i++) {
		spate_sha1(p + (size_t)i * made->t.piece_bytes,
			   spate_torrent_piece_len(&made->t, i), sha1);
		assert_memory_equal(have + i * 20, sha1, 20);
	}
	free(p);
}

static void v1_pieces_are_those_of_the_concatenation(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->m.v1->t.pieces, 6);
	pieces_are(&f->m, f->m.v1, "6:pieces120:");
}

static void hybrid_pieces_have_zeros_after_each_file(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->m.hybrid->t.pieces, 1 + 3 + 2 + 1 + 1);
	pieces_are(&f->m, f->m.hybrid, "6:pieces160:");
}

static void parts_leave_no_hole(void **state)
{
	struct fixture *f = *state;
	const struct spate_torrent *t[] = {&f->m.v1->t, &f->m.hybrid->t};

	for (int k = 0; k < 2; k++) {
		uint64_t at = 0;

		for (uint32_t i = 0; i < t[k]->nparts; i++) {
			assert_int_equal(t[k]->parts[i].start, at);
			assert_true(t[k]->parts[i].len > 0);
			at += t[k]->parts[i].len;
			assert_int_equal(spate_torrent_part_at(t[k], at - 1), i);
		}
		assert_int_equal(at, t[k]->bytes);
	}
	for (uint32_t i = 0; i < t[1]->nfiles; i++)
		assert_int_equal(t[1]->files[i].start % t[1]->piece_bytes, 0);
}

static void table_finds_each_by_its_names(void **state)
{
	struct fixture *f = *state;
	struct spate_key key = spate_key_of("/film/a.mp4", 11);

	assert_ptr_equal(spate_torrents_find(f->m.table, f->m.v1->t.infohash), &f->m.v1->t);
	assert_ptr_equal(spate_torrents_find(f->m.table, f->m.hybrid->t.infohash), &f->m.hybrid->t);
	assert_ptr_equal(spate_torrents_find(f->m.table, f->m.hybrid->t.infohash_v2),
			 &f->m.hybrid->t);
	assert_ptr_equal(spate_torrents_find_file(f->m.table, &key), &f->m.v1->t);
	assert_null(spate_torrents_find(f->m.table, (const uint8_t *)"01234567890123456789"));
}

/* One leaf: the root is its hash (BEP 52). FIPS 180's "abc". */
static void root_of_one_leaf_is_its_hash(void **state)
{
	static const uint8_t abc[32] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
					0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
					0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
					0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
	struct spate_hasher *h;
	struct spate_hashed_file file;
	uint8_t root[32];

	assert_int_equal(spate_hasher_create(&h, 16384), 0);
	assert_int_equal(spate_hasher_add(h, "ab", 2), 0);
	assert_int_equal(spate_hasher_add(h, "c", 1), 0);
	assert_int_equal(spate_hasher_file(h, false, &file), 0);
	assert_int_equal(file.nleaves, 1);
	assert_int_equal(spate_merkle_root(file.leaves, 1, 0, 0, root), 0);
	assert_memory_equal(root, abc, 32);
	spate_hashed_file_free(&file);
	spate_hasher_destroy(h);
}

/* Three leaves are four, the last one zeros; and the same over two layers. */
static void root_is_padded_with_zero_leaves(void **state)
{
	uint8_t leaves[4][32] = {{1}, {2}, {3}, {0}}, pair[2][32], want[32], got[32], layer[2][32];

	spate_sha256(leaves[0], 64, pair[0]);
	spate_sha256(leaves[2], 64, pair[1]);
	spate_sha256(pair, 64, want);
	assert_int_equal(spate_merkle_root(leaves[0], 3, 0, 0, got), 0);
	assert_memory_equal(got, want, 32);
	/* What a piece layer of 32 KiB pieces holds, and the root from there. */
	assert_int_equal(spate_merkle_root(leaves[0], 2, 0, 1, layer[0]), 0);
	assert_int_equal(spate_merkle_root(leaves[2], 1, 0, 1, layer[1]), 0);
	assert_memory_equal(layer[0], pair[0], 32);
	assert_memory_equal(layer[1], pair[1], 32);
	assert_int_equal(spate_merkle_root(layer[0], 2, 1, 0, got), 0);
	assert_memory_equal(got, want, 32);
}

static void order_is_by_path_component(void **state)
{
	assert_true(spate_make_path_order("a/x", "a.x") < 0);
	assert_true(spate_make_path_order("a", "a/x") < 0);
	assert_true(spate_make_path_order("seg-10", "seg-2") < 0);
	assert_true(spate_make_path_order("\xc3\xa4", "z") > 0);
	assert_int_equal(spate_make_path_order("a/b", "a/b"), 0);
}

static void nothing_lies_in_a_file(void **state)
{
	static const struct {
		const char *path, *of;
		bool is;
	} row[] = {{"a/x", "a", true},       {"a", "a", true},         {"a.x", "a", false},
		   {"ab/x", "a", false},     {"a/b/x", "a/b", true},   {"a", "a/x", false},
		   {".pad/7", ".pad", true}, {".padx", ".pad", false}, {"b/a", "a", false}};
	struct spate_hashed_file hash[2];
	struct spate_make_part part[2];
	struct spate_make in = {.name = "n", .piece_bytes = 16384, .parts = part, .n = 2};
	struct spate_hasher *h;
	struct spate_made *m;

	for (unsigned i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		assert_int_equal(spate_make_path_within(row[i].path, row[i].of), row[i].is);
	assert_int_equal(spate_hasher_create(&h, 16384), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(spate_hasher_add(h, "abc", 3), 0);
		assert_int_equal(spate_hasher_file(h, i == 0, &hash[i]), 0);
		part[i] = (struct spate_make_part){.url = "/v/1", .url_len = 4, .hash = &hash[i]};
	}
	part[0].path = "a";
	part[1].path = "a.x";
	assert_int_equal(spate_make_hybrid(&in, &m), 0);
	spate_made_free(m);
	part[1].path = "a/x";
	assert_int_equal(spate_make_hybrid(&in, &m), -EINVAL);
	for (unsigned i = 0; i < 2; i++)
		spate_hashed_file_free(&hash[i]);
	spate_hasher_destroy(h);
}

static void file_carries_trackers_seeds_and_magnet(void **state)
{
	struct spate_hashed_file hash;
	struct spate_make_part part = {.url = "/v/1", .url_len = 4, .path = "1", .hash = &hash};
	struct spate_make in = {
		.name = "ä b.mp4",
		.piece_bytes = 16384,
		.parts = &part,
		.n = 1,
		.announce = (const char *const[]){"udp://t:1/announce", "http://t/announce"},
		.nannounce = 2,
		.peers = (const char *const[]){"[::1]:6881"},
		.npeers = 1,
		.webseed = "http://e/v/",
	};
	static const char magnet[] = "&dn=%C3%A4%20b.mp4&xl=3&tr=udp%3A%2F%2Ft%3A1%2Fannounce&tr="
				     "http%3A%2F%2Ft%2Fannounce"
				     "&ws=http%3A%2F%2Fe%2Fv%2F&x.pe=[::1]:6881";
	static const char head[] = "d8:announce18:udp://t:1/announce13:announce-list"
				   "ll18:udp://t:1/announceel17:http://t/announceee";
	struct spate_hasher *h;
	struct spate_made *m;
	uint8_t *pieces;

	assert_int_equal(spate_hasher_create(&h, 16384), 0);
	assert_int_equal(spate_hasher_add(h, "abc", 3), 0);
	assert_int_equal(spate_hasher_file(h, false, &hash), 0);
	assert_int_equal(spate_hasher_whole(h, &pieces, &in.npieces), 0);
	in.pieces = pieces;
	assert_int_equal(spate_make_v1(&in, &m), 0);
	assert_memory_equal(m->file.p, head, sizeof(head) - 1);
	assert_memory_equal(m->file.p + m->file.len - 27, "8:url-listl11:http://e/v/ee", 27);
	assert_memory_equal(m->magnet.p + m->magnet.len - (sizeof(magnet) - 1), magnet,
			    sizeof(magnet) - 1);
	spate_made_free(m);
	free(pieces);
	spate_hashed_file_free(&hash);
	spate_hasher_destroy(h);
}

/* BEP 52: a dictionary for each folder, closed where the next path leaves it. */
static void tree_nests_folders(void **state)
{
	static const char *const path[] = {"c", "a/b/y", "a/x", "a/b/z", "b/q"};
	static const char *const want[] = {"d1:ad1:bd1:yd0:d6:lengthi1e11:pieces root32:",
					   "ee1:zd0:d6:lengthi1e11:pieces root32:",
					   "eee1:xd0:d6:lengthi1e11:pieces root32:",
					   "eee1:bd1:qd0:d6:lengthi1e11:pieces root32:",
					   "eee1:cd0:d6:lengthi1e11:pieces root32:",
					   "eee5:filesld"};
	enum { N = sizeof(path) / sizeof(path[0]) };
	struct spate_hashed_file hash[N];
	struct spate_make_part part[N];
	struct spate_make in = {.name = "t", .piece_bytes = 16384, .parts = part, .n = N};
	struct spate_hasher *h;
	struct spate_made *m;
	const uint8_t *at;

	assert_int_equal(spate_hasher_create(&h, 16384), 0);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(spate_hasher_add(h, "x", 1), 0);
		assert_int_equal(spate_hasher_file(h, i > 0, &hash[i]), 0); /* "c" is the last */
		part[i] = (struct spate_make_part){
			.url = "/x", .url_len = 2, .path = path[i], .hash = &hash[i]};
	}
	assert_int_equal(spate_make_hybrid(&in, &m), 0);
	at = find(m, "9:file tree");
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_memory_equal(at, want[i], strlen(want[i]));
		at += strlen(want[i]) + 32;
	}
	for (unsigned i = 0; i < N; i++)
		spate_hashed_file_free(&hash[i]);
	spate_made_free(m);
	spate_hasher_destroy(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(v1_pieces_are_those_of_the_concatenation),
		cmocka_unit_test(hybrid_pieces_have_zeros_after_each_file),
		cmocka_unit_test(parts_leave_no_hole),
		cmocka_unit_test(table_finds_each_by_its_names),
		cmocka_unit_test(root_of_one_leaf_is_its_hash),
		cmocka_unit_test(root_is_padded_with_zero_leaves),
		cmocka_unit_test(order_is_by_path_component),
		cmocka_unit_test(nothing_lies_in_a_file),
		cmocka_unit_test(tree_nests_folders),
		cmocka_unit_test(file_carries_trackers_seeds_and_magnet),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

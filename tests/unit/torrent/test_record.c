/* A file of the store: what is written is read again, and nothing else is. */
#include "record_rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const uint64_t sizes[] = {1000, 70000, 0, 65536, 1};
#define PARTS (sizeof(sizes) / sizeof(sizes[0]))

static struct spate_buf encoded(void)
{
	struct spate_record r;
	struct spate_buf b = {0};

	rig_record(&r, "/film/stream.mpd", "v/1", sizes, PARTS);
	assert_int_equal(spate_record_encode(&r, &b), 0);
	spate_record_free(&r);
	return b;
}

static void assert_refused(const void *p, size_t n)
{
	struct spate_record r;

	assert_int_equal(spate_record_decode(p, n, &r), -EBADMSG);
	assert_null(r.parts);
	assert_null(r.manifest);
}

static void a_record_comes_back_as_it_was(void **state)
{
	struct spate_record a, b;
	struct spate_buf once = {0}, twice = {0};

	rig_record(&a, "/film/stream.mpd", "v/1", sizes, PARTS);
	assert_int_equal(spate_record_encode(&a, &once), 0);
	assert_int_equal(spate_record_decode(once.p, once.len, &b), 0);
	assert_string_equal(b.manifest, "/film/stream.mpd");
	assert_string_equal(b.id, "v/1");
	assert_int_equal(b.piece_bytes, RIG_PIECE);
	assert_int_equal(b.n, PARTS);
	assert_int_equal(b.npieces, a.npieces);
	assert_memory_equal(b.pieces, a.pieces, a.npieces * 20);
	for (uint32_t i = 0; i < PARTS; i++) {
		const struct spate_record_part *x = &a.parts[i], *y = &b.parts[i];

		assert_string_equal(y->url, x->url);
		assert_int_equal(y->url_len, x->url_len);
		assert_int_equal(y->tag, x->tag);
		assert_int_equal(y->hash.len, x->hash.len);
		assert_int_equal(y->hash.padded, x->hash.padded);
		assert_int_equal(y->hash.npieces, x->hash.npieces);
		assert_int_equal(y->hash.nleaves, x->hash.nleaves);
		assert_memory_equal(y->hash.pieces, x->hash.pieces, x->hash.npieces * 20);
		assert_memory_equal(y->hash.leaves, x->hash.leaves, x->hash.nleaves * 32);
	}
	assert_int_equal(spate_record_encode(&b, &twice), 0);
	assert_int_equal(once.len, twice.len);
	assert_memory_equal(once.p, twice.p, once.len);
	free(once.p);
	free(twice.p);
	spate_record_free(&a);
	spate_record_free(&b);
}

/* The same on every machine: numbers as they lie there. */
static void the_form_is_fixed(void **state)
{
	static const uint8_t head[] = {'S', 'P', 'A', 'T', 'E', 'H',  'S', 'H',
				       1,   0,   0,   0,   0,   0x80, 0,   0};
	static const uint8_t sum[16] = {0x55, 0x08, 0xb1, 0x2f, 0x19, 0x6e, 0xee, 0xce,
					0xf7, 0x99, 0xc9, 0x36, 0x2b, 0xa7, 0xcf, 0x87};
	struct spate_buf b = encoded();
	const uint8_t *part = (const uint8_t *)b.p + 40 + 16 + 3;

	assert_memory_equal(b.p, head, sizeof(head));
	assert_memory_equal(b.p + 24, "\5\0\0\0\5\0\0\0\20\0\0\0\3\0\0\0/film/", 22);
	assert_memory_equal(part, "\xe8\3\0\0\0\0\0\0\x08\7\6\5\4\3\2\1\x0d\0\1\0/film/000.m4s",
			    33);
	assert_memory_equal(b.p + b.len - 16, sum, sizeof(sum));
	free(b.p);
}

static void any_flipped_bit_is_seen(void **state)
{
	struct spate_buf b = encoded();

	for (size_t i = 0; i < b.len; i++)
		for (int bit = 0; bit < 8; bit++) {
			b.p[i] ^= (char)(1 << bit);
			assert_refused(b.p, b.len);
			b.p[i] ^= (char)(1 << bit);
		}
	free(b.p);
}

static void any_shorter_or_longer_file_is_seen(void **state)
{
	struct spate_buf b = encoded();
	size_t whole = b.len;

	for (size_t n = 0; n < whole; n++)
		assert_refused(b.p, n);
	spate_buf_add(&b, "", 1);
	assert_refused(b.p, b.len);
	free(b.p);
}

/* A cut file whose checksum is right nevertheless, as from another version or an enemy. */
static void a_sealed_piece_of_a_file_is_refused(void **state)
{
	struct spate_buf b = encoded();

	for (size_t n = SPATE_RECORD_MIN; n < b.len; n++) {
		uint8_t *cut = malloc(n);

		memcpy(cut, b.p, n);
		spate_record_seal(cut, n);
		assert_refused(cut, n);
		free(cut);
	}
	free(b.p);
}

/* Any other byte in head and first part: either refused, or a record that is encoded the same. */
static void a_sealed_change_makes_a_record_or_none(void **state)
{
	struct spate_buf b = encoded();

	for (size_t i = 0; i < 40 + 16 + 3 + 33; i++)
		for (int v = 0; v < 256; v++) {
			char was = b.p[i];
			struct spate_record r;
			struct spate_buf again = {0};

			b.p[i] = (char)v;
			spate_record_seal(b.p, b.len);
			if (spate_record_decode(b.p, b.len, &r) == 0) {
				assert_int_equal(spate_record_encode(&r, &again), 0);
				assert_int_equal(again.len, b.len);
				assert_memory_equal(again.p, b.p, b.len);
			}
			spate_record_free(&r);
			free(again.p);
			b.p[i] = was;
		}
	free(b.p);
}

static void numbers_that_do_not_fit_are_refused(void **state)
{
	static const struct {
		size_t at;
		uint64_t v;
		unsigned bytes;
	} bad[] = {
		{8, 2, 4},                    /* version */
		{12, 0, 4},                   /* piece: none */
		{12, 8192, 4},                /* less than a leaf */
		{12, 49152, 4},               /* no power of two */
		{12, 32 << 20, 4},            /* more than p2p.piece may be */
		{16, 1, 8},                   /* bytes of the file */
		{24, 0, 4},                   /* no parts */
		{24, UINT32_MAX, 4},          /* more than there can be */
		{28, 4, 4},                   /* pieces of the concatenation */
		{32, UINT32_MAX, 4},          /* a manifest longer than all */
		{40 + 16 + 3, UINT64_MAX, 8}, /* a part of more leaves than fit */
		{40 + 16 + 3 + 18, 2, 2},     /* neither padded nor not */
		{40 + 16 + 3 + 16, 0, 2},     /* no URL */
		{40 + 16 + 3 + 20, 0, 1},     /* a NUL in one */
		{40, 0, 1},                   /* in the manifest */
		{40 + 16, 0, 1},              /* in the id */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct spate_buf b = encoded();

		for (unsigned k = 0; k < bad[i].bytes; k++)
			b.p[bad[i].at + k] = (char)(bad[i].v >> (8 * k));
		spate_record_seal(b.p, b.len);
		assert_refused(b.p, b.len);
		free(b.p);
	}
}

/* All bytes are there and right; only there is a piece more than the parts have bytes for. */
static void a_piece_too_many_is_refused(void **state)
{
	struct spate_record r;
	struct spate_buf b = {0};

	rig_record(&r, "/film/stream.mpd", "v/1", sizes, PARTS);
	r.pieces = realloc(r.pieces, ++r.npieces * SPATE_SHA1_BYTES);
	memset(r.pieces + (r.npieces - 1) * SPATE_SHA1_BYTES, 0, SPATE_SHA1_BYTES);
	assert_int_equal(spate_record_encode(&r, &b), 0);
	assert_refused(b.p, b.len);
	spate_record_free(&r);
	free(b.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_comes_back_as_it_was),
		cmocka_unit_test(the_form_is_fixed),
		cmocka_unit_test(any_flipped_bit_is_seen),
		cmocka_unit_test(any_shorter_or_longer_file_is_seen),
		cmocka_unit_test(a_sealed_piece_of_a_file_is_refused),
		cmocka_unit_test(a_sealed_change_makes_a_record_or_none),
		cmocka_unit_test(numbers_that_do_not_fit_are_refused),
		cmocka_unit_test(a_piece_too_many_is_refused),
	};

	return cmocka_run_group_tests_name("torrent record", tests, NULL, NULL);
}

/* Every scan of every instruction set against the plain twin, and that against the RFC. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "dataplane/http/scan.h"

static uint32_t seed = 1;

static uint32_t rnd(void)
{
	seed = seed * 1664525 + 1013904223;
	return seed >> 8;
}

/* A page that ends where nothing is mapped: a read past `end` is a crash. */
static uint8_t *page_end(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *p =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(mprotect(p + page, page, PROT_NONE), 0);
	return p + page;
}

static void same_everywhere(const uint8_t *p, const uint8_t *end)
{
	const struct spate_scan *plain = spate_scan_of(SPATE_ISA_PLAIN);

	for (int isa = 1; isa < SPATE_ISAS; isa++) {
		const struct spate_scan *fast = spate_scan_of((enum spate_isa)isa);

		if (fast == NULL)
			continue;
		assert_ptr_equal(fast->token(p, end), plain->token(p, end));
		assert_ptr_equal(fast->value(p, end), plain->value(p, end));
		assert_ptr_equal(fast->target(p, end), plain->target(p, end));
	}
}

static void classes_are_those_of_the_rfc(void **state)
{
	const struct spate_scan *plain = spate_scan_of(SPATE_ISA_PLAIN);

	for (int c = 0; c < 256; c++) {
		uint8_t b = (uint8_t)c;
		int alnum =
			(c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
		int token = alnum || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);

		assert_int_equal(plain->token(&b, &b + 1) - &b, token);
		assert_int_equal(plain->value(&b, &b + 1) - &b,
				 c == '\t' || (c >= ' ' && c != 0x7f));
		assert_int_equal(plain->target(&b, &b + 1) - &b, c > ' ' && c < 0x7f && c != '#');
	}
}

/* Each byte at each place of a run of allowed ones, ending at the page's end. */
static void every_byte_at_every_place(void **state)
{
	uint8_t *end = page_end();

	for (size_t len = 1; len <= 80; len++) {
		uint8_t *p = end - len;

		memset(p, 'a', len);
		same_everywhere(p, end);
		for (size_t at = 0; at < len; at++) {
			for (int c = 0; c < 256; c++) {
				p[at] = (uint8_t)c;
				same_everywhere(p, end);
			}
			p[at] = 'a';
		}
	}
}

static void random_bytes(void **state)
{
	uint8_t *end = page_end();

	for (int round = 0; round < 20000; round++) {
		size_t len = rnd() % 200;
		uint8_t *p = end - len;

		for (size_t i = 0; i < len; i++)
			p[i] = rnd() % 50 == 0 ? (uint8_t)rnd() : (uint8_t)('0' + rnd() % 70);
		same_everywhere(p, end);
	}
}

static void an_empty_run_reads_nothing(void **state)
{
	const uint8_t *end = page_end();

	for (int isa = 0; isa < SPATE_ISAS; isa++) {
		const struct spate_scan *s = spate_scan_of((enum spate_isa)isa);

		if (s == NULL)
			continue;
		assert_ptr_equal(s->token(end, end), end);
		assert_ptr_equal(s->value(end, end), end);
		assert_ptr_equal(s->target(end, end), end);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes_are_those_of_the_rfc),
		cmocka_unit_test(every_byte_at_every_place),
		cmocka_unit_test(random_bytes),
		cmocka_unit_test(an_empty_run_reads_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* check.h: what the drivers share: an invariant that does not hold ends the run, in every build. */
#ifndef SPATE_FUZZ_CHECK_H
#define SPATE_FUZZ_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/http/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(what) ((what) ? (void)0 : check_failed(__FILE__, __LINE__, #what))

static inline void check_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

static inline bool inside(struct spate_slice s, const uint8_t *data, size_t size)
{
	const uint8_t *p = (const uint8_t *)s.p;

	return p == NULL ? s.len == 0 : p >= data && p + s.len <= data + size;
}

/* A head that was accepted: every CR is followed by LF, every LF comes after CR, no NUL, one empty
 * line, at the end. */
static inline void check_head(const uint8_t *p, size_t len)
{
	CHECK(len >= 4 && memcmp(p + len - 4, "\r\n\r\n", 4) == 0);
	for (size_t i = 0; i < len; i++) {
		CHECK(p[i] != '\0');
		CHECK(p[i] != '\r' || (i + 1 < len && p[i + 1] == '\n'));
		CHECK(p[i] != '\n' || (i > 0 && p[i - 1] == '\r'));
	}
}

#endif

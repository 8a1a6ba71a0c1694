/*
 * record.c: any bytes as a file of the store. As they are they fail at the checksum, so they are
 * also read with a right one. What is taken is written again, to the same bytes.
 */
#include "check.h"
#include "control/torrent/record.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

static void read_one(const uint8_t *p, size_t n)
{
	struct spate_record r;
	struct spate_buf again = {0};
	int rc = spate_record_decode(p, n, &r);

	CHECK(rc == 0 || rc == -EBADMSG);
	if (rc == 0) {
		CHECK(r.n > 0 && strlen(r.id) + strlen(r.manifest) < n);
		CHECK(spate_record_encode(&r, &again) == 0);
		CHECK(again.len == n && memcmp(again.p, p, n) == 0);
	} else {
		CHECK(r.parts == NULL && r.pieces == NULL);
	}
	spate_record_free(&r);
	free(again.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *p = malloc(len + 1);

	memcpy(p, data, len);
	read_one(p, len);
	if (len >= SPATE_RECORD_MIN) {
		memcpy(p, "SPATEHSH\1\0\0\0", 12);
		memcpy(p + 16, &(uint64_t){htole64(len)}, 8);
		spate_record_seal(p, len);
		read_one(p, len);
	}
	free(p);
	return 0;
}

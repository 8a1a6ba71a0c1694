/* mpd.c: any bytes as a manifest: what comes out are absolute paths without dot segments. */
#include "check.h"
#include "control/dash/mpd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spate_mpd_limits limits = {.bytes = 65536, .segments = 2000, .reps = 16};
	struct spate_mpd *mpd;

	if (spate_mpd_parse((const char *)data, size, "/films/a/stream.mpd", &limits, &mpd) < 0)
		return 0;
	CHECK(mpd->n <= limits.reps);
	for (uint32_t i = 0; i < mpd->n; i++) {
		const struct spate_mpd_rep *r = &mpd->reps[i];

		CHECK(*r->id != '\0');
		CHECK(!r->elsewhere || r->n == 0);
		CHECK(!mpd->dynamic || r->n == 0);
		for (uint32_t k = 0; k < r->n; k++) {
			size_t path = strcspn(r->urls[k], "?");

			CHECK(r->urls[k][0] == '/');
			CHECK(memmem(r->urls[k], path, "/../", 4) == NULL);
			CHECK(memmem(r->urls[k], path, "/./", 3) == NULL);
			CHECK(strchr(r->urls[k], '#') == NULL);
		}
		for (uint32_t k = 0; k < i; k++)
			CHECK(strcmp(mpd->reps[k].id, r->id) != 0);
	}
	spate_mpd_free(mpd);
	return 0;
}

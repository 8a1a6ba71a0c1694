/*
 * mpd.c: any bytes as a manifest: what comes out are absolute paths without dot segments, and
 * segments that point at them; and however little came in, no more than the limits.
 */
#include <errno.h>

#include "check.h"
#include "control/dash/mpd.h"

static const struct spate_mpd_options limits = {
	.bytes = 65536, .text = 65536, .segments = 2000, .reps = 16};

static void check_path(const char *url)
{
	size_t path = strcspn(url, "?");

	CHECK(url[0] == '/');
	CHECK(memmem(url, path, "/../", 4) == NULL);
	CHECK(memmem(url, path, "/./", 3) == NULL);
	CHECK(strchr(url, '#') == NULL);
}

static void check_segment(const struct spate_mpd_rep *r, const struct spate_mpd_segment *s)
{
	CHECK(s->url < r->n);
	CHECK(s->range.first <= s->range.last);
}

static void check_rep(const struct spate_mpd *mpd, const struct spate_mpd_rep *r)
{
	CHECK(*r->id != '\0');
	CHECK(r->n == 0 || (!r->elsewhere && !mpd->dynamic && r->why == NULL));
	CHECK(r->n != 0 || (r->nsegments == 0 && !r->has_init));
	CHECK(r->period < mpd->periods && r->set < mpd->sets);
	CHECK(r->timescale != 0);
	CHECK(r->index.first <= r->index.last);
	for (uint32_t k = 0; k < r->n; k++)
		check_path(r->urls[k]);
	if (r->has_init)
		check_segment(r, &r->init);
	for (uint32_t k = 0; k < r->nsegments; k++)
		check_segment(r, &r->segments[k]);
	for (const struct spate_mpd_rep *other = mpd->reps; other < r; other++)
		CHECK(strcmp(other->id, r->id) != 0);
}

/* The same of both readings: another host's URLs are left out, or taken as this one's. */
static void parse(const uint8_t *data, size_t size, bool any_host)
{
	struct spate_mpd_options o = limits;
	struct spate_mpd *mpd;
	const char *why;
	uint32_t files = 0, segments = 0;
	size_t text = 0;
	int rc;

	o.any_host = any_host;
	rc = spate_mpd_parse((const char *)data, size, "/films/a/stream.mpd", &o, &mpd, &why);
	CHECK((rc == -EINVAL) == (why != NULL));
	if (rc < 0)
		return;
	CHECK(mpd->n <= limits.reps);
	for (uint32_t i = 0; i < mpd->n; i++) {
		check_rep(mpd, &mpd->reps[i]);
		files += mpd->reps[i].n;
		segments += mpd->reps[i].nsegments;
		for (uint32_t k = 0; k < mpd->reps[i].n; k++)
			text += strlen(mpd->reps[i].urls[k]) + 1;
	}
	CHECK(files <= limits.segments && segments <= limits.segments && text <= limits.text);
	spate_mpd_free(mpd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	parse(data, size, false);
	parse(data, size, true);
	return 0;
}

/* sets.c: see sets.h. */
#include "bench/load/sets.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *unplayable(const struct spate_mpd_rep *r)
{
	if (r->why != NULL)
		return r->why;
	if (r->elsewhere)
		return "a URL that is not for HTTP";
	if (r->bandwidth == 0)
		return "a representation without bandwidth";
	if (r->nsegments == 0)
		return "a representation without segments (SegmentBase is not played)";
	if (r->segments[0].duration == 0)
		return "segments without a duration";
	return NULL;
}

static const char *add(struct load_set *set, const struct spate_mpd_rep *r)
{
	const char *wrong = unplayable(r);
	unsigned i;

	if (wrong == NULL && set->nreps == LOAD_REPS)
		wrong = "too many representations";
	if (wrong != NULL)
		return wrong;
	if (set->kind == 0)
		set->kind = r->kind;
	for (i = set->nreps++; i > 0 && set->rep[i - 1]->bandwidth > r->bandwidth; i--)
		set->rep[i] = set->rep[i - 1];
	set->rep[i] = r;
	return NULL;
}

/* NULL, or what stands against it. */
static const char *take(struct load_sets *m)
{
	const struct spate_mpd *mpd = m->mpd;
	const char *wrong = NULL;

	if (mpd->dynamic)
		return "type=\"dynamic\": only static presentations are played";
	if (mpd->duration_s <= 0)
		return "no mediaPresentationDuration";
	if (mpd->periods != 1)
		return "more than one Period";
	if (mpd->sets > LOAD_SETS)
		return "too many adaptation sets";
	m->duration_s = mpd->duration_s;
	m->nsets = mpd->sets;
	for (uint32_t i = 0; wrong == NULL && i < mpd->n; i++)
		wrong = add(&m->set[mpd->reps[i].set], &mpd->reps[i]);
	if (wrong == NULL && (m->nsets == 0 || m->set[0].nreps == 0))
		wrong = "nothing to play in it";
	return wrong;
}

int load_sets_init(struct load_sets *m, const char *text, size_t len, const char *path, char *why,
		   size_t why_len)
{
	const struct spate_mpd_options options = {.any_host = true};
	const char *wrong;
	int rc;

	*m = (struct load_sets){0};
	rc = spate_mpd_parse(text, len, path, &options, &m->mpd, &wrong);
	if (rc == 0) {
		wrong = take(m);
		rc = wrong != NULL ? -EINVAL : 0;
	}
	if (rc < 0) {
		snprintf(why, why_len, "manifest: %s",
			 wrong != NULL  ? wrong
			 : rc == -E2BIG ? "too large, or too many segments"
					: strerror(-rc));
		load_sets_finish(m);
	}
	return rc;
}

void load_sets_finish(struct load_sets *m)
{
	spate_mpd_free(m->mpd);
	*m = (struct load_sets){0};
}

double load_sets_end(const struct load_sets *m, const struct spate_mpd_rep *r, uint32_t n)
{
	const struct spate_mpd_segment *s = &r->segments[n];
	uint64_t ticks = s->start + s->duration - r->segments[0].start;
	double end = (double)ticks / (double)r->timescale;

	return end < m->duration_s ? end : m->duration_s;
}

/*
 * mpd.c: from what was written (tree.h) to each representation's files and segments. All that may
 * grow is counted here, over all representations: segments, and the bytes of URLs.
 */
#include "control/dash/mpd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/dash/tree.h"

#define BYTES_MAX   (8u << 20)
#define TEXT_MAX    (64u << 20)
#define SEGMENT_MAX 200000u
#define REPS_MAX    256u

struct spent { /* of spate_mpd_options */
	uint32_t segments;
	size_t text;
};

struct make {
	const struct spate_mpd_tree *t;
	const struct spate_mpd_options *limits;
	struct spent *spent;
	const struct spate_mpd_node *r;
	struct spate_mpd_rep *to;
	uint32_t urls_cap, segments_cap;
};

static int nonsense(struct make *m, const char *why)
{
	m->to->why = why;
	return -EINVAL;
}

/* Room for one more of `size` bytes behind n. */
static int grow(void *array, uint32_t n, uint32_t *cap, size_t size)
{
	uint32_t more = *cap == 0 ? 16 : *cap * 2;
	void *p;

	if (n < *cap)
		return 0;
	memcpy(&p, array, sizeof(p));
	p = realloc(p, more * size);
	if (p == NULL)
		return -ENOMEM;
	memcpy(array, &p, sizeof(p));
	*cap = more;
	return 0;
}

/* url: malloc'd, taken over. One that repeats the one before is the same file. */
static int add_url(struct make *m, char *url)
{
	struct spate_mpd_rep *to = m->to;
	int rc = 0;

	if (to->n > 0 && strcmp(to->urls[to->n - 1], url) == 0) {
		free(url);
		return 0;
	}
	if ((m->spent->text += strlen(url) + 1) > m->limits->text)
		rc = -E2BIG;
	else
		rc = grow(&to->urls, to->n, &m->urls_cap, sizeof(*to->urls));
	if (rc < 0)
		free(url);
	else
		to->urls[to->n++] = url;
	return rc;
}

/* A file, of which s->range is meant; s->url becomes its number, or to->elsewhere is set. */
static int refer(struct make *m, const char *reference, struct spate_mpd_segment *s)
{
	bool elsewhere;
	char *url;
	int rc;

	if (m->spent->segments++ >= m->limits->segments)
		return -E2BIG;
	if (*reference == '\0' && !m->r->scope.named)
		return nonsense(m, m->r->scope.s.kind == MPD_BASE ? "SegmentBase without a BaseURL"
								  : "no BaseURL says which file");
	url = spate_mpd_tree_resolve(m->t, m->r->scope.base, reference, &elsewhere);
	if (url == NULL && !elsewhere)
		return nonsense(m, "a URL that is too long or climbs above the root");
	if (url == NULL) {
		m->to->elsewhere = true;
		return 0;
	}
	rc = add_url(m, url);
	s->url = m->to->n - 1;
	return rc;
}

static int add_segment(struct make *m, const char *reference, struct spate_mpd_range range,
		       const struct spate_mpd_slot *slot)
{
	struct spate_mpd_rep *to = m->to;
	struct spate_mpd_segment s = {
		.range = range, .start = slot->time, .duration = slot->duration};
	int rc = refer(m, reference, &s);

	if (rc < 0 || to->elsewhere)
		return rc;
	rc = grow(&to->segments, to->nsegments, &m->segments_cap, sizeof(s));
	if (rc == 0)
		to->segments[to->nsegments++] = s;
	return rc;
}

static int add_init(struct make *m)
{
	const struct spate_mpd_addressing *s = &m->r->scope.s;
	const char *reference = s->init != NULL ? s->init : "";
	char url[SPATE_MPD_URL_MAX];
	int rc = 0;

	if (!s->has_init)
		return 0;
	if (s->kind == MPD_TEMPLATE) {
		rc = spate_mpd_expand(reference, m->r, 0, 0, url, sizeof(url));
		reference = url;
	}
	if (rc == -EINVAL)
		return nonsense(m, "a template that makes no sense");
	m->to->init.range = s->init_range;
	if (rc == 0)
		rc = refer(m, reference, &m->to->init);
	m->to->has_init = rc == 0;
	return rc;
}

static int add_media(struct make *m, const struct spate_mpd_slot *slot)
{
	char url[SPATE_MPD_URL_MAX];
	int rc = spate_mpd_expand(m->r->scope.s.media, m->r, slot->number, slot->time, url,
				  sizeof(url));

	if (rc == -EINVAL)
		return nonsense(m, "a template that makes no sense");
	return rc < 0 ? rc : add_segment(m, url, SPATE_MPD_WHOLE, slot);
}

static int make_template(struct make *m)
{
	const struct spate_mpd_addressing *s = &m->r->scope.s;
	struct spate_mpd_times times;
	struct spate_mpd_slot slot;
	int rc = 0;

	if (s->media == NULL)
		return nonsense(m, "SegmentTemplate without media");
	spate_mpd_times_begin(&times, m->t, m->r);
	/* Without a number in it it is one file. */
	if (strstr(s->media, "$Number") == NULL && strstr(s->media, "$Time") == NULL)
		return add_media(m, &(struct spate_mpd_slot){0, s->offset, times.end - s->offset});
	if (times.open)
		return nonsense(m, "nothing says how many segments there are");
	while (rc == 0 && !m->to->elsewhere && spate_mpd_times_next(&times, &slot))
		rc = add_media(m, &slot);
	return rc;
}

static int make_list(struct make *m)
{
	struct spate_mpd_times times;
	int rc = 0;

	spate_mpd_times_begin(&times, m->t, m->r);
	for (const struct spate_mpd_item *i = m->r->scope.s.items;
	     rc == 0 && !m->to->elsewhere && i != NULL; i = i->next) {
		struct spate_mpd_slot slot;

		if (!spate_mpd_times_next(&times, &slot))
			slot = (struct spate_mpd_slot){.time = times.next.time};
		rc = add_segment(m, i->media != NULL ? i->media : "", i->range, &slot);
	}
	return rc;
}

static int make_urls(struct make *m)
{
	const struct spate_mpd_scope *scope = &m->r->scope;
	struct spate_mpd_segment whole;
	int rc;

	if (scope->elsewhere) {
		m->to->elsewhere = true;
		return 0;
	}
	if (scope->s.kind >= MPD_LIST && scope->s.timescale == 0)
		return nonsense(m, "its timescale is 0");
	rc = add_init(m);
	if (rc < 0 || m->to->elsewhere)
		return rc;
	switch (scope->s.kind) {
	case MPD_TEMPLATE:
		return make_template(m);
	case MPD_LIST:
		return make_list(m);
	case MPD_BASE:
	case MPD_BARE:
		m->to->index = scope->s.kind == MPD_BASE ? scope->s.index : SPATE_MPD_WHOLE;
		return refer(m, "", &whole);
	}
	return 0;
}

/* --- the result --- */

static char *unique_id(const struct spate_mpd *mpd, const char *id)
{
	char *name = NULL;

	for (unsigned k = 1; k < 10000; k++) {
		bool taken = false;

		free(name);
		if (k == 1)
			name = strdup(id);
		else if (asprintf(&name, "%s~%u", id, k) < 0)
			name = NULL;
		if (name == NULL)
			return NULL;
		for (uint32_t i = 0; i < mpd->n && !taken; i++)
			taken = strcmp(mpd->reps[i].id, name) == 0;
		if (!taken)
			return name;
	}
	free(name);
	return NULL;
}

static void drop_urls(struct spate_mpd_rep *r)
{
	for (uint32_t k = 0; k < r->n; k++)
		free(r->urls[k]);
	r->n = r->nsegments = 0;
	r->has_init = false;
}

/* mpd->n has come to count it already: what it holds is freed with all else. */
static int make_rep(struct spate_mpd *mpd, struct make *m)
{
	const struct spate_mpd_node *r = m->r;
	struct spate_mpd_rep *to = m->to;
	int rc;

	to->id = unique_id(mpd, r->id);
	to->mime = strdup(r->scope.mime != NULL ? r->scope.mime : "");
	to->kind = r->scope.kind;
	to->period = r->period;
	to->set = r->set;
	to->bandwidth = r->bandwidth;
	to->timescale = r->scope.s.timescale != 0 ? r->scope.s.timescale : 1;
	to->index = SPATE_MPD_WHOLE;
	mpd->n++;
	if (to->id == NULL || to->mime == NULL)
		return -ENOMEM;
	rc = mpd->dynamic ? 0 : make_urls(m);
	if (to->elsewhere || rc == -EINVAL) { /* its nonsense; the others need not be */
		drop_urls(to);
		rc = 0;
	}
	return rc;
}

static int make(const struct spate_mpd_tree *t, const struct spate_mpd_options *limits,
		struct spate_mpd **out)
{
	struct spate_mpd *mpd = calloc(1, sizeof(*mpd));
	struct spent spent = {0};
	int rc = 0;

	if (mpd != NULL)
		mpd->reps = calloc(t->nreps + 1, sizeof(*mpd->reps));
	if (mpd == NULL || mpd->reps == NULL) {
		free(mpd);
		return -ENOMEM;
	}
	mpd->dynamic = t->dynamic;
	mpd->duration_s = t->total;
	mpd->periods = t->nperiods;
	mpd->sets = t->nsets;
	for (const struct spate_mpd_node *r = t->reps; rc == 0 && r != NULL; r = r->next) {
		struct make m = {t, limits, &spent, r, &mpd->reps[mpd->n]};

		rc = make_rep(mpd, &m);
	}
	if (rc < 0)
		spate_mpd_free(mpd);
	else
		*out = mpd;
	return rc;
}

int spate_mpd_parse(const char *text, size_t len, const char *url,
		    const struct spate_mpd_options *options, struct spate_mpd **out,
		    const char **why)
{
	struct spate_mpd_options limits =
		options != NULL ? *options : (struct spate_mpd_options){0};
	struct spate_mpd_tree t;
	const char *nobody;
	int rc;

	if (why == NULL)
		why = &nobody;
	*why = NULL;
	if (limits.bytes == 0)
		limits.bytes = BYTES_MAX;
	if (limits.text == 0)
		limits.text = TEXT_MAX;
	if (limits.segments == 0)
		limits.segments = SEGMENT_MAX;
	if (limits.reps == 0)
		limits.reps = REPS_MAX;
	if (len > limits.bytes || len > INT32_MAX)
		return -E2BIG;
	if (len == 0 || url[0] != '/' || strlen(url) > SPATE_MPD_URL_MAX) {
		*why = len == 0 ? "it is empty" : "its own path is none";
		return -EINVAL;
	}
	rc = spate_mpd_walk(&t, text, len, url, &limits, why);
	if (rc == 0)
		rc = make(&t, &limits, out);
	spate_mpd_tree_free(&t);
	return rc;
}

void spate_mpd_free(struct spate_mpd *mpd)
{
	if (mpd == NULL)
		return;
	for (uint32_t i = 0; i < mpd->n; i++) {
		struct spate_mpd_rep *r = &mpd->reps[i];

		drop_urls(r);
		free(r->urls);
		free(r->segments);
		free(r->id);
		free(r->mime);
	}
	free(mpd->reps);
	free(mpd);
}

/*
 * tree.h: a manifest as it was written, between the walk over its XML (walk.c) and the URLs that
 * are made of it (mpd.c). Each representation holds a copy of all that it inherited.
 *
 *   struct spate_mpd_tree t;
 *   rc = spate_mpd_walk(&t, text, len, url, &options, &why)
 *   for (r = t.reps; r; r = r->next)
 *           spate_mpd_times_begin(&it, &t, r), while (spate_mpd_times_next(&it, &slot)) ...
 *   spate_mpd_tree_free(&t)         also after an error
 *
 * All of it lives in one arena, and what the arena takes is bounded by the manifest's size and by
 * options.text.
 */
#ifndef SPATE_DASH_TREE_H
#define SPATE_DASH_TREE_H

#include "control/dash/arena.h"
#include "control/dash/mpd.h"

#define SPATE_MPD_URL_MAX 8192 /* of a path, and of a reference */

enum spate_mpd_kind { MPD_BARE, MPD_BASE, MPD_LIST, MPD_TEMPLATE };

struct spate_mpd_run { /* S of a SegmentTimeline */
	uint64_t t, d;
	int64_t r; /* < 0: until the next one, or the period's end */
	bool has_t;
	struct spate_mpd_run *next;
};

struct spate_mpd_item {    /* SegmentURL */
	const char *media; /* NULL: the BaseURL's file */
	struct spate_mpd_range range;
	struct spate_mpd_item *next;
};

struct spate_mpd_addressing { /* SegmentBase, SegmentList, SegmentTemplate */
	enum spate_mpd_kind kind;
	const char *media, *init;
	bool has_init; /* init may be NULL: the BaseURL's file */
	struct spate_mpd_range init_range, index;
	uint64_t start_number, end_number, timescale, duration, offset;
	bool has_end;
	struct spate_mpd_run *runs;
	struct spate_mpd_item *items;
};

struct spate_mpd_scope { /* what a level hands down to those inside it */
	const char *base;
	bool named;     /* some BaseURL stands in base */
	bool elsewhere; /* another host's */
	const char *mime;
	char kind; /* of spate_mpd_rep */
	struct spate_mpd_addressing s;
};

struct spate_mpd_period {
	double start, duration; /* seconds; < 0: not said */
};

struct spate_mpd_node { /* Representation */
	const char *id;
	uint64_t bandwidth;
	uint32_t period, set;
	struct spate_mpd_scope scope;
	struct spate_mpd_node *next;
};

struct spate_mpd_tree {
	struct spate_arena_mem mem;
	bool dynamic, any_host;
	double total; /* mediaPresentationDuration, seconds; < 0: not said */
	struct spate_mpd_period *periods;
	uint32_t nperiods, nreps, nsets;
	struct spate_mpd_node *reps;
};

/* limits: with no zeros in it. 0, -EINVAL with *why, -E2BIG, -ENOMEM. */
int spate_mpd_walk(struct spate_mpd_tree *t, const char *text, size_t len, const char *url,
		   const struct spate_mpd_options *limits, const char **why);
void spate_mpd_tree_free(struct spate_mpd_tree *t);

/* spate_mpd_resolve, but with t->any_host "http://cdn/x" is "/x". */
char *spate_mpd_tree_resolve(const struct spate_mpd_tree *t, const char *base,
			     const char *reference, bool *elsewhere);

/* --- timeline.c: when each segment is --- */

struct spate_mpd_slot {
	uint64_t number, time, duration; /* the latter in timescale; duration 0: not said */
};

struct spate_mpd_times {
	const struct spate_mpd_addressing *s;
	const struct spate_mpd_run *run; /* the one that `left` are left of; NULL: no timeline */
	uint64_t left, end;              /* end: of the period, in timescale */
	bool open;                       /* nothing says how many there are */
	struct spate_mpd_slot next;
};

void spate_mpd_times_begin(struct spate_mpd_times *it, const struct spate_mpd_tree *t,
			   const struct spate_mpd_node *r);
/* false: there are no more. It may go on for 2^64 steps: the caller counts. */
bool spate_mpd_times_next(struct spate_mpd_times *it, struct spate_mpd_slot *slot);

/* --- template.c --- */

/*
 * 23009-1 5.3.9.4.4: $Number$, $Time$, $RepresentationID$, $Bandwidth$, $$, with widths. 0, -EINVAL
 * (another identifier, or a dollar without its twin), -E2BIG.
 */
int spate_mpd_expand(const char *template, const struct spate_mpd_node *r, uint64_t number,
		     uint64_t time, char *out, size_t cap);

#endif

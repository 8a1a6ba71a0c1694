/*
 * sets.h: what of a manifest (control/dash/mpd.h) a viewer can play: its adaptation sets, each with
 * its representations by bandwidth. Static presentations of one period whose segments the manifest
 * itself names; what cannot be played is an error that says so, never a guess.
 *
 *   load_sets_init(&m, text, len, "/live/stream.mpd", why, ...)
 *   load_sets_end ...
 *   load_sets_finish(&m)
 *
 * A CDN's absolute URLs are asked of the server that gave the manifest: it is the one under load.
 */
#ifndef SPATE_LOAD_SETS_H
#define SPATE_LOAD_SETS_H

#include "control/dash/mpd.h"

#define LOAD_SETS 8
#define LOAD_REPS 32

struct load_set {
	char kind;      /* of its representations: 'v', 'a', ... */
	unsigned nreps; /* by bandwidth, least first */
	const struct spate_mpd_rep *rep[LOAD_REPS];
};

struct load_sets {
	struct spate_mpd *mpd;
	double duration_s;
	unsigned nsets;
	struct load_set set[LOAD_SETS];
};

/* 0, or negative errno with why filled in and nothing to free. On success finish() frees it. */
int load_sets_init(struct load_sets *m, const char *text, size_t len, const char *path, char *why,
		   size_t why_len);
void load_sets_finish(struct load_sets *m);

/* Where the n-th segment ends, in seconds from where the first one begins. */
double load_sets_end(const struct load_sets *m, const struct spate_mpd_rep *r, uint32_t n);

#endif

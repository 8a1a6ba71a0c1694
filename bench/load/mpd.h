/*
 * mpd.h: a DASH manifest (ISO/IEC 23009-1) as a list of segments to fetch: static presentations of
 * one period, SegmentTemplate with $Number$ or $Time$, a duration or a timeline. What is not
 * understood is an error that names it, never a guess.
 *
 *   load_mpd_parse(&m, text, len, "/live/stream.mpd", why, ...) -> load_mpd_segment ... ->
 * load_mpd_finish(&m)
 *
 * The text is another's: entities and the network are off in the reader (libxml2), a DOCTYPE is
 * refused.
 */
#ifndef SPATE_LOAD_MPD_H
#define SPATE_LOAD_MPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOAD_MPD_SETS 8
#define LOAD_MPD_REPS 32
#define LOAD_MPD_RUNS 65536

struct load_mpd_run { /* of the timeline: count segments of d from t on */
	uint64_t t, d, count;
};

struct load_mpd_rep {
	char *id;
	uint64_t bandwidth; /* bit/s */
	char *base;         /* path prefix */
	char *init, *media; /* templates; init may be NULL */
	uint64_t timescale, duration, start_number;
	struct load_mpd_run *run;
	unsigned nruns; /* 0: segments of `duration` */
};

struct load_mpd_set {
	char kind;      /* 'v', 'a', or 0 */
	unsigned nreps; /* by bandwidth, least first */
	struct load_mpd_rep rep[LOAD_MPD_REPS];
};

struct load_mpd {
	double duration_s, min_buffer_s;
	unsigned nsets;
	struct load_mpd_set set[LOAD_MPD_SETS];
};

/* 0, -EINVAL or -ENOMEM with why filled in. On success finish() frees it. */
int load_mpd_parse(struct load_mpd *m, const char *text, size_t len, const char *path, char *why,
		   size_t why_len);
void load_mpd_finish(struct load_mpd *m);

/* How many, and the n-th from 0: its path, and its place in the presentation. false: there is none.
 */
uint64_t load_mpd_segments(const struct load_mpd *m, const struct load_mpd_rep *r);
bool load_mpd_segment(const struct load_mpd *m, const struct load_mpd_rep *r, uint64_t n,
		      char *path, size_t cap, double *end_s);
/* The initialization segment's path. false: it has none. */
bool load_mpd_init(const struct load_mpd_rep *r, char *path, size_t cap);

/* "PT1H2M3.5S" in seconds; negative: none (RFC 3339 durations as DASH uses them). */
double load_mpd_duration(const char *text);

#endif

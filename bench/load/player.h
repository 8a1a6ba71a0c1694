/*
 * player.h: a DASH viewer as a model, without I/O and without a clock: what to fetch next, what is
 * in the buffer, when it plays and when it stalls.
 *
 *   load_player_init(&p, sets, &config, now)
 *   what = load_player_next(&p, now, &want)   FETCH want, or WAIT until want.at_s, or FINISHED
 *   load_player_got(&p, now, bytes, took_s)   that segment has come
 *
 * Times are seconds. It plays in real time: the buffer drains by the clock. It begins (again) when
 * start_s are there. Representations are chosen by throughput, the harmonic mean of the last five
 * segments times `safety`, and one step at most upwards; with less than start_s ahead, downwards
 * only. The first video set adapts; the first audio set plays its lowest representation.
 */
#ifndef SPATE_LOAD_PLAYER_H
#define SPATE_LOAD_PLAYER_H

#include "bench/load/sets.h"

#define LOAD_PLAYER_SETS    2
#define LOAD_PLAYER_SAMPLES 5

enum load_player_state {
	LOAD_PLAYER_STARTING,
	LOAD_PLAYER_PLAYING,
	LOAD_PLAYER_STALLED,
	LOAD_PLAYER_DONE
};
enum load_player_what { LOAD_PLAYER_FETCH, LOAD_PLAYER_WAIT, LOAD_PLAYER_FINISHED };

struct load_player_config {
	double buffer_s, start_s, safety, stop_after_s;
};

struct load_player_want {
	unsigned set, rep;
	bool init;        /* the initialization segment */
	uint32_t segment; /* else this one */
	double at_s;
};

struct load_player {
	const struct load_sets *m;
	struct load_player_config c;
	enum load_player_state state;
	double end_s; /* of what is to be played */
	double now_s, begin_s, position_s;
	unsigned nsets, set[LOAD_PLAYER_SETS]; /* of m */
	unsigned rep[LOAD_PLAYER_SETS];
	bool has_init[LOAD_PLAYER_SETS][LOAD_REPS];
	uint32_t next[LOAD_PLAYER_SETS];
	double fetched_s[LOAD_PLAYER_SETS]; /* media time that is there, up to */
	struct load_player_want asked;
	double rate[LOAD_PLAYER_SAMPLES]; /* bit/s */
	unsigned nrates;
	/* what a report wants */
	double startup_s, stall_s, played_bits; /* media bits by bandwidth, for the mean quality */
	unsigned stalls, switches, segments;
};

void load_player_init(struct load_player *p, const struct load_sets *m,
		      const struct load_player_config *c, double now_s);
enum load_player_what load_player_next(struct load_player *p, double now_s,
				       struct load_player_want *want);
void load_player_got(struct load_player *p, double now_s, uint64_t bytes, double took_s);
/* Only lets time pass. */
void load_player_clock(struct load_player *p, double now_s);

#endif

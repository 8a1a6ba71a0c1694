/*
 * dash.h: many viewers (player.h) on one thread's connections: each fetches the manifest, then
 * plays it in real time. What they went through is summed up at the end.
 *
 *   load_dash_create(&d, conns, n, options)
 *   load_dash_tick(d)                      each turn
 *   load_dash_done(d, conn, ask, what)     from the client's done
 *   load_dash_sum, load_dash_destroy
 */
#ifndef SPATE_LOAD_DASH_H
#define SPATE_LOAD_DASH_H

#include "bench/load/conn.h"
#include "bench/load/hist.h"

struct load_dash_sum {
	unsigned viewers, began, finished, stalled; /* stalled: viewers that did, at least once */
	uint64_t stalls, switches, segments;
	double stall_s, played_s, played_bits;
	struct load_hist startup; /* ns, from the manifest's request to the first picture */
	char why[160];            /* the manifest cannot be played */
};

struct load_dash;

/* 0 or -ENOMEM. */
int load_dash_create(struct load_dash **out, struct load_conn *conns, unsigned n,
		     const struct load_options *o);
/* Asks what is due. False: every viewer has finished, or none can play. */
bool load_dash_tick(struct load_dash *d);
void load_dash_done(struct load_dash *d, struct load_conn *conn, const struct load_ask *a,
		    enum load_outcome what);
/* Adds to *sum. */
void load_dash_sum(struct load_dash *d, struct load_dash_sum *sum);
void load_dash_destroy(struct load_dash *d);

#endif

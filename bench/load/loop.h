/*
 * loop.h: one thread of load: its net, its connections, and who asks when.
 *
 *   load_loop_run(l)      on a thread of its own, with the fields above the line set; returns when
 *                         the time is up, and has filled in the rest
 *
 * The measured window is [from_ns, to_ns). Closed loop: what was answered within it counts. Open
 * loop: what was due within it counts, also when the answer came later, and what never came counts
 * with the time it has waited; so a server that stands still is seen as its clients see it.
 */
#ifndef SPATE_LOAD_LOOP_H
#define SPATE_LOAD_LOOP_H

#include "bench/load/conn.h"
#include "bench/load/dash.h"
#include "bench/load/hist.h"

struct load_loop {
	unsigned id;
	const struct load_options *o;
	struct load_plan *plan;
	int cpu; /* -1: any */
	unsigned nconns;
	double rate;       /* of this thread */
	uint64_t requests; /* its share; 0: no limit */
	const _Atomic bool *stop;
	_Atomic bool *start; /* all threads together */
	/* --- filled in --- */
	_Atomic bool ready;
	struct load_counts counts;
	struct load_client client;
	struct load_hist *hist;
	uint64_t from_ns, to_ns;         /* the window as it was */
	uint64_t answers, bytes, opened; /* within it */
	uint64_t busy_ns;                /* of the thread, within it */
	uint64_t unsent;
	uint64_t worst_late_ns; /* open loop: our own delay, from due to sent with a free connection
				 */
	char why[256];          /* why it could not run; "": it could */
	bool fatal;             /* nothing could be reached */
	struct load_dash *dash; /* while it runs, with --dash */
	struct load_dash_sum *viewers;
};

void load_loop_run(struct load_loop *l);

#endif

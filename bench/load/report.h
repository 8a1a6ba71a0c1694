/* report.h: what was measured, in words and in rows. */
#ifndef SPATE_LOAD_REPORT_H
#define SPATE_LOAD_REPORT_H

#include <stdio.h>

#include "bench/load/hist.h"
#include "bench/load/loop.h"

struct load_result {
	double seconds;
	uint64_t answers, bytes, opened, verified, retried, failed[LOAD_OUTCOMES];
	double busy; /* share of its cores that the generator used, the busiest thread's */
	uint64_t worst_late_ns;
	uint16_t bad_status;
	struct load_hist hist;
	struct load_dash_sum viewers;
};

/* Sums up threads that have ended. */
void load_result_of(struct load_result *r, const struct load_loop *loops, unsigned n);
uint64_t load_result_failed(const struct load_result *r);

/* Rows of one JSON list. */
struct load_rows {
	FILE *out;
	bool any;
	const struct load_options *o;
	const char *name; /* case */
};
int load_rows_open(struct load_rows *j, const struct load_options *o, const char *name);
void load_row(struct load_rows *j, const char *metric, double value, const char *unit);
int load_rows_close(struct load_rows *j); /* 0 or -errno: a full disk shows here */

void load_report(const struct load_result *r, const struct load_options *o);
void load_report_rows(const struct load_result *r, const struct load_options *o,
		      struct load_rows *j);

/* "1.23 ms" and the like. */
const char *load_time_text(char *text, size_t len, double ns);

#endif

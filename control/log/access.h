/*
 * access.h: the access log's writer. Workers fill rings (spate/log_ring.h); this empties them
 * from the control loop, formats lines into two buffers and writes one while the other fills.
 *
 *   spate_access_create(&log, &setup)        at start, once; the sink may be "off"
 *   spate_access_set(log, path, format)      at each reload; the same path is opened anew (log
 *                                            rotation)
 *   spate_access_destroy(log, flush_ms)      after the workers have ended: writes what is left
 *
 *   worker ring ─┐
 *   worker ring ─┼─ tick ─► fill[256 KiB … 512 KiB] ─ io_uring write ─► file, pipe, terminal
 *   worker ring ─┘          (next batch meanwhile)
 *
 * Nothing here blocks the loop. When the sink is slower than the traffic both buffers stay full,
 * records stay in the rings, the rings fill, and workers drop and count (log_dropped of the
 * worker). What the sink refuses (no space, reader gone) is dropped by whole lines and counted in
 * log_dropped of `stats`; the rest of a line that it has begun to take is tried again.
 *
 * The process ignores SIGPIPE. Rings are at least 128 KiB, twice the largest record, 1 MiB to ride
 * out bursts.
 */
#ifndef SPATE_CONTROL_LOG_ACCESS_H
#define SPATE_CONTROL_LOG_ACCESS_H

#include "control/log/format.h"
#include "control/loop.h"
#include "spate/log_ring.h"
#include "spate/stats.h"

struct spate_access;

struct spate_access_setup {
	struct spate_loop *loop;
	struct spate_log_ring **rings; /* one a worker; array and rings outlive the log */
	unsigned nrings;
	struct spate_stats *stats; /* control's: log_written, log_dropped */
	const char *path;          /* "stdout", "stderr", "off", or a file's; copied */
	enum spate_log_format format;
};

/* 0, -ENOMEM, or what open(2) said of the path. On failure *out is untouched. */
int spate_access_create(struct spate_access **out, const struct spate_access_setup *setup);

/*
 * Lines written from now on go to `path`; those already formatted still go to the old one, unless
 * that takes not a byte in a second. 0, or what open(2) said: then the log stays as it was.
 */
int spate_access_set(struct spate_access *log, const char *path, enum spate_log_format format);

/*
 * Empties the rings and turns the loop for at most flush_ms until all is written; then frees. Not
 * from inside a loop callback. NULL is fine.
 */
void spate_access_destroy(struct spate_access *log, uint32_t flush_ms);

#endif

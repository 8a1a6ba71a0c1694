/*
 * format.h: one access record (spate/log_ring.h) to one line, newline included. Plain
 * functions: no state, no I/O.
 *
 *   spate_log_format(SPATE_LOG_LINE_JSON, rec, &text)  -> true, or false when text had no room
 * (nothing was added)
 *
 * SPATE_LOG_LINE_MAX(rec) bytes are always enough for it.
 */
#ifndef SPATE_CONTROL_LOG_FORMAT_H
#define SPATE_CONTROL_LOG_FORMAT_H

#include <stdbool.h>

#include "control/log/text.h"
#include "spate/log_ring.h"

enum spate_log_format {
	/*
	 * {"time":"2026-11-23T17:02:22.123Z","client":"192.0.2.1","port":50123,"method":"GET","url":"/v/1.m4s",
	 *  "http":"1.1","status":206,"bytes":65536,"duration_us":412,"cache":"hit","origin_us":0,
	 *  "complete":true,"range":"bytes=0-65535","user_agent":"...","referer":"..."}
	 * time: when the request's head was complete, UTC. bytes: of the body, taken over by the
	 * transport. cache: hit, miss, coalesced, revalidated or none (nothing was looked up).
	 * range, user_agent and referer are left out when the request had none.
	 */
	SPATE_LOG_LINE_JSON,
	/* nginx's and Apache's "combined" (time in UTC), then the cache field. Absent texts are
	   "-". */
	SPATE_LOG_LINE_COMBINED,
};

/* Each text byte becomes at most six (\u00XX); 512 covers all the rest. */
#define SPATE_LOG_LINE_MAX(rec) (512 + 6 * (size_t)(rec)->bytes)

bool spate_log_format(enum spate_log_format format, const struct spate_log_record *rec,
		      struct spate_text *t);

/* "hit", "miss", "coalesced", "revalidated" or "none". */
const char *spate_log_cache_name(unsigned cache);

#endif

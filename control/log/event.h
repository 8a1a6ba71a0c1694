/*
 * event.h: the event log: what control has to tell its operator. The list is tbl/events.def.
 * Control's thread only; workers count, they never log.
 *
 *   spate_event_open(&setup)          before anything else; without it events go to stderr as
 *                                     text, from INFO
 *   spate_event(origin_timeout, SPATE_F_STR("origin", host), SPATE_F_U64("waited_ms", ms))
 *   spate_event_reopen()              after log rotation (SIGHUP)
 *   spate_event_close()
 *
 * One event is one line and one write of at most SPATE_EVENT_LINE bytes; longer ones lose their
 * last fields. Never blocks: when the sink cannot take a line now it is dropped. Of one event at
 * most SPATE_EVENT_BURST lines a second are written; the next line after that says how many were
 * left out ("suppressed").
 */
#ifndef SPATE_CONTROL_LOG_EVENT_H
#define SPATE_CONTROL_LOG_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "control/log/text.h"

#define SPATE_EVENT_LINE  4096 /* PIPE_BUF: a pipe that polls writable takes it whole */
#define SPATE_EVENT_BURST 10

enum spate_event_sev { SPATE_SEV_ERROR, SPATE_SEV_WARN, SPATE_SEV_INFO, SPATE_SEV_DEBUG };

enum spate_event_id {
#define SPATE_EVENT(name, level, text, fields) SPATE_EVENT_##name,
#include "spate/tbl/events.def"
#undef SPATE_EVENT
	SPATE_EVENT_IDS
};

struct spate_event_info {
	const char *name;
	enum spate_event_sev level;
	const char *text;
	const char *fields; /* names of what may come with it, spaces between */
};

extern const struct spate_event_info spate_events[SPATE_EVENT_IDS];

struct spate_event_setup {
	const char *path;           /* NULL or "stderr": stderr. Read during the call, and copied */
	bool json;                  /* else text */
	enum spate_event_sev level; /* this one and graver ones */
};

enum spate_field_kind {
	SPATE_FIELD_END,
	SPATE_FIELD_STR,
	SPATE_FIELD_U64,
	SPATE_FIELD_I64,
	SPATE_FIELD_ERR
};

/* One named value of an event. Texts are read during the call. */
struct spate_field {
	const char *key;
	enum spate_field_kind kind;
	const char *s;
	size_t n;
	uint64_t u;
};

#define SPATE_F_STRN(k, p, len)                                           \
	{                                                                 \
		.key = (k), .kind = SPATE_FIELD_STR, .s = (p), .n = (len) \
	}
#define SPATE_F_STR(k, str)                                                    \
	{                                                                      \
		.key = (k), .kind = SPATE_FIELD_STR, .s = (str), .n = SIZE_MAX \
	}
#define SPATE_F_U64(k, v)                                               \
	{                                                               \
		.key = (k), .kind = SPATE_FIELD_U64, .u = (uint64_t)(v) \
	}
#define SPATE_F_I64(k, v)                                                        \
	{                                                                        \
		.key = (k), .kind = SPATE_FIELD_I64, .u = (uint64_t)(int64_t)(v) \
	}
/* A negative (or positive) errno, written as its text under the key "error". */
#define SPATE_F_ERR(err)                                                               \
	{                                                                              \
		.key = "error", .kind = SPATE_FIELD_ERR, .u = (uint64_t)(int64_t)(err) \
	}

#define spate_event(name, ...)                \
	spate_event_write(SPATE_EVENT_##name, \
			  (const struct spate_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})

/* 0 or a negative errno of open(2); then the log stays what it was. */
int spate_event_open(const struct spate_event_setup *setup);
int spate_event_reopen(void);
void spate_event_close(void);

/* fields end with one of kind SPATE_FIELD_END. */
void spate_event_write(enum spate_event_id id, const struct spate_field *fields);

/* "error", "warn", "info", "debug" to a level, or -EINVAL. */
int spate_event_sev_of(const char *name);

/*
 * The line without its newline, for tests and for spate_event_write. suppressed 0: none. Fields
 * that do not fit are left out whole. As text and as json:
 *
 *   2026-11-23T17:02:22.123Z warn origin_timeout: Origin did not answer in time origin="o"
 *   {"time":"...","level":"warn","event":"origin_timeout","text":"...","origin":"o"}
 */
void spate_event_format(struct spate_text *t, bool json, int64_t now_us, enum spate_event_id id,
			const struct spate_field *fields, uint64_t suppressed);

#endif

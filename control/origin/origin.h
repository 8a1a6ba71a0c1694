/*
 * origin.h: where content comes from, as configured, and the idle connections kept to it.
 *
 *   spate_origins_create(&set, cfg->origins, n)    opens directories; else only memory can fail
 *   o = spate_origins_match(set, url, len)         longest prefix of whole segments; NULL: 404
 *   spate_origin_ref(o) ... spate_origin_unref(o)  a fill keeps its origin through a reload
 *   spate_origins_destroy(set)                     closes idle connections; who is referenced stays
 *
 * A match "/live" covers "/live", "/live/x" and "/live?x", not "/lively"; the path is not
 * shortened: the origin is asked for base + the request's path and query.
 */
#ifndef SPATE_ORIGIN_H
#define SPATE_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/config/config.h"
#include "control/loop.h"

/* We close an idle connection before most origins would. */
#define SPATE_ORIGIN_IDLE_MS 30000

struct spate_origin;

/* A connection to a URL origin, in an exchange or idle in the pool. */
struct spate_conn {
	struct spate_conn *next, **prev; /* idle list, the most recently used first */
	struct spate_timer idle;
	struct spate_origin *origin;
	int fd;
};

struct spate_origin {
	unsigned refs, fills; /* fills: under way, fill.c's */
	char *match, *name;   /* name: as configured, for logs */
	size_t match_len;
	uint64_t id; /* the same after a reload that leaves it where it is */

	/* a directory */
	bool is_dir;
	int dirfd;
	uint64_t mount; /* statx(2)'s number of the mount it lies in */
	bool may_wait;  /* control/fs.h */

	/* a URL */
	char *host, *authority, *base;
	uint16_t port;
	struct spate_loop *loop;
	struct spate_conn *idle;
	unsigned idle_count, idle_max;
	bool retired;       /* the configuration has moved on: keep no idle connections */
	uint64_t failed_us; /* when it last could not be reached; 0: never, or it works again */
};

struct spate_origins {
	unsigned n;
	struct spate_origin *o[]; /* longest match first */
};

/*
 * idle_max: idle connections kept to each. 0, -ENOMEM, or the errno of open(2) for a directory with
 * *bad set to its name in cfg.
 */
int spate_origins_create(struct spate_origins **out, struct spate_loop *l,
			 const struct spate_config_origin *cfg, unsigned n, unsigned idle_max,
			 const char **bad);
void spate_origins_destroy(struct spate_origins *set);
struct spate_origin *spate_origins_match(const struct spate_origins *set, const char *url,
					 size_t len);

static inline struct spate_origin *spate_origin_ref(struct spate_origin *o)
{
	o->refs++;
	return o;
}
void spate_origin_unref(struct spate_origin *o);

/* --- the pool --- */

/*
 * An idle connection that the origin has not closed as far as we know, or NULL. The caller owns it.
 */
struct spate_conn *spate_conn_take(struct spate_origin *o);
/* Takes over a connected socket; refs the origin. NULL: no memory (fd stays the caller's). */
struct spate_conn *spate_conn_create(struct spate_origin *o, int fd);
/* Gives back one that is clean: keeps it, or closes it. */
void spate_conn_keep(struct spate_conn *c);
void spate_conn_close(struct spate_conn *c);
/* True when the peer has sent something or closed. */
bool spate_conn_readable(const struct spate_conn *c);

#endif

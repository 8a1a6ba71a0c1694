/*
 * plan.h: what may be asked for: the URLs, how likely each is, and what is known of each body. Made
 * once; threads share it, and only write the two learned columns.
 *
 *   load_plan_open(&p, options, why, ...) -> load_plan_pick ... -> load_plan_close(p)
 */
#ifndef SPATE_LOAD_PLAN_H
#define SPATE_LOAD_PLAN_H

#include <stdatomic.h>
#include <stddef.h>

#include "bench/load/options.h"
#include "bench/load/zipf.h"

struct load_plan {
	uint32_t n;
	const char *text; /* the paths, one after the other */
	uint64_t *at;     /* n + 1: where path i begins, and ends at the next one's begin */
	struct load_zipf zipf;
	/* learned; 0: not known yet */
	_Atomic uint64_t *hash; /* XXH3-64 of the whole body; listed: from the list */
	_Atomic uint64_t *size;
	size_t text_len, text_room, room;
	char *store;
};

int load_plan_open(struct load_plan *p, const struct load_options *o, char *why, size_t why_len);
void load_plan_close(struct load_plan *p);

static inline const char *load_plan_path(const struct load_plan *p, uint32_t i, size_t *len)
{
	*len = (size_t)(p->at[i + 1] - p->at[i]);
	return p->text + p->at[i];
}

/* A hash as it is kept: never 0, which means unknown. */
static inline uint64_t load_plan_hash(uint64_t h)
{
	return h != 0 ? h : 1;
}

/* Prints "PATH HASH" for each file under dir. 0 or -errno. */
int load_plan_make_urls(const char *dir);

#endif

/* load.h: what main.c and ceiling.c share. */
#ifndef SPATE_LOAD_LOAD_H
#define SPATE_LOAD_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct load_options;
struct load_result;

extern _Atomic bool load_stop; /* set by SIGINT: report what there is */

/* Runs all threads of o to their end. 0, or negative errno with why filled in. */
int load_run(const struct load_options *o, struct load_result *out, char *why, size_t why_len);

/* --ceiling: exit status. */
int load_ceiling(struct load_options *o);

#endif

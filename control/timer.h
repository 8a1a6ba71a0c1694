/*
 * timer.h: a pairing heap of timers, embedded in their owners, so setting one can't fail for want
 * of memory.
 *
 *   spate_timers_set(h, t, at_us, fn) -> fn(t) once, from spate_timers_run() at or after at_us
 *   spate_timers_stop(h, t)              safe when it is not set, and from inside any timer's fn
 *
 * A struct spate_timer starts zeroed. Times are microseconds of one clock that the caller chooses.
 * Fredman, Sedgewick, Sleator, Tarjan: "The pairing heap", Algorithmica 1986 (two-pass variant).
 */
#ifndef SPATE_CONTROL_TIMER_H
#define SPATE_CONTROL_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spate_timer {
	uint64_t at_us;
	void (*fn)(struct spate_timer *t);
	struct spate_timer *child, *next;
	struct spate_timer *prev; /* the parent of a first child, else the sibling to the left */
	bool set;
};

struct spate_timers {
	struct spate_timer *root;
};

void spate_timers_set(struct spate_timers *h, struct spate_timer *t, uint64_t at_us,
		      void (*fn)(struct spate_timer *t));
void spate_timers_stop(struct spate_timers *h, struct spate_timer *t);
void spate_timers_run(struct spate_timers *h, uint64_t now_us);

/* When the next one is due; UINT64_MAX: never. */
static inline uint64_t spate_timers_next(const struct spate_timers *h)
{
	return h->root == NULL ? UINT64_MAX : h->root->at_us;
}

#endif

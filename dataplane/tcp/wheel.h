/*
 * wheel.h: one timer a connection. Four levels of 256 slots (Varghese and Lauck, 1987); level 0 is
 * a tick a slot. Setting, moving and stopping are O(1); each timer is cascaded at most three times.
 * A tick is TCP_TICK_US.
 *
 *   tcp_wheel_init(w, tick)
 *   tcp_wheel_set(w, timer, tick)     also moves; a tick in the past fires with the next advance
 *   tcp_wheel_stop(w, timer)
 *   tcp_wheel_advance(w, tick, fire, ctx)   fire may set and stop timers, its own too
 */
#ifndef SPATE_TCP_WHEEL_H
#define SPATE_TCP_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tcp_timer {
	struct tcp_timer *next, **prev; /* prev NULL: not set */
	uint32_t tick;
	uint16_t slot; /* level * 256 + slot */
};

struct tcp_wheel {
	uint32_t now, count;
	uint64_t bits[4][4];
	struct tcp_timer *slot[4][256];
};

void tcp_wheel_init(struct tcp_wheel *w, uint32_t tick);
void tcp_wheel_set(struct tcp_wheel *w, struct tcp_timer *t, uint32_t tick);
void tcp_wheel_stop(struct tcp_wheel *w, struct tcp_timer *t);
void tcp_wheel_advance(struct tcp_wheel *w, uint32_t tick,
		       void (*fire)(void *ctx, struct tcp_timer *t), void *ctx);
/* Ticks until something may be due, never more than until it is; UINT32_MAX: nothing is set. */
uint32_t tcp_wheel_next(const struct tcp_wheel *w);

static inline bool tcp_timer_set(const struct tcp_timer *t)
{
	return t->prev != NULL;
}

#endif

/*
 * sock_timer.c: one coarse timer a connection, in a hashed wheel (Varghese and Lauck, 1987).
 *
 * Every request moves its connection's deadline, nearly always outwards, so setting only writes the
 * deadline; a conn stays filed under its old slot and is filed anew when that slot comes round.
 */
#include "dataplane/stream/sock_impl.h"

static void file_under(struct spate_sock *k, struct spate_sock_conn *c, uint64_t tick)
{
	struct spate_sock_conn **slot = &k->wheel[tick % SPATE_SOCK_WHEEL];

	c->filed = tick;
	c->timer_next = *slot;
	if (*slot != NULL)
		(*slot)->timer_prev = &c->timer_next;
	c->timer_prev = slot;
	*slot = c;
	k->timers++;
}

void spate_sock_timer_drop(struct spate_sock_conn *c)
{
	if (c->filed == 0)
		return;
	*c->timer_prev = c->timer_next;
	if (c->timer_next != NULL)
		c->timer_next->timer_prev = c->timer_prev;
	c->filed = 0;
	spate_sock_of(c)->timers--;
}

void spate_sock_timer_set(struct spate_sock_conn *c, uint32_t ms)
{
	struct spate_sock *k = spate_sock_of(c);

	if (ms == 0) {
		c->deadline = 0;
		return;
	}
	/* From now on: the wheel's own tick is as old as the sleep that has just ended. */
	c->deadline =
		k->w->now_us / SPATE_SOCK_TICK_US + 1 + (uint64_t)ms * 1000 / SPATE_SOCK_TICK_US;
	if (c->filed != 0 && c->filed <= c->deadline)
		return;
	spate_sock_timer_drop(c);
	/* No further than one round ahead: a later deadline is filed again when its slot comes. */
	uint64_t far = k->tick + SPATE_SOCK_WHEEL - 1;

	file_under(k, c, c->deadline < far ? c->deadline : far);
}

static void run_slot(struct spate_sock *k, uint64_t tick)
{
	struct spate_sock_conn *c = k->wheel[tick % SPATE_SOCK_WHEEL];

	/* A timeout may drop or file others, but only spate_sock_conn_run_dead frees them, later.
	 */
	for (struct spate_sock_conn *next; c != NULL; c = next) {
		next = c->timer_next;
		spate_sock_timer_drop(c);
		if (c->deadline == 0 || c->dying)
			continue;
		if (c->deadline > tick) {
			uint64_t far = tick + SPATE_SOCK_WHEEL - 1;

			file_under(k, c, c->deadline < far ? c->deadline : far);
			continue;
		}
		c->deadline = 0;
		spate_sock_conn_timeout(c);
	}
}

void spate_sock_timer_run(struct spate_sock *k)
{
	uint64_t now = k->w->now_us / SPATE_SOCK_TICK_US;

	/* After a long sleep no more than one round is to be walked: every filed conn is within it.
	 */
	if (now > k->tick + SPATE_SOCK_WHEEL)
		k->tick = now - SPATE_SOCK_WHEEL;
	while (k->tick < now) {
		k->tick++;
		if (k->timers > 0)
			run_slot(k, k->tick);
	}
}

#include "control/links.h"

#include <stddef.h>

#include "control/log/event.h"

#define LOOK_MS 1000
#define GRACE   5 /* who has just been started negotiates for some seconds */

static void look_at(struct spate_links *l, unsigned i)
{
	const char *name;
	uint32_t bit = 1u << i;
	bool up = l->ops->port_look(l->dpdk, i, &name);

	if (!(l->lost & bit) && l->ops->port_lost(l->dpdk, i)) {
		l->lost |= bit;
		spate_event(port_lost, SPATE_F_STR("port", name));
	}
	if (!up && !(l->down & bit) && l->grace == 0) {
		l->down |= bit;
		spate_event(port_down, SPATE_F_STR("port", name));
	} else if (up && (l->down & bit)) {
		l->down &= ~bit;
		spate_event(port_up, SPATE_F_STR("port", name));
	}
}

void spate_links_look(struct spate_links *l)
{
	l->grace -= l->grace != 0;
	for (unsigned i = 0; i < l->ops->ports(l->dpdk); i++)
		look_at(l, i);
}

static void on_time(struct spate_timer *t)
{
	struct spate_links *l =
		(struct spate_links *)((char *)t - offsetof(struct spate_links, timer));

	spate_links_look(l);
	spate_loop_timer(l->loop, t, LOOK_MS, on_time);
}

void spate_links_watch(struct spate_links *l, struct spate_loop *loop,
		       const struct spate_dpdk_ops *ops, struct spate_dpdk *dpdk)
{
	*l = (struct spate_links){.loop = loop, .ops = ops, .dpdk = dpdk, .grace = GRACE};
	spate_loop_timer(loop, &l->timer, LOOK_MS, on_time);
}

void spate_links_stop(struct spate_links *l)
{
	if (l->loop != NULL)
		spate_loop_timer_stop(l->loop, &l->timer);
}

/*
 * link.c: saying who we are: at start, when the link comes up, and each time once more, as the
 * first may be lost in a switch that is not forwarding yet (RFC 5227 2.3, RFC 4861 7.2.6, RFC
 * 3810 6.1).
 */
#include "dataplane/net/internal.h"

#define LOOK_US  1000000u
#define TIMES    2        /* ANNOUNCE_NUM and */
#define AGAIN_US 2000000u /* ANNOUNCE_INTERVAL (RFC 5227 1.1) */

static void announce(struct spate_net *n, unsigned iface)
{
	for (unsigned i = 0; i < n->naddresses; i++) {
		const struct address *a = &n->address[i];

		if (a->iface != iface)
			continue;
		if (is_ip4(a->ip))
			spate_net_arp_announce(n, iface, a->ip + 12);
		else
			spate_net_nd_announce(n, iface, a->ip);
	}
	spate_net_mld_report(n, iface);
	spate_net_router_solicit(n, iface);
}

void spate_net_announce(struct spate_net *n, uint64_t now_us)
{
	n->now_us = now_us;
	for (unsigned i = 0; i < n->nifaces; i++)
		if (!n->iface[i].quiet)
			announce(n, i);
	spate_net_flush(n);
}

void spate_net_watch_links(struct spate_net *n, uint64_t now_us)
{
	for (unsigned i = 0; i < n->nifaces; i++) {
		struct spate_port *p = n->iface[i].hot.txq.port;

		n->iface[i].up = p->ops->link_up(p);
		n->iface[i].announces = TIMES - 1;
		n->iface[i].announce_us = now_us + AGAIN_US;
	}
	spate_net_announce(n, now_us);
	n->link_due_us = now_us + LOOK_US;
}

void spate_net_link_tick(struct spate_net *n)
{
	n->link_due_us = n->now_us + LOOK_US;
	for (unsigned i = 0; i < n->nifaces; i++) {
		struct iface *f = &n->iface[i];
		struct spate_port *p = f->hot.txq.port;
		bool up = !f->quiet && p->ops->link_up(p);

		if (up && !f->up) {
			f->announces = TIMES;
			f->announce_us = n->now_us;
		}
		f->up = up;
		if (!up || f->announces == 0 || n->now_us < f->announce_us)
			continue;
		f->announces--;
		f->announce_us = n->now_us + AGAIN_US;
		announce(n, i);
	}
}

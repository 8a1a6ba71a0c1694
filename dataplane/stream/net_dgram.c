/*
 * net_dgram.c: questions as net/ delivers them, answers out by net/.
 *
 * An answer is written where it can stay until the flush: net/ copies small ones into the packet's
 * header room and the port copies the others, as they do not lie in the arena. ROOMS is a turn's
 * worth; who gets none is not answered, as if the packet had been lost.
 */
#include "dataplane/stream/net_dgram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOMS 256u

struct spate_net_dgram {
	struct spate_worker *w;
	struct spate_net *net;
	struct spate_dgram_listener *l;
	unsigned n, used; /* listeners; rooms of this turn */
	uint8_t room[ROOMS][SPATE_DGRAM_BYTES];
};

struct asked {
	struct spate_dgram d; /* first */
	struct spate_net_dgram *k;
};

static uint8_t *reply(struct spate_dgram *d)
{
	struct spate_net_dgram *k = ((struct asked *)d)->k;

	if (k->used == ROOMS) {
		SPATE_COUNT(k->w->stats, dgram_dropped);
		return NULL;
	}
	return k->room[k->used];
}

static void send_now(struct spate_dgram *d, size_t len)
{
	struct spate_net_dgram *k = ((struct asked *)d)->k;
	struct spate_net_path p;

	if (spate_net_path(k->net, &p, 17, d->local.ip, d->local.port, d->peer.ip, d->peer.port,
			   k->w->now_us) != 0 ||
	    spate_net_udp_send(k->net, &p, k->room[k->used], len) != 0) {
		SPATE_COUNT(k->w->stats, dgram_dropped);
		return;
	}
	k->used++;
}

static const struct spate_dgram_ops ops = {.reply = reply, .send = send_now};

static bool for_listener(const struct spate_dgram_listener *l, const struct spate_addr *local)
{
	static const uint8_t any6[16], any4[16] = {[10] = 0xff, [11] = 0xff};
	bool ip4 = memcmp(local->ip, any4, 12) == 0;

	return l->addr.port == local->port && (memcmp(l->addr.ip, local->ip, 16) == 0 ||
					       memcmp(l->addr.ip, ip4 ? any4 : any6, 16) == 0);
}

void spate_net_dgram_input(struct spate_net_dgram *k, const struct spate_seg *s)
{
	struct asked a = {.d = {.ops = &ops, .worker = k->w}, .k = k};

	SPATE_COUNT(k->w->stats, dgram_received);
	spate_seg_addrs(s, a.d.peer.ip, a.d.local.ip);
	a.d.peer.port = (uint16_t)(s->l4[0] << 8 | s->l4[1]);
	a.d.local.port = (uint16_t)(s->l4[2] << 8 | s->l4[3]);
	if (s->l4_near < s->len || s->len > 8 + SPATE_DGRAM_IN_BYTES || a.d.peer.port == 0)
		return;
	for (unsigned i = 0; i < k->n; i++)
		if (for_listener(&k->l[i], &a.d.local)) {
			a.d.ctx = k->l[i].ctx;
			k->l[i].app->recv(&a.d, s->l4 + 8, s->len - 8);
			return;
		}
}

void spate_net_dgram_flushed(struct spate_net_dgram *k)
{
	k->used = 0;
}

int spate_net_dgram_open(struct spate_worker *w, struct spate_net *net,
			 const struct spate_dgram_listener *l, unsigned n,
			 struct spate_net_dgram **out, const char **why)
{
	struct spate_net_dgram *k;

	*out = NULL;
	if (n == 0)
		return 0;
	k = calloc(1, sizeof(*k));
	*why = "no memory for datagrams";
	if (k == NULL || (k->l = calloc(n, sizeof(*k->l))) == NULL) {
		free(k);
		return -ENOMEM;
	}
	k->w = w;
	k->net = net;
	k->n = n;
	memcpy(k->l, l, n * sizeof(*l));
	for (unsigned i = 0; i < n; i++) {
		int err = spate_net_udp_open(net, l[i].addr.port);

		/* IPv4 and IPv6, or two addresses, on one port: net/ knows ports only. */
		if (err != 0 && err != -EADDRINUSE) {
			*why = "too many UDP ports";
			spate_net_dgram_close(k);
			return err;
		}
	}
	*out = k;
	return 0;
}

void spate_net_dgram_close(struct spate_net_dgram *k)
{
	if (k == NULL)
		return;
	for (unsigned i = 0; i < k->n; i++)
		spate_net_udp_close(k->net, k->l[i].addr.port);
	free(k->l);
	free(k);
}

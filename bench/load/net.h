/*
 * net.h: how the generator meets the network: streams (dataplane/stream/stream.h) that it opens
 * itself, over kernel sockets (sockets.c) or over our own TCP on DPDK (wire.c). What is above knows
 * only this.
 *
 *   load_net_open(&net, o, why, sizeof(why))
 *                                         on the thread that will use it; which way, o->dpdk says
 *   net->ops->connect(net, to, app, ctx)  a stream on its way there: queue and kick at once.
 *                                         app->closed tells when it could not be. NULL: none now
 *   net->ops->skip(s, n)                  the next n received bytes need not be seen: app->recv may
 *                                         get them with data NULL
 *   net->ops->turn(net, wait_ns)          waits at most so long, delivers what came, sends what is
 *                                         queued
 *   net->ops->close(net)                  every stream ends with SPATE_CLOSE_STOP; net is gone
 *
 * One net a thread; every call from it. Streams have no timers here.
 */
#ifndef SPATE_LOAD_NET_H
#define SPATE_LOAD_NET_H

#include "dataplane/stream/stream.h"

struct load_options;

struct load_net;

struct load_net_ops {
	const char *name;
	struct spate_stream *(*connect)(struct load_net *n, const struct spate_addr *to,
					const struct spate_stream_app *app, void *ctx);
	void (*skip)(struct spate_stream *s, uint64_t n);
	void (*turn)(struct load_net *n, uint64_t wait_ns);
	void (*close)(struct load_net *n);
};

struct load_net {
	const struct load_net_ops *ops;
	struct spate_sendq_env env; /* for what is queued on streams */
	uint64_t now_ns;            /* CLOCK_MONOTONIC, renewed in turn */
	uint64_t idle_turns, turns; /* of a net that polls */
	uint64_t idle_ns;           /* time in turns that brought nothing */
};

/* 0 or negative errno with why filled in. Of o, only connections and what is
 * under "the network" in options.h. */
int load_net_open(struct load_net **out, const struct load_options *o, char *why, size_t why_len);
int load_sockets_open(struct load_net **out, const struct load_options *o, char *why,
		      size_t why_len);
#ifdef SPATE_HAVE_DPDK
int load_wire_open(struct load_net **out, const struct load_options *o, char *why, size_t why_len);
#endif

uint64_t load_clock_ns(void);

/* Time in which this thread did something, ns: of a net that polls, not its turns that brought
 * nothing. Differences mean something. */
uint64_t load_busy_ns(const struct load_net *n, const struct load_options *o);

#endif

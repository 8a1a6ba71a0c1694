/*
 * net.h: how the generator meets the network: streams (dataplane/stream/stream.h) that it opens
 * itself, over kernel sockets (sockets.c) or over our own TCP on DPDK (wire.c). What is above knows
 * only this.
 *
 *   net->ops->connect(net, app, ctx)  a stream towards the server, on its way: queue and kick at
 * once. app->closed tells of it when it could not be. NULL: none now net->ops->skip(s, n) the next
 * n received bytes need not be seen: app->recv may get them with data NULL net->ops->turn(net,
 * wait_ns)      waits at most so long, delivers what came, sends what is queued
 *   net->ops->close(net)              every stream ends with SPATE_CLOSE_STOP; net is gone
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
	struct spate_stream *(*connect)(struct load_net *n, const struct spate_stream_app *app,
					void *ctx);
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

/* 0 or negative errno with why filled in. */
int load_sockets_open(struct load_net **out, const struct load_options *o, char *why,
		      size_t why_len);
#ifdef SPATE_HAVE_DPDK
int load_wire_open(struct load_net **out, const struct load_options *o, char *why, size_t why_len);
#endif

uint64_t load_clock_ns(void);

#endif

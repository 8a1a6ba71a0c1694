/*
 * net_dgram.h: datagrams over our own UDP (net/net.h).
 *
 *   spate_net_dgram_open(w, net, listeners, n, &k, &why)   tells net/ of the ports
 *   spate_net_dgram_input(k, &in.udp[i])                   for each that spate_net_rx gave
 *   spate_net_flush(net); spate_net_dgram_flushed(k)       answers have left: their room is free
 *   spate_net_dgram_close(k)
 */
#ifndef SPATE_STREAM_NET_DGRAM_H
#define SPATE_STREAM_NET_DGRAM_H

#include "dataplane/net/net.h"
#include "dataplane/stream/dgram.h"
#include "dataplane/worker.h"

struct spate_net_dgram;

/* Listeners are copied. 0 (also for none, *out is then NULL), -ENOMEM, -ENOSPC too many ports. */
int spate_net_dgram_open(struct spate_worker *w, struct spate_net *net,
			 const struct spate_dgram_listener *l, unsigned n,
			 struct spate_net_dgram **out, const char **why);
void spate_net_dgram_input(struct spate_net_dgram *k, const struct spate_seg *s);
void spate_net_dgram_flushed(struct spate_net_dgram *k);
void spate_net_dgram_close(struct spate_net_dgram *k); /* NULL is fine */

#endif

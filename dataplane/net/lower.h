/*
 * lower.h: net/ as TCP's lower side (struct spate_tcp_lower): ways to peers, and when they
 * change.
 */
#ifndef SPATE_NET_LOWER_H
#define SPATE_NET_LOWER_H

#include "dataplane/net/net.h"
#include "dataplane/tcp/tcp.h"

/* Fills in out; n must outlive the engine that uses it. */
void spate_net_lower(struct spate_net *n, struct spate_tcp_lower *out);

/*
 * A segment as TCP wants it. scratch: 64 KiB for a packet in several buffers. false: it does not
 * fit there.
 */
bool spate_net_tcp_in(struct spate_net *n, const struct spate_seg *s, uint8_t *scratch,
		      struct spate_tcp_in *in);
#define SPATE_NET_SCRATCH 65536

/* Tells TCP what ICMP said, and keeps a path MTU that it believed. */
void spate_net_tcp_event(struct spate_net *n, struct spate_tcp *t,
			 const struct spate_net_event *ev);

#endif

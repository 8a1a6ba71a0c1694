/*
 * tcp.h: streams over our own TCP (tcp/tcp.h): the third backend of stream.h, the one that DPDK
 * carries.
 *
 *   cfg.user_bytes = spate_stream_tcp_bytes()
 *   spate_tcp_create(&t, &cfg, ...)
 *   spate_stream_tcp_open(w, t, listeners, n, &k, &why)
 *   each turn: spate_tcp_clock, spate_tcp_input, spate_tcp_flush; streams come and go
 *   spate_stream_tcp_drain(k)        no new ones; every app is told
 *   spate_stream_tcp_close(k)        every stream ends with SPATE_CLOSE_STOP and is reset; k is gone
 *   spate_tcp_destroy(t)
 *
 * Stream and TCB lie side by side in the engine's memory: a connection costs one allocation, and
 * the app's calls only mark it for the next flush.
 */
#ifndef SPATE_STREAM_TCP_H
#define SPATE_STREAM_TCP_H

#include "dataplane/tcp/tcp.h"
#include "dataplane/worker.h"

struct spate_stream_tcp;

uint32_t spate_stream_tcp_bytes(void);

/* Opens the listeners (copied). 0, or -EADDRINUSE, -ENOMEM with *why set to a static text. */
int spate_stream_tcp_open(struct spate_worker *w, struct spate_tcp *t,
			  const struct spate_listener *l, unsigned n, struct spate_stream_tcp **out,
			  const char **why);
void spate_stream_tcp_drain(struct spate_stream_tcp *k);
void spate_stream_tcp_close(struct spate_stream_tcp *k);

#endif

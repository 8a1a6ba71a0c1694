/*
 * dgram.h: datagrams, asked and answered. Beside stream.h the other thing that bt/ knows of the
 * network. Backends: kernel sockets (sock_dgram.c), our own UDP (net_dgram.c), memory (mem.c, for
 * tests).
 *
 *   backend: has the listeners of its setup; for each datagram fills in a struct spate_dgram and
 *            calls app->recv(d, data, len), on the worker's thread
 *   app:     out = spate_dgram_reply(d)       room for SPATE_DGRAM_BYTES; NULL: none left, drop it
 *            spate_dgram_send(d, n)           what was written there goes to d->peer
 *
 * At most one answer for each datagram, from inside recv; it leaves from d->local, the address that
 * was asked, with the others of its burst. `d`, data and the room belong to the backend and end
 * with recv. There is nothing to close and no promise that anything arrives.
 *
 * With several workers each has a listener on the same address: which of them gets a datagram is
 * the kernel's or the device's choice, by the flow (SO_REUSEPORT, RSS).
 */
#ifndef SPATE_DGRAM_H
#define SPATE_DGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/stream/stream.h"

/* Largest answer: fits the smallest IPv6 link (1280) with its headers. */
#define SPATE_DGRAM_BYTES 1232u
/* Largest question that is looked at; longer ones are dropped. */
#define SPATE_DGRAM_IN_BYTES 2048u

struct spate_dgram;

struct spate_dgram_app {
	const char *name;
	void (*recv)(struct spate_dgram *d, const uint8_t *data, size_t len);
};

struct spate_dgram_ops {
	uint8_t *(*reply)(struct spate_dgram *d);
	void (*send)(struct spate_dgram *d, size_t len);
};

struct spate_dgram {
	const struct spate_dgram_ops *ops;
	struct spate_worker *worker;
	void *ctx;                     /* the listener's */
	struct spate_addr peer, local; /* local: the address that was asked, never the wildcard */
};

struct spate_dgram_listener {
	struct spate_addr addr; /* may be a wildcard; the port may not */
	const struct spate_dgram_app *app;
	void *ctx;
};

static inline uint8_t *spate_dgram_reply(struct spate_dgram *d)
{
	return d->ops->reply(d);
}

/* len: 1..SPATE_DGRAM_BYTES */
static inline void spate_dgram_send(struct spate_dgram *d, size_t len)
{
	d->ops->send(d, len);
}

#endif

/*
 * admin.h: the admin endpoint: a small HTTP/1.1 server on the control loop.
 *
 *   GET  /healthz        200 "ok", or 503 "draining" (a load balancer takes the node out)
 *   GET  /metrics        Prometheus text exposition format 0.0.4
 *   GET  /stat           JSON: version, state, counters by worker and in total, cache, origins,
 * configuration POST /purge?url=U    takes one object out: U is a path with its query
 * (percent-encoded), or a whole URL whose scheme and host are ignored. 200 {"purged":1}, or 404
 * {"purged":0} POST /drain          202; then as SIGTERM
 *
 *   spate_admin_create(&admin, &setup)
 *   spate_admin_config(admin, next)      after a reload
 *   spate_admin_draining(admin)          when the drain begins, whoever asked for it
 *   spate_admin_destroy(admin)
 *
 * Bounded: SPATE_ADMIN_CONNS connections (one more ends the idlest), heads as the viewers' parser
 * bounds them, no request bodies, a time limit on each step. A POST that carries an Origin field is
 * refused (403): no web page a browser visits may purge.
 */
#ifndef SPATE_CONTROL_ADMIN_H
#define SPATE_CONTROL_ADMIN_H

#include <stddef.h>
#include <stdint.h>

#include "control/loop.h"
#include "spate/cache.h"
#include "spate/stats.h"

#define SPATE_ADMIN_CONNS 32

struct spate_admin;
struct spate_config;
struct spate_port_status;
struct spate_publisher;

struct spate_admin_setup {
	struct spate_loop *loop;
	uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d, which makes an IPv4 socket */
	uint16_t port;  /* host order; 0: the kernel chooses, see spate_admin_port() */

	/* What it reads; everything outlives the endpoint. */
	const struct spate_stats *const *workers; /* one block a worker */
	unsigned nworkers;
	const struct spate_stats *control;
	const struct spate_cache *cache;
	const struct spate_config *config; /* may be NULL */
	struct spate_publisher *publisher; /* NULL: no torrents */
	const char *backend;               /* "sockets" or "dpdk" */
	unsigned nports;                   /* 0 without DPDK */
	/* Fills in how port i does; returns its name. With ctx, on the loop's thread. */
	const char *(*port_status)(void *ctx, unsigned i, struct spate_port_status *out);
	bool (*port_lost)(void *ctx, unsigned i); /* NULL: none can be */

	/* What it may do; called on the loop's thread. ctx is handed back. */
	void *ctx;
	/* Takes the object of this normalised path?query out of the cache. 1, 0 (there was none) or
	 * -errno. */
	int (*purge)(void *ctx, const struct spate_key *key, const char *url, size_t len);
	void (*drain)(void *ctx);
};

/* 0, -ENOMEM, or what socket, bind or listen said. On failure *out is untouched. */
int spate_admin_create(struct spate_admin **out, const struct spate_admin_setup *setup);

uint16_t spate_admin_port(const struct spate_admin *a);
void spate_admin_config(struct spate_admin *a, const struct spate_config *config);
void spate_admin_draining(struct spate_admin *a); /* /healthz says 503 from here on */

/* Closes everything, turning the loop until nothing is in flight. Not from inside a loop callback.
 * NULL is fine. */
void spate_admin_destroy(struct spate_admin *a);

#endif

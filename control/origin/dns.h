/*
 * dns.h: names to addresses without blocking the loop. getaddrinfo runs in a few helper threads;
 * answers are kept for some seconds, and all who ask for a name meanwhile share one lookup. When
 * there is no answer the last one stands.
 *
 *   spate_dns_create(&d, loop)
 *   spate_dns_ask(d, &owner->query, "origin.example", 80, on_addrs)   on_addrs later, never at once
 *   spate_dns_drop(d, &owner->query)                                  on_addrs will not come
 *   spate_dns_destroy(d)                                              no query may be left
 *
 * IP literals are answered in the next turn and never reach the threads.
 */
#ifndef SPATE_ORIGIN_DNS_H
#define SPATE_ORIGIN_DNS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "control/loop.h"

#define SPATE_DNS_ADDRS     8
#define SPATE_DNS_KEEP_MS   10000 /* an answer */
#define SPATE_DNS_FAILED_MS 1000  /* a failure */

struct spate_dns;

struct spate_dns_addr {
	struct sockaddr_storage sa;
	socklen_t len;
};

struct spate_dns_query {
	/* error: 0, or an EAI_* code of getaddrinfo; addrs is then empty. Copy what you keep. */
	void (*fn)(struct spate_dns_query *q, int error, const struct spate_dns_addr *addrs,
		   unsigned n);
	struct spate_dns_query *next, **prev; /* prev NULL: not waiting */
};

/* 0, -ENOMEM, or a negative errno of pthread_create. */
int spate_dns_create(struct spate_dns **out, struct spate_loop *l);
/* Does not wait for a lookup under way: its thread finishes it alone and goes. */
void spate_dns_destroy(struct spate_dns *d);

/* port: host order. 0 or -ENOMEM (then fn is not called). */
int spate_dns_ask(struct spate_dns *d, struct spate_dns_query *q, const char *host, uint16_t port,
		  void (*fn)(struct spate_dns_query *q, int error,
			     const struct spate_dns_addr *addrs, unsigned n));
void spate_dns_drop(struct spate_dns *d, struct spate_dns_query *q);

#endif

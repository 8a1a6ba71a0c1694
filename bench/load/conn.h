/*
 * conn.h: requests and answers on one connection, whatever carries it. A connection opens itself
 * when it is asked for something, keeps what was asked in order, and tells what became of each
 * request:
 *
 *   load_conn_ask(conn, &ask)   up to the pipeline's depth before the first answer
 *   client->done(conn, &ask, outcome)
 *                               once for each; it may ask again
 *
 * A server may close between two answers (its limit of requests a connection, its idle timeout):
 * what was not answered then is asked again on another connection, once, and counted as retried.
 */
#ifndef SPATE_LOAD_CONN_H
#define SPATE_LOAD_CONN_H

#include <stdatomic.h>
#include <xxhash.h>

#include "bench/load/net.h"
#include "bench/load/plan.h"
#include "bench/load/response.h"

enum load_outcome {
	LOAD_OK,
	LOAD_FAIL_CONNECT, /* refused, or no way there */
	LOAD_FAIL_RESET,   /* the connection broke before the answer was whole */
	LOAD_FAIL_SHORT,   /* it was closed in order, but too early */
	LOAD_FAIL_TIMEOUT,
	LOAD_FAIL_STATUS,    /* neither 200 nor, for a range, 206 */
	LOAD_FAIL_MALFORMED, /* no HTTP, or bytes that were not asked for */
	LOAD_FAIL_WRONG,     /* the payload differs */
	LOAD_FAIL_UNSENT,    /* open loop: due, but no connection was ever free */
	LOAD_OUTCOMES
};
extern const char *const load_outcome_names[LOAD_OUTCOMES];

struct load_ask {
	uint32_t url;
	bool ranged, verify, retried;
	const char *path; /* instead of url's (DASH); with path_len bytes */
	uint32_t path_len;
	uint64_t first, last; /* of the range */
	uint64_t due_ns, sent_ns;
	void *owner;
	void (*body)(void *owner, const uint8_t *p, size_t n); /* NULL: nobody wants to see it */
	/* told with done */
	uint16_t status;
	uint64_t bytes, total;
};

/* Written by one thread, read by the one that shows progress. */
struct load_counts {
	_Atomic uint64_t sent, done, bytes, connects, retried, verified;
	_Atomic uint64_t failed[LOAD_OUTCOMES];
	_Atomic uint64_t open; /* connections */
};
#define LOAD_COUNT(field, n)                                                                    \
	atomic_store_explicit(                                                                  \
		&(field), atomic_load_explicit(&(field), memory_order_relaxed) + (uint64_t)(n), \
		memory_order_relaxed)

struct load_refs;

struct load_conn {
	struct load_client *client;
	struct spate_stream *s; /* NULL: none */
	struct load_ask *ask;   /* a ring of the pipeline's depth */
	uint32_t head, count;
	uint32_t answered; /* on this connection */
	bool hashing, hold;
	uint64_t hash;
	struct load_response r;
	XXH3_state_t *state;    /* made when a body comes in pieces for the first time */
	uint64_t rest_until_ns; /* the driver's: do not ask before */
};

struct load_client {
	struct load_net *net;
	struct load_plan *plan;
	const struct load_options *o;
	struct load_counts *counts;
	struct load_refs *refs;
	uint16_t bad_status; /* the last one */
	void (*done)(struct load_conn *conn, const struct load_ask *ask, enum load_outcome what);
	void *ctx;
	char tail[LOAD_HEADERS_MAX + 512]; /* what each request ends with */
	size_t tail_len;
};

/* Fills tail and makes refs; net, plan, o, counts, done, ctx are the caller's to set before. */
int load_client_init(struct load_client *c);
void load_client_finish(struct load_client *c);

int load_conn_init(struct load_conn *conn, struct load_client *c);
void load_conn_finish(struct load_conn *conn); /* its stream must be gone, or is left behind */

/* There must be room: conn->count < pipeline. What goes wrong is told by done, at once if need be.
 */
void load_conn_ask(struct load_conn *conn, const struct load_ask *ask);

/* Called now and then: what has waited for too long fails, with its connection. */
void load_conn_check(struct load_conn *conn);

#endif

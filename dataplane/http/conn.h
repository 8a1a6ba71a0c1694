/*
 * conn.h: HTTP/1.1 over a stream. One spate_http a worker, one spate_http_conn a stream.
 *
 *   spate_http_create(w)                 before the backend opens
 *   listener.accept = spate_http_accept  the backend calls it for each new stream
 *   spate_http_destroy(w)                after the backend has closed every stream
 *
 * A request becomes a cache lookup in conn.c (serve), an answer in respond.c, a log line in
 * access.c. The hit path allocates nothing and copies only the response head. A miss copies the
 * request head into an exchange, asks control, and answers when the reply comes; meanwhile nothing
 * more is read from that stream.
 */
#ifndef SPATE_HTTP_CONN_H
#define SPATE_HTTP_CONN_H

#include <stdbool.h>

#include "dataplane/stream/stream.h"

/* Misses that one worker may have with control at a time; more are answered 503. */
#define SPATE_HTTP_MISSES_MAX 4096u
/* So that neither FETCH nor TAKEN can find its ring full. */
#define SPATE_HTTP_RING_MIN (4u * SPATE_HTTP_MISSES_MAX)

struct spate_worker;

int spate_http_create(struct spate_worker *w); /* 0 or -ENOMEM; sets w->http */
void spate_http_destroy(struct spate_worker *w);

bool spate_http_accept(struct spate_stream *s, void *ctx); /* ctx: unused */

#endif

/*
 * tracker_http.h: announce and scrape over HTTP (BEP 3, 7, 23, 48): from a request's target to a
 * bencoded body. Pure but for the worker's tracker; http/ makes the response around it.
 *
 *   n = spate_tracker_http(w, path, query, &peer, &local, body, sizeof(body))
 *
 * path and query as they came: an infohash is 20 bytes of any value, which no normalisation may
 * touch. 0: not a URL of a tracker (or there is no tracker). A refusal is a body too, with `failure
 * reason`; its status is 200, as clients expect.
 */
#ifndef SPATE_BT_TRACKER_HTTP_H
#define SPATE_BT_TRACKER_HTTP_H

#include "dataplane/http/slice.h"
#include "dataplane/stream/stream.h"

#define SPATE_TRACKER_HTTP_BYTES 8192u /* no body is longer */

struct spate_worker;

size_t spate_tracker_http(struct spate_worker *w, struct spate_slice path, struct spate_slice query,
			  const struct spate_addr *peer, const struct spate_addr *local,
			  uint8_t *body, size_t cap);

#endif

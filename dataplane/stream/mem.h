/*
 * mem.h: the stream seam in memory, for tests: a client that is driven by hand.
 *
 *   worker created with spate_stream_mem_backend and a struct spate_stream_mem_setup
 *   m = spate_stream_mem_connect(w)       calls the listener's accept; NULL when it refuses
 *   spate_stream_mem_send(m, bytes, n)    what the viewer sends; delivered at once, as far as the
 *                                         app takes it
 *   spate_stream_mem_take(m, limit)       lets the edge send up to limit bytes; appends them to
 *                                         m->out
 *   spate_stream_mem_eof(m)               the viewer half-closes
 *   spate_stream_mem_timeout(m)           the stream's timer runs out
 *   spate_stream_mem_close(m)             frees it (resets it first when it is still open)
 *
 *   n = spate_dgram_mem_ask(w, &listener, &peer, &local, bytes, len, answer)
 *                                         one datagram; answer has SPATE_DGRAM_BYTES of room;
 *                                         0: none came
 *
 * Owned by the test; everything runs on the caller's thread.
 */
#ifndef SPATE_STREAM_MEM_H
#define SPATE_STREAM_MEM_H

#include "dataplane/stream/dgram.h"
#include "dataplane/worker.h"

struct spate_stream_mem_setup {
	struct spate_listener listener;
	bool ahead; /* say before each recv what comes, as a backend that receives in bursts */
};

struct spate_stream_mem {
	struct spate_stream s;
	uint8_t *in; /* sent by the viewer, not yet consumed */
	size_t in_len;
	uint8_t *out; /* received by the viewer */
	size_t out_len;
	uint32_t timer_ms; /* 0: off */
	bool paused, eof, eof_told, finish, fin, aborted, closed;
	enum spate_close_why why;
	struct spate_watch watch;
};

extern const struct spate_backend_ops spate_stream_mem_backend;

struct spate_stream_mem *spate_stream_mem_connect(struct spate_worker *w);
void spate_stream_mem_send(struct spate_stream_mem *m, const void *p, size_t n);
void spate_stream_mem_take(struct spate_stream_mem *m, size_t limit);
void spate_stream_mem_eof(struct spate_stream_mem *m);
void spate_stream_mem_timeout(struct spate_stream_mem *m);
void spate_stream_mem_close(struct spate_stream_mem *m);

size_t spate_dgram_mem_ask(struct spate_worker *w, const struct spate_dgram_listener *l,
			   const struct spate_addr *peer, const struct spate_addr *local,
			   const void *data, size_t len, uint8_t *answer);

#endif

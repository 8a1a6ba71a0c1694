/*
 * worker.h: one run-to-completion loop a core. A worker owns its streams, pools and counters. With
 * control it shares the cache (reader side) and two rings; with other workers what the setup names:
 * the trackers' swarm store, counts of torrents, and what a backend lets them share.
 *
 *   spate_worker_create(&w, &setup)
 *   spate_worker_run(w)                on a thread of its own; returns after SPATE_MSG_STOP
 *   spate_worker_destroy(w)
 */
#ifndef SPATE_WORKER_H
#define SPATE_WORKER_H

#include <stdint.h>

#include "spate/log_ring.h"
#include "dataplane/stream/stream.h"
#include "dataplane/stream/watch.h"
#include "dataplane/util/pool.h"
#include "spate/cache.h"
#include "spate/msg.h"
#include "spate/stats.h"
#include "spate/torrent.h"

struct spate_worker;
struct spate_tracker;

/* What a worker may need to know of the configuration; immutable, swapped whole by
 * SPATE_MSG_CONFIG. */
struct spate_worker_config {
	uint32_t header_timeout_ms; /* first byte of a request to the end of its head: 408 */
	uint32_t idle_timeout_ms;   /* keep-alive, between requests */
	uint32_t send_timeout_ms;   /* no progress in sending: reset */
	uint32_t max_connections;   /* a worker */
	uint32_t max_requests;      /* a connection; 0: no limit */
	bool access_log;
	/* peers: bytes a second of a swarm and to one peer, on this worker; 0: no limit */
	uint64_t bt_rate, bt_peer_rate;
	uint32_t bt_slots;       /* of a swarm, where bt_rate is set */
	uint32_t bt_connections; /* a worker */
};

/* A backend: how this worker meets the network. */
struct spate_backend_ops {
	const char *name;
	/* Opens the listeners. 0 or negative errno with *why set to a static or worker-owned text.
	 */
	int (*open)(struct spate_worker *w, const void *backend_setup, const char **why);
	/* Waits at most wait_us (0: poll) for the network or the wake fd, and delivers what came.
	 */
	void (*turn)(struct spate_worker *w, uint32_t wait_us);
	/* Sends what turn and control's messages queued; ends what is to end. */
	void (*flush)(struct spate_worker *w);
	void (*drain)(struct spate_worker *w); /* stop accepting, tell every app */
	void (*close)(struct spate_worker *w); /* every stream ends with SPATE_CLOSE_STOP */
};

struct spate_worker {
	/* read by everything on this worker */
	unsigned id; /* also the reader id */
	int cpu;     /* pinned to; -1: not */
	struct spate_cache *cache;
	const struct spate_worker_config *config;
	struct spate_stats *stats;
	struct spate_sendq_env sendq;
	struct spate_watch_table watch;
	struct spate_pool bytes_pool, range_pool; /* the send queues' */
	uint64_t now_us;                          /* CLOCK_MONOTONIC at the start of this turn */
	int64_t wall_s;                           /* CLOCK_REALTIME, seconds */
	struct spate_ring *to_control, *from_control;
	struct spate_log_ring *log;
	int wake_fd; /* eventfd of from_control */
	const struct spate_backend_ops *backend_ops;
	void *backend;                         /* the backend's own */
	struct spate_http *http;               /* http/conn.c's own */
	struct spate_bt *bt;                   /* bt/conn.c's own */
	const struct spate_torrents *torrents; /* the last table control sent; NULL: none yet */
	struct spate_tracker *tracker;         /* all workers' (bt/tracker.h); NULL: none */
	uint32_t open_conns;
	uint32_t burst; /* moves when bytes that a backend gave to ahead() may be gone */
	bool draining, drained_sent, stopping;
};

struct spate_worker_setup {
	unsigned id;
	int cpu; /* to pin to; -1: none */
	struct spate_cache *cache;
	const struct spate_worker_config *config;
	struct spate_stats *stats;
	struct spate_ring *to_control, *from_control;
	struct spate_log_ring *log;    /* NULL: no access log */
	struct spate_tracker *tracker; /* NULL: none; outlives the worker */
	const struct spate_backend_ops *backend;
	const void *
		backend_setup; /* sockets: struct spate_sock_setup; dpdk: struct spate_dpdk_setup */
};

/*
 * 0 or negative errno with *why set to a static text. The setup is read during the call; what it
 * points to is borrowed until destroy. The caller destroys, after run has returned.
 */
int spate_worker_create(struct spate_worker **out, const struct spate_worker_setup *setup,
			const char **why);
void spate_worker_run(struct spate_worker *w);
void spate_worker_destroy(struct spate_worker *w);

/* Asks control; false: the ring is full (answer 503). */
bool spate_worker_send(struct spate_worker *w, const struct spate_msg *m);

/*
 * Around a backend's wait. sleep: holds no unpinned object from here on; false: control has put
 * something into our ring, do not wait. awake: always, after the wait.
 */
bool spate_worker_sleep(struct spate_worker *w);
void spate_worker_awake(struct spate_worker *w);

#endif

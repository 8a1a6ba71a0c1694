/*
 * worker.c: the loop of one core.
 *
 *     wait (backend) ─► deliver packets or bytes ─► control's messages ─► send, end ─► again
 *
 * While it waits the worker is offline for the cache, so control never waits for a sleeper; between
 * two waits it may hold object pointers without a pin.
 */
#include "dataplane/worker.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "dataplane/bt/conn.h"
#include "dataplane/bt/tracker.h"
#include "dataplane/http/conn.h"

#define BYTES_NODES (1u << 18)
#define RANGE_NODES (1u << 18)
#define MSGS_A_TURN 256
#define WAIT_US     1000000u

static void read_clocks(struct spate_worker *w)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	w->now_us = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	w->wall_s = ts.tv_sec;
}

int spate_worker_create(struct spate_worker **out, const struct spate_worker_setup *setup,
			const char **why)
{
	struct spate_worker *w = aligned_alloc(64, (sizeof(*w) + 63) & ~(size_t)63);
	int err = -ENOMEM;

	*why = "out of memory";
	if (w == NULL)
		return err;
	/* Misses are bounded, so with rings this large neither FETCH nor TAKEN can find its ring
	 * full. */
	assert(setup->to_control->mask + 1 >= SPATE_HTTP_RING_MIN);
	*w = (struct spate_worker){
		.id = setup->id,
		.cpu = setup->cpu,
		.cache = setup->cache,
		.config = setup->config,
		.stats = setup->stats,
		.to_control = setup->to_control,
		.from_control = setup->from_control,
		.log = setup->log,
		.tracker = setup->tracker,
		.wake_fd = setup->from_control->eventfd,
		.backend_ops = setup->backend,
	};
	read_clocks(w);
	spate_pool_init(&w->bytes_pool, SPATE_SENDQ_NODE_BYTES, BYTES_NODES);
	spate_pool_init(&w->range_pool, 64, RANGE_NODES);
	w->sendq = (struct spate_sendq_env){
		.cache = w->cache,
		.reader = w->id,
		.bytes_pool = &w->bytes_pool,
		.range_pool = &w->range_pool,
	};
	spate_watch_init(&w->watch, w->cache, w->id);
	err = spate_http_create(w);
	if (err == 0)
		err = spate_bt_create(w);
	if (err < 0)
		goto fail;
	err = w->backend_ops->open(w, setup->backend_setup, why);
	if (err < 0)
		goto fail;
	*out = w;
	return 0;

fail:
	spate_bt_destroy(w);
	spate_http_destroy(w);
	spate_pool_finish(&w->bytes_pool);
	spate_pool_finish(&w->range_pool);
	free(w);
	return err;
}

void spate_worker_destroy(struct spate_worker *w)
{
	if (w->backend != NULL)
		w->backend_ops->close(w);
	spate_bt_destroy(w);
	spate_http_destroy(w);
	spate_pool_finish(&w->bytes_pool);
	spate_pool_finish(&w->range_pool);
	free(w);
}

bool spate_worker_send(struct spate_worker *w, const struct spate_msg *m)
{
	if (!spate_ring_push(w->to_control, m))
		return false;
	spate_ring_wake(w->to_control);
	return true;
}

bool spate_worker_sleep(struct spate_worker *w)
{
	if (!spate_ring_sleep(w->from_control))
		return false;
	spate_cache_offline(w->cache, w->id);
	return true;
}

void spate_worker_awake(struct spate_worker *w)
{
	spate_ring_awake(w->from_control);
	spate_cache_online(w->cache, w->id);
	read_clocks(w);
}

/* The pin first, then control may drop its hold; so the object never stands without one. */
static void take_reply(struct spate_worker *w, const struct spate_msg *m)
{
	if (m->object != NULL) {
		struct spate_msg taken = {.type = SPATE_MSG_TAKEN, .object = m->object};

		spate_cache_pin(w->cache, w->id, m->object);
		if (!spate_worker_send(w, &taken))
			abort();
	}
	m->miss->done(w, m->miss, m->object, (enum spate_fetch_verdict)m->arg);
}

/* Connections hold references on the torrents they work on, never on the table. */
static void take_torrents(struct spate_worker *w, const struct spate_torrents *next)
{
	struct spate_msg done = {.type = SPATE_MSG_TORRENTS_DONE, .arg = w->id, .ptr = w->torrents};

	if (w->torrents != NULL && !spate_worker_send(w, &done))
		abort(); /* the ring has room for every table: see SPATE_HTTP_RING_MIN */
	w->torrents = next;
	spate_bt_torrents(w);
}

static void take_messages(struct spate_worker *w)
{
	struct spate_msg m;

	for (int i = 0; i < MSGS_A_TURN && spate_ring_pop(w->from_control, &m); i++) {
		switch ((enum spate_msg_type)m.type) {
		case SPATE_MSG_REPLY:
			take_reply(w, &m);
			break;
		case SPATE_MSG_PROGRESS:
			spate_watch_run(&w->watch, m.object);
			break;
		case SPATE_MSG_DRAIN:
			w->draining = true;
			w->backend_ops->drain(w);
			break;
		case SPATE_MSG_STOP:
			w->stopping = true;
			break;
		case SPATE_MSG_CONFIG:
			w->config = m.ptr;
			break;
		case SPATE_MSG_TORRENTS:
			take_torrents(w, m.ptr);
			break;
		case SPATE_MSG_FETCH:
		case SPATE_MSG_TAKEN:
		case SPATE_MSG_DRAINED:
		case SPATE_MSG_TORRENTS_DONE:
			break; /* ours to send */
		}
	}
}

static void tell_drained(struct spate_worker *w)
{
	struct spate_msg m = {.type = SPATE_MSG_DRAINED, .arg = w->id};

	if (w->draining && !w->drained_sent && w->open_conns == 0)
		w->drained_sent = spate_worker_send(w, &m);
}

void spate_worker_run(struct spate_worker *w)
{
	if (w->cpu >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((unsigned)w->cpu, &set);
		pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	}
	spate_cache_online(w->cache, w->id);
	while (!w->stopping) {
		w->backend_ops->turn(w, WAIT_US);
		if (w->tracker != NULL)
			spate_tracker_turn(w);
		take_messages(w);
		w->backend_ops->flush(w);
		tell_drained(w);
		spate_cache_quiesce(w->cache, w->id);
	}
	w->backend_ops->close(w);
	spate_cache_offline(w->cache, w->id);
}

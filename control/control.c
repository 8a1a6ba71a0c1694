/* control.c: messages in, messages out. What a fetch means is origin/fill.c's. */
#include "control/control.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "control/origin/dns.h"
#include "control/origin/fill.h"
#include "control/torrent/edge.h"
#include "control/torrent/publish.h"
#include "dataplane/cache/write.h"
#include "dataplane/http/conn.h"

#define RING_ENTRIES SPATE_HTTP_RING_MIN
#define MSGS_A_TURN  1024 /* of one worker, so that completions get their turn */
#define FILLS_MAX    1024
#define ROOM_MS      10000
#define GAUGES_MS    1000
#define GRACE_MS     20 /* something waits to be freed and nothing else may happen */
#define STALLED_MS   1  /* a fill waits for that */

struct link {
	struct spate_ring to_control, from_control;
	/* What the worker's ring had no room for, oldest first. */
	struct spate_msg *owed;
	size_t owed_n, owed_cap;
	bool pushed, drained;
};

struct spate_control {
	struct spate_fill_env env; /* first: the fills hand it back */
	struct spate_fills *fills;
	struct spate_stats stats;
	struct spate_hook hook;
	struct spate_timer gauges, again;
	void (*drained)(void *ctx);
	void *ctx;
	int64_t ahead_s; /* the wall clock, of the monotonic one */
	bool hung;       /* a fill may yet call us: env is to stay */
	unsigned workers, links_made, drained_n;
	struct link link[];
};

static struct spate_control *of_hook(struct spate_hook *h)
{
	return (struct spate_control *)((char *)h - offsetof(struct spate_control, hook));
}

/* --- out --- */

/*
 * A full ring means a worker that has not turned for thousands of messages. They are owed then, in
 * order; losing one would leave a viewer waiting for ever. Only when there is no memory for that
 * either do we wait for the worker.
 */
static void push(struct link *k, const struct spate_msg *m)
{
	k->pushed = true;
	if (k->owed_n == 0 && spate_ring_push(&k->from_control, m))
		return;
	if (k->owed_n == k->owed_cap) {
		size_t cap = k->owed_cap == 0 ? 256 : k->owed_cap * 2;
		struct spate_msg *more = realloc(k->owed, cap * sizeof(*more));

		if (more == NULL) {
			while (!spate_ring_push(&k->from_control, m)) {
				spate_ring_wake(&k->from_control);
				sched_yield();
			}
			return;
		}
		k->owed = more;
		k->owed_cap = cap;
	}
	k->owed[k->owed_n++] = *m;
}

static void flush(struct link *k)
{
	size_t n = 0;

	while (n < k->owed_n && spate_ring_push(&k->from_control, &k->owed[n]))
		n++;
	if (n > 0) {
		k->owed_n -= n;
		memmove(k->owed, k->owed + n, k->owed_n * sizeof(*k->owed));
		k->pushed = true;
	}
	if (k->pushed)
		spate_ring_wake(&k->from_control);
	k->pushed = k->owed_n > 0;
}

static void on_reply(struct spate_fill_env *env, struct spate_miss *m, struct spate_object *o,
		     enum spate_fetch_verdict v)
{
	struct spate_control *ctl = (struct spate_control *)env;
	struct spate_msg msg = {.type = SPATE_MSG_REPLY, .arg = v, .miss = m, .object = o};

	if (m->worker == SPATE_CONTROL_MISS)
		m->done(NULL, m, o, v);
	else
		push(&ctl->link[m->worker], &msg);
}

static void on_progress(struct spate_fill_env *env, struct spate_object *o, uint64_t workers)
{
	struct spate_control *ctl = (struct spate_control *)env;
	struct spate_msg msg = {.type = SPATE_MSG_PROGRESS, .object = o};

	for (; workers != 0; workers &= workers - 1)
		push(&ctl->link[__builtin_ctzll(workers)], &msg);
}

static const struct spate_source_ops *made_here(struct spate_fill_env *env, const char *url,
						size_t len)
{
	return spate_publisher_owns(env->publisher, url, len) ? &spate_source_torrent : NULL;
}

static void on_ended(struct spate_fill_env *env, struct spate_object *o, const char *url,
		     size_t len, bool whole)
{
	spate_publisher_ended(env->publisher, o, url, len, whole);
}

static void tell_torrents(void *ctx, const struct spate_torrents *t)
{
	spate_control_tell(ctx, SPATE_MSG_TORRENTS, t);
}

void spate_control_tell(struct spate_control *ctl, enum spate_msg_type type, const void *ptr)
{
	struct spate_msg m = {.type = type, .ptr = ptr};

	for (unsigned i = 0; i < ctl->links_made; i++) {
		push(&ctl->link[i], &m);
		flush(&ctl->link[i]);
	}
}

/* --- in --- */

static void take(struct spate_control *ctl, struct link *k, const struct spate_msg *m)
{
	switch ((enum spate_msg_type)m->type) {
	case SPATE_MSG_FETCH:
		spate_fills_fetch(ctl->fills, m->miss);
		break;
	case SPATE_MSG_TAKEN:
		spate_cache_release(ctl->env.cache, m->object);
		break;
	case SPATE_MSG_TORRENTS_DONE:
		spate_publisher_done(ctl->env.publisher, m->ptr);
		break;
	case SPATE_MSG_DRAINED:
		if (!k->drained && ++ctl->drained_n == ctl->workers)
			ctl->drained(ctl->ctx);
		k->drained = true;
		break;
	case SPATE_MSG_REPLY:
	case SPATE_MSG_PROGRESS:
	case SPATE_MSG_DRAIN:
	case SPATE_MSG_STOP:
	case SPATE_MSG_CONFIG:
	case SPATE_MSG_TORRENTS:
		break; /* ours to send */
	}
}

static void on_again(struct spate_timer *t)
{
	/* The wake-up is all: the turn does the rest. */
}

static bool hook_sleep(struct spate_hook *h)
{
	struct spate_control *ctl = of_hook(h);
	bool empty = true;

	for (unsigned i = 0; i < ctl->links_made; i++)
		if (!spate_ring_sleep(&ctl->link[i].to_control))
			empty = false;
	return empty;
}

static void hook_awake(struct spate_hook *h)
{
	struct spate_control *ctl = of_hook(h);

	for (unsigned i = 0; i < ctl->links_made; i++)
		spate_ring_awake(&ctl->link[i].to_control);
}

static void hook_turn(struct spate_hook *h)
{
	struct spate_control *ctl = of_hook(h);
	bool owed = false, waiting;
	struct spate_msg m;

	for (unsigned i = 0; i < ctl->links_made; i++)
		for (int n = 0; n < MSGS_A_TURN && spate_ring_pop(&ctl->link[i].to_control, &m);
		     n++)
			take(ctl, &ctl->link[i], &m);
	waiting = spate_cache_reclaim(ctl->env.cache) > 0;
	spate_fills_turn(ctl->fills);
	for (unsigned i = 0; i < ctl->links_made; i++) {
		flush(&ctl->link[i]);
		owed = owed || ctl->link[i].owed_n > 0;
	}
	if (owed || spate_fills_stalled(ctl->fills))
		spate_loop_timer(ctl->env.loop, &ctl->again, STALLED_MS, on_again);
	else if (waiting && !ctl->again.set)
		spate_loop_timer(ctl->env.loop, &ctl->again, GRACE_MS, on_again);
}

/*
 * Expiry is told by the wall clock. When that is put back (NTP is heard at last), what was fresh
 * for a second would be so for as long as the step, a live manifest for a day: so expiry goes back
 * with it. What was stored since the step expires early by that, and is asked for again; so does
 * everything after a step forward, which needs nothing from us. A second is what rounding makes.
 */
static void look_at_clock(struct spate_control *ctl)
{
	int64_t ahead_s = spate_loop_wall_s(ctl->env.loop) -
			  (int64_t)(spate_loop_now_us(ctl->env.loop) / 1000000);
	int64_t back_s = ctl->ahead_s - ahead_s;

	if (back_s > 1) {
		spate_cache_clock_back(ctl->env.cache, back_s);
		if (ctl->env.publisher != NULL)
			spate_publisher_clock_back(ctl->env.publisher, back_s);
	}
	if (back_s > 1 || back_s < 0)
		ctl->ahead_s = ahead_s;
}

static void on_gauges(struct spate_timer *t)
{
	struct spate_control *ctl =
		(struct spate_control *)((char *)t - offsetof(struct spate_control, gauges));
	struct spate_cache_usage u;
	struct spate_arena_info arena;

	look_at_clock(ctl);
	spate_cache_usage(ctl->env.cache, &u);
	spate_cache_arena(ctl->env.cache, &arena);
	atomic_store_explicit(&ctl->stats.cache_objects, u.objects, memory_order_relaxed);
	atomic_store_explicit(&ctl->stats.cache_bytes, u.blocks_used * arena.block_bytes,
			      memory_order_relaxed);
	atomic_store_explicit(&ctl->stats.cache_evicted, u.evicted, memory_order_relaxed);
	spate_loop_timer(ctl->env.loop, t, GAUGES_MS, on_gauges);
}

/* --- life --- */

static void set_limits(struct spate_control *ctl, const struct spate_config *cfg)
{
	ctl->env.limits = (struct spate_fill_limits){
		.connect_ms = cfg->timeouts.connect_ms,
		.head_ms = cfg->timeouts.origin_head_ms,
		.idle_ms = cfg->timeouts.origin_idle_ms,
		.room_ms = ROOM_MS,
		.object_bytes = cfg->limits.object_bytes,
		.fills = FILLS_MAX,
	};
}

int spate_control_config(struct spate_control *ctl, const struct spate_config *cfg,
			 const char **why)
{
	struct spate_origins *next;
	int rc;

	rc = spate_origins_create(&next, ctl->env.loop, cfg->origins, cfg->origins_count,
				  cfg->limits.origin_pool, why);
	if (rc < 0)
		return rc;
	spate_origins_destroy(ctl->env.origins); /* fills under way hold theirs */
	ctl->env.origins = next;
	set_limits(ctl, cfg);
	return 0;
}

static int make_link(struct spate_control *ctl, struct link *k)
{
	int fd = eventfd(0, EFD_CLOEXEC), rc;

	if (fd < 0)
		return -errno;
	rc = spate_ring_init(&k->from_control, RING_ENTRIES, fd);
	if (rc < 0)
		goto close_fd;
	rc = spate_ring_init(&k->to_control, RING_ENTRIES, spate_loop_wake_fd(ctl->env.loop));
	if (rc < 0)
		goto finish_from;
	ctl->links_made++;
	return 0;

finish_from:
	spate_ring_finish(&k->from_control);
close_fd:
	close(fd);
	return rc;
}

/* Where the configuration asks for it. */
static int make_publisher(struct spate_control *ctl, const struct spate_control_setup *s)
{
	struct spate_publisher_setup setup = {.env = &ctl->env,
					      .fills = ctl->fills,
					      .config = s->config,
					      .workers = s->workers,
					      .tell = tell_torrents,
					      .ctx = ctl};
	int rc;

	if (!spate_torrent_wanted(s->config) && s->workers > 0)
		return 0;
	rc = spate_publisher_create(&ctl->env.publisher, &setup);
	if (rc == 0) {
		ctl->env.made_here = made_here;
		ctl->env.ended = on_ended;
	}
	return rc;
}

int spate_control_create(struct spate_control **out, const struct spate_control_setup *s,
			 const char **why)
{
	size_t bytes = sizeof(struct spate_control) + s->workers * sizeof(struct link);
	struct spate_control *ctl = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
	int rc = -ENOMEM;

	*why = NULL;
	if (ctl == NULL)
		return -ENOMEM;
	memset(ctl, 0, bytes);
	ctl->workers = s->workers;
	ctl->drained = s->drained;
	ctl->ctx = s->ctx;
	ctl->env.loop = s->loop;
	ctl->env.cache = s->cache;
	ctl->env.stats = &ctl->stats;
	ctl->env.reply = on_reply;
	ctl->env.progress = on_progress;
	rc = spate_control_config(ctl, s->config, why);
	if (rc < 0)
		goto fail;
	rc = spate_dns_create(&ctl->env.dns, s->loop);
	if (rc < 0)
		goto fail;
	rc = spate_fills_create(&ctl->fills, &ctl->env);
	if (rc < 0)
		goto fail;
	for (unsigned i = 0; i < s->workers; i++) {
		rc = make_link(ctl, &ctl->link[i]);
		if (rc < 0)
			goto fail;
	}
	rc = make_publisher(ctl, s);
	if (rc < 0)
		goto fail;
	ctl->hook =
		(struct spate_hook){.sleep = hook_sleep, .awake = hook_awake, .turn = hook_turn};
	spate_loop_hook(s->loop, &ctl->hook);
	on_gauges(&ctl->gauges);
	*out = ctl;
	return 0;

fail:
	spate_control_destroy(ctl);
	return rc;
}

bool spate_control_finish(struct spate_control *ctl)
{
	spate_loop_unhook(ctl->env.loop, &ctl->hook);
	spate_loop_timer_stop(ctl->env.loop, &ctl->gauges);
	spate_loop_timer_stop(ctl->env.loop, &ctl->again);
	if (ctl->env.publisher != NULL)
		spate_publisher_finish(ctl->env.publisher);
	ctl->hung = !spate_fills_destroy(ctl->fills);
	ctl->fills = NULL;
	return !ctl->hung;
}

void spate_control_destroy(struct spate_control *ctl)
{
	if (ctl == NULL)
		return;
	if (ctl->fills != NULL)
		spate_control_finish(ctl);
	spate_publisher_destroy(ctl->env.publisher);
	spate_origins_destroy(ctl->env.origins); /* a fill holds its own */
	if (!ctl->hung)
		spate_dns_destroy(ctl->env.dns);
	for (unsigned i = 0; i < ctl->links_made; i++) {
		close(ctl->link[i].from_control.eventfd);
		spate_ring_finish(&ctl->link[i].from_control);
		spate_ring_finish(&ctl->link[i].to_control);
		free(ctl->link[i].owed);
	}
	if (!ctl->hung)
		free(ctl);
}

struct spate_control_link spate_control_link(struct spate_control *ctl, unsigned worker)
{
	return (struct spate_control_link){&ctl->link[worker].to_control,
					   &ctl->link[worker].from_control};
}

struct spate_stats *spate_control_stats(struct spate_control *ctl)
{
	return &ctl->stats;
}

struct spate_publisher *spate_control_publisher(struct spate_control *ctl)
{
	return ctl->env.publisher;
}

bool spate_control_purge(struct spate_control *ctl, const struct spate_key *key)
{
	if (ctl->env.publisher != NULL)
		spate_publisher_purged(ctl->env.publisher, key);
	return spate_fills_purge(ctl->fills, key);
}

/*
 * control.h: control's end of the message rings. Takes FETCH and TAKEN from the workers, hands
 * fetches to origin/fill.h, and carries REPLY and PROGRESS back.
 *
 *   spate_control_create(&ctl, &setup)
 *   spate_control_link(ctl, i)                    the rings of worker i, for spate_worker_create
 *   ... spate_loop_run() ...
 *   spate_control_config(ctl, cfg)                a reload: new origins, new limits
 *   spate_control_tell(ctl, SPATE_MSG_DRAIN, ...) to every worker
 *   spate_control_finish(ctl)                     the workers' threads have ended: ends all fills
 *   spate_control_destroy(ctl)                    the workers are gone as well
 *
 *     worker ──FETCH──► ring ──► spate_fills_fetch ──► REPLY, the object held once for it
 *            ──TAKEN──► ring ──► that hold is dropped
 *
 * All on the loop's thread.
 */
#ifndef SPATE_CONTROL_H
#define SPATE_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "control/config/config.h"
#include "control/loop.h"
#include "spate/cache.h"
#include "spate/msg.h"
#include "spate/stats.h"

/* struct spate_miss.worker of what control itself asks for: its done() is called here. */
#define SPATE_CONTROL_MISS UINT32_MAX

struct spate_control;

struct spate_control_setup {
	struct spate_loop *loop;
	struct spate_cache *cache;
	const struct spate_config *config; /* read during the call */
	unsigned workers;
	void (*drained)(void *ctx); /* every worker has said DRAINED */
	void *ctx;
};

struct spate_control_link {
	struct spate_ring *to_control, *from_control;
};

/* 0 or a negative errno with *why naming what it was about (a directory), or NULL. */
int spate_control_create(struct spate_control **out, const struct spate_control_setup *setup,
			 const char **why);
/*
 * False: a file system hangs, and the kernel may yet write into the cache: leave that as it is.
 * What control itself needs for it, it leaves too.
 */
bool spate_control_finish(struct spate_control *ctl);
void spate_control_destroy(struct spate_control *ctl);

struct spate_control_link spate_control_link(struct spate_control *ctl, unsigned worker);
struct spate_stats *spate_control_stats(struct spate_control *ctl);

/* As create; on failure everything stays as it was. */
int spate_control_config(struct spate_control *ctl, const struct spate_config *cfg,
			 const char **why);

/* ptr: SPATE_MSG_CONFIG's. Goes out at the end of this turn, or now when the loop does not run. */
void spate_control_tell(struct spate_control *ctl, enum spate_msg_type type, const void *ptr);

/* NULL: the configuration asks for no torrents. */
struct spate_publisher;
struct spate_publisher *spate_control_publisher(struct spate_control *ctl);

/* Takes one object out of the cache, also one that is on its way in. */
bool spate_control_purge(struct spate_control *ctl, const struct spate_key *key);

#endif

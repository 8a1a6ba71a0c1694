/*
 * thread.h: hashing beside the loop, and what else would hold it up: one thread, one job at a time,
 * in the order they were given.
 *
 *   spate_hash_thread_create(&t, loop, cache)
 *   spate_hash_thread_submit(t, &job)      the caller holds job->object and leaves job alone
 *   job->work(job)                         on the hash thread; NULL: job->object is hashed
 *   job->done(job)                         on the loop's thread; job->rc, job->out
 *   spate_hash_thread_destroy(t)           jobs given are finished first; done is called for none
 *
 * The loop would stand still for 2 ms a MiB otherwise. The thread has a low priority: viewers
 * first.
 */
#ifndef SPATE_TORRENT_THREAD_H
#define SPATE_TORRENT_THREAD_H

#include "control/loop.h"
#include "control/torrent/hash.h"
#include "spate/cache.h"

struct spate_hash_thread;

struct spate_hash_job {
	struct spate_post post;
	struct spate_hash_job *next;
	int (*work)(struct spate_hash_job *job); /* what it returns is rc */
	struct spate_hasher *hasher;             /* nobody else's until done */
	struct spate_object *object;             /* complete, held */
	bool pad;                                /* see spate_hasher_file */
	struct spate_hashed_file out;
	int rc;
	void (*done)(struct spate_hash_job *job);
};

/* 0, -ENOMEM, or a negative errno of pthread_create. */
int spate_hash_thread_create(struct spate_hash_thread **out, struct spate_loop *l,
			     struct spate_cache *c);
void spate_hash_thread_destroy(struct spate_hash_thread *t);
void spate_hash_thread_submit(struct spate_hash_thread *t, struct spate_hash_job *job);

#endif

/*
 * fill_rig.h: fills without workers: a loop, a small cache, and an origin that is a directory or a
 * script on a thread behind a loopback port. Replies are recorded; the test turns the loop until
 * they are there.
 */
#ifndef FILL_RIG_H
#define FILL_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "control/origin/dns.h"
#include "control/origin/fill.h"
#include "dataplane/cache/write.h"

#define RIG_MISSES 64

struct rig_miss {
	struct spate_miss miss; /* first */
	bool replied;
	enum spate_fetch_verdict verdict;
	struct spate_object *object; /* held until rig_taken() */
};

struct rig {
	struct spate_fill_env env; /* first */
	struct spate_fills *fills;
	struct spate_stats stats;
	struct rig_miss miss[RIG_MISSES];
	unsigned misses;
	_Atomic unsigned replies, progress;

	/* the scripted origin */
	void (*script)(struct rig *r);
	pthread_t thread;
	int listener;
	uint16_t port;
	_Atomic unsigned requests, connections;
	_Atomic bool gate;  /* a script may wait for the test to open it */
	char request[8192]; /* the last one read */
};

/*
 * script NULL: dir is the origin. Limits are short but not so short that a busy host could trip on
 * them.
 */
void rig_open(struct rig *r, void (*script)(struct rig *r), const char *dir);
void rig_close(struct rig *r);

/* Posts one miss; stale as a worker would pass it. */
struct rig_miss *rig_fetch(struct rig *r, const char *url, struct spate_object *stale);
void rig_until_replies(struct rig *r, unsigned n);
void rig_until_idle(struct rig *r); /* no fill is left */
void rig_taken(struct rig *r, struct rig_miss *m);
void rig_expire(struct spate_object *o); /* as if its freshness had run out just now */
struct spate_object *rig_lookup(struct rig *r, const char *url);
void rig_assert_body(struct rig *r, struct spate_object *o, const void *body, size_t len);
uint64_t rig_count(_Atomic uint64_t *counter);

/* for scripts, on the origin's thread */
int rig_accept(struct rig *r);
bool rig_read_request(struct rig *r, int fd); /* false: the peer closed */
void rig_send(int fd, const char *text);
void rig_send_n(int fd, const void *p, size_t n);
void rig_wait_gate(struct rig *r);

#endif

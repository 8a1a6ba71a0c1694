#include "control/torrent/thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define IOVS 32
#define NICE 10

struct spate_hash_thread {
	struct spate_loop *loop;
	struct spate_cache *cache;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct spate_hash_job *first, **end; /* under lock */
	bool stop;                           /* under lock */
};

static int hash_object(struct spate_hash_thread *t, struct spate_hash_job *job)
{
	uint64_t len = atomic_load_explicit(&job->object->size, memory_order_acquire);
	struct iovec iov[IOVS];

	for (uint64_t at = 0, got; at < len; at += got) {
		unsigned n;

		got = spate_object_iov(t->cache, job->object, at, len - at, iov, IOVS, &n);
		if (got == 0)
			return -EIO;
		for (unsigned i = 0; i < n; i++)
			if (spate_hasher_add(job->hasher, iov[i].iov_base, iov[i].iov_len) < 0)
				return -ENOMEM;
	}
	return spate_hasher_file(job->hasher, job->pad, &job->out);
}

static void on_done(struct spate_post *p)
{
	struct spate_hash_job *job =
		(struct spate_hash_job *)((char *)p - offsetof(struct spate_hash_job, post));

	job->done(job);
}

static void *run(void *arg)
{
	struct spate_hash_thread *t = arg;

	setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	pthread_mutex_lock(&t->lock);
	for (;;) {
		struct spate_hash_job *job = t->first;

		if (job == NULL) {
			if (t->stop)
				break;
			pthread_cond_wait(&t->more, &t->lock);
			continue;
		}
		t->first = job->next;
		if (t->first == NULL)
			t->end = &t->first;
		pthread_mutex_unlock(&t->lock);
		job->rc = job->work != NULL ? job->work(job) : hash_object(t, job);
		spate_loop_post(t->loop, &job->post, on_done);
		pthread_mutex_lock(&t->lock);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

void spate_hash_thread_submit(struct spate_hash_thread *t, struct spate_hash_job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&t->lock);
	*t->end = job;
	t->end = &job->next;
	pthread_cond_signal(&t->more);
	pthread_mutex_unlock(&t->lock);
}

int spate_hash_thread_create(struct spate_hash_thread **out, struct spate_loop *l,
			     struct spate_cache *c)
{
	struct spate_hash_thread *t = calloc(1, sizeof(*t));
	sigset_t all, old;
	int rc;

	if (t == NULL)
		return -ENOMEM;
	t->loop = l;
	t->cache = c;
	t->end = &t->first;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->more, NULL);
	sigfillset(&all); /* signals are the main thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = -pthread_create(&t->thread, NULL, run, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc < 0) {
		free(t);
		return rc;
	}
	pthread_setname_np(t->thread, "spate-hash");
	*out = t;
	return 0;
}

void spate_hash_thread_destroy(struct spate_hash_thread *t)
{
	if (t == NULL)
		return;
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_signal(&t->more);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	pthread_cond_destroy(&t->more);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

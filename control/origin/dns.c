/*
 * dns.c: a list of names on the loop's side, a queue of jobs on the threads'.
 *
 *     loop                                   threads
 *     name {waiting, addrs, until} ──job──►  getaddrinfo
 *                                  ◄─post──
 *
 * The queue outlives whoever leaves first: getaddrinfo can't be interrupted, so destroy does not
 * join.
 */
#include "control/origin/dns.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_KEPT 64
#define THREADS    4 /* so many names may hang before others wait for them */

struct job {
	struct spate_post post;
	struct job *next;
	struct spate_dns *dns;
	struct name *name;
	int error;
	unsigned n;
	struct spate_dns_addr addrs[SPATE_DNS_ADDRS];
	char host[];
};

/* Shared by loop and threads, freed by the last. */
struct queue {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct job *head, **end;
	struct spate_loop *loop; /* NULL: destroyed */
	unsigned refs;
};

struct name {
	struct name *next;
	struct spate_op soon; /* delivers an answer that is known already */
	struct spate_dns *dns;
	struct spate_dns_query *waiting;
	uint64_t until_us;
	bool asking; /* a thread has it */
	uint16_t port;
	int error;
	unsigned n;
	struct spate_dns_addr addrs[SPATE_DNS_ADDRS];
	char host[];
};

struct spate_dns {
	struct spate_loop *loop;
	struct queue *queue;
	struct name *names;
	unsigned count;
};

/* --- the threads --- */

static void queue_unref(struct queue *q)
{
	bool last;

	pthread_mutex_lock(&q->lock);
	last = --q->refs == 0;
	pthread_mutex_unlock(&q->lock);
	if (!last)
		return;
	while (q->head != NULL) {
		struct job *j = q->head;

		q->head = j->next;
		free(j);
	}
	pthread_cond_destroy(&q->more);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

/* Families alternate, as RFC 8305 section 4 asks, each in the order of getaddrinfo (RFC 6724). */
static unsigned interleave(const struct addrinfo *list, struct spate_dns_addr *out)
{
	const struct addrinfo *a = list, *b = list;
	int first = list == NULL ? 0 : list->ai_family;
	unsigned n = 0;

	while ((a != NULL || b != NULL) && n < SPATE_DNS_ADDRS) {
		while (a != NULL && a->ai_family != first)
			a = a->ai_next;
		while (b != NULL && b->ai_family == first)
			b = b->ai_next;
		if (a != NULL) {
			memcpy(&out[n].sa, a->ai_addr, a->ai_addrlen);
			out[n++].len = a->ai_addrlen;
			a = a->ai_next;
		}
		if (b != NULL && n < SPATE_DNS_ADDRS) {
			memcpy(&out[n].sa, b->ai_addr, b->ai_addrlen);
			out[n++].len = b->ai_addrlen;
			b = b->ai_next;
		}
	}
	return n;
}

static int resolve(const char *host, int flags, struct spate_dns_addr *out, unsigned *n)
{
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
	struct addrinfo *list = NULL;
	int error = getaddrinfo(host, NULL, &hints, &list);

	*n = 0;
	if (error != 0)
		return error;
	*n = interleave(list, out);
	freeaddrinfo(list);
	return *n == 0 ? EAI_NONAME : 0;
}

static void on_job(struct spate_post *p);

static void *thread(void *arg)
{
	struct queue *q = arg;
	struct job *j;

	pthread_mutex_lock(&q->lock);
	for (;;) {
		while (q->head == NULL && q->loop != NULL)
			pthread_cond_wait(&q->more, &q->lock);
		if (q->loop == NULL)
			break;
		j = q->head;
		q->head = j->next;
		if (q->head == NULL)
			q->end = &q->head;
		pthread_mutex_unlock(&q->lock);
		j->error = resolve(j->host, AI_ADDRCONFIG, j->addrs, &j->n);
		pthread_mutex_lock(&q->lock);
		if (q->loop == NULL) {
			free(j);
			break;
		}
		spate_loop_post(q->loop, &j->post, on_job);
	}
	pthread_mutex_unlock(&q->lock);
	queue_unref(q);
	return NULL;
}

/* --- the loop's side --- */

static void set_port(struct spate_dns_addr *a, uint16_t port)
{
	if (a->sa.ss_family == AF_INET)
		((struct sockaddr_in *)&a->sa)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)&a->sa)->sin6_port = htons(port);
}

static void answer(struct name *m)
{
	while (m->waiting != NULL) {
		struct spate_dns_query *q = m->waiting;

		spate_dns_drop(m->dns, q);
		q->fn(q, m->error, m->addrs, m->n);
	}
}

static void on_soon(struct spate_op *op, int res, unsigned flags)
{
	answer((struct name *)((char *)op - offsetof(struct name, soon)));
}

static bool no_answer(int error)
{
	return error == EAI_AGAIN || error == EAI_FAIL || error == EAI_SYSTEM ||
	       error == EAI_MEMORY;
}

static void on_job(struct spate_post *p)
{
	struct job *j = (struct job *)p;
	struct name *m = j->name;

	m->asking = false;
	m->until_us = spate_loop_now_us(m->dns->loop) +
		      1000ull * (j->error == 0 ? SPATE_DNS_KEEP_MS : SPATE_DNS_FAILED_MS);
	/* No answer is no answer: the old one stands in for it (RFC 8767). */
	if (m->n == 0 || !no_answer(j->error)) {
		m->error = j->error;
		m->n = j->n;
		memcpy(m->addrs, j->addrs, sizeof(m->addrs));
		for (unsigned i = 0; i < m->n; i++)
			set_port(&m->addrs[i], m->port);
	}
	free(j);
	answer(m);
}

static struct name *find(struct spate_dns *d, const char *host, uint16_t port)
{
	struct name *m;
	size_t len = strlen(host) + 1;

	for (m = d->names; m != NULL; m = m->next)
		if (m->port == port && strcmp(m->host, host) == 0)
			return m;
	if (d->count >= NAMES_KEPT) /* names come from the configuration; so this is only a brake */
		for (struct name **p = &d->names; *p != NULL; p = &(*p)->next)
			if (!(*p)->asking && !(*p)->soon.busy && (*p)->waiting == NULL) {
				m = *p;
				*p = m->next;
				free(m);
				d->count--;
				break;
			}
	m = calloc(1, sizeof(*m) + len);
	if (m == NULL)
		return NULL;
	memcpy(m->host, host, len);
	m->port = port;
	m->dns = d;
	if (resolve(host, AI_NUMERICHOST, m->addrs, &m->n) == 0) {
		for (unsigned i = 0; i < m->n; i++)
			set_port(&m->addrs[i], port);
		m->until_us = UINT64_MAX;
	}
	m->next = d->names;
	d->names = m;
	d->count++;
	return m;
}

int spate_dns_ask(struct spate_dns *d, struct spate_dns_query *q, const char *host, uint16_t port,
		  void (*fn)(struct spate_dns_query *q, int error,
			     const struct spate_dns_addr *addrs, unsigned n))
{
	struct name *m = find(d, host, port);
	size_t len = strlen(host) + 1;
	struct job *j;

	assert(q->prev == NULL);
	if (m == NULL)
		return -ENOMEM;
	if (m->until_us > spate_loop_now_us(d->loop)) {
		if (!m->soon.busy)
			spate_loop_defer(d->loop, &m->soon, 0, on_soon);
	} else if (!m->asking) {
		j = calloc(1, sizeof(*j) + len);
		if (j == NULL)
			return -ENOMEM;
		j->dns = d;
		j->name = m;
		memcpy(j->host, host, len);
		m->asking = true;
		pthread_mutex_lock(&d->queue->lock);
		*d->queue->end = j;
		d->queue->end = &j->next;
		pthread_cond_signal(&d->queue->more);
		pthread_mutex_unlock(&d->queue->lock);
	}
	q->fn = fn;
	q->next = m->waiting;
	if (q->next != NULL)
		q->next->prev = &q->next;
	q->prev = &m->waiting;
	m->waiting = q;
	return 0;
}

void spate_dns_drop(struct spate_dns *d, struct spate_dns_query *q)
{
	if (q->prev == NULL)
		return;
	*q->prev = q->next;
	if (q->next != NULL)
		q->next->prev = q->prev;
	q->prev = NULL;
	q->next = NULL;
}

int spate_dns_create(struct spate_dns **out, struct spate_loop *l)
{
	struct spate_dns *d = calloc(1, sizeof(*d));
	struct queue *q = calloc(1, sizeof(*q));
	sigset_t all, old;
	pthread_t th[THREADS];
	unsigned n = 0;
	int rc = -ENOMEM;

	if (d == NULL || q == NULL)
		goto fail;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->more, NULL);
	q->end = &q->head;
	q->loop = l;
	d->loop = l;
	d->queue = q;
	sigfillset(&all); /* signals belong to the main thread */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_mutex_lock(&q->lock); /* none goes before all are counted */
	do
		rc = -pthread_create(&th[n], NULL, thread, q);
	while (rc == 0 && ++n < THREADS);
	q->refs = 1 + n;
	pthread_mutex_unlock(&q->lock);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (n == 0) /* fewer will do */
		goto fail;
	for (unsigned i = 0; i < n; i++)
		pthread_detach(th[i]);
	*out = d;
	return 0;

fail:
	free(q);
	free(d);
	return rc;
}

void spate_dns_destroy(struct spate_dns *d)
{
	if (d == NULL)
		return;
	pthread_mutex_lock(&d->queue->lock);
	d->queue->loop = NULL;
	pthread_cond_broadcast(&d->queue->more);
	pthread_mutex_unlock(&d->queue->lock);
	queue_unref(d->queue);
	/*
	 * An answer posted but not run yet still points at its name: let it run while names are
	 * there.
	 */
	spate_loop_turn(d->loop, 0);
	while (d->names != NULL) {
		struct name *m = d->names;

		d->names = m->next;
		assert(m->waiting == NULL);
		free(m);
	}
	free(d);
}

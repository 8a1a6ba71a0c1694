/*
 * conn.c: connections kept alive between exchanges. Nothing is in flight on an idle one, so taking
 * it needs no cancel: whether the origin has closed it meanwhile is asked when it is taken.
 */
#include "control/origin/origin.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

static void unlink_idle(struct spate_conn *c)
{
	if (c->prev == NULL)
		return;
	*c->prev = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	c->prev = NULL;
	c->origin->idle_count--;
	spate_loop_timer_stop(c->origin->loop, &c->idle);
}

bool spate_conn_readable(const struct spate_conn *c)
{
	char byte;
	ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n >= 0 || (errno != EAGAIN && errno != EINTR);
}

struct spate_conn *spate_conn_create(struct spate_origin *o, int fd)
{
	struct spate_conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->origin = spate_origin_ref(o);
	c->fd = fd;
	return c;
}

void spate_conn_close(struct spate_conn *c)
{
	unlink_idle(c);
	spate_loop_close(c->origin->loop, c->fd);
	spate_origin_unref(c->origin);
	free(c);
}

static struct spate_conn *pop(struct spate_origin *o)
{
	struct spate_conn *c = o->idle;

	if (c == NULL)
		return NULL;
	o->idle = c->next;
	if (c->next != NULL)
		c->next->prev = &o->idle;
	c->prev = NULL;
	o->idle_count--;
	spate_loop_timer_stop(o->loop, &c->idle);
	return c;
}

struct spate_conn *spate_conn_take(struct spate_origin *o)
{
	struct spate_conn *c;

	while ((c = pop(o)) != NULL && spate_conn_readable(c))
		spate_conn_close(c);
	return c;
}

static void on_idle(struct spate_timer *t)
{
	spate_conn_close((struct spate_conn *)((char *)t - offsetof(struct spate_conn, idle)));
}

void spate_conn_keep(struct spate_conn *c)
{
	struct spate_origin *o = c->origin;

	if (o->retired || o->idle_count >= o->idle_max) {
		spate_conn_close(c);
		return;
	}
	c->next = o->idle;
	if (c->next != NULL)
		c->next->prev = &c->next;
	c->prev = &o->idle;
	o->idle = c;
	o->idle_count++;
	spate_loop_timer(o->loop, &c->idle, SPATE_ORIGIN_IDLE_MS, on_idle);
}

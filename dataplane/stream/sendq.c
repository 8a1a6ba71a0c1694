/*
 * sendq.c: a singly linked list of nodes, oldest first.
 *
 *   base                                                        end
 *    | bytes "HTTP/1.1 200 ..." | object 7 [0, 65536) | bytes ... |
 *    head                                                   tail
 *
 * A node knows its own stream offset, so a reader that starts in the middle (TCP sending new data
 * while old data is unacknowledged) walks from the node it used last time, not from the head.
 */
#include "dataplane/stream/sendq.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "dataplane/util/pool.h"

struct spate_sendq_node {
	struct spate_sendq_node *next;
	uint64_t at;                 /* stream offset of its first byte */
	uint64_t len;                /* bytes */
	struct spate_object *object; /* NULL: the bytes are in data[] */
	uint64_t off;                /* in the object */
	uint8_t data[];
};

#define BYTES_ROOM (SPATE_SENDQ_NODE_BYTES - sizeof(struct spate_sendq_node))

static_assert(sizeof(struct spate_sendq_node) <= 64, "a range node fits its pool");

void spate_sendq_init(struct spate_sendq *q)
{
	*q = (struct spate_sendq){0};
}

static void append(struct spate_sendq *q, struct spate_sendq_node *n)
{
	n->next = NULL;
	n->at = q->end;
	q->end += n->len;
	if (q->tail != NULL)
		q->tail->next = n;
	else
		q->head = q->cursor = n;
	q->tail = n;
	q->count++;
}

int spate_sendq_bytes(struct spate_sendq_env *e, struct spate_sendq *q, const void *p, size_t n)
{
	const uint8_t *from = p;
	struct spate_sendq_node *t = q->tail;
	struct spate_sendq_node *made = NULL, **link = &made;
	size_t room = t != NULL && t->object == NULL ? BYTES_ROOM - t->len : 0;

	if (room > n)
		room = n;
	/* All nodes first, so that failing queues nothing. */
	for (size_t left = n - room; left > 0;) {
		struct spate_sendq_node *m = spate_pool_get(e->bytes_pool);

		if (m == NULL) {
			while (made != NULL) {
				m = made;
				made = m->next;
				spate_pool_put(e->bytes_pool, m);
			}
			return -ENOMEM;
		}
		m->next = NULL;
		*link = m;
		link = &m->next;
		left -= left < BYTES_ROOM ? left : BYTES_ROOM;
	}
	if (room > 0) {
		memcpy(t->data + t->len, from, room);
		t->len += room;
		q->end += room;
		from += room;
		n -= room;
	}
	while (n > 0) {
		struct spate_sendq_node *m = made;

		assert(m != NULL);
		made = m->next;
		m->len = n < BYTES_ROOM ? n : BYTES_ROOM;
		m->object = NULL;
		m->off = 0;
		memcpy(m->data, from, m->len);
		from += m->len;
		n -= m->len;
		append(q, m);
	}
	return 0;
}

int spate_sendq_object(struct spate_sendq_env *e, struct spate_sendq *q, struct spate_object *o,
		       uint64_t off, uint64_t len)
{
	struct spate_sendq_node *n = spate_pool_get(e->range_pool);

	if (n == NULL)
		return -ENOMEM;
	n->object = o;
	n->off = off;
	n->len = len;
	append(q, n);
	return 0;
}

/* The node that holds stream offset `from`, starting at the cursor when that is not past it. */
static struct spate_sendq_node *find(struct spate_sendq *q, uint64_t from)
{
	struct spate_sendq_node *n =
		q->cursor != NULL && q->cursor->at <= from ? q->cursor : q->head;

	while (n != NULL && from >= n->at + n->len)
		n = n->next;
	return n;
}

uint64_t spate_sendq_iov(struct spate_sendq_env *e, struct spate_sendq *q, uint64_t from,
			 uint64_t len, struct iovec *iov, unsigned max, unsigned *n,
			 enum spate_sendq_stop *stop, struct spate_object **dry, uint64_t *dry_off)
{
	struct spate_sendq_node *at = find(q, from);
	uint64_t done = 0;
	unsigned used = 0;

	*stop = SPATE_SENDQ_ENOUGH;
	*dry = NULL;
	*dry_off = 0;
	while (done < len && used < max) {
		if (at == NULL) {
			*stop = SPATE_SENDQ_END;
			break;
		}
		uint64_t skip = from + done - at->at;
		uint64_t want = at->len - skip;

		q->cursor = at;
		if (want > len - done)
			want = len - done;
		if (at->object == NULL) {
			iov[used++] = (struct iovec){at->data + skip, want};
			done += want;
		} else {
			unsigned m = 0;
			uint64_t got = spate_object_iov(e->cache, at->object, at->off + skip, want,
							iov + used, max - used, &m);

			used += m;
			done += got;
			if (got < want && used < max) {
				bool failed = atomic_load_explicit(&at->object->state,
								   memory_order_acquire) ==
					      SPATE_OBJECT_FAILED;

				*stop = failed ? SPATE_SENDQ_FAILED : SPATE_SENDQ_DRY;
				*dry = at->object;
				*dry_off = at->off + skip + got;
				break;
			}
			if (got < want)
				break;
		}
		if (from + done >= at->at + at->len)
			at = at->next;
	}
	if (*stop == SPATE_SENDQ_ENOUGH && done < len && at == NULL)
		*stop = SPATE_SENDQ_END;
	*n = used;
	return done;
}

void spate_sendq_gift(struct spate_sendq *q, uint64_t from, uint64_t len)
{
	for (struct spate_sendq_node *n = find(q, from); n != NULL && n->at < from + len;
	     n = n->next)
		if (n->object != NULL)
			spate_object_gift(n->object);
}

bool spate_sendq_dry(const struct spate_sendq_env *e, const struct spate_sendq *q)
{
	const struct spate_sendq_node *n = q->head;

	return n != NULL && n->object != NULL &&
	       spate_object_ready(e->cache, n->object, n->off + (q->base - n->at)) == 0;
}

static void drop_head(struct spate_sendq_env *e, struct spate_sendq *q)
{
	struct spate_sendq_node *n = q->head;

	q->head = n->next;
	if (q->head == NULL)
		q->tail = NULL;
	if (q->cursor == n)
		q->cursor = q->head;
	q->count--;
	if (n->object != NULL) {
		spate_cache_unpin(e->cache, e->reader, n->object);
		spate_pool_put(e->range_pool, n);
	} else {
		spate_pool_put(e->bytes_pool, n);
	}
}

void spate_sendq_release(struct spate_sendq_env *e, struct spate_sendq *q, uint64_t upto)
{
	assert(upto <= q->end);
	while (q->head != NULL && q->head->at + q->head->len <= upto)
		drop_head(e, q);
	if (upto > q->base)
		q->base = upto;
}

void spate_sendq_clear(struct spate_sendq_env *e, struct spate_sendq *q)
{
	while (q->head != NULL)
		drop_head(e, q);
	q->base = q->end;
}

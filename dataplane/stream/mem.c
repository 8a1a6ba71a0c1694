/* mem.c: a stream whose other end is a test. No limits and no speed: what is tested sits above. */
#include "dataplane/stream/mem.h"

#include <stdlib.h>
#include <string.h>

static void op_kick(struct spate_stream *s)
{
	(void)s; /* bytes leave when the test takes them */
}

static void op_resume(struct spate_stream *s)
{
	((struct spate_stream_mem *)s)->paused =
		false; /* delivered with the next call from the test */
}

static void op_finish(struct spate_stream *s)
{
	((struct spate_stream_mem *)s)->finish = true;
}

static void op_abort(struct spate_stream *s)
{
	((struct spate_stream_mem *)s)->aborted = true;
}

static void op_timer(struct spate_stream *s, uint32_t ms)
{
	((struct spate_stream_mem *)s)->timer_ms = ms;
}

static const struct spate_stream_ops mem_ops = {
	.name = "memory",
	.kick = op_kick,
	.resume = op_resume,
	.finish = op_finish,
	.abort = op_abort,
	.timer = op_timer,
};

static void end(struct spate_stream_mem *m, enum spate_close_why why)
{
	if (m->closed)
		return;
	m->closed = true;
	m->why = why;
	m->s.app->closed(&m->s, why);
	spate_watch_del(&m->watch);
	spate_sendq_clear(&m->s.worker->sendq, &m->s.out);
}

static void settle(struct spate_stream_mem *m)
{
	if (m->aborted)
		end(m, SPATE_CLOSE_ABORTED);
	else if (m->fin && m->eof)
		end(m, SPATE_CLOSE_DONE);
}

static void tell_ahead(struct spate_stream_mem *m)
{
	const struct spate_stream_mem_setup *setup = m->s.worker->backend;
	struct spate_stream_ahead a = {&m->s, m->in, m->in_len};

	m->s.worker->burst++;
	if (setup->ahead && m->s.app->ahead != NULL)
		m->s.app->ahead(&a, 1);
}

static void deliver(struct spate_stream_mem *m)
{
	while (!m->closed && !m->aborted && !m->paused && m->in_len > 0) {
		tell_ahead(m);

		size_t n = m->s.app->recv(&m->s, m->in, m->in_len);

		m->paused = n < m->in_len;
		memmove(m->in, m->in + n, m->in_len - n);
		m->in_len -= n;
	}
	if (m->eof && !m->eof_told && m->in_len == 0 && !m->closed && !m->aborted) {
		m->eof_told = true;
		m->s.app->eof(&m->s);
	}
	settle(m);
}

struct spate_stream_mem *spate_stream_mem_connect(struct spate_worker *w)
{
	const struct spate_stream_mem_setup *setup = w->backend;
	struct spate_stream_mem *m = calloc(1, sizeof(*m));

	if (m == NULL)
		abort();
	m->s.ops = &mem_ops;
	m->s.worker = w;
	spate_sendq_init(&m->s.out);
	if (setup->listener.accept(&m->s, setup->listener.ctx))
		return m;
	free(m);
	return NULL;
}

void spate_stream_mem_send(struct spate_stream_mem *m, const void *p, size_t n)
{
	m->in = realloc(m->in, m->in_len + n + 1);
	if (m->in == NULL)
		abort();
	memcpy(m->in + m->in_len, p, n);
	m->in_len += n;
	deliver(m);
}

static void undry(struct spate_watch *w)
{
	(void)w; /* the test takes again */
}

void spate_stream_mem_take(struct spate_stream_mem *m, size_t limit)
{
	struct spate_sendq *q = &m->s.out;

	deliver(m);
	while (!m->closed && limit > 0 && q->base < q->end) {
		enum spate_sendq_stop stop;
		struct spate_object *dry;
		struct iovec iov[8];
		uint64_t off;
		unsigned n;
		bool was_full = spate_sendq_full(q);
		uint64_t got = spate_sendq_iov(&m->s.worker->sendq, q, q->base, limit, iov, 8, &n,
					       &stop, &dry, &off);

		if (stop == SPATE_SENDQ_FAILED && got == 0) {
			end(m, SPATE_CLOSE_SHORT);
			return;
		}
		if (got == 0) {
			if (spate_watch_add(&m->s.worker->watch, &m->watch, dry, off, undry))
				break;
			continue;
		}
		m->out = realloc(m->out, m->out_len + got + 1);
		if (m->out == NULL)
			abort();
		for (unsigned i = 0; i < n; i++) {
			memcpy(m->out + m->out_len, iov[i].iov_base, iov[i].iov_len);
			m->out_len += iov[i].iov_len;
		}
		m->out[m->out_len] = 0;
		limit -= got;
		spate_sendq_release(&m->s.worker->sendq, q, q->base + got);
		if (q->base == q->end)
			m->s.app->drained(&m->s);
		else if (was_full && !spate_sendq_full(q))
			m->s.app->room(&m->s);
		deliver(m);
	}
	if (!m->closed && m->finish && q->base == q->end)
		m->fin = true;
	settle(m);
}

void spate_stream_mem_eof(struct spate_stream_mem *m)
{
	m->eof = true;
	deliver(m);
}

void spate_stream_mem_timeout(struct spate_stream_mem *m)
{
	m->timer_ms = 0;
	m->s.app->timeout(&m->s);
	settle(m);
}

void spate_stream_mem_close(struct spate_stream_mem *m)
{
	end(m, SPATE_CLOSE_RESET);
	free(m->in);
	free(m->out);
	free(m);
}

/* --- datagrams --- */

struct asked {
	struct spate_dgram d; /* first */
	uint8_t *answer;
	size_t len;
};

static uint8_t *dgram_reply(struct spate_dgram *d)
{
	return ((struct asked *)d)->answer;
}

static void dgram_send(struct spate_dgram *d, size_t len)
{
	((struct asked *)d)->len = len;
}

static const struct spate_dgram_ops mem_dgram_ops = {.reply = dgram_reply, .send = dgram_send};

size_t spate_dgram_mem_ask(struct spate_worker *w, const struct spate_dgram_listener *l,
			   const struct spate_addr *peer, const struct spate_addr *local,
			   const void *data, size_t len, uint8_t *answer)
{
	struct asked a = {
		.d = {.ops = &mem_dgram_ops,
		      .worker = w,
		      .ctx = l->ctx,
		      .peer = *peer,
		      .local = *local},
		.answer = answer,
	};

	l->app->recv(&a.d, data, len);
	return a.len;
}

/* --- the backend: nothing happens by itself --- */

static int mem_open(struct spate_worker *w, const void *setup, const char **why)
{
	(void)why;
	w->backend = (void *)(uintptr_t)setup;
	return 0;
}

static void mem_turn(struct spate_worker *w, uint32_t wait_us)
{
	(void)w;
	(void)wait_us;
}

static void mem_nothing(struct spate_worker *w)
{
	(void)w;
}

static void mem_close(struct spate_worker *w)
{
	w->backend = NULL;
}

const struct spate_backend_ops spate_stream_mem_backend = {
	.name = "memory",
	.open = mem_open,
	.turn = mem_turn,
	.flush = mem_nothing,
	.drain = mem_nothing,
	.close = mem_close,
};

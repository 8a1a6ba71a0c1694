/*
 * access.c: one record into the worker's log ring for each answer, once its last byte was taken
 * over or the connection is gone. Text is raw from the wire; control escapes and formats it.
 */
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "dataplane/http/conn_impl.h"

static int64_t wall_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts); /* vDSO, no system call */
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* nginx's number for it; no viewer ever sees it. */
#define LEFT 499

void spate_http_log_left(struct spate_http_exchange *x)
{
	x->status = LEFT;
	x->cache = SPATE_LOG_MISS;
	x->body_at = x->end = UINT64_MAX;
}

void spate_http_log(struct spate_http_conn *c, struct spate_http_exchange *x, uint64_t sent)
{
	struct spate_worker *w = c->s->worker;
	uint64_t took = w->now_us - x->start_us;
	struct spate_log_record *rec;
	size_t n = 0;

	for (unsigned i = 0; i < SPATE_HTTP_TEXTS; i++)
		n += x->text_len[i];
	rec = w->log != NULL ? spate_log_ring_claim(w->log, (uint16_t)(sizeof(*rec) + n)) : NULL;
	if (rec == NULL) {
		SPATE_COUNT(w->stats, log_dropped);
		return;
	}
	if (sent > x->end)
		sent = x->end;
	rec->cache = x->cache;
	rec->method = x->method;
	rec->status = x->status;
	rec->http_minor = x->minor;
	rec->complete = sent == x->end;
	rec->start_us = wall_us() - (int64_t)took;
	rec->duration_us = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
	rec->origin_us = x->miss.origin_us;
	rec->body_bytes = sent > x->body_at ? sent - x->body_at : 0;
	memcpy(rec->peer_ip, c->s->peer.ip, sizeof(rec->peer_ip));
	rec->peer_port = c->s->peer.port;
	rec->url_len = x->text_len[0];
	rec->range_len = x->text_len[1];
	rec->agent_len = x->text_len[2];
	rec->referer_len = x->text_len[3];
	memcpy(rec->text, x->head, n);
	spate_log_ring_commit(w->log, rec);
}

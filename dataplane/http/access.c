/*
 * access.c: one record into the worker's log ring for each answer, once its last byte was taken
 * over or the connection is gone. Text is raw from the wire; control escapes and formats it.
 */
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "dataplane/http/conn_impl.h"

#define TEXT_MAX 2048u /* of each text */

static uint16_t cut(uint32_t len)
{
	return (uint16_t)(len < TEXT_MAX ? len : TEXT_MAX);
}

/* The first line of a head that is no request: what an operator wants to see of it. */
static struct spate_slice first_line(const struct spate_http_exchange *x)
{
	const char *end = memchr(x->head, '\n', x->head_len);
	struct spate_slice line = {x->head, end != NULL ? (uint32_t)(end - x->head) : x->head_len};

	if (line.len > 0 && line.p[line.len - 1] == '\r')
		line.len--;
	return line;
}

static int64_t wall_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts); /* vDSO, no system call */
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void spate_http_log(struct spate_http_conn *c, struct spate_http_exchange *x, uint64_t sent)
{
	struct spate_worker *w = c->s->worker;
	struct spate_http_request r = {0};
	uint64_t took = w->now_us - x->start_us;
	struct spate_log_record *rec;
	size_t n;

	if (x->parsed) {
		spate_http_request_init(&r);
		spate_http_request_parse((const uint8_t *)x->head, x->head_len,
					 &r); /* was OK before */
	} else {
		r.target = first_line(x);
	}
	const struct spate_slice text[] = {r.target, r.range, r.user_agent, r.referer};

	n = sizeof(*rec);
	for (unsigned i = 0; i < 4; i++)
		n += cut(text[i].len);
	rec = w->log != NULL ? spate_log_ring_claim(w->log, (uint16_t)n) : NULL;
	if (rec == NULL) {
		SPATE_COUNT(w->stats, log_dropped);
		return;
	}
	if (sent > x->end)
		sent = x->end;
	rec->cache = x->cache;
	rec->method = r.method;
	rec->status = x->status;
	rec->http_minor = r.minor;
	rec->complete = sent == x->end;
	rec->start_us = wall_us() - (int64_t)took;
	rec->duration_us = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
	rec->origin_us = x->miss.origin_us;
	rec->body_bytes = sent > x->body_at ? sent - x->body_at : 0;
	memcpy(rec->peer_ip, c->s->peer.ip, sizeof(rec->peer_ip));
	rec->peer_port = c->s->peer.port;
	rec->url_len = cut(text[0].len);
	rec->range_len = cut(text[1].len);
	rec->agent_len = cut(text[2].len);
	rec->referer_len = cut(text[3].len);
	char *at = rec->text;

	for (unsigned i = 0; i < 4; i++) {
		if (text[i].len > 0)
			memcpy(at, text[i].p, cut(text[i].len));
		at += cut(text[i].len);
	}
	spate_log_ring_commit(w->log, rec);
}

/*
 * source.c: the third source of fills beside HTTP and directories: what is made here, as ordinary
 * objects, so that workers do conditional requests and ranges over it as over all else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/torrent/internal.h"
#include "dataplane/http/date.h"

struct source {
	struct spate_publisher_query q; /* first */
	struct spate_publisher_answer a;
	uint64_t at, size;
	bool answered, headed;
};

static void end(struct source *s, enum spate_fetch_verdict v)
{
	free(s->a.body.p);
	spate_fill_end(spate_fill_of_source(s), v);
}

static void pump(struct source *s)
{
	struct spate_fill *f = spate_fill_of_source(s);
	struct iovec iov[16];
	unsigned n;

	while (s->at < s->size) {
		uint64_t got = spate_fill_room(f, s->size - s->at, iov, 16, &n), done = 0;

		if (got == 0)
			return; /* resume comes */
		for (unsigned i = 0; i < n; done += iov[i++].iov_len) {
			if (s->a.zeros > 0)
				memset(iov[i].iov_base, 0, iov[i].iov_len);
			else
				memcpy(iov[i].iov_base, s->a.body.p + s->at + done, iov[i].iov_len);
		}
		s->at += got;
		if (!spate_fill_filled(f, got)) {
			end(s, SPATE_FETCH_BAD_GATEWAY);
			return;
		}
	}
	end(s, SPATE_FETCH_OK);
}

static struct spate_meta *meta_of(struct source *s, int64_t now_s)
{
	const struct spate_publisher_answer *a = &s->a;
	size_t cap = 512 + (a->status == 302 ? a->body.len : 0);
	struct spate_meta *m = calloc(1, sizeof(*m) + cap);
	char date[SPATE_HTTP_DATE_LEN];
	int n;

	if (m == NULL)
		return NULL;
	n = snprintf(m->head, cap, "Content-Type: %s\r\n", a->type);
	if (a->status == 302)
		n += snprintf(m->head + n, cap - (size_t)n, "Location: %.*s\r\n", (int)a->body.len,
			      a->body.p);
	if (a->status == 503)
		n += snprintf(m->head + n, cap - (size_t)n,
			      "Retry-After: %u\r\nCache-Control: no-store\r\n", a->retry_s);
	if (a->status == 200) {
		m->etag_off = (uint16_t)(n + 6);
		m->etag_len = (uint16_t)strlen(a->etag);
		n += snprintf(m->head + n, cap - (size_t)n, "ETag: %s\r\n", a->etag);
	}
	spate_http_date_format(now_s, date);
	n += snprintf(m->head + n, cap - (size_t)n, "Date: %.*s\r\n", (int)sizeof(date), date);
	m->head_len = (uint16_t)n;
	m->status = a->status;
	m->cacheable = a->status == 200;
	m->last_modified_s = -1;
	m->date_s = m->stored_s = now_s;
	return m;
}

static bool same(const struct spate_meta *have, const struct spate_meta *now)
{
	return have != NULL && now->etag_len > 0 && have->etag_len == now->etag_len &&
	       memcmp(have->head + have->etag_off, now->head + now->etag_off, now->etag_len) == 0;
}

static void on_answer(struct spate_publisher_query *q, struct spate_publisher_answer *a)
{
	struct source *s = (struct source *)q;
	struct spate_fill *f = spate_fill_of_source(s);
	struct spate_fill_env *env = spate_fill_env(f);
	int64_t now_s = spate_loop_wall_s(env->loop);
	struct spate_fill_head h = {.share = SPATE_SHARE_NOW, .expires_s = now_s};

	s->a = *a;
	s->answered = true;
	if (a->body.failed) {
		end(s, SPATE_FETCH_BAD_GATEWAY);
		return;
	}
	h.meta = meta_of(s, now_s);
	if (h.meta == NULL) {
		end(s, SPATE_FETCH_NO_ROOM);
		return;
	}
	if (a->status == 200) {
		h.share = SPATE_SHARE_STORE;
		/* Looked at again each time: the index tells how far it is, and a torrent
		 * changes when its content does. */
		h.expires_s = now_s + (a->zeros > 0 ? 86400 : 0);
		h.not_modified = same(spate_fill_stale(f), h.meta);
	}
	s->size = a->status == 302 ? 0 : a->zeros > 0 ? a->zeros : a->body.len;
	h.size = s->size;
	s->headed = true;
	if (spate_fill_head(f, &h))
		pump(s);
	else
		end(s, h.not_modified ? SPATE_FETCH_OK : SPATE_FETCH_BAD_GATEWAY);
}

static void start(struct spate_fill *f)
{
	struct source *s = spate_fill_source(f);

	s->q.url = spate_fill_url(f, &s->q.len);
	s->q.fn = on_answer;
	spate_publisher_ask(spate_fill_env(f)->publisher, &s->q);
}

static void resume(struct spate_fill *f)
{
	struct source *s = spate_fill_source(f);

	if (s->headed)
		pump(s);
}

static void stop(struct spate_fill *f)
{
	struct source *s = spate_fill_source(f);

	spate_publisher_drop(&s->q);
	end(s, SPATE_FETCH_BAD_GATEWAY);
}

const struct spate_source_ops spate_source_torrent = {
	.name = "torrent",
	.start = start,
	.resume = resume,
	.stop = stop,
	.bytes = sizeof(struct source),
};

/*
 * serve.c: all of an edge's work above stream.h for a hit: parse, normalise, hash, look up, pin,
 * condition, head, extent; then the stream's release. One iteration is one request over a stream
 * whose backend does nothing. The argument is the number of objects asked for in turn.
 */
#include "shim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dataplane/cache/write.h"
#include "dataplane/http/conn.h"
#include "dataplane/stream/mem.h"

#define OBJECT_BYTES 1024

struct serve {
	struct spate_cache *cache;
	struct spate_ring to_control, from_control;
	struct spate_stats stats;
	struct spate_worker_config config;
	struct spate_stream_mem_setup setup;
	struct spate_worker *w;
	struct spate_stream_mem *m;
	char (*requests)[256];
	int fd;
};

static void store(struct serve *s, const char *url)
{
	static const char head[] =
		"Content-Type: video/iso.segment\r\nETag: \"65f1c0de-400\"\r\n"
		"Last-Modified: Mon, 23 Nov 2026 10:00:00 GMT\r\n"
		"Date: Mon, 23 Nov 2026 12:00:00 GMT\r\nCache-Control: max-age=3600\r\n";
	struct spate_key key = spate_key_of(url, strlen(url));
	struct spate_object *o = spate_cache_insert(s->cache, &key);
	struct spate_meta *meta = calloc(1, sizeof(*meta) + sizeof(head));
	uint64_t waiting;
	struct iovec iov;
	unsigned n;

	memcpy(meta->head, head, sizeof(head) - 1);
	meta->head_len = sizeof(head) - 1;
	meta->status = 200;
	meta->etag_off = 39;
	meta->etag_len = 14;
	meta->last_modified_s = 1795428000;
	spate_cache_publish(s->cache, o, meta, OBJECT_BYTES, INT64_MAX);
	spate_cache_room(s->cache, o, OBJECT_BYTES, &iov, 1, &n);
	spate_cache_filled(s->cache, o, OBJECT_BYTES);
	spate_cache_complete(s->cache, o, &waiting);
	spate_cache_release(s->cache, o);
}

static void *setup(int64_t objects)
{
	struct serve *s = aligned_alloc(64, (sizeof(*s) + 63) & ~(size_t)63);
	struct spate_worker_setup ws = {.cpu = -1, .backend = &spate_stream_mem_backend};
	const char *why;

	memset(s, 0, sizeof(*s));
	s->fd = eventfd(0, EFD_NONBLOCK);
	if (spate_cache_create(&s->cache, (uint64_t)objects * 2048 + (64 << 20), 1024, 1) < 0 ||
	    spate_ring_init(&s->to_control, SPATE_HTTP_RING_MIN, s->fd) < 0 ||
	    spate_ring_init(&s->from_control, SPATE_HTTP_RING_MIN, s->fd) < 0)
		abort();
	s->config = (struct spate_worker_config){
		.header_timeout_ms = 1, .idle_timeout_ms = 1, .send_timeout_ms = 1};
	s->setup.listener.accept = spate_http_accept;
	ws.cache = s->cache;
	ws.config = &s->config;
	ws.stats = &s->stats;
	ws.to_control = &s->to_control;
	ws.from_control = &s->from_control;
	ws.backend_setup = &s->setup;
	if (spate_worker_create(&s->w, &ws, &why) < 0)
		abort();
	spate_cache_online(s->cache, 0);
	s->requests = calloc((size_t)objects, sizeof(*s->requests));
	for (int64_t i = 0; i < objects; i++) {
		char url[64];

		snprintf(url, sizeof(url), "/video/1080p/%06lld.m4s", (long long)i);
		store(s, url);
		snprintf(s->requests[i], sizeof(s->requests[i]),
			 "GET %s HTTP/1.1\r\nHost: edge.example\r\nUser-Agent: Mozilla/5.0 (X11; "
			 "Linux "
			 "x86_64) AppleWebKit/537.36\r\nAccept: */*\r\nOrigin: "
			 "https://tv.example\r\n"
			 "Accept-Encoding: identity\r\n\r\n",
			 url);
	}
	s->m = spate_stream_mem_connect(s->w);
	return s;
}

static void teardown(void *ctx)
{
	struct serve *s = ctx;

	spate_stream_mem_close(s->m);
	spate_cache_offline(s->cache, 0);
	spate_worker_destroy(s->w);
	spate_ring_finish(&s->to_control);
	spate_ring_finish(&s->from_control);
	spate_cache_destroy(s->cache);
	close(s->fd);
	free(s->requests);
	free(s);
}

static void hits(void *ctx, int64_t objects, uint64_t n)
{
	struct serve *s = ctx;
	struct spate_stream *st = &s->m->s;

	for (uint64_t i = 0; i < n; i++) {
		const char *r = s->requests[(i * 7919) % (uint64_t)objects];

		st->app->recv(st, (const uint8_t *)r, strlen(r));
		spate_sendq_release(&s->w->sendq, &st->out, st->out.end);
		st->app->drained(st);
	}
	if (s->stats.http_hit == 0 || s->stats.http_miss != 0)
		abort();
	spate_bench_items(1);
}

void spate_bench_serve(void);

void spate_bench_serve(void)
{
	static const int64_t args[] = {1, 1000, 100000};
	static const struct spate_bench b = {"serve_hit", setup, hits, teardown, args, 3};

	spate_bench_add(&b);
}

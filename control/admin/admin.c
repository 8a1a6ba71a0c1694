/* admin.c: the routes. See admin.h. */
#include "control/admin/admin.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/admin/server.h"
#include "control/admin/view.h"
#include "dataplane/http/uri.h"
#include "version.h"

#define BODY_FIRST (64 * 1024)
#define BODY_MAX \
	(16 * 1024 * 1024) /* of /metrics: more than SPATE_READERS_MAX workers can need \
			    */

struct spate_admin {
	struct spate_admin_setup s;
	struct spate_server *server;
	int64_t start_s;
	uint64_t start_us; /* of the loop's clock */
	uint32_t block_bytes;
	bool draining;
};

static void view_of(const struct spate_admin *a, struct spate_view *v)
{
	*v = (struct spate_view){
		.version = SPATE_VERSION,
		.backend = a->s.backend,
		.start_s = a->start_s,
		.uptime_ms = (spate_loop_now_us(a->s.loop) - a->start_us) / 1000,
		.block_bytes = a->block_bytes,
		.draining = a->draining,
		.workers = a->s.workers,
		.nworkers = a->s.nworkers,
		.control = a->s.control,
		.config = a->s.config,
		.publisher = a->s.publisher,
	};
	spate_cache_usage(a->s.cache, &v->cache);
	for (; v->nports < a->s.nports && v->nports < SPATE_VIEW_PORTS; v->nports++)
		v->port[v->nports].name =
			a->s.port_status(a->s.ctx, v->nports, &v->port[v->nports].status);
}

/* Formats into memory that grows until it fits. */
static void formatted(const struct spate_admin *a, struct spate_response *out, const char *type,
		      void (*format)(const struct spate_view *v, struct spate_text *t))
{
	struct spate_view v;

	view_of(a, &v);
	for (size_t cap = BODY_FIRST; cap <= BODY_MAX; cap *= 4) {
		struct spate_text t = SPATE_TEXT(malloc(cap), cap);

		if (t.p == NULL)
			break;
		format(&v, &t);
		if (!t.full) {
			*out = (struct spate_response){
				.status = 200, .type = type, .body = t.p, .len = t.len};
			return;
		}
		free(t.p);
	}
	spate_response_text(out, 500, "text/plain", "out of memory\n");
}

static bool port_lost(const struct spate_admin *a)
{
	for (unsigned i = 0; i < a->s.nports && a->s.port_lost != NULL; i++)
		if (a->s.port_lost(a->s.ctx, i))
			return true;
	return false;
}

static void get_healthz(struct spate_admin *a, const struct spate_http_request *req,
			struct spate_response *out)
{
	if (a->draining)
		spate_response_text(out, 503, "text/plain", "draining\n");
	else if (port_lost(a))
		spate_response_text(out, 503, "text/plain", "a port is lost\n");
	else
		spate_response_text(out, 200, "text/plain", "ok\n");
}

static void get_metrics(struct spate_admin *a, const struct spate_http_request *req,
			struct spate_response *out)
{
	formatted(a, out, "text/plain; version=0.0.4; charset=utf-8", spate_metrics_format);
}

static void get_stat(struct spate_admin *a, const struct spate_http_request *req,
		     struct spate_response *out)
{
	formatted(a, out, "application/json", spate_stat_format);
}

static int hex(char c)
{
	c = spate_lower(c);
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The value of `name` in a query, percent-decoded into buf of at least query.len bytes; p NULL: not
 * there. */
static struct spate_slice parameter(struct spate_slice query, struct spate_slice name, char *buf)
{
	while (query.len > 0) {
		const char *amp = memchr(query.p, '&', query.len);
		uint32_t n = amp != NULL ? (uint32_t)(amp - query.p) : query.len, len = 0;
		const char *p = query.p;

		query.p += n + (amp != NULL);
		query.len -= n + (amp != NULL);
		if (n <= name.len || memcmp(p, name.p, name.len) != 0 || p[name.len] != '=')
			continue;
		for (uint32_t i = name.len + 1; i < n; i++) {
			bool esc = p[i] == '%' && i + 2 < n && hex(p[i + 1]) >= 0 &&
				   hex(p[i + 2]) >= 0;

			buf[len++] = esc ? (char)(hex(p[i + 1]) * 16 + hex(p[i + 2])) : p[i];
			i += esc ? 2 : 0;
		}
		return (struct spate_slice){buf, len};
	}
	return (struct spate_slice){0};
}

/* A whole URL loses its scheme and authority: the cache knows paths. */
static struct spate_slice path_of(struct spate_slice url)
{
	const char *sep = memmem(url.p, url.len, "://", 3), *slash;

	if (sep == NULL || url.p[0] == '/')
		return url;
	sep += 3;
	slash = memchr(sep, '/', (size_t)(url.p + url.len - sep));
	if (slash == NULL)
		return SPATE_SLICE("/");
	return spate_slice_of(slash, (size_t)(url.p + url.len - slash));
}

static void post_purge(struct spate_admin *a, const struct spate_http_request *req,
		       struct spate_response *out)
{
	char decoded[SPATE_REQUEST_LINE_MAX], buf[SPATE_URI_MAX(SPATE_REQUEST_LINE_MAX)];
	struct spate_slice url = parameter(req->query, SPATE_SLICE("url"), decoded), key_text;
	struct spate_key key;
	int n;

	if (url.len == 0 ||
	    spate_http_uri_normalise(path_of(url), buf, sizeof(buf), &key_text) != SPATE_URI_OK) {
		spate_response_text(out, 400, "application/json",
				    "{\"error\":\"say which: POST /purge?url=/path\"}\n");
		return;
	}
	key = spate_key_of(key_text.p, key_text.len);
	n = a->s.purge(a->s.ctx, &key, key_text.p, key_text.len);
	if (n < 0)
		spate_response_text(out, 500, "application/json", "{\"error\":\"%s\"}\n",
				    strerrordesc_np(-n));
	else
		spate_response_text(out, n > 0 ? 200 : 404, "application/json", "{\"purged\":%d}\n",
				    n);
}

static void post_drain(struct spate_admin *a, const struct spate_http_request *req,
		       struct spate_response *out)
{
	a->draining = true;
	a->s.drain(a->s.ctx);
	spate_response_text(out, 202, "application/json", "{\"state\":\"draining\"}\n");
}

static const struct route {
	struct spate_slice path;
	bool post;
	void (*fn)(struct spate_admin *a, const struct spate_http_request *req,
		   struct spate_response *out);
} routes[] = {
	{{"/healthz", 8}, false, get_healthz}, {{"/metrics", 8}, false, get_metrics},
	{{"/stat", 5}, false, get_stat},       {{"/purge", 6}, true, post_purge},
	{{"/drain", 6}, true, post_drain},
};

static void answer(void *ctx, const struct spate_http_request *req, struct spate_response *out)
{
	struct spate_admin *a = ctx;

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		const struct route *r = &routes[i];
		bool get = req->method == SPATE_HTTP_GET || req->method == SPATE_HTTP_HEAD;

		if (!spate_slice_eq(req->path, r->path))
			continue;
		if (r->post ? req->method != SPATE_HTTP_POST : !get) {
			out->allow = r->post ? "POST" : "GET, HEAD";
			spate_response_text(out, 405, "text/plain", "use %s\n", out->allow);
		} else if (r->post && req->origin.p != NULL) {
			spate_response_text(out, 403, "text/plain", "not from a browser\n");
		} else {
			r->fn(a, req, out);
		}
		return;
	}
	spate_response_text(out, 404, "text/plain",
			    "/healthz /metrics /stat; POST /purge?url=/path /drain\n");
}

int spate_admin_create(struct spate_admin **out, const struct spate_admin_setup *setup)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	bool v4 = memcmp(setup->ip, mapped, sizeof(mapped)) == 0;
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(setup->port)};
	struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6, .sin6_port = htons(setup->port)};
	struct spate_admin *a = calloc(1, sizeof(*a));
	struct spate_arena_info arena;
	int err;

	if (a == NULL)
		return -ENOMEM;
	a->s = *setup;
	a->start_s = time(NULL);
	a->start_us = spate_loop_now_us(setup->loop);
	spate_cache_arena(setup->cache, &arena);
	a->block_bytes = arena.block_bytes;
	memcpy(&sin.sin_addr, setup->ip + 12, 4);
	memcpy(&sin6.sin6_addr, setup->ip, 16);
	err = spate_server_open(&a->server, setup->loop,
				v4 ? (struct sockaddr *)&sin : (struct sockaddr *)&sin6,
				v4 ? sizeof(sin) : sizeof(sin6), SPATE_ADMIN_CONNS, answer, a);
	if (err != 0) {
		free(a);
		return err;
	}
	*out = a;
	return 0;
}

uint16_t spate_admin_port(const struct spate_admin *a)
{
	return spate_server_port(a->server);
}

void spate_admin_config(struct spate_admin *a, const struct spate_config *config)
{
	a->s.config = config;
}

void spate_admin_draining(struct spate_admin *a)
{
	a->draining = true;
}

void spate_admin_destroy(struct spate_admin *a)
{
	if (a == NULL)
		return;
	spate_server_close(a->server);
	free(a);
}

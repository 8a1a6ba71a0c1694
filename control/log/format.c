/* format.c: see format.h. */
#include "control/log/format.h"

#include <assert.h>
#include <string.h>

#include "dataplane/http/method.h"

static const char *const cache_names[] = {
	[SPATE_LOG_NONE] = "none",
	[SPATE_LOG_HIT] = "hit",
	[SPATE_LOG_MISS] = "miss",
	[SPATE_LOG_COALESCED] = "coalesced",
	[SPATE_LOG_REVALIDATED] = "revalidated",
	[SPATE_LOG_STALE] = "stale",
};

const char *spate_log_cache_name(unsigned cache)
{
	return cache < sizeof(cache_names) / sizeof(cache_names[0]) ? cache_names[cache] : "none";
}

/* What is printed for enum spate_http_method; a request that did not parse has none. */
static const char *method_name(unsigned method)
{
	static const char *const names[] = {
		[SPATE_HTTP_UNKNOWN] = "-",       [SPATE_HTTP_GET] = "GET",
		[SPATE_HTTP_HEAD] = "HEAD",       [SPATE_HTTP_OPTIONS] = "OPTIONS",
		[SPATE_HTTP_POST] = "POST",       [SPATE_HTTP_PUT] = "PUT",
		[SPATE_HTTP_DELETE] = "DELETE",   [SPATE_HTTP_PATCH] = "PATCH",
		[SPATE_HTTP_CONNECT] = "CONNECT", [SPATE_HTTP_TRACE] = "TRACE",
	};

	return method < sizeof(names) / sizeof(names[0]) ? names[method] : "-";
}

/* The four texts, which follow each other in rec->text. */
struct texts {
	const char *url, *range, *agent, *referer;
};

static struct texts texts_of(const struct spate_log_record *rec)
{
	const char *end = (const char *)rec + rec->bytes;
	struct texts x;

	x.url = rec->text;
	x.range = x.url + rec->url_len;
	x.agent = x.range + rec->range_len;
	x.referer = x.agent + rec->agent_len;
	assert(x.referer + rec->referer_len <= end);
	(void)end;
	return x;
}

static void json_member(struct spate_text *t, const char *key, const char *s, size_t n)
{
	if (n == 0)
		return;
	spate_text_str(t, key);
	spate_text_json(t, s, n);
}

static void format_json(const struct spate_log_record *rec, struct spate_text *t)
{
	const struct texts x = texts_of(rec);

	spate_text_lit(t, "{\"time\":\"");
	spate_text_iso(t, rec->start_us);
	spate_text_lit(t, "\",\"client\":\"");
	spate_text_ip(t, rec->peer_ip);
	spate_text_lit(t, "\",\"port\":");
	spate_text_u64(t, rec->peer_port);
	spate_text_lit(t, ",\"method\":\"");
	spate_text_str(t, method_name(rec->method));
	spate_text_lit(t, "\",\"url\":");
	spate_text_json(t, x.url, rec->url_len);
	spate_text_lit(t, ",\"http\":\"1.");
	spate_text_u64(t, rec->http_minor);
	spate_text_lit(t, "\",\"status\":");
	spate_text_u64(t, rec->status);
	spate_text_lit(t, ",\"bytes\":");
	spate_text_u64(t, rec->body_bytes);
	spate_text_lit(t, ",\"duration_us\":");
	spate_text_u64(t, rec->duration_us);
	spate_text_lit(t, ",\"cache\":\"");
	spate_text_str(t, spate_log_cache_name(rec->cache));
	spate_text_lit(t, "\",\"origin_us\":");
	spate_text_u64(t, rec->origin_us);
	spate_text_lit(t, ",\"complete\":");
	spate_text_str(t, rec->complete ? "true" : "false");
	json_member(t, ",\"range\":", x.range, rec->range_len);
	json_member(t, ",\"user_agent\":", x.agent, rec->agent_len);
	json_member(t, ",\"referer\":", x.referer, rec->referer_len);
	spate_text_lit(t, "}\n");
}

static void quoted(struct spate_text *t, const char *s, size_t n)
{
	spate_text_lit(t, "\"");
	if (n == 0)
		spate_text_lit(t, "-");
	spate_text_hex(t, s, n);
	spate_text_lit(t, "\"");
}

static void format_combined(const struct spate_log_record *rec, struct spate_text *t)
{
	const struct texts x = texts_of(rec);

	spate_text_ip(t, rec->peer_ip);
	spate_text_lit(t, " - - [");
	spate_text_clf(t, rec->start_us);
	spate_text_lit(t, "] \"");
	if (rec->url_len == 0) { /* no request line to show: nginx writes "-" too */
		spate_text_lit(t, "-");
	} else if (rec->method == SPATE_HTTP_UNKNOWN) { /* the first line of what did not parse */
		spate_text_hex(t, x.url, rec->url_len);
	} else {
		spate_text_str(t, method_name(rec->method));
		spate_text_lit(t, " ");
		spate_text_hex(t, x.url, rec->url_len);
		spate_text_lit(t, " HTTP/1.");
		spate_text_u64(t, rec->http_minor);
	}
	spate_text_lit(t, "\" ");
	spate_text_u64(t, rec->status);
	spate_text_lit(t, " ");
	spate_text_u64(t, rec->body_bytes);
	spate_text_lit(t, " ");
	quoted(t, x.referer, rec->referer_len);
	spate_text_lit(t, " ");
	quoted(t, x.agent, rec->agent_len);
	spate_text_lit(t, " ");
	spate_text_str(t, spate_log_cache_name(rec->cache));
	spate_text_lit(t, "\n");
}

bool spate_log_format(enum spate_log_format format, const struct spate_log_record *rec,
		      struct spate_text *t)
{
	size_t mark = t->len;

	if (format == SPATE_LOG_LINE_JSON)
		format_json(rec, t);
	else
		format_combined(rec, t);
	if (!t->full)
		return true;
	t->len = mark;
	t->full = false;
	return false;
}

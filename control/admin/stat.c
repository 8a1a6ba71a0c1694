/* stat.c: /stat. One JSON object; member names are the counters' own. */
#include <string.h>
#include <unistd.h>

#include "control/admin/config_json.h"
#include "control/admin/view.h"
#include "control/torrent/make.h"
#include "control/torrent/publish.h"

/* `"name":` after a comma, unless it opens the object. */
static void key(struct spate_text *t, const char *name)
{
	if (t->len > 0 && t->p[t->len - 1] != '{' && t->p[t->len - 1] != '[')
		spate_text_lit(t, ",");
	if (name == NULL)
		return;
	spate_text_json(t, name, strlen(name));
	spate_text_lit(t, ":");
}

static void num(struct spate_text *t, const char *name, uint64_t v)
{
	key(t, name);
	spate_text_u64(t, v);
}

static void str(struct spate_text *t, const char *name, const char *s)
{
	key(t, name);
	if (s == NULL)
		spate_text_lit(t, "null");
	else
		spate_text_json(t, s, strlen(s));
}

static void open_(struct spate_text *t, const char *name, const char *bracket)
{
	key(t, name);
	spate_text_str(t, bracket);
}

static void workers(const struct spate_view *v, struct spate_text *t)
{
	open_(t, "workers", "[");
	for (unsigned w = 0; w < v->nworkers; w++) {
		open_(t, NULL, "{");
		num(t, "id", w);
		for (unsigned i = 0; i < spate_counters_len; i++)
			if (spate_view_of_worker(v, &spate_counters[i]))
				num(t, spate_counters[i].name,
				    spate_view_value(v->workers[w], &spate_counters[i]));
		spate_text_lit(t, "}");
	}
	spate_text_lit(t, "]");
}

static void counters(const struct spate_view *v, struct spate_text *t)
{
	open_(t, "control", "{");
	for (unsigned i = 0; i < spate_counters_len; i++) {
		const struct spate_counter_info *c = &spate_counters[i];

		if (spate_view_of_control(c))
			num(t, c->name,
			    spate_view_of_worker(v, c) ? spate_view_value(v->control, c)
						       : spate_view_total(v, c));
	}
	spate_text_lit(t, "}");
	open_(t, "total", "{");
	for (unsigned i = 0; i < spate_counters_len; i++)
		if (spate_view_shown(v, &spate_counters[i]))
			num(t, spate_counters[i].name, spate_view_total(v, &spate_counters[i]));
	spate_text_lit(t, "}");
}

static void cache(const struct spate_view *v, struct spate_text *t)
{
	const struct spate_cache_usage *c = &v->cache;

	open_(t, "cache", "{");
	num(t, "limit_bytes", c->bytes_limit);
	num(t, "mapped_bytes", c->bytes_mapped);
	num(t, "block_bytes", v->block_bytes);
	num(t, "blocks", c->blocks);
	num(t, "blocks_used", c->blocks_used);
	num(t, "objects", c->objects);
	num(t, "objects_max", c->objects_max);
	num(t, "objects_waiting", c->objects_waiting);
	num(t, "pins", c->pins);
	num(t, "evicted", c->evicted);
	num(t, "no_room", c->no_room);
	spate_text_lit(t, "}");
}

static void ports(const struct spate_view *v, struct spate_text *t)
{
	open_(t, "ports", "[");
	for (unsigned k = 0; k < v->nports; k++) {
		const struct spate_view_port *p = &v->port[k];

		open_(t, NULL, "{");
		str(t, "name", p->name);
		num(t, "link_up", p->status.link_up);
		num(t, "mbps", p->status.mbps);
		num(t, "lost", p->status.lost);
		for (unsigned i = 0; i < spate_port_infos_len; i++)
			num(t, spate_port_infos[i].name,
			    spate_view_port_value(p, &spate_port_infos[i]));
		spate_text_lit(t, "}");
	}
	spate_text_lit(t, "]");
}

static void origins(const struct spate_config *c, struct spate_text *t)
{
	open_(t, "origins", "[");
	for (uint32_t i = 0; i < c->origins_count; i++) {
		const struct spate_config_origin *o = &c->origins[i];

		open_(t, NULL, "{");
		str(t, "match", o->match);
		str(t, o->url != NULL ? "url" : "dir", o->url != NULL ? o->url : o->dir);
		spate_text_lit(t, "}");
	}
	spate_text_lit(t, "]");
}

struct listing {
	struct spate_text *t;
	unsigned left; /* more are only counted, so that the answer stays readable */
	uint64_t n;
};

static uint64_t load(const _Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

static void torrent(struct spate_text *t, const char *name, const struct spate_made *m)
{
	open_(t, name, "{");
	key(t, "infohash");
	spate_text_lit(t, "\"");
	for (int i = 0; i < SPATE_INFOHASH_BYTES; i++)
		spate_text_f(t, "%02x", m->t.infohash[i]);
	spate_text_lit(t, "\"");
	num(t, "bytes", m->t.bytes);
	num(t, "peers", atomic_load_explicit(&m->t.refs, memory_order_relaxed));
	num(t, "sent_to_peers_bytes", load(&m->t.wire_bytes));
	if (m->t.file_url != NULL)
		num(t, "sent_as_file_bytes", load(&m->t.file_bytes));
	num(t, "swarm_seeds", atomic_load_explicit(&m->t.swarm_seeds, memory_order_relaxed));
	num(t, "swarm_leechers", atomic_load_explicit(&m->t.swarm_leechers, memory_order_relaxed));
	num(t, "swarm_completed",
	    atomic_load_explicit(&m->t.swarm_completed, memory_order_relaxed));
	spate_text_lit(t, "}");
}

static void published(void *ctx, const char *manifest, const struct spate_published *r)
{
	struct listing *l = ctx;

	l->n++;
	if (l->left == 0)
		return;
	l->left--;
	open_(l->t, NULL, "{");
	str(l->t, "manifest", manifest);
	str(l->t, "id", r->id);
	str(l->t, "state", r->state);
	num(l->t, "segments", r->segments);
	num(l->t, "hashed", r->hashed);
	if (r->v1 != NULL)
		torrent(l->t, "v1", r->v1);
	if (r->hybrid != NULL)
		torrent(l->t, "hybrid", r->hybrid);
	spate_text_lit(l->t, "}");
}

static void torrents(struct spate_publisher *p, struct spate_text *t)
{
	struct listing l = {.t = t, .left = 1000};

	open_(t, "torrents", "[");
	spate_publisher_each(p, published, &l);
	spate_text_lit(t, "]");
	num(t, "torrents_asked_for", l.n);
}

void spate_stat_format(const struct spate_view *v, struct spate_text *t)
{
	open_(t, NULL, "{");
	str(t, "version", v->version);
	str(t, "backend", v->backend);
	num(t, "pid", (uint64_t)getpid());
	key(t, "start");
	spate_text_lit(t, "\"");
	spate_text_iso(t, v->start_s * 1000000);
	spate_text_lit(t, "\"");
	key(t, "uptime_s");
	spate_text_f(t, "%u.%03u", (unsigned)(v->uptime_ms / 1000),
		     (unsigned)(v->uptime_ms % 1000));
	str(t, "state", v->draining ? "draining" : "serving");
	counters(v, t);
	workers(v, t);
	num(t, "p2p_offload_percent", spate_view_offload(v));
	cache(v, t);
	if (v->publisher != NULL)
		torrents(v->publisher, t);
	if (v->nports != 0)
		ports(v, t);
	if (v->config != NULL) {
		origins(v->config, t);
		str(t, "config_file", v->config->path);
		key(t, "config");
		spate_config_json(v->config, t);
	}
	spate_text_lit(t, "}\n");
}

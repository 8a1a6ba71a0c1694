#include "control/config/rules.h"

#include <string.h>
#include <strings.h>

#include "control/config/report.h"
#include "control/config/rules_impl.h"
#include "control/config/values.h"

const char *spate_rules_source(const struct spate_config *cfg, const char *name,
			       enum spate_param_id id)
{
	for (unsigned i = 0; cfg->overrides && i < cfg->overrides->count; i++)
		if (strcmp(cfg->overrides->set[i].path, spate_params[id].path) == 0)
			return cfg->overrides->set[i].from;
	return name;
}

static void listeners(const struct spate_config *cfg, const char *name,
		      struct spate_config_report *r)
{
	for (unsigned i = 0; i < cfg->listen_count; i++) {
		const struct spate_config_addr *a = &cfg->listen[i];

		for (unsigned j = 0; j < i; j++)
			if (a->port && a->port == cfg->listen[j].port &&
			    memcmp(a->ip, cfg->listen[j].ip, 16) == 0) {
				spate_report_error(
					r, spate_rules_source(cfg, name, SPATE_PARAM_listen),
					&a->where, "listen: \"%s\" is given twice", a->text);
				break;
			}
	}
	for (unsigned i = 0; cfg->admin_count && i < cfg->listen_count; i++)
		if (cfg->admin->port && cfg->admin->port == cfg->listen[i].port &&
		    memcmp(cfg->admin->ip, cfg->listen[i].ip, 16) == 0)
			spate_report_error(r, spate_rules_source(cfg, name, SPATE_PARAM_admin),
					   &cfg->admin->where,
					   "admin: \"%s\" is also an address to serve viewers on",
					   cfg->admin->text);
}

static void cache(const struct spate_config *cfg, const char *name, struct spate_config_report *r)
{
	uint64_t block = cfg->cache.block_bytes;

	if (block & (block - 1))
		spate_report_error(r, ROW(cache_block), "cache.block: is not a power of two");
	else if (cfg->cache.memory_bytes / block < 128)
		spate_report_error(r, ROW(cache_memory),
				   "cache.memory: holds fewer than 128 blocks of cache.block");
	if (cfg->limits.object_bytes > cfg->cache.memory_bytes)
		spate_report_error(r, ROW(limit_object),
				   "limits.object: is larger than cache.memory");
	if (*cfg->cache.disk.path && !cfg->cache.disk.size_bytes)
		spate_report_error(r, ROW(cache_disk),
				   "cache.disk: size is missing: how many bytes of %s to use",
				   cfg->cache.disk.path);
	if (!*cfg->cache.disk.path && cfg->cache.disk.size_bytes)
		spate_report_error(r, ROW(cache_disk), "cache.disk: path is missing");
}

static bool loopback(const struct spate_value_ip *ip)
{
	static const uint8_t one[16] = {[15] = 1};

	return ip->v6 ? memcmp(ip->ip, one, 16) == 0 : ip->ip[12] == 127;
}

/*
 * Would this origin be the edge itself? Every miss would ask again, until all connections are used
 * up. Only what can be seen without asking anybody: IP literals and "localhost".
 */
static bool asks_itself(const struct spate_config *cfg, const struct spate_config_origin *o)
{
	struct spate_value_ip ip;
	bool named = strcasecmp(o->host, "localhost") == 0;

	if (!named && spate_value_ip(o->host, &ip))
		return false;
	for (unsigned i = 0; i < cfg->listen_count; i++) {
		const struct spate_config_addr *a = &cfg->listen[i];
		struct spate_value_ip own = {.v6 = a->v6};

		memcpy(own.ip, a->ip, sizeof(own.ip));
		if (a->port != o->port)
			continue;
		if (named ? loopback(&own) || any_address(a)
			  : memcmp(ip.ip, a->ip, 16) == 0 ||
				    (any_address(a) && loopback(&ip) && ip.v6 == a->v6))
			return true;
	}
	return false;
}

static void origins(const struct spate_config *cfg, const char *name, struct spate_config_report *r)
{
	const char *from = spate_rules_source(cfg, name, SPATE_PARAM_origins);

	if (cfg->origins_count == 0)
		spate_report_error(r, from, &cfg->where[SPATE_PARAM_origins],
				   "origins: none given: add an entry with a url or a dir, or "
				   "--origin URL|DIR");
	for (unsigned i = 0; i < cfg->origins_count; i++) {
		const struct spate_config_origin *o = &cfg->origins[i];

		if (!o->url && !o->dir)
			spate_report_error(r, from, &o->where,
					   "origins[].url: is missing (or dir)");
		if (o->url && o->dir)
			spate_report_error(r, from, &o->where,
					   "origins[]: has both url and dir: keep one");
		if (o->url && asks_itself(cfg, o))
			spate_report_error(
				r, from, &o->where,
				"origins[].url: \"%.200s\" is this edge itself, see listen",
				o->url);
		if (o->match[0] != '/')
			spate_report_error(r, from, &o->where,
					   "origins[].match: \"%.200s\" does not begin with \"/\"",
					   o->match);
		if (strpbrk(o->match, "?# "))
			spate_report_error(r, from, &o->where,
					   "origins[].match: \"%.200s\" is not a path prefix: no "
					   "?, # or space",
					   o->match);
		for (unsigned j = 0; j < i; j++)
			if (strcmp(o->match, cfg->origins[j].match) == 0) {
				spate_report_error(r, from, &o->where,
						   "origins[].match: \"%.200s\" is given twice",
						   o->match);
				break;
			}
	}
}

void spate_config_rules(const struct spate_config *cfg, const char *name,
			struct spate_config_report *report)
{
	listeners(cfg, name, report);
	cache(cfg, name, report);
	origins(cfg, name, report);
	spate_rules_dpdk(cfg, name, report);
	spate_rules_p2p(cfg, name, report);
}

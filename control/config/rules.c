#include "control/config/rules.h"

#include <string.h>
#include <strings.h>

#include "control/config/report.h"
#include "control/config/table.h"
#include "control/config/values.h"
#include "control/p2p.h"
#include "dataplane/net/net.h"

#ifdef SPATE_HAVE_DPDK
#define HAVE_DPDK 1
#else
#define HAVE_DPDK 0
#endif

/* A finding about the row `id`, at the place where the file has it or on the option that set it. */
#define ROW(id) where_of(cfg, name, SPATE_PARAM_##id), &cfg->where[SPATE_PARAM_##id]

static const char *where_of(const struct spate_config *cfg, const char *name,
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
				spate_report_error(r, where_of(cfg, name, SPATE_PARAM_listen),
						   &a->where, "listen: \"%s\" is given twice",
						   a->text);
				break;
			}
	}
	for (unsigned i = 0; cfg->admin_count && i < cfg->listen_count; i++)
		if (cfg->admin->port && cfg->admin->port == cfg->listen[i].port &&
		    memcmp(cfg->admin->ip, cfg->listen[i].ip, 16) == 0)
			spate_report_error(r, where_of(cfg, name, SPATE_PARAM_admin),
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

static bool any_address(const struct spate_config_addr *a)
{
	static const uint8_t v4[16] = {[10] = 0xff, [11] = 0xff}, v6[16];

	return memcmp(a->ip, a->v6 ? v6 : v4, 16) == 0;
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
	const char *from = where_of(cfg, name, SPATE_PARAM_origins);

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

/* Does `a`'s network hold `ip`? */
static bool holds(const struct spate_config_ip *a, const uint8_t ip[16])
{
	for (unsigned bit = 0; bit < a->prefix + (a->v6 ? 0u : 96u); bit++)
		if ((a->ip[bit / 8] ^ ip[bit / 8]) & (0x80 >> bit % 8))
			return false;
	return true;
}

static bool has_v6(const struct spate_config_port *p)
{
	for (unsigned i = 0; i < p->addresses_count; i++)
		if (p->addresses[i].v6)
			return true;
	return false;
}

/* Can the port reach it without a router? */
static bool on_link(const struct spate_config_port *p, const uint8_t ip[16])
{
	if (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80) /* link-local */
		return has_v6(p);
	for (unsigned i = 0; i < p->addresses_count; i++)
		if (holds(&p->addresses[i], ip))
			return true;
	return false;
}

static void gateway(const struct spate_config_port *p, unsigned i, const char *name,
		    struct spate_config_report *r)
{
	const struct spate_config_ip *g = &p->gateways[i];

	for (unsigned j = 0; j < i; j++)
		if (p->gateways[j].v6 == g->v6)
			spate_report_error(r, name, &g->where,
					   "dpdk.ports[].gateway: a second one for %s",
					   g->v6 ? "IPv6" : "IPv4");
	if (strchr(g->text, '/'))
		spate_report_error(
			r, name, &g->where,
			"dpdk.ports[].gateway: \"%s\": an address without a prefix length",
			g->text);
	if (!on_link(p, g->ip))
		spate_report_error(r, name, &g->where,
				   "dpdk.ports[].gateway: \"%s\" is in the network of none of the "
				   "port's addresses",
				   g->text);
}

static void route(const struct spate_config_port *p, unsigned i, const char *name,
		  struct spate_config_report *r)
{
	const struct spate_config_ip *to = &p->routes[i];

	for (unsigned j = 0; j < i; j++)
		if (p->routes[j].prefix == to->prefix && p->routes[j].v6 == to->v6 &&
		    memcmp(p->routes[j].ip, to->ip, 16) == 0)
			spate_report_error(r, name, &to->where,
					   "dpdk.ports[].routes: \"%s\": a second one to there",
					   to->text);
	if (!on_link(p, to->via))
		spate_report_error(r, name, &to->where,
				   "dpdk.ports[].routes: \"%s\": the next hop is in the network of "
				   "none of the port's addresses",
				   to->text);
}

/* As dataplane/net/net.c sees it. */
static bool host_can_have(const struct spate_config_ip *a)
{
	static const uint8_t none[16];

	if (a->v6)
		return a->ip[0] != 0xff && memcmp(a->ip, none, 16) != 0;
	return a->ip[12] != 0 && a->ip[12] != 127 && a->ip[12] < 224;
}

static void address(const struct spate_config *cfg, unsigned port, unsigned i, const char *name,
		    struct spate_config_report *r)
{
	const struct spate_config_ip *a = &cfg->dpdk.ports[port].addresses[i];

	if (!strchr(a->text, '/'))
		spate_report_error(
			r, name, &a->where,
			"dpdk.ports[].addresses: \"%s\" has no prefix length, such as %s", a->text,
			a->v6 ? "/64" : "/24");
	if (!host_can_have(a))
		spate_report_error(r, name, &a->where,
				   "dpdk.ports[].addresses: \"%s\": no host can have it", a->text);
	for (unsigned p = 0; p <= port; p++)
		for (unsigned j = 0; j < (p < port ? cfg->dpdk.ports[p].addresses_count : i); j++)
			if (memcmp(cfg->dpdk.ports[p].addresses[j].ip, a->ip, 16) == 0)
				spate_report_error(r, name, &a->where,
						   "dpdk.ports[].addresses: \"%s\" is given twice",
						   a->text);
}

/* A worker serves every port, so it can only be in one place. */
static void cores(const struct spate_config *cfg, unsigned port, const char *name,
		  struct spate_config_report *r)
{
	const struct spate_config_port *p = &cfg->dpdk.ports[port];

	if (p->cores_count == 0)
		return;
	if (p->cores_count < cfg->workers)
		spate_report_warning(
			r, name, &p->where,
			"dpdk.ports[].cores: %u for %u workers: the others run anywhere",
			p->cores_count, cfg->workers);
	for (unsigned j = 0; j < port; j++)
		if (cfg->dpdk.ports[j].cores_count != 0)
			spate_report_warning(
				r, name, &p->where,
				"dpdk.ports[].cores: not looked at: a worker serves all "
				"ports, and an entry above has them");
}

/* A port without an IPv6 address has no IPv6: nobody would hear what routers say. */
static void routers(const struct spate_config_port *p, const char *name,
		    struct spate_config_report *r)
{
	if (p->routers != SPATE_ROUTERS_STATIC && !has_v6(p))
		spate_report_error(r, name, &p->where,
				   "dpdk.ports[].routers: \"advertised\" needs an IPv6 address "
				   "among the port's addresses");
}

static void port(const struct spate_config *cfg, unsigned i, const char *name,
		 struct spate_config_report *r)
{
	const struct spate_config_port *p = &cfg->dpdk.ports[i];
	uint32_t least = has_v6(p) ? 1280 : 576; /* RFC 8200 5, RFC 791 */

	if (p->addresses_count == 0)
		spate_report_error(r, name, &p->where, "dpdk.ports[].addresses: is missing");
	for (unsigned j = 0; j < p->addresses_count; j++)
		address(cfg, i, j, name, r);
	for (unsigned j = 0; j < p->gateways_count; j++)
		gateway(p, j, name, r);
	for (unsigned j = 0; j < p->routes_count; j++)
		route(p, j, name, r);
	if (p->mtu != 0 && p->mtu < least)
		spate_report_error(r, name, &p->where, "dpdk.ports[].mtu: %u: at least %u%s",
				   p->mtu, least, least == 1280 ? ", for IPv6" : "");
	cores(cfg, i, name, r);
	routers(p, name, r);
}

/* The edge answers on the addresses of its ports; listen picks among them. */
static void dpdk_addresses(const struct spate_config *cfg, const char *name, enum spate_param_id id,
			   const struct spate_config_addr *list, unsigned count,
			   struct spate_config_report *r)
{
	for (unsigned i = 0; i < count; i++) {
		const struct spate_config_addr *a = &list[i];
		bool found = any_address(a);

		for (unsigned p = 0; p < cfg->dpdk.ports_count; p++)
			for (unsigned j = 0; j < cfg->dpdk.ports[p].addresses_count; j++)
				found |= memcmp(cfg->dpdk.ports[p].addresses[j].ip, a->ip, 16) == 0;
		if (!found)
			spate_report_error(r, where_of(cfg, name, id), &a->where,
					   "%s: \"%s\" is no address of an entry in dpdk.ports",
					   spate_params[id].path, a->text);
	}
}

static void dpdk_listen(const struct spate_config *cfg, const char *name,
			struct spate_config_report *r)
{
	dpdk_addresses(cfg, name, SPATE_PARAM_listen, cfg->listen, cfg->listen_count, r);
	dpdk_addresses(cfg, name, SPATE_PARAM_p2p_listen, cfg->p2p.listen, cfg->p2p.listen_count,
		       r);
	dpdk_addresses(cfg, name, SPATE_PARAM_p2p_tracker, cfg->p2p.tracker, cfg->p2p.tracker_count,
		       r);
}

static void dpdk(const struct spate_config *cfg, const char *name, struct spate_config_report *r)
{
	unsigned addresses = 0;

	if (cfg->backend == SPATE_BACKEND_DPDK && !HAVE_DPDK)
		spate_report_error(r, ROW(backend),
				   "backend: this build has no DPDK: only sockets");
	else if (cfg->backend == SPATE_BACKEND_DPDK && cfg->dpdk.ports_count == 0)
		spate_report_error(r, ROW(backend),
				   "backend: dpdk needs at least one entry in dpdk.ports");
	else if (cfg->backend == SPATE_BACKEND_DPDK)
		dpdk_listen(cfg, name, r);
	for (unsigned i = 0; i < cfg->dpdk.ports_count; i++) {
		const struct spate_config_port *p = &cfg->dpdk.ports[i];

		addresses += p->addresses_count + has_v6(p);
		port(cfg, i, name, r);
	}
	if (addresses > SPATE_NET_ADDRESSES)
		spate_report_error(r, name, &cfg->dpdk.ports[0].where,
				   "dpdk.ports: %u addresses, link-local ones included: at most %d",
				   addresses, SPATE_NET_ADDRESSES);
}

static bool same_place(const struct spate_config_addr *a, const struct spate_config_addr *b)
{
	return a->port != 0 && a->port == b->port && memcmp(a->ip, b->ip, 16) == 0;
}

/* Sockets would take it, and give each caller to either at random. */
static void peer_listeners(const struct spate_config *cfg, const char *name,
			   struct spate_config_report *r)
{
	const char *at = where_of(cfg, name, SPATE_PARAM_p2p_listen);

	for (unsigned i = 0; i < cfg->p2p.listen_count; i++) {
		const struct spate_config_addr *a = &cfg->p2p.listen[i];

		for (unsigned j = 0; j < i; j++)
			if (same_place(a, &cfg->p2p.listen[j]))
				spate_report_error(r, at, &a->where,
						   "p2p.listen: \"%s\" is given twice", a->text);
		for (unsigned j = 0; j < cfg->listen_count; j++)
			if (same_place(a, &cfg->listen[j]))
				spate_report_error(
					r, at, &a->where,
					"p2p.listen: \"%s\" is also an address to serve viewers on",
					a->text);
	}
}

/* What a tracker answers with, and where peers ask, must be a port that they can be told. */
static void peers(const struct spate_config *cfg, const char *name, struct spate_config_report *r)
{
	unsigned prefixes = 0;

	peer_listeners(cfg, name, r);
	for (unsigned i = 0; i < cfg->p2p.tracker_count; i++) {
		const struct spate_config_addr *a = &cfg->p2p.tracker[i];

		if (a->port == 0)
			spate_report_error(r, where_of(cfg, name, SPATE_PARAM_p2p_tracker),
					   &a->where, "p2p.tracker: \"%s\": a port is needed",
					   a->text);
		for (unsigned j = 0; j < i; j++)
			if (a->port == cfg->p2p.tracker[j].port &&
			    memcmp(a->ip, cfg->p2p.tracker[j].ip, 16) == 0)
				spate_report_error(r, where_of(cfg, name, SPATE_PARAM_p2p_tracker),
						   &a->where, "p2p.tracker: \"%s\" is given twice",
						   a->text);
	}
	for (unsigned i = 0; i < cfg->p2p.groups_count; i++) {
		const char *why =
			spate_p2p_group(cfg->p2p.groups[i], 1, NULL, SPATE_P2P_PREFIXES, &prefixes);

		if (why != NULL)
			spate_report_error(r, ROW(p2p_groups), "p2p.groups: \"%.200s\" %s",
					   cfg->p2p.groups[i], why);
	}
}

/* "http://host[:port]" and nothing after it. */
static bool is_base(const char *url)
{
	size_t n = strncmp(url, "http://", 7) == 0 ? 7 : strncmp(url, "https://", 8) == 0 ? 8 : 0;
	size_t host = strcspn(url + n, "/?# ");

	return n > 0 && host > 0 && (url[n + host] == '\0' || strcmp(url + n + host, "/") == 0);
}

/* What is written into torrents stays with those who have them: better refused than wrong. */
static void torrents(const struct spate_config *cfg, const char *name,
		     struct spate_config_report *r)
{
	uint32_t piece = cfg->p2p.piece_bytes;
	bool named = cfg->p2p.url != NULL && *cfg->p2p.url != '\0';

	if (piece & (piece - 1))
		spate_report_error(r, ROW(p2p_piece), "p2p.piece: is not a power of two");
	if (named && !is_base(cfg->p2p.url))
		spate_report_error(r, ROW(p2p_url), "p2p.url: \"%.200s\" is not http://host[:port]",
				   cfg->p2p.url);
	for (unsigned i = 0; i < cfg->p2p.announce_count; i++) {
		const char *a = cfg->p2p.announce[i];

		if (strncmp(a, "udp://", 6) != 0 && strncmp(a, "http://", 7) != 0 &&
		    strncmp(a, "https://", 8) != 0 && strncmp(a, "wss://", 6) != 0)
			spate_report_error(r, ROW(p2p_announce),
					   "p2p.announce: \"%.200s\" is no tracker's URL: udp://, "
					   "http://, https:// or wss://",
					   a);
	}
	if ((cfg->p2p.listen_count > 0 || cfg->p2p.tracker_count > 0) && !named &&
	    cfg->backend == SPATE_BACKEND_SOCKETS &&
	    (any_address(&cfg->listen[0]) || cfg->listen[0].port == 0))
		spate_report_warning(r, ROW(p2p_url),
				     "p2p.url: is missing, and listen does not say how viewers "
				     "reach this edge: torrents will name this machine's loopback");
}

void spate_config_rules(const struct spate_config *cfg, const char *name,
			struct spate_config_report *report)
{
	listeners(cfg, name, report);
	cache(cfg, name, report);
	origins(cfg, name, report);
	dpdk(cfg, name, report);
	peers(cfg, name, report);
	torrents(cfg, name, report);
}

/* The dpdk: section, and what a listener must be for it. */
#include <string.h>

#include "control/config/report.h"
#include "control/config/rules_impl.h"
#include "dataplane/net/net.h"

#ifdef SPATE_HAVE_DPDK
#define HAVE_DPDK 1
#else
#define HAVE_DPDK 0
#endif

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
			spate_report_error(r, spate_rules_source(cfg, name, id), &a->where,
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

/* An edge owns its ports: as another's secondary process it would wait for that one without an end.
 * And asked for its usage, DPDK ends the process. */
static void eal(const struct spate_config *cfg, const char *name, struct spate_config_report *r)
{
	for (unsigned i = 0; i < cfg->dpdk.eal_count; i++) {
		const char *arg = cfg->dpdk.eal[i], *value = strchr(arg, '=');
		size_t n = strcspn(arg, "=");

		if (strcmp(arg, "-h") == 0 || strcmp(arg, "--help") == 0)
			spate_report_error(
				r, ROW(dpdk_eal),
				"dpdk.eal: \"%s\": an edge prints no usage: dpdk-testpmd does",
				arg);
		/* DPDK takes each long option by any beginning that is no other's. */
		if (n < 3 || strncmp(arg, "--proc-type", n) != 0)
			continue;
		if (value == NULL)
			value = i + 1 < cfg->dpdk.eal_count ? cfg->dpdk.eal[i + 1] : "";
		else
			value++;
		if (strcmp(value, "primary") != 0)
			spate_report_error(r, ROW(dpdk_eal),
					   "dpdk.eal: \"%s\": an edge owns its ports: only primary",
					   value);
	}
}

void spate_rules_dpdk(const struct spate_config *cfg, const char *name,
		      struct spate_config_report *r)
{
	unsigned addresses = 0;

	eal(cfg, name, r);
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

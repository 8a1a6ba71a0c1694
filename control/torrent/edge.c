#include "control/torrent/edge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool spate_torrent_wanted(const struct spate_config *cfg)
{
	return cfg->p2p.listen_count > 0 || cfg->p2p.tracker_count > 0 ||
	       (cfg->p2p.url != NULL && *cfg->p2p.url != '\0');
}

static bool any_address(const uint8_t ip[16], bool v6)
{
	static const uint8_t v4[16] = {[10] = 0xff, [11] = 0xff}, zero[16];

	return memcmp(ip, v6 ? zero : v4, 16) == 0;
}

static void ip_text(const uint8_t ip[16], bool v6, char out[64])
{
	char text[INET6_ADDRSTRLEN] = "";

	inet_ntop(v6 ? AF_INET6 : AF_INET, v6 ? ip : ip + 12, text, sizeof(text));
	snprintf(out, 64, v6 ? "[%s]" : "%s", text);
}

/* An address of ours for who listens on all of them: p2p.url's host; NULL: there is none. */
static char *host_of_url(const char *url)
{
	const char *host = url != NULL ? strstr(url, "://") : NULL;
	size_t n;

	if (host == NULL)
		return NULL;
	host += 3;
	n = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#");
	return n > 0 && n <= strlen(host) ? strndup(host, n) : NULL;
}

/* Where an address that means "all" leads to: the first port's with DPDK, else this machine. */
static char *host_of_ports(const struct spate_config *cfg, bool v6)
{
	char text[64];

	for (uint32_t i = 0; cfg->backend == SPATE_BACKEND_DPDK && i < cfg->dpdk.ports_count; i++)
		for (uint32_t k = 0; k < cfg->dpdk.ports[i].addresses_count; k++) {
			const struct spate_config_ip *a = &cfg->dpdk.ports[i].addresses[k];

			if (a->v6 != v6)
				continue;
			ip_text(a->ip, v6, text);
			return strdup(text);
		}
	return strdup(v6 ? "[::1]" : "127.0.0.1");
}

static char *host_of(const struct spate_config *cfg, const struct spate_config_addr *a)
{
	char text[64], *host;

	if (!any_address(a->ip, a->v6)) {
		ip_text(a->ip, a->v6, text);
		return strdup(text);
	}
	host = host_of_url(cfg->p2p.url);
	return host != NULL ? host : host_of_ports(cfg, a->v6);
}

/* "BEFOREhost:port", one an address. -ENOMEM or how many. */
static int list_of(const struct spate_config *cfg, const struct spate_config_addr *a, unsigned n,
		   const char *before, char **out)
{
	for (unsigned i = 0; i < n; i++) {
		char *host = host_of(cfg, &a[i]);

		if (host == NULL)
			return -ENOMEM;
		if (asprintf(&out[i], "%s%s:%u", before, host, a[i].port) < 0)
			out[i] = NULL;
		free(host);
		if (out[i] == NULL)
			return -ENOMEM;
	}
	return (int)n;
}

static char *base_of(const struct spate_config *cfg)
{
	char *host, *base = NULL;

	if (cfg->p2p.url != NULL && *cfg->p2p.url != '\0') {
		base = strdup(cfg->p2p.url);
		for (size_t n = base != NULL ? strlen(base) : 0; n > 0 && base[n - 1] == '/';)
			base[--n] = '\0';
		return base;
	}
	if (!spate_torrent_wanted(cfg)) /* offline, and nothing was said */
		return strdup("");
	host = host_of(cfg, &cfg->listen[0]);
	if (host == NULL)
		return NULL;
	if (cfg->listen[0].port == 80)
		base = asprintf(&base, "http://%s", host) < 0 ? NULL : base;
	else if (asprintf(&base, "http://%s:%u", host, cfg->listen[0].port) < 0)
		base = NULL;
	free(host);
	return base;
}

static void free_list(char **list, unsigned n)
{
	for (unsigned i = 0; list != NULL && i < n; i++)
		free(list[i]);
	free(list);
}

void spate_torrent_edge_destroy(struct spate_torrent_edge *e)
{
	if (e == NULL)
		return;
	free_list(e->trackers, e->ntrackers);
	free_list(e->announce, e->nannounce);
	free_list(e->peers, e->npeers);
	free(e->base);
	free(e);
}

int spate_torrent_edge_create(struct spate_torrent_edge **out, const struct spate_config *cfg)
{
	struct spate_torrent_edge *e = calloc(1, sizeof(*e));
	unsigned own = cfg->p2p.announce_count == 0 ? cfg->p2p.tracker_count : 0;

	if (e == NULL)
		return -ENOMEM;
	e->ntrackers = own > 0 ? own + 1 : 0;
	e->nannounce = cfg->p2p.announce_count;
	e->npeers = cfg->p2p.listen_count;
	e->trackers = calloc(e->ntrackers + 1, sizeof(char *));
	e->announce = calloc(e->nannounce + 1, sizeof(char *));
	e->peers = calloc(e->npeers + 1, sizeof(char *));
	e->base = base_of(cfg);
	if (e->trackers == NULL || e->announce == NULL || e->peers == NULL || e->base == NULL ||
	    list_of(cfg, cfg->p2p.tracker, own, "udp://", e->trackers) < 0 ||
	    list_of(cfg, cfg->p2p.listen, cfg->p2p.listen_count, "", e->peers) < 0)
		goto fail;
	if (e->ntrackers > 0) { /* the HTTP one is where viewers go */
		e->trackers[e->ntrackers - 1] = strdup(e->base);
		if (e->trackers[e->ntrackers - 1] == NULL)
			goto fail;
	}
	for (unsigned i = 0; i < e->nannounce; i++) {
		e->announce[i] = strdup(cfg->p2p.announce[i]);
		if (e->announce[i] == NULL)
			goto fail;
	}
	e->is_signed = cfg->p2p.secret != NULL && *cfg->p2p.secret != '\0';
	if (e->is_signed)
		spate_token_key(&e->key, cfg->p2p.secret);
	*out = e;
	return 0;

fail:
	spate_torrent_edge_destroy(e);
	return -ENOMEM;
}

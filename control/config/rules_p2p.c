/* The p2p: section: who serves peers, who tracks them, what is written into torrents. */
#include <string.h>

#include "control/config/report.h"
#include "control/config/rules_impl.h"
#include "control/p2p.h"

static bool same_place(const struct spate_config_addr *a, const struct spate_config_addr *b)
{
	return a->port != 0 && a->port == b->port && memcmp(a->ip, b->ip, 16) == 0;
}

/* Sockets would take it, and give each caller to either at random. */
static void peer_listeners(const struct spate_config *cfg, const char *name,
			   struct spate_config_report *r)
{
	const char *at = spate_rules_source(cfg, name, SPATE_PARAM_p2p_listen);

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
			spate_report_error(
				r, spate_rules_source(cfg, name, SPATE_PARAM_p2p_tracker),
				&a->where, "p2p.tracker: \"%s\": a port is needed", a->text);
		for (unsigned j = 0; j < i; j++)
			if (a->port == cfg->p2p.tracker[j].port &&
			    memcmp(a->ip, cfg->p2p.tracker[j].ip, 16) == 0)
				spate_report_error(
					r, spate_rules_source(cfg, name, SPATE_PARAM_p2p_tracker),
					&a->where, "p2p.tracker: \"%s\" is given twice", a->text);
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

void spate_rules_p2p(const struct spate_config *cfg, const char *name,
		     struct spate_config_report *r)
{
	peers(cfg, name, r);
	torrents(cfg, name, r);
}

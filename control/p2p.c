#include "control/p2p.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/config/values.h"
#include "dataplane/bt/utp.h"

const char *spate_p2p_group(const char *text, uint8_t group, struct spate_tracker_prefix *out,
			    unsigned room, unsigned *n)
{
	char one[64];

	while (*text != '\0') {
		const char *end = strchrnul(text, ',');
		size_t len = (size_t)(end - text);
		struct spate_value_ip ip;
		const char *why;

		while (len > 0 && *text == ' ')
			text++, len--;
		while (len > 0 && text[len - 1] == ' ')
			len--;
		if (len == 0 || len >= sizeof(one))
			return "is no list of networks such as 10.0.0.0/8,fd00::/8";
		memcpy(one, text, len);
		one[len] = '\0';
		why = spate_value_ip(one, &ip);
		if (why != NULL)
			return why;
		if (*n == room)
			return "has more networks than there is room for (4096 in all)";
		if (out != NULL) {
			memcpy(out[*n].ip, ip.ip, 16);
			out[*n].bits = (uint8_t)(ip.prefix + (ip.v6 ? 0 : 96));
			out[*n].group = group;
		}
		++*n;
		text = *end != '\0' ? end + 1 : end;
	}
	return NULL;
}

static void addr_of(struct spate_addr *to, const struct spate_config_addr *from)
{
	memcpy(to->ip, from->ip, sizeof(to->ip));
	to->port = from->port;
}

int spate_p2p_tracker(const struct spate_config *cfg, struct spate_tracker **out)
{
	struct spate_tracker_prefix *prefixes = NULL;
	struct spate_addr seeds[16];
	struct spate_tracker_setup setup = {
		.workers = cfg->workers,
		.interval_s = cfg->p2p.interval_ms / 1000,
		.audience = cfg->p2p.audience,
		.announces = cfg->p2p.announces,
		.memory_bytes = cfg->p2p.memory_bytes,
		.open = cfg->p2p.swarms == SPATE_SWARMS_OPEN,
		.secret = cfg->p2p.secret,
		.seeds = seeds,
	};
	int rc;

	*out = NULL;
	if (cfg->p2p.tracker_count == 0)
		return 0;
	prefixes = calloc(SPATE_P2P_PREFIXES, sizeof(*prefixes));
	if (prefixes == NULL)
		return -ENOMEM;
	/* Group 0 is everybody else. */
	for (unsigned i = 0; i < cfg->p2p.groups_count; i++)
		spate_p2p_group(cfg->p2p.groups[i], (uint8_t)(i + 1), prefixes, SPATE_P2P_PREFIXES,
				&setup.nprefixes);
	for (unsigned i = 0; i < cfg->p2p.listen_count && i < 16; i++)
		addr_of(&seeds[setup.nseeds++], &cfg->p2p.listen[i]);
	setup.prefixes = prefixes;
	rc = spate_tracker_create(out, &setup);
	free(prefixes);
	return rc;
}

int spate_p2p_dgrams(const struct spate_config *cfg, struct spate_dgram_listener **out, unsigned *n)
{
	struct spate_dgram_listener *l =
		calloc(cfg->p2p.tracker_count + cfg->p2p.listen_count + 1, sizeof(*l));

	*out = l;
	*n = 0;
	if (l == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < cfg->p2p.tracker_count; i++, ++*n) {
		addr_of(&l[*n].addr, &cfg->p2p.tracker[i]);
		l[*n].app = &spate_tracker_udp;
	}
	/* A port that the tracker has (then uTP is no business of it) stays the tracker's. */
	for (unsigned i = 0; i < cfg->p2p.listen_count; i++) {
		bool taken = false;

		for (unsigned k = 0; k < cfg->p2p.tracker_count; k++)
			taken |= cfg->p2p.tracker[k].port == cfg->p2p.listen[i].port;
		if (taken)
			continue;
		addr_of(&l[*n].addr, &cfg->p2p.listen[i]);
		l[(*n)++].app = &spate_utp_app;
	}
	return 0;
}

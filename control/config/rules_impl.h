/* rules_impl.h: between the rules of each section. */
#ifndef SPATE_CONFIG_RULES_IMPL_H
#define SPATE_CONFIG_RULES_IMPL_H

#include <string.h>

#include "control/config/rules.h"
#include "control/config/table.h"

/* A finding about the row `id`, at the place where the file has it or on the option that set it. */
#define ROW(id) spate_rules_source(cfg, name, SPATE_PARAM_##id), &cfg->where[SPATE_PARAM_##id]

/* The file `name`, or the option that set the row in its stead. */
const char *spate_rules_source(const struct spate_config *cfg, const char *name,
			       enum spate_param_id id);

static inline bool any_address(const struct spate_config_addr *a)
{
	static const uint8_t v4[16] = {[10] = 0xff, [11] = 0xff}, v6[16];

	return memcmp(a->ip, a->v6 ? v6 : v4, 16) == 0;
}

void spate_rules_dpdk(const struct spate_config *cfg, const char *name,
		      struct spate_config_report *r);
void spate_rules_p2p(const struct spate_config *cfg, const char *name,
		     struct spate_config_report *r);

#endif

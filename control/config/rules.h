/* rules.h: what has to be true of values together. Looks at the struct only, never at the machine.
 */
#ifndef SPATE_CONFIG_RULES_H
#define SPATE_CONFIG_RULES_H

#include "control/config/config.h"

/* Adds a finding for each broken rule. name: the file, for messages. */
void spate_config_rules(const struct spate_config *cfg, const char *name,
			struct spate_config_report *report);

#endif

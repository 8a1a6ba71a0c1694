/*
 * config_json.h: the configuration that runs, as a JSON object made from the parameter table:
 * sections nest as in the file, sizes are bytes (`memory_bytes`) and times milliseconds
 * (`idle_ms`).
 */
#ifndef SPATE_CONTROL_ADMIN_CONFIG_JSON_H
#define SPATE_CONTROL_ADMIN_CONFIG_JSON_H

#include "control/config/config.h"
#include "control/log/text.h"

void spate_config_json(const struct spate_config *cfg, struct spate_text *t);

#endif

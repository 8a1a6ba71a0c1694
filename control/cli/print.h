/* print.h: the table, and a configuration, as YAML that spate_config_load takes back. */
#ifndef SPATE_CLI_PRINT_H
#define SPATE_CLI_PRINT_H

#include <stdio.h>

#include "control/config/config.h"

/* Every parameter with its meaning, range and default. An origin stands in as an example. */
void spate_config_print_defaults(FILE *out);

/* The configuration as it takes effect, file, command line and defaults together. */
void spate_config_print(FILE *out, const struct spate_config *cfg);

#endif

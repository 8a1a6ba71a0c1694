/*
 * cli.h: the command line and the commands behind it. The lists are tbl/options.def.
 *
 *   spate_cli_parse(argc, argv, &cli)   what was asked for; mistakes are said on stderr
 *   spate_cli_<command>(&cli)           does it; the exit status
 *
 * Exit status: 0 good, 1 something is wrong with the configuration, the machine or the edge, 2 bad
 * usage.
 */
#ifndef SPATE_CLI_H
#define SPATE_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "control/config/config.h"

#define SPATE_EXIT_USAGE 2

enum spate_command {
#define SPATE_COMMAND(id, operands, help) SPATE_COMMAND_##id,
#define SPATE_OPTION(...)
#include "spate/tbl/options.def"
#undef SPATE_COMMAND
#undef SPATE_OPTION
	SPATE_COMMAND_COUNT
};

enum spate_option {
#define SPATE_COMMAND(...)
#define SPATE_OPTION(id, commands, name, argument, param, help) SPATE_OPTION_##id,
#include "spate/tbl/options.def"
#undef SPATE_COMMAND
#undef SPATE_OPTION
	SPATE_OPTION_COUNT
};

struct spate_command_info {
	const char *name, *operands, *help;
};

struct spate_option_info {
	const char *name, *argument, *param, *help;
	uint32_t commands; /* a bit a command */
};

extern const struct spate_command_info spate_commands[SPATE_COMMAND_COUNT];
extern const struct spate_option_info spate_options[SPATE_OPTION_COUNT];

/* Every text is argv's, or lives as long as the struct. */
struct spate_cli {
	enum spate_command command;
	bool given[SPATE_OPTION_COUNT];
	const char *value[SPATE_OPTION_COUNT]; /* the last one given */
	const char *operand;
	struct spate_config_overrides overrides;
	char paths[SPATE_CONFIG_OVERRIDES_MAX][64]; /* of --set */
};

/*
 * True: cli is filled in. False: everything has been said (help, or one line about a mistake) and
 * *status is what to exit with.
 */
bool spate_cli_parse(int argc, char **argv, struct spate_cli *cli, int *status);

/* One of `names` that is nearest to `text`, by edit distance. */
const char *spate_cli_nearest(const char *text, const char *const *names, unsigned n);

int spate_cli_run(const struct spate_cli *cli);
int spate_cli_check(const struct spate_cli *cli);
int spate_cli_stat(const struct spate_cli *cli);
int spate_cli_purge(const struct spate_cli *cli);
int spate_cli_drain(const struct spate_cli *cli);
int spate_cli_torrent(const struct spate_cli *cli);
int spate_cli_version(const struct spate_cli *cli);

#endif

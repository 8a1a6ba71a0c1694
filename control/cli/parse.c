/* parse.c: argv against tbl/options.def. */
#include <stdio.h>
#include <string.h>

#include "control/cli/cli.h"
#include "control/config/table.h"

enum {
	RUN = 1 << SPATE_COMMAND_run,
	CHECK = 1 << SPATE_COMMAND_check,
	STAT = 1 << SPATE_COMMAND_stat,
	TORRENT = 1 << SPATE_COMMAND_torrent,
	ADMIN = STAT | 1 << SPATE_COMMAND_purge | 1 << SPATE_COMMAND_drain,
	ANY = (1 << SPATE_COMMAND_COUNT) - 1,
};

const struct spate_command_info spate_commands[SPATE_COMMAND_COUNT] = {
#define SPATE_COMMAND(id, operands, help) {#id, operands, help},
#define SPATE_OPTION(...)
#include "spate/tbl/options.def"
#undef SPATE_COMMAND
#undef SPATE_OPTION
};

const struct spate_option_info spate_options[SPATE_OPTION_COUNT] = {
#define SPATE_COMMAND(...)
#define SPATE_OPTION(id, commands, name, argument, param, help) \
	{name, argument, param, help, commands},
#include "spate/tbl/options.def"
#undef SPATE_COMMAND
#undef SPATE_OPTION
};

const char *spate_cli_nearest(const char *text, const char *const *names, unsigned n)
{
	const char *best = names[0];

	for (unsigned i = 1; i < n; i++)
		if (spate_edit_distance(names[i], text) < spate_edit_distance(best, text))
			best = names[i];
	return best;
}

static void help(FILE *out)
{
	fputs("usage: spate COMMAND [OPTION]...\n\n", out);
	for (unsigned i = 0; i < SPATE_COMMAND_COUNT; i++)
		fprintf(out, "  %-8s %s\n", spate_commands[i].name, spate_commands[i].help);
	fputs("\nTo begin: spate run --origin DIR\n"
	      "Options of a command: spate COMMAND --help. Manual: spate(1), spate.yaml(5).\n",
	      out);
}

static void help_command(FILE *out, enum spate_command c)
{
	const struct spate_command_info *info = &spate_commands[c];

	fprintf(out, "usage: spate %s [OPTION]...%s%s\n%s\n\n", info->name,
		*info->operands ? " " : "", info->operands, info->help);
	for (unsigned i = 0; i < SPATE_OPTION_COUNT; i++) {
		const struct spate_option_info *o = &spate_options[i];
		char head[80];

		if (!(o->commands & 1u << c))
			continue;
		snprintf(head, sizeof(head), "--%s%s%s", o->name, *o->argument ? " " : "",
			 o->argument);
		if (strlen(head) > 30)
			fprintf(out, "  %s\n  %-30s %s\n", head, "", o->help);
		else
			fprintf(out, "  %-30s %s\n", head, o->help);
	}
}

static int find_command(const char *word)
{
	for (int i = 0; i < SPATE_COMMAND_COUNT; i++)
		if (strcmp(spate_commands[i].name, word) == 0)
			return i;
	return -1;
}

/* The option that `arg` ("--name" or "--name=value") names for this command; -1: none, said so. */
static int find_option(const char *arg, enum spate_command c)
{
	const char *names[SPATE_OPTION_COUNT], *best;
	size_t len = strcspn(arg, "=");
	char word[64];
	unsigned n = 0;

	snprintf(word, sizeof(word), "%.*s", (int)(len < 63 ? len : 63), arg);
	if (strcmp(word, "-h") == 0)
		return SPATE_OPTION_help;
	if (strcmp(word, "-o") == 0)
		snprintf(word, sizeof(word), "--out");
	if (strcmp(word, "-c") == 0)
		snprintf(word, sizeof(word), "--config");
	for (int i = 0; i < SPATE_OPTION_COUNT; i++) {
		if (!(spate_options[i].commands & 1u << c))
			continue;
		if (strncmp(word, "--", 2) == 0 && strcmp(spate_options[i].name, word + 2) == 0)
			return i;
		names[n++] = spate_options[i].name;
	}
	best = spate_cli_nearest(word + strspn(word, "-"), names, n);
	fprintf(stderr, "spate %s: unknown option \"%s\": the nearest known one is \"--%s\"\n",
		spate_commands[c].name, word, best);
	return -1;
}

static bool override(struct spate_cli *cli, const char *path, const char *value, const char *from)
{
	struct spate_config_overrides *o = &cli->overrides;

	if (o->count == SPATE_CONFIG_OVERRIDES_MAX) {
		fprintf(stderr, "spate: more than %d options: write a configuration file\n",
			SPATE_CONFIG_OVERRIDES_MAX);
		return false;
	}
	o->set[o->count].path = path;
	o->set[o->count].value = value;
	o->set[o->count].from = from;
	o->count++;
	return true;
}

/* --set timeouts.idle=5s */
static bool set(struct spate_cli *cli, const char *text)
{
	const char *eq = strchr(text, '='), *names[SPATE_PARAM_COUNT];
	char *path = cli->paths[cli->overrides.count % SPATE_CONFIG_OVERRIDES_MAX];
	unsigned n = 0;

	if (!eq) {
		fprintf(stderr,
			"spate %s: --set %s: write PARAMETER=VALUE, such as timeouts.idle=5s\n",
			spate_commands[cli->command].name, text);
		return false;
	}
	snprintf(path, sizeof(cli->paths[0]), "%.*s", (int)(eq - text), text);
	for (unsigned i = 0; i < SPATE_PARAM_COUNT; i++) {
		const struct spate_param *p = &spate_params[i];

		/* Entries of dpdk.ports are mappings: only a file can say them. */
		if (p->kind == SPATE_KIND_SECTION || strstr(p->path, "[]") ||
		    i == SPATE_PARAM_dpdk_ports)
			continue;
		if (strcmp(p->path, path) == 0)
			return override(cli, path, eq + 1, "--set");
		names[n++] = p->path;
	}
	fprintf(stderr,
		"spate %s: --set: unknown parameter \"%s\": the nearest known one is \"%s\"\n",
		spate_commands[cli->command].name, path, spate_cli_nearest(path, names, n));
	return false;
}

/* How an option is named in findings. */
static const char *const dashed[SPATE_OPTION_COUNT] = {
#define SPATE_COMMAND(...)
#define SPATE_OPTION(id, commands, name, argument, param, help) "--" name,
#include "spate/tbl/options.def"
#undef SPATE_COMMAND
#undef SPATE_OPTION
};

/* argv[*i] and, when it takes one, its argument; *i moves on. */
static bool option(struct spate_cli *cli, int argc, char **argv, int *i)
{
	const char *arg = argv[*i], *eq = strchr(arg, '=');
	int id = find_option(arg, cli->command);
	const struct spate_option_info *o;

	if (id < 0)
		return false;
	o = &spate_options[id];
	if (!*o->argument && eq) {
		fprintf(stderr, "spate %s: %s takes no value\n", spate_commands[cli->command].name,
			dashed[id]);
		return false;
	}
	if (*o->argument && !eq && *i + 1 == argc) {
		fprintf(stderr, "spate %s: %s needs a value: %s\n",
			spate_commands[cli->command].name, dashed[id], o->argument);
		return false;
	}
	cli->given[id] = true;
	if (*o->argument)
		cli->value[id] = eq ? eq + 1 : argv[++*i];
	if (id == SPATE_OPTION_set)
		return set(cli, cli->value[id]);
	if (*o->param)
		return override(cli, o->param, cli->value[id], dashed[id]);
	return true;
}

static bool parse(int argc, char **argv, struct spate_cli *cli)
{
	bool operands_only = false;

	for (int i = 2; i < argc; i++) {
		if (!operands_only && strcmp(argv[i], "--") == 0) {
			operands_only = true;
		} else if (!operands_only && argv[i][0] == '-' && argv[i][1]) {
			if (!option(cli, argc, argv, &i))
				return false;
		} else if (*spate_commands[cli->command].operands && !cli->operand) {
			cli->operand = argv[i];
		} else {
			fprintf(stderr, "spate %s: \"%s\" is one argument too many\n",
				spate_commands[cli->command].name, argv[i]);
			return false;
		}
	}
	return true;
}

bool spate_cli_parse(int argc, char **argv, struct spate_cli *cli, int *status)
{
	const char *names[SPATE_COMMAND_COUNT];
	const char *word = argc > 1 ? argv[1] : NULL;
	int c;

	memset(cli, 0, sizeof(*cli));
	*status = SPATE_EXIT_USAGE;
	if (!word) {
		help(stderr);
		return false;
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
		c = argc > 2 ? find_command(argv[2]) : -1;
		if (c < 0)
			help(stdout);
		else
			help_command(stdout, (enum spate_command)c);
		*status = 0;
		return false;
	}
	c = strcmp(word, "--version") == 0 ? SPATE_COMMAND_version : find_command(word);
	if (c < 0) {
		for (unsigned i = 0; i < SPATE_COMMAND_COUNT; i++)
			names[i] = spate_commands[i].name;
		fprintf(stderr, "spate: unknown command \"%s\": the nearest known one is \"%s\"\n",
			word, spate_cli_nearest(word, names, SPATE_COMMAND_COUNT));
		return false;
	}
	cli->command = (enum spate_command)c;
	if (!parse(argc, argv, cli))
		return false;
	if (cli->given[SPATE_OPTION_help]) {
		help_command(stdout, cli->command);
		*status = 0;
		return false;
	}
	if (*spate_commands[c].operands && !cli->operand) {
		fprintf(stderr, "spate %s: needs %s\n", spate_commands[c].name,
			spate_commands[c].operands);
		return false;
	}
	return true;
}

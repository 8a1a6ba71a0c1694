/* check.c: `spate check`, and what `spate run` does before it runs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/cli/cli.h"
#include "control/cli/print.h"
#include "control/run.h"

static int say(const struct spate_config_report *r, int ret)
{
	fputs(r->text, stderr);
	if (ret < 0 && !r->errors)
		fprintf(stderr, "spate: %s\n", strerror(-ret));
	return ret < 0 ? 1 : 0;
}

int spate_cli_check(const struct spate_cli *cli)
{
	const char *file = cli->value[SPATE_OPTION_config];
	struct spate_config_report report = {0};
	struct spate_config *cfg = NULL;
	int ret, status;

	if (cli->given[SPATE_OPTION_print_defaults]) {
		spate_config_print_defaults(stdout);
		return 0;
	}
	ret = spate_config_load(file, &cli->overrides, &cfg, &report);
	if (ret == 0 && cli->given[SPATE_OPTION_print])
		spate_config_print(stdout, cfg);
	else if (ret == 0)
		ret = spate_config_verify(
			cfg, cli->given[SPATE_OPTION_running] ? SPATE_VERIFY_RUNNING : 0, &report);
	status = say(&report, ret);
	if (status == 0 && !cli->given[SPATE_OPTION_print])
		printf("%s: good\n", file ? file : "spate");
	spate_config_free(cfg);
	return status;
}

int spate_cli_run(const struct spate_cli *cli)
{
	struct spate_config_report report = {0};
	struct spate_config *cfg = NULL;
	int ret, status;

	ret = spate_config_load(cli->value[SPATE_OPTION_config], &cli->overrides, &cfg, &report);
	if (ret == 0)
		/* A name that does not resolve today is the origin client's to report: the edge
		 * starts. */
		ret = spate_config_verify(cfg, SPATE_VERIFY_QUICK, &report);
	status = say(&report, ret);
	if (status == 0) {
		ret = spate_run(cfg, cfg->path); /* takes cfg over */
		return ret < 0 ? 1 : ret;
	}
	spate_config_free(cfg);
	return status;
}

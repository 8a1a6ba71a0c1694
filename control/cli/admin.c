/* admin.c: `spate stat`, `purge` and `drain`: commands that ask a running edge. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "control/cli/cli.h"
#include "control/cli/client.h"
#include "spate/stats.h"

/* Asks; returns the status, or -1 after saying why there is none. */
static int ask(const struct spate_cli *cli, const char *method, const char *target, char **body,
	       size_t *len)
{
	static const char example[] = "origins: [{dir: /}]"; /* these commands need no origin */
	const char *file = cli->value[SPATE_OPTION_config];
	const char *name = spate_commands[cli->command].name;
	struct spate_config_report report = {0};
	struct spate_config *cfg = NULL;
	int ret;

	if (file)
		ret = spate_config_load(file, &cli->overrides, &cfg, &report);
	else
		ret = spate_config_parse("spate", example, strlen(example), &cli->overrides, &cfg,
					 &report);
	if (ret < 0) {
		fputs(report.text, stderr);
		return -1;
	}
	if (!cfg->admin_count) {
		fprintf(stderr, "spate %s: the admin endpoint is off\n", name);
		ret = -1;
	} else {
		ret = spate_client_request(cfg->admin, method, target, body, len);
		if (ret == -ECONNREFUSED)
			fprintf(stderr,
				"spate %s: nothing listens on %s: is the edge running, with this "
				"--admin?\n",
				name, cfg->admin->text);
		else if (ret == -EPROTO)
			fprintf(stderr, "spate %s: %s does not answer as an edge does\n", name,
				cfg->admin->text);
		else if (ret < 0)
			fprintf(stderr, "spate %s: %s: %s\n", name, cfg->admin->text,
				strerror(-ret));
		if (ret < 0)
			ret = -1;
	}
	spate_config_free(cfg);
	return ret;
}

/* The edge's refusal as one line. */
static int refused(const struct spate_cli *cli, int status, char *body)
{
	body[strcspn(body, "\r\n")] = '\0';
	fprintf(stderr, "spate %s: the edge answered %d: %s\n", spate_commands[cli->command].name,
		status, body);
	free(body);
	return 1;
}

static const char *help_of(const char *name)
{
	for (unsigned i = 0; i < spate_counters_len; i++)
		if (strcmp(spate_counters[i].name, name) == 0)
			return spate_counters[i].help;
	return "";
}

static const char *text_of(yaml_document_t *doc, int node)
{
	yaml_node_t *n = yaml_document_get_node(doc, node);

	return n && n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : NULL;
}

static void print_row(const char *name, const char *value)
{
	const char *help = help_of(name);

	printf("%-24s %16s%s%s\n", name, value, *help ? "  " : "", help);
}

static void print_mapping(yaml_document_t *doc, yaml_node_t *map)
{
	for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
	     p++)
		if (text_of(doc, p->key) && text_of(doc, p->value))
			print_row(text_of(doc, p->key), text_of(doc, p->value));
}

/*
 * What the edge is, then its sums. The blocks of single workers and the configuration are in
 * --json. JSON is YAML 1.2, and the edge writes the part of it that libyaml reads.
 */
static int print_stat(const char *json, size_t len)
{
	yaml_document_t doc;
	yaml_parser_t parser;
	yaml_node_t *root;
	int status = 1;

	if (!yaml_parser_initialize(&parser))
		return 1;
	yaml_parser_set_input_string(&parser, (const unsigned char *)json, len);
	if (!yaml_parser_load(&parser, &doc))
		goto out_parser;
	root = yaml_document_get_root_node(&doc);
	if (!root || root->type != YAML_MAPPING_NODE)
		goto out_doc;
	print_mapping(&doc, root);
	for (yaml_node_pair_t *p = root->data.mapping.pairs.start; p < root->data.mapping.pairs.top;
	     p++) {
		const char *name = text_of(&doc, p->key);
		yaml_node_t *value = yaml_document_get_node(&doc, p->value);

		if (name && (strcmp(name, "total") == 0 || strcmp(name, "cache") == 0) &&
		    value->type == YAML_MAPPING_NODE) {
			printf("\n%s\n", name);
			print_mapping(&doc, value);
		}
	}
	status = 0;
out_doc:
	yaml_document_delete(&doc);
out_parser:
	yaml_parser_delete(&parser);
	if (status)
		fprintf(stderr, "spate stat: the answer is not what an edge's /stat says\n");
	return status;
}

int spate_cli_stat(const struct spate_cli *cli)
{
	size_t len = 0;
	char *body = NULL;
	int status = ask(cli, "GET", "/stat", &body, &len);

	if (status < 0)
		return 1;
	if (status != 200)
		return refused(cli, status, body);
	status = 0;
	if (cli->given[SPATE_OPTION_json])
		fwrite(body, 1, len, stdout);
	else
		status = print_stat(body, len);
	free(body);
	return status;
}

int spate_cli_purge(const struct spate_cli *cli)
{
	size_t len = strlen(cli->operand);
	char *target, *p, *body = NULL;
	int status;

	target = malloc(sizeof("/purge?url=") + 3 * len);
	if (!target) {
		fprintf(stderr, "spate purge: %s\n", strerror(ENOMEM));
		return 1;
	}
	p = stpcpy(target, "/purge?url=");
	for (const char *s = cli->operand; *s; s++) /* RFC 3986 2.3: all but unreserved, and "/" */
		if (isalnum((unsigned char)*s) || strchr("-._~/", *s))
			*p++ = *s;
		else
			p += sprintf(p, "%%%02X", (unsigned char)*s);
	*p = '\0';
	status = ask(cli, "POST", target, &body, &len);
	free(target);
	if (status < 0)
		return 1;
	if (status == 404) {
		free(body);
		fprintf(stderr, "spate purge: not in the cache: %s\n", cli->operand);
		return 1;
	}
	if (status != 200)
		return refused(cli, status, body);
	free(body);
	printf("purged %s\n", cli->operand);
	return 0;
}

int spate_cli_drain(const struct spate_cli *cli)
{
	size_t len = 0;
	char *body = NULL;
	int status = ask(cli, "POST", "/drain", &body, &len);

	if (status < 0)
		return 1;
	if (status != 200 && status != 202)
		return refused(cli, status, body);
	free(body);
	printf("draining\n");
	return 0;
}

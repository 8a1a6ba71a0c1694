/*
 * generate.c: the pages that are made from include/spate/tbl/. `ninja -C build docs` writes them
 * into the tree; the test docs-* fails when a committed page is not what the tables say.
 *
 *   spate-docs spate.1 | spate.yaml.5 | configuration.md | counters.md | events.md     > page
 */
#include <stdio.h>
#include <string.h>

#include "control/cli/cli.h"
#include "control/config/table.h"
#include "control/log/event.h"
#include "spate/stats.h"

#define MADE_BY "made from include/spate/tbl/ by docs/generate.c: ninja -C build docs"

/* An example that `spate check` takes; shown in both pages about the configuration. */
static const char example[] = "listen:   [\"0.0.0.0:8080\", \"[::]:8080\"]\n"
			      "workers:  1\n"
			      "cache:    {memory: 256MiB}\n"
			      "origins:\n"
			      "  - {match: \"/\", url: \"http://127.0.0.1:9000\"}\n"
			      "  - {match: \"/vod\", dir: /srv/video}\n"
			      "timeouts: {idle: 30s, origin_head: 5s}\n"
			      "admin:    \"127.0.0.1:9090\"\n"
			      "log:      {access: stdout, format: json}\n";

static const char *const takes[] = {
	[SPATE_KIND_SECTION] = "mapping", [SPATE_KIND_SIZE] = "size",
	[SPATE_KIND_TIME] = "time",       [SPATE_KIND_COUNT] = "number",
	[SPATE_KIND_ENUM] = "word",       [SPATE_KIND_TEXT] = "text",
	[SPATE_KIND_ADDRS] = "addresses", [SPATE_KIND_IPS] = "IP addresses",
	[SPATE_KIND_ROUTES] = "routes",   [SPATE_KIND_COUNTS] = "numbers",
	[SPATE_KIND_TEXTS] = "texts",     [SPATE_KIND_ITEMS] = "list of mappings",
};

static const char *applied(const struct spate_param *p)
{
	return p->apply == SPATE_APPLY_RELOAD ? "reload" : "restart";
}

/* "1 to 64", "json or combined", "1 to 64 entries"; "" where a range says nothing to a user. */
static const char *range(const struct spate_param *p, char *buf, size_t size)
{
	size_t n = 0;

	switch (p->kind) {
	case SPATE_KIND_SECTION:
	case SPATE_KIND_TEXT:
		return "";
	case SPATE_KIND_ENUM:
		for (const char *s = p->low; *s && n + 1 < size; s++)
			if (*s == '|')
				n += (size_t)snprintf(buf + n, size - n, ", ");
			else
				buf[n++] = *s;
		buf[n] = '\0';
		return buf;
	default:
		snprintf(buf, size, "%s to %s%s", p->low, p->high,
			 spate_param_is_list(p) ? " entries" : "");
		return buf;
	}
}

/* --- troff --- */

/* A hyphen is a minus in commands, a leading dot is no request, a backslash is itself. */
static void man_text(const char *text)
{
	for (bool first = true; *text; text++, first = *text == '\n') {
		if (*text == '\\')
			fputs("\\e", stdout);
		else if (*text == '-')
			fputs("\\-", stdout);
		else if ((*text == '.' || *text == '\'') && first)
			printf("\\&%c", *text);
		else
			putchar(*text);
	}
}

static void man_bold(const char *text)
{
	fputs("\\fB", stdout);
	man_text(text);
	fputs("\\fR", stdout);
}

static void man_example(const char *text)
{
	puts(".PP\n.nf\n.RS 4");
	man_text(text);
	puts(".RE\n.fi");
}

static void man_head(const char *name, const char *section)
{
	printf(".\\\" %s\n.TH %s %s \"\" \"Spate\" \"Spate manual\"\n", MADE_BY, name, section);
}

static void man_option(const struct spate_option_info *o)
{
	const char *sep = "";

	puts(".TP");
	fputs("\\fB\\-\\-", stdout);
	man_text(o->name);
	fputs("\\fR", stdout);
	if (*o->argument) {
		fputs(" \\fI", stdout);
		man_text(o->argument);
		fputs("\\fR", stdout);
	}
	putchar('\n');
	man_text(o->help);
	fputs(" (", stdout);
	for (unsigned c = 0; c < SPATE_COMMAND_COUNT; c++) {
		if (o->commands & 1u << c) {
			printf("%s%s", sep, spate_commands[c].name);
			sep = ", ";
		}
	}
	puts(")");
}

static void spate_1(void)
{
	man_head("SPATE", "1");
	puts(".SH NAME\nspate \\- streaming edge: a cache for DASH video in front of an origin");
	puts(".SH SYNOPSIS");
	for (unsigned c = 0; c < SPATE_COMMAND_COUNT; c++)
		printf("%s.B spate %s\n[\\fIOPTION\\fR]...%s%s\n", c ? ".br\n" : "",
		       spate_commands[c].name, *spate_commands[c].operands ? " " : "",
		       spate_commands[c].operands);
	puts(".SH DESCRIPTION\n"
	     "Spate is the last cache before the viewer. It fills from an origin (an HTTP server "
	     "or a directory),\n"
	     "keeps segments in memory, and sends them while they still arrive. With\n"
	     ".B \\-\\-origin\n"
	     "it needs no configuration; options override the file, and keep doing so after a "
	     "reload.");
	puts(".SH COMMANDS");
	for (unsigned c = 0; c < SPATE_COMMAND_COUNT; c++) {
		puts(".TP");
		man_bold(spate_commands[c].name);
		putchar('\n');
		man_text(spate_commands[c].help);
		puts(".");
	}
	puts(".SH OPTIONS");
	for (unsigned i = 0; i < SPATE_OPTION_COUNT; i++)
		man_option(&spate_options[i]);
	puts(".SH SIGNALS\n.TP\n.B SIGTERM, SIGINT\nStop accepting, finish what flows, exit "
	     "within\n"
	     ".BR timeouts.drain .\n.TP\n.B SIGHUP\nRead the configuration again, without dropping "
	     "a connection; "
	     "reopen the access log.\nWhat needs a restart is logged and left as it is.");
	puts(".SH EXIT STATUS\n.TP\n0\nGood.\n.TP\n1\nSomething is wrong with the configuration, "
	     "the machine, or "
	     "the edge that was asked; one line each on standard error.\n.TP\n2\nThe command line "
	     "was not understood.");
	puts(".SH EXAMPLES");
	man_example(
		"spate run --origin /srv/video\n"
		"spate run --origin http://origin.example:8000 --listen 0.0.0.0:80 --memory 8GiB\n"
		"spate check --running --config /etc/spate.yaml && kill -HUP $(pidof spate)\n"
		"spate purge /live/manifest.mpd\n");
	puts(".SH SEE ALSO\n.BR spate.yaml (5)");
}

static void man_param(const struct spate_param *p)
{
	char buf[128];
	const char *r = range(p, buf, sizeof(buf));

	puts(".TP");
	man_bold(p->path);
	printf(" (%s)\n", takes[p->kind]);
	man_text(p->help);
	putchar('\n');
	if (p->kind == SPATE_KIND_SECTION)
		return;
	if (*r) {
		puts(".br");
		printf("Range: ");
		man_text(r);
		puts(".");
	}
	if (*p->fallback) {
		puts(".br");
		printf("Default: ");
		man_text(p->fallback);
		puts(".");
	}
	printf(".br\nApplied: %s.\n", applied(p));
}

static void spate_yaml_5(void)
{
	man_head("SPATE.YAML", "5");
	puts(".SH NAME\nspate.yaml \\- configuration of the streaming edge spate");
	puts(".SH DESCRIPTION\n"
	     "One YAML document. Every parameter may be left out, but there must be an origin. An "
	     "unknown key is an\n"
	     "error that names the nearest known one;\n"
	     ".B spate check\n"
	     "says what is wrong, with line and column.\n"
	     ".PP\n"
	     "A size is a number of bytes, or a number with KiB, MiB, GiB or TiB. A time is a "
	     "number with ms, s, m or "
	     "h.\nA list of one entry may be written without brackets. Relative paths begin where "
	     "spate was started.\n"
	     ".PP\n"
	     "\"Applied: reload\" takes effect on SIGHUP; \"restart\" at the next start.");
	puts(".SH PARAMETERS");
	for (const struct spate_param *p = spate_params; p < spate_params + SPATE_PARAM_COUNT; p++)
		man_param(p);
	puts(".SH EXAMPLE");
	man_example(example);
	puts(".SH SEE ALSO\n.BR spate (1)");
}

/* --- Markdown --- */

/* A cell: a bar would end it. */
static void cell(const char *text)
{
	fputs("| ", stdout);
	for (; *text; text++)
		printf(*text == '|' ? "\\%c" : "%c", *text);
	putchar(' ');
}

static void code_cell(const char *text)
{
	if (*text)
		printf("| `%s` ", text);
	else
		fputs("| ", stdout);
}

static void configuration_md(void)
{
	char buf[128];

	printf("<!-- %s -->\n# Configuration\n\n", MADE_BY);
	puts("One YAML file, `spate run --config FILE`; `spate check --config FILE` says what is "
	     "wrong with it and with\n"
	     "the machine, with line and column. Everything may be left out but an origin. Options "
	     "of the command line\n"
	     "override the file, and keep doing so after a reload; `--set PARAMETER=VALUE` reaches "
	     "every parameter.\n");
	printf("```yaml\n%s```\n\n", example);
	puts("A size is a number of bytes, or a number with KiB, MiB, GiB or TiB. A time is a "
	     "number with ms, s, m or h. A\n"
	     "list of one entry may be written without brackets. What is applied on *reload* takes "
	     "effect on SIGHUP, without\n"
	     "dropping a connection; the rest at the next start. `spate check --print` shows what "
	     "takes effect,\n"
	     "`spate check --print-defaults` a file with everything in it.\n");
	puts("| parameter | takes | range | default | applied | meaning |\n| --- | --- | --- | --- "
	     "| --- | --- |");
	for (const struct spate_param *p = spate_params; p < spate_params + SPATE_PARAM_COUNT;
	     p++) {
		bool section = p->kind == SPATE_KIND_SECTION;

		code_cell(p->path);
		cell(takes[p->kind]);
		cell(range(p, buf, sizeof(buf)));
		code_cell(section ? "" : p->fallback);
		cell(section ? "" : applied(p));
		cell(p->help);
		puts("|");
	}
}

static void counters_md(void)
{
	printf("<!-- %s -->\n# Counters\n\n", MADE_BY);
	puts("`/metrics` shows each as `spate_NAME_total` (a gauge as `spate_NAME`), the sum over "
	     "all threads, and those of\n"
	     "workers also as `spate_worker_NAME_total{worker=\"0\"}`. `/stat` and `spate stat` "
	     "show them as NAME.\n");
	puts("| counter | kind | unit | meaning |\n| --- | --- | --- | --- |");
	for (unsigned i = 0; i < spate_counters_len; i++) {
		code_cell(spate_counters[i].name);
		cell(spate_counters[i].kind);
		cell(spate_counters[i].unit);
		cell(spate_counters[i].help);
		puts("|");
	}
}

static void events_md(void)
{
	static const char *const levels[] = {[SPATE_SEV_ERROR] = "error",
					     [SPATE_SEV_WARN] = "warn",
					     [SPATE_SEV_INFO] = "info",
					     [SPATE_SEV_DEBUG] = "debug"};

	printf("<!-- %s -->\n# Events\n\n", MADE_BY);
	puts("What the edge tells its operator on standard error, one line each. `log.level` names "
	     "the least severe one\n"
	     "that is written: *error* (someone must act), *warn* (someone may want to), *info* "
	     "(starts, reloads, stops),\n"
	     "*debug*.\n");
	puts("| event | level | text | with |\n| --- | --- | --- | --- |");
	for (unsigned i = 0; i < SPATE_EVENT_IDS; i++) {
		code_cell(spate_events[i].name);
		cell(levels[spate_events[i].level]);
		cell(spate_events[i].text);
		cell(spate_events[i].fields);
		puts("|");
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*write)(void);
	} pages[] = {{"spate.1", spate_1},
		     {"spate.yaml.5", spate_yaml_5},
		     {"configuration.md", configuration_md},
		     {"counters.md", counters_md},
		     {"events.md", events_md}};

	for (size_t i = 0; argc == 2 && i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (strcmp(argv[1], pages[i].name) == 0) {
			pages[i].write();
			return fflush(stdout) == 0 ? 0 : 1;
		}
	}
	fputs("usage: spate-docs spate.1|spate.yaml.5|configuration.md|counters.md|events.md\n",
	      stderr);
	return 2;
}

#include "control/cli/print.h"

#include <inttypes.h>
#include <string.h>

#include "control/config/table.h"
#include "control/config/values.h"

static unsigned depth(const struct spate_param *p)
{
	unsigned n = 0;

	for (const char *s = p->path; (s = strchr(s, '.')); s++)
		n++;
	return n;
}

static void quoted(FILE *out, const char *text, size_t len)
{
	fputc('"', out);
	for (size_t i = 0; i < len; i++)
		fprintf(out, text[i] == '"' || text[i] == '\\' ? "\\%c" : "%c", text[i]);
	fputc('"', out);
}

static void put_key(FILE *out, const struct spate_param *p)
{
	fprintf(out, "%*s%s:", (int)depth(p) * 2, "", spate_param_name(p));
}

static void default_of(FILE *out, const struct spate_param *p)
{
	const char *sep = "";

	if (p->kind == SPATE_KIND_TEXT)
		quoted(out, p->fallback, strlen(p->fallback));
	else if (!spate_param_is_list(p))
		fputs(p->fallback, out);
	else {
		fputc('[', out);
		for (const char *s = p->fallback; *s; s += strspn(s, " ")) {
			size_t len = strcspn(s, " ");

			fputs(sep, out);
			quoted(out, s, len);
			sep = ", ";
			s += len;
		}
		fputc(']', out);
	}
}

void spate_config_print_defaults(FILE *out)
{
	fputs("# Every parameter with its default. spate.yaml(5) has the same list.\n", out);
	for (const struct spate_param *p = spate_params; p < spate_params + SPATE_PARAM_COUNT;
	     p++) {
		if (strstr(p->path, "[]"))
			continue;
		fprintf(out, "\n%*s# %s\n", (int)depth(p) * 2, "", p->help);
		if (p->kind == SPATE_KIND_ENUM)
			fprintf(out, "%*s# one of %s\n", (int)depth(p) * 2, "", p->low);
		else if (p->kind != SPATE_KIND_SECTION && p->kind != SPATE_KIND_TEXT &&
			 !spate_param_is_list(p))
			fprintf(out, "%*s# %s to %s\n", (int)depth(p) * 2, "", p->low, p->high);
		put_key(out, p);
		if (p == &spate_params[SPATE_PARAM_origins]) {
			fputs("\n  - {match: \"/\", url: \"http://127.0.0.1:9000\"}  # or dir: "
			      "/srv/video\n",
			      out);
		} else if (p->kind != SPATE_KIND_SECTION) {
			fputc(' ', out);
			default_of(out, p);
			fputc('\n', out);
		} else {
			fputc('\n', out);
		}
	}
}

static void value_of(FILE *out, const struct spate_param *p, const char *base);

static void entry_of(FILE *out, const struct spate_param *p, const char *at)
{
	const struct spate_param *child = NULL;
	const char *sep = "", *text;

	switch (p->kind) {
	case SPATE_KIND_ADDRS:
		text = ((const struct spate_config_addr *)(const void *)at)->text;
		quoted(out, text, strlen(text));
		break;
	case SPATE_KIND_IPS:
	case SPATE_KIND_ROUTES:
		text = ((const struct spate_config_ip *)(const void *)at)->text;
		quoted(out, text, strlen(text));
		break;
	case SPATE_KIND_TEXTS:
		text = *(char *const *)(const void *)at;
		quoted(out, text, strlen(text));
		break;
	case SPATE_KIND_COUNTS:
		fprintf(out, "%" PRIu32, *(const uint32_t *)(const void *)at);
		break;
	default:
		fputc('{', out);
		while ((child = spate_param_child(p, child))) {
			if (child->kind == SPATE_KIND_TEXT &&
			    !*(char *const *)(const void *)(at + child->offset))
				continue;
			fprintf(out, "%s%s: ", sep, spate_param_name(child));
			value_of(out, child, at);
			sep = ", ";
		}
		fputc('}', out);
	}
}

static void value_of(FILE *out, const struct spate_param *p, const char *base)
{
	const void *at = base + p->offset;
	uint64_t n = 0;
	char buf[32];

	if (spate_param_is_list(p)) {
		uint32_t count = *(const uint32_t *)(const void *)(base + p->count_offset);

		fputc('[', out);
		for (uint32_t i = 0; i < count; i++) {
			fputs(i ? ", " : "", out);
			entry_of(out, p, *(char *const *)at + i * p->size);
		}
		fputc(']', out);
		return;
	}
	if (p->kind == SPATE_KIND_TEXT) {
		quoted(out, *(char *const *)at, strlen(*(char *const *)at));
		return;
	}
	n = p->size == 8 ? *(const uint64_t *)at : *(const uint32_t *)at;
	if (p->kind == SPATE_KIND_SIZE) {
		fputs(spate_format_size(n, buf), out);
	} else if (p->kind == SPATE_KIND_TIME) {
		fputs(spate_format_time(n, buf), out);
	} else if (p->kind == SPATE_KIND_ENUM) {
		const char *s = p->low;

		while (n--)
			s += strcspn(s, "|") + 1;
		fprintf(out, "%.*s", (int)strcspn(s, "|"), s);
	} else {
		fprintf(out, "%" PRIu64, n);
	}
}

void spate_config_print(FILE *out, const struct spate_config *cfg)
{
	for (const struct spate_param *p = spate_params; p < spate_params + SPATE_PARAM_COUNT;
	     p++) {
		if (strstr(p->path, "[]"))
			continue;
		put_key(out, p);
		if (p->kind != SPATE_KIND_SECTION) {
			fputc(' ', out);
			value_of(out, p, (const char *)cfg);
		}
		fputc('\n', out);
	}
}

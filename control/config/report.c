#include "control/config/report.h"

#include <stdio.h>
#include <string.h>

static void add(struct spate_config_report *r, const char *where,
		const struct spate_config_where *at, const char *kind, const char *fmt, va_list ap)
{
	char line[1024];
	size_t n;
	int head;

	if (at && at->line)
		head = snprintf(line, sizeof(line), "%.400s:%u:%u: %s", where, at->line, at->col,
				kind);
	else
		head = snprintf(line, sizeof(line), "%.400s: %s", where, kind);
	vsnprintf(line + head, sizeof(line) - (size_t)head, fmt, ap);
	for (char *p = line; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';

	n = strlen(line);
	if (n + 2 > sizeof(r->text) - r->len)
		return;
	memcpy(r->text + r->len, line, n);
	r->len += n;
	r->text[r->len++] = '\n';
	r->text[r->len] = '\0';
}

void spate_report_verror(struct spate_config_report *r, const char *where,
			 const struct spate_config_where *at, const char *fmt, va_list ap)
{
	r->errors++;
	add(r, where, at, "", fmt, ap);
}

void spate_report_error(struct spate_config_report *r, const char *where,
			const struct spate_config_where *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	spate_report_verror(r, where, at, fmt, ap);
	va_end(ap);
}

void spate_report_warning(struct spate_config_report *r, const char *where,
			  const struct spate_config_where *at, const char *fmt, ...)
{
	va_list ap;

	r->warnings++;
	va_start(ap, fmt);
	add(r, where, at, "warning: ", fmt, ap);
	va_end(ap);
}

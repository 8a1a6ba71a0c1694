/* report.h: adding findings to a struct spate_config_report, one line each. */
#ifndef SPATE_CONFIG_REPORT_H
#define SPATE_CONFIG_REPORT_H

#include <stdarg.h>

#include "control/config/config.h"

/*
 * where is what comes before the colon ("spate.yaml", "--memory"); at may be NULL or line 0: no
 * position. Control characters in the result become '?', so that a finding stays one line.
 */
void spate_report_error(struct spate_config_report *r, const char *where,
			const struct spate_config_where *at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void spate_report_warning(struct spate_config_report *r, const char *where,
			  const struct spate_config_where *at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void spate_report_verror(struct spate_config_report *r, const char *where,
			 const struct spate_config_where *at, const char *fmt, va_list ap);

#endif

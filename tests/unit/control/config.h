/* config.h: shorthands for the tests of the configuration. */
#ifndef SPATE_TEST_CONFIG_H
#define SPATE_TEST_CONFIG_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "control/config/config.h"

/* Loads text as "t.yaml"; NULL when it is refused. The report is *r. */
static inline struct spate_config *
load_with(const char *text, const struct spate_config_overrides *ov, struct spate_config_report *r)
{
	struct spate_config *cfg = NULL;

	memset(r, 0, sizeof(*r));
	spate_config_parse("t.yaml", text, text ? strlen(text) : 0, ov, &cfg, r);
	return cfg;
}

static inline struct spate_config *load_good(const char *text)
{
	struct spate_config_report r;
	struct spate_config *cfg = load_with(text, NULL, &r);

	assert_string_equal(r.text, "");
	assert_non_null(cfg);
	return cfg;
}

/* The one finding that refuses `text`. */
static inline void assert_refused(const char *text, const char *finding)
{
	struct spate_config_report r;

	assert_null(load_with(text, NULL, &r));
	if (r.len)
		r.text[r.len - 1] = '\0';
	assert_string_equal(r.text, finding);
	assert_int_equal(r.errors, 1);
}

#endif

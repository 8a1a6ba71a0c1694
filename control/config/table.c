#include "control/config/table.h"

#include <string.h>

#include "control/config/config.h"

#define FIELD(type, field) (((type *)0)->field)

const struct spate_param spate_params[SPATE_PARAM_COUNT] = {
#define SPATE_SECTION(id, path_, help_) \
	{.path = path_,                 \
	 .kind = SPATE_KIND_SECTION,    \
	 .low = "",                     \
	 .high = "",                    \
	 .fallback = "",                \
	 .help = help_},
#define SPATE_PARAM(id, path_, kind_, type, field, low_, high_, fallback_, apply_, help_) \
	{.path = path_,                                                                   \
	 .kind = SPATE_KIND_##kind_,                                                      \
	 .apply = SPATE_APPLY_##apply_,                                                   \
	 .low = low_,                                                                     \
	 .high = high_,                                                                   \
	 .fallback = fallback_,                                                           \
	 .help = help_,                                                                   \
	 .offset = offsetof(type, field),                                                 \
	 .size = sizeof(FIELD(type, field))},
#define SPATE_LIST(id, path_, kind_, type, field, low_, high_, fallback_, apply_, help_) \
	{.path = path_,                                                                  \
	 .kind = SPATE_KIND_##kind_,                                                     \
	 .apply = SPATE_APPLY_##apply_,                                                  \
	 .low = low_,                                                                    \
	 .high = high_,                                                                  \
	 .fallback = fallback_,                                                          \
	 .help = help_,                                                                  \
	 .offset = offsetof(type, field),                                                \
	 .count_offset = offsetof(type, field##_count),                                  \
	 .size = sizeof(*FIELD(type, field))},
#include "spate/tbl/params.def"
#undef SPATE_SECTION
#undef SPATE_PARAM
#undef SPATE_LIST
};

const char *spate_param_name(const struct spate_param *p)
{
	const char *dot = strrchr(p->path, '.');

	return dot ? dot + 1 : p->path;
}

/* Is p directly below parent? "cache.disk" is below "cache"; "origins[].url" is below "origins". */
static bool below(const struct spate_param *p, const struct spate_param *parent)
{
	const char *rest = p->path;

	if (parent) {
		size_t n = strlen(parent->path);

		if (strncmp(rest, parent->path, n) != 0)
			return false;
		rest += n;
		if (strncmp(rest, "[]", 2) == 0)
			rest += 2;
		if (*rest++ != '.')
			return false;
	}
	return !strchr(rest, '.');
}

const struct spate_param *spate_param_child(const struct spate_param *parent,
					    const struct spate_param *prev)
{
	const struct spate_param *p = prev ? prev + 1 : spate_params;

	for (; p < spate_params + SPATE_PARAM_COUNT; p++)
		if (below(p, parent))
			return p;
	return NULL;
}

const struct spate_param *spate_param_find(const char *path)
{
	for (unsigned i = 0; i < SPATE_PARAM_COUNT; i++)
		if (strcmp(spate_params[i].path, path) == 0)
			return &spate_params[i];
	return NULL;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

unsigned spate_edit_distance(const char *a, const char *b)
{
	enum { MAX = 63 };
	size_t m = strnlen(a, MAX), n = strnlen(b, MAX);
	unsigned d[MAX + 1][MAX + 1];

	for (size_t i = 0; i <= m; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= n; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= m; i++) {
		for (size_t j = 1; j <= n; j++) {
			d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1,
				       d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[m][n];
}

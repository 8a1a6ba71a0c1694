/* diff.c: two configurations side by side, row by row of the table. */
#include <stdio.h>
#include <string.h>

#include "control/config/config.h"
#include "control/config/table.h"

static bool same(const struct spate_param *p, const char *a, const char *b);

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* One entry of a list at a and b. Places do not count: a comment added above changes nothing. */
static bool same_entry(const struct spate_param *p, const char *a, const char *b)
{
	const struct spate_param *child = NULL;

	switch (p->kind) {
	case SPATE_KIND_ADDRS: {
		const struct spate_config_addr *x = (const void *)a, *y = (const void *)b;

		return x->port == y->port && memcmp(x->ip, y->ip, sizeof(x->ip)) == 0;
	}
	case SPATE_KIND_IPS:
	case SPATE_KIND_ROUTES: {
		const struct spate_config_ip *x = (const void *)a, *y = (const void *)b;

		return x->prefix == y->prefix && memcmp(x->ip, y->ip, sizeof(x->ip)) == 0 &&
		       memcmp(x->via, y->via, sizeof(x->via)) == 0;
	}
	case SPATE_KIND_TEXTS:
		return same_text(*(char *const *)(const void *)a, *(char *const *)(const void *)b);
	case SPATE_KIND_ITEMS:
		while ((child = spate_param_child(p, child)))
			if (!same(child, a, b))
				return false;
		return true;
	default:
		return memcmp(a, b, p->size) == 0;
	}
}

/* The field of row p in the structs at a and b. */
static bool same(const struct spate_param *p, const char *a, const char *b)
{
	const void *fa = a + p->offset, *fb = b + p->offset;

	if (p->kind == SPATE_KIND_SECTION)
		return true;
	if (p->kind == SPATE_KIND_TEXT)
		return same_text(*(char *const *)fa, *(char *const *)fb);
	if (spate_param_is_list(p)) {
		uint32_t na = *(const uint32_t *)(const void *)(a + p->count_offset);
		uint32_t nb = *(const uint32_t *)(const void *)(b + p->count_offset);

		if (na != nb)
			return false;
		for (uint32_t i = 0; i < na; i++)
			if (!same_entry(p, *(char *const *)fa + i * p->size,
					*(char *const *)fb + i * p->size))
				return false;
		return true;
	}
	return memcmp(fa, fb, p->size) == 0;
}

static void name(char *names, size_t size, const char *path)
{
	size_t len = strlen(names);

	snprintf(names + len, size - len, "%s%s", len ? ", " : "", path);
}

/* Our own TCP has room for as many connections as it was started with; fewer is a limit like any. */
static bool outgrows(const struct spate_param *p, const struct spate_config *old,
		     const struct spate_config *next)
{
	return p == &spate_params[SPATE_PARAM_limit_connections] &&
	       next->backend == SPATE_BACKEND_DPDK &&
	       next->limits.connections > old->limits.connections;
}

void spate_config_diff(const struct spate_config *old, const struct spate_config *next,
		       struct spate_config_changes *out)
{
	memset(out, 0, sizeof(*out));
	for (const struct spate_param *p = spate_params; p < spate_params + SPATE_PARAM_COUNT;
	     p++) {
		if (strstr(p->path, "[]") || same(p, (const char *)old, (const char *)next))
			continue;
		if (p->apply == SPATE_APPLY_RESTART || outgrows(p, old, next)) {
			out->restart++;
			name(out->restart_names, sizeof(out->restart_names), p->path);
		} else {
			out->reload++;
			name(out->reload_names, sizeof(out->reload_names), p->path);
		}
	}
}

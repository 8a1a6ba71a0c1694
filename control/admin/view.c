/* view.c: which counters belong to whom. See view.h. */
#include "control/admin/view.h"

#include <string.h>

static bool prefixed(const struct spate_counter_info *c, const char *prefix)
{
	return strncmp(c->name, prefix, strlen(prefix)) == 0;
}

uint64_t spate_view_value(const struct spate_stats *s, const struct spate_counter_info *c)
{
	const _Atomic uint64_t *at = (const void *)((const char *)s + c->offset);

	return atomic_load_explicit(at, memory_order_relaxed);
}

uint64_t spate_view_total(const struct spate_view *v, const struct spate_counter_info *c)
{
	uint64_t sum = spate_view_value(v->control, c);

	for (unsigned i = 0; i < v->nworkers; i++)
		sum += spate_view_value(v->workers[i], c);
	return sum;
}

bool spate_view_shown(const struct spate_view *v, const struct spate_counter_info *c)
{
	return !prefixed(c, "tcp_") || strcmp(v->backend, "dpdk") == 0;
}

bool spate_view_of_control(const struct spate_counter_info *c)
{
	return prefixed(c, "cache_") || prefixed(c, "origin_") || prefixed(c, "log_");
}

bool spate_view_of_worker(const struct spate_view *v, const struct spate_counter_info *c)
{
	return spate_view_shown(v, c) && !prefixed(c, "cache_") && !prefixed(c, "origin_");
}

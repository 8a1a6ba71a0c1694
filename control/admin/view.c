/* view.c: which counters belong to whom. See view.h. */
#include "control/admin/view.h"

#include <stddef.h>
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

/* Control copies these from the cache now and then; here the cache has just been asked. */
static bool from_cache(const struct spate_view *v, const struct spate_counter_info *c,
		       uint64_t *out)
{
	if (c->offset == offsetof(struct spate_stats, cache_objects))
		*out = v->cache.objects;
	else if (c->offset == offsetof(struct spate_stats, cache_bytes))
		*out = v->cache.blocks_used * v->block_bytes;
	else if (c->offset == offsetof(struct spate_stats, cache_evicted))
		*out = v->cache.evicted;
	else
		return false;
	return true;
}

uint64_t spate_view_total(const struct spate_view *v, const struct spate_counter_info *c)
{
	uint64_t sum;

	if (from_cache(v, c, &sum))
		return sum;
	sum = spate_view_value(v->control, c);
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

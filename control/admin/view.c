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

unsigned spate_view_offload(const struct spate_view *v)
{
	static const struct spate_counter_info up = {.offset = offsetof(struct spate_stats,
									tracker_uploaded_bytes)},
					       down = {.offset =
							       offsetof(struct spate_stats,
									tracker_downloaded_bytes)};
	uint64_t sent = spate_view_total(v, &up), got = spate_view_total(v, &down);

	if (got == 0)
		return 0;
	return sent < got ? (unsigned)((double)sent * 100 / (double)got) : 100;
}

#define INFO(name, kind, help)                                              \
	{                                                                   \
#name, kind, help, offsetof(struct spate_port_status, name) \
	}
const struct spate_port_info spate_port_infos[] = {
	INFO(rx_packets, "counter", "Packets received"),
	INFO(rx_bytes, "counter", "Bytes received, with ethernet headers"),
	INFO(tx_packets, "counter", "Packets sent"),
	INFO(tx_bytes, "counter", "Bytes sent, with ethernet headers"),
	INFO(rx_missed, "counter", "Packets the device dropped: its queue was full"),
	INFO(rx_errors, "counter", "Packets the device found broken"),
	INFO(rx_nobuf, "counter", "Packets dropped because no buffer was free"),
	INFO(tx_errors, "counter", "Packets the device could not send"),
	INFO(tx_dropped, "counter", "Packets dropped before the device: it took none for too long"),
	INFO(tx_copied, "counter", "Packets whose payload was copied"),
	INFO(buffers_used, "gauge", "Packet buffers in use now"),
	INFO(buffers, "gauge", "Packet buffers there are"),
};
#undef INFO
const unsigned spate_port_infos_len = sizeof(spate_port_infos) / sizeof(spate_port_infos[0]);

uint64_t spate_view_port_value(const struct spate_view_port *p, const struct spate_port_info *i)
{
	uint64_t v;

	memcpy(&v, (const char *)&p->status + i->offset, sizeof(v));
	return v;
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

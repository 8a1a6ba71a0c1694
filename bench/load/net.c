/* net.c: what all ways to meet the network share. */
#include "bench/load/net.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "bench/load/options.h"

static uint64_t clock_of(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t load_clock_ns(void)
{
	return clock_of(CLOCK_MONOTONIC);
}

uint64_t load_busy_ns(const struct load_net *n, const struct load_options *o)
{
	if (o->dpdk != NULL) /* a net that polls is always on its core */
		return load_clock_ns() - n->idle_ns;
	return clock_of(CLOCK_THREAD_CPUTIME_ID);
}

int load_net_open(struct load_net **out, const struct load_options *o, char *why, size_t why_len)
{
#ifdef SPATE_HAVE_DPDK
	if (o->dpdk != NULL)
		return load_wire_open(out, o, why, why_len);
#endif
	if (o->dpdk != NULL) {
		snprintf(why, why_len, "built without DPDK");
		return -ENOTSUP;
	}
	return load_sockets_open(out, o, why, why_len);
}

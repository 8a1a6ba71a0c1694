#include "spate/stats.h"

#include <stddef.h>

const struct spate_counter_info spate_counters[] = {
#define SPATE_COUNTER(name, kind, unit, help) \
	{#name, kind, unit, help, offsetof(struct spate_stats, name)},
#include "spate/tbl/counters.def"
#undef SPATE_COUNTER
};

const unsigned spate_counters_len = sizeof(spate_counters) / sizeof(spate_counters[0]);

#include "control/torrent/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t first8(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void put(struct spate_torrent **slots, uint32_t mask, uint64_t hash, struct spate_torrent *t)
{
	uint32_t i = (uint32_t)hash & mask;

	while (slots[i] != NULL)
		i = (i + 1) & mask;
	slots[i] = t;
}

int spate_table_create(struct spate_torrents **out, struct spate_torrent *const *list, uint32_t n,
		       uint64_t generation)
{
	struct spate_torrents *t = calloc(1, sizeof(*t));
	size_t slots = 4;

	/* A hybrid torrent takes two slots; half empty, so that a miss ends soon. */
	while (slots < (size_t)n * 4)
		slots *= 2;
	if (t == NULL)
		return -ENOMEM;
	t->by_hash = calloc(slots, sizeof(struct spate_torrent *));
	t->by_file = calloc(slots, sizeof(struct spate_torrent *));
	if (t->by_hash == NULL || t->by_file == NULL) {
		spate_table_free(t);
		return -ENOMEM;
	}
	t->generation = generation;
	t->mask = (uint32_t)(slots - 1);
	t->n = n;
	for (uint32_t i = 0; i < n; i++) {
		put(t->by_hash, t->mask, first8(list[i]->infohash), list[i]);
		if (list[i]->hybrid)
			put(t->by_hash, t->mask, first8(list[i]->infohash_v2), list[i]);
		if (list[i]->file_url != NULL)
			put(t->by_file, t->mask, list[i]->file_key.lo, list[i]);
	}
	*out = t;
	return 0;
}

void spate_table_free(struct spate_torrents *t)
{
	if (t == NULL)
		return;
	free(t->by_hash);
	free(t->by_file);
	free(t);
}

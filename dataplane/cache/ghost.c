#include "dataplane/cache/ghost.h"

#define NONE UINT32_MAX

static uint32_t chains_for(uint32_t entries)
{
	uint32_t n = 16;

	while (n < entries)
		n *= 2;
	return n;
}

size_t spate_ghost_bytes(uint32_t entries_max)
{
	size_t n = (size_t)entries_max * sizeof(struct spate_ghost_entry) +
		   (size_t)chains_for(entries_max) * sizeof(uint32_t);

	return (n + 63) & ~(size_t)63;
}

void spate_ghost_init(struct spate_ghost *g, void *mem, uint32_t entries_max, uint64_t weight_max)
{
	*g = (struct spate_ghost){
		.entry = mem,
		.mask = chains_for(entries_max) - 1,
		.entries_max = entries_max,
		.weight_max = weight_max,
		.oldest = NONE,
		.newest = NONE,
		.free = NONE,
	};
	g->head = (uint32_t *)(g->entry + entries_max);
	for (uint32_t i = 0; i <= g->mask; i++)
		g->head[i] = NONE;
}

/* The link that points at the key's entry, or at NONE. */
static uint32_t *find(struct spate_ghost *g, uint64_t key)
{
	uint32_t *link = &g->head[key & g->mask];

	while (*link != NONE && g->entry[*link].key != key)
		link = &g->entry[*link].chain;
	return link;
}

static void drop(struct spate_ghost *g, uint32_t *link)
{
	uint32_t id = *link;
	struct spate_ghost_entry *e = &g->entry[id];

	*link = e->chain;
	*(e->older == NONE ? &g->oldest : &g->entry[e->older].newer) = e->newer;
	*(e->newer == NONE ? &g->newest : &g->entry[e->newer].older) = e->older;
	g->weight -= e->weight;
	g->entries--;
	e->chain = g->free;
	g->free = id;
}

bool spate_ghost_take(struct spate_ghost *g, uint64_t key)
{
	uint32_t *link = find(g, key);

	if (*link == NONE)
		return false;
	drop(g, link);
	return true;
}

void spate_ghost_add(struct spate_ghost *g, uint64_t key, uint32_t weight)
{
	spate_ghost_take(g, key);
	if (weight > g->weight_max)
		return;
	while (g->entries == g->entries_max || g->weight + weight > g->weight_max)
		drop(g, find(g, g->entry[g->oldest].key));

	uint32_t id = g->free != NONE ? g->free : g->made, *link = &g->head[key & g->mask];
	struct spate_ghost_entry *e = &g->entry[id];

	if (id == g->made)
		g->made++;
	else
		g->free = e->chain;
	*e = (struct spate_ghost_entry){
		.key = key, .weight = weight, .chain = *link, .older = g->newest, .newer = NONE};
	*link = id;
	*(g->newest == NONE ? &g->oldest : &g->entry[g->newest].newer) = id;
	g->newest = id;
	g->weight += weight;
	g->entries++;
}

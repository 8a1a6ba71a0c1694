/* refs.c: open addressing, doubled when half full. */
#include "bench/load/refs.h"

#include <stdlib.h>
#include <xxhash.h>

struct ref {
	uint64_t key[3];
	uint64_t hash;
	bool used;
};

struct load_refs {
	struct ref *slot;
	uint64_t slots, used;
};

struct load_refs *load_refs_create(void)
{
	struct load_refs *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->slots = 1024;
	t->slot = calloc(t->slots, sizeof(*t->slot));
	if (t->slot == NULL) {
		free(t);
		return NULL;
	}
	return t;
}

void load_refs_destroy(struct load_refs *t)
{
	if (t == NULL)
		return;
	free(t->slot);
	free(t);
}

static struct ref *find(struct ref *slot, uint64_t slots, const uint64_t key[3])
{
	uint64_t i = XXH3_64bits(key, 24) & (slots - 1);

	while (slot[i].used &&
	       (slot[i].key[0] != key[0] || slot[i].key[1] != key[1] || slot[i].key[2] != key[2]))
		i = (i + 1) & (slots - 1);
	return &slot[i];
}

static bool grow(struct load_refs *t)
{
	uint64_t slots = t->slots * 2;
	struct ref *slot = calloc(slots, sizeof(*slot));

	if (slot == NULL)
		return false;
	for (uint64_t i = 0; i < t->slots; i++)
		if (t->slot[i].used)
			*find(slot, slots, t->slot[i].key) = t->slot[i];
	free(t->slot);
	t->slot = slot;
	t->slots = slots;
	return true;
}

bool load_refs_same(struct load_refs *t, uint32_t url, uint64_t first, uint64_t last, uint64_t hash)
{
	uint64_t key[3] = {url, first, last};
	struct ref *r = find(t->slot, t->slots, key);

	if (r->used)
		return r->hash == hash;
	if (t->used * 2 >= t->slots) {
		if (!grow(t))
			return true;
		r = find(t->slot, t->slots, key);
	}
	*r = (struct ref){{key[0], key[1], key[2]}, hash, true};
	t->used++;
	return true;
}

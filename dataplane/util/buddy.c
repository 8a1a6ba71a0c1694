#include "dataplane/util/buddy.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

struct link {
	uint32_t next, prev; /* 0: none */
};

static struct link *link_of(const struct spate_buddy *b, uint32_t at)
{
	return spate_buddy_at(b, at);
}

static void push(struct spate_buddy *b, uint32_t at, unsigned order)
{
	struct link *l = link_of(b, at);

	l->prev = 0;
	l->next = b->free[order];
	if (l->next != 0)
		link_of(b, l->next)->prev = at;
	b->free[order] = at;
	b->state[at] = (uint8_t)(order + 1);
}

static void take(struct spate_buddy *b, uint32_t at, unsigned order)
{
	struct link *l = link_of(b, at);

	if (l->prev != 0)
		link_of(b, l->prev)->next = l->next;
	else
		b->free[order] = l->next;
	if (l->next != 0)
		link_of(b, l->next)->prev = l->prev;
	b->state[at] = 0;
}

int spate_buddy_init(struct spate_buddy *b, uint64_t bytes)
{
	uint64_t units = bytes / SPATE_BUDDY_MIN;

	*b = (struct spate_buddy){0};
	if (units < 2 || units > 1u << 30)
		return -EINVAL;
	b->units = (uint32_t)units;
	b->base = mmap(NULL, units * (SPATE_BUDDY_MIN + 1), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (b->base == MAP_FAILED) {
		b->base = NULL;
		return -ENOMEM;
	}
	b->state = b->base + units * SPATE_BUDDY_MIN;
	/* The largest aligned blocks that fit, from unit 1 on: 0 is nobody's name. */
	for (uint32_t at = 1; at < b->units;) {
		unsigned order = 0;

		while (order + 1 < SPATE_BUDDY_ORDERS && (at & ((2u << order) - 1)) == 0 &&
		       at + (2u << order) <= b->units)
			order++;
		push(b, at, order);
		at += 1u << order;
	}
	return 0;
}

void spate_buddy_finish(struct spate_buddy *b)
{
	if (b->base != NULL)
		munmap(b->base, (size_t)b->units * (SPATE_BUDDY_MIN + 1));
	b->base = NULL;
}

uint32_t spate_buddy_get(struct spate_buddy *b, unsigned order)
{
	unsigned have = order;
	uint32_t at;

	while (have < SPATE_BUDDY_ORDERS && b->free[have] == 0)
		have++;
	if (have >= SPATE_BUDDY_ORDERS)
		return 0;
	at = b->free[have];
	take(b, at, have);
	while (have > order) {
		have--;
		push(b, at + (1u << have), have);
	}
	b->used += 1u << order;
	return at;
}

void spate_buddy_put(struct spate_buddy *b, uint32_t at, unsigned order)
{
	b->used -= 1u << order;
	while (order + 1 < SPATE_BUDDY_ORDERS) {
		uint32_t other = at ^ (1u << order);

		if (other == 0 || other + (1u << order) > b->units || b->state[other] != order + 1)
			break;
		take(b, other, order);
		at &= ~(1u << order);
		order++;
	}
	push(b, at, order);
}

#include "dataplane/tcp/wheel.h"

#include <string.h>

void tcp_wheel_init(struct tcp_wheel *w, uint32_t tick)
{
	memset(w, 0, sizeof *w);
	w->now = tick;
}

static void link_in(struct tcp_wheel *w, struct tcp_timer *t)
{
	uint32_t delta = t->tick - w->now;
	unsigned level = delta < 1u << 8 ? 0 : delta < 1u << 16 ? 1 : delta < 1u << 24 ? 2 : 3;
	unsigned i = (t->tick >> (8 * level)) & 255;
	struct tcp_timer **head = &w->slot[level][i];

	t->slot = (uint16_t)(level * 256 + i);
	t->next = *head;
	t->prev = head;
	if (*head != NULL)
		(*head)->prev = &t->next;
	*head = t;
	w->bits[level][i / 64] |= 1ull << (i % 64);
}

void tcp_wheel_stop(struct tcp_wheel *w, struct tcp_timer *t)
{
	unsigned level = t->slot / 256, i = t->slot % 256;

	if (t->prev == NULL)
		return;
	*t->prev = t->next;
	if (t->next != NULL)
		t->next->prev = t->prev;
	t->prev = NULL;
	w->count--;
	if (w->slot[level][i] == NULL)
		w->bits[level][i / 64] &= ~(1ull << (i % 64));
}

void tcp_wheel_set(struct tcp_wheel *w, struct tcp_timer *t, uint32_t tick)
{
	if (t->prev != NULL) {
		if (t->tick == tick)
			return;
		tcp_wheel_stop(w, t);
	}
	/* The slot of `now` has been served already: what is due goes into the next one. */
	if ((int32_t)(tick - w->now) <= 0)
		tick = w->now + 1;
	t->tick = tick;
	w->count++;
	link_in(w, t);
}

/* First set bit at or after i, or 256. */
static unsigned next_bit(const uint64_t bits[4], unsigned i)
{
	for (unsigned word = i / 64; word < 4; word++, i = word * 64) {
		uint64_t b = bits[word] & (~0ull << (i % 64));

		if (b != 0)
			return word * 64 + (unsigned)__builtin_ctzll(b);
	}
	return 256;
}

/* At the start of a block of 256 ticks, what waited one level up for it comes down. */
static void cascade(struct tcp_wheel *w)
{
	for (unsigned level = 1; level < 4; level++) {
		unsigned i = (w->now >> (8 * level)) & 255;
		struct tcp_timer *t = w->slot[level][i];

		w->slot[level][i] = NULL;
		w->bits[level][i / 64] &= ~(1ull << (i % 64));
		while (t != NULL) {
			struct tcp_timer *next = t->next;

			link_in(w, t);
			t = next;
		}
		if (i != 0)
			break;
	}
}

void tcp_wheel_advance(struct tcp_wheel *w, uint32_t tick,
		       void (*fire)(void *ctx, struct tcp_timer *t), void *ctx)
{
	while ((int32_t)(tick - w->now) > 0) {
		uint32_t next = w->now + 1;

		if (w->count == 0) {
			w->now = tick;
			return;
		}
		if ((next & 255) == 0) {
			w->now = next;
			cascade(w);
		} else {
			unsigned i = next_bit(w->bits[0], next & 255);
			uint32_t at = (next & ~255u) + (i == 256 ? 255 : i);

			if ((int32_t)(tick - at) < 0) {
				w->now = tick;
				return;
			}
			w->now = at;
		}
		struct tcp_timer **head = &w->slot[0][w->now & 255];

		while (*head != NULL) {
			struct tcp_timer *t = *head;

			tcp_wheel_stop(w, t);
			fire(ctx, t);
		}
	}
}

uint32_t tcp_wheel_next(const struct tcp_wheel *w)
{
	uint32_t next = w->now + 1;

	if (w->count == 0)
		return UINT32_MAX;
	unsigned i = next_bit(w->bits[0], next & 255);

	if ((next & 255) != 0 && i < 256)
		return (next & ~255u) + i - w->now;
	if ((next & 255) == 0)
		return 1;
	/* Nothing before the block ends; then at the latest comes a cascade, if anything waits
	 * above or behind. */
	uint32_t block = (next | 255) + 1;

	if (next_bit(w->bits[0], 0) < 256)
		return block - w->now;
	for (unsigned ahead = 1; ahead < 256; ahead++) {
		uint32_t at = block + (ahead - 1) * 256;

		/* A level 1 slot, or the start of a level 2 block, which may bring anything down.
		 */
		if ((w->bits[1][((at >> 8) & 255) / 64] >> ((at >> 8) % 64)) & 1)
			return at - w->now;
		if (((at >> 8) & 255) == 0)
			return at - w->now;
	}
	return block + 255 * 256 - w->now;
}

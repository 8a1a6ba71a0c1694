#include "dataplane/net/board.h"

#include <immintrin.h>

void spate_net_board_init(struct spate_net_board *b)
{
	memset((void *)b, 0, sizeof(*b));
}

void spate_net_board_post(struct spate_net_board *b, const struct spate_net_post *p)
{
	uint64_t words[SPATE_BOARD_WORDS] = {0};

	memcpy(words, p, sizeof(*p));
	while (atomic_exchange_explicit(&b->lock, 1, memory_order_acquire) != 0)
		_mm_pause();
	uint64_t at = atomic_load_explicit(&b->next, memory_order_relaxed);
	unsigned i = at % SPATE_BOARD_SLOTS;

	/*
	 * Release on each word keeps it after the odd stamp for whoever reads the word with
	 * acquire.
	 */
	atomic_store_explicit(&b->slot[i].stamp, 2 * at + 1, memory_order_relaxed);
	for (unsigned w = 0; w < SPATE_BOARD_WORDS; w++)
		atomic_store_explicit(&b->slot[i].word[w], words[w], memory_order_release);
	atomic_store_explicit(&b->slot[i].stamp, 2 * at + 2, memory_order_release);
	atomic_store_explicit(&b->next, at + 1, memory_order_release);
	atomic_store_explicit(&b->lock, 0, memory_order_release);
}

bool spate_net_board_read(struct spate_net_board *b, uint64_t *at, struct spate_net_post *out)
{
	uint64_t next = atomic_load_explicit(&b->next, memory_order_acquire);
	uint64_t words[SPATE_BOARD_WORDS];

	if (next - *at > SPATE_BOARD_SLOTS)
		*at = next - SPATE_BOARD_SLOTS;
	while (*at != next) {
		unsigned i = *at % SPATE_BOARD_SLOTS;
		uint64_t stamp = 2 * *at + 2;
		bool same = atomic_load_explicit(&b->slot[i].stamp, memory_order_acquire) == stamp;

		(*at)++;
		if (!same)
			continue;
		for (unsigned w = 0; w < SPATE_BOARD_WORDS; w++)
			words[w] = atomic_load_explicit(&b->slot[i].word[w], memory_order_acquire);
		if (atomic_load_explicit(&b->slot[i].stamp, memory_order_relaxed) != stamp)
			continue;
		memcpy(out, words, sizeof(*out));
		return true;
	}
	return false;
}

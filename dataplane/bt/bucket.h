/*
 * bucket.h: a token bucket in bytes. It may be overdrawn by one piece: who finds it above zero may
 * send, and what he sent is taken off after, so no request is too large for it.
 */
#ifndef SPATE_BT_BUCKET_H
#define SPATE_BT_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#define SPATE_BT_BURST_US 250000u /* what an idle bucket saves up */

struct spate_bt_bucket {
	int64_t bytes;
	uint64_t at_us; /* filled up to here; 0: never used */
};

/* May something be sent now? rate: bytes a second; 0: no limit. */
static inline bool spate_bt_bucket_open(struct spate_bt_bucket *b, uint64_t rate, uint64_t now_us)
{
	if (rate == 0)
		return true;
	int64_t most = (int64_t)(rate * SPATE_BT_BURST_US / 1000000) + 1;
	unsigned __int128 more = (unsigned __int128)(now_us - b->at_us) * rate / 1000000;

	if (b->at_us == 0 || more >= (unsigned __int128)(most - b->bytes)) {
		b->bytes = most;
		b->at_us = now_us;
	} else if (more > 0) {
		b->bytes += (int64_t)more;
		b->at_us += (uint64_t)(more * 1000000 / rate); /* the rest is kept for the next */
	}
	return b->bytes > 0;
}

static inline void spate_bt_bucket_take(struct spate_bt_bucket *b, uint64_t rate, uint64_t bytes)
{
	if (rate != 0)
		b->bytes -= (int64_t)bytes;
}

#endif

/*
 * qsbr.h: when has every reader let go of what the writer took away? Quiescent-state based
 * reclamation (McKenney; Hart et al., "Performance of memory reclamation for lockless
 * synchronization", 2007).
 *
 * A reader says once a loop turn "I hold no unpinned pointer" by copying the epoch. The writer
 * unlinks, remembers the epoch r, steps the epoch to r + 1, and may free once every online reader
 * has copied > r:
 *
 *     writer   unlink X   r = 7   epoch = 8        ...      min(seen) = 8 > 7: free X
 *     reader        uses X ...            quiesce: seen = 8 (from here on it sees the unlink)
 *
 * The reader that wakes up is the hard part: it must not read the index while the writer still
 * believes it is offline. Reader: store seen, then read the index. Writer: unlink, then read seen.
 * That is Dekker's pattern; instead of fences (which ThreadSanitizer does not follow) both sides
 * step through a read-modify-write of the same variable, the epoch. Those are totally ordered, and
 * the later one synchronises with the earlier: either the writer sees `seen`, or the reader sees
 * the unlink.
 *
 *     reader   seen = e ─▶ epoch += 0 ─▶ read index
 *     writer   unlink   ─▶ epoch += 1 ─▶ read seen
 */
#ifndef SPATE_CACHE_QSBR_H
#define SPATE_CACHE_QSBR_H

#include "spate/cache.h"

struct spate_qsbr_reader {
	_Alignas(64) _Atomic uint64_t seen; /* 0: offline. Written by the reader alone. */
	_Atomic uint32_t *pins;             /* one an object, written by the reader alone */
	_Atomic uint64_t pinned;            /* their sum, for the admin */
};

struct spate_qsbr {
	_Alignas(64) _Atomic uint64_t epoch; /* from 1 */
	_Alignas(64) unsigned readers;
	struct spate_qsbr_reader *reader;
};

void spate_qsbr_init(struct spate_qsbr *q, struct spate_qsbr_reader *reader, unsigned readers);

/* Writer. Stamps what it has just unlinked. */
uint64_t spate_qsbr_now(const struct spate_qsbr *q);
/* Writer. Makes the stamps so far able to expire. */
void spate_qsbr_step(struct spate_qsbr *q);
/* Writer, after step: stamps below this have expired. */
uint64_t spate_qsbr_expired(const struct spate_qsbr *q);

#endif

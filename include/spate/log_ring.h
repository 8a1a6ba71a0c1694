/*
 * log_ring.h: access records from a worker to control. Single producer, single consumer, records of
 * variable length in a byte ring; when it is full the record is dropped and counted. Control
 * formats and writes.
 */
#ifndef SPATE_LOG_RING_H
#define SPATE_LOG_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum spate_log_cache {
	SPATE_LOG_NONE,
	SPATE_LOG_HIT,
	SPATE_LOG_MISS,
	SPATE_LOG_COALESCED,
	SPATE_LOG_REVALIDATED,
	SPATE_LOG_STALE
};

struct spate_log_record {
	uint16_t bytes; /* of this record, header included, multiple of 8 */
	uint8_t cache;  /* enum spate_log_cache */
	uint8_t method; /* enum spate_http_method */
	uint16_t status;
	uint8_t http_minor;
	bool complete;        /* every byte of the response was taken over */
	int64_t start_us;     /* CLOCK_REALTIME */
	uint32_t duration_us; /* request head complete to last byte taken */
	uint32_t origin_us;   /* request to the origin to its head; 0: none */
	uint64_t body_bytes;  /* taken over by the transport */
	uint8_t peer_ip[16];
	uint16_t peer_port;
	uint16_t url_len, range_len, agent_len,
		referer_len; /* texts follow in this order, raw from the wire */
	char text[];
};

#define SPATE_LOG_RECORD_MAX 65528u /* bytes, header included */

struct spate_log_ring {
	_Alignas(64) _Atomic uint32_t head; /* consumer */
	uint32_t tail_seen;
	_Alignas(64) _Atomic uint32_t tail; /* producer */
	uint32_t head_seen;
	_Alignas(64) uint32_t bytes; /* power of two */
	uint8_t *mem;
};

/*
 * bytes: a power of two, 64 at least; give it twice the largest record or more, else that one may
 * never fit. 0, -EINVAL, -ENOMEM. r is in memory aligned to 64.
 */
int spate_log_ring_init(struct spate_log_ring *r, uint32_t bytes);
void spate_log_ring_finish(struct spate_log_ring *r);
/*
 * Producer: room for a record of n bytes (contiguous; n includes the header, is rounded up to 8 and
 * at most SPATE_LOG_RECORD_MAX), with rec->bytes set; NULL: full. Then publish with commit, or
 * claim again to drop it. A record may be committed shorter: lower rec->bytes (a multiple of 8)
 * first.
 */
struct spate_log_record *spate_log_ring_claim(struct spate_log_ring *r, uint16_t n);
void spate_log_ring_commit(struct spate_log_ring *r, struct spate_log_record *rec);
/* Consumer: the oldest record, or NULL; next() frees it. */
const struct spate_log_record *spate_log_ring_peek(struct spate_log_ring *r);
void spate_log_ring_next(struct spate_log_ring *r);

#endif

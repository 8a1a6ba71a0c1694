/*
 * host.h: one machine of a test: an engine, a memory port, just enough IP between them, pools, a
 * cache to send from.
 *
 *   host_init(h, &setup) -> each step: host_clock, host_input (frames that arrived), host_flush,
 *   host_take until 0 (frames that leave) -> host_finish, which checks that nothing was leaked
 */
#ifndef SPATE_TESTS_HOST_H
#define SPATE_TESTS_HOST_H

#include "dataplane/port/mem.h"
#include "dataplane/port/txq.h"
#include "dataplane/tcp/tcp.h"
#include "dataplane/util/pool.h"

#define HOST_FRAME_MAX 9216

struct host_setup {
	struct spate_tcp_config tcp;
	unsigned id; /* 1..250: addresses 10.0.0.id and fd00::id, MAC 02:..:id */
	uint16_t mtu;
	bool tso;
	struct spate_cache *cache; /* may be NULL when only bytes are sent */
	unsigned reader;
};

struct host {
	struct spate_tcp *t;
	struct spate_port port, port2;
	struct spate_txq txq, txq2;
	struct spate_sendq_env env;
	struct spate_pool bytes_pool, range_pool;
	struct spate_stats *stats;
	unsigned id;
	uint16_t pmtu;
	uint32_t epoch;
	bool no_path; /* path() says PENDING; set back and call host_path_changed */
	bool detour;  /* likewise: path() leads through port2 */
	enum spate_tcp_verdict last;
};

void host_init(struct host *h, const struct host_setup *s);
void host_finish(struct host *h);
void host_addr(unsigned id, bool v6, uint16_t port, struct spate_addr *out);
void host_path_changed(struct host *h);

void host_clock(struct host *h, uint64_t now_us);
enum spate_tcp_verdict host_input(struct host *h, const uint8_t *frame, size_t len);
/* What host_input gives to the engine; false: not for h. in points into frame. */
bool host_segment(const struct host *h, const uint8_t *frame, size_t len, struct spate_tcp_in *in);
/* An ICMP packet-too-big that quotes this frame of ours. */
void host_too_big(struct host *h, const uint8_t *frame, uint16_t mtu);
void host_flush(struct host *h);
size_t host_take(struct host *h, uint8_t *frame); /* of both ports */

/* An ethernet + IP frame around a TCP segment; checksums right. Returns its length. */
size_t host_frame(uint8_t *frame, unsigned from, unsigned to, bool v6, uint8_t ecn,
		  const uint8_t *seg, size_t len);
/* The TCP part of a frame, or NULL. */
const uint8_t *host_tcp_of(const uint8_t *frame, size_t len, size_t *tcp_len, bool *v6,
			   uint8_t *ecn);

#endif

/*
 * tracker.c: datagrams and announce URLs from anybody. The first byte says whose turn it is: UDP as
 * it comes, UDP with a good connection id, or HTTP. The store's invariants hold afterwards.
 */
#include <stdlib.h>

#include "check.h"
#include "dataplane/bt/bencode.h"
#include "dataplane/bt/tracker.h"
#include "dataplane/bt/tracker_http.h"
#include "dataplane/stream/mem.h"

static struct spate_worker w;
static struct spate_stats stats;
static const struct spate_dgram_listener listener = {.app = &spate_tracker_udp};

static void start(void)
{
	static const struct spate_tracker_prefix near = {{0xfd}, 8, 1};
	struct spate_tracker_setup setup = {.workers = 1,
					    .interval_s = 2,
					    .memory_bytes = 1 << 20,
					    .open = true,
					    .prefixes = &near,
					    .nprefixes = 1};

	w = (struct spate_worker){.stats = &stats, .now_us = 1000000000};
	CHECK(spate_tracker_create(&w.tracker, &setup) == 0);
}

static void udp(const struct spate_addr *peer, const struct spate_addr *local, const uint8_t *data,
		size_t len, bool good_id)
{
	uint8_t out[SPATE_DGRAM_BYTES], *q = malloc(len);
	size_t n;

	memcpy(q, data, len);
	if (good_id && len >= 8) {
		uint64_t id = __builtin_bswap64(spate_tracker_id(w.tracker, peer->ip, w.now_us));

		memcpy(q, &id, 8);
	}
	n = spate_dgram_mem_ask(&w, &listener, peer, local, q, len, out);
	CHECK(n <= sizeof(out));
	/* To an address that has shown nothing, no more than it sent. */
	CHECK(good_id || n <= len);
	CHECK(n == 0 || (n >= 8 && memcmp(out + 4, q + 12, 4) == 0));
	free(q);
}

static void http(const struct spate_addr *peer, const struct spate_addr *local, const uint8_t *data,
		 size_t len)
{
	uint8_t body[SPATE_TRACKER_HTTP_BYTES];
	const uint8_t *mark = memchr(data, '?', len);
	size_t path = mark != NULL ? (size_t)(mark - data) : len, n;
	struct spate_bdec d;

	n = spate_tracker_http(&w, spate_slice_of(data, path),
			       mark != NULL ? spate_slice_of(mark + 1, len - path - 1)
					    : (struct spate_slice){0},
			       peer, local, body, sizeof(body));
	CHECK(n <= sizeof(body));
	if (n == 0)
		return;
	spate_bdec_init(&d, body, n);
	CHECK(spate_bdec_skip(&d) && d.p == body + n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct spate_addr peer = {.ip = {0xfd, [15] = 1}, .port = 7}, local = {.ip = {0xfd}};

	if (w.tracker == NULL)
		start();
	if (len < 2)
		return 0;
	if (data[1] & 1)
		memcpy(peer.ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0", 15);
	peer.ip[15] = data[1];
	w.now_us += data[1] * 1000u;
	if (data[0] % 3 == 2)
		http(&peer, &local, data + 2, len - 2);
	else
		udp(&peer, &local, data + 2, len - 2, data[0] % 3 == 1);
	spate_tracker_turn(&w);
	if (data[1] == 0)
		spate_swarms_check(spate_tracker_swarms(w.tracker));
	return 0;
}

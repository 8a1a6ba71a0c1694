/*
 * tracker_udp.c: BEP 15 (and its URL option, BEP 41), all numbers big-endian. A question is checked
 * in the order of what that costs: length, connection id, limit, swarm, signature.
 *
 *     connect    magic 8 | 0 | tid                      ─► 0 | tid | id 8
 *     announce   id 8 | 1 | tid | infohash 20 ... 98 B  ─► 1 | tid | interval | leechers | seeds |
 * peers scrape     id 8 | 2 | tid | infohash 20 ...       ─► 2 | tid | (seeds | completed |
 * leechers) ... anything wrong with a good id                     ─► 3 | tid | text
 *
 * Nothing answers before the address has shown by a connection id that it is the sender's, but
 * connect itself and the error that the id is not good, which are no longer than the question. The
 * address that an announce names inside is ignored: peers are listed by where the packet came from.
 */
#include <string.h>

#include "dataplane/bt/tracker.h"
#include "dataplane/worker.h"

#define MAGIC          0x41727101980ull
#define ANNOUNCE_BYTES 98u
#define SCRAPE_MOST    74u /* as many as fit the packet that BEP 15 has in mind */

enum { CONNECT, ANNOUNCE, SCRAPE, ERROR };

static uint32_t load32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return __builtin_bswap32(v);
}

static uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return __builtin_bswap64(v);
}

static void store32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, 4);
}

static void store64(uint8_t *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, 8);
}

static uint8_t *begin(struct spate_dgram *d, uint32_t action, const uint8_t *question)
{
	uint8_t *out = spate_dgram_reply(d);

	if (out != NULL) {
		store32(out, action);
		memcpy(out + 4, question + 12, 4);
	}
	return out;
}

static void refuse(struct spate_dgram *d, const uint8_t *question, enum spate_tracker_verdict v)
{
	const char *text = spate_tracker_reason(v);
	size_t len = strlen(text);
	uint8_t *out;

	spate_tracker_count(d->worker, v);
	/* Who floods is not answered, and nobody gets back more than he sent without a good id. */
	if (v == SPATE_TRACKER_LIMITED || v == SPATE_TRACKER_MALFORMED ||
	    (out = begin(d, ERROR, question)) == NULL)
		return;
	memcpy(out + 8, text, len);
	spate_dgram_send(d, 8 + len);
}

static void connected(struct spate_dgram *d, const uint8_t *q)
{
	struct spate_worker *w = d->worker;
	uint8_t *out = begin(d, CONNECT, q);

	SPATE_COUNT(w->stats, tracker_connects);
	if (out == NULL)
		return;
	store64(out + 8, spate_tracker_id(w->tracker, d->peer.ip, w->now_us));
	spate_dgram_send(d, 16);
}

/* BEP 41: the path and query of the tracker's URL, maybe in pieces. Returns the token in it. */
static const char *token_in(const uint8_t *p, size_t len, char url[256])
{
	const uint8_t *end = p + len;
	const char *token, *query;
	size_t n = 0;

	while (p < end && *p != 0) {
		size_t more;

		if (*p == 1) {
			p++;
			continue;
		}
		if (end - p < 2 || (more = p[1]) > (size_t)(end - p - 2))
			break;
		if (*p == 2 && n + more <= 255) {
			memcpy(url + n, p + 2, more);
			n += more;
		}
		p += 2 + more;
	}
	query = memchr(url, '?', n);
	if (query != NULL)
		n = (size_t)(query - url);
	return spate_token_url(url, n, &token) == SPATE_URL_ANNOUNCE ? token : NULL;
}

static void announced(struct spate_dgram *d, const uint8_t *q, size_t len)
{
	struct spate_worker *w = d->worker;
	bool ip4 = spate_addr_is_ip4(d->peer.ip);
	unsigned addr_len = ip4 ? 6 : 18;
	uint32_t most = (SPATE_DGRAM_BYTES - 20) / addr_len, want;
	enum spate_tracker_verdict v;
	struct spate_tracker_answer answer = {0};
	char url[256];
	uint8_t *out;

	if (len < ANNOUNCE_BYTES || load32(q + 80) > SPATE_PEER_STOPPED) {
		refuse(d, q, SPATE_TRACKER_MALFORMED);
		return;
	}
	struct spate_tracker_ask ask = {
		.infohash = q + 16,
		.peer = d->peer,
		.local = &d->local,
		.downloaded = load64(q + 56),
		.left = load64(q + 64),
		.uploaded = load64(q + 72),
		.event = (uint8_t)load32(q + 80),
	};
	ask.peer.port = (uint16_t)(q[96] << 8 | q[97]);
	if (spate_tracker_signed(w->tracker))
		ask.token = token_in(q + ANNOUNCE_BYTES, len - ANNOUNCE_BYTES, url);
	out = begin(d, ANNOUNCE, q);
	if (out == NULL)
		return;
	want = load32(q + 92);
	if (want > INT32_MAX)
		want = SPATE_TRACKER_WANT;
	if (want > SPATE_TRACKER_WANT_MAX)
		want = SPATE_TRACKER_WANT_MAX;
	struct spate_peer_list *l = ip4 ? &answer.v4 : &answer.v6;

	l->to = out + 20;
	l->want = want < most ? want : most;
	v = spate_tracker_announce(w, &ask, &answer);
	if (v != SPATE_TRACKER_OK) {
		refuse(d, q, v);
		return;
	}
	store32(out + 8, spate_tracker_interval(w->tracker));
	store32(out + 12, answer.counts.leechers);
	store32(out + 16, answer.counts.seeds);
	spate_dgram_send(d, 20 + (size_t)l->n * addr_len);
}

/* There is no way to send a token with a scrape, so a signed tracker says nothing (zeros). */
static void scraped(struct spate_dgram *d, const uint8_t *q, size_t len)
{
	size_t n = (len - 16) / 20;
	uint8_t *out;

	if (n == 0) {
		refuse(d, q, SPATE_TRACKER_MALFORMED);
		return;
	}
	if (n > SCRAPE_MOST)
		n = SCRAPE_MOST;
	out = begin(d, SCRAPE, q);
	if (out == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		struct spate_swarm_counts c;

		spate_tracker_scrape(d->worker, q + 16 + i * 20, NULL, &c);
		store32(out + 8 + i * 12, c.seeds);
		store32(out + 12 + i * 12, c.completed);
		store32(out + 16 + i * 12, c.leechers);
	}
	SPATE_COUNT(d->worker->stats, tracker_scrapes);
	spate_dgram_send(d, 8 + n * 12);
}

static void on_recv(struct spate_dgram *d, const uint8_t *q, size_t len)
{
	struct spate_worker *w = d->worker;
	uint32_t action;

	if (len < 16) {
		refuse(d, q, SPATE_TRACKER_MALFORMED);
		return;
	}
	action = load32(q + 8);
	if (action == CONNECT && load64(q) == MAGIC) {
		connected(d, q);
		return;
	}
	if (action != ANNOUNCE && action != SCRAPE)
		refuse(d, q, SPATE_TRACKER_MALFORMED);
	else if (!spate_tracker_id_good(w->tracker, d->peer.ip, w->now_us, load64(q)))
		refuse(d, q, len >= 36 ? SPATE_TRACKER_BAD_ID : SPATE_TRACKER_MALFORMED);
	else if (spate_tracker_limited(w, d->peer.ip))
		refuse(d, q, SPATE_TRACKER_LIMITED);
	else if (action == ANNOUNCE)
		announced(d, q, len);
	else
		scraped(d, q, len);
}

const struct spate_dgram_app spate_tracker_udp = {.name = "tracker", .recv = on_recv};

#include "dataplane/bt/tracker_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "dataplane/bt/bencode.h"
#include "dataplane/bt/tracker.h"
#include "dataplane/worker.h"

#define HASHES_MOST 64u /* of one scrape */
#define LIST_MOST   50u /* peers where they are not compact: a dictionary each */

struct query {
	struct spate_tracker_ask ask;
	uint8_t hash[HASHES_MOST][20];
	unsigned nhashes;
	uint64_t port, want;
	bool compact, has_port, bad;
};

/* --- the query --- */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Exactly 20 bytes, each as it is or as %XX. A '+' is a plus: clients encode a space as %20. */
static bool infohash(struct spate_slice v, uint8_t out[20])
{
	unsigned n = 0;

	for (uint32_t i = 0; i < v.len; i++) {
		uint8_t c = (uint8_t)v.p[i];

		if (n == 20)
			return false;
		if (c == '%') {
			if (v.len - i < 3 || hex(v.p[i + 1]) < 0 || hex(v.p[i + 2]) < 0)
				return false;
			c = (uint8_t)(hex(v.p[i + 1]) << 4 | hex(v.p[i + 2]));
			i += 2;
		}
		out[n++] = c;
	}
	return n == 20;
}

static bool number(struct spate_slice v, uint64_t *out)
{
	uint64_t n = 0;

	if (v.len == 0 || v.len > 19)
		return false;
	for (uint32_t i = 0; i < v.len; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(v.p[i] - '0');
	}
	*out = n;
	return true;
}

static uint8_t event(struct spate_slice v)
{
	if (spate_slice_eq(v, SPATE_SLICE("started")))
		return SPATE_PEER_STARTED;
	if (spate_slice_eq(v, SPATE_SLICE("stopped")))
		return SPATE_PEER_STOPPED;
	if (spate_slice_eq(v, SPATE_SLICE("completed")))
		return SPATE_PEER_COMPLETED;
	return SPATE_PEER_NONE; /* "paused" (BEP 21) and what is to come */
}

/* Negative: the client leaves it to us (some send -1). */
static bool minus(struct spate_slice v)
{
	return v.len > 0 && v.p[0] == '-';
}

static void one(struct query *q, struct spate_slice k, struct spate_slice v)
{
	if (spate_slice_eq(k, SPATE_SLICE("info_hash"))) {
		if (q->nhashes == HASHES_MOST || !infohash(v, q->hash[q->nhashes]))
			q->bad = true;
		else
			q->nhashes++;
	} else if (spate_slice_eq(k, SPATE_SLICE("port"))) {
		q->has_port = true;
		q->bad |= !number(v, &q->port) || q->port > 65535;
	} else if (spate_slice_eq(k, SPATE_SLICE("left"))) {
		/* -1: it does not know yet (a magnet): certainly not nothing */
		q->bad |= !minus(v) && !number(v, &q->ask.left);
	} else if (spate_slice_eq(k, SPATE_SLICE("uploaded"))) {
		q->bad |= !number(v, &q->ask.uploaded);
	} else if (spate_slice_eq(k, SPATE_SLICE("downloaded"))) {
		q->bad |= !number(v, &q->ask.downloaded);
	} else if (spate_slice_eq(k, SPATE_SLICE("numwant"))) {
		q->bad |= !minus(v) && !number(v, &q->want);
	} else if (spate_slice_eq(k, SPATE_SLICE("corrupt"))) {
		q->ask.has_corrupt = number(v, &q->ask.corrupt);
		q->bad |= !q->ask.has_corrupt;
	} else if (spate_slice_eq(k, SPATE_SLICE("compact"))) {
		q->compact = !spate_slice_eq(v, SPATE_SLICE("0"));
	} else if (spate_slice_eq(k, SPATE_SLICE("event"))) {
		q->ask.event = event(v);
	}
	/* peer_id, key, ip and the rest are of no use here, ip even a danger */
}

static void parse(struct query *q, struct spate_slice text)
{
	while (text.len > 0) {
		const char *amp = memchr(text.p, '&', text.len);
		uint32_t len = amp != NULL ? (uint32_t)(amp - text.p) : text.len;
		const char *eq = memchr(text.p, '=', len);

		if (eq != NULL)
			one(q, spate_slice_of(text.p, (size_t)(eq - text.p)),
			    spate_slice_of(eq + 1, len - (size_t)(eq + 1 - text.p)));
		text.p += len;
		text.len -= len;
		if (amp != NULL) {
			text.p++;
			text.len--;
		}
	}
}

/* --- bodies --- */

static void failure(struct spate_worker *w, struct spate_benc *e, enum spate_tracker_verdict v)
{
	spate_tracker_count(w, v);
	spate_benc_dict(e);
	spate_benc_text(e, "failure reason");
	spate_benc_text(e, spate_tracker_reason(v));
	spate_benc_end(e);
}

static void put_int(struct spate_benc *e, const char *name, int64_t v)
{
	spate_benc_text(e, name);
	spate_benc_int(e, v);
}

/* BEP 3: a dictionary each. Their ids are not kept, and clients do without (BEP 23). */
static void put_list(struct spate_benc *e, const struct spate_peer_list *l, unsigned ip_len)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const uint8_t *p = l->to + (size_t)i * (ip_len + 2);
		char text[INET6_ADDRSTRLEN];

		inet_ntop(ip_len == 4 ? AF_INET : AF_INET6, p, text, sizeof(text));
		spate_benc_dict(e);
		spate_benc_text(e, "ip");
		spate_benc_text(e, text);
		put_int(e, "port", p[ip_len] << 8 | p[ip_len + 1]);
		spate_benc_end(e);
	}
}

static void put_peers(struct spate_benc *e, const struct query *q,
		      const struct spate_tracker_answer *a)
{
	spate_benc_text(e, "peers");
	if (!q->compact) {
		spate_benc_list(e);
		put_list(e, &a->v4, 4);
		put_list(e, &a->v6, 16);
		spate_benc_end(e);
		return;
	}
	spate_benc_str(e, a->v4.to, (size_t)a->v4.n * 6);
	if (a->v6.n > 0) {
		spate_benc_text(e, "peers6");
		spate_benc_str(e, a->v6.to, (size_t)a->v6.n * 18);
	}
}

static void announce(struct spate_worker *w, struct query *q, struct spate_benc *e)
{
	uint8_t v4[SPATE_TRACKER_WANT_MAX * 6], v6[SPATE_TRACKER_WANT_MAX * 18];
	uint32_t most = q->compact ? SPATE_TRACKER_WANT_MAX : LIST_MOST, interval;
	uint32_t want = q->want < most ? (uint32_t)q->want : most;
	struct spate_tracker_answer a = {.v4 = {.to = v4, .want = want},
					 .v6 = {.to = v6, .want = want}};
	enum spate_tracker_verdict v = SPATE_TRACKER_MALFORMED;

	if (!q->bad && q->nhashes == 1 && q->has_port) {
		q->ask.infohash = q->hash[0];
		q->ask.peer.port = (uint16_t)q->port;
		v = spate_tracker_announce(w, &q->ask, &a);
	}
	if (v != SPATE_TRACKER_OK) {
		failure(w, e, v);
		return;
	}
	interval = spate_tracker_interval(w->tracker);
	spate_benc_dict(e);
	put_int(e, "complete", a.counts.seeds);
	put_int(e, "downloaded", a.counts.completed);
	put_int(e, "incomplete", a.counts.leechers);
	put_int(e, "interval", interval);
	put_int(e, "min interval", interval / 2 > 0 ? interval / 2 : 1);
	put_peers(e, q, &a);
	spate_benc_end(e);
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, 20);
}

/* BEP 48. Swarms that are not tracked here are left out. */
static void scrape(struct spate_worker *w, struct query *q, struct spate_benc *e)
{
	struct spate_swarm_counts c;

	if (q->bad || q->nhashes == 0) { /* all there are, to anybody: no */
		failure(w, e, SPATE_TRACKER_MALFORMED);
		return;
	}
	qsort(q->hash, q->nhashes, 20, by_bytes); /* the keys of a dictionary are in order */
	spate_benc_dict(e);
	spate_benc_text(e, "files");
	spate_benc_dict(e);
	for (unsigned i = 0; i < q->nhashes; i++) {
		if ((i > 0 && memcmp(q->hash[i - 1], q->hash[i], 20) == 0) ||
		    !spate_tracker_scrape(w, q->hash[i], q->ask.token, &c))
			continue;
		spate_benc_str(e, q->hash[i], 20);
		spate_benc_dict(e);
		put_int(e, "complete", c.seeds);
		put_int(e, "downloaded", c.completed);
		put_int(e, "incomplete", c.leechers);
		spate_benc_end(e);
	}
	spate_benc_end(e);
	spate_benc_end(e);
	SPATE_COUNT(w->stats, tracker_scrapes);
}

size_t spate_tracker_http(struct spate_worker *w, struct spate_slice path, struct spate_slice query,
			  const struct spate_addr *peer, const struct spate_addr *local,
			  uint8_t *body, size_t cap)
{
	struct spate_benc e;
	const char *token;
	enum spate_token_url url;

	if (w->tracker == NULL || path.p == NULL ||
	    (url = spate_token_url(path.p, path.len, &token)) == SPATE_URL_OTHER)
		return 0;
	struct query q = {
		.ask = {.peer = *peer, .local = local, .token = token, .left = UINT64_MAX},
		.want = SPATE_TRACKER_WANT,
		.compact = true,
	};

	spate_benc_init(&e, body, cap);
	if (spate_tracker_limited(w, peer->ip)) {
		failure(w, &e, SPATE_TRACKER_LIMITED);
		return e.len;
	}
	parse(&q, query);
	if (url == SPATE_URL_ANNOUNCE)
		announce(w, &q, &e);
	else
		scrape(w, &q, &e);
	return e.full ? 0 : e.len;
}

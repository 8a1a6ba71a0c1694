/*
 * pkt: timed inject-and-expect cases, as scripts: the engine is one end, the script the other.
 * README.md has the language.
 *
 *   pkt FILE.pkt...                  every case of these files, as TAP
 *   pkt --case NAME FILE.pkt...      one
 *   pkt --list FILE.pkt...           the table of contents
 *
 * From top to bottom: the application, configuration, time, words of a line, inject, expect,
 * checks, steps, files.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

#define ME   2
#define PEER 1

static struct {
	struct host h;
	bool up, v6;
	struct spate_tcp_config cfg;
	uint16_t mtu;
	uint32_t isn, iss, iss_before; /* the peer's, ours, ours of the connection before */
	uint32_t first_iss;            /* what ours shall be at first */
	bool have_iss;
	uint64_t now, last_sent;
	struct spate_tcp_conn *c;
	struct spate_sendq q;
	bool have_queue, paused, eof, closed, refuse;
	size_t room; /* bytes the application takes until it is full */
	enum spate_tcp_close_why why;
	uint64_t rcvd, queued;
	unsigned timers;
	uint32_t ts_base, ts_last;
	uint32_t sent_end,
		ack_said; /* for flow: where our data ends, the last ACK injected; relative */
	bool have_ts;
	uint16_t port_before, my_port; /* 80, or what connect chose */
	uint8_t frame[HOST_FRAME_MAX];
	size_t frame_len; /* one segment looked at, not yet expected */
	const char *file;
	int line;
	jmp_buf fail;
} x;

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *fmt, ...)
{
	va_list ap;

	printf("# %s:%d: ", x.file, x.line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	longjmp(x.fail, 1);
}

/* --- the application --- */

static bool accepted(struct spate_tcp_conn *c, void *ctx)
{
	x.c = c;
	x.have_queue = true;
	spate_sendq_init(&x.q);
	spate_tcp_attach(c, &x.q);
	return true;
}

static void connected(struct spate_tcp_conn *c)
{
	accepted(c, NULL);
}

static size_t data(struct spate_tcp_conn *c, const uint8_t *p, size_t n)
{
	if (x.paused)
		return 0;
	if (n > x.room)
		n = x.room;
	x.room -= n;
	for (size_t i = 0; i < n; i++)
		if (p[i] != (uint8_t)(x.rcvd + i))
			fail("byte %llu of the stream is wrong", (unsigned long long)(x.rcvd + i));
	x.rcvd += n;
	return n;
}

static void event(struct spate_tcp_conn *c, unsigned what)
{
	if (what & SPATE_TCP_EV_EOF)
		x.eof = true;
	if (what & SPATE_TCP_EV_TIMER)
		x.timers++;
}

static void closed(struct spate_tcp_conn *c, enum spate_tcp_close_why why)
{
	x.closed = true;
	x.why = why;
	x.c = NULL;
	if (x.have_queue)
		spate_sendq_clear(&x.h.env, &x.q);
	x.have_queue = false;
}

static const struct spate_tcp_user user = {accepted, connected, data, event, closed};

static const struct {
	const char *name;
	size_t off;
	unsigned bytes;
} keys[] = {
#define KEY(f)                                                    \
	{                                                         \
#f, offsetof(struct spate_tcp_config, f),         \
			sizeof(((struct spate_tcp_config *)0)->f) \
	}
	KEY(max_conns),
	KEY(max_half_open),
	KEY(max_time_wait),
	KEY(rcv_buf),
	KEY(rcv_total),
	KEY(max_runs),
	KEY(conn_runs),
	KEY(init_window),
	KEY(mss_min),
	KEY(rto_min_us),
	KEY(rto_max_us),
	KEY(rto_init_us),
	KEY(delack_us),
	KEY(give_up_us),
	KEY(syn_retries),
	KEY(synack_retries),
	KEY(persist_us),
	KEY(keepalive_s),
	KEY(keepalive_interval_s),
	KEY(keepalive_probes),
	KEY(fin_wait_2_us),
	KEY(time_wait_us),
	KEY(challenge_per_s),
	KEY(cc),
	KEY(sack),
	KEY(timestamps),
	KEY(wscale),
	KEY(ecn),
	KEY(pacing),
	KEY(cookies_always),
	KEY(hystart),
	KEY(port_low),
	KEY(port_high),
};

static void set(const char *key, uint32_t v)
{
	if (strcmp(key, "mtu") == 0) {
		x.mtu = (uint16_t)v;
		return;
	}
	if (strcmp(key, "v6") == 0) {
		x.v6 = v;
		return;
	}
	if (strcmp(key, "isn") == 0) {
		x.isn = v;
		return;
	}
	if (strcmp(key, "iss") == 0) {
		x.first_iss = v;
		return;
	}
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (strcmp(key, keys[i].name) == 0) {
			memcpy((uint8_t *)&x.cfg + keys[i].off, &v, keys[i].bytes);
			return;
		}
	fail("no such key: %s", key);
}

static void plain(struct spate_tcp_config *cfg)
{
	spate_tcp_config_init(cfg);
	cfg->max_conns = 16;
	cfg->max_time_wait = 16;
	cfg->pacing = false;
	cfg->hystart = false;
	cfg->ecn = false;
	cfg->keepalive_s = 0;
	cfg->rcv_buf = 65535;
	memset(cfg->secret, 7, sizeof cfg->secret);
}

static void start(const struct spate_tcp_config *cfg)
{
	struct host_setup s = {.id = ME, .mtu = x.mtu};
	struct spate_addr any = {.port = 80};
	struct spate_tcp_listener *l;

	s.tcp = *cfg;
	host_init(&x.h, &s);
	host_clock(&x.h, x.now);
	if (spate_tcp_listen(x.h.t, &any, &user, NULL, &l) != 0)
		fail("listen");
}

static void up(bool client);

/* --- time --- */

static bool look(void)
{
	if (x.frame_len == 0)
		x.frame_len = host_take(&x.h, x.frame);
	return x.frame_len != 0;
}

static void settle(void)
{
	host_flush(&x.h);
	spate_tcp_check_all(x.h.t);
}

/* Until something is sent, or us have passed. */
static bool pass(uint64_t us, bool stop_when_sent)
{
	uint64_t until = x.now + us;

	for (;;) {
		settle();
		if (stop_when_sent && look())
			return true;
		uint64_t wait = spate_tcp_wait_us(x.h.t);

		if (wait == 0)
			wait = 1;
		if (x.now >= until)
			return false;
		x.now = wait > until - x.now ? until : x.now + wait;
		host_clock(&x.h, x.now);
	}
}

/* --- words of a line --- */

static char *word(char **p)
{
	char *w;

	while (isspace((unsigned char)**p))
		(*p)++;
	if (**p == '\0')
		return NULL;
	w = *p;
	while (**p != '\0' && !isspace((unsigned char)**p))
		(*p)++;
	if (**p != '\0')
		*(*p)++ = '\0';
	return w;
}

static char *need(char **p)
{
	char *w = word(p);

	if (w == NULL)
		fail("a word is missing");
	return w;
}

static uint32_t number(char **p)
{
	return (uint32_t)strtoul(need(p), NULL, 0);
}

/* N or LOW..HIGH */
static bool in_range(const char *w, uint64_t v)
{
	char *end;
	uint64_t low = strtoull(w, &end, 0), high = low;

	if (end[0] == '.' && end[1] == '.')
		high = strtoull(end + 2, NULL, 0);
	return v >= low && v <= high;
}

static uint8_t flags_of(const char *w)
{
	static const char letters[] = "FSRPAUEW";
	uint8_t f = 0;

	if (strcmp(w, ".") == 0)
		return 0x10;
	for (; *w != '\0'; w++) {
		const char *at = strchr(letters, *w);

		if (at == NULL)
			fail("no such flag: %c", *w);
		f |= (uint8_t)(1u << (at - letters));
	}
	return f;
}

/* --- inject --- */

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static void inject(char *rest)
{
	uint8_t seg[9000] = {0}, frame[HOST_FRAME_MAX], *opt = seg + 20, ecn = 0;
	uint8_t flags = flags_of(need(&rest));
	char *seqs = need(&rest), *end, *w;
	uint32_t from = (uint32_t)strtoul(seqs, &end, 0),
		 to = *end == ':' ? (uint32_t)strtoul(end + 1, NULL, 0) : from;
	uint32_t ack = 0, win = 65535, len = to - from;
	bool bad = false;
	uint16_t sport = 1024, dport = x.my_port, urg = 0;
	uint8_t doff = 0;

	up(false);
	while ((w = word(&rest)) != NULL) {
		if (strcmp(w, "ack") == 0) {
			x.ack_said = number(&rest);
			ack = x.ack_said + x.iss;
		} else if (strcmp(w, "win") == 0) {
			win = number(&rest);
		} else if (strcmp(w, "port") == 0) {
			sport = (uint16_t)number(&rest);
		} else if (strcmp(w, "mss") == 0) {
			put32(opt, 0x02040000 | number(&rest));
			opt += 4;
		} else if (strcmp(w, "wscale") == 0) {
			put32(opt, 0x01030300 | number(&rest));
			opt += 4;
		} else if (strcmp(w, "sackok") == 0) {
			put32(opt, 0x01010402);
			opt += 4;
		} else if (strcmp(w, "ts") == 0) {
			put32(opt, 0x0101080a);
			put32(opt + 4, number(&rest));
			put32(opt + 8, x.ts_last);
			opt += 12;
		} else if (strcmp(w, "ecr") == 0) {
			put32(opt - 4, number(&rest) + x.ts_base);
		} else if (strcmp(w, "sack") == 0) {
			uint8_t *head = opt;
			unsigned n = 0;

			opt += 4;
			while (isdigit((unsigned char)*rest) || *rest == ' ' || *rest == '-') {
				char *b = word(&rest), *dash;

				if (b == NULL)
					break;
				put32(opt, (uint32_t)strtoul(b, &dash, 0) + x.iss);
				put32(opt + 4, (uint32_t)strtoul(dash + 1, NULL, 0) + x.iss);
				opt += 8;
				n++;
			}
			put32(head, 0x01010500 | (2 + 8 * n));
		} else if (strcmp(w, "raw") == 0) {
			for (char *h = need(&rest); h[0] != '\0' && h[1] != '\0'; h += 2) {
				char two[3] = {h[0], h[1], '\0'};

				*opt++ = (uint8_t)strtoul(two, NULL, 16);
			}
		} else if (strcmp(w, "ce") == 0) {
			ecn = 3;
		} else if (strcmp(w, "ect") == 0) {
			ecn = 2;
		} else if (strcmp(w, "dport") == 0) {
			dport = (uint16_t)number(&rest);
		} else if (strcmp(w, "doff") == 0) {
			doff = (uint8_t)number(&rest);
		} else if (strcmp(w, "urg") == 0) {
			urg = (uint16_t)number(&rest);
		} else if (strcmp(w, "badsum") == 0) {
			bad = true;
		} else {
			fail("inject: %s?", w);
		}
	}
	while ((opt - seg) % 4 != 0)
		*opt++ = 0;
	seg[0] = (uint8_t)(sport >> 8);
	seg[1] = (uint8_t)sport;
	seg[2] = (uint8_t)(dport >> 8);
	seg[3] = (uint8_t)dport;
	put32(seg + 4, from + x.isn);
	put32(seg + 8, ack);
	seg[12] = (uint8_t)((doff != 0 ? doff : (opt - seg) / 4) << 4);
	seg[13] = flags;
	seg[14] = (uint8_t)(win >> 8);
	seg[15] = (uint8_t)win;
	seg[18] = (uint8_t)(urg >> 8);
	seg[19] = (uint8_t)urg;
	/* Stream byte 0 has relative number 1. */
	for (uint32_t i = 0; i < len; i++)
		opt[i] = (uint8_t)(from - 1 + i);
	size_t n = host_frame(frame, PEER, ME, x.v6, ecn, seg, (size_t)(opt - seg) + len);

	if (bad)
		frame[n - 1] ^= 1;
	x.now += 20; /* no wire is faster */
	host_clock(&x.h, x.now);
	host_input(&x.h, frame, n);
	settle();
}

/* --- expect --- */

struct seen {
	uint8_t flags, ecn;
	uint32_t seq, ack, len;
	uint16_t win, mss;
	int wscale;
	bool sackok, ts;
	uint32_t tsval, tsecr, sack[4][2];
	unsigned nsack;
	const uint8_t *payload;
};

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void parse(struct seen *s)
{
	size_t n;
	bool v6;
	const uint8_t *h = host_tcp_of(x.frame, x.frame_len, &n, &v6, &s->ecn), *o;

	if (h == NULL)
		fail("we sent a broken frame");
	s->flags = h[13] & 0xf7;
	s->seq = get32(h + 4);
	s->ack = get32(h + 8);
	s->win = (uint16_t)(h[14] << 8 | h[15]);
	s->payload = h + (h[12] >> 4) * 4;
	s->len = (uint32_t)(n - (size_t)(s->payload - h));
	s->wscale = -1;
	for (o = h + 20; o < s->payload;) {
		if (*o <= 1) {
			o++;
			continue;
		}
		switch (*o) {
		case 2:
			s->mss = (uint16_t)(o[2] << 8 | o[3]);
			break;
		case 3:
			s->wscale = o[2];
			break;
		case 4:
			s->sackok = true;
			break;
		case 5:
			for (unsigned i = 2; i < o[1]; i += 8) {
				s->sack[s->nsack][0] = get32(o + i) - x.isn;
				s->sack[s->nsack++][1] = get32(o + i + 4) - x.isn;
			}
			break;
		case 8:
			s->ts = true;
			s->tsval = get32(o + 2);
			s->tsecr = get32(o + 6);
			break;
		}
		o += o[1];
	}
	if (s->flags & 2 && !x.have_iss) {
		x.iss = s->seq;
		x.have_iss = true;
		if (!(s->flags & 0x10))
			x.my_port = (uint16_t)(h[0] << 8 | h[1]);
	}
	if (s->len != 0 && (int32_t)(s->seq - x.iss + s->len - x.sent_end) > 0)
		x.sent_end = s->seq - x.iss + s->len;
	if (s->ts && !x.have_ts) {
		x.have_ts = true;
		x.ts_base = s->tsval;
	}
	if (s->ts)
		x.ts_last = s->tsval;
}

static void describe(const struct seen *s, char *to, size_t n)
{
	static const char letters[] = "FSRPAUEW";
	int at = 0;

	for (int i = 0; i < 8; i++)
		if (s->flags & 1u << i)
			at += snprintf(to + at, n - (size_t)at, "%c", letters[i]);
	at += snprintf(to + at, n - (size_t)at, " %u:%u ack %u win %u", s->seq - x.iss,
		       s->seq - x.iss + s->len, s->ack - x.isn, s->win);
	for (unsigned i = 0; i < s->nsack; i++)
		at += snprintf(to + at, n - (size_t)at, "%s%u-%u", i ? " " : " sack ",
			       s->sack[i][0], s->sack[i][1]);
}

static void expect(char *rest)
{
	char said[256], saw[256] = "nothing", *w = need(&rest), *none = NULL;
	char *after = strstr(rest, "after"), *within = strstr(rest, "within");
	struct seen s = {0};

	snprintf(said, sizeof said, "%s %s", w, rest);
	settle();
	if (strcmp(w, "none") == 0) {
		none = word(&rest);
		uint64_t us = none != NULL ? number(&rest) * 1000ull : 0;

		if (look() || (us != 0 && pass(us, true))) {
			parse(&s);
			describe(&s, saw, sizeof saw);
			fail("nothing was expected, but: %s", saw);
		}
		return;
	}
	if (after != NULL) {
		char *p = after + 5;
		uint64_t ms = number(&p), slack = 3000 + ms * 50;

		*after = '\0';
		if (look())
			fail("too early, at once");
		uint64_t from = x.last_sent > x.now ? x.now : x.last_sent;

		if (!pass(ms * 1000 + slack - (x.now - from), true))
			fail("expected %s, but nothing came", said);
		if (x.now - from + slack < ms * 1000)
			fail("too early: after %.1f ms", (double)(x.now - from) / 1e3);
	} else if (within != NULL) {
		char *p = within + 6;

		*within = '\0';
		if (!look() && !pass(number(&p) * 1000ull, true))
			fail("expected %s, but nothing came", said);
	} else if (!look()) {
		fail("expected %s, but nothing was sent", said);
	}
	parse(&s);
	describe(&s, saw, sizeof saw);
	x.frame_len = 0;
	x.last_sent = x.now;
#define MUST(cond)                                                          \
	do {                                                                \
		if (!(cond))                                                \
			fail("expected %s, saw %s (%s)", said, saw, #cond); \
	} while (0)
	MUST(s.flags == flags_of(w));
	char *end, *seqs = need(&rest);

	if (*seqs != '*') {
		uint32_t from = (uint32_t)strtoul(seqs, &end, 0);
		uint32_t to = *end == ':' ? (uint32_t)strtoul(end + 1, NULL, 0) : from;

		MUST(s.seq - x.iss == from);
		MUST(s.len == to - from);
	}
	for (uint32_t i = 0; i < s.len; i++)
		if (s.payload[i] != (uint8_t)(s.seq - x.iss - 1 + i))
			fail("payload byte %u of %s is wrong", i, saw);
	while ((w = word(&rest)) != NULL) {
		if (strcmp(w, "ack") == 0)
			MUST(in_range(need(&rest), s.ack - x.isn));
		else if (strcmp(w, "win") == 0)
			MUST(in_range(need(&rest), s.win));
		else if (strcmp(w, "mss") == 0)
			MUST(in_range(need(&rest), s.mss));
		else if (strcmp(w, "wscale") == 0)
			MUST(s.wscale >= 0 && in_range(need(&rest), (uint64_t)s.wscale));
		else if (strcmp(w, "nowscale") == 0)
			MUST(s.wscale < 0);
		else if (strcmp(w, "sackok") == 0)
			MUST(s.sackok);
		else if (strcmp(w, "nosackok") == 0)
			MUST(!s.sackok);
		else if (strcmp(w, "ts") == 0)
			MUST(s.ts);
		else if (strcmp(w, "nots") == 0)
			MUST(!s.ts);
		else if (strcmp(w, "tsval") == 0)
			MUST(s.ts && in_range(need(&rest), s.tsval - x.ts_base));
		else if (strcmp(w, "ecr") == 0)
			MUST(s.ts && in_range(need(&rest), s.tsecr));
		else if (strcmp(w, "ect") == 0)
			MUST(s.ecn == 2);
		else if (strcmp(w, "notect") == 0)
			MUST(s.ecn == 0);
		else if (strcmp(w, "nosack") == 0)
			MUST(s.nsack == 0);
		else if (strcmp(w, "sack") == 0)
			for (unsigned i = 0;; i++) {
				char *b = word(&rest), *dash;

				if (b == NULL) {
					MUST(i == s.nsack);
					break;
				}
				MUST(i < s.nsack);
				MUST((uint32_t)strtoul(b, &dash, 0) == s.sack[i][0]);
				MUST((uint32_t)strtoul(dash + 1, NULL, 0) == s.sack[i][1]);
			}
		else
			fail("expect: %s?", w);
	}
}

/* Data from A to B, in order, is there; and nothing behind it. */
static void expect_data(char *rest)
{
	char *end, *w = need(&rest), saw[256];
	uint32_t at = (uint32_t)strtoul(w, &end, 0), to = (uint32_t)strtoul(end + 1, NULL, 0);

	settle();
	for (; at != to; x.frame_len = 0) {
		struct seen s = {0};

		if (!look())
			fail("data stops at %u, not %u", at, to);
		parse(&s);
		describe(&s, saw, sizeof saw);
		if (s.seq - x.iss != at || s.len == 0 || s.len > to - at || (s.flags & 7) != 0)
			fail("expected data from %u, saw %s", at, saw);
		for (uint32_t i = 0; i < s.len; i++)
			if (s.payload[i] != (uint8_t)(at - 1 + i))
				fail("payload byte %u of %s is wrong", i, saw);
		at += s.len;
		x.last_sent = x.now;
	}
	char none[] = "none";

	expect(none);
}

static void feed(const char *fmt, ...)
{
	char line[256], *p = line;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (word(&p)[0] == '<')
		inject(p);
	else
		expect(p);
}

static void acks(char *rest)
{
	uint32_t from = number(&rest), to = number(&rest), by = number(&rest);

	for (uint32_t at = from; at <= to; at += by)
		feed("< . 1 ack %u", at);
}

static void drain(void)
{
	for (settle(); look(); x.frame_len = 0) {
		struct seen s = {0};

		parse(&s);
	}
	x.last_sent = x.now;
}

static void flow(char *rest)
{
	uint64_t until = x.now + number(&rest) * 1000ull, rtt = number(&rest) * 1000ull;

	while (x.now < until) {
		drain();
		uint32_t end = x.sent_end;

		pass(rtt, false);
		while (x.ack_said != end)
			feed("< . 1 ack %u", end - x.ack_said > 3000 ? x.ack_said + 2000 : end);
	}
	drain();
}

static void open_conn(char *rest)
{
	bool ts = false, sack = true, ecn = false;
	unsigned win = 65535, scale = 99, mss = 1460, rtt = 1;
	char *w;

	while ((w = word(&rest)) != NULL) {
		if (strcmp(w, "ts") == 0)
			ts = true;
		else if (strcmp(w, "nosack") == 0)
			sack = false;
		else if (strcmp(w, "ecn") == 0)
			ecn = true;
		else if (strcmp(w, "win") == 0)
			win = number(&rest);
		else if (strcmp(w, "wscale") == 0)
			scale = number(&rest);
		else if (strcmp(w, "mss") == 0)
			mss = number(&rest);
		else if (strcmp(w, "rtt") == 0)
			rtt = number(&rest);
		else
			fail("open: %s?", w);
	}
	char opts[64] = "";

	if (scale != 99)
		snprintf(opts, sizeof opts, "wscale %u", scale);
	feed("< %s 0 win %u mss %u %s %s %s", ecn ? "SEW" : "S", win, mss, sack ? "sackok" : "",
	     ts ? "ts 100" : "", opts);
	feed("> %s 0 ack 1", ecn ? "SAE" : "SA");
	x.now += rtt * 1000ull;
	feed("< . 1 ack 1 win %u %s", scale != 99 ? win >> scale : win, ts ? "ts 101" : "");
	if (x.c == NULL)
		fail("open: not accepted");
	x.last_sent = x.now;
}

static void check_value(const char *what, char *rest)
{
	struct spate_tcp_info i = {0};
	const char *w = need(&rest);
	uint64_t v;

	if (x.c != NULL)
		spate_tcp_info(x.c, &i);
	if (strcmp(what, "state") == 0)
		v = i.state;
	else if (strcmp(what, "cwnd") == 0)
		v = i.cwnd;
	else if (strcmp(what, "ssthresh") == 0)
		v = i.ssthresh;
	else if (strcmp(what, "mss") == 0)
		v = i.mss;
	else if (strcmp(what, "ca") == 0)
		v = i.ca;
	else if (strcmp(what, "srtt") == 0)
		v = i.srtt_us;
	else if (strcmp(what, "rto") == 0)
		v = i.rto_us;
	else if (strcmp(what, "flight") == 0)
		v = i.in_flight;
	else if (strcmp(what, "runs") == 0)
		v = i.runs;
	else if (strcmp(what, "rate") == 0)
		v = i.pacing_rate;
	else if (strcmp(what, "held") == 0)
		v = i.held;
	else
		v = x.timers;
	if (!in_range(w, v))
		fail("%s is %llu, not %s", what, (unsigned long long)v, w);
}

static void check_count(char *rest)
{
	const char *name = need(&rest), *w = need(&rest);

	for (unsigned v = 0; v < SPATE_TCP_COUNTERS; v++)
		if (strcmp(spate_tcp_verdict_name(v), name) == 0) {
			if (!in_range(w, spate_tcp_count(x.h.t, v)))
				fail("count %s is %llu, not %s", name,
				     (unsigned long long)spate_tcp_count(x.h.t, v), w);
			return;
		}
	fail("no counter %s", name);
}

static void quote(char *rest, bool big)
{
	struct spate_addr local, peer;
	uint8_t tcp[8];
	uint32_t seq = number(&rest), v = number(&rest), from = x.my_port, to = 1024, id = PEER;
	char *w;

	while ((w = word(&rest)) != NULL) {
		if (strcmp(w, "dport") == 0)
			from = number(&rest);
		else if (strcmp(w, "port") == 0)
			to = number(&rest);
		else if (strcmp(w, "host") == 0)
			id = number(&rest);
		else
			fail("quote: %s?", w);
	}
	host_addr(ME, x.v6, 0, &local);
	host_addr(id, x.v6, 0, &peer);
	put32(tcp, from << 16 | to);
	put32(tcp + 4, seq + x.iss);
	if (big) {
		if (spate_tcp_packet_too_big(x.h.t, local.ip, peer.ip, tcp, v)) {
			x.h.pmtu = (uint16_t)v;
			x.h.epoch++;
		}
	} else {
		spate_tcp_unreachable(x.h.t, local.ip, peer.ip, tcp, v);
	}
	settle();
}

/* ADDR, or the script's. */
static int connect_to(const char *addr)
{
	struct spate_addr peer;

	host_addr(PEER, x.v6, 1024, &peer);
	if (addr != NULL && inet_pton(AF_INET6, addr, peer.ip) != 1)
		fail("connect: %s is no address", addr);
	x.c = NULL;
	return spate_tcp_connect(x.h.t, NULL, &peer, &user, &x.c);
}

/*
 * Where our numbers start is the clock and a secret of the tuple (RFC 6528). So an engine that is
 * thrown away says it, and the clock goes on until they start where they shall.
 */
static void up(bool client)
{
	struct spate_tcp_config cfg;
	struct seen s = {0};
	uint64_t now = x.now;
	char syn[] = "S 0";

	if (x.up)
		return;
	x.up = true;
	plain(&cfg);
	cfg.port_low = x.cfg.port_low;
	cfg.port_high = x.cfg.port_high;
	start(&cfg);
	if (client)
		connect_to(NULL);
	else
		inject(syn);
	settle();
	if (!look())
		fail("no SYN");
	parse(&s);
	host_finish(&x.h);
	x.now = now + (uint64_t)(uint32_t)(x.first_iss - s.seq) * 4;
	x.frame_len = 0;
	x.iss = x.ts_last = 0;
	x.have_iss = x.have_ts = x.closed = false;
	x.my_port = 80;
	start(&x.cfg);
}

static void send_bytes(uint32_t n)
{
	uint8_t buf[1024];

	while (n > 0) {
		uint32_t k = n < sizeof buf ? n : sizeof buf;

		for (uint32_t i = 0; i < k; i++)
			buf[i] = (uint8_t)(x.queued + i);
		if (spate_sendq_bytes(&x.h.env, &x.q, buf, k) != 0)
			fail("send queue");
		x.queued += k;
		n -= k;
	}
	spate_tcp_kick(x.c);
	settle();
}

static void must_live(void)
{
	if (x.c == NULL)
		fail("there is no connection");
}

static void step(char *line)
{
	static const char *const whys[] = {"done",    "reset", "refused", "timeout",
					   "aborted", "short", "stopped"};
	char *rest = line, *w = word(&rest);

	if (strcmp(w, "set") == 0) {
		char *key = need(&rest);

		set(key, number(&rest));
		return;
	}
	up(strcmp(w, "connect") == 0);
	if (strcmp(w, "<") == 0) {
		inject(rest);
	} else if (strcmp(w, ">") == 0) {
		expect(rest);
	} else if (strcmp(w, "drain") == 0) {
		drain();
	} else if (strcmp(w, "flow") == 0) {
		flow(rest);
	} else if (strcmp(w, ">>") == 0) {
		expect_data(rest);
	} else if (strcmp(w, "acks") == 0) {
		acks(rest);
	} else if (strcmp(w, "open") == 0) {
		open_conn(rest);
	} else if (strcmp(w, "connect") == 0) {
		char *fails = word(&rest), *addr = NULL;

		if (fails != NULL && strcmp(fails, "to") == 0) {
			addr = need(&rest);
			fails = word(&rest);
		}
		if ((connect_to(addr) != 0) != (fails != NULL))
			fail("connect: %s", fails != NULL ? "it did not fail" : "it failed");
		settle();
	} else if (strcmp(w, "wait") == 0) {
		pass(number(&rest) * 1000ull, false);
	} else if (strcmp(w, "send") == 0) {
		must_live();
		send_bytes(number(&rest));
	} else if (strcmp(w, "finish") == 0) {
		must_live();
		spate_tcp_finish(x.c);
		settle();
	} else if (strcmp(w, "abort") == 0) {
		must_live();
		spate_tcp_abort(x.c);
		settle();
	} else if (strcmp(w, "pause") == 0) {
		x.paused = true;
	} else if (strcmp(w, "resume") == 0) {
		x.paused = false;
		x.room = SIZE_MAX;
		spate_tcp_resume(x.c);
		settle();
	} else if (strcmp(w, "take") == 0) {
		x.paused = false;
		x.room = number(&rest);
		spate_tcp_resume(x.c);
		settle();
	} else if (strcmp(w, "timer") == 0) {
		spate_tcp_timer(x.c, number(&rest));
	} else if (strcmp(w, "recv") == 0) {
		if (!in_range(need(&rest), x.rcvd))
			fail("received %llu", (unsigned long long)x.rcvd);
	} else if (strcmp(w, "eof") == 0) {
		if (!x.eof)
			fail("no eof");
	} else if (strcmp(w, "closed") == 0) {
		const char *why = need(&rest);

		settle(); /* with segments out it is told one turn later */
		if (!x.closed)
			fail("not closed");
		if (strcmp(why, whys[x.why]) != 0)
			fail("closed: %s", whys[x.why]);
	} else if (strcmp(w, "open?") == 0) {
		if (x.c == NULL || x.closed)
			fail("no connection");
	} else if (strcmp(w, "no_conn") == 0) {
		struct spate_tcp_usage u;

		settle();
		spate_tcp_usage(x.h.t, &u);
		if (u.conns != 0)
			fail("%u connections", u.conns);
	} else if (strcmp(w, "time_wait") == 0) {
		struct spate_tcp_usage u;

		spate_tcp_usage(x.h.t, &u);
		if (!in_range(need(&rest), u.time_wait))
			fail("%u in time-wait", u.time_wait);
	} else if (strcmp(w, "count") == 0) {
		check_count(rest);
	} else if (strcmp(w, "too_big") == 0) {
		quote(rest, true);
	} else if (strcmp(w, "unreachable") == 0) {
		quote(rest, false);
	} else if (strcmp(w, "no_path") == 0) {
		x.h.no_path = number(&rest);
		host_path_changed(&x.h);
		settle();
	} else if (strcmp(w, "detour") == 0) {
		x.h.detour = number(&rest);
		host_path_changed(&x.h);
	} else if (strcmp(w, "let_go") == 0) {
		struct spate_port *port = number(&rest) == 2 ? &x.h.port2 : &x.h.port;

		settle();
		while (spate_mem_take(port, x.frame, sizeof x.frame) != 0)
			;
	} else if (strcmp(w, "again") == 0) {
		/* A new connection of the same tuple in the same engine. */
		x.rcvd = x.queued = 0;
		x.iss_before = x.iss;
		x.port_before = x.my_port;
		x.eof = x.closed = x.have_iss = x.have_ts = false;
	} else if (strcmp(w, "port_moved") == 0) {
		if (x.my_port == x.port_before)
			fail("port %u again", x.my_port);
	} else if (strcmp(w, "iss_moved") == 0) {
		if (!in_range(need(&rest), x.iss - x.iss_before))
			fail("the ISN moved by %u", x.iss - x.iss_before);
	} else if (strcmp(w, "port") == 0) {
		if (!in_range(need(&rest), x.my_port))
			fail("port %u", x.my_port);
	} else if (strstr(" state cwnd ssthresh mss ca srtt rto flight runs rate held timers ",
			  w) != NULL) {
		check_value(w, rest);
	} else {
		fail("%s?", w);
	}
}

static void begin(void)
{
	memset(&x.up, 0, offsetof(__typeof__(x), file) - offsetof(__typeof__(x), up));
	plain(&x.cfg);
	x.mtu = 1500;
	x.room = SIZE_MAX;
	x.isn = x.first_iss = 0xfffffc00; /* so that numbers wrap within the first kilobyte */
	x.now = 3600000000ull;
	x.my_port = 80;
}

static void end(void)
{
	if (x.up)
		host_finish(&x.h);
	x.up = false;
}

/* Returns false when a case failed. */
static bool run_case(char **lines, int first, int last)
{
	volatile bool ok = true;

	begin();
	if (setjmp(x.fail) == 0) {
		for (int i = first; i < last; i++) {
			char copy[512], *p = copy;

			x.line = i + 1;
			snprintf(copy, sizeof copy, "%s", lines[i]);
			copy[strcspn(copy, "#\n")] = '\0';
			while (isspace((unsigned char)*p))
				p++;
			if (*p != '\0')
				step(p);
		}
	} else {
		ok = false;
	}
	end();
	return ok;
}

static char *lines[4096];

/* The cases of one file. case_name: only this one. */
static void run_file(const char *path, const char *case_name, bool list, int *cases, int *failed)
{
	static char buf[512];
	const char *base = strrchr(path, '/');
	FILE *f = fopen(path, "r");
	char topic[64];
	int n = 0;

	if (f == NULL) {
		fprintf(stderr, "pkt: cannot read %s\n", path);
		exit(2);
	}
	x.file = path;
	snprintf(topic, sizeof topic, "%s", base != NULL ? base + 1 : path);
	*strchrnul(topic, '.') = '\0';
	while (n < 4096 && fgets(buf, sizeof buf, f) != NULL)
		lines[n++] = strdup(buf);
	fclose(f);
	if (list)
		printf("%s", lines[0]); /* what it is about, and which RFC */
	for (int i = 0; i < n; i++) {
		char name[128];
		int last = i + 1;

		if (sscanf(lines[i], "case %127s", name) != 1 ||
		    (case_name != NULL && strcmp(case_name, name) != 0))
			continue;
		while (last < n && strncmp(lines[last], "case ", 5) != 0)
			last++;
		++*cases;
		if (list) {
			printf("    %s\n", name);
			continue;
		}
		bool ok = run_case(lines, i + 1, last);

		printf("%s %d - %s: %s\n", ok ? "ok" : "not ok", *cases, topic, name);
		*failed += !ok;
	}
	for (int i = 0; i < n; i++)
		free(lines[i]);
}

int main(int argc, char **argv)
{
	const char *only = NULL;
	int cases = 0, failed = 0, i = 1;
	bool list = false;

	if (argc > 1 && strcmp(argv[1], "--list") == 0) {
		list = true;
		i = 2;
	} else if (argc > 2 && strcmp(argv[1], "--case") == 0) {
		only = argv[2];
		i = 3;
	}
	if (i >= argc) {
		fprintf(stderr, "usage: pkt [--list | --case NAME] FILE.pkt...\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (; i < argc; i++)
		run_file(argv[i], only, list, &cases, &failed);
	if (!list)
		printf("1..%d\n", cases);
	return failed != 0;
}

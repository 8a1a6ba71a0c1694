/* text.c: see text.h. Numbers and times by hand: a line a request is control's largest cost under
 * load. */
#include "control/log/text.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char hex_lower[] = "0123456789abcdef";

void spate_text_put(struct spate_text *t, const void *bytes, size_t n)
{
	if (t->full || n > t->cap - t->len) {
		t->full = true;
		return;
	}
	if (n == 0)
		return;
	memcpy(t->p + t->len, bytes, n);
	t->len += n;
}

void spate_text_str(struct spate_text *t, const char *s)
{
	if (s != NULL)
		spate_text_put(t, s, strlen(s));
}

void spate_text_u64(struct spate_text *t, uint64_t v)
{
	char d[20];
	size_t at = sizeof(d);

	do {
		d[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	spate_text_put(t, d + at, sizeof(d) - at);
}

void spate_text_i64(struct spate_text *t, int64_t v)
{
	if (v < 0)
		spate_text_lit(t, "-");
	spate_text_u64(t, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void spate_text_f(struct spate_text *t, const char *fmt, ...)
{
	char piece[1024];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(piece, sizeof(piece), fmt, ap);

	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(piece))
		t->full = true;
	else
		spate_text_put(t, piece, (size_t)n);
}

/*
 * Length of the well-formed UTF-8 sequence at s (RFC 3629 section 4: no overlong forms, no
 * surrogates, at most U+10FFFF), or 0.
 */
static size_t utf8_len(const uint8_t *s, size_t n)
{
	size_t len = s[0] < 0x80   ? 1
		     : s[0] < 0xc2 ? 0
		     : s[0] < 0xe0 ? 2
		     : s[0] < 0xf0 ? 3
		     : s[0] < 0xf5 ? 4
				   : 0;

	if (len == 0 || len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

static void json_u00(struct spate_text *t, uint8_t c)
{
	const char esc[6] = {'\\', 'u', '0', '0', hex_lower[c >> 4], hex_lower[c & 15]};

	spate_text_put(t, esc, sizeof(esc));
}

static bool json_plain(uint8_t c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void spate_text_json(struct spate_text *t, const void *bytes, size_t n)
{
	const uint8_t *s = bytes, *end = s + n;

	spate_text_lit(t, "\"");
	while (s < end) {
		const uint8_t *run = s;
		size_t len;

		while (s < end && json_plain(*s))
			s++;
		spate_text_put(t, run, (size_t)(s - run));
		if (s == end)
			break;
		switch (*s) {
		case '"':
			spate_text_lit(t, "\\\"");
			s++;
			continue;
		case '\\':
			spate_text_lit(t, "\\\\");
			s++;
			continue;
		case '\n':
			spate_text_lit(t, "\\n");
			s++;
			continue;
		case '\r':
			spate_text_lit(t, "\\r");
			s++;
			continue;
		case '\t':
			spate_text_lit(t, "\\t");
			s++;
			continue;
		}
		len = utf8_len(s, (size_t)(end - s));
		if (len >= 2 && !(s[0] == 0xc2 && s[1] < 0xa0)) {
			spate_text_put(t, s, len);
		} else if (len == 2) { /* C1 controls, U+0080 to U+009F */
			json_u00(t, s[1]);
		} else {
			json_u00(t, s[0]);
			len = 1;
		}
		s += len;
	}
	spate_text_lit(t, "\"");
}

void spate_text_hex(struct spate_text *t, const void *bytes, size_t n)
{
	static const char hex_upper[] = "0123456789ABCDEF";
	const uint8_t *s = bytes, *end = s + n;

	while (s < end) {
		const uint8_t *run = s;

		while (s < end && json_plain(*s))
			s++;
		spate_text_put(t, run, (size_t)(s - run));
		if (s == end)
			break;
		const char esc[4] = {'\\', 'x', hex_upper[*s >> 4], hex_upper[*s & 15]};

		spate_text_put(t, esc, sizeof(esc));
		s++;
	}
}

void spate_text_ip(struct spate_text *t, const uint8_t ip[16])
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	if (memcmp(ip, mapped, sizeof(mapped)) == 0) {
		for (int i = 12; i < 16; i++) {
			if (i > 12)
				spate_text_lit(t, ".");
			spate_text_u64(t, ip[i]);
		}
		return;
	}
	char s[INET6_ADDRSTRLEN];

	spate_text_str(t, inet_ntop(AF_INET6, ip, s, sizeof(s)));
}

static void two(char *p, int v)
{
	p[0] = (char)('0' + v / 10 % 10);
	p[1] = (char)('0' + v % 10);
}

/* Broken down to seconds and microseconds, also before 1970. */
static void split(int64_t us, int *rest_us, struct tm *tm)
{
	time_t s = (time_t)(us / 1000000);

	*rest_us = (int)(us % 1000000);
	if (*rest_us < 0) {
		*rest_us += 1000000;
		s--;
	}
	gmtime_r(&s, tm);
}

void spate_text_iso(struct spate_text *t, int64_t us)
{
	char p[] = "YYYY-MM-DDThh:mm:ss.mmmZ";
	struct tm tm;
	int rest;

	split(us, &rest, &tm);
	two(p, (tm.tm_year + 1900) / 100);
	two(p + 2, (tm.tm_year + 1900) % 100);
	two(p + 5, tm.tm_mon + 1);
	two(p + 8, tm.tm_mday);
	two(p + 11, tm.tm_hour);
	two(p + 14, tm.tm_min);
	two(p + 17, tm.tm_sec);
	p[20] = (char)('0' + rest / 100000);
	two(p + 21, rest / 1000 % 100);
	spate_text_put(t, p, sizeof(p) - 1);
}

void spate_text_clf(struct spate_text *t, int64_t us)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char p[] = "DD/Mon/YYYY:hh:mm:ss +0000";
	struct tm tm;
	int rest;

	split(us, &rest, &tm);
	two(p, tm.tm_mday);
	memcpy(p + 3, months + 3 * tm.tm_mon, 3);
	two(p + 7, (tm.tm_year + 1900) / 100);
	two(p + 9, (tm.tm_year + 1900) % 100);
	two(p + 12, tm.tm_hour);
	two(p + 15, tm.tm_min);
	two(p + 18, tm.tm_sec);
	spate_text_put(t, p, sizeof(p) - 1);
}

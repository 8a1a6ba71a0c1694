/*
 * bencode.h: the coding of torrents, tracker answers and extension messages (BEP 3). Pure; nothing
 * is allocated, strings point into the input.
 *
 * Reading is a cursor over a buffer. Each call either consumes one thing and says true, or says
 * false and leaves the cursor failed: every later call says false too, so one look at the end
 * (spate_bdec_ok) is enough.
 *
 *   struct spate_bdec d;
 *   spate_bdec_init(&d, bytes, len);
 *   if (spate_bdec_dict(&d))
 *           while (spate_bdec_more(&d)) {            consumes the 'e' at its end and says false
 *                   struct spate_bstr key;
 *                   spate_bdec_str(&d, &key);
 *                   if (spate_bstr_is(&key, "v")) spate_bdec_str(&d, &version);
 *                   else spate_bdec_skip(&d);        a whole value, whatever it is
 *           }
 *   good = spate_bdec_ok(&d);
 *
 * Strict where leniency is a hazard: no leading zeros, no "-0", lengths within the buffer, at most
 * SPATE_BDEC_DEPTH levels. Key order is not checked (clients get it wrong).
 *
 * Writing is the same backwards: what does not fit sets `full`, look once at the end.
 */
#ifndef SPATE_BENCODE_H
#define SPATE_BENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SPATE_BDEC_DEPTH 16

struct spate_bstr {
	const uint8_t *p;
	size_t len;
};

struct spate_bdec {
	const uint8_t *p, *end;
	unsigned depth;
	bool bad;
};

static inline void spate_bdec_init(struct spate_bdec *d, const void *p, size_t len)
{
	*d = (struct spate_bdec){.p = p, .end = (const uint8_t *)p + len};
}

static inline bool spate_bdec_ok(const struct spate_bdec *d)
{
	return !d->bad;
}

/* 'i', 's' (a string), 'd', 'l', 'e'; 0: the end of the buffer, nonsense, or failed before. */
char spate_bdec_peek(const struct spate_bdec *d);
bool spate_bdec_dict(struct spate_bdec *d); /* enters */
bool spate_bdec_list(struct spate_bdec *d);
/* In a dictionary or list: true: another member follows; false: it was the end, now behind us. */
bool spate_bdec_more(struct spate_bdec *d);
bool spate_bdec_str(struct spate_bdec *d, struct spate_bstr *out);
bool spate_bdec_int(struct spate_bdec *d, int64_t *out);
bool spate_bdec_skip(struct spate_bdec *d);

static inline bool spate_bstr_is(const struct spate_bstr *s, const char *text)
{
	return s->len == strlen(text) && memcmp(s->p, text, s->len) == 0;
}

struct spate_benc {
	uint8_t *p;
	size_t len, cap;
	bool full; /* something did not fit; len is then meaningless */
};

static inline void spate_benc_init(struct spate_benc *e, void *p, size_t cap)
{
	*e = (struct spate_benc){.p = p, .cap = cap};
}

void spate_benc_raw(struct spate_benc *e, const void *p, size_t len);
void spate_benc_str(struct spate_benc *e, const void *p, size_t len);
void spate_benc_int(struct spate_benc *e, int64_t v);
/* A string whose bytes the caller writes: its place, or NULL when it does not fit. */
uint8_t *spate_benc_room(struct spate_benc *e, size_t len);

static inline void spate_benc_text(struct spate_benc *e, const char *s)
{
	spate_benc_str(e, s, strlen(s));
}

static inline void spate_benc_dict(struct spate_benc *e)
{
	spate_benc_raw(e, "d", 1);
}

static inline void spate_benc_list(struct spate_benc *e)
{
	spate_benc_raw(e, "l", 1);
}

static inline void spate_benc_end(struct spate_benc *e)
{
	spate_benc_raw(e, "e", 1);
}

#endif

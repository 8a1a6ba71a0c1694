#include "dataplane/bt/bencode.h"

static bool fail(struct spate_bdec *d)
{
	d->bad = true;
	return false;
}

static bool digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

char spate_bdec_peek(const struct spate_bdec *d)
{
	if (d->bad || d->p == d->end)
		return 0;
	if (digit(*d->p))
		return 's';
	return *d->p == 'i' || *d->p == 'd' || *d->p == 'l' || *d->p == 'e' ? (char)*d->p : 0;
}

static bool enter(struct spate_bdec *d, char what)
{
	if (spate_bdec_peek(d) != what || d->depth == SPATE_BDEC_DEPTH)
		return fail(d);
	d->p++;
	d->depth++;
	return true;
}

bool spate_bdec_dict(struct spate_bdec *d)
{
	return enter(d, 'd');
}

bool spate_bdec_list(struct spate_bdec *d)
{
	return enter(d, 'l');
}

bool spate_bdec_more(struct spate_bdec *d)
{
	char c = spate_bdec_peek(d);

	if (c == 0 || d->depth == 0)
		return fail(d);
	if (c != 'e')
		return true;
	d->p++;
	d->depth--;
	return false;
}

/* Digits up to `end_char`, which is consumed. */
static bool number(struct spate_bdec *d, uint8_t end_char, uint64_t max, uint64_t *out)
{
	const uint8_t *first = d->p;
	uint64_t v = 0;

	while (d->p < d->end && digit(*d->p)) {
		uint64_t n = *d->p++ - '0';

		if (v > (max - n) / 10)
			return fail(d);
		v = v * 10 + n;
	}
	if (d->p == first || (*first == '0' && d->p - first > 1) || d->p == d->end ||
	    *d->p != end_char)
		return fail(d);
	d->p++;
	*out = v;
	return true;
}

bool spate_bdec_str(struct spate_bdec *d, struct spate_bstr *out)
{
	uint64_t len;

	*out = (struct spate_bstr){.p = d->p};
	if (spate_bdec_peek(d) != 's' || !number(d, ':', UINT32_MAX, &len))
		return fail(d);
	if (len > (uint64_t)(d->end - d->p))
		return fail(d);
	*out = (struct spate_bstr){d->p, (size_t)len};
	d->p += len;
	return true;
}

bool spate_bdec_int(struct spate_bdec *d, int64_t *out)
{
	bool minus;
	uint64_t v;

	*out = 0;
	if (spate_bdec_peek(d) != 'i')
		return fail(d);
	d->p++;
	minus = d->p < d->end && *d->p == '-';
	d->p += minus;
	if (!number(d, 'e', INT64_MAX, &v) || (minus && v == 0))
		return fail(d);
	*out = minus ? -(int64_t)v : (int64_t)v;
	return true;
}

bool spate_bdec_skip(struct spate_bdec *d)
{
	unsigned outer = d->depth;
	struct spate_bstr s;
	int64_t v;

	do {
		switch (spate_bdec_peek(d)) {
		case 's':
			spate_bdec_str(d, &s);
			break;
		case 'i':
			spate_bdec_int(d, &v);
			break;
		case 'd':
		case 'l':
			enter(d, (char)*d->p);
			break;
		case 'e':
			if (d->depth == outer)
				return fail(d);
			d->p++;
			d->depth--;
			break;
		default:
			return fail(d);
		}
	} while (!d->bad && d->depth > outer);
	return !d->bad;
}

void spate_benc_raw(struct spate_benc *e, const void *p, size_t len)
{
	if (len > e->cap - e->len) {
		e->full = true;
		return;
	}
	memcpy(e->p + e->len, p, len);
	e->len += len;
}

static void put_number(struct spate_benc *e, uint64_t v)
{
	char text[20];
	unsigned at = sizeof(text);

	do {
		text[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	spate_benc_raw(e, text + at, sizeof(text) - at);
}

uint8_t *spate_benc_room(struct spate_benc *e, size_t len)
{
	put_number(e, len);
	spate_benc_raw(e, ":", 1);
	if (e->full || len > e->cap - e->len) {
		e->full = true;
		return NULL;
	}
	e->len += len;
	return e->p + e->len - len;
}

void spate_benc_str(struct spate_benc *e, const void *p, size_t len)
{
	uint8_t *to = spate_benc_room(e, len);

	if (to != NULL)
		memcpy(to, p, len);
}

void spate_benc_int(struct spate_benc *e, int64_t v)
{
	spate_benc_raw(e, v < 0 ? "i-" : "i", v < 0 ? 2 : 1);
	put_number(e, v < 0 ? -(uint64_t)v : (uint64_t)v);
	spate_benc_raw(e, "e", 1);
}

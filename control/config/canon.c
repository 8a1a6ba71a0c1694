#include "control/config/canon.h"

#include <inttypes.h>
#include <string.h>

/*
 * One code point of UTF-8 (RFC 3629: shortest form, no surrogates, at most U+10FFFF). Returns the
 * bytes taken; 0: not UTF-8.
 */
static size_t decode(const char *text, size_t len, uint32_t *out)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)text;
	size_t n = *p < 0x80 ? 1 : *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : *p >= 0xc2 ? 2 : 0;
	uint32_t c;

	if (n == 0 || n > len || *p > 0xf4)
		return 0;
	c = n == 1 ? *p : *p & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
		return 0;
	*out = c;
	return n;
}

bool spate_canon_ok(const char *text)
{
	size_t len = strlen(text), n;
	uint32_t c;

	for (; len; text += n, len -= n) {
		n = decode(text, len, &c);
		if (n == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0))
			return false;
	}
	return true;
}

static void put_key(FILE *out, const char *key)
{
	if (key)
		fprintf(out, "\"%s\": ", key);
}

void spate_canon_text(FILE *out, const char *key, const char *text, size_t len)
{
	uint32_t c;

	put_key(out, key);
	fputc('"', out);
	for (size_t n; len; text += n, len -= n) {
		n = decode(text, len, &c);
		if (n == 0)
			break;
		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", (int)c);
		else if (c < 0x7f)
			fputc((int)c, out);
		else
			fprintf(out, "\\U%08" PRIX32, c);
	}
	fputs("\",", out);
}

void spate_canon_number(FILE *out, const char *key, uint64_t n)
{
	put_key(out, key);
	fprintf(out, "%" PRIu64 ",", n);
}

void spate_canon_bytes(FILE *out, const char *key, const uint8_t *bytes, size_t len)
{
	put_key(out, key);
	fputc('[', out);
	for (size_t i = 0; i < len; i++)
		fprintf(out, "%u,", bytes[i]);
	fputs("],", out);
}

#include "dataplane/http/chunked.h"

#include "dataplane/http/scan.h"

/*
 * size [ext] CRLF data CRLF ... "0" [ext] CRLF *(trailer CRLF) CRLF              (RFC 9112 7.1)
 *
 *   SIZE_FIRST -> SIZE -> (BWS ->) (EXT ->) SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE_FIRST
 *                                             | size 0
 *                                             v
 *                      TRAILER_LF <----> TRAILER_START -> END_LF -> END
 *                          ^                  v
 *                    TRAILER_VALUE <- TRAILER_NAME
 *
 * An extension's quoted string may hold ';' and '"' but neither CR nor LF, so it needs no state.
 */
enum state {
	SIZE_FIRST,
	SIZE,
	BWS,
	EXT,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER_START,
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	END_LF,
	END,
	BROKEN,
};

void spate_chunked_init(struct spate_chunked *c)
{
	*c = (struct spate_chunked){.state = SIZE_FIRST};
}

static int hex_of(uint8_t b)
{
	if (b >= '0' && b <= '9')
		return b - '0';
	b |= 0x20;
	return b >= 'a' && b <= 'f' ? b - 'a' + 10 : -1;
}

/* HTAB, SP, VCHAR, obs-text: what a line may hold. */
static bool is_text(uint8_t b)
{
	return (spate_char_class[b] & SPATE_CHAR_VALUE) != 0;
}

static bool is_token(uint8_t b)
{
	return (spate_char_class[b] & SPATE_CHAR_TOKEN) != 0;
}

static enum state in_extension(struct spate_chunked *c, enum state next)
{
	return ++c->extensions > SPATE_CHUNKED_EXTENSIONS_MAX ? BROKEN : next;
}

static enum state after_size(struct spate_chunked *c, uint8_t b)
{
	int digit = hex_of(b);

	if (digit >= 0) {
		/* 2^59 - 1 before this digit keeps the sum under 2^63; leading zeros are bounded
		 * all the same. */
		if (c->left >> 59 != 0 || ++c->digits > 32)
			return BROKEN;
		c->left = c->left << 4 | (unsigned)digit;
		return SIZE;
	}
	if (c->digits == 0)
		return BROKEN;
	if (b == '\r')
		return SIZE_LF;
	/* White space may come before an extension (7.1.1), but then there must be one. */
	if (b == ' ' || b == '\t')
		return in_extension(c, BWS);
	return b == ';' ? in_extension(c, EXT) : BROKEN;
}

static enum state in_trailer(struct spate_chunked *c, enum state next)
{
	return ++c->trailers > SPATE_CHUNKED_TRAILERS_MAX ? BROKEN : next;
}

/* Everything but the data itself, a byte at a time: size lines are short and trailers rare. */
static enum state step(struct spate_chunked *c, uint8_t b)
{
	switch ((enum state)c->state) {
	case SIZE_FIRST:
		c->left = 0;
		c->digits = 0;
		return after_size(c, b);
	case SIZE:
		return after_size(c, b);
	case BWS:
		if (b == ';')
			return in_extension(c, EXT);
		return b == ' ' || b == '\t' ? in_extension(c, BWS) : BROKEN;
	case EXT:
		if (b == '\r')
			return SIZE_LF;
		return is_text(b) ? in_extension(c, EXT) : BROKEN;
	case SIZE_LF:
		if (b != '\n')
			return BROKEN;
		return c->left == 0 ? TRAILER_START : DATA;
	case DATA_CR:
		return b == '\r' ? DATA_LF : BROKEN;
	case DATA_LF:
		return b == '\n' ? SIZE_FIRST : BROKEN;
	case TRAILER_START:
		if (b == '\r')
			return END_LF;
		/* White space here would be obs-fold. */
		return is_token(b) ? in_trailer(c, TRAILER_NAME) : BROKEN;
	case TRAILER_NAME:
		if (b == ':')
			return in_trailer(c, TRAILER_VALUE);
		return is_token(b) ? in_trailer(c, TRAILER_NAME) : BROKEN;
	case TRAILER_VALUE:
		if (b == '\r')
			return TRAILER_LF;
		return is_text(b) ? in_trailer(c, TRAILER_VALUE) : BROKEN;
	case TRAILER_LF:
		return b == '\n' ? TRAILER_START : BROKEN;
	case END_LF:
		return b == '\n' ? END : BROKEN;
	case DATA:
	case END:
	case BROKEN:
		break;
	}
	return BROKEN;
}

enum spate_chunked_verdict spate_chunked_next(struct spate_chunked *c, const uint8_t *p, size_t len,
					      size_t *used, struct spate_slice *body)
{
	size_t i = 0;

	*body = (struct spate_slice){NULL, 0};
	while (i < len && c->state != DATA && c->state < END)
		c->state = (uint8_t)step(c, p[i++]);
	*used = i;
	if (c->state == END)
		return SPATE_CHUNKED_DONE;
	if (c->state == BROKEN)
		return SPATE_CHUNKED_BAD;
	if (i == len)
		return SPATE_CHUNKED_NEED_MORE;

	/* DATA, and some of it is here. */
	size_t n = len - i;

	if (n > c->left)
		n = (size_t)c->left;
	if (n > UINT32_MAX)
		n = UINT32_MAX;
	*body = spate_slice_of(p + i, n);
	*used = i + n;
	c->left -= n;
	if (c->left == 0)
		c->state = DATA_CR;
	return SPATE_CHUNKED_BODY;
}

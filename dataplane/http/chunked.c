#include "dataplane/http/chunked.h"

/*
 *   chunk = size [ext] CRLF data CRLF ... "0" [ext] CRLF *(trailer CRLF) CRLF          (RFC
 * 9112 7.1)
 *
 *        +---- digit            SIZE_FIRST: none seen yet
 *   SIZE ; or SP -> EXT         quoted strings in an extension may hold ';' and '"' but no CR or LF
 *        CR -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE_FIRST
 *                     size 0 -> TRAILER_START -> TRAILER ... -> END_LF -> DONE
 */
enum state {
	SIZE_FIRST,
	SIZE,
	EXT,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER_START,
	TRAILER,
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
	return b == '\t' || (b >= 0x20 && b != 0x7f);
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
	/* BWS before an extension (7.1.1); a size followed by space and nothing else is not one. */
	if (b == ';' || b == ' ' || b == '\t') {
		c->extensions++;
		return EXT;
	}
	return BROKEN;
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
	case EXT:
		if (b == '\r')
			return SIZE_LF;
		if (!is_text(b) || ++c->extensions > SPATE_CHUNKED_EXTENSIONS_MAX)
			return BROKEN;
		return EXT;
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
		if (b == ' ' || b == '\t' || b == ':') /* obs-fold; no name */
			return BROKEN;
		/* fall through */
	case TRAILER:
		if (b == '\r')
			return TRAILER_LF;
		if (!is_text(b) || ++c->trailers > SPATE_CHUNKED_TRAILERS_MAX)
			return BROKEN;
		return TRAILER;
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

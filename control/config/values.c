#include "control/config/values.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The units a text may end in; the first that fits exactly is also the one to write. */
struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit sizes[] = {{"TiB", 1ull << 40},
				    {"GiB", 1ull << 30},
				    {"MiB", 1ull << 20},
				    {"KiB", 1ull << 10},
				    {"", 1}};
static const struct unit times[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

/* Decimal digits at the start of *text; false: none, or too large. */
static bool digits(const char **text, uint64_t *out)
{
	const char *p = *text;
	uint64_t n = 0;

	if (!isdigit((unsigned char)*p))
		return false;
	for (; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return false;
	*text = p;
	*out = n;
	return true;
}

static bool with_unit(const char *text, const struct unit *units, size_t count, uint64_t *out)
{
	uint64_t n;

	if (!digits(&text, &n))
		return false;
	while (*text == ' ')
		text++;
	for (size_t i = 0; i < count; i++)
		if (strcmp(text, units[i].name) == 0)
			return !__builtin_mul_overflow(n, units[i].factor, out);
	return false;
}

const char *spate_value_size(const char *text, uint64_t *bytes)
{
	if (!with_unit(text, sizes, 5, bytes))
		return "is not a size: write bytes, or a number with KiB, MiB, GiB or TiB, such as "
		       "2GiB";
	return NULL;
}

const char *spate_value_time(const char *text, uint64_t *ms)
{
	if (!with_unit(text, times, 4, ms))
		return "is not a time: write a number with ms, s, m or h, such as 10s";
	return NULL;
}

const char *spate_value_count(const char *text, uint64_t *count)
{
	uint64_t n;

	if (!digits(&text, &n) || *text)
		return "is not a whole number";
	*count = n;
	return NULL;
}

bool spate_value_enum(const char *text, const char *names, uint64_t *index)
{
	size_t len = strlen(text);

	for (uint64_t i = 0;; i++) {
		size_t n = strcspn(names, "|");

		if (n == len && memcmp(text, names, n) == 0) {
			*index = i;
			return true;
		}
		if (!names[n])
			return false;
		names += n + 1;
	}
}

static const char *format(uint64_t n, const struct unit *units, char *buf)
{
	while (n ? n % units->factor : units->factor != 1)
		units++;
	snprintf(buf, 32, "%" PRIu64 "%s", n / units->factor, units->name);
	return buf;
}

const char *spate_format_size(uint64_t bytes, char *buf)
{
	return format(bytes, sizes, buf);
}

const char *spate_format_time(uint64_t ms, char *buf)
{
	return format(ms, times, buf);
}

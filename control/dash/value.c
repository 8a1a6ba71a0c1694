/* value.c: see value.h. Digits are looked at here, for strtod would also take "0x1p9" and "inf". */
#include "control/dash/value.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS "0123456789"

/* Seconds of one unit behind a number; 0: a year or a month; < 0: no such unit there. */
static double seconds_of(char unit, bool time)
{
	switch (unit) {
	case 'Y':
		return time ? -1 : 0;
	case 'M':
		return time ? 60 : 0;
	case 'D':
		return time ? -1 : 86400;
	case 'H':
		return time ? 3600 : -1;
	case 'S':
		return time ? 1 : -1;
	default:
		return -1;
	}
}

double spate_mpd_duration(const char *text)
{
	const char *v = text;
	bool time = false;
	double sum = 0;

	if (v == NULL || *v++ != 'P' || *v == '\0')
		return -1;
	while (*v != '\0') {
		size_t n;
		double each, count;

		if (*v == 'T' && !time) {
			time = true;
			v++;
			continue;
		}
		n = strspn(v, DIGITS);
		if (v[n] == '.')
			n += 1 + strspn(v + n + 1, DIGITS);
		count = strtod(v, NULL);
		each = seconds_of(v[n], time);
		if (strcspn(v, DIGITS) >= n || each < 0 || (each == 0 && count != 0))
			return -1;
		sum += count * each;
		v += n + 1;
	}
	return isfinite(sum) ? sum : -1;
}

static bool digits(const char *v, const char **end, uint64_t *out)
{
	char *stop;
	unsigned long long n;

	if (*v < '0' || *v > '9')
		return false;
	errno = 0;
	n = strtoull(v, &stop, 10);
	if (errno != 0)
		return false;
	*end = stop;
	*out = n;
	return true;
}

bool spate_mpd_number(const char *text, uint64_t *out)
{
	uint64_t n;

	if (text == NULL || !digits(text, &text, &n) || *text != '\0')
		return false;
	*out = n;
	return true;
}

bool spate_mpd_byte_range(const char *text, struct spate_mpd_range *out)
{
	struct spate_mpd_range r = SPATE_MPD_WHOLE;

	if (text == NULL || !digits(text, &text, &r.first) || *text++ != '-')
		return false;
	if (*text != '\0' && (!digits(text, &text, &r.last) || *text != '\0' || r.last < r.first))
		return false;
	*out = r;
	return true;
}

/* template.c: the URL templates of SegmentTemplate (23009-1 5.3.9.4.4). */
#include "control/dash/tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WIDTH_MAX 20

/* "%05d": 5; 0 without one; -1: nonsense. end: the closing dollar. */
static int width_of(const char *p, const char *end)
{
	int n = 0;

	if (p == end)
		return 0;
	if (end - p < 4 || p[0] != '%' || p[1] != '0' || (end[-1] != 'd' && end[-1] != 'u'))
		return -1;
	for (p += 2; p < end - 1; p++) {
		if (*p < '0' || *p > '9')
			return -1;
		n = n * 10 + *p - '0';
		if (n > WIDTH_MAX)
			return -1;
	}
	return n;
}

static bool is(const char *p, size_t n, const char *what)
{
	return n == strlen(what) && memcmp(p, what, n) == 0;
}

/* name: behind a dollar; end: the dollar that closes it. As snprintf; -1: not an identifier. */
static int identifier(const char *name, const char *end, const struct spate_mpd_node *r,
		      uint64_t number, uint64_t time, char *out, size_t cap)
{
	size_t n = strcspn(name, "%$");
	int width = width_of(name + n, end);
	uint64_t value;

	if (width < 0)
		return -1;
	if (end == name)
		return snprintf(out, cap, "$");
	if (is(name, n, "RepresentationID"))
		return snprintf(out, cap, "%s", r->id);
	if (is(name, n, "Number"))
		value = number;
	else if (is(name, n, "Time"))
		value = time;
	else if (is(name, n, "Bandwidth"))
		value = r->bandwidth;
	else
		return -1;
	return snprintf(out, cap, "%0*llu", width, (unsigned long long)value);
}

int spate_mpd_expand(const char *template, const struct spate_mpd_node *r, uint64_t number,
		     uint64_t time, char *out, size_t cap)
{
	const char *t = template;
	size_t n = 0;

	while (*t != '\0') {
		const char *end;
		int k;

		if (*t != '$') {
			if (n + 1 >= cap)
				return -E2BIG;
			out[n++] = *t++;
			continue;
		}
		end = strchr(++t, '$');
		if (end == NULL)
			return -EINVAL;
		k = identifier(t, end, r, number, time, out + n, cap - n);
		if (k < 0)
			return -EINVAL;
		if ((size_t)k >= cap - n)
			return -E2BIG;
		n += (size_t)k;
		t = end + 1;
	}
	out[n] = '\0';
	return 0;
}

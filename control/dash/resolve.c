/* resolve.c: a reference against a base (RFC 3986 5.2), of which only the path matters. */
#include "control/dash/tree.h"

#include <stdlib.h>
#include <string.h>

static bool has_scheme(const char *r)
{
	size_t n = strcspn(r, ":/?#");

	return n > 0 && r[n] == ':';
}

/* "http://cdn/x" and "//cdn/x": "/x". NULL: it has no authority, so this is no other host's URL. */
static const char *path_of(const char *r)
{
	const char *at = has_scheme(r) ? strchr(r, ':') + 1 : r;

	if (at[0] != '/' || at[1] != '/')
		return NULL;
	at += 2;
	at += strcspn(at, "/?#");
	return *at == '/' ? at : "/";
}

/* RFC 3986 5.2.4, in place, of the path alone. false: it climbs above the root. */
static bool remove_dots(char *path)
{
	char *in = path, *out = path;

	while (*in != '\0') { /* at a slash */
		size_t n = 1 + strcspn(in + 1, "/");
		bool last = in[n] == '\0';

		if (n == 2 && in[1] == '.') {
			if (last)
				*out++ = '/';
		} else if (n == 3 && in[1] == '.' && in[2] == '.') {
			if (out == path)
				return false;
			while (*--out != '/')
				;
			if (last)
				*out++ = '/';
		} else {
			memmove(out, in, n);
			out += n;
		}
		in += n;
	}
	*out = '\0';
	return true;
}

/* Dots in a query mean nothing: look at the path only, then move the query up behind it. */
static bool remove_dots_before_query(char *url)
{
	char *query = strchr(url, '?');

	if (query != NULL)
		*query = '\0';
	if (!remove_dots(url))
		return false;
	if (query != NULL) {
		char *end = url + strlen(url); /* query at most */

		*end = '?';
		memmove(end + 1, query + 1, strlen(query + 1) + 1);
	}
	return true;
}

char *spate_mpd_resolve(const char *base, const char *reference, bool *elsewhere)
{
	size_t len = strcspn(reference, "#"), path = strcspn(base, "?#"), keep;
	char *out;

	*elsewhere = has_scheme(reference) || (reference[0] == '/' && reference[1] == '/');
	if (*elsewhere || len > SPATE_MPD_URL_MAX || path > SPATE_MPD_URL_MAX)
		return NULL;
	if (reference[0] == '/')
		keep = 0;
	else if (len == 0 || reference[0] == '?')
		keep = len == 0 ? strcspn(base, "#") : path;
	else
		for (keep = path; keep > 0 && base[keep - 1] != '/';)
			keep--;
	out = malloc(keep + len + 2);
	if (out == NULL)
		return NULL;
	memcpy(out, base, keep);
	memcpy(out + keep, reference, len);
	out[keep + len] = '\0';
	if (out[0] != '/' || !remove_dots_before_query(out)) {
		free(out);
		return NULL;
	}
	return out;
}

char *spate_mpd_tree_resolve(const struct spate_mpd_tree *t, const char *base,
			     const char *reference, bool *elsewhere)
{
	const char *path = t->any_host ? path_of(reference) : NULL;

	return spate_mpd_resolve(base, path != NULL ? path : reference, elsewhere);
}

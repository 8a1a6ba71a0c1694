#include "control/torrent/url.h"

#include <string.h>

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

bool spate_percent_decode(const char *p, size_t n, char *out, size_t cap)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		char c = p[i];

		if (c == '%') {
			if (i + 2 >= n || hex(p[i + 1]) < 0 || hex(p[i + 2]) < 0)
				return false;
			c = (char)(hex(p[i + 1]) << 4 | hex(p[i + 2]));
			i += 2;
		}
		if (c == '\0' || k + 1 >= cap)
			return false;
		out[k++] = c;
	}
	if (k >= cap)
		return false;
	out[k] = '\0';
	return true;
}

static bool ends(const char *p, size_t n, const char *with, size_t *without)
{
	size_t k = strlen(with);

	if (n <= k || memcmp(p + n - k, with, k) != 0)
		return false;
	*without = n - k;
	return true;
}

/* ".pad/123" at the end: 123. */
static bool is_pad(const char *p, size_t n, size_t *before, uint64_t *zeros)
{
	size_t i = n;
	uint64_t v = 0;

	while (i > 0 && p[i - 1] >= '0' && p[i - 1] <= '9')
		i--;
	if (i == n || n - i > 10 || i < 5 || memcmp(p + i - 5, ".pad/", 5) != 0 ||
	    (i > 5 && p[i - 6] != '/'))
		return false;
	*before = i - 5;
	for (; i < n; i++)
		v = v * 10 + (uint64_t)(p[i] - '0');
	*zeros = v;
	return v > 0;
}

static bool take_id(struct spate_torrent_url *out, const char *p, size_t n)
{
	return n > 0 && memchr(p, '/', n) == NULL &&
	       spate_percent_decode(p, n, out->id, sizeof(out->id));
}

static bool torrent_name(struct spate_torrent_url *out, const char *p, size_t n)
{
	size_t k;

	if (ends(p, n, ".hybrid.torrent", &k))
		out->kind = SPATE_TURL_HYBRID;
	else if (ends(p, n, ".torrent", &k))
		out->kind = SPATE_TURL_V1;
	else
		return false;
	return take_id(out, p, k);
}

/* What follows "MANIFEST.torrents/". */
static bool below(struct spate_torrent_url *out, const char *p, size_t n)
{
	const char *slash = memchr(p, '/', n), *name;
	size_t k;

	if (slash == NULL) {
		if (torrent_name(out, p, n))
			return true;
		out->kind = SPATE_TURL_WHOLE;
		return (ends(p, n, ".mp4", &k) || ends(p, n, ".webm", &k)) && take_id(out, p, k);
	}
	name = slash + 1;
	slash = memchr(name, '/', n - (size_t)(name - p));
	if (slash == NULL || !take_id(out, p, (size_t)(name - 1 - p)))
		return false;
	out->kind = SPATE_TURL_FILE;
	out->path = slash + 1;
	out->path_len = n - (size_t)(out->path - p);
	if (is_pad(out->path, out->path_len, &k, &out->pad) && k != 0)
		out->pad = 0; /* pads lie at the torrent's root */
	return out->path_len > 0;
}

static bool parse(const char *url, size_t len, struct spate_torrent_url *out)
{
	static const char suffix[] = ".torrents";
	const char *at = memmem(url, len, ".torrents/", 10);
	size_t k;

	if (at != NULL && at > url && at[-1] != '/') {
		out->manifest = (size_t)(at - url);
		return below(out, at + 10, len - (size_t)(at + 10 - url));
	}
	if (ends(url, len, suffix, &k) && url[k - 1] != '/') {
		out->manifest = k;
		out->kind = SPATE_TURL_INDEX;
		return true;
	}
	if (is_pad(url, len, &out->dir, &out->pad)) {
		out->kind = SPATE_TURL_PAD;
		return true;
	}
	for (k = len; k > 0 && url[k - 1] != '/';)
		k--;
	out->dir = k;
	return k > 0 && torrent_name(out, url + k, len - k);
}

bool spate_torrent_url_parse(const char *url, size_t len, struct spate_torrent_url *out)
{
	const char *query = memchr(url, '?', len);

	memset(out, 0, sizeof(*out));
	if (query != NULL)
		len = (size_t)(query - url);
	if (!parse(url, len, out)) {
		out->kind = SPATE_TURL_NONE;
		return false;
	}
	if (out->manifest > 0)
		for (out->dir = out->manifest; out->dir > 0 && url[out->dir - 1] != '/';)
			out->dir--;
	return true;
}

void spate_torrent_url_id(struct spate_buf *b, const char *id)
{
	spate_buf_percent(b, id, strlen(id), "");
}

/* Bytes of the UTF-8 character at p (RFC 3629), 0: not valid. */
static size_t utf8(const uint8_t *p, size_t n)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = p[0] < 0x80       ? 1
		     : p[0] >> 5 == 6  ? 2
		     : p[0] >> 4 == 14 ? 3
		     : p[0] >> 3 == 30 ? 4
				       : 0;
	uint32_t c;

	if (len < 2 || len > n)
		return len == 1 ? 1 : 0;
	c = p[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	return c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : len;
}

bool spate_torrent_path_ok(const char *path)
{
	size_t n = strlen(path), from = 0;

	for (size_t i = 0, k; i < n; i += k) {
		k = utf8((const uint8_t *)path + i, n - i);
		if (k == 0 || (uint8_t)path[i] < 0x20 || path[i] == 0x7f || path[i] == '\\')
			return false;
	}
	for (size_t i = 0; i <= n; i++) {
		size_t len = i - from;

		if (i < n && path[i] != '/')
			continue;
		if (len == 0 || len > 200 || (len == 1 && path[from] == '.') ||
		    (len == 2 && path[from] == '.' && path[from + 1] == '.'))
			return false;
		from = i + 1;
	}
	return true;
}

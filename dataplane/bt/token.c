#include "dataplane/bt/token.h"

#include <string.h>

#include "dataplane/util/siphash.h"

/*
 * The secret's bytes, whole words and the length, under two fixed keys: any change of the text
 * changes both words. It is stretched by nothing: a secret should have the entropy of a key.
 */
void spate_token_key(struct spate_token_key *key, const char *secret)
{
	static const uint64_t fixed[2][2] = {{0x7370617465206b65ull, 0x792066726f6d2061ull},
					     {0x7365637265742c20ull, 0x7477696365206f6eull}};
	size_t len = strlen(secret);
	uint64_t w[33] = {0};

	if (len > sizeof(w) - sizeof(w[0]))
		len = sizeof(w) - sizeof(w[0]); /* the parameter is 256 bytes at most */
	memcpy(w, secret, len);
	w[32] = len;
	for (int i = 0; i < 2; i++)
		key->word[i] = siphash(fixed[i], w, 33, 2, 4);
}

void spate_token_make(const struct spate_token_key *key, const uint8_t infohash[20],
		      char token[SPATE_TOKEN_CHARS])
{
	static const char hex[] = "0123456789abcdef";
	uint64_t w[4] = {0};

	memcpy(w, infohash, 20);
	for (unsigned half = 0; half < 2; half++) {
		w[3] = half + 1; /* also sets tokens apart from every other use of the key */
		uint64_t h = siphash(key->word, w, 4, 2, 4);

		for (unsigned i = 0; i < 16; i++)
			token[half * 16 + i] = hex[h >> (60 - 4 * i) & 15];
	}
}

void spate_token_path(const struct spate_token_key *key, const uint8_t infohash[20],
		      char path[SPATE_TOKEN_PATH_MAX])
{
	if (key != NULL) {
		*path++ = '/';
		spate_token_make(key, infohash, path);
		path += SPATE_TOKEN_CHARS;
	}
	memcpy(path, "/announce", sizeof("/announce"));
}

bool spate_token_good(const struct spate_token_key *key, const uint8_t infohash[20],
		      const char token[SPATE_TOKEN_CHARS])
{
	char want[SPATE_TOKEN_CHARS];
	unsigned differ = 0;

	spate_token_make(key, infohash, want);
	for (unsigned i = 0; i < SPATE_TOKEN_CHARS; i++)
		differ |= (unsigned)(want[i] ^ token[i]);
	return differ == 0;
}

static bool is(const char *p, size_t len, const char *text)
{
	return len == strlen(text) && memcmp(p, text, len) == 0;
}

enum spate_token_url spate_token_url(const char *path, size_t len, const char **token)
{
	*token = NULL;
	if (len > SPATE_TOKEN_CHARS + 1 && path[0] == '/' && path[SPATE_TOKEN_CHARS + 1] == '/') {
		*token = path + 1;
		path += SPATE_TOKEN_CHARS + 1;
		len -= SPATE_TOKEN_CHARS + 1;
	}
	if (is(path, len, "/announce"))
		return SPATE_URL_ANNOUNCE;
	if (is(path, len, "/scrape"))
		return SPATE_URL_SCRAPE;
	*token = NULL;
	return SPATE_URL_OTHER;
}

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <errno.h>
#include <sys/random.h>

#include "spate/cache.h"

/* XXH3 with the secret that everybody knows can be made to collide in seconds, for a URL of the
 * attacker's choice; whoever asks for the one would then get what the other names. */
static XXH_ALIGN(64) unsigned char secret[XXH3_SECRET_DEFAULT_SIZE];
static const unsigned char *used = XXH3_kSecret;

int spate_key_secret(void)
{
	if (getrandom(secret, sizeof(secret), 0) != sizeof(secret))
		return -EIO;
	used = secret;
	return 0;
}

struct spate_key spate_key_of(const void *bytes, size_t len)
{
	XXH128_hash_t h = XXH3_128bits_withSecret(bytes, len, used, sizeof(secret));

	return (struct spate_key){.lo = h.low64, .hi = h.high64};
}

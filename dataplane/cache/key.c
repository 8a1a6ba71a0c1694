#define XXH_INLINE_ALL
#include <xxhash.h>

#include "spate/cache.h"

struct spate_key spate_key_of(const void *bytes, size_t len)
{
	XXH128_hash_t h = XXH3_128bits(bytes, len);

	return (struct spate_key){.lo = h.low64, .hi = h.high64};
}

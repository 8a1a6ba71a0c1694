/*
 * meta.h: what a viewer's response needs, made once from what the origin said. Pure.
 *
 * The head keeps the origin's field lines except those of the hop (RFC 9110 7.6.1, and what
 * Connection lists), those Spate writes itself, and Access-Control-*, which the edge answers for
 * all content alike. A 200 without Content-Type gets one from its name. Every head has a Date: the
 * origin's, or when the response came.
 */
#ifndef SPATE_ORIGIN_META_H
#define SPATE_ORIGIN_META_H

#include <sys/stat.h>

#include "control/origin/fill.h"
#include "control/origin/response.h"

#define SPATE_META_HEAD_MAX 16384 /* bytes of field lines */
/* Fresh for so long: a 200 that says nothing of it, and a file in a directory. */
#define SPATE_FRESH_DEFAULT_S 2

/*
 * Fills h (meta malloc'd, the caller's; size; expires_s; share) from a response to a full GET.
 * request_s, response_s: CLOCK_REALTIME. 0, -ENOMEM, or -EMSGSIZE: more than SPATE_META_HEAD_MAX.
 */
int spate_meta_of_response(struct spate_fill_head *h, const struct spate_response *r,
			   const char *url, size_t url_len, int64_t request_s, int64_t response_s);

/*
 * The same after a 304: the lines of `old`, updated by those of r (RFC 9111 3.2): what describes
 * the stored bytes (Content-*, ETag, Last-Modified) stays. -EINVAL when that makes no valid head.
 */
int spate_meta_of_304(struct spate_fill_head *h, const struct spate_response *r,
		      const struct spate_meta *old, int64_t request_s, int64_t response_s);

/* A regular file. 0 or -ENOMEM. */
int spate_meta_of_file(struct spate_fill_head *h, const struct statx *st, const char *url,
		       size_t url_len, int64_t now_s);

#endif

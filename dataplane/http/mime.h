/* mime.h: media types by file name extension, for a directory origin. DASH, HLS and what a player
 * page needs. */
#ifndef SPATE_HTTP_MIME_H
#define SPATE_HTTP_MIME_H

#include "dataplane/http/slice.h"

/* path: without query. A static text; "application/octet-stream" for extensions unknown. */
struct spate_slice spate_http_mime(struct spate_slice path);

#endif

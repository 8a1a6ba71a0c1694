/* status.h: reason phrases (RFC 9110 15). */
#ifndef SPATE_HTTP_STATUS_H
#define SPATE_HTTP_STATUS_H

#include "dataplane/http/slice.h"

/* Empty for a status nobody has registered: the phrase may be empty (RFC 9112 4). */
struct spate_slice spate_http_reason(unsigned status);

#endif

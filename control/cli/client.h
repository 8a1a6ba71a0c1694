/* client.h: one HTTP/1.1 request to the admin endpoint, blocking, bounded in time and size. */
#ifndef SPATE_CLI_CLIENT_H
#define SPATE_CLI_CLIENT_H

#include <stddef.h>

#include "control/config/config.h"

#define SPATE_CLIENT_SECONDS 10         /* for each step */
#define SPATE_CLIENT_BYTES   (16 << 20) /* of an answer */

/*
 * Sends `method target` and reads the whole answer. Returns the status (200 ...) with *body
 * malloc'd and NUL-terminated, the caller's; or a negative errno (-EPROTO: not HTTP, or cut short)
 * with *body untouched.
 */
int spate_client_request(const struct spate_config_addr *to, const char *method, const char *target,
			 char **body, size_t *len);

#endif

/*
 * condition.h: preconditions, in the order of RFC 9110 13.2.2. Pure.
 *
 *   switch (spate_http_condition(&r, &v, now_s)) {
 *   case SPATE_CONDITION_PASS:         go on; the Range counts (if the method is GET)
 *   case SPATE_CONDITION_IGNORE_RANGE: go on as if there was no Range: If-Range did not hold
 *   case SPATE_CONDITION_NOT_MODIFIED: 304
 *   case SPATE_CONDITION_FAILED:       412
 *   }
 *
 * To be asked only when the answer would otherwise be 2xx (13.2.1).
 */
#ifndef SPATE_HTTP_CONDITION_H
#define SPATE_HTTP_CONDITION_H

#include "dataplane/http/request.h"

struct spate_validators {
	struct spate_slice etag; /* quotes and W/ included; len 0: none */
	int64_t last_modified_s; /* -1: none */
	int64_t date_s; /* of the response; tells whether last_modified_s is strong (8.8.2.2) */
};

enum spate_condition {
	SPATE_CONDITION_PASS,
	SPATE_CONDITION_IGNORE_RANGE,
	SPATE_CONDITION_NOT_MODIFIED,
	SPATE_CONDITION_FAILED,
};

/* Methods other than GET and HEAD always pass (13.2.1). now_s: for dates with two-digit years. */
enum spate_condition spate_http_condition(const struct spate_http_request *r,
					  const struct spate_validators *v, int64_t now_s);

#endif

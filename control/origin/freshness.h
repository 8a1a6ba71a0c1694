/*
 * freshness.h: may a response be stored, and how long is it fresh (RFC 9111 3, 4.2, 5.2). Pure: the
 * caller has the clock.
 *
 *   spate_freshness_of(&response, request_s, response_s, default_s, &f);
 *   if (f.storable) { meta->date_s, stored_s = response_s, initial_age_s = f.initial_age_s;
 *                     expires_s = response_s + f.lifetime_s - f.initial_age_s; }
 *
 * The edge is a shared cache: private counts, s-maxage wins over max-age, max-age over Expires
 * (4.2.1). Invalid freshness information is stale (4.2.1); of repeated directives the first counts;
 * numbers too large are 2^31 (1.2.2).
 */
#ifndef SPATE_ORIGIN_FRESHNESS_H
#define SPATE_ORIGIN_FRESHNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "control/origin/response.h"

#define SPATE_HEURISTIC_MAX_S 86400 /* heuristic freshness never says more than a day (4.2.2) */
#define SPATE_DELTA_MAX_S     2147483648u

struct spate_cache_control {
	bool no_store, no_cache, is_private, is_public;
	bool must_revalidate, proxy_revalidate, immutable;
	bool invalid;                  /* a max-age or s-maxage that is not a number */
	int64_t max_age_s, s_maxage_s; /* -1: absent */
	int64_t stale_while_revalidate_s, stale_if_error_s; /* RFC 5861; -1: absent */
};

void spate_cache_control_init(struct spate_cache_control *cc);
/* Adds one field line; call for each in order. Unknown directives are skipped (5.2.3). */
void spate_cache_control_add(struct spate_cache_control *cc, struct spate_slice value);

/* Where lifetime_s comes from. */
enum spate_freshness_source {
	SPATE_FRESH_NONE, /* nothing said: default_s, or 0 */
	SPATE_FRESH_S_MAXAGE,
	SPATE_FRESH_MAX_AGE,
	SPATE_FRESH_EXPIRES,
	SPATE_FRESH_HEURISTIC, /* a tenth of the time since Last-Modified */
};

struct spate_freshness {
	bool storable;          /* may be kept for other viewers */
	bool must_revalidate;   /* {must,proxy}-revalidate, s-maxage, no-cache: never serve stale */
	bool varies;            /* Vary names something beyond Accept-Encoding and Origin */
	uint8_t source;         /* enum spate_freshness_source */
	uint32_t lifetime_s;    /* freshness_lifetime; 0 with no-cache */
	uint32_t initial_age_s; /* corrected_initial_age (4.2.3) */
	uint32_t stale_while_revalidate_s; /* 0: absent, or forbidden by must_revalidate */
	uint32_t stale_if_error_s;         /* likewise */
	int64_t date_s;                    /* the origin's Date, else response_s */
	int64_t last_modified_s;           /* -1: none */
};

/*
 * r: a parsed response. request_s, response_s: CLOCK_REALTIME when the request went out and its
 * head came back. default_s: lifetime of a 200, 203 or 206 that says nothing at all.
 *
 * Not storable: no-store, private, Vary: *, Set-Cookie (as nginx and Varnish do, although 9111 lets
 * it), 1xx and 5xx, a status that is not heuristically cacheable (RFC 9110 15.1) and says no
 * lifetime, and 304 (the caller uses it to refresh what it holds: lifetime and age are filled all
 * the same).
 */
void spate_freshness_of(const struct spate_response *r, int64_t request_s, int64_t response_s,
			uint32_t default_s, struct spate_freshness *f);

#endif

#include "control/origin/freshness.h"

#include "dataplane/http/date.h"

void spate_cache_control_init(struct spate_cache_control *cc)
{
	*cc = (struct spate_cache_control){
		.max_age_s = -1,
		.s_maxage_s = -1,
		.stale_while_revalidate_s = -1,
		.stale_if_error_s = -1,
	};
}

/*
 * delta-seconds (RFC 9111 1.2.2): too large counts as 2^31, quotes are taken off (5.2: recipients
 * ought to accept both forms). -1: not a number, which includes a sign.
 */
static int64_t delta_seconds(struct spate_slice s)
{
	int64_t v = 0;

	if (s.len == 0)
		return -1;
	for (uint32_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -1;
		v = v * 10 + s.p[i] - '0';
		if (v > SPATE_DELTA_MAX_S)
			v = SPATE_DELTA_MAX_S;
	}
	return v;
}

/* Takes the next directive off the list: token [ "=" ( token / quoted-string ) ]. Junk up to a
 * comma is skipped. */
static bool next_directive(struct spate_slice *list, struct spate_slice *name,
			   struct spate_slice *arg)
{
	const char *p = list->p, *end = p + list->len;

	while (p < end && (*p == ',' || *p == ' ' || *p == '\t'))
		p++;
	if (p == end)
		return false;

	const char *start = p;
	const char *equals = NULL;
	bool quoted = false;

	for (; p < end && (quoted || *p != ','); p++) {
		if (quoted && *p == '\\' && p + 1 < end)
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (*p == '=' && equals == NULL && !quoted)
			equals = p;
	}
	*arg = (struct spate_slice){NULL, 0};
	*name = spate_slice_trim(spate_slice_of(start, (size_t)((equals ? equals : p) - start)));
	if (equals != NULL)
		*arg = spate_slice_trim(spate_slice_of(equals + 1, (size_t)(p - equals - 1)));
	if (arg->len >= 2 && arg->p[0] == '"' && arg->p[arg->len - 1] == '"')
		*arg = spate_slice_of(arg->p + 1, arg->len - 2);
	*list = spate_slice_of(p, (size_t)(end - p));
	return true;
}

void spate_cache_control_add(struct spate_cache_control *cc, struct spate_slice value)
{
	const struct {
		struct spate_slice name;
		bool *flag;
		int64_t *seconds;
		bool freshness; /* invalid makes the response stale */
	} known[] = {
		{SPATE_SLICE("max-age"), NULL, &cc->max_age_s, true},
		{SPATE_SLICE("s-maxage"), NULL, &cc->s_maxage_s, true},
		{SPATE_SLICE("stale-while-revalidate"), NULL, &cc->stale_while_revalidate_s, false},
		{SPATE_SLICE("stale-if-error"), NULL, &cc->stale_if_error_s, false},
		{SPATE_SLICE("no-store"), &cc->no_store, NULL, false},
		{SPATE_SLICE("no-cache"), &cc->no_cache, NULL, false},
		{SPATE_SLICE("private"), &cc->is_private, NULL, false},
		{SPATE_SLICE("public"), &cc->is_public, NULL, false},
		{SPATE_SLICE("must-revalidate"), &cc->must_revalidate, NULL, false},
		{SPATE_SLICE("proxy-revalidate"), &cc->proxy_revalidate, NULL, false},
		{SPATE_SLICE("immutable"), &cc->immutable, NULL, false},
	};
	struct spate_slice name, arg;

	while (next_directive(&value, &name, &arg)) {
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
			if (!spate_slice_is(name, known[i].name))
				continue;
			/* no-cache="a, b" and private="a" bind the whole response here
			 * (5.2.2.4, 5.2.2.7). */
			if (known[i].flag != NULL) {
				*known[i].flag = true;
			} else if (*known[i].seconds < 0) {
				*known[i].seconds = delta_seconds(arg);
				cc->invalid |= known[i].freshness && *known[i].seconds < 0;
			}
		}
	}
}

/* RFC 9110 15.1, without 206, 405, 414 and 501: those say something about one request only. */
static bool heuristically_cacheable(unsigned status)
{
	switch (status) {
	case 200:
	case 203:
	case 204:
	case 206:
	case 300:
	case 301:
	case 308:
	case 404:
	case 410:
		return true;
	default:
		return false;
	}
}

static void read_vary(const struct spate_response *r, bool *star, bool *varies)
{
	struct spate_slice name, value, item;
	uint32_t at = 0;

	while (spate_response_next(r, &at, &name, &value)) {
		if (!spate_slice_is(name, SPATE_SLICE("vary")))
			continue;
		while (spate_slice_next(&value, &item)) {
			if (item.len == 1 && item.p[0] == '*')
				*star = true;
			else if (!spate_slice_is(item, SPATE_SLICE("accept-encoding")) &&
				 !spate_slice_is(item, SPATE_SLICE("origin")))
				*varies = true;
		}
	}
}

static int64_t at_least_zero(int64_t v)
{
	return v > 0 ? v : 0;
}

static uint32_t clamp_delta(int64_t v)
{
	return v < 0 ? 0 : v > SPATE_DELTA_MAX_S ? SPATE_DELTA_MAX_S : (uint32_t)v;
}

/* RFC 9111 4.2.3. */
static uint32_t initial_age(const struct spate_response *r, int64_t date_s, int64_t request_s,
			    int64_t response_s)
{
	int64_t apparent = at_least_zero(response_s - date_s);
	struct spate_slice list = r->age, first = {NULL, 0};

	/* Of a list the first member counts, what is no number is ignored (5.1). */
	spate_slice_next(&list, &first);

	int64_t age = at_least_zero(delta_seconds(first));
	int64_t corrected = age + at_least_zero(response_s - request_s);

	return clamp_delta(apparent > corrected ? apparent : corrected);
}

/* RFC 9111 4.2.1, 4.2.2. */
static void lifetime(const struct spate_response *r, const struct spate_cache_control *cc,
		     int64_t response_s, uint32_t default_s, struct spate_freshness *f)
{
	int64_t t;

	if (cc->invalid) {
		f->source = cc->s_maxage_s >= 0 ? SPATE_FRESH_S_MAXAGE : SPATE_FRESH_MAX_AGE;
		return;
	}
	if (cc->s_maxage_s >= 0) {
		f->source = SPATE_FRESH_S_MAXAGE;
		f->lifetime_s = clamp_delta(cc->s_maxage_s);
	} else if (cc->max_age_s >= 0) {
		f->source = SPATE_FRESH_MAX_AGE;
		f->lifetime_s = clamp_delta(cc->max_age_s);
	} else if (r->expires.p != NULL) {
		/* An invalid date, "0" above all, has expired (5.3). */
		f->source = SPATE_FRESH_EXPIRES;
		if (spate_http_date_parse(r->expires, response_s, &t))
			f->lifetime_s = clamp_delta(t - f->date_s);
	} else if (heuristically_cacheable(r->status) && f->last_modified_s >= 0) {
		f->source = SPATE_FRESH_HEURISTIC;
		t = at_least_zero(f->date_s - f->last_modified_s) / 10;
		f->lifetime_s = (uint32_t)(t < SPATE_HEURISTIC_MAX_S ? t : SPATE_HEURISTIC_MAX_S);
	} else if (r->status == 200 || r->status == 203 || r->status == 206) {
		f->lifetime_s = default_s;
	}
}

void spate_freshness_of(const struct spate_response *r, int64_t request_s, int64_t response_s,
			uint32_t default_s, struct spate_freshness *f)
{
	struct spate_cache_control cc;
	struct spate_slice name, value;
	uint32_t at = 0;
	bool star = false;

	*f = (struct spate_freshness){.date_s = response_s, .last_modified_s = -1};
	spate_cache_control_init(&cc);
	while (spate_response_next(r, &at, &name, &value))
		if (spate_slice_is(name, SPATE_SLICE("cache-control")))
			spate_cache_control_add(&cc, value);
	read_vary(r, &star, &f->varies);
	if (r->date.p != NULL)
		spate_http_date_parse(r->date, response_s, &f->date_s);
	if (r->last_modified.p != NULL)
		spate_http_date_parse(r->last_modified, response_s, &f->last_modified_s);

	f->initial_age_s = initial_age(r, f->date_s, request_s, response_s);
	lifetime(r, &cc, response_s, default_s, f);
	/* s-maxage means proxy-revalidate too (5.2.2.10). */
	f->must_revalidate =
		cc.must_revalidate || cc.proxy_revalidate || cc.no_cache || cc.s_maxage_s >= 0;
	if (cc.no_cache)
		f->lifetime_s = 0;
	if (!f->must_revalidate) {
		f->stale_while_revalidate_s = clamp_delta(cc.stale_while_revalidate_s);
		f->stale_if_error_s = clamp_delta(cc.stale_if_error_s);
	}

	bool says = cc.is_public || cc.invalid ||
		    (f->source != SPATE_FRESH_NONE && f->source != SPATE_FRESH_HEURISTIC);

	f->storable = !cc.no_store && !cc.is_private && !star && !r->has_set_cookie &&
		      r->status >= 200 && r->status < 500 && r->status != 304 &&
		      (heuristically_cacheable(r->status) || says);
}

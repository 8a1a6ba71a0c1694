/*
 * mpd.c: one walk over the document, which notes what each representation inherited; URLs are made
 * after it, for how long a period lasts may stand in the next one.
 *
 *     MPD ─ Period ─ AdaptationSet ─ Representation      levels: each begins as a copy of the one
 *      └ BaseURL  └ SegmentTemplate ...                  above and is changed by its children
 */
#include "control/dash/mpd.h"

#include <errno.h>
#include <libxml/xmlreader.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/dash/arena.h"

#define DEPTH_MAX   32
#define WIDTH_MAX   20
#define URL_MAX     8192
#define BYTES_MAX   (8u << 20)
#define SEGMENT_MAX 200000u
#define REPS_MAX    256u

enum kind { BARE, BASE, LIST, TEMPLATE };
enum level { MPD, PERIOD, SET, REP, LEVELS };

struct run { /* S of a SegmentTimeline */
	uint64_t t, d;
	int64_t r;
	bool has_t;
	struct run *next;
};

struct item { /* SegmentURL */
	const char *media;
	struct item *next;
};

struct segments {
	enum kind kind;
	const char *media, *init;
	uint64_t start_number, end_number, timescale, duration, offset;
	bool has_end;
	struct run *runs, **runs_end;
	struct item *items, **items_end;
};

struct scope {
	const char *base;
	bool has_base; /* its own: of several, which are alternatives, the first counts */
	bool elsewhere;
	const char *mime;
	struct segments s;
};

struct period {
	double start, duration; /* < 0: not said */
};

struct rep {
	const char *id;
	uint64_t bandwidth;
	uint32_t period;
	struct scope scope;
	struct rep *next;
};

struct parse {
	struct spate_arena_mem mem;
	xmlTextReader *x;
	struct scope at[LEVELS];
	int level;   /* enum level; -1: outside of all */
	int open_at; /* depth of the element that opened each level */
	int depth[LEVELS];
	bool dynamic;
	double total; /* mediaPresentationDuration, < 0: not said */
	struct period *periods;
	uint32_t nperiods;
	struct rep *reps, **reps_end;
	uint32_t nreps;
	const char *id; /* of the representation that is open */
	uint64_t bandwidth;
	struct spate_mpd_limits limits;
	uint32_t segments; /* made so far */
};

/* --- values --- */

static const char *attribute(struct parse *p, const char *name)
{
	xmlChar *v = xmlTextReaderGetAttribute(p->x, (const xmlChar *)name);
	const char *copy = NULL;

	if (v != NULL) {
		copy = spate_mem_copy(&p->mem, (const char *)v, strlen((const char *)v));
		xmlFree(v);
	}
	return copy;
}

static bool number(struct parse *p, const char *name, uint64_t *out)
{
	const char *v = attribute(p, name);
	char *end;
	unsigned long long n;

	if (v == NULL || *v < '0' || *v > '9')
		return false;
	errno = 0;
	n = strtoull(v, &end, 10);
	if (errno != 0 || *end != '\0')
		return false;
	*out = n;
	return true;
}

/* xs:duration in seconds; < 0: absent or malformed. A month has 30 days here; no film has one. */
static double duration(struct parse *p, const char *name)
{
	const char *v = attribute(p, name);
	bool time = false;
	double sum = 0;

	if (v == NULL || *v++ != 'P')
		return -1;
	while (*v != '\0') {
		char *end;
		double n;

		if (*v == 'T') {
			time = true;
			v++;
			continue;
		}
		if ((*v < '0' || *v > '9') && *v != '.')
			return -1;
		n = strtod(v, &end);
		switch (*end) {
		case 'Y':
			sum += n * 365 * 86400;
			break;
		case 'D':
			sum += n * 86400;
			break;
		case 'H':
			sum += n * 3600;
			break;
		case 'M':
			sum += time ? n * 60 : n * 30 * 86400;
			break;
		case 'S':
			sum += n;
			break;
		default:
			return -1;
		}
		v = end + 1;
	}
	return isfinite(sum) ? sum : -1;
}

/* --- URLs --- */

static bool has_scheme(const char *r)
{
	size_t n = strcspn(r, ":/?#");

	return n > 0 && r[n] == ':';
}

/* RFC 3986 5.2.4, in place, of the path alone. false: it climbs above the root. */
static bool remove_dots(char *path)
{
	char *in = path, *out = path;

	while (*in != '\0') { /* at a slash */
		size_t n = 1 + strcspn(in + 1, "/");
		bool last = in[n] == '\0';

		if (n == 2 && in[1] == '.') {
			if (last)
				*out++ = '/';
		} else if (n == 3 && in[1] == '.' && in[2] == '.') {
			if (out == path)
				return false;
			while (*--out != '/')
				;
			if (last)
				*out++ = '/';
		} else {
			memmove(out, in, n);
			out += n;
		}
		in += n;
	}
	*out = '\0';
	return true;
}

char *spate_mpd_resolve(const char *base, const char *reference, bool *elsewhere)
{
	size_t len = strcspn(reference, "#"), path = strcspn(base, "?#"), keep;
	char *out, *query;

	*elsewhere = has_scheme(reference) || (reference[0] == '/' && reference[1] == '/');
	if (*elsewhere || len > URL_MAX || path > URL_MAX)
		return NULL;
	if (reference[0] == '/')
		keep = 0;
	else if (len == 0 || reference[0] == '?')
		keep = len == 0 ? strcspn(base, "#") : path;
	else
		for (keep = path; keep > 0 && base[keep - 1] != '/';)
			keep--;
	out = malloc(keep + len + 2);
	if (out == NULL)
		return NULL;
	memcpy(out, base, keep);
	memcpy(out + keep, reference, len);
	out[keep + len] = '\0';
	if (out[0] != '/') {
		free(out);
		return NULL;
	}
	/* Dots in a query mean nothing: look at the path only, then put the query behind it. */
	query = strchr(out, '?');
	if (query != NULL) {
		char *copy = strdup(query);

		*query = '\0';
		if (copy == NULL || !remove_dots(out)) {
			free(copy);
			free(out);
			return NULL;
		}
		strcat(out, copy);
		free(copy);
	} else if (!remove_dots(out)) {
		free(out);
		return NULL;
	}
	return out;
}

/* --- the walk --- */

static bool is(const char *name, const char *what)
{
	return strcmp(name, what) == 0;
}

static int level_of(const char *name)
{
	return is(name, "MPD")              ? MPD
	       : is(name, "Period")         ? PERIOD
	       : is(name, "AdaptationSet")  ? SET
	       : is(name, "Representation") ? REP
					    : -1;
}

static int open_period(struct parse *p)
{
	struct period *more;
	struct period now = {duration(p, "start"), duration(p, "duration")};

	if (p->nperiods >= 10000)
		return -E2BIG;
	if (p->nperiods % 16 == 0) {
		more = realloc(p->periods, (p->nperiods + 16) * sizeof(*more));
		if (more == NULL)
			return -ENOMEM;
		p->periods = more;
	}
	p->periods[p->nperiods++] = now;
	return 0;
}

static int open_level(struct parse *p, int level)
{
	struct scope *s = &p->at[level];
	const char *v;

	if (level != p->level + 1)
		return -EINVAL;
	if (level > MPD) {
		*s = p->at[level - 1];
		s->has_base = false;
	}
	p->level = level;
	v = attribute(p, "mimeType");
	if (v != NULL)
		s->mime = v;
	switch (level) {
	case MPD:
		v = attribute(p, "type");
		p->dynamic = v != NULL && is(v, "dynamic");
		p->total = duration(p, "mediaPresentationDuration");
		break;
	case PERIOD:
		return open_period(p);
	case REP:
		p->id = attribute(p, "id");
		p->bandwidth = 0;
		number(p, "bandwidth", &p->bandwidth);
		break;
	default:
		break;
	}
	return 0;
}

static int close_level(struct parse *p)
{
	struct rep *r;

	if (p->level-- != REP)
		return 0;
	if (p->id == NULL || *p->id == '\0')
		return 0; /* an id is required; without one there is no name to publish it by */
	if (p->nreps++ >= p->limits.reps)
		return -E2BIG;
	r = spate_mem_take(&p->mem, sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	*r = (struct rep){.id = p->id,
			  .bandwidth = p->bandwidth,
			  .period = p->nperiods - 1,
			  .scope = p->at[REP]};
	*p->reps_end = r;
	p->reps_end = &r->next;
	return 0;
}

static void base_url(struct parse *p)
{
	xmlChar *text = xmlTextReaderReadString(p->x);
	struct scope *s = &p->at[p->level];
	char *t = (char *)text, *url;
	bool elsewhere;

	if (text == NULL || s->has_base)
		goto done;
	s->has_base = true;
	t += strspn(t, " \t\r\n");
	for (size_t n = strlen(t); n > 0 && strchr(" \t\r\n", t[n - 1]) != NULL;)
		t[--n] = '\0';
	url = s->elsewhere ? NULL : spate_mpd_resolve(s->base, t, &elsewhere);
	if (url == NULL)
		s->elsewhere = true;
	else
		s->base = spate_mem_copy(&p->mem, url, strlen(url));
	free(url);
done:
	xmlFree(text);
}

/* What SegmentBase, SegmentList and SegmentTemplate have in common. */
static void segment_info(struct parse *p, enum kind kind)
{
	struct segments *s = &p->at[p->level].s;
	const char *v;

	if (s->kind != kind) /* another sort inherits nothing from this one */
		*s = (struct segments){.kind = kind, .start_number = 1, .timescale = 1};
	if (number(p, "timescale", &s->timescale) && s->timescale == 0)
		s->timescale = 1;
	number(p, "duration", &s->duration);
	number(p, "startNumber", &s->start_number);
	number(p, "presentationTimeOffset", &s->offset);
	s->has_end |= number(p, "endNumber", &s->end_number);
	if (kind != TEMPLATE)
		return;
	v = attribute(p, "media");
	if (v != NULL)
		s->media = v;
	v = attribute(p, "initialization");
	if (v != NULL)
		s->init = v;
}

static int timeline_run(struct parse *p)
{
	struct segments *s = &p->at[p->level].s;
	struct run *r = spate_mem_take(&p->mem, sizeof(*r));
	const char *v = attribute(p, "r");

	if (r == NULL)
		return -ENOMEM;
	memset(r, 0, sizeof(*r));
	r->has_t = number(p, "t", &r->t);
	if (!number(p, "d", &r->d) || r->d == 0)
		return -EINVAL;
	r->r = v != NULL ? strtoll(v, NULL, 10) : 0;
	if (s->runs_end == NULL)
		return 0; /* outside of a timeline */
	*s->runs_end = r;
	s->runs_end = &r->next;
	return 0;
}

static int list_item(struct parse *p)
{
	struct segments *s = &p->at[p->level].s;
	struct item *i = spate_mem_take(&p->mem, sizeof(*i));

	if (i == NULL)
		return -ENOMEM;
	i->media = attribute(p, "media");
	i->next = NULL;
	if (s->items_end == NULL)
		return 0;
	*s->items_end = i;
	s->items_end = &i->next;
	return 0;
}

static int element(struct parse *p, const char *name)
{
	struct segments *s = p->level >= 0 ? &p->at[p->level].s : NULL;
	int level = level_of(name), rc;

	if (level >= 0) {
		rc = open_level(p, level);
		if (rc == 0) {
			p->depth[level] = xmlTextReaderDepth(p->x);
			if (xmlTextReaderIsEmptyElement(p->x))
				rc = close_level(p);
		}
		return rc;
	}
	if (s == NULL)
		return -EINVAL; /* the root is no MPD */
	if (is(name, "BaseURL"))
		base_url(p);
	else if (is(name, "SegmentTemplate"))
		segment_info(p, TEMPLATE);
	else if (is(name, "SegmentBase"))
		segment_info(p, BASE);
	else if (is(name, "SegmentList")) {
		segment_info(p, LIST);
		s->items = NULL;
		s->items_end = &s->items;
	} else if (is(name, "SegmentTimeline")) {
		s->runs = NULL;
		s->runs_end = &s->runs;
	} else if (is(name, "S"))
		return timeline_run(p);
	else if (is(name, "SegmentURL"))
		return list_item(p);
	else if (is(name, "Initialization")) {
		const char *v = attribute(p, "sourceURL");

		if (v != NULL)
			s->init = v;
	}
	return 0;
}

static int walk(struct parse *p)
{
	int more;

	while ((more = xmlTextReaderRead(p->x)) == 1) {
		int depth = xmlTextReaderDepth(p->x), rc = 0;
		const char *name = (const char *)xmlTextReaderConstLocalName(p->x);

		if (depth > DEPTH_MAX)
			return -E2BIG;
		switch (xmlTextReaderNodeType(p->x)) {
		case XML_READER_TYPE_DOCUMENT_TYPE:
		case XML_READER_TYPE_ENTITY_REFERENCE:
			return -EINVAL; /* no manifest needs them, and each is a way to grow */
		case XML_READER_TYPE_ELEMENT:
			rc = element(p, name);
			break;
		case XML_READER_TYPE_END_ELEMENT:
			if (p->level >= 0 && depth == p->depth[p->level])
				rc = close_level(p);
			break;
		default:
			break;
		}
		if (rc == 0 && p->mem.failed)
			rc = -ENOMEM;
		if (rc < 0)
			return rc;
	}
	return more < 0 || p->nperiods == 0 ? -EINVAL : 0;
}

/* --- URLs of a representation --- */

struct out {
	struct parse *p;
	struct spate_mpd_rep *to;
	uint32_t cap;
};

/* url: malloc'd, taken over. One that repeats the one before is the same file. */
static int add_url(struct out *o, char *url)
{
	struct spate_mpd_rep *r = o->to;

	if (r->n > 0 && strcmp(r->urls[r->n - 1], url) == 0) {
		free(url);
		return 0;
	}
	if (r->n == o->cap) {
		uint32_t cap = o->cap == 0 ? 16 : o->cap * 2;
		char **more = realloc(r->urls, cap * sizeof(*more));

		if (more == NULL) {
			free(url);
			return -ENOMEM;
		}
		r->urls = more;
		o->cap = cap;
	}
	if (o->p->segments++ >= o->p->limits.segments) {
		free(url);
		return -E2BIG;
	}
	r->urls[r->n++] = url;
	return 0;
}

static int add_reference(struct out *o, const struct rep *r, const char *reference)
{
	bool elsewhere;
	char *url = spate_mpd_resolve(r->scope.base, reference, &elsewhere);

	if (url != NULL)
		return add_url(o, url);
	if (!elsewhere)
		return -EINVAL;
	o->to->elsewhere = true;
	return 0;
}

/* "$Number%05d$": 5; 0 without one. end: the closing dollar. */
static int width_of(const char *p, const char *end)
{
	int n = 0;

	if (p == end)
		return 0;
	if (end - p < 4 || p[0] != '%' || p[1] != '0' || (end[-1] != 'd' && end[-1] != 'u'))
		return -1;
	for (p += 2; p < end - 1; p++) {
		if (*p < '0' || *p > '9')
			return -1;
		n = n * 10 + *p - '0';
		if (n > WIDTH_MAX)
			return -1;
	}
	return n;
}

/* 23009-1 5.3.9.4.4. 0, -EINVAL, or -E2BIG. */
static int expand(const char *t, const struct rep *r, uint64_t num, uint64_t time, char *out,
		  size_t cap)
{
	size_t n = 0;

	while (*t != '\0') {
		const char *end;
		size_t name;
		int width, k;

		if (*t != '$') {
			if (n + 1 >= cap)
				return -E2BIG;
			out[n++] = *t++;
			continue;
		}
		end = strchr(++t, '$');
		if (end == NULL)
			return -EINVAL;
		name = strcspn(t, "%$");
		width = width_of(t + name, end);
		if (width < 0)
			return -EINVAL;
		if (end == t)
			k = snprintf(out + n, cap - n, "$");
		else if (name == 16 && memcmp(t, "RepresentationID", 16) == 0)
			k = snprintf(out + n, cap - n, "%s", r->id);
		else if (name == 6 && memcmp(t, "Number", 6) == 0)
			k = snprintf(out + n, cap - n, "%0*llu", width, (unsigned long long)num);
		else if (name == 4 && memcmp(t, "Time", 4) == 0)
			k = snprintf(out + n, cap - n, "%0*llu", width, (unsigned long long)time);
		else if (name == 9 && memcmp(t, "Bandwidth", 9) == 0)
			k = snprintf(out + n, cap - n, "%0*llu", width,
				     (unsigned long long)r->bandwidth);
		else
			return -EINVAL;
		if (k < 0 || (size_t)k >= cap - n)
			return -E2BIG;
		n += (size_t)k;
		t = end + 1;
	}
	out[n] = '\0';
	return 0;
}

static int add_media(struct out *o, const struct rep *r, uint64_t num, uint64_t time)
{
	char url[URL_MAX];
	int rc = expand(r->scope.s.media, r, num, time, url, sizeof(url));

	return rc < 0 ? rc : add_reference(o, r, url);
}

/* How long the representation's period is, in its timescale; 0: nothing says. */
static uint64_t period_ticks(const struct parse *p, const struct rep *r)
{
	const struct period *now = &p->periods[r->period];
	double start = now->start >= 0 ? now->start : 0, s = now->duration;
	double ticks;

	if (s < 0 && r->period + 1 < p->nperiods && p->periods[r->period + 1].start >= 0)
		s = p->periods[r->period + 1].start - start;
	else if (s < 0 && p->total >= 0)
		s = p->total - start;
	ticks = s * (double)r->scope.s.timescale;
	return ticks > 0 && ticks < 1e18 ? (uint64_t)(ticks + 0.5) : 0;
}

static int add_timeline(struct out *o, const struct rep *r)
{
	const struct segments *s = &r->scope.s;
	uint64_t num = s->start_number, time = 0, end = period_ticks(o->p, r) + s->offset;

	for (const struct run *x = s->runs; x != NULL; x = x->next) {
		uint64_t times = x->r >= 0 ? (uint64_t)x->r + 1 : 0;

		if (x->has_t)
			time = x->t;
		if (x->r < 0) { /* until the next one, or the period's end */
			uint64_t until = x->next != NULL && x->next->has_t ? x->next->t : end;

			times = until > time ? (until - time + x->d - 1) / x->d : 0;
		}
		for (; times > 0; times--, num++, time += x->d) {
			int rc = s->has_end && num > s->end_number ? 0 : add_media(o, r, num, time);

			if (rc < 0)
				return rc;
			if (o->to->elsewhere)
				return 0;
		}
	}
	return 0;
}

static int add_numbered(struct out *o, const struct rep *r)
{
	const struct segments *s = &r->scope.s;
	uint64_t ticks = period_ticks(o->p, r), count;

	if (s->duration == 0 || (ticks == 0 && !s->has_end))
		return -EINVAL;
	count = s->has_end ? s->end_number - s->start_number + 1
			   : (ticks + s->duration - 1) / s->duration;
	for (uint64_t i = 0; i < count; i++) {
		int rc = add_media(o, r, s->start_number + i, s->offset + i * s->duration);

		if (rc < 0)
			return rc;
		if (o->to->elsewhere)
			return 0;
	}
	return 0;
}

static int add_init(struct out *o, const struct rep *r)
{
	char url[URL_MAX];
	int rc;

	if (r->scope.s.init == NULL)
		return 0;
	rc = expand(r->scope.s.init, r, 0, 0, url, sizeof(url));
	return rc < 0 ? rc : add_reference(o, r, url);
}

static int add_urls(struct out *o, const struct rep *r)
{
	const struct segments *s = &r->scope.s;
	int rc;

	if (r->scope.elsewhere) {
		o->to->elsewhere = true;
		return 0;
	}
	if (s->kind < LIST && r->scope.base == o->p->at[MPD].base && !o->p->at[MPD].has_base)
		return -EINVAL; /* one file, and nothing says which */
	switch (s->kind) {
	case TEMPLATE:
		rc = add_init(o, r);
		if (rc < 0)
			return rc;
		if (s->media == NULL)
			return -EINVAL;
		/* Without a number in it it is one file. */
		if (strstr(s->media, "$Number") == NULL && strstr(s->media, "$Time") == NULL)
			return add_media(o, r, 0, 0);
		return s->runs != NULL ? add_timeline(o, r) : add_numbered(o, r);
	case LIST:
		rc = s->init != NULL ? add_reference(o, r, s->init) : 0;
		for (const struct item *i = s->items; rc == 0 && i != NULL; i = i->next)
			rc = add_reference(o, r, i->media != NULL ? i->media : "");
		return rc;
	case BASE:
	case BARE:
		rc = s->init != NULL ? add_reference(o, r, s->init) : 0;
		return rc < 0 ? rc : add_reference(o, r, "");
	}
	return 0;
}

/* --- the result --- */

static char *unique_id(const struct spate_mpd *mpd, const char *id)
{
	char *name = NULL;

	for (unsigned k = 1; k < 10000; k++) {
		bool taken = false;

		free(name);
		if (k == 1)
			name = strdup(id);
		else if (asprintf(&name, "%s~%u", id, k) < 0)
			name = NULL;
		if (name == NULL)
			return NULL;
		for (uint32_t i = 0; i < mpd->n && !taken; i++)
			taken = strcmp(mpd->reps[i].id, name) == 0;
		if (!taken)
			return name;
	}
	free(name);
	return NULL;
}

static int finish(struct parse *p, struct spate_mpd **out)
{
	struct spate_mpd *mpd = calloc(1, sizeof(*mpd));
	int rc = 0;

	if (mpd != NULL)
		mpd->reps = calloc(p->nreps + 1, sizeof(*mpd->reps));
	if (mpd == NULL || mpd->reps == NULL) {
		free(mpd);
		return -ENOMEM;
	}
	mpd->dynamic = p->dynamic;
	for (const struct rep *r = p->reps; rc == 0 && r != NULL; r = r->next) {
		struct spate_mpd_rep *to = &mpd->reps[mpd->n];
		struct out o = {.p = p, .to = to};
		bool drop = false;

		to->id = unique_id(mpd, r->id);
		to->mime = strdup(r->scope.mime != NULL ? r->scope.mime : "");
		to->bandwidth = r->bandwidth;
		mpd->n++;
		rc = to->id == NULL || to->mime == NULL ? -ENOMEM
		     : p->dynamic                       ? 0
							: add_urls(&o, r);
		if (rc == -EINVAL) { /* this one is nonsense; the others need not be */
			rc = 0;
			drop = true;
		}
		if (to->elsewhere || drop) {
			for (uint32_t i = 0; i < to->n; i++)
				free(to->urls[i]);
			to->n = 0;
		}
	}
	if (rc < 0)
		spate_mpd_free(mpd);
	else
		*out = mpd;
	return rc;
}

int spate_mpd_parse(const char *text, size_t len, const char *url,
		    const struct spate_mpd_limits *limits, struct spate_mpd **out)
{
	struct parse p = {.level = -1, .total = -1};
	int rc;

	if (limits != NULL)
		p.limits = *limits;
	if (p.limits.bytes == 0)
		p.limits.bytes = BYTES_MAX;
	if (p.limits.segments == 0)
		p.limits.segments = SEGMENT_MAX;
	if (p.limits.reps == 0)
		p.limits.reps = REPS_MAX;
	if (len == 0)
		return -EINVAL;
	if (len > p.limits.bytes || len > INT32_MAX)
		return -E2BIG;
	if (url[0] != '/' || strlen(url) > URL_MAX)
		return -EINVAL;
	p.reps_end = &p.reps;
	p.at[MPD].base = url;
	p.x = xmlReaderForMemory(text, (int)len, NULL, NULL,
				 XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	if (p.x == NULL)
		return -ENOMEM;
	rc = walk(&p);
	if (rc == 0)
		rc = finish(&p, out);
	xmlFreeTextReader(p.x);
	free(p.periods);
	spate_mem_free(&p.mem);
	return rc;
}

void spate_mpd_free(struct spate_mpd *mpd)
{
	if (mpd == NULL)
		return;
	for (uint32_t i = 0; i < mpd->n; i++) {
		struct spate_mpd_rep *r = &mpd->reps[i];

		for (uint32_t k = 0; k < r->n; k++)
			free(r->urls[k]);
		free(r->urls);
		free(r->id);
		free(r->mime);
	}
	free(mpd->reps);
	free(mpd);
}

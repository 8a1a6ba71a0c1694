/*
 * mpd.c: one pass of libxml2's reader. What an element inherits (SegmentTemplate, BaseURL) is kept
 * in a small stack: MPD, Period, AdaptationSet, Representation.
 */
#include "bench/load/mpd.h"

#include <ctype.h>
#include <errno.h>
#include <libxml/xmlreader.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEVELS 4 /* MPD, Period, AdaptationSet, Representation */

struct template
{
	char *init, *media;
	uint64_t timescale, duration, start_number;
	struct load_mpd_run *run;
	unsigned nruns;
	bool set;
};

struct parse {
	xmlTextReaderPtr x;
	struct load_mpd *m;
	int level; /* of LEVELS, or -1 */
	char *base[LEVELS];
	struct template t[LEVELS];
	unsigned periods;
	struct load_mpd_set *as;
	struct load_mpd_rep rep; /* being read */
	char *why;
	size_t why_len;
	int err;
};

static void complain(struct parse *p, const char *what)
{
	if (p->err == 0)
		snprintf(p->why, p->why_len, "manifest: %s", what);
	p->err = -EINVAL;
}

static char *text_attr(struct parse *p, const char *name)
{
	xmlChar *v = xmlTextReaderGetAttribute(p->x, (const xmlChar *)name);
	char *copy = v != NULL ? strdup((const char *)v) : NULL;

	xmlFree(v);
	return copy;
}

static uint64_t number_attr(struct parse *p, const char *name, uint64_t otherwise)
{
	char *v = text_attr(p, name), *end;
	uint64_t n = otherwise;

	if (v != NULL) {
		n = strtoull(v, &end, 10);
		if (end == v || *end != '\0')
			complain(p, name);
	}
	free(v);
	return n;
}

double load_mpd_duration(const char *text)
{
	double s = 0;
	bool time = false;

	if (*text++ != 'P')
		return -1;
	for (char *end; *text != '\0'; text = end + 1) {
		double v;

		if (*text == 'T') {
			time = true;
			end = (char *)(uintptr_t)text;
			continue;
		}
		if (!isdigit((unsigned char)*text))
			return -1;
		v = strtod(text, &end);
		if (*end == 'D' && !time)
			s += v * 86400;
		else if (*end == 'H' && time)
			s += v * 3600;
		else if (*end == 'M' && time)
			s += v * 60;
		else if (*end == 'S' && time)
			s += v;
		else
			return -1; /* years and months have no length */
	}
	return s;
}

/* A reference against a folder ("/a/b/"): the part of RFC 3986, 5.2 that stays on one server. */
static char *resolve(const char *folder, const char *ref)
{
	char *out;
	const char *slash;

	if (strncmp(ref, "http://", 7) == 0 || strncmp(ref, "https://", 8) == 0) {
		slash = strchr(strstr(ref, "//") + 2, '/');
		return strdup(slash != NULL ? slash : "/");
	}
	if (ref[0] == '/')
		return strdup(ref);
	while (strncmp(ref, "./", 2) == 0)
		ref += 2;
	return asprintf(&out, "%s%s", folder, ref) < 0 ? NULL : out;
}

/* The folder in effect: the innermost BaseURL's. */
static const char *folder(const struct parse *p)
{
	for (int i = p->level; i >= 0; i--)
		if (p->base[i] != NULL)
			return p->base[i];
	return "/";
}

static const struct template *template_of(const struct parse *p)
{
	for (int i = p->level; i >= 0; i--)
		if (p->t[i].set)
			return &p->t[i];
	return NULL;
}

static void free_template(struct template *t)
{
	free(t->init);
	free(t->media);
	free(t->run);
	*t = (struct template){0};
}

static void leave_level(struct parse *p)
{
	free(p->base[p->level]);
	p->base[p->level] = NULL;
	free_template(&p->t[p->level]);
	p->level--;
}

/* --- elements --- */

static void begin_mpd(struct parse *p)
{
	char *type = text_attr(p, "type"), *d = text_attr(p, "mediaPresentationDuration");
	char *b = text_attr(p, "minBufferTime");

	if (type != NULL && strcmp(type, "static") != 0)
		complain(p, "type=\"dynamic\": only static presentations are played");
	p->m->duration_s = d != NULL ? load_mpd_duration(d) : -1;
	p->m->min_buffer_s = b != NULL ? load_mpd_duration(b) : 0;
	if (p->m->duration_s <= 0)
		complain(p, "no mediaPresentationDuration");
	free(type);
	free(d);
	free(b);
}

static void begin_set(struct parse *p)
{
	char *kind = text_attr(p, "contentType"), *mime = text_attr(p, "mimeType");
	const char *say = kind != NULL ? kind : mime != NULL ? mime : "";

	p->as = NULL;
	if (p->m->nsets == LOAD_MPD_SETS)
		complain(p, "too many adaptation sets");
	else
		p->as = &p->m->set[p->m->nsets++];
	if (p->as != NULL && (say[0] == 'v' || say[0] == 'a'))
		p->as->kind = say[0];
	free(kind);
	free(mime);
}

static void begin_rep(struct parse *p)
{
	char *mime = text_attr(p, "mimeType");

	p->rep = (struct load_mpd_rep){.id = text_attr(p, "id")};
	p->rep.bandwidth = number_attr(p, "bandwidth", 0);
	if (p->as != NULL && p->as->kind == 0 && mime != NULL && (mime[0] == 'v' || mime[0] == 'a'))
		p->as->kind = mime[0];
	free(mime);
}

static void read_template(struct parse *p)
{
	struct template *t = &p->t[p->level];
	const struct template *from = template_of(p);
	struct template up =
		from != NULL ? *from : (struct template){.timescale = 1, .start_number = 1};
	char *init = text_attr(p, "initialization"), *media = text_attr(p, "media");

	if (t->set) {
		complain(p, "two SegmentTemplates in one element");
		free(init);
		free(media);
		return;
	}
	*t = (struct template){
		.set = true,
		.init = init != NULL      ? init
			: up.init != NULL ? strdup(up.init)
					  : NULL,
		.media = media != NULL      ? media
			 : up.media != NULL ? strdup(up.media)
					    : NULL,
		.timescale = number_attr(p, "timescale", up.timescale),
		.duration = number_attr(p, "duration", up.duration),
		.start_number = number_attr(p, "startNumber", up.start_number),
	};
	if (t->timescale == 0)
		complain(p, "timescale is 0");
}

/* S of the timeline; r = -1 means until the end of the presentation (5.3.9.6). */
static void read_s(struct parse *p)
{
	struct template *t = p->level >= 0 ? &p->t[p->level] : NULL;
	struct load_mpd_run *run, *last;
	char *r = text_attr(p, "r");
	long repeat = r != NULL ? strtol(r, NULL, 10) : 0;
	uint64_t at = 0, d = number_attr(p, "d", 0);

	free(r);
	if (t == NULL || !t->set || d == 0 || t->nruns == LOAD_MPD_RUNS) {
		complain(p, "a timeline that makes no sense");
		return;
	}
	run = realloc(t->run, (t->nruns + 1) * sizeof(*run));
	if (run == NULL) {
		complain(p, "out of memory");
		return;
	}
	t->run = run;
	last = t->nruns > 0 ? &run[t->nruns - 1] : NULL;
	if (last != NULL)
		at = last->t + last->d * last->count;
	at = number_attr(p, "t", at);
	if (repeat < 0) {
		double rest = p->m->duration_s * (double)t->timescale - (double)at;

		repeat = rest > 0 ? (long)((rest + (double)d - 1) / (double)d) - 1 : 0;
	}
	run[t->nruns++] = (struct load_mpd_run){at, d, (uint64_t)repeat + 1};
}

static void free_rep(struct load_mpd_rep *r)
{
	free(r->id);
	free(r->base);
	free(r->init);
	free(r->media);
	free(r->run);
}

static void end_rep(struct parse *p)
{
	const struct template *t = template_of(p);
	struct load_mpd_rep *r = &p->rep;
	unsigned i;

	if (t == NULL || t->media == NULL || (t->nruns == 0 && t->duration == 0)) {
		complain(
			p,
			"a representation without SegmentTemplate (SegmentBase and SegmentList are "
			"not played)");
	} else if (p->as == NULL || p->as->nreps == LOAD_MPD_REPS) {
		complain(p, "too many representations");
	} else if (r->id == NULL || r->bandwidth == 0) {
		complain(p, "a representation without id or bandwidth");
	} else {
		r->base = strdup(folder(p));
		r->init = t->init != NULL ? strdup(t->init) : NULL;
		r->media = strdup(t->media);
		r->timescale = t->timescale;
		r->duration = t->duration;
		r->start_number = t->start_number;
		r->nruns = t->nruns;
		r->run = t->nruns != 0 ? malloc(t->nruns * sizeof(*r->run)) : NULL;
		if (r->base == NULL || r->media == NULL || (r->nruns != 0 && r->run == NULL)) {
			complain(p, "out of memory");
			free_rep(r);
			return;
		}
		if (r->nruns != 0)
			memcpy(r->run, t->run, t->nruns * sizeof(*r->run));
		for (i = p->as->nreps++; i > 0 && p->as->rep[i - 1].bandwidth > r->bandwidth; i--)
			p->as->rep[i] = p->as->rep[i - 1];
		p->as->rep[i] = *r;
		return;
	}
	free_rep(r);
}

static void begin(struct parse *p, const char *name)
{
	static const char *const levels[] = {"MPD", "Period", "AdaptationSet", "Representation"};

	if (p->level + 1 < LEVELS && strcmp(name, levels[p->level + 1]) == 0) {
		p->level++;
		if (p->level == 0)
			begin_mpd(p);
		else if (p->level == 1 && p->periods++ != 0)
			complain(p, "more than one Period");
		else if (p->level == 2)
			begin_set(p);
		else if (p->level == 3)
			begin_rep(p);
	} else if (p->level < 0) {
		complain(p, "the root is no MPD");
	} else if (strcmp(name, "SegmentTemplate") == 0) {
		read_template(p);
	} else if (strcmp(name, "S") == 0) {
		read_s(p);
	} else if (strcmp(name, "BaseURL") == 0) {
		xmlChar *v = xmlTextReaderReadString(p->x);
		char *to = v != NULL ? resolve(folder(p), (const char *)v) : NULL;

		xmlFree(v);
		if (p->base[p->level] == NULL || p->level == 0) { /* others are alternatives */
			free(p->base[p->level]);
			p->base[p->level] = to;
		} else {
			free(to);
		}
	}
}

static void end(struct parse *p, const char *name)
{
	static const char *const levels[] = {"MPD", "Period", "AdaptationSet", "Representation"};

	if (p->level < 0 || strcmp(name, levels[p->level]) != 0)
		return;
	if (p->level == 3)
		end_rep(p);
	leave_level(p);
}

static void read_all(struct parse *p)
{
	int got = 0;

	while (p->err == 0 && (got = xmlTextReaderRead(p->x)) == 1) {
		const char *name = (const char *)xmlTextReaderConstLocalName(p->x);
		int type = xmlTextReaderNodeType(p->x);

		if (type == XML_READER_TYPE_DOCUMENT_TYPE)
			complain(p, "it has a DOCTYPE");
		else if (type == XML_READER_TYPE_ELEMENT) {
			bool empty = xmlTextReaderIsEmptyElement(p->x) == 1;

			begin(p, name);
			if (empty)
				end(p, name);
		} else if (type == XML_READER_TYPE_END_ELEMENT) {
			end(p, name);
		}
	}
	if (p->err == 0 && got < 0)
		complain(p, "it is no well-formed XML");
	if (p->err == 0 && (p->m->nsets == 0 || p->m->set[0].nreps == 0))
		complain(p, "nothing to play in it");
}

static void quiet(void *ctx, const char *fmt, ...)
{
	(void)ctx;
	(void)fmt;
}

int load_mpd_parse(struct load_mpd *m, const char *text, size_t len, const char *path, char *why,
		   size_t why_len)
{
	struct parse p = {.m = m, .level = -1, .why = why, .why_len = why_len};
	const char *slash = strrchr(path, '/');

	*m = (struct load_mpd){0};
	xmlSetGenericErrorFunc(NULL, quiet);
	p.x = len > INT32_MAX ? NULL
			      : xmlReaderForMemory(text, (int)len, NULL, NULL,
						   XML_PARSE_NONET | XML_PARSE_NOERROR |
							   XML_PARSE_NOWARNING);
	p.base[0] = slash != NULL ? strndup(path, (size_t)(slash - path + 1)) : strdup("/");
	if (p.x == NULL || p.base[0] == NULL) {
		snprintf(why, why_len, "manifest: out of memory");
		p.err = -ENOMEM;
	} else {
		read_all(&p);
	}
	if (p.level == 3)
		free_rep(&p.rep); /* it ended inside */
	for (p.level = LEVELS - 1; p.level >= 0;)
		leave_level(&p);
	xmlFreeTextReader(p.x);
	if (p.err != 0)
		load_mpd_finish(m);
	return p.err;
}

void load_mpd_finish(struct load_mpd *m)
{
	for (unsigned i = 0; i < m->nsets; i++)
		for (unsigned k = 0; k < m->set[i].nreps; k++)
			free_rep(&m->set[i].rep[k]);
	*m = (struct load_mpd){0};
}

/* --- segments --- */

uint64_t load_mpd_segments(const struct load_mpd *m, const struct load_mpd_rep *r)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < r->nruns; i++)
		n += r->run[i].count;
	if (r->nruns == 0) {
		double each = (double)r->duration / (double)r->timescale;

		n = (uint64_t)((m->duration_s + each - 1e-6) / each);
	}
	return n;
}

/* Fills in $...$ (5.3.9.4.4), with a width as in $Number%05d$. */
static bool expand(const struct load_mpd_rep *r, const char *t, uint64_t number, uint64_t time,
		   char *out, size_t cap)
{
	size_t n = (size_t)snprintf(out, cap, "%s", t[0] == '/' ? "" : r->base);

	while (*t != '\0' && n + 1 < cap) {
		const char *stop = *t == '$' ? strchr(t + 1, '$') : NULL, *width;
		size_t len = stop != NULL ? (size_t)(stop - t - 1) : 0;
		int digits = 1;
		uint64_t value;

		if (stop == NULL || len == 0) {
			out[n++] = *t;
			t = stop != NULL ? stop + 1 : t + 1;
			continue;
		}
		width = memchr(t + 1, '%', len);
		if (width != NULL) {
			len = (size_t)(width - t - 1);
			digits = atoi(width + 1);
		}
		if (digits < 0 || digits > 40)
			return false;
		if (len == 16 && memcmp(t + 1, "RepresentationID", 16) == 0) {
			n += (size_t)snprintf(out + n, cap - n, "%s", r->id);
		} else {
			if (len == 6 && memcmp(t + 1, "Number", 6) == 0)
				value = number;
			else if (len == 4 && memcmp(t + 1, "Time", 4) == 0)
				value = time;
			else if (len == 9 && memcmp(t + 1, "Bandwidth", 9) == 0)
				value = r->bandwidth;
			else
				return false;
			n += (size_t)snprintf(out + n, cap - n, "%0*llu", digits,
					      (unsigned long long)value);
		}
		t = stop + 1;
	}
	if (n >= cap)
		return false;
	out[n] = '\0';
	return true;
}

bool load_mpd_segment(const struct load_mpd *m, const struct load_mpd_rep *r, uint64_t n,
		      char *path, size_t cap, double *end_s)
{
	uint64_t left = n, time = n * r->duration, end = time + r->duration;
	bool found = r->nruns == 0 && n < load_mpd_segments(m, r);
	double first = r->nruns != 0 ? (double)r->run[0].t : 0;

	for (unsigned i = 0; i < r->nruns && !found; i++) {
		if (left < r->run[i].count) {
			time = r->run[i].t + left * r->run[i].d;
			end = time + r->run[i].d;
			found = true;
		}
		left -= found ? 0 : r->run[i].count;
	}
	if (!found)
		return false;
	*end_s = ((double)end - first) / (double)r->timescale;
	if (*end_s > m->duration_s)
		*end_s = m->duration_s;
	return expand(r, r->media, r->start_number + n, time, path, cap);
}

bool load_mpd_init(const struct load_mpd_rep *r, char *path, size_t cap)
{
	return r->init != NULL && expand(r, r->init, 0, 0, path, cap);
}

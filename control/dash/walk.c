/*
 * walk.c: one walk over the document, which notes what each representation inherited.
 *
 *     MPD ─ Period ─ AdaptationSet ─ Representation      levels: each begins as a copy of the one
 *      └ BaseURL  └ SegmentTemplate ...                  above and is changed by its children
 *
 * Nothing is made of it here, for how long a period lasts may stand in the next one.
 */
#include <errno.h>
#include <libxml/xmlreader.h>
#include <stdlib.h>
#include <string.h>

#include "control/dash/tree.h"
#include "control/dash/value.h"

#define DEPTH_MAX   32
#define PERIODS_MAX 10000

enum level { MPD, PERIOD, SET, REP, LEVELS };

struct walk {
	struct spate_mpd_tree *t;
	const struct spate_mpd_options *limits;
	xmlTextReader *x;
	int level;         /* enum level; -1: outside of all */
	int depth[LEVELS]; /* of the element that opened each */
	struct spate_mpd_scope at[LEVELS];
	bool has_base[LEVELS]; /* of several, which are alternatives, the first counts */
	size_t text;           /* bytes of base URLs so far */
	/* Where the next one goes; NULL: nothing is open that could hold it. */
	struct spate_mpd_run **runs_end;
	struct spate_mpd_item **items_end;
	struct spate_mpd_node **reps_end;
	const char *id; /* of the representation that is open */
	uint64_t bandwidth;
	const char *why;
};

static int nonsense(struct walk *w, const char *why)
{
	w->why = why;
	return -EINVAL;
}

/* --- attributes --- */

static char *attribute(const struct walk *w, const char *name) /* for xmlFree; NULL: absent */
{
	return (char *)xmlTextReaderGetAttribute(w->x, (const xmlChar *)name);
}

static bool text(struct walk *w, const char *name, const char **out)
{
	char *v = attribute(w, name);

	if (v == NULL)
		return false;
	*out = spate_mem_copy(&w->t->mem, v, strlen(v));
	xmlFree(v);
	return true;
}

static bool number(const struct walk *w, const char *name, uint64_t *out)
{
	char *v = attribute(w, name);
	bool ok = spate_mpd_number(v, out);

	xmlFree(v);
	return ok;
}

static double duration(const struct walk *w, const char *name)
{
	char *v = attribute(w, name);
	double s = spate_mpd_duration(v);

	xmlFree(v);
	return s;
}

static bool byte_range(const struct walk *w, const char *name, struct spate_mpd_range *out)
{
	char *v = attribute(w, name);
	bool ok = spate_mpd_byte_range(v, out);

	xmlFree(v);
	return ok;
}

static bool is(const char *name, const char *what)
{
	return strcmp(name, what) == 0;
}

/* "video" and "video/mp4". */
static char kind_of(const char *content)
{
	return strncmp(content, "video", 5) == 0   ? 'v'
	       : strncmp(content, "audio", 5) == 0 ? 'a'
						   : 'o';
}

/* --- levels --- */

static int level_of(const char *name)
{
	return is(name, "MPD")              ? MPD
	       : is(name, "Period")         ? PERIOD
	       : is(name, "AdaptationSet")  ? SET
	       : is(name, "Representation") ? REP
					    : -1;
}

static void open_mpd(struct walk *w)
{
	char *type = attribute(w, "type");

	w->t->dynamic = type != NULL && is(type, "dynamic");
	w->t->total = duration(w, "mediaPresentationDuration");
	xmlFree(type);
}

static int open_period(struct walk *w)
{
	struct spate_mpd_tree *t = w->t;
	struct spate_mpd_period *more;

	if (t->nperiods >= PERIODS_MAX)
		return -E2BIG;
	if (t->nperiods % 16 == 0) {
		more = realloc(t->periods, (t->nperiods + 16) * sizeof(*more));
		if (more == NULL)
			return -ENOMEM;
		t->periods = more;
	}
	t->periods[t->nperiods++] =
		(struct spate_mpd_period){duration(w, "start"), duration(w, "duration")};
	return 0;
}

static void open_set(struct walk *w)
{
	char *content = attribute(w, "contentType");

	w->t->nsets++;
	if (content != NULL)
		w->at[SET].kind = kind_of(content);
	xmlFree(content);
}

static void open_rep(struct walk *w)
{
	w->id = NULL;
	text(w, "id", &w->id);
	w->bandwidth = 0;
	number(w, "bandwidth", &w->bandwidth);
}

static int open_level(struct walk *w, int level)
{
	struct spate_mpd_scope *s = &w->at[level];
	int rc = 0;

	if (level != w->level + 1)
		return nonsense(w, "elements that do not belong inside each other");
	if (level > MPD)
		*s = w->at[level - 1];
	w->level = level;
	w->has_base[level] = false;
	w->runs_end = NULL;
	w->items_end = NULL;
	if (level == MPD)
		open_mpd(w);
	else if (level == PERIOD)
		rc = open_period(w);
	else if (level == SET)
		open_set(w);
	else
		open_rep(w);
	if (text(w, "mimeType", &s->mime) && s->mime != NULL && s->kind == 0)
		s->kind = kind_of(s->mime);
	return rc;
}

static int close_level(struct walk *w)
{
	struct spate_mpd_tree *t = w->t;
	struct spate_mpd_node *r;

	w->runs_end = NULL;
	w->items_end = NULL;
	if (w->level-- != REP)
		return 0;
	if (w->id == NULL || *w->id == '\0')
		return 0; /* an id is required; without one there is no name to publish it by */
	if (t->nreps >= w->limits->reps)
		return -E2BIG;
	r = spate_mem_take(&t->mem, sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	*r = (struct spate_mpd_node){.id = w->id,
				     .bandwidth = w->bandwidth,
				     .period = t->nperiods - 1,
				     .set = t->nsets - 1,
				     .scope = w->at[REP]};
	t->nreps++;
	*w->reps_end = r;
	w->reps_end = &r->next;
	return 0;
}

/* --- what stands in them --- */

static int base_url(struct walk *w)
{
	struct spate_mpd_scope *s = &w->at[w->level];
	char *whole, *t, *url;
	bool elsewhere;
	int rc = 0;

	if (w->has_base[w->level])
		return 0;
	whole = (char *)xmlTextReaderReadString(w->x);
	if (whole == NULL)
		return 0;
	w->has_base[w->level] = true;
	t = whole + strspn(whole, " \t\r\n");
	for (size_t n = strlen(t); n > 0 && strchr(" \t\r\n", t[n - 1]) != NULL;)
		t[--n] = '\0';
	url = s->elsewhere ? NULL : spate_mpd_tree_resolve(w->t, s->base, t, &elsewhere);
	if (url == NULL) {
		s->elsewhere = true;
	} else if ((w->text += strlen(url)) > w->limits->text) {
		rc = -E2BIG; /* a long one above many short ones is copied for each */
	} else {
		s->named = true;
		s->base = spate_mem_copy(&w->t->mem, url, strlen(url));
	}
	free(url);
	xmlFree(whole);
	return rc;
}

/* What SegmentBase, SegmentList and SegmentTemplate have in common. */
static void addressing(struct walk *w, enum spate_mpd_kind kind)
{
	struct spate_mpd_addressing *s = &w->at[w->level].s;

	w->runs_end = NULL;
	w->items_end = NULL;
	if (s->kind != kind) /* another sort inherits nothing from this one */
		*s = (struct spate_mpd_addressing){.kind = kind,
						   .start_number = 1,
						   .timescale = 1,
						   .init_range = SPATE_MPD_WHOLE,
						   .index = SPATE_MPD_WHOLE};
	number(w, "timescale", &s->timescale);
	number(w, "duration", &s->duration);
	number(w, "startNumber", &s->start_number);
	number(w, "presentationTimeOffset", &s->offset);
	s->has_end |= number(w, "endNumber", &s->end_number);
	if (kind == MPD_BASE)
		byte_range(w, "indexRange", &s->index);
	if (kind == MPD_LIST) {
		s->items = NULL;
		w->items_end = &s->items;
	}
	if (kind == MPD_TEMPLATE) {
		text(w, "media", &s->media);
		s->has_init |= text(w, "initialization", &s->init);
	}
}

static void initialization(struct walk *w)
{
	struct spate_mpd_addressing *s = &w->at[w->level].s;
	bool named = text(w, "sourceURL", &s->init), part = byte_range(w, "range", &s->init_range);

	s->has_init |= named || part;
}

static int timeline_run(struct walk *w)
{
	struct spate_mpd_run *r = spate_mem_take(&w->t->mem, sizeof(*r));
	char *repeat;

	if (r == NULL)
		return -ENOMEM;
	*r = (struct spate_mpd_run){0};
	r->has_t = number(w, "t", &r->t);
	if (!number(w, "d", &r->d) || r->d == 0)
		return nonsense(w, "a timeline that makes no sense");
	repeat = attribute(w, "r");
	r->r = repeat != NULL ? strtoll(repeat, NULL, 10) : 0;
	xmlFree(repeat);
	if (w->runs_end == NULL)
		return 0; /* outside of a timeline */
	*w->runs_end = r;
	w->runs_end = &r->next;
	return 0;
}

static int list_item(struct walk *w)
{
	struct spate_mpd_item *i = spate_mem_take(&w->t->mem, sizeof(*i));

	if (i == NULL)
		return -ENOMEM;
	*i = (struct spate_mpd_item){.range = SPATE_MPD_WHOLE};
	text(w, "media", &i->media);
	byte_range(w, "mediaRange", &i->range);
	if (w->items_end == NULL)
		return 0;
	*w->items_end = i;
	w->items_end = &i->next;
	return 0;
}

static int element(struct walk *w, const char *name)
{
	int level = level_of(name), rc;

	if (level >= 0) {
		rc = open_level(w, level);
		if (rc == 0) {
			w->depth[level] = xmlTextReaderDepth(w->x);
			if (xmlTextReaderIsEmptyElement(w->x))
				rc = close_level(w);
		}
		return rc;
	}
	if (w->level < 0)
		return nonsense(w, "the root is no MPD");
	if (is(name, "BaseURL"))
		return base_url(w);
	if (is(name, "S"))
		return timeline_run(w);
	if (is(name, "SegmentURL"))
		return list_item(w);
	if (is(name, "SegmentTemplate")) {
		addressing(w, MPD_TEMPLATE);
	} else if (is(name, "SegmentBase")) {
		addressing(w, MPD_BASE);
	} else if (is(name, "SegmentList")) {
		addressing(w, MPD_LIST);
	} else if (is(name, "SegmentTimeline")) {
		w->at[w->level].s.runs = NULL;
		w->runs_end = &w->at[w->level].s.runs;
	} else if (is(name, "Initialization")) {
		initialization(w);
	}
	return 0;
}

static int node(struct walk *w)
{
	int depth = xmlTextReaderDepth(w->x);

	if (depth > DEPTH_MAX)
		return -E2BIG;
	switch (xmlTextReaderNodeType(w->x)) {
	case XML_READER_TYPE_DOCUMENT_TYPE: /* no manifest needs these, and each is a way to grow */
		return nonsense(w, "it has a DOCTYPE");
	case XML_READER_TYPE_ENTITY_REFERENCE:
		return nonsense(w, "it has an entity");
	case XML_READER_TYPE_ELEMENT:
		return element(w, (const char *)xmlTextReaderConstLocalName(w->x));
	case XML_READER_TYPE_END_ELEMENT:
		return w->level >= 0 && depth == w->depth[w->level] ? close_level(w) : 0;
	default:
		return 0;
	}
}

static int walk(struct walk *w)
{
	int more;

	while ((more = xmlTextReaderRead(w->x)) == 1) {
		int rc = node(w);

		if (rc == 0 && w->t->mem.failed)
			rc = -ENOMEM;
		if (rc < 0)
			return rc;
	}
	if (more < 0)
		return nonsense(w, "it is no well-formed XML");
	return w->t->nperiods == 0 ? nonsense(w, "there is no Period in it") : 0;
}

int spate_mpd_walk(struct spate_mpd_tree *t, const char *document, size_t len, const char *url,
		   const struct spate_mpd_options *limits, const char **why)
{
	struct walk w = {.t = t, .limits = limits, .level = -1, .reps_end = &t->reps};
	int rc;

	*t = (struct spate_mpd_tree){.total = -1, .any_host = limits->any_host};
	w.at[MPD].base = url;
	w.x = xmlReaderForMemory(document, (int)len, NULL, NULL,
				 XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	if (w.x == NULL)
		return -ENOMEM;
	rc = walk(&w);
	xmlFreeTextReader(w.x);
	*why = w.why;
	return rc;
}

void spate_mpd_tree_free(struct spate_mpd_tree *t)
{
	free(t->periods);
	spate_mem_free(&t->mem);
}

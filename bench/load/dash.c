/* dash.c: viewers of dash.h: from what a player wants to requests, and back. */
#include "bench/load/dash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load/player.h"

#define SPREAD_S     2.0 /* viewers come one after the other within so much time */
#define AGAIN_S      0.5 /* after a failure */
#define MANIFEST_MAX (4u << 20)

enum viewer_state { TO_COME, MANIFEST, PLAYING, OVER };

struct viewer {
	enum viewer_state state;
	bool asking;
	double at_s; /* when to look again */
	double came_s;
	struct load_player p;
};

struct load_dash {
	const struct load_options *o;
	struct load_conn *conn;
	struct viewer *v;
	unsigned n;
	char *text; /* the manifest, of the first viewer that got it whole */
	size_t len;
	const struct viewer *reader;
	bool ready;
	struct load_sets sets;
	char why[160];
};

static double now_of(const struct load_dash *d)
{
	return (double)d->conn[0].client->net->now_ns / 1e9;
}

int load_dash_create(struct load_dash **out, struct load_conn *conns, unsigned n,
		     const struct load_options *o)
{
	struct load_dash *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return -ENOMEM;
	*d = (struct load_dash){.o = o, .conn = conns, .n = n};
	d->v = calloc(n, sizeof(*d->v));
	d->text = malloc(MANIFEST_MAX);
	if (d->v == NULL || d->text == NULL) {
		load_dash_destroy(d);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < n; i++)
		d->v[i].at_s = now_of(d) + (o->from_zero ? 0 : SPREAD_S * i / n);
	*out = d;
	return 0;
}

void load_dash_destroy(struct load_dash *d)
{
	if (d == NULL)
		return;
	load_sets_finish(&d->sets);
	free(d->text);
	free(d->v);
	free(d);
}

static void take_text(void *owner, const uint8_t *p, size_t n)
{
	struct load_dash *d = owner;

	if (d->len + n <= MANIFEST_MAX)
		memcpy(d->text + d->len, p, n);
	d->len += n;
}

static void ask_manifest(struct load_dash *d, struct viewer *v)
{
	struct load_ask a = {.due_ns = d->conn[0].client->net->now_ns};

	if (d->reader == NULL && !d->ready) {
		d->reader = v;
		d->len = 0;
		a.body = take_text;
		a.owner = d;
	}
	a.verify = d->o->verify != LOAD_VERIFY_NONE;
	v->state = MANIFEST;
	v->asking = true;
	load_conn_ask(&d->conn[v - d->v], &a);
}

static void ask_segment(struct load_dash *d, struct viewer *v, const struct load_player_want *w)
{
	const struct spate_mpd_rep *r = d->sets.set[v->p.set[w->set]].rep[w->rep];
	struct load_ask a = {.due_ns = d->conn[0].client->net->now_ns};
	const struct spate_mpd_segment *s;

	if (!w->init && w->segment >= r->nsegments) {
		snprintf(d->why, sizeof(d->why),
			 "manifest: a representation ends before the others of its set");
		v->state = OVER;
		return;
	}
	s = w->init ? &r->init : &r->segments[w->segment];
	a.path = r->urls[s->url]; /* of d->sets: it outlives the request */
	a.path_len = (uint32_t)strlen(a.path);
	a.ranged = s->range.first != 0 || s->range.last != UINT64_MAX;
	a.first = s->range.first;
	a.last = s->range.last < INT64_MAX ? s->range.last : INT64_MAX; /* "797-": to its end */
	a.verify = d->o->verify != LOAD_VERIFY_NONE;
	v->asking = true;
	load_conn_ask(&d->conn[v - d->v], &a);
}

static void next(struct load_dash *d, struct viewer *v)
{
	struct load_player_want w;

	switch (load_player_next(&v->p, now_of(d), &w)) {
	case LOAD_PLAYER_FETCH:
		ask_segment(d, v, &w);
		break;
	case LOAD_PLAYER_WAIT:
		v->at_s = w.at_s;
		break;
	case LOAD_PLAYER_FINISHED:
		v->state = OVER;
		break;
	}
}

bool load_dash_tick(struct load_dash *d)
{
	double now = now_of(d);
	unsigned over = 0;

	for (unsigned i = 0; i < d->n; i++) {
		struct viewer *v = &d->v[i];

		over += v->state == OVER;
		if (v->state == OVER || v->asking || v->at_s > now)
			continue;
		if (v->state == PLAYING) {
			next(d, v);
			continue;
		}
		if (v->state == TO_COME)
			v->came_s = now;
		/* While the first one's manifest is on its way, nobody else could use his. */
		if (d->reader == NULL || d->ready)
			ask_manifest(d, v);
	}
	return over < d->n && d->why[0] == '\0';
}

static void got_manifest(struct load_dash *d, struct viewer *v)
{
	struct load_player_config c = {d->o->buffer_s, d->o->start_s, d->o->safety,
				       d->o->stop_after_s};
	const char *path = strchr(d->o->urls[0] + 7, '/');

	if (d->reader == v && !d->ready) {
		d->reader = NULL;
		if (d->len > MANIFEST_MAX) {
			snprintf(d->why, sizeof(d->why), "manifest: larger than 4 MiB");
			return;
		}
		if (load_sets_init(&d->sets, d->text, d->len, path != NULL ? path : "/", d->why,
				   sizeof(d->why)) != 0)
			return;
		d->ready = true;
	}
	load_player_init(&v->p, &d->sets, &c, v->came_s);
	v->state = PLAYING;
	v->at_s = 0;
}

void load_dash_done(struct load_dash *d, struct load_conn *conn, const struct load_ask *a,
		    enum load_outcome what)
{
	struct viewer *v = &d->v[conn - d->conn];
	double now = now_of(d);

	v->asking = false;
	if (what != LOAD_OK) { /* it is counted; a viewer's player would try again */
		if (d->reader == v)
			d->reader = NULL;
		v->at_s = now + AGAIN_S;
		return;
	}
	if (v->state == MANIFEST) {
		got_manifest(d, v);
		return;
	}
	load_player_got(&v->p, now, a->bytes, now - (double)a->sent_ns / 1e9);
	v->at_s = 0;
}

void load_dash_sum(struct load_dash *d, struct load_dash_sum *s)
{
	for (unsigned i = 0; i < d->n; i++) {
		struct load_player *p = &d->v[i].p;

		s->viewers++;
		if (p->m == NULL)
			continue;
		load_player_clock(p, now_of(d));
		s->began += p->state != LOAD_PLAYER_STARTING;
		s->finished += p->state == LOAD_PLAYER_DONE;
		s->stalled += p->stalls != 0;
		s->stalls += p->stalls;
		s->switches += p->switches;
		s->segments += p->segments;
		s->stall_s += p->stall_s;
		s->played_s += p->position_s;
		s->played_bits +=
			p->fetched_s[0] > 0 ? p->played_bits / p->fetched_s[0] * p->position_s : 0;
		if (p->state != LOAD_PLAYER_STARTING)
			load_hist_add(&s->startup, (uint64_t)(p->startup_s * 1e9));
	}
	if (d->why[0] != '\0')
		snprintf(s->why, sizeof(s->why), "%s", d->why);
}

/* player.c: the model of player.h. */
#include "bench/load/player.h"

#include <string.h>

#define EPSILON 1e-9

static int find(const struct load_sets *m, char kind)
{
	for (unsigned i = 0; i < m->nsets; i++)
		if (m->set[i].kind == kind && m->set[i].nreps != 0)
			return (int)i;
	return -1;
}

void load_player_init(struct load_player *p, const struct load_sets *m,
		      const struct load_player_config *c, double now_s)
{
	int video = find(m, 'v'), audio = find(m, 'a');

	*p = (struct load_player){.m = m, .c = *c, .now_s = now_s, .begin_s = now_s};
	p->end_s = c->stop_after_s > 0 && c->stop_after_s < m->duration_s ? c->stop_after_s
									  : m->duration_s;
	if (video >= 0)
		p->set[p->nsets++] = (unsigned)video;
	if (audio >= 0)
		p->set[p->nsets++] = (unsigned)audio;
	if (p->nsets == 0)
		p->set[p->nsets++] = 0;
}

static const struct load_set *set_of(const struct load_player *p, unsigned i)
{
	return &p->m->set[p->set[i]];
}

/* Media that every set has, ahead of the position. */
static double ahead(const struct load_player *p)
{
	double least = p->fetched_s[0];

	for (unsigned i = 1; i < p->nsets; i++)
		if (p->fetched_s[i] < least)
			least = p->fetched_s[i];
	return least - p->position_s;
}

static void play_if_enough(struct load_player *p)
{
	double rest = p->end_s - p->position_s, need = p->c.start_s < rest ? p->c.start_s : rest;

	if (p->state == LOAD_PLAYER_PLAYING || p->state == LOAD_PLAYER_DONE ||
	    ahead(p) + EPSILON < need)
		return;
	if (p->state == LOAD_PLAYER_STARTING)
		p->startup_s = p->now_s - p->begin_s;
	p->state = LOAD_PLAYER_PLAYING;
}

void load_player_clock(struct load_player *p, double now_s)
{
	double passed = now_s - p->now_s, level = ahead(p);

	if (passed <= 0)
		return;
	p->now_s = now_s;
	if (p->state == LOAD_PLAYER_STALLED)
		p->stall_s += passed;
	if (p->state != LOAD_PLAYER_PLAYING)
		return;
	if (level > p->end_s - p->position_s)
		level = p->end_s - p->position_s;
	if (passed < level) {
		p->position_s += passed;
		return;
	}
	p->position_s += level;
	if (p->position_s + EPSILON >= p->end_s) {
		p->state = LOAD_PLAYER_DONE;
		return;
	}
	/* Ran dry, and has stood still since. */
	p->state = LOAD_PLAYER_STALLED;
	p->stalls++;
	p->stall_s += passed - level;
}

/* bit/s that the network gave lately: short waits weigh as they should. */
static double throughput(const struct load_player *p)
{
	unsigned n = p->nrates < LOAD_PLAYER_SAMPLES ? p->nrates : LOAD_PLAYER_SAMPLES;
	double sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += 1 / p->rate[i];
	return n == 0 ? 0 : n / sum;
}

static void adapt(struct load_player *p)
{
	const struct load_set *s = set_of(p, 0);
	double can = throughput(p) * p->c.safety;
	unsigned best = 0, was = p->rep[0];

	if (s->kind == 'a' || p->nrates == 0)
		return;
	while (best + 1 < s->nreps && (double)s->rep[best + 1]->bandwidth <= can)
		best++;
	if (best > was)
		best = ahead(p) < p->c.start_s ? was : was + 1;
	p->rep[0] = best;
	p->switches += best != was;
}

enum load_player_what load_player_next(struct load_player *p, double now_s,
				       struct load_player_want *want)
{
	unsigned i = 0;
	double level;

	load_player_clock(p, now_s);
	if (p->state == LOAD_PLAYER_DONE)
		return LOAD_PLAYER_FINISHED;
	/* The set that has least. */
	for (unsigned k = 1; k < p->nsets; k++)
		if (p->fetched_s[k] < p->fetched_s[i])
			i = k;
	*want = (struct load_player_want){.set = i};
	if (p->fetched_s[i] + EPSILON >= p->end_s) { /* all is there: play it out */
		want->at_s = now_s + (p->end_s - p->position_s);
		return LOAD_PLAYER_WAIT;
	}
	level = p->fetched_s[i] - p->position_s;
	if (level >= p->c.buffer_s && p->state == LOAD_PLAYER_PLAYING) {
		want->at_s = now_s + (level - p->c.buffer_s) + 0.001;
		return LOAD_PLAYER_WAIT;
	}
	if (i == 0)
		adapt(p);
	want->rep = p->rep[i];
	want->init = set_of(p, i)->rep[want->rep]->has_init && !p->has_init[i][want->rep];
	want->segment = p->next[i];
	p->asked = *want;
	return LOAD_PLAYER_FETCH;
}

void load_player_got(struct load_player *p, double now_s, uint64_t bytes, double took_s)
{
	const struct load_player_want *a = &p->asked;
	const struct spate_mpd_rep *r = set_of(p, a->set)->rep[a->rep];
	double end;

	load_player_clock(p, now_s);
	if (a->init) {
		p->has_init[a->set][a->rep] = true;
		return;
	}
	if (bytes != 0)
		p->rate[p->nrates++ % LOAD_PLAYER_SAMPLES] =
			(double)bytes * 8 / (took_s > 1e-6 ? took_s : 1e-6);
	/* A set may end before the presentation does. */
	end = a->segment < r->nsegments ? load_sets_end(p->m, r, a->segment) : p->end_s;
	if (a->set == 0)
		p->played_bits += (end - p->fetched_s[0]) * (double)r->bandwidth;
	p->fetched_s[a->set] = end;
	p->next[a->set]++;
	p->segments++;
	/* Sets may end a little apart. */
	if (p->next[a->set] >= r->nsegments)
		p->fetched_s[a->set] = p->end_s;
	play_if_enough(p);
}

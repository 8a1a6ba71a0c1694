/*
 * timeline.c: the numbers and times of a representation's segments: from a SegmentTimeline, from a
 * duration that all share, or, where neither is said, numbers without times.
 */
#include "control/dash/tree.h"

/* How long the representation's period is, in its timescale; 0: nothing says. */
static uint64_t period_ticks(const struct spate_mpd_tree *t, const struct spate_mpd_node *r)
{
	const struct spate_mpd_period *now = &t->periods[r->period];
	double start = now->start >= 0 ? now->start : 0, s = now->duration;
	double ticks;

	if (s < 0 && r->period + 1 < t->nperiods && t->periods[r->period + 1].start >= 0)
		s = t->periods[r->period + 1].start - start;
	else if (s < 0 && t->total >= 0)
		s = t->total - start;
	ticks = s * (double)r->scope.s.timescale;
	return ticks > 0 && ticks < 1e18 ? (uint64_t)(ticks + 0.5) : 0;
}

/* How many segments the run has, from `time` on. */
static uint64_t times_of(const struct spate_mpd_run *run, uint64_t time, uint64_t end)
{
	const struct spate_mpd_run *after = run->next;
	uint64_t until = after != NULL && after->has_t ? after->t : end;

	if (run->r >= 0)
		return (uint64_t)run->r + 1;
	return until > time ? (until - time - 1) / run->d + 1 : 0;
}

static void begin_run(struct spate_mpd_times *it)
{
	if (it->run == NULL)
		return;
	if (it->run->has_t)
		it->next.time = it->run->t;
	it->next.duration = it->run->d;
	it->left = times_of(it->run, it->next.time, it->end);
}

void spate_mpd_times_begin(struct spate_mpd_times *it, const struct spate_mpd_tree *t,
			   const struct spate_mpd_node *r)
{
	const struct spate_mpd_addressing *s = &r->scope.s;
	uint64_t ticks = period_ticks(t, r);

	*it = (struct spate_mpd_times){.s = s, .run = s->runs, .end = ticks + s->offset};
	it->next.number = s->start_number;
	if (s->runs != NULL) {
		begin_run(it);
		return;
	}
	it->next.time = s->offset;
	it->next.duration = s->duration;
	it->open = !s->has_end && s->kind == MPD_TEMPLATE && (s->duration == 0 || ticks == 0);
	if (s->has_end || s->kind == MPD_LIST || it->open)
		it->left = UINT64_MAX; /* end_number or the list stops it */
	else
		it->left = ticks == 0 ? 0 : (ticks - 1) / s->duration + 1;
}

bool spate_mpd_times_next(struct spate_mpd_times *it, struct spate_mpd_slot *slot)
{
	while (it->left == 0 && it->run != NULL) {
		it->run = it->run->next;
		begin_run(it);
	}
	if (it->left == 0 || (it->s->has_end && it->next.number > it->s->end_number))
		return false;
	*slot = it->next;
	it->left--;
	it->next.number++;
	it->next.time += it->next.duration;
	return true;
}

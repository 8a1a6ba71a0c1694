/*
 * timer.c: the pairing heap of timer.h.
 *
 *     root ── child ─ next ─ next        each node's children are a list, leftmost first;
 *               │                        no child is due before its parent
 *             child ─ next
 */
#include "control/timer.h"

#include <assert.h>

static struct spate_timer *meld(struct spate_timer *a, struct spate_timer *b)
{
	if (a == NULL || b == NULL)
		return a == NULL ? b : a;
	if (b->at_us < a->at_us) {
		struct spate_timer *swap = a;

		a = b;
		b = swap;
	}
	b->prev = a;
	b->next = a->child;
	if (a->child != NULL)
		a->child->prev = b;
	a->child = b;
	return a;
}

/*
 * Pairs from left to right, then melds the pairs from right to left; iterative, as lists may be
 * long.
 */
static struct spate_timer *meld_list(struct spate_timer *t)
{
	struct spate_timer *pairs = NULL, *root = NULL;

	while (t != NULL) {
		struct spate_timer *a = t, *b = t->next;

		t = b == NULL ? NULL : b->next;
		a->next = a->prev = NULL;
		if (b != NULL)
			b->next = b->prev = NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs != NULL) {
		struct spate_timer *rest = pairs->next;

		pairs->next = NULL;
		root = meld(root, pairs);
		pairs = rest;
	}
	return root;
}

void spate_timers_stop(struct spate_timers *h, struct spate_timer *t)
{
	if (!t->set)
		return;
	if (h->root == t) {
		h->root = meld_list(t->child);
	} else {
		if (t->prev->child == t)
			t->prev->child = t->next;
		else
			t->prev->next = t->next;
		if (t->next != NULL)
			t->next->prev = t->prev;
		h->root = meld(h->root, meld_list(t->child));
	}
	t->child = t->next = t->prev = NULL;
	t->set = false;
}

void spate_timers_set(struct spate_timers *h, struct spate_timer *t, uint64_t at_us,
		      void (*fn)(struct spate_timer *t))
{
	assert(fn != NULL);
	spate_timers_stop(h, t);
	t->at_us = at_us;
	t->fn = fn;
	t->child = t->next = t->prev = NULL;
	t->set = true;
	h->root = meld(h->root, t);
}

void spate_timers_run(struct spate_timers *h, uint64_t now_us)
{
	while (h->root != NULL && h->root->at_us <= now_us) {
		struct spate_timer *t = h->root;

		spate_timers_stop(h, t);
		t->fn(t); /* may set itself again, or be freed by its owner */
	}
}

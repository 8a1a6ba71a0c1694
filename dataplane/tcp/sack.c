/*
 * SACK, both ways. In: blocks mark runs (RFC 2018), a first block below the ACK is a DSACK (RFC
 * 2883). Blocks are advice: what is outside [una, nxt), or would need a record we do not have, is
 * passed over.
 */
#include "dataplane/tcp/conn.h"

/* First run that ends after seq, from the place of the last search. */
static struct tcp_run *find_run(struct spate_tcp_conn *c, uint32_t seq)
{
	struct tcp_run *r = c->sack_hint != NULL ? c->sack_hint : c->runs.head;

	if (r == NULL)
		return NULL;
	while (r->prev != NULL && seq_lt(seq, r->prev->end))
		r = r->prev;
	while (r != NULL && seq_leq(r->end, seq))
		r = r->next;
	return r;
}

/* BSD's kin report the bytes of a last segment and leave its FIN out. */
static bool without_fin(const struct spate_tcp_conn *c, const struct tcp_run *r, uint32_t end)
{
	return (c->flags & F_FIN_SENT) && r->end == c->snd_nxt && end == r->end - 1;
}

/*
 * Segments are what arrives: a run is only taken apart between two of them. A block that ends
 * inside of one is wrong or malicious, and would make a record, and a packet to send again, of each
 * byte.
 */
static void take_block(struct spate_tcp_conn *c, uint32_t start, uint32_t end,
		       const struct tcp_seg *s, struct tcp_ack *a)
{
	struct tcp_run *r = find_run(c, start);

	while (r != NULL && seq_lt(r->start, end)) {
		c->sack_hint = r;
		if (r->flags & RUN_SACKED) {
			r = r->next;
			continue;
		}
		uint32_t from = 0, upto = min32(end - r->start, r->end - r->start);

		if (seq_lt(r->start, start))
			from = (start - r->start + c->mss - 1) / c->mss * c->mss;
		if (seq_lt(end, r->end) && !without_fin(c, r, end))
			upto -= upto % c->mss;
		if (from >= upto) {
			r = r->next;
			continue;
		}
		if (from != 0) {
			if (!tcp_run_split(c, r, r->start + from, false))
				return;
			r = r->next;
			upto -= from;
		}
		if (upto < r->end - r->start && !tcp_run_split(c, r, r->start + upto, false))
			return;
		a->sacked += r->end - r->start;
		tcp_delivered(c, r, r->start, r->end, s, a);
		r = tcp_run_sack(c, r);
		c->sack_hint = r;
		r = r->next;
	}
}

static bool is_dsack(const struct tcp_seg *s)
{
	if (seq_leq(s->sack[0][1], s->ack))
		return true;
	return s->nsack > 1 && seq_leq(s->sack[1][0], s->sack[0][0]) &&
	       seq_leq(s->sack[0][1], s->sack[1][1]);
}

void tcp_sack_input(struct spate_tcp_conn *c, const struct tcp_seg *s, struct tcp_ack *a)
{
	unsigned first = 0;

	if (is_dsack(s)) {
		uint32_t len = s->sack[0][1] - s->sack[0][0];

		first = 1;
		/* Too far back to be about anything of ours that still matters. */
		if (len == 0 || len > c->max_wnd ||
		    seq_lt(s->sack[0][0], c->snd_una - c->max_wnd)) {
			tcp_count(c->t, SPATE_TCP_SACK_BAD, 1);
		} else {
			a->dsack = true;
			tcp_count(c->t, SPATE_TCP_DSACK_RCVD, 1);
			c->undo_bytes -= min32(c->undo_bytes, len);
			tcp_rack_dsack(c);
		}
	}
	for (unsigned i = first; i < s->nsack; i++) {
		uint32_t start = s->sack[i][0], end = s->sack[i][1];

		if (!seq_lt(start, end) || seq_lt(c->snd_nxt, end) || seq_lt(end, c->snd_una)) {
			tcp_count(c->t, SPATE_TCP_SACK_BAD, 1);
			continue;
		}
		if (seq_lt(c->snd_una, end))
			take_block(c, seq_max(start, c->snd_una), end, s, a);
	}
}

/* The max most recently changed islands, latest first. One pass: there may be hundreds. */
static unsigned latest(const struct tcp_island *i, const struct tcp_island **top, unsigned max)
{
	unsigned n = 0;

	for (; i != NULL; i = i->next) {
		unsigned at = n;

		if (n == max && i->stamp < top[n - 1]->stamp)
			continue;
		if (n < max)
			n++;
		else
			at--;
		for (; at > 0 && top[at - 1]->stamp < i->stamp; at--)
			top[at] = top[at - 1];
		top[at] = i;
	}
	return n;
}

/*
 * What to report: a DSACK first, then the islands, most recently changed first (RFC 2018 section
 * 4). A DSACK inside an island is followed by that island, which is the most recent one then.
 */
unsigned tcp_sack_blocks(const struct spate_tcp_conn *c, uint32_t blocks[][2], unsigned max)
{
	const struct tcp_island *first = c->held, *top[TCP_SACK_MAX];
	unsigned n = 0, islands;

	if (max == 0)
		return 0;
	if (c->flags & F_DSACK) {
		blocks[n][0] = c->dsack_start;
		blocks[n++][1] = c->dsack_end;
	}
	if (first != NULL && seq_leq(first->start, c->rcv_nxt))
		first = first->next; /* in order, waiting for the user */
	if (n == max)
		return n;
	islands = latest(first, top, max - n);
	for (unsigned i = 0; i < islands; i++, n++) {
		blocks[n][0] = top[i]->start;
		blocks[n][1] = top[i]->end;
	}
	return n;
}

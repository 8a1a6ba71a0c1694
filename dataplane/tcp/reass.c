/*
 * The receiver's bytes. In order: straight to the user. Otherwise they wait, copied, in islands:
 *
 *     held ─► [island: in order, the user was full] ─► [island] ─► [island]
 *                    └ node ─ node                        └ node
 *
 * Islands never touch, are sorted, and are at most TCP_ISLANDS; nodes come from a pool all
 * connections share.
 */
#include "dataplane/tcp/conn.h"

static struct tcp_island *in_order(const struct spate_tcp_conn *c)
{
	return c->held != NULL && seq_leq(c->held->start, c->rcv_nxt) ? c->held : NULL;
}

uint32_t tcp_rcv_wnd(const struct spate_tcp_conn *c)
{
	uint32_t buf = c->t->cfg.rcv_buf;

	uint32_t held = tcp_held(c);

	return held < buf ? buf - held : 0;
}

/* Small pieces leave nodes half empty; so many a connection may have, and no more. */
static struct tcp_node *get_node(struct spate_tcp_conn *c)
{
	if (c->nodes >= c->t->cfg.rcv_buf / (TCP_NODE_DATA / 2) + 64)
		return NULL;
	struct tcp_node *n = spate_pool_get(&c->t->node_pool);

	c->nodes += n != NULL;
	return n;
}

static void put_node(struct spate_tcp_conn *c, struct tcp_node *n)
{
	c->nodes--;
	spate_pool_put(&c->t->node_pool, n);
}

static void free_island(struct spate_tcp_conn *c, struct tcp_island *i)
{
	for (struct tcp_node *n = i->head, *next; n != NULL; n = next) {
		next = n->next;
		put_node(c, n);
	}
	spate_pool_put(&c->t->run_pool, i);
	c->islands--;
}

void tcp_held_clear(struct spate_tcp_conn *c)
{
	while (c->held != NULL) {
		struct tcp_island *i = c->held;

		c->held = i->next;
		free_island(c, i);
	}
}

/* Bytes behind the peer's FIN: there cannot be any, whatever came before it said (Linux drops them
 * too). */
static void cut_held(struct spate_tcp_conn *c, uint32_t fin)
{
	for (struct tcp_island **at = &c->held, *i; (i = *at) != NULL;) {
		struct tcp_node *n = i->head;

		if (seq_leq(fin, i->start)) {
			*at = i->next;
			free_island(c, i);
			continue;
		}
		at = &i->next;
		if (seq_leq(i->end, fin))
			continue;
		while (n->next != NULL && seq_lt(n->next->seq, fin))
			n = n->next;
		for (struct tcp_node *next; n->next != NULL; n->next = next) {
			next = n->next->next;
			put_node(c, n->next);
		}
		n->len = fin - n->seq;
		i->tail = n;
		i->end = fin;
	}
}

/* Appends to an island; may stop short when there is no node. Returns bytes taken. */
static uint32_t append(struct spate_tcp_conn *c, struct tcp_island *i, const uint8_t *p,
		       uint32_t len)
{
	uint32_t done = 0;

	while (done < len) {
		struct tcp_node *n = i->tail;

		if (n == NULL || n->len == TCP_NODE_DATA) {
			n = get_node(c);
			if (n == NULL)
				break;
			n->next = NULL;
			n->seq = i->end;
			n->len = 0;
			if (i->tail != NULL)
				i->tail->next = n;
			else
				i->head = n;
			i->tail = n;
		}
		uint32_t off = i->end - n->seq, room = TCP_NODE_DATA - off;
		uint32_t take = min32(room, len - done);

		memcpy(n->data + off, p + done, take);
		n->len = off + take;
		i->end += take;
		done += take;
	}
	return done;
}

static struct tcp_island *new_island(struct spate_tcp_conn *c, struct tcp_island **at,
				     uint32_t start)
{
	struct tcp_island *i = c->islands < TCP_ISLANDS && tcp_record_due(c->t, c->islands)
				       ? spate_pool_get(&c->t->run_pool)
				       : NULL;

	if (i == NULL)
		return NULL;
	*i = (struct tcp_island){.next = *at, .start = start, .end = start};
	*at = i;
	c->islands++;
	return i;
}

/* i now touches the next one. */
static void join(struct spate_tcp_conn *c, struct tcp_island *i)
{
	struct tcp_island *n = i->next;

	if (n == NULL || n->start != i->end)
		return;
	i->tail->next = n->head;
	i->tail = n->tail;
	i->end = n->end;
	i->next = n->next;
	n->head = NULL;
	free_island(c, n);
}

/* Keeps [start, start + len) as far as it is new. Returns false when memory or bounds did not allow
 * all. */
static bool store(struct spate_tcp_conn *c, uint32_t start, const uint8_t *p, uint32_t len)
{
	struct tcp_island **at = &c->held;
	uint32_t end = start + len;
	bool fresh = false;

	while (*at != NULL && seq_lt((*at)->end, start))
		at = &(*at)->next;
	while (seq_lt(start, end)) {
		struct tcp_island *i = *at;
		uint32_t upto, n;

		if (i == NULL || seq_lt(start, i->start)) {
			upto = i == NULL ? end : seq_min(end, i->start);
			i = new_island(c, at, start);
			if (i == NULL)
				return false;
		} else {
			uint32_t skip = i->end - start;

			if (seq_leq(end, i->end)) {
				/* What came was in it, all or the rest: the latest (RFC 2018 4),
				 * and what a DSACK is followed by (RFC 2883 4 (4)). */
				i->stamp = ++c->island_stamp;
				break;
			}
			start += skip;
			p += skip;
			upto = i->next != NULL ? seq_min(end, i->next->start) : end;
		}
		n = append(c, i, p, upto - start);
		fresh |= n != 0;
		i->stamp = ++c->island_stamp;
		start += n;
		p += n;
		if (i->start == i->end) {
			*at = i->next;
			free_island(c, i);
		}
		if (start != upto)
			return false;
		join(c, i);
	}
	if (!fresh) {
		c->flags |= F_DSACK;
		c->dsack_start = end - len;
		c->dsack_end = end;
	}
	return true;
}

/* Gives waiting in-order bytes to the user, unless it said stop. */
void tcp_deliver(struct spate_tcp_conn *c)
{
	struct tcp_island *i;

	while ((i = in_order(c)) != NULL && !(c->flags & (F_PAUSED | F_DEAD))) {
		struct tcp_node *n = i->head;
		uint32_t off = i->start - n->seq, have = n->len - off;
		uint32_t took = (uint32_t)c->user->data(c, n->data + off, have);

		if (c->flags & F_DEAD)
			return;
		assert(took <= have);
		i->start += took;
		if (took < have) {
			c->flags |= F_PAUSED;
			break;
		}
		i->head = n->next;
		put_node(c, n);
		if (i->head == NULL) {
			c->held = i->next;
			i->tail = NULL;
			free_island(c, i);
		}
	}
}

/* The hole at rcv_nxt was filled: what lies behind it is in order now. */
static void absorb(struct spate_tcp_conn *c)
{
	struct tcp_island *i = in_order(c);

	if (i == NULL)
		return;
	assert(seq_leq(c->rcv_nxt, i->end));
	tcp_count(c->t, SPATE_TCP_BYTES_RCVD, i->end - c->rcv_nxt);
	c->rcv_nxt = i->end;
}

/* All before the peer's FIN is here (RFC 9293 3.10.7.4, eighth). */
void tcp_fin_rcvd(struct spate_tcp_conn *c)
{
	if (!(c->flags & F_FIN_SEEN) || (c->flags & F_FIN_RCVD) || c->rcv_nxt != c->fin_rcv)
		return;
	c->rcv_nxt++;
	c->flags |= F_FIN_RCVD | F_ACK_NOW;
	switch (c->state) {
	case SPATE_TCP_ESTABLISHED:
		c->state = SPATE_TCP_CLOSE_WAIT;
		break;
	case SPATE_TCP_FIN_WAIT_1:
		c->state = SPATE_TCP_CLOSING;
		break;
	case SPATE_TCP_FIN_WAIT_2:
		c->state = SPATE_TCP_TIME_WAIT;
		tcp_ended(c);
		break;
	default:
		break;
	}
}

/*
 * Bytes at rcv_nxt. They never need memory unless the user is full: else out-of-order bytes could
 * take all nodes and then shut out the very bytes that would set them free. So what lies before an
 * island goes straight up, then the island, then what lies behind.
 */
static void in_order_input(struct spate_tcp_conn *c, const uint8_t *p, uint32_t len)
{
	bool hole = c->held != NULL && in_order(c) == NULL;

	tcp_deliver(c); /* resumed, and not visited since: what waited comes first */
	if (c->flags & F_DEAD)
		return;
	while (len > 0) {
		uint32_t before = c->rcv_nxt, n = len, took = 0, skip;

		if (!(c->flags & F_PAUSED) && in_order(c) == NULL) {
			if (c->held != NULL && seq_lt(c->held->start, c->rcv_nxt + len))
				n = c->held->start - c->rcv_nxt;
			took = (uint32_t)c->user->data(c, p, n);
			if (c->flags & F_DEAD)
				return;
			assert(took <= n);
			c->rcv_nxt += took;
			tcp_count(c->t, SPATE_TCP_BYTES_RCVD, took);
		}
		if (took < n) {
			c->flags |= F_PAUSED;
			/* As much as there is memory for; the rest was never received. */
			store(c, c->rcv_nxt, p + took, len - took);
			c->flags &= ~F_DSACK;
			absorb(c);
			break;
		}
		absorb(c);
		tcp_deliver(c);
		if (c->flags & F_DEAD)
			return;
		skip = min32(len, c->rcv_nxt - before);
		p += skip;
		len -= skip;
	}
	/* RFC 5681 4.2: at once when a hole was filled, else at least every second segment. */
	if (hole || ++c->ack_segs >= 2)
		c->flags |= F_ACK_NOW;
	else
		tcp_arm(c, TM_DELACK, c->t->cfg.delack_us);
}

enum spate_tcp_verdict tcp_data_input(struct spate_tcp_conn *c, const struct tcp_seg *s)
{
	uint32_t start = s->seq, end = s->seq + s->len;
	const uint8_t *p = s->data;

	if (c->flags & F_FIN_RCVD) {
		c->flags |= F_ACK_NOW;
		return SPATE_TCP_DROP_OLD;
	}
	if (seq_lt(start, c->rcv_nxt)) {
		uint32_t skip = seq_min(c->rcv_nxt, end) - start;

		/* RFC 2883: say which bytes came twice. */
		if (skip != 0) {
			c->flags |= F_DSACK | F_ACK_NOW;
			c->dsack_start = start;
			c->dsack_end = start + skip;
		}
		start += skip;
		p += skip;
	}
	if (seq_lt(c->rcv_adv, end)) {
		end = seq_max(c->rcv_adv, start);
		c->flags |= F_ACK_NOW;
	}
	if ((s->flags & TCP_FIN) && end == s->seq + s->len && !(c->flags & F_FIN_SEEN)) {
		c->flags |= F_FIN_SEEN;
		c->fin_rcv = end;
		cut_held(c, end);
	}
	/* Bytes after the FIN there cannot be. */
	if ((c->flags & F_FIN_SEEN) && seq_lt(c->fin_rcv, end))
		end = seq_max(c->fin_rcv, start);
	if (start == end) {
		if (start != c->rcv_nxt || s->len != 0)
			c->flags |= F_ACK_NOW;
		if (s->len == 0)
			return SPATE_TCP_OK;
		return seq_lt(s->seq, c->rcv_nxt) ? SPATE_TCP_DROP_OLD : SPATE_TCP_DROP_RCV_FULL;
	}
	if (start == c->rcv_nxt) {
		in_order_input(c, p, end - start);
		return SPATE_TCP_OK;
	}
	c->flags |= F_ACK_NOW;
	if (!store(c, start, p, end - start))
		return SPATE_TCP_DROP_NO_MEMORY;
	return SPATE_TCP_OK;
}

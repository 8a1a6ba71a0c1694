#include "link.h"

#include <stdlib.h>
#include <string.h>

#include "dataplane/tcp/csum.h"

uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->s += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint32_t rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)((rng_next(r) >> 32) * n >> 32);
}

bool rng_chance(struct rng *r, uint32_t per_million)
{
	return rng_below(r, 1000000) < per_million;
}

static void pcap_header(FILE *f)
{
	const uint32_t h[6] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1};

	fwrite(h, sizeof h, 1, f);
}

static void pcap_frame(FILE *f, uint64_t us, const uint8_t *frame, size_t len)
{
	const uint32_t h[4] = {(uint32_t)(us / 1000000), (uint32_t)(us % 1000000), (uint32_t)len,
			       (uint32_t)len};

	fwrite(h, sizeof h, 1, f);
	fwrite(frame, len, 1, f);
	fflush(f);
}

void link_init(struct link *l, const struct link_setup *s, uint64_t seed, const char *pcap)
{
	memset(l, 0, sizeof *l);
	l->setup = *s;
	l->rng.s = seed ^ 0x5bd1e995;
	if (pcap != NULL && (l->pcap = fopen(pcap, "wb")) != NULL)
		pcap_header(l->pcap);
}

void link_finish(struct link *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->heap[i]);
	free(l->heap);
	if (l->pcap != NULL)
		fclose(l->pcap);
}

static bool earlier(const struct link_frame *a, const struct link_frame *b)
{
	return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void push(struct link *l, struct link_frame *f)
{
	size_t i = l->n++;

	if (l->n > l->cap) {
		l->cap = l->cap != 0 ? 2 * l->cap : 64;
		l->heap = realloc(l->heap, l->cap * sizeof *l->heap);
		if (l->heap == NULL)
			abort();
	}
	for (; i > 0 && earlier(f, l->heap[(i - 1) / 2]); i = (i - 1) / 2)
		l->heap[i] = l->heap[(i - 1) / 2];
	l->heap[i] = f;
}

struct link_frame *link_due(struct link *l, uint64_t now_us)
{
	struct link_frame *top, *last;
	size_t i = 0;

	if (l->n == 0 || l->heap[0]->at > now_us)
		return NULL;
	top = l->heap[0];
	last = l->heap[--l->n];
	for (;;) {
		size_t k = 2 * i + 1;

		if (k >= l->n)
			break;
		if (k + 1 < l->n && earlier(l->heap[k + 1], l->heap[k]))
			k++;
		if (!earlier(l->heap[k], last))
			break;
		l->heap[i] = l->heap[k];
		i = k;
	}
	if (l->n > 0)
		l->heap[i] = last;
	return top;
}

uint64_t link_next(const struct link *l)
{
	return l->n != 0 ? l->heap[0]->at : UINT64_MAX;
}

static bool this_way(const struct link *l, unsigned dir)
{
	return l->setup.fault_way == 0 || l->setup.fault_way == dir + 1;
}

static bool lose(struct link *l, unsigned dir, uint64_t now_us)
{
	/* Counted in packets, but it must not outlast a sender that has backed off. */
	if (l->burst[dir] && now_us - l->burst_since[dir] > 500000)
		l->burst[dir] = false;
	if (!l->burst[dir])
		l->burst_since[dir] = now_us;
	if (!this_way(l, dir))
		return false;
	if (l->burst[dir] ? rng_chance(&l->rng, l->setup.burst_end)
			  : rng_chance(&l->rng, l->setup.burst_start))
		l->burst[dir] = !l->burst[dir];
	return l->burst[dir] || rng_chance(&l->rng, l->setup.loss);
}

static void mark(uint8_t *f)
{
	if (f[12] == 0x86) {
		if (f[15] & 0x30)
			f[15] |= 0x30;
	} else if (f[15] & 3) {
		uint16_t sum;

		f[15] |= 3;
		f[24] = f[25] = 0;
		sum = (uint16_t)~csum_fold(csum_add(0, f + 14, 20));
		memcpy(f + 24, &sum, 2);
	}
}

static void deliver(struct link *l, uint64_t at, unsigned to, const uint8_t *frame, size_t len)
{
	struct link_frame *f = malloc(sizeof *f + len);

	if (f == NULL)
		abort();
	f->at = at;
	f->order = l->order++;
	f->to = to;
	f->len = len;
	memcpy(f->data, frame, len);
	if (rng_chance(&l->rng, l->setup.corrupt)) {
		/* Not the MAC addresses: a bridge would have dropped it. */
		uint32_t bit = 14 * 8 + rng_below(&l->rng, (uint32_t)(len - 14) * 8);

		f->data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
	if (rng_chance(&l->rng, l->setup.mark))
		mark(f->data);
	push(l, f);
}

bool link_send(struct link *l, uint64_t now_us, unsigned dir, unsigned to, const uint8_t *frame,
	       size_t len)
{
	const struct link_setup *s = &l->setup;
	uint64_t at = now_us;

	if (l->pcap != NULL)
		pcap_frame(l->pcap, now_us, frame, len);
	if (len - 14 > s->mtu)
		return false;
	l->sent++;
	if (s->rate != 0) {
		uint64_t start = l->free_at[dir] > now_us ? l->free_at[dir] : now_us;

		if ((start - now_us) * s->rate / 1000000 > s->queue) {
			l->lost++;
			return true;
		}
		at = l->free_at[dir] = start + (len * 1000000 + s->rate - 1) / s->rate;
	}
	if (lose(l, dir, now_us)) {
		l->lost++;
		return true;
	}
	at += s->delay_us;
	if (s->jitter_us != 0)
		at += rng_below(&l->rng, s->jitter_us);
	if (this_way(l, dir) && rng_chance(&l->rng, s->reorder))
		at += rng_below(&l->rng, s->reorder_us + 1);
	deliver(l, at, to, frame, len);
	if (rng_chance(&l->rng, s->duplicate))
		deliver(l, at + rng_below(&l->rng, s->delay_us + 1), to, frame, len);
	return true;
}

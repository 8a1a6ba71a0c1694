/*
 * Which connection a segment belongs to: a table of {hash, index}, linear probing, at most half
 * full, eight entries a cache line. TIME-WAIT records live in the same table. Deleting moves later
 * entries back, so there are no tombstones and a long-lived table stays as fast as a fresh one.
 */
#include "dataplane/tcp/conn.h"
#include "dataplane/util/siphash.h"

static bool mapped(const uint8_t ip[16])
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(ip, prefix, 12) == 0;
}

uint32_t tcp_hash(const struct spate_tcp *t, const struct tcp_tuple *k)
{
	uint64_t w[5];
	unsigned n = 0;

	if (mapped(k->local_ip)) {
		memcpy(&w[0], k->local_ip + 12, 4);
		memcpy((uint8_t *)&w[0] + 4, k->peer_ip + 12, 4);
		n = 1;
	} else {
		memcpy(w, k->local_ip, 16);
		memcpy(w + 2, k->peer_ip, 16);
		n = 4;
	}
	w[n++] = (uint64_t)k->local_port << 16 | k->peer_port;
	return (uint32_t)siphash(t->key_hash, w, n, 1, 3);
}

static bool same(const uint8_t *peer_ip, const uint8_t *local_ip, uint16_t peer_port,
		 uint16_t local_port, const struct tcp_tuple *k)
{
	return peer_port == k->peer_port && local_port == k->local_port &&
	       memcmp(peer_ip, k->peer_ip, 16) == 0 && memcmp(local_ip, k->local_ip, 16) == 0;
}

struct spate_tcp_conn *tcp_find(struct spate_tcp *t, const struct tcp_tuple *k, uint32_t hash,
				struct tcp_tw **tw)
{
	*tw = NULL;
	for (uint32_t i = hash & t->mask; t->table[i].ref != 0; i = (i + 1) & t->mask) {
		uint32_t ref = t->table[i].ref;

		if (t->table[i].hash != hash)
			continue;
		if (ref & TCP_REF_TW) {
			struct tcp_tw *w = &t->tw[(ref & ~TCP_REF_TW) - 1];

			if (same(w->peer_ip, w->local_ip, w->peer_port, w->local_port, k)) {
				*tw = w;
				return NULL;
			}
		} else {
			struct spate_tcp_conn *c = tcp_conn_at(t, ref - 1);

			if (same(c->peer_ip, c->local_ip, c->peer_port, c->local_port, k))
				return c;
		}
	}
	return NULL;
}

void tcp_table_add(struct spate_tcp *t, uint32_t hash, uint32_t ref)
{
	uint32_t i = hash & t->mask;

	while (t->table[i].ref != 0)
		i = (i + 1) & t->mask;
	t->table[i] = (struct tcp_entry){hash, ref};
}

void tcp_table_del(struct spate_tcp *t, uint32_t hash, uint32_t ref)
{
	uint32_t i = hash & t->mask;

	while (t->table[i].ref != ref) {
		assert(t->table[i].ref != 0);
		i = (i + 1) & t->mask;
	}
	for (uint32_t j = (i + 1) & t->mask; t->table[j].ref != 0; j = (j + 1) & t->mask) {
		uint32_t home = t->table[j].hash & t->mask;

		/* j may move to the hole i unless its home lies behind the hole (cyclically). */
		if (((j - home) & t->mask) >= ((j - i) & t->mask)) {
			t->table[i] = t->table[j];
			i = j;
		}
	}
	t->table[i] = (struct tcp_entry){0, 0};
}

/* An exact address first, then any of the family (::ffff:0.0.0.0), then any at all (::). */
struct spate_tcp_listener *tcp_find_listener(struct spate_tcp *t, const struct tcp_tuple *k)
{
	static const uint8_t zero[16], any4[16] = {[10] = 0xff, [11] = 0xff};
	struct spate_tcp_listener *best = NULL;
	int rank = 0;

	for (struct spate_tcp_listener *l = t->listeners; l != NULL; l = l->next) {
		int r = 0;

		if (l->addr.port != __builtin_bswap16(k->local_port))
			continue;
		if (memcmp(l->addr.ip, k->local_ip, 16) == 0)
			r = 3;
		else if (memcmp(l->addr.ip, any4, 16) == 0 && mapped(k->local_ip))
			r = 2;
		else if (memcmp(l->addr.ip, zero, 16) == 0)
			r = 1;
		if (r > rank) {
			rank = r;
			best = l;
		}
	}
	return best;
}

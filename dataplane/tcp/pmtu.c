/* ICMP, believed only when it quotes what is in flight (RFC 5927); path MTU (RFC 1191, 8201). */
#include "dataplane/tcp/conn.h"

static struct spate_tcp_conn *quoted(struct spate_tcp *t, const uint8_t local[16],
				     const uint8_t peer[16], const uint8_t tcp[8])
{
	struct tcp_tuple k;
	struct tcp_tw *tw;
	struct spate_tcp_conn *c;
	uint32_t seq = get32(tcp + 4);

	memcpy(k.local_ip, local, 16);
	memcpy(k.peer_ip, peer, 16);
	memcpy(&k.local_port, tcp, 2);
	memcpy(&k.peer_port, tcp + 2, 2);
	c = tcp_find(t, &k, tcp_hash(t, &k), &tw);
	if (c == NULL || seq_lt(seq, c->snd_una) || !seq_lt(seq, c->snd_nxt))
		return NULL;
	return c;
}

bool spate_tcp_packet_too_big(struct spate_tcp *t, const uint8_t local[16], const uint8_t peer[16],
			      const uint8_t tcp[8], uint32_t mtu)
{
	struct spate_tcp_conn *c = quoted(t, local, peer, tcp);
	uint32_t least;

	if (c == NULL || c->txq == NULL)
		return false;
	least = c->l3_len == 40 ? TCP_MTU_MIN6 : TCP_MTU_MIN4;
	mtu = max32(mtu, least);
	if (mtu >= c->mtu)
		return false;
	c->mtu = (uint16_t)mtu;
	tcp_set_mss(c);
	tcp_count(t, SPATE_TCP_PMTU, 1);
	if (c->runs.head != NULL) {
		/* What is out was too large: again, smaller; not a sign of congestion (RFC
		 * 1191 6.4). */
		tcp_runs_lose_all(c, false);
		c->ca = CA_LOSS;
		c->recover = c->snd_nxt;
		c->flags |= F_REARM | F_PROGRESS;
		c->flags &= ~(F_TLP_OUT | F_TLP_REXMIT | F_TLP_SEND | F_UNDO);
	}
	tcp_dirty(c);
	return true;
}

bool spate_tcp_unreachable(struct spate_tcp *t, const uint8_t local[16], const uint8_t peer[16],
			   const uint8_t tcp[8], bool hard)
{
	struct spate_tcp_conn *c = quoted(t, local, peer, tcp);

	if (c == NULL)
		return false;
	/* RFC 5927 5.2: what lives is not killed by ICMP; it would time out by itself. */
	if (hard && !tcp_synced(c))
		tcp_close(c, SPATE_TCP_REFUSED);
	return true;
}

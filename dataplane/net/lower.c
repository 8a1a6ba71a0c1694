#include "dataplane/net/lower.h"

#include "dataplane/net/internal.h"

static_assert(SPATE_TCP_PATH_HEAD >= 18 + 40, "the longest headers fit");

static enum spate_tcp_path_verdict path(void *net, const uint8_t local[16], const uint8_t peer[16],
					struct spate_tcp_path *out)
{
	struct spate_net *n = net;
	struct spate_net_path p;

	if (spate_net_path(n, &p, PROTO_TCP, local, 0, peer, 0, n->now_us) != 0)
		return SPATE_TCP_PATH_NONE;
	out->txq = &n->iface[p.iface].hot.txq;
	out->mtu = p.mtu;
	out->l2_len = p.l2_len;
	out->l3_len = p.l3_len;
	memcpy(out->head, p.head, SPATE_TCP_PATH_HEAD);
	if (p.gen != 0)
		return SPATE_TCP_PATH_READY;
	return p.neigh != NEIGH_NONE && n->neigh[p.neigh].state == NEIGH_INCOMPLETE
		       ? SPATE_TCP_PATH_PENDING
		       : SPATE_TCP_PATH_NONE;
}

static bool source(void *net, const uint8_t peer[16], uint8_t local[16])
{
	struct spate_net *n = net;
	const struct route *r = spate_net_route_find(n, peer);
	const struct address *a = r != NULL ? spate_net_source(n, r->iface, peer) : NULL;

	if (a == NULL)
		return false;
	memcpy(local, a->ip, 16);
	return true;
}

static struct spate_txq *txq(void *net, unsigned i)
{
	struct spate_net *n = net;

	return i < n->nifaces ? &n->iface[i].hot.txq : NULL;
}

void spate_net_lower(struct spate_net *n, struct spate_tcp_lower *out)
{
	*out = (struct spate_tcp_lower){
		.path = path,
		.source = source,
		.txq = txq,
		.net = n,
		.epoch = &n->hot.gen,
	};
}

bool spate_net_tcp_in(struct spate_net *n, const struct spate_seg *s, uint8_t *scratch,
		      struct spate_tcp_in *in)
{
	*in = (struct spate_tcp_in){
		.src = spate_seg_src(s),
		.dst = spate_seg_dst(s),
		.seg = s->l4,
		.len = s->len,
		.v6 = !s->ip4,
		.csum_good = true,
		.ecn = s->tos & 3,
	};
	if (__builtin_expect(s->l4_near == s->len, 1))
		return true;
	struct spate_port *port = n->iface[s->iface].hot.txq.port;
	struct iovec iov[64];
	unsigned k = port->ops->rx_rest(port, s->pkt, iov, 64);
	uint32_t at = s->l4_near;

	if (k > 64 || s->len > SPATE_NET_SCRATCH)
		return false;
	memcpy(scratch, s->l4, at);
	for (unsigned i = 0; i < k && at < s->len; i++) {
		uint32_t m = s->len - at < iov[i].iov_len ? s->len - at : (uint32_t)iov[i].iov_len;

		memcpy(scratch + at, iov[i].iov_base, m);
		at += m;
	}
	in->seg = scratch;
	return at == s->len;
}

void spate_net_tcp_event(struct spate_net *n, struct spate_tcp *t, const struct spate_net_event *ev)
{
	uint8_t quoted[8];

	spate_store16(quoted, ev->lport);
	spate_store16(quoted + 2, ev->rport);
	store32(quoted + 4, ev->seq);
	if (ev->type == SPATE_NET_PMTU) {
		if (spate_tcp_packet_too_big(t, ev->local, ev->remote, quoted, ev->mtu))
			spate_net_pmtu(n, ev->remote, ev->mtu, n->now_us);
	} else {
		spate_tcp_unreachable(t, ev->local, ev->remote, quoted, ev->hard);
	}
}

/* l4.c: TCP segments and UDP datagrams, checked and handed up; UDP out. */
#include <errno.h>

#include "dataplane/net/internal.h"

void spate_seg_addrs(const struct spate_seg *s, uint8_t src[16], uint8_t dst[16])
{
	if (s->ip4) {
		map_ip4(src, s->ip + 12);
		map_ip4(dst, s->ip + 16);
	} else {
		memcpy(src, s->ip + 8, 16);
		memcpy(dst, s->ip + 24, 16);
	}
}

/* Sum over all of l4, the parts in further buffers included. */
static uint64_t sum_l4(struct spate_net *n, const struct view *v, const uint8_t *l4, uint32_t near,
		       uint32_t len)
{
	struct spate_port *port = n->iface[v->iface].hot.txq.port;
	struct iovec iov[64];
	uint64_t sum = spate_csum(l4, near), rest = 0;
	unsigned k;

	if (len == near)
		return sum;
	k = port->ops->rx_rest(port, v->pkt, iov, 64);
	if (k > 64)
		return 0; /* such a chain never comes unchecked; as wrong as any sum */
	uint32_t left = len - near;

	for (unsigned i = 0; i < k; i++) {
		if (iov[i].iov_len > left)
			iov[i].iov_len = left;
		left -= (uint32_t)iov[i].iov_len;
	}
	rest = spate_csum_iov(0, iov, k);
	return sum + (near & 1 ? spate_csum_odd(rest) : rest);
}

static bool checksum_good(struct spate_net *n, const struct view *v, uint8_t proto,
			  const uint8_t *l4, uint32_t near, uint32_t len)
{
	uint64_t sum;

	if (v->pkt->flags & SPATE_RX_L4_GOOD)
		return true;
	if (v->pkt->flags & SPATE_RX_L4_BAD)
		return false;
	if (v->ip[0] >> 4 == 4) {
		if (proto == PROTO_UDP && l4[6] == 0 && l4[7] == 0)
			return true; /* RFC 768: none was made */
		sum = spate_csum_words(v->ip + 12, 8) + __builtin_bswap16(proto) +
		      __builtin_bswap16((uint16_t)len);
	} else {
		sum = spate_net_pseudo6(v->ip + 8, v->ip + 24, proto, len);
	}
	return spate_csum_fold(sum + sum_l4(n, v, l4, near, len)) == 0xffff;
}

static bool udp_open(const struct spate_net *n, uint16_t port)
{
	for (unsigned i = 0; i < n->nudp; i++)
		if (n->udp[i] == port)
			return true;
	return false;
}

enum spate_net_verdict spate_net_l4_input(struct spate_net *n, struct view *v, uint8_t proto,
					  uint8_t *l4, uint32_t len, struct spate_net_in *in)
{
	uint32_t at = (uint32_t)(l4 - v->ip);
	uint32_t near = v->near > at ? v->near - at : 0;
	bool tcp = proto == PROTO_TCP;
	struct spate_seg *s;

	if (near < (tcp ? 20 : 8))
		return SPATE_NET_DROP_L4_SHORT;
	if (tcp) {
		uint32_t hl = (l4[12] >> 4) * 4u;

		if (hl < 20 || hl > near)
			return SPATE_NET_DROP_L4_SHORT;
		if (__builtin_expect(n->setup.exception != NULL, 0)) {
			uint16_t port = load16(l4 + 2);

			if (!(n->tcp[port / 64] >> port % 64 & 1))
				return SPATE_NET_DROP_TCP_PORT;
		}
	} else {
		uint32_t ulen = load16(l4 + 4);

		if (ulen < 8 || ulen > len)
			return SPATE_NET_DROP_L4_SHORT;
		len = ulen;
		if (near > len)
			near = len;
	}
	if (!checksum_good(n, v, proto, l4, near, len))
		return SPATE_NET_DROP_L4_CSUM;
	if (tcp) {
		s = &in->tcp[in->ntcp++];
	} else {
		if (!udp_open(n, load16(l4 + 2))) {
			if (n->setup.exception == NULL)
				spate_net_unreachable(n, v, 3, 4);
			return SPATE_NET_DROP_UDP_PORT;
		}
		s = &in->udp[in->nudp++];
	}
	bool ip4 = v->ip[0] >> 4 == 4;

	*s = (struct spate_seg){
		.pkt = v->pkt,
		.ip = v->ip,
		.l4 = l4,
		.len = len,
		.l4_near = near,
		.ip4 = ip4,
		.tos = ip4 ? v->ip[1] : (uint8_t)(v->ip[0] << 4 | v->ip[1] >> 4),
		.iface = (uint8_t)v->iface,
		.hops = v->ip[ip4 ? 8 : 7],
	};
	return tcp ? SPATE_NET_TCP : SPATE_NET_UDP;
}

int spate_net_udp_open(struct spate_net *n, uint16_t port)
{
	if (udp_open(n, port))
		return -EADDRINUSE;
	if (n->nudp == UDP_PORTS)
		return -ENOSPC;
	n->udp[n->nudp++] = port;
	return 0;
}

void spate_net_udp_close(struct spate_net *n, uint16_t port)
{
	for (unsigned i = 0; i < n->nudp; i++)
		if (n->udp[i] == port)
			n->udp[i] = n->udp[--n->nudp];
}

int spate_net_udp_send(struct spate_net *n, struct spate_net_path *p, const void *payload,
		       size_t len)
{
	uint32_t l4_len = 8;

	if (p->l3_len + 8u + len > p->mtu)
		return -EMSGSIZE;
	struct spate_pkt_tx *tx = spate_net_begin(n, p);

	if (tx == NULL)
		return -EAGAIN;
	uint8_t *udp = spate_net_l4(tx);

	spate_store16(udp + 4, (uint16_t)(8 + len));
	if (tx->l2_len + tx->l3_len + 8u + len <= SPATE_PKT_HEAD) {
		memcpy(udp + 8, payload, len);
		l4_len += (uint32_t)len;
	} else {
		tx->frag[0] = (struct iovec){(void *)(uintptr_t)payload, len};
		tx->nfrags = 1;
		tx->frag_len = (uint32_t)len;
	}
	spate_net_send(n, p, tx, l4_len, SPATE_UDP_CSUM_AT, 0, 0);
	return 0;
}

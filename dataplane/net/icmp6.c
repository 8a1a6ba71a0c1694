/*
 * icmp6.c: ICMPv6 (RFC 4443, RFC 8201): echo, errors, and where neighbour and router discovery
 * and MLD branch off.
 */
#include "dataplane/net/internal.h"

#define UNREACHABLE  1
#define TOO_BIG      2
#define ECHO_REQUEST 128
#define ECHO_REPLY   129
#define MLD_QUERY    130
#define RS           133
#define RA           134
#define NS           135
#define NA           136
#define REDIRECT     137

static enum spate_net_verdict error_input(struct spate_net *n, const uint8_t *icmp, uint32_t len,
					  struct spate_net_in *in)
{
	const uint8_t *quote = icmp + 8;
	struct spate_net_event ev = {.type = SPATE_NET_UNREACHABLE,
				     .hard = icmp[1] == 1 || icmp[1] == 4};

	/* What we send has no extension headers, so TCP follows at once. */
	if (len < 8 + 48 || quote[0] >> 4 != 6 || quote[6] != PROTO_TCP)
		return SPATE_NET_DROP_ICMP_QUOTE;
	memcpy(ev.local, quote + 8, 16);
	memcpy(ev.remote, quote + 24, 16);
	if (!spate_net_local(n, ev.local))
		return SPATE_NET_DROP_ICMP_QUOTE;
	ev.lport = load16(quote + 40);
	ev.rport = load16(quote + 42);
	ev.seq = load32(quote + 44);
	if (icmp[0] == TOO_BIG) {
		ev.type = SPATE_NET_PMTU;
		ev.mtu = load32(icmp + 4);
		if (ev.mtu < 1280)
			return SPATE_NET_DROP_ICMP; /* RFC 8201 4: no link is smaller */
	}
	spate_net_event(n, in, &ev);
	return SPATE_NET_ICMP_EVENT;
}

static enum spate_net_verdict echo(struct spate_net *n, const struct view *v, const uint8_t *icmp,
				   uint32_t len)
{
	const uint8_t *src = v->ip + 24;

	if (len > SCRATCH_BYTES || len + 40 > n->iface[v->iface].mtu6 || ip_is_zero(v->ip + 8))
		return SPATE_NET_DROP_ICMP;
	if (!spate_net_bucket_take(&n->icmp, n->now_us))
		return SPATE_NET_DROP_ICMP_RATE;
	if (src[0] == 0xff) { /* to a group: answered from an address of ours (4.2) */
		const struct address *a = spate_net_source(n, v->iface, v->ip + 8);

		if (a == NULL)
			return SPATE_NET_DROP_ICMP;
		src = a->ip;
	}
	struct spate_pkt_tx *tx = spate_net_frame(n, v->iface, v->eth + 6, ETH_IP6);

	if (tx == NULL)
		return SPATE_NET_ECHO;
	uint8_t *out = tx->head + tx->l2_len, *reply = out + 40;
	uint16_t csum;

	spate_net_ip6_header(out, PROTO_ICMP6, 64, src, v->ip + 8, len);
	memcpy(reply, icmp, 8);
	reply[0] = ECHO_REPLY;
	memset(reply + 2, 0, 2);
	csum = (uint16_t)~spate_csum_fold(spate_net_pseudo6(out + 8, out + 24, PROTO_ICMP6, len) +
					  spate_csum_words(reply, 8) +
					  spate_csum(icmp + 8, len - 8));
	memcpy(reply + 2, &csum, 2);
	spate_net_copy_tail(n, tx, 40 + 8, icmp + 8, len - 8);
	spate_net_frame_send(n, v->iface, tx);
	return SPATE_NET_ECHO;
}

enum spate_net_verdict spate_net_icmp6_input(struct spate_net *n, const struct view *v,
					     uint8_t *icmp, uint32_t len, struct spate_net_in *in)
{
	if (len < 8 || v->near != v->len)
		return SPATE_NET_DROP_ICMP;
	if (spate_csum_fold(spate_net_pseudo6(v->ip + 8, v->ip + 24, PROTO_ICMP6, len) +
			    spate_csum(icmp, len)) != 0xffff)
		return SPATE_NET_DROP_ICMP_CSUM;
	/* Discovery never comes in fragments (RFC 6980). */
	if (v->fragment && icmp[0] >= RS && icmp[0] <= REDIRECT)
		return SPATE_NET_DROP_ND;
	switch (icmp[0]) {
	case ECHO_REQUEST:
		if (spate_net_odd_source(n, v->ip + 8))
			return SPATE_NET_DROP_IP_SOURCE;
		return icmp[1] == 0 ? echo(n, v, icmp, len) : SPATE_NET_DROP_ICMP;
	case UNREACHABLE:
	case TOO_BIG:
		return error_input(n, icmp, len, in);
	case NS:
	case NA:
		return spate_net_nd_input(n, v, icmp, len);
	case RA:
		return spate_net_router_input(n, v, icmp, len);
	case MLD_QUERY:
		return spate_net_mld_query(n, v, icmp, len);
	default:
		return SPATE_NET_DROP_ICMP; /* redirects are not followed */
	}
}

/* icmp4.c: ICMP (RFC 792, RFC 1122 3.2.2, RFC 1191): echo, errors in and out. */
#include "dataplane/net/internal.h"

#define ECHO_REPLY   0
#define UNREACHABLE  3
#define ECHO_REQUEST 8
#define FRAG_NEEDED  4 /* code of UNREACHABLE */

#define UNREACHABLE6    1 /* RFC 4443 3.1 */
#define PROBLEM6        4 /* 3.4 */
#define UNKNOWN_HEADER6 1 /* code of it */
#define MTU6_MIN        1280

/* RFC 1191 7.1: when a router does not say its MTU, the next plateau below what was too big. */
static uint32_t plateau(uint32_t len)
{
	static const uint16_t table[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68};

	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i] < len)
			return table[i];
	return 68;
}

/* An error about something of ours, we are told: quote is an IP header and at least 8 bytes. */
static enum spate_net_verdict error_input(struct spate_net *n, const uint8_t *icmp, uint32_t len,
					  struct spate_net_in *in)
{
	const uint8_t *quote = icmp + 8;
	struct spate_net_event ev = {.type = SPATE_NET_UNREACHABLE,
				     .hard = icmp[1] == 2 || icmp[1] == 3 || icmp[1] == 13};
	uint32_t hl;

	if (len < 8 + 28)
		return SPATE_NET_DROP_ICMP_QUOTE;
	hl = (quote[0] & 0xfu) * 4;
	if (quote[0] >> 4 != 4 || hl < 20 || len < 8 + hl + 8 || quote[9] != PROTO_TCP ||
	    (load16(quote + 6) & 0x1fff) != 0)
		return SPATE_NET_DROP_ICMP_QUOTE;
	map_ip4(ev.local, quote + 12);
	map_ip4(ev.remote, quote + 16);
	if (!spate_net_local(n, ev.local))
		return SPATE_NET_DROP_ICMP_QUOTE;
	ev.lport = load16(quote + hl);
	ev.rport = load16(quote + hl + 2);
	ev.seq = load32(quote + hl + 4);
	if (icmp[1] == FRAG_NEEDED) {
		ev.type = SPATE_NET_PMTU;
		ev.mtu = load16(icmp + 6);
		if (ev.mtu == 0)
			ev.mtu = plateau(load16(quote + 2));
		if (ev.mtu < 68)
			ev.mtu = 68;
	}
	spate_net_event(n, in, &ev);
	return SPATE_NET_ICMP_EVENT;
}

static enum spate_net_verdict echo(struct spate_net *n, const struct view *v, const uint8_t *icmp,
				   uint32_t len)
{
	const uint8_t *ip = v->ip;

	if (len > SCRATCH_BYTES || len + 20 > n->iface[v->iface].mtu)
		return SPATE_NET_DROP_ICMP;
	if (!spate_net_bucket_take(&n->icmp, n->now_us))
		return SPATE_NET_DROP_ICMP_RATE;
	struct spate_pkt_tx *tx = spate_net_frame(n, v->iface, v->eth + 6, ETH_IP4);

	if (tx == NULL)
		return SPATE_NET_ECHO;
	uint8_t *out = tx->head + tx->l2_len, *reply = out + 20;
	uint16_t csum;

	/*
	 * The reply goes back the way the request came; no neighbour is asked, no route looked
	 * up.
	 */
	spate_net_ip4_header(n, out, PROTO_ICMP, ip + 16, ip + 12, len);
	memcpy(reply, icmp, 8);
	reply[0] = ECHO_REPLY;
	/*
	 * Type 8 became 0: the sum is 0x0800 less, so its complement is that much more (RFC
	 * 1624).
	 */
	memcpy(&csum, icmp + 2, 2);
	csum = spate_csum_fold((uint64_t)csum + __builtin_bswap16(0x0800));
	memcpy(reply + 2, &csum, 2);
	spate_net_copy_tail(n, tx, 20 + 8, icmp + 8, len - 8);
	spate_net_frame_send(n, v->iface, tx);
	return SPATE_NET_ECHO;
}

enum spate_net_verdict spate_net_icmp4_input(struct spate_net *n, const struct view *v,
					     uint8_t *icmp, uint32_t len, struct spate_net_in *in)
{
	if (len < 8 || v->near != v->len)
		return SPATE_NET_DROP_ICMP;
	if (spate_csum_fold(spate_csum(icmp, len)) != 0xffff)
		return SPATE_NET_DROP_ICMP_CSUM;
	if (icmp[0] == ECHO_REQUEST && icmp[1] == 0)
		return echo(n, v, icmp, len);
	if (icmp[0] == UNREACHABLE)
		return error_input(n, icmp, len, in);
	return SPATE_NET_DROP_ICMP; /* redirects and source quench are not believed (RFC 6633) */
}

/*
 * An ICMP error about v. It quotes, of what lies in the packet's first buffer, the IP header and 8
 * bytes (RFC 792), over IPv6 what goes into the least MTU (RFC 4443 2.4 (c)).
 */
static void send_error(struct spate_net *n, const struct view *v, uint8_t type, uint8_t code,
		       uint32_t word)
{
	bool ip4 = v->ip[0] >> 4 == 4;
	uint32_t quote = ip4 ? (v->ip[0] & 0xfu) * 4 + 8 : MTU6_MIN - 40 - 8;
	uint64_t pseudo = 0;
	uint16_t csum;

	if (v->multicast)
		return;
	if (quote > v->near)
		quote = v->near;
	if (!spate_net_bucket_take(&n->icmp, n->now_us)) {
		drop(n, SPATE_NET_DROP_ICMP_RATE);
		return;
	}
	struct spate_pkt_tx *tx = spate_net_frame(n, v->iface, v->eth + 6, ip4 ? ETH_IP4 : ETH_IP6);

	if (tx == NULL)
		return;
	uint8_t *ip = tx->head + tx->l2_len, *icmp = ip + (ip4 ? 20 : 40);

	if (ip4) {
		spate_net_ip4_header(n, ip, PROTO_ICMP, v->ip + 16, v->ip + 12, 8 + quote);
	} else {
		spate_net_ip6_header(ip, PROTO_ICMP6, 64, v->ip + 24, v->ip + 8, 8 + quote);
		pseudo = spate_net_pseudo6(ip + 8, ip + 24, PROTO_ICMP6, 8 + quote);
	}
	icmp[0] = type;
	icmp[1] = code;
	memset(icmp + 2, 0, 2);
	store32(icmp + 4, word);
	csum = (uint16_t)~spate_csum_fold(pseudo + spate_csum_words(icmp, 8) +
					  spate_csum(v->ip, quote));
	memcpy(icmp + 2, &csum, 2);
	spate_net_copy_tail(n, tx, (ip4 ? 20 : 40) + 8, v->ip, quote);
	spate_net_frame_send(n, v->iface, tx);
}

/* code4 0xff, code6 0xff: not for that family. */
void spate_net_unreachable(struct spate_net *n, const struct view *v, uint8_t code4, uint8_t code6)
{
	bool ip4 = v->ip[0] >> 4 == 4;

	if ((ip4 ? code4 : code6) != 0xff)
		send_error(n, v, ip4 ? UNREACHABLE : UNREACHABLE6, ip4 ? code4 : code6, 0);
}

void spate_net_unknown_header(struct spate_net *n, const struct view *v, uint32_t at)
{
	send_error(n, v, PROBLEM6, UNKNOWN_HEADER6, at);
}

void spate_net_copy_tail(struct spate_net *n, struct spate_pkt_tx *tx, uint32_t after,
			 const uint8_t *bytes, uint32_t len)
{
	tx->head_len = (uint16_t)(tx->l2_len + after);
	if (tx->head_len + len <= SPATE_PKT_HEAD) {
		memcpy(tx->head + tx->head_len, bytes, len);
		tx->head_len = (uint16_t)(tx->head_len + len);
		return;
	}
	uint8_t *slot = n->scratch[n->scratch_at++ % SCRATCH_SLOTS];

	memcpy(slot, bytes, len);
	tx->frag[0] = (struct iovec){slot, len};
	tx->nfrags = 1;
	tx->frag_len = len;
}

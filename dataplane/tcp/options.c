/* Parsing a segment: header, checksum, options (RFC 9293 3.1 and 3.2, RFC 7323, RFC 2018). */
#include "dataplane/tcp/conn.h"
#include "dataplane/tcp/csum.h"

#define OPT_END       0
#define OPT_NOP       1
#define OPT_MSS       2
#define OPT_WSCALE    3
#define OPT_SACK_OK   4
#define OPT_SACK      5
#define OPT_TIMESTAMP 8

/* What a peer that knows timestamps puts on nearly every segment: NOP NOP TS. */
static bool only_timestamp(const uint8_t *p, unsigned n, struct tcp_seg *s)
{
	if (n != 12 || get32(p) != 0x0101080a)
		return false;
	s->has_ts = true;
	s->tsval = get32(p + 4);
	s->tsecr = get32(p + 8);
	return true;
}

static bool parse_options(const uint8_t *p, unsigned n, struct tcp_seg *s)
{
	while (n > 0) {
		unsigned kind = p[0], len;

		if (kind == OPT_END)
			return true;
		if (kind == OPT_NOP) {
			p++;
			n--;
			continue;
		}
		if (n < 2 || (len = p[1]) < 2 || len > n)
			return false;
		/* An option of a known kind and wrong length is passed over, as an unknown one. */
		if (kind == OPT_MSS && len == 4) {
			s->mss = get16(p + 2);
		} else if (kind == OPT_WSCALE && len == 3) {
			s->wscale = p[2] > 14 ? 14 : p[2];
		} else if (kind == OPT_SACK_OK && len == 2) {
			s->sack_ok = true;
		} else if (kind == OPT_TIMESTAMP && len == 10) {
			s->has_ts = true;
			s->tsval = get32(p + 2);
			s->tsecr = get32(p + 6);
		} else if (kind == OPT_SACK && len >= 10 && (len - 2) % 8 == 0) {
			for (unsigned i = 2; i < len && s->nsack < TCP_SACK_MAX; i += 8) {
				s->sack[s->nsack][0] = get32(p + i);
				s->sack[s->nsack][1] = get32(p + i + 4);
				s->nsack++;
			}
		}
		p += len;
		n -= len;
	}
	return true;
}

static void take_address(uint8_t to[16], const uint8_t *from, bool v6)
{
	if (v6) {
		memcpy(to, from, 16);
	} else {
		memset(to, 0, 10);
		to[10] = to[11] = 0xff;
		memcpy(to + 12, from, 4);
	}
}

enum spate_tcp_verdict tcp_parse(struct spate_tcp *t, const struct spate_tcp_in *in,
				 struct tcp_seg *s)
{
	const uint8_t *h = in->seg;

	if (in->len < 20)
		return SPATE_TCP_DROP_SHORT;
	unsigned head = (unsigned)(h[12] >> 4) * 4;

	if (head < 20 || head > in->len)
		return SPATE_TCP_DROP_SHORT;
	if (!in->csum_good && !tcp_csum_good(in))
		return SPATE_TCP_DROP_CHECKSUM;
	s->in = in;
	take_address(s->key.local_ip, in->dst, in->v6);
	take_address(s->key.peer_ip, in->src, in->v6);
	memcpy(&s->key.peer_port, h, 2);
	memcpy(&s->key.local_port, h + 2, 2);
	s->seq = get32(h + 4);
	s->ack = get32(h + 8);
	s->flags = h[13];
	s->wnd = get16(h + 14);
	s->data = h + head;
	s->len = in->len - head;
	s->end = s->seq + s->len + ((s->flags & TCP_SYN) != 0) + ((s->flags & TCP_FIN) != 0);
	s->mss = 0;
	s->nsack = 0;
	s->wscale = 0xff;
	s->has_ts = s->sack_ok = false;
	s->tsval = s->tsecr = 0;
	s->ecn = in->ecn;
	if (s->key.peer_port == 0 || s->key.local_port == 0 ||
	    (s->key.peer_port == s->key.local_port &&
	     memcmp(s->key.peer_ip, s->key.local_ip, 16) == 0))
		return SPATE_TCP_DROP_BAD_ADDRESS;
	if ((s->flags & TCP_SYN) && (s->flags & (TCP_FIN | TCP_RST)))
		return SPATE_TCP_DROP_BAD_FLAGS;
	if (head > 20 && !only_timestamp(h + 20, head - 20, s) &&
	    !parse_options(h + 20, head - 20, s))
		return SPATE_TCP_DROP_BAD_OPTION;
	return SPATE_TCP_OK;
}

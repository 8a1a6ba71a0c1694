#include "dataplane/port/soft.h"

#include <string.h>

#include "dataplane/net/checksum.h"

#define TCP_FIN_PSH 0x09
#define TCP_CWR     0x80

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put_csum(uint8_t *field, uint64_t sum, bool udp)
{
	uint16_t c = (uint16_t)~spate_csum_fold(sum);

	if (udp && c == 0)
		c = 0xffff; /* RFC 768: 0 means none */
	memcpy(field, &c, 2);
}

void spate_soft_csum(struct spate_pkt_tx *tx, uint32_t offloads)
{
	uint8_t *ip = tx->head + tx->l2_len;
	uint8_t todo = tx->flags & (uint8_t)~offloads;

	if (todo & SPATE_TX_IP_CSUM) {
		put_csum(ip + 10, spate_csum_plain(ip, tx->l3_len), false);
		tx->flags &= (uint8_t)~SPATE_TX_IP_CSUM;
	}
	if (todo & SPATE_TX_L4_CSUM) {
		uint8_t *l4 = ip + tx->l3_len;
		bool udp = tx->flags & SPATE_TX_UDP;
		/* The field holds the pseudo-header sum, so summing over it includes that. */
		uint32_t near = tx->head_len - tx->l2_len - tx->l3_len;
		uint64_t sum = spate_csum_plain(l4, near);
		uint64_t frags = spate_csum_iov(0, tx->frag, tx->nfrags);

		sum += near & 1 ? spate_csum_odd(frags) : frags;
		put_csum(l4 + (udp ? 6 : 16), sum, udp);
		tx->flags &= (uint8_t)~SPATE_TX_L4_CSUM;
	}
}

size_t spate_soft_gather(const struct spate_pkt_tx *tx, uint8_t *dst)
{
	uint8_t *p = dst;

	memcpy(p, tx->head, tx->head_len);
	p += tx->head_len;
	for (unsigned i = 0; i < tx->nfrags; i++) {
		memcpy(p, tx->frag[i].iov_base, tx->frag[i].iov_len);
		p += tx->frag[i].iov_len;
	}
	return (size_t)(p - dst);
}

/* Payload bytes [from, from + len) of the frags. */
static void copy_frags(const struct spate_pkt_tx *tx, uint32_t from, uint32_t len, uint8_t *dst)
{
	for (unsigned i = 0; i < tx->nfrags && len != 0; i++) {
		size_t have = tx->frag[i].iov_len;

		if (from >= have) {
			from -= (uint32_t)have;
			continue;
		}
		size_t n = have - from < len ? have - from : len;

		memcpy(dst, (const uint8_t *)tx->frag[i].iov_base + from, n);
		dst += n;
		len -= (uint32_t)n;
		from = 0;
	}
}

size_t spate_soft_cut(const struct spate_pkt_tx *tx, unsigned i, uint8_t *dst, bool csum)
{
	uint32_t off = i * tx->tso_mss;
	uint32_t hl = tx->head_len, l4_len = tx->l4_len;

	if (off >= tx->frag_len && i != 0)
		return 0;
	uint32_t len = tx->frag_len - off < tx->tso_mss ? tx->frag_len - off : tx->tso_mss;
	bool last = off + len == tx->frag_len;
	uint8_t *ip = dst + tx->l2_len, *l4 = ip + tx->l3_len;
	uint32_t seq;

	memcpy(dst, tx->head, hl);
	copy_frags(tx, off, len, dst + hl);
	memcpy(&seq, l4 + 4, 4);
	seq = __builtin_bswap32(__builtin_bswap32(seq) + off);
	memcpy(l4 + 4, &seq, 4);
	if (!last)
		l4[13] &= (uint8_t)~TCP_FIN_PSH;
	if (i != 0)
		l4[13] &= (uint8_t)~TCP_CWR; /* RFC 3168 6.1.2: once a window reduction */
	uint16_t l4_total = __builtin_bswap16((uint16_t)(l4_len + len));

	if (tx->flags & SPATE_TX_IP4) {
		put16(ip + 2, tx->l3_len + l4_len + len);
		put16(ip + 4, ((uint32_t)ip[4] << 8 | ip[5]) + i);
		memset(ip + 10, 0, 2);
		put_csum(ip + 10, spate_csum_plain(ip, tx->l3_len), false);
	} else {
		put16(ip + 4, l4_len + len);
	}
	/* The pseudo-header sum in the field lacks the length. */
	if (csum)
		put_csum(l4 + 16, spate_csum(l4, l4_len + len) + l4_total, false);
	return hl + len;
}

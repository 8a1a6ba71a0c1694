#include "host.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/tcp/csum.h"
#include "spate/stats.h"

void host_addr(unsigned id, bool v6, uint16_t port, struct spate_addr *out)
{
	*out = (struct spate_addr){.port = port};
	if (v6) {
		out->ip[0] = 0xfd;
	} else {
		out->ip[10] = out->ip[11] = 0xff;
		out->ip[12] = 10;
	}
	out->ip[15] = (uint8_t)id;
}

static void put_headers(uint8_t *p, const uint8_t local[16], const uint8_t peer[16], bool v6)
{
	memset(p, 0, 60);
	p[0] = p[6] = 2;
	p[5] = peer[15];
	p[11] = local[15];
	if (v6) {
		p[12] = 0x86;
		p[13] = 0xdd;
		p[14] = 0x60;
		p[20] = 6;
		p[21] = 64;
		memcpy(p + 22, local, 16);
		memcpy(p + 38, peer, 16);
	} else {
		p[12] = 0x08;
		p[14] = 0x45;
		p[20] = 0x40;
		p[22] = 64;
		p[23] = 6;
		memcpy(p + 26, local + 12, 4);
		memcpy(p + 30, peer + 12, 4);
	}
}

static enum spate_tcp_path_verdict path(void *net, const uint8_t local[16], const uint8_t peer[16],
					struct spate_tcp_path *out)
{
	struct host *h = net;
	bool v6 = local[0] == 0xfd;

	if (h->no_path)
		return SPATE_TCP_PATH_PENDING;
	out->txq = h->detour ? &h->txq2 : &h->txq;
	out->mtu = h->pmtu;
	out->l2_len = 14;
	out->l3_len = v6 ? 40 : 20;
	put_headers(out->head, local, peer, v6);
	return SPATE_TCP_PATH_READY;
}

static bool source(void *net, const uint8_t peer[16], uint8_t local[16])
{
	struct host *h = net;
	struct spate_addr a;

	host_addr(h->id, peer[0] == 0xfd, 0, &a);
	memcpy(local, a.ip, 16);
	return true;
}

static struct spate_txq *txq(void *net, unsigned i)
{
	struct host *h = net;

	return i == 0 ? &h->txq : i == 1 ? &h->txq2 : NULL;
}

void host_init(struct host *h, const struct host_setup *s)
{
	struct spate_mem_setup mem = {
		.mac = {2, 0, 0, 0, 0, (uint8_t)s->id},
		.mtu = s->mtu,
		.tso_max = s->tso ? 61440 : 0,
		.tx_offloads = 0,
		.tx_packets = 2048,
		.rx_packets = 2,
	};
	struct spate_tcp_lower lower = {
		.path = path, .source = source, .txq = txq, .net = h, .epoch = &h->epoch};

	memset(h, 0, sizeof *h);
	h->id = s->id;
	h->pmtu = s->mtu;
	if (spate_mem_open(&h->port, &mem) != 0 || spate_mem_open(&h->port2, &mem) != 0)
		abort();
	spate_txq_init(&h->txq, &h->port, 0);
	spate_txq_init(&h->txq2, &h->port2, 0);
	spate_pool_init(&h->bytes_pool, SPATE_SENDQ_NODE_BYTES, 1 << 16);
	spate_pool_init(&h->range_pool, 64, 1 << 16);
	h->env = (struct spate_sendq_env){s->cache, s->reader, &h->bytes_pool, &h->range_pool};
	if (posix_memalign((void **)&h->stats, 64, sizeof *h->stats) != 0)
		abort();
	memset(h->stats, 0, sizeof *h->stats);
	if (spate_tcp_create(&h->t, &s->tcp, &lower, &h->env, h->stats) != 0)
		abort();
}

void host_finish(struct host *h)
{
	spate_tcp_destroy(h->t);
	spate_txq_finish(&h->txq);
	spate_txq_finish(&h->txq2);
	uint8_t frame[HOST_FRAME_MAX];

	while (host_take(h, frame) != 0)
		;
	assert(spate_mem_idle(&h->port) && spate_mem_idle(&h->port2));
	h->port.ops->close(&h->port);
	h->port2.ops->close(&h->port2);
	spate_pool_finish(&h->bytes_pool);
	spate_pool_finish(&h->range_pool);
	free(h->stats);
}

void host_path_changed(struct host *h)
{
	h->epoch++;
}

void host_clock(struct host *h, uint64_t now_us)
{
	spate_tcp_clock(h->t, now_us);
}

const uint8_t *host_tcp_of(const uint8_t *f, size_t len, size_t *tcp_len, bool *v6, uint8_t *ecn)
{
	size_t l3, ip_len;

	if (len < 34)
		return NULL;
	*v6 = f[12] == 0x86;
	if (*v6) {
		if (len < 54 || f[20] != 6)
			return NULL;
		l3 = 40;
		ip_len = 40u + ((size_t)f[18] << 8 | f[19]);
		*ecn = f[15] >> 4 & 3;
	} else {
		if (f[14] != 0x45 || f[23] != 6 || csum_fold(csum_add(0, f + 14, 20)) != 0xffff)
			return NULL;
		l3 = 20;
		ip_len = (size_t)f[16] << 8 | f[17];
		*ecn = f[15] & 3;
	}
	if (ip_len < l3 || 14 + ip_len > len)
		return NULL;
	*tcp_len = ip_len - l3;
	return f + 14 + l3;
}

bool host_segment(const struct host *h, const uint8_t *frame, size_t len, struct spate_tcp_in *in)
{
	size_t tcp_len;

	*in = (struct spate_tcp_in){0};
	in->seg = host_tcp_of(frame, len, &tcp_len, &in->v6, &in->ecn);
	if (in->seg == NULL || frame[5] != h->id)
		return false;
	in->len = (uint32_t)tcp_len;
	in->src = frame + (in->v6 ? 22 : 26);
	in->dst = frame + (in->v6 ? 38 : 30);
	return true;
}

enum spate_tcp_verdict host_input(struct host *h, const uint8_t *frame, size_t len)
{
	struct spate_tcp_in in;

	h->last = SPATE_TCP_DROP_CHECKSUM;
	if (host_segment(h, frame, len, &in))
		h->last = spate_tcp_input(h->t, &in);
	return h->last;
}

void host_too_big(struct host *h, const uint8_t *frame, uint16_t mtu)
{
	struct spate_addr local, peer;
	bool v6 = frame[12] == 0x86;

	host_addr(frame[11], v6, 0, &local);
	host_addr(frame[5], v6, 0, &peer);
	if (spate_tcp_packet_too_big(h->t, local.ip, peer.ip, frame + 14 + (v6 ? 40 : 20), mtu)) {
		h->pmtu = mtu;
		h->epoch++;
	}
}

void host_flush(struct host *h)
{
	spate_tcp_flush(h->t);
	spate_txq_flush(&h->txq);
	spate_txq_flush(&h->txq2);
}

size_t host_take(struct host *h, uint8_t *frame)
{
	size_t n = spate_mem_take(&h->port, frame, HOST_FRAME_MAX);

	return n != 0 ? n : spate_mem_take(&h->port2, frame, HOST_FRAME_MAX);
}

size_t host_frame(uint8_t *f, unsigned from, unsigned to, bool v6, uint8_t ecn, const uint8_t *seg,
		  size_t len)
{
	struct spate_addr src, dst;
	size_t l3 = v6 ? 40 : 20;
	uint64_t sum;
	uint16_t folded;

	host_addr(from, v6, 0, &src);
	host_addr(to, v6, 0, &dst);
	put_headers(f, src.ip, dst.ip, v6);
	if (v6) {
		f[18] = (uint8_t)(len >> 8);
		f[19] = (uint8_t)len;
		f[15] |= (uint8_t)(ecn << 4);
	} else {
		f[16] = (uint8_t)((len + 20) >> 8);
		f[17] = (uint8_t)(len + 20);
		f[15] |= ecn;
		folded = (uint16_t)~csum_fold(csum_add(0, f + 14, 20));
		memcpy(f + 24, &folded, 2);
	}
	memmove(f + 14 + l3, seg, len);
	memset(f + 14 + l3 + 16, 0, 2);
	sum = csum_pseudo(f + (v6 ? 22 : 26), f + (v6 ? 38 : 30), v6);
	sum += __builtin_bswap16((uint16_t)len);
	folded = (uint16_t)~csum_fold(csum_add(sum, f + 14 + l3, len));
	memcpy(f + 14 + l3 + 16, &folded, 2);
	return 14 + l3 + len;
}

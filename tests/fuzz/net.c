/*
 * Frames from the wire into net/: ethernet, VLAN, ARP, IPv4, IPv6, ND, ICMP, UDP. State lives
 * through one input (the neighbour table, routers, rate limits), time is the fuzzer's, and at the
 * end every buffer must be back.
 *
 * Input: records of: 1 byte of what to do, then for a frame 2 bytes of length and the frame.
 *   0x00-0x7f  a frame arrives; bit 0: its checksums are made right, to reach the deeper parts
 *   0x80-0xbf  time passes: the low six bits times 100 ms
 *   0xc0-0xff  something of ours is sent to one of four peers, bit 4: behind a router
 */
#include <stdlib.h>

#include "check.h"
#include "dataplane/net/net.h"
#include "dataplane/port/mem.h"

static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_ip4(uint8_t ip[16], uint8_t last)
{
	memset(ip, 0, 16);
	ip[10] = ip[11] = 0xff;
	ip[12] = 10;
	ip[15] = last;
}

static void put_ip6(uint8_t ip[16], uint8_t last)
{
	memset(ip, 0, 16);
	ip[0] = 0xfd;
	ip[15] = last;
}

/*
 * Makes the checksums of an IPv4 or IPv6 frame without extension headers right, as far as its
 * lengths allow.
 */
static void fix(uint8_t *f, size_t n)
{
	uint8_t *ip = f + 14, *l4;
	uint64_t sum = 0;
	size_t hl, len, at;
	uint8_t proto;
	uint16_t c;
	bool ip4;

	if (n < 34)
		return;
	ip4 = ip[0] >> 4 == 4;
	hl = ip4 ? (ip[0] & 15u) * 4 : 40;
	if (hl < 20 || n < 14 + hl + 8)
		return;
	len = ip4 ? (size_t)(ip[2] << 8 | ip[3]) - hl : (size_t)(ip[4] << 8 | ip[5]);
	if (len < 8 || len > n - 14 - hl)
		return;
	l4 = ip + hl;
	proto = ip4 ? ip[9] : ip[6];
	at = proto == 6 ? 16 : proto == 17 ? 6 : 2;
	if (ip4) {
		memset(ip + 10, 0, 2);
		c = (uint16_t)~spate_csum_fold(spate_csum_plain(ip, hl));
		memcpy(ip + 10, &c, 2);
	}
	if (at + 2 > len)
		return;
	if (proto != 1)
		sum = spate_csum_plain(ip + (ip4 ? 12 : 8), ip4 ? 8 : 32) +
		      __builtin_bswap16(proto) + __builtin_bswap16((uint16_t)len);
	memset(l4 + at, 0, 2);
	c = (uint16_t)~spate_csum_fold(sum + spate_csum_plain(l4, len));
	memcpy(l4 + at, &c, 2);
}

static void turn(struct spate_port *port, struct spate_net *net, uint64_t now,
		 struct spate_net_in *in)
{
	struct spate_pkt_rx pkts[SPATE_BURST];
	uint8_t sink[2048];
	unsigned n = port->ops->rx(port, 0, pkts, SPATE_BURST);

	spate_net_rx(net, 0, pkts, n, now, in);
	/* What is handed up lies within its packet. */
	for (unsigned i = 0; i < in->ntcp + in->nudp; i++) {
		const struct spate_seg *s = i < in->ntcp ? &in->tcp[i] : &in->udp[i - in->ntcp];

		CHECK(s->l4 >= s->pkt->data && s->l4 + s->l4_near <= s->pkt->data + s->pkt->len);
		CHECK(s->l4_near <= s->len && s->l4_near >= 8);
	}
	spate_net_tick(net, now, in);
	spate_net_flush(net);
	port->ops->rx_free(port, 0, pkts, n);
	while (spate_mem_take(port, sink, sizeof(sink)) != 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spate_mem_setup ms = {.tx_packets = 64, .rx_packets = 64};
	struct spate_net_setup ns = {.seed = 1};
	struct spate_net_iface_setup is = {.routers = true};
	static struct spate_net_in in;
	static uint8_t frame[2048];
	uint8_t ip[16], any[16] = {0}, sink[2048];
	struct spate_port port;
	struct spate_net *net;
	uint64_t now = 1000000;

	memcpy(ms.mac, mac, 6);
	if (spate_mem_open(&port, &ms) != 0)
		return 0;
	net = spate_net_create(&ns);
	is.port = &port;
	CHECK(spate_net_add_iface(net, &is) == 0);
	put_ip4(ip, 1);
	CHECK(spate_net_add_address(net, 0, ip, 24) == 0);
	put_ip6(ip, 1);
	CHECK(spate_net_add_address(net, 0, ip, 64) == 0);
	CHECK(spate_net_udp_open(net, 7) == 0);
	while (size != 0) {
		uint8_t op = *data++;

		size--;
		if (op < 0x80) {
			if (size < 2)
				break;
			size_t n = (size_t)(data[0] << 8 | data[1]) % 1514;

			data += 2;
			size -= 2;
			if (n > size)
				n = size;
			memcpy(frame, data, n);
			data += n;
			size -= n;
			/* The filter of the device is not what is tested. */
			if (n >= 6 && !(frame[0] & 1))
				memcpy(frame, mac, 6);
			if (op & 1)
				fix(frame, n);
			CHECK(spate_mem_give(&port, frame, n));
		} else if (op < 0xc0) {
			now += (op & 63u) * 100000u;
		} else {
			struct spate_net_path p;

			(op & 4 ? put_ip6 : put_ip4)(ip, (uint8_t)(2 + (op & 3)));
			ip[7] = op & 16 && op & 4;
			if (spate_net_path(net, &p, 17, any, 7, ip, 9, now) == 0)
				spate_net_udp_send(net, &p, frame, op & 8 ? 10 : 1000);
		}
		turn(&port, net, now, &in);
	}
	spate_net_destroy(net);
	while (spate_mem_take(&port, sink, sizeof(sink)) != 0)
		;
	CHECK(spate_mem_idle(&port));
	port.ops->close(&port);
	return 0;
}

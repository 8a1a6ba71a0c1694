/*
 * world.h: one stack at 10.0.0.1/24 and fd00::1/64 (or two, wired) over the memory port, and
 * hand-made frames. Every helper is static inline so that each test file is one program.
 */
#ifndef TEST_NET_WORLD_H
#define TEST_NET_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include <cmocka.h>

#include "dataplane/net/net.h"
#include "dataplane/port/mem.h"

static const uint8_t mac_us[6] = {2, 0, 0, 0, 0, 1}, mac_peer[6] = {2, 0, 0, 0, 0, 2},
		     mac_all[6] = {255, 255, 255, 255, 255, 255};

struct host {
	struct spate_port port;
	struct spate_net *net;
	struct spate_net_in in;
	struct spate_pkt_rx pkts[SPATE_BURST];
	uint64_t now_us;
	uint8_t out[65536]; /* the last frame taken */
	size_t out_len;
};

static inline void ip_of(const char *text, uint8_t ip[16])
{
	memset(ip, 0, 16);
	if (strchr(text, ':') != NULL) {
		assert_int_equal(inet_pton(AF_INET6, text, ip), 1);
		return;
	}
	ip[10] = ip[11] = 0xff;
	assert_int_equal(inet_pton(AF_INET, text, ip + 12), 1);
}

static inline void host_open(struct host *h, const uint8_t mac[6], const char *ip4, const char *ip6,
			     uint16_t vlan, const struct spate_net_setup *setup)
{
	struct spate_mem_setup ms = {.tx_packets = 64, .rx_packets = 64};
	struct spate_net_setup none = {.seed = 7};
	struct spate_net_iface_setup is = {.port = &h->port, .vlan = vlan};
	uint8_t ip[16];

	memset(h, 0, sizeof(*h));
	memcpy(ms.mac, mac, 6);
	assert_int_equal(spate_mem_open(&h->port, &ms), 0);
	h->net = spate_net_create(setup != NULL ? setup : &none);
	h->now_us = 1000000;
	assert_int_equal(spate_net_add_iface(h->net, &is), 0);
	ip_of(ip4, ip);
	assert_int_equal(spate_net_add_address(h->net, 0, ip, 24), 0);
	ip_of(ip6, ip);
	assert_int_equal(spate_net_add_address(h->net, 0, ip, 64), 0);
}

/* Everything came back: nothing leaks. */
static inline void host_close(struct host *h)
{
	uint8_t sink[2048];

	spate_net_destroy(h->net);
	while (spate_mem_take(&h->port, sink, sizeof(sink)) != 0)
		;
	assert_true(spate_mem_idle(&h->port));
	h->port.ops->close(&h->port);
}

static struct host us;

static int us_open(void **state)
{
	host_open(&us, mac_us, "10.0.0.1", "fd00::1", 0, NULL);
	return 0;
}

static int us_close(void **state)
{
	host_close(&us);
	return 0;
}

/* One turn: receives what is there; in.tcp[] stays readable until the next. */
static inline void host_turn(struct host *h)
{
	unsigned n = h->port.ops->rx(&h->port, 0, h->pkts, SPATE_BURST);

	spate_net_rx(h->net, 0, h->pkts, n, h->now_us, &h->in);
	spate_net_tick(h->net, h->now_us, &h->in);
	spate_net_flush(h->net);
	h->port.ops->rx_free(&h->port, 0, h->pkts, n);
}

/* A frame arrives. */
static inline void give(const uint8_t *frame, size_t n)
{
	assert_true(spate_mem_give(&us.port, frame, n));
	host_turn(&us);
}

static inline bool take(void)
{
	us.out_len = spate_mem_take(&us.port, us.out, sizeof(us.out));
	return us.out_len != 0;
}

static inline uint64_t count(enum spate_net_verdict v)
{
	return spate_net_count(us.net, v);
}

/* --- frames --- */
static uint8_t frame[4096];

static inline uint8_t *eth(const uint8_t dst[6], const uint8_t src[6], uint16_t type)
{
	memset(frame, 0, sizeof(frame));
	memcpy(frame, dst, 6);
	memcpy(frame + 6, src, 6);
	spate_store16(frame + 12, type);
	return frame + 14;
}

static inline uint8_t *ip4_from(const char *src, const char *dst, uint8_t proto, size_t payload)
{
	uint8_t *ip = eth(mac_us, mac_peer, 0x0800), a[16];

	ip[0] = 0x45;
	spate_store16(ip + 2, (uint16_t)(20 + payload));
	ip[8] = 64;
	ip[9] = proto;
	ip_of(src, a);
	memcpy(ip + 12, a + 12, 4);
	ip_of(dst, a);
	memcpy(ip + 16, a + 12, 4);
	return ip + 20;
}

static inline uint8_t *ip6_from(const char *src, const char *dst, uint8_t next, size_t payload)
{
	uint8_t *ip = eth(mac_us, mac_peer, 0x86dd);

	ip[0] = 0x60;
	spate_store16(ip + 4, (uint16_t)payload);
	ip[6] = next;
	ip[7] = 64;
	ip_of(src, ip + 8);
	ip_of(dst, ip + 24);
	return ip + 40;
}

/* Fills the checksums of the frame made above: the IP header's and the upper one's at l4 + at. */
static inline size_t seal(unsigned at)
{
	uint8_t *ip = frame + 14;
	bool ip4 = ip[0] >> 4 == 4;
	size_t hl = ip4 ? (ip[0] & 15u) * 4 : 40;
	size_t len = ip4 ? (size_t)(ip[2] << 8 | ip[3]) - hl : (size_t)(ip[4] << 8 | ip[5]);
	uint8_t proto = ip4 ? ip[9] : ip[6], *l4 = ip + hl;
	uint64_t sum = 0;
	uint16_t c;

	if (proto != 1)
		sum = spate_csum_plain(ip + (ip4 ? 12 : 8), ip4 ? 8 : 32) +
		      __builtin_bswap16(proto) + __builtin_bswap16((uint16_t)len);
	memset(l4 + at, 0, 2);
	c = (uint16_t)~spate_csum_fold(sum + spate_csum_plain(l4, len));
	memcpy(l4 + at, &c, 2);
	if (ip4) {
		memset(ip + 10, 0, 2);
		c = (uint16_t)~spate_csum_fold(spate_csum_plain(ip, hl));
		memcpy(ip + 10, &c, 2);
	}
	return 14 + hl + len;
}

/* An echo request of `len` bytes of ICMP, from the peer. */
static inline size_t ping4(size_t len)
{
	uint8_t *m = ip4_from("10.0.0.2", "10.0.0.1", 1, len);

	m[0] = 8;
	for (size_t i = 8; i < len; i++)
		m[i] = (uint8_t)i;
	return seal(2);
}

/* A TCP segment with `len` bytes of payload, from the peer. */
static inline size_t tcp4(size_t len)
{
	uint8_t *t = ip4_from("10.0.0.2", "10.0.0.1", 6, 20 + len);

	spate_store16(t, 40000);
	spate_store16(t + 2, 80);
	t[12] = 5 << 4;
	t[13] = 0x10;
	for (size_t i = 0; i < len; i++)
		t[20 + i] = (uint8_t)i;
	return seal(16);
}

static inline size_t arp(uint16_t op, const uint8_t sha[6], const char *spa, const char *tpa)
{
	uint8_t *a = eth(op == 2 ? mac_us : mac_all, sha, 0x0806), ip[16];

	memcpy(a, "\0\1\x08\0\6\4", 6);
	spate_store16(a + 6, op);
	memcpy(a + 8, sha, 6);
	ip_of(spa, ip);
	memcpy(a + 14, ip + 12, 4);
	ip_of(tpa, ip);
	memcpy(a + 24, ip + 12, 4);
	return 60;
}

static inline int path_to(struct host *h, struct spate_net_path *p, const char *remote)
{
	uint8_t ip[16], any[16] = {0};

	ip_of(remote, ip);
	return spate_net_path(h->net, p, 6, any, 80, ip, 40000, h->now_us);
}

/* A segment without payload on path p, as a SYN would be sent. */
static inline bool send_bare(struct host *h, struct spate_net_path *p)
{
	struct spate_pkt_tx *tx = spate_net_begin(h->net, p);

	if (tx == NULL)
		return false;
	memset(spate_net_l4(tx) + 4, 0, 16);
	spate_net_l4(tx)[12] = 5 << 4;
	spate_net_l4(tx)[13] = 2;
	spate_net_send(h->net, p, tx, 20, SPATE_TCP_CSUM_AT, 0, 0);
	spate_net_flush(h->net);
	return true;
}

#endif

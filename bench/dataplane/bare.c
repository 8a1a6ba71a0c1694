/*
 * bare.c: what a sender that does nothing else pushes through a DPDK device: prepared headers, and
 * payload that is nowhere in the caches, walked through in order from an arena of 1 GiB. No TCP,
 * no answers read, nothing summed by software. It is the ceiling for a server of cold content.
 *
 *   bare-sender SECONDS MTU_PAYLOAD TSO_PAYLOAD -- EAL-ARGUMENT...
 *
 * TSO_PAYLOAD 0: packets of MTU_PAYLOAD bytes. Else packets of that many, for the device to cut.
 * Prints one line of JSON: {"gbit": payload bits a second that the device took, "packets": N}.
 * The payload's mbufs have no room of their own and are pointed into the arena, as our port does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_memzone.h>
#include <rte_tcp.h>

#define ARENA   (1ull << 30)
#define BURST   32
#define HEADERS 54
#define PIECE   16384 /* a frag is one block of the cache at most */
#define POOL    16383

struct bare {
	uint16_t port;
	uint32_t mss, payload; /* a segment, a packet */
	uint64_t offloads;
	struct rte_mempool *heads, *frags;
	uint8_t *arena;
	uint64_t at;
	uint8_t header[HEADERS];
};

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bare-sender: %s\n", what);
	exit(1);
}

static void make_header(struct bare *b)
{
	struct rte_ether_hdr *e = (void *)b->header;
	struct rte_ipv4_hdr *ip = (void *)(b->header + 14);
	struct rte_tcp_hdr *tcp = (void *)(b->header + 34);

	memset(b->header, 0, HEADERS);
	memset(&e->dst_addr, 0xff, 6);
	rte_eth_macaddr_get(b->port, &e->src_addr);
	e->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	ip->version_ihl = 0x45;
	ip->total_length = rte_cpu_to_be_16((uint16_t)(40 + b->payload));
	ip->time_to_live = 64;
	ip->next_proto_id = 6;
	ip->src_addr = RTE_BE32(0xc6120001);
	ip->dst_addr = RTE_BE32(0xc6120002);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	tcp->src_port = RTE_BE16(80);
	tcp->dst_port = RTE_BE16(4000);
	tcp->data_off = 5 << 4;
	tcp->tcp_flags = RTE_TCP_ACK_FLAG;
	tcp->cksum = rte_ipv4_phdr_cksum(ip, b->payload > b->mss ? RTE_MBUF_F_TX_TCP_SEG
								 : RTE_MBUF_F_TX_TCP_CKSUM);
}

/* NULL: the device still has all the mbufs. */
static struct rte_mbuf *packet(struct bare *b)
{
	struct rte_mbuf *head = rte_pktmbuf_alloc(b->heads), *last = head;

	if (head == NULL)
		return NULL;
	memcpy(rte_pktmbuf_append(head, HEADERS), b->header, HEADERS);
	for (uint32_t left = b->payload; left != 0;) {
		uint32_t n = left < PIECE ? left : PIECE;
		struct rte_mbuf *m = rte_pktmbuf_alloc(b->frags);

		if (m == NULL) {
			rte_pktmbuf_free(head);
			return NULL;
		}
		if (b->at + n > ARENA)
			b->at = 0;
		m->buf_addr = b->arena + b->at;
		m->buf_iova = (rte_iova_t)(uintptr_t)m->buf_addr;
		m->data_off = 0;
		m->buf_len = m->data_len = (uint16_t)n;
		last->next = m;
		last = m;
		head->nb_segs++;
		head->pkt_len += n;
		b->at += n;
		left -= n;
	}
	if (b->offloads & RTE_ETH_TX_OFFLOAD_TCP_CKSUM) {
		head->ol_flags = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_CKSUM;
		head->l2_len = 14;
		head->l3_len = 20;
		head->l4_len = 20;
		if (b->payload > b->mss) {
			head->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
			head->tso_segsz = (uint16_t)b->mss;
		}
	}
	return head;
}

static void run(struct bare *b, double seconds)
{
	struct rte_mbuf *m[BURST];
	uint64_t hz = rte_get_tsc_hz(), start = rte_rdtsc(), warm = start + hz / 2, now;
	uint64_t packets = 0, began = 0, end = warm + (uint64_t)(seconds * (double)hz);
	unsigned have = 0, sent;

	while ((now = rte_rdtsc()) < end) {
		if (began == 0 && now >= warm) {
			began = now;
			packets = 0;
		}
		while (have < BURST && (m[have] = packet(b)) != NULL)
			have++;
		if (have == 0) {
			rte_eth_tx_done_cleanup(b->port, 0, 0);
			continue;
		}
		sent = rte_eth_tx_burst(b->port, 0, m, (uint16_t)have);
		packets += sent;
		have -= sent;
		memmove(m, m + sent, have * sizeof(m[0]));
	}
	printf("{\"gbit\": %.3f, \"packets\": %llu}\n",
	       (double)packets * b->payload * 8 / ((double)(now - began) / (double)hz) / 1e9,
	       (unsigned long long)packets);
	fflush(stdout);
}

static void open_port(struct bare *b)
{
	struct rte_eth_conf conf = {0};
	struct rte_eth_dev_info info;
	struct rte_mempool *rx = rte_pktmbuf_pool_create("rx", 4095, 256, 0, 2304, SOCKET_ID_ANY);
	uint16_t nrx = 1024, ntx = 1024;
	struct rte_eth_link link;

	b->heads = rte_pktmbuf_pool_create("head", POOL, 256, 0, 256, SOCKET_ID_ANY);
	b->frags = rte_pktmbuf_pool_create("frag", POOL, 256, 0, 0, SOCKET_ID_ANY);
	must(rx != NULL && b->heads != NULL && b->frags != NULL, "no memory for packets");
	must(rte_eth_dev_info_get(b->port, &info) == 0, "the device says nothing");
	b->offloads = info.tx_offload_capa &
		      (RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
		       (b->payload > b->mss ? RTE_ETH_TX_OFFLOAD_TCP_TSO : 0));
	must(b->offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS, "the device takes no packets in pieces");
	must(b->payload <= b->mss || (b->offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO), "no TSO");
	conf.txmode.offloads = b->offloads;
	must(rte_eth_dev_configure(b->port, 1, 1, &conf) == 0 &&
		     rte_eth_dev_adjust_nb_rx_tx_desc(b->port, &nrx, &ntx) == 0 &&
		     rte_eth_rx_queue_setup(b->port, 0, nrx, SOCKET_ID_ANY, NULL, rx) == 0 &&
		     rte_eth_tx_queue_setup(b->port, 0, ntx, SOCKET_ID_ANY, NULL) == 0 &&
		     rte_eth_dev_start(b->port) == 0,
	     "the device does not start");
	fputs("ready\n", stderr);
	for (int i = 0; i < 200; i++) {
		if (rte_eth_link_get_nowait(b->port, &link) == 0 && link.link_status != 0)
			break;
		rte_delay_us_sleep(50000);
	}
	must(link.link_status != 0, "nobody at the other end");
}

int main(int argc, char **argv)
{
	struct bare b = {0};
	const struct rte_memzone *mz;
	double seconds;

	must(argc > 5, "usage: bare-sender SECONDS MTU_PAYLOAD TSO_PAYLOAD -- EAL-ARGUMENT...");
	seconds = atof(argv[1]);
	b.mss = (uint32_t)atoi(argv[2]);
	b.payload = (uint32_t)atoi(argv[3]);
	if (b.payload == 0)
		b.payload = b.mss;
	argv[4] = argv[0];
	must(rte_eal_init(argc - 4, argv + 4) >= 0, "EAL does not start");
	mz = rte_memzone_reserve_aligned("arena", ARENA, SOCKET_ID_ANY, 0, 1 << 21);
	must(mz != NULL, "no huge pages for the arena");
	b.arena = mz->addr;
	for (uint64_t i = 0; i < ARENA; i += 8) /* pages that are one page of zeros would be hot */
		memcpy(b.arena + i, &i, 8);
	open_port(&b);
	make_header(&b);
	run(&b, seconds);
	rte_eth_dev_stop(b.port);
	rte_eth_dev_close(b.port);
	rte_eal_cleanup();
	return 0;
}

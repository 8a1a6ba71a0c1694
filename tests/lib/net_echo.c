/*
 * net_echo: a DPDK port with net/ on it and no TCP: answers ARP, ND and echo requests, and sends
 * UDP datagrams to port 7 back. For tests of port/ and net/ against the kernel, before TCP comes
 * in between.
 *
 *     net_echo [-a ADDR/PREFIX]... [-g GATEWAY]... [-v VLAN] [-m MTU] [-p PEER] -- EAL arguments
 *
 * -p: asks the net_echo at PEER instead: 2,000 datagrams of all sizes, from memory that stands
 * for the cache's arena; ends with 0 when at least 1,900 came back as they were sent. Prints one
 * line when it is ready and the counters that are not zero when it ends (SIGTERM).
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/net/net.h"
#include "dataplane/port/dpdk.h"
#include "dataplane/port/eal.h"

static volatile sig_atomic_t stop;
static struct spate_net_in in;

static void on_term(int sig)
{
	stop = 1;
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void die(const char *what, const char *why)
{
	fprintf(stderr, "net_echo: %s: %s\n", what, why);
	exit(1);
}

static void parse_ip(char *text, uint8_t ip[16], unsigned *prefix)
{
	char *slash = strchr(text, '/');

	memset(ip, 0, 16);
	if (slash != NULL) {
		*slash = '\0';
		*prefix = (unsigned)atoi(slash + 1);
	}
	if (strchr(text, ':') != NULL) {
		if (inet_pton(AF_INET6, text, ip) != 1)
			die(text, "not an address");
		return;
	}
	ip[10] = ip[11] = 0xff;
	if (inet_pton(AF_INET, text, ip + 12) != 1)
		die(text, "not an address");
}

/* A datagram to port 7 goes back to its sender. */
static void echo_udp(struct spate_net *net, const struct spate_seg *s)
{
	uint8_t src[16], dst[16];
	struct spate_net_path p;
	uint16_t port = (uint16_t)(s->l4[0] << 8 | s->l4[1]);

	spate_seg_addrs(s, src, dst);
	if (s->l4_near == s->len && spate_net_path(net, &p, 17, dst, 7, src, port, now_us()) == 0)
		spate_net_udp_send(net, &p, s->l4 + 8, s->len - 8);
}

/* --- the asking side --- */

#define ASK_PORT 4000
#define ASKS     2000
#define ARENA    (4u << 20)
static uint8_t *arena;
static unsigned asked, answered, wrong;

static uint32_t ask_len(unsigned i)
{
	return 4 + i * 37 % 1460;
}

static void check_answer(const struct spate_seg *s)
{
	uint32_t i, len = s->len - 8;

	if (s->l4_near != s->len || len < 4) {
		wrong++;
		return;
	}
	memcpy(&i, s->l4 + 8, 4);
	if (i >= ASKS || len != ask_len(i) || memcmp(s->l4 + 8, arena + (size_t)i * 2048, len) != 0)
		wrong++;
	else
		answered++;
}

/* Those that were lost must not stop the rest: one more may be out for each 10 ms that passes. */
static unsigned lost_allowance(void)
{
	static uint64_t began;

	if (began == 0)
		began = now_us();
	return 64 + (unsigned)((now_us() - began) / 10000);
}

static void ask(struct spate_net *net, struct spate_net_path *p)
{
	if (p->gen == 0 && !spate_net_resolve(net, p))
		return;
	/* Not more than a few on their way: the devices' rings are short and nobody sends again. */
	for (unsigned k = 0; k < 8 && asked < ASKS && asked < answered + wrong + lost_allowance();
	     k++, asked++) {
		memcpy(arena + (size_t)asked * 2048, &asked, 4);
		if (spate_net_udp_send(net, p, arena + (size_t)asked * 2048, ask_len(asked)) != 0)
			return;
	}
}

static void turn(struct spate_port *port, struct spate_net *net)
{
	struct spate_pkt_rx pkts[SPATE_BURST];
	unsigned n = port->ops->rx(port, 0, pkts, SPATE_BURST);
	uint64_t now = now_us();

	spate_net_rx(net, 0, pkts, n, now, &in);
	for (unsigned i = 0; i < in.nudp; i++)
		if (in.udp[i].l4[2] == 0 && in.udp[i].l4[3] == 7)
			echo_udp(net, &in.udp[i]);
		else
			check_answer(&in.udp[i]);
	spate_net_tick(net, now, &in);
	spate_net_flush(net);
	port->ops->rx_free(port, 0, pkts, n);
	if (n == 0)
		usleep(100);
}

int main(int argc, char **argv)
{
	struct spate_net_iface_setup is = {0};
	struct spate_net_setup ns = {.seed = 42};
	struct spate_dpdk_port_setup ds = {.queues = 1};
	char *addresses[16], *gateways[4], why[1024], line[256];
	unsigned na = 0, ng = 0, prefix = 0;
	struct spate_port port;
	struct spate_net *net;
	struct spate_net_path path;
	struct spate_arena_info info = {.bytes = ARENA, .page_bytes = 4096, .fd = -1};
	char *peer = NULL;
	uint64_t end = UINT64_MAX;
	uint8_t ip[16], any[16];
	int at = 1;

	/* By hand: the EAL uses getopt, and two users of that in one process disturb each other. */
	for (; at + 1 < argc && strcmp(argv[at], "--") != 0; at += 2) {
		if (strcmp(argv[at], "-a") == 0 && na < 16)
			addresses[na++] = argv[at + 1];
		else if (strcmp(argv[at], "-g") == 0 && ng < 4)
			gateways[ng++] = argv[at + 1];
		else if (strcmp(argv[at], "-v") == 0)
			is.vlan = (uint16_t)atoi(argv[at + 1]);
		else if (strcmp(argv[at], "-m") == 0)
			ds.mtu = (uint16_t)atoi(argv[at + 1]);
		else if (strcmp(argv[at], "-p") == 0)
			peer = argv[at + 1];
		else
			die("usage",
			    "net_echo [-a ADDR/PREFIX]... [-g GATEWAY] [-v VLAN] [-m MTU] -- EAL");
	}
	at++;
	signal(SIGTERM, on_term);
	signal(SIGINT, on_term);
	const char *const *eal = (const char *const *)(void *)(argv + at);

	if (spate_eal_start(eal, (unsigned)(argc > at ? argc - at : 0), why, sizeof(why)) != 0)
		die("EAL", why);
	arena = info.base = aligned_alloc(4096, ARENA);
	for (unsigned i = 0; i < ARENA; i++)
		arena[i] = (uint8_t)(i * 7 + i / 251);
	ds.arena = &info;
	if (spate_dpdk_open(&port, 0, &ds, why, sizeof(why)) != 0)
		die("port", why);
	net = spate_net_create(&ns);
	is.port = &port;
	if (net == NULL || spate_net_add_iface(net, &is) != 0)
		die("net", "no memory");
	for (unsigned i = 0; i < na; i++) {
		parse_ip(addresses[i], ip, &prefix);
		if (spate_net_add_address(net, 0, ip, prefix) != 0)
			die(addresses[i], "refused");
	}
	for (unsigned i = 0; i < ng; i++) {
		parse_ip(gateways[i], ip, &prefix);
		memset(any, 0, 16);
		if (strchr(gateways[i], ':') == NULL)
			any[10] = any[11] = 0xff;
		if (spate_net_add_route(net, 0, any, 0, ip) != 0)
			die(gateways[i], "is on no link of ours");
	}
	spate_net_udp_open(net, 7);
	spate_net_announce(net, now_us());
	spate_dpdk_describe(&port, line, sizeof(line));
	printf("ready: %s\n", line);
	fflush(stdout);
	if (peer != NULL) {
		parse_ip(peer, ip, &prefix);
		memset(any, 0, 16);
		spate_net_udp_open(net, ASK_PORT);
		if (spate_net_path(net, &path, 17, any, ASK_PORT, ip, 7, now_us()) != 0)
			die(peer, "no way there");
		end = now_us() + 15000000;
	}
	while (!stop && now_us() < end && answered + wrong < ASKS) {
		if (peer != NULL)
			ask(net, &path);
		turn(&port, net);
	}
	if (peer != NULL)
		printf("answered %u of %u, wrong %u\n", answered, asked, wrong);
	for (unsigned i = 0; i < SPATE_NET_VERDICTS; i++)
		if (spate_net_count(net, (enum spate_net_verdict)i) != 0)
			printf("%s %llu\n", spate_net_verdicts[i].name,
			       (unsigned long long)spate_net_count(net, (enum spate_net_verdict)i));
	const struct spate_port_queue *q = port.ops->queue(&port, 0);

	printf("tx_dropped %llu tx_nobuf %llu\n", (unsigned long long)q->tx_dropped,
	       (unsigned long long)q->tx_nobuf);
	struct spate_port_status st;

	port.ops->status(&port, &st);
	printf("device: rx %llu tx %llu missed %llu errors %llu %llu\n",
	       (unsigned long long)st.rx_packets, (unsigned long long)st.tx_packets,
	       (unsigned long long)st.rx_missed, (unsigned long long)st.rx_errors,
	       (unsigned long long)st.tx_errors);
	spate_net_destroy(net);
	printf("tx_out %u\n", q->tx_out);
	port.ops->close(&port);
	spate_eal_stop();
	return peer != NULL && (wrong != 0 || answered < ASKS - ASKS / 20);
}

/*
 * backend_dpdk.h: a worker over our own TCP/IP. One turn is: receive a burst from each port, net,
 * tcp, and at the end of the worker's turn whatever was queued goes out in bursts.
 *
 * control/dpdk.c starts the EAL, opens the ports with a queue for each worker, and gives each
 * worker spate_dpdk_backend with a struct spate_dpdk_setup; all of that outlives the workers.
 */
#ifndef SPATE_BACKEND_DPDK_H
#define SPATE_BACKEND_DPDK_H

#include "dataplane/net/board.h"
#include "dataplane/net/net.h"
#include "dataplane/net/strays.h"
#include "dataplane/stream/dgram.h"
#include "dataplane/tcp/tcp.h"
#include "dataplane/worker.h"

struct spate_dpdk_address {
	uint8_t ip[16];
	uint8_t prefix; /* of the family's own length */
};

struct spate_dpdk_route {
	uint8_t dst[16], via[16];
	uint8_t prefix; /* as above; 0: the default route */
};

struct spate_dpdk_if {
	struct spate_port *port;
	const struct spate_dpdk_address *addresses;
	unsigned naddresses;
	const struct spate_dpdk_route *routes;
	unsigned nroutes;
	bool routers;  /* follow router advertisements */
	uint16_t vlan; /* 0: untagged */
	int tap_fd;    /* the kernel's side of what is not ours, a TAP; -1: none */
};

struct spate_dpdk_setup {
	const struct spate_dpdk_if *ifs;
	unsigned nifs;
	const struct spate_listener *listeners;
	unsigned nlisteners;
	const struct spate_dgram_listener *dgrams;
	unsigned ndgrams;
	enum spate_tcp_cc congestion;
	struct spate_net_board *board; /* NULL with one worker */
	struct spate_strays *strays;   /* NULL where a flow's packets all come to one queue */
	bool spin;                     /* never sleep */
};

extern const struct spate_backend_ops spate_dpdk_backend;

#endif

/* dpdk_internal.h: what dpdk.c and dpdk_open.c share. */
#ifndef SPATE_PORT_DPDK_INTERNAL_H
#define SPATE_PORT_DPDK_INTERNAL_H

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "dataplane/port/dpdk.h"

#define QUEUES_MAX 64
#define BACKLOG    512
/*
 * Room before the headers: virtio puts its own there; and two bytes so that the IP header is
 * aligned.
 */
#define HEAD_OFF 66
/* Room behind the headers for payload that must be copied: the head of a response. */
#define HEAD_TAIL 448

struct dpdk_queue {
	struct rte_mempool *heads, *frags, *copies;
	uint32_t copy_room;
	int rx_fd;
	unsigned frags_have;
	struct rte_mbuf *frag[SPATE_BURST]; /* taken from the pool in bulk, used one by one */
	struct rte_mbuf *backlog[BACKLOG];
	struct spate_port_queue count;
	struct rte_mempool *rx;
	/*
	 * tx_mark, tx_past. The fence is a packet whose head we hold too: the device lets go of
	 * packets in order, so when it is ours alone, all before it are gone.
	 */
	uint64_t handed, past; /* packets given to the device or the backlog; let go of */
	struct rte_mbuf *fence;
	uint64_t fence_at; /* packets before the fence */
	bool want_fence;
} __attribute__((aligned(64)));

struct dpdk {
	uint16_t id;
	bool trust_rx; /* the device checks checksums and says so */
	bool linear;
	uintptr_t arena_base;
	size_t arena_bytes;     /* 0: no frag is sent in place */
	rte_iova_t *arena_iova; /* one a page where DMA addresses are not virtual ones; NULL: they
				   are */
	unsigned arena_page_shift;
	unsigned queues;
	uint64_t tx_offloads; /* RTE_ETH_TX_OFFLOAD_* in use */
	struct rte_device *device;
	size_t dma_mapped, registered; /* bytes of the arena; 0: not */
	char name[64], driver[32];
	struct dpdk_queue queue[];
};

extern const struct spate_port_ops spate_dpdk_port_ops;
void spate_dpdk_close(struct spate_port *p);

#endif

/* dpdk_internal.h: what dpdk.c, dpdk_open.c and dpdk_arena.c share. */
#ifndef SPATE_PORT_DPDK_INTERNAL_H
#define SPATE_PORT_DPDK_INTERNAL_H

#include <stdatomic.h>

#include <rte_ethdev.h>
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
	bool promiscuous;  /* because group frames alone could not be had */
	bool deaf;         /* takes no group frames: IPv6 neighbours are not heard */
	_Atomic bool lost; /* set in DPDK's interrupt thread */
	_Atomic bool up;   /* its link, when last asked */
	uintptr_t arena_base;
	size_t arena_bytes;     /* 0: no frag is sent in place */
	rte_iova_t *arena_iova; /* one a page where DMA addresses are not virtual ones; NULL: they
				   are */
	unsigned arena_page_shift;
	unsigned queues;
	bool link_untold;     /* its driver must not be asked for the link: taken to be up */
	unsigned interface;   /* the kernel's, where the driver never looks whether it is up; 0 */
	unsigned seg_max;     /* pieces that a packet may have, its headers included */
	uint64_t tx_offloads; /* RTE_ETH_TX_OFFLOAD_* in use */
	struct rte_device *device;
	size_t dma_mapped, registered; /* bytes of the arena; 0: not */
	char name[64], driver[32];
	struct dpdk_queue queue[];
};

extern const struct spate_port_ops spate_dpdk_port_ops;

/*
 * Microsoft's well-known symmetric key (Woo and Park, 2012): 0x6d5a over and over gives both
 * directions of a flow the same hash, so a flow stays on its core whoever opened it.
 */
#define RSS_KEY_BYTES 64
extern const uint8_t spate_dpdk_rss_key[RSS_KEY_BYTES];

/* Pieces that every packet may have, a TSO packet's too, by what the device says of itself. */
unsigned spate_dpdk_seg_max(const struct rte_eth_desc_lim *l);

/* The device is gone, or would have to be reset with all that it does. /healthz says so; whoever
 * watches it starts the edge anew. */
int spate_dpdk_on_end(uint16_t id, enum rte_eth_event_type what, void *d, void *ret);

/* Writes the reason to why; returns err, negative. */
int spate_dpdk_fail(char *why, size_t len, int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* dpdk_arena.c */
int spate_dpdk_reach_arena(struct dpdk *d, struct rte_device *dev, const struct spate_arena_info *a,
			   char *why, size_t why_len);
void spate_dpdk_leave_arena(struct dpdk *d);
/* Does sending read the payload on this core? */
bool spate_dpdk_reads_payload(const struct dpdk *d, struct rte_device *dev);
/*
 * The DMA address of each page of the arena, which is there then; `where` says it for one. -EINVAL:
 * the pages are small ones, which the kernel may move. -EPERM: it does not say. `to` has room for
 * all.
 */
int spate_dpdk_page_addresses(const struct spate_arena_info *a, rte_iova_t (*where)(const void *),
			      rte_iova_t *to);

void spate_dpdk_close(struct spate_port *p);

#endif

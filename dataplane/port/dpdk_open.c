/*
 * dpdk_open.c: configuring a DPDK device, and choosing for each thing it can do between the
 * device and software.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "dataplane/port/dpdk_internal.h"
#include "dataplane/port/eal.h"
#include "dataplane/port/hugepages.h"

#define RX_DESC    1024
#define TX_DESC    1024
#define HEADS      4096
#define FRAGS      8192
#define COPIES     1024
#define POOL_CACHE 256
#define ETH_EXTRA  22 /* header, VLAN tag, CRC */
/* Drivers that overwrite DPDK's limits and leave this one out (ice, iavf) are of devices that
 * take 8. */
#define SEGS_UNSAID 8

#define KEY8 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a
const uint8_t spate_dpdk_rss_key[RSS_KEY_BYTES] = {KEY8, KEY8, KEY8, KEY8, KEY8, KEY8, KEY8, KEY8};

int spate_dpdk_fail(char *why, size_t len, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, len, fmt, ap);
	va_end(ap);
	return err < 0 ? err : -err;
}

static bool driver_is(const struct dpdk *d, const char *name)
{
	return strcmp(d->driver, name) == 0;
}

/* Which device is entry `index`; DPDK's ids may have holes. */
static int nth_device(unsigned index, uint16_t *id)
{
	uint16_t i;

	RTE_ETH_FOREACH_DEV(i)
	if (index-- == 0) {
		*id = i;
		return 0;
	}
	return -ENODEV;
}

static uint64_t tx_offloads(const struct dpdk *d, const struct rte_eth_dev_info *info,
			    const struct spate_dpdk_port_setup *setup)
{
	uint64_t want = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;

	if (!setup->no_csum)
		want |= RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
			RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	if (!setup->no_tso && !setup->no_csum)
		want |= RTE_ETH_TX_OFFLOAD_TCP_TSO;
	/* net_tap would do all that in software, and slower than we do. */
	if (driver_is(d, "net_tap"))
		want = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	return want & info->tx_offload_capa;
}

/* net_ring and net_null never look at tx_offload_capa, and take chains all the same. */
static bool takes_chains(const struct dpdk *d)
{
	return d->tx_offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
}

static struct rte_mempool *pool(const struct dpdk *d, const char *what, unsigned queue, unsigned n,
				uint32_t room, int socket)
{
	char name[RTE_MEMPOOL_NAMESIZE];
	struct rte_mempool *p;

	snprintf(name, sizeof(name), "%s-%u-%u", what, d->id, queue);
	p = rte_pktmbuf_pool_create(name, n - 1, POOL_CACHE, 0, (uint16_t)room, socket);
	if (p == NULL && socket != SOCKET_ID_ANY)
		p = rte_pktmbuf_pool_create(name, n - 1, POOL_CACHE, 0, (uint16_t)room,
					    SOCKET_ID_ANY);
	return p;
}

/* Frag mbufs are pointed elsewhere before each use; until then they must point nowhere. */
static void no_buffer(struct rte_mempool *mp, void *arg, void *obj, unsigned i)
{
	struct rte_mbuf *m = obj;

	m->buf_addr = arg;
	m->buf_len = 0;
	m->data_off = 0;
}

static int make_pools(struct dpdk *d, unsigned i, uint16_t mtu, unsigned rx_desc, unsigned tx_desc,
		      int socket, char *why, size_t why_len)
{
	struct dpdk_queue *q = &d->queue[i];
	uint32_t frame = (uint32_t)mtu + ETH_EXTRA;
	uint32_t rx_room = RTE_PKTMBUF_HEADROOM + (frame < 2048 ? 2048 : RTE_ALIGN(frame, 64));
	uint32_t head_room = HEAD_OFF + SPATE_PKT_HEAD + (d->linear ? frame : HEAD_TAIL);

	q->copy_room = rx_room - RTE_PKTMBUF_HEADROOM;
	q->rx = pool(d, "rx", i, 2 * rx_desc + 4 * POOL_CACHE, rx_room, socket);
	q->heads = pool(d, "head", i, HEADS + tx_desc, RTE_ALIGN(head_room, 64), socket);
	if (q->rx == NULL || q->heads == NULL)
		return spate_dpdk_fail(
			why, why_len, ENOMEM,
			"%s: no memory for packet buffers: more huge pages, or a larger \"-m\" "
			"in dpdk.eal",
			d->name);
	if (d->linear)
		return 0;
	q->frags = pool(d, "frag", i, FRAGS + 4 * tx_desc, 0, socket);
	q->copies =
		pool(d, "copy", i, d->arena_bytes != 0 ? COPIES : HEADS + tx_desc, rx_room, socket);
	if (q->frags == NULL || q->copies == NULL)
		return spate_dpdk_fail(
			why, why_len, ENOMEM,
			"%s: no memory for packet buffers: more huge pages, or a larger \"-m\" "
			"in dpdk.eal",
			d->name);
	rte_mempool_obj_iter(q->frags, no_buffer, NULL);
	return 0;
}

static int configure(struct dpdk *d, const struct rte_eth_dev_info *info,
		     const struct spate_dpdk_port_setup *setup, uint16_t mtu, char *why,
		     size_t why_len)
{
	struct rte_eth_conf conf = {0};
	uint64_t rss =
		info->flow_type_rss_offloads &
		(RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_NONFRAG_IPV4_TCP |
		 RTE_ETH_RSS_NONFRAG_IPV6_TCP | RTE_ETH_RSS_NONFRAG_IPV4_UDP |
		 RTE_ETH_RSS_NONFRAG_IPV6_UDP | RTE_ETH_RSS_IPV6_TCP_EX | RTE_ETH_RSS_IPV6_EX);
	uint64_t rx = info->rx_offload_capa &
		      (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM |
		       RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_RSS_HASH);
	int ret;

	/* A virtio device that may leave checksums out does so for what comes from its own host. */
	if (setup->no_csum || driver_is(d, "net_tap") ||
	    (setup->whole_csums && (driver_is(d, "net_virtio") || driver_is(d, "net_virtio_user"))))
		rx &= RTE_ETH_RX_OFFLOAD_RSS_HASH;
	conf.rxmode.offloads = rx;
	conf.rxmode.mtu = mtu;
	conf.txmode.offloads = d->tx_offloads;
	if (setup->queues > 1 && rss != 0) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = rss;
		if (info->hash_key_size != 0 && info->hash_key_size <= RSS_KEY_BYTES) {
			/* DPDK only reads it, but does not say so. */
			conf.rx_adv_conf.rss_conf.rss_key =
				(uint8_t *)(uintptr_t)spate_dpdk_rss_key;
			conf.rx_adv_conf.rss_conf.rss_key_len = info->hash_key_size;
		}
	} else {
		conf.rxmode.offloads &= ~(uint64_t)RTE_ETH_RX_OFFLOAD_RSS_HASH;
	}
	d->trust_rx = rx & (RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_IPV4_CKSUM);
	ret = rte_eth_dev_configure(d->id, (uint16_t)setup->queues, (uint16_t)setup->queues, &conf);
	if (ret != 0)
		return spate_dpdk_fail(
			why, why_len, ret,
			"%s (%s): cannot be configured with %u queues and MTU %u: %s", d->name,
			d->driver, setup->queues, mtu, rte_strerror(-ret));
	return 0;
}

static int start(struct dpdk *d, const struct rte_eth_dev_info *info, uint16_t mtu, char *why,
		 size_t why_len)
{
	uint16_t nrx = RX_DESC, ntx = TX_DESC;
	int socket = rte_eth_dev_socket_id(d->id), ret;

	rte_eth_dev_adjust_nb_rx_tx_desc(d->id, &nrx, &ntx);
	for (unsigned i = 0; i < d->queues; i++) {
		struct rte_eth_txconf txc = info->default_txconf;

		ret = make_pools(d, i, mtu, nrx, ntx, socket, why, why_len);
		if (ret != 0)
			return ret;
		txc.offloads = d->tx_offloads;
		ret = rte_eth_rx_queue_setup(d->id, (uint16_t)i, nrx, (unsigned)socket, NULL,
					     d->queue[i].rx);
		if (ret == 0)
			ret = rte_eth_tx_queue_setup(d->id, (uint16_t)i, ntx, (unsigned)socket,
						     &txc);
		if (ret != 0)
			return spate_dpdk_fail(
				why, why_len, ret, "%s (%s): queue %u of %u cannot be set up: %s",
				d->name, d->driver, i, d->queues, rte_strerror(-ret));
	}
	ret = rte_eth_dev_start(d->id);
	if (ret != 0)
		return spate_dpdk_fail(why, why_len, ret, "%s (%s): does not start: %s", d->name,
				       d->driver, rte_strerror(-ret));
	/*
	 * Solicited-node groups change with the addresses; a filter for each is more than most
	 * devices have. af_packet and af_xdp cannot ask for all groups, only for all there is.
	 */
	if (rte_eth_allmulticast_enable(d->id) != 0) {
		d->promiscuous = rte_eth_promiscuous_enable(d->id) == 0;
		/* A virtio device that has neither mode filters nothing. */
		d->deaf = !d->promiscuous && !driver_is(d, "net_virtio") &&
			  !driver_is(d, "net_virtio_user");
	}
	return 0;
}

/* What goes wrong most: fewer queues than workers. */
static int check_queues(const struct dpdk *d, const struct rte_eth_dev_info *info, unsigned queues,
			char *why, size_t why_len)
{
	unsigned most = info->max_rx_queues < info->max_tx_queues ? info->max_rx_queues
								  : info->max_tx_queues;

	if (queues <= most && queues <= QUEUES_MAX)
		return 0;
	return spate_dpdk_fail(why, why_len, EINVAL,
			       "%s (%s) has %u queues, %u workers want one each: set workers: %u%s",
			       d->name, d->driver, most, queues, most,
			       driver_is(d, "net_af_packet") ? ", or add qpairs=N to its --vdev"
			       : driver_is(d, "net_af_xdp") ? ", or add queue_count=N to its --vdev"
			       : driver_is(d, "net_virtio_user") || driver_is(d, "net_vhost")
				       ? ", or add queues=N to its --vdev"
				       : "");
}

static const enum rte_eth_event_type ends[] = {RTE_ETH_EVENT_INTR_RMV, RTE_ETH_EVENT_INTR_RESET};

int spate_dpdk_on_end(uint16_t id, enum rte_eth_event_type what, void *arg, void *ret)
{
	atomic_store_explicit(&((struct dpdk *)arg)->lost, true, memory_order_relaxed);
	return 0;
}

unsigned spate_dpdk_seg_max(const struct rte_eth_desc_lim *l)
{
	unsigned each = l->nb_mtu_seg_max != 0 ? l->nb_mtu_seg_max : SEGS_UNSAID;

	return l->nb_seg_max != 0 ? RTE_MIN(each, l->nb_seg_max) : each;
}

/* Of DPDK's two limits some drivers only know the frame's: af_packet, net_tap. */
static unsigned largest_mtu(const struct rte_eth_dev_info *info)
{
	unsigned frame = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;

	return info->max_mtu == UINT16_MAX && info->max_rx_pktlen - frame < UINT16_MAX
		       ? info->max_rx_pktlen - frame
		       : info->max_mtu;
}

int spate_dpdk_open(struct spate_port *p, unsigned index, const struct spate_dpdk_port_setup *setup,
		    char *why, size_t why_len)
{
	struct rte_eth_dev_info info;
	struct rte_ether_addr mac;
	struct dpdk *d;
	uint16_t id, mtu = setup->mtu;
	int ret;

	if (nth_device(index, &id) != 0) {
		const char *said = spate_eal_said();

		return spate_dpdk_fail(
			why, why_len, ENODEV,
			"dpdk.ports has an entry %u, but DPDK found %u device%s: %s%s", index + 1,
			rte_eth_dev_count_avail(), rte_eth_dev_count_avail() == 1 ? "" : "s",
			said[0] != '\0' ? "its options, the interface, and the rights to use "
					  "it (root)? It said: "
					: "add a --vdev=..., or -a PCI address to dpdk.eal, "
					  "and bind the NIC "
					  "(docs/operations.md)",
			said);
	}
	d = rte_zmalloc("spate_dpdk", sizeof(*d) + setup->queues * sizeof(d->queue[0]), 64);
	if (d == NULL)
		return spate_dpdk_fail(why, why_len, ENOMEM, "out of DPDK memory");
	d->id = id;
	d->queues = setup->queues;
	*p = (struct spate_port){.ops = &spate_dpdk_port_ops, .priv = d};
	ret = rte_eth_dev_info_get(id, &info);
	if (ret != 0) {
		spate_dpdk_fail(why, why_len, ret, "device %u says nothing of itself: %s", id,
				rte_strerror(-ret));
		goto undo;
	}
	snprintf(d->name, sizeof(d->name), "%s", rte_dev_name(info.device));
	snprintf(d->driver, sizeof(d->driver), "%s", info.driver_name);
	if (driver_is(d, "net_af_packet") || driver_is(d, "net_af_xdp"))
		d->interface = info.if_index;
	/* When its peer has gone, whoever asks for the link makes DPDK 22.11 watch a closed file,
	 * and that ends the process. */
	d->link_untold = driver_is(d, "net_virtio_user");
	/*
	 * Its kernel side takes packets only from memory that --no-huge does not give; they would
	 * vanish silently.
	 */
	if (driver_is(d, "net_af_xdp") && !rte_eal_has_hugepages()) {
		char recipe[256];

		ret = spate_dpdk_fail(
			why, why_len, EINVAL,
			"%s (net_af_xdp) needs huge pages: leave out --no-huge, and type: %s",
			d->name, spate_hugepages_recipe(recipe, sizeof(recipe), 512));
		goto undo;
	}
	ret = check_queues(d, &info, setup->queues, why, why_len);
	if (ret != 0)
		goto undo;
	if (mtu == 0 && rte_eth_dev_get_mtu(id, &mtu) != 0)
		mtu = 1500;
	if (mtu < 576 || mtu > largest_mtu(&info)) {
		ret = spate_dpdk_fail(why, why_len, EINVAL,
				      "%s (%s): MTU %u is not within 576 to %u", d->name, d->driver,
				      mtu, largest_mtu(&info));
		goto undo;
	}
	d->tx_offloads = tx_offloads(d, &info, setup);
	d->linear = !takes_chains(d);
	d->seg_max = spate_dpdk_seg_max(&info.tx_desc_lim);
	if (setup->arena != NULL && !d->linear) {
		ret = spate_dpdk_reach_arena(d, info.device, setup->arena, why, why_len);
		if (ret != 0)
			goto undo;
	}
	ret = configure(d, &info, setup, mtu, why, why_len);
	if (ret == 0)
		ret = start(d, &info, mtu, why, why_len);
	if (ret != 0)
		goto undo;
	p->caps = (struct spate_port_caps){
		.mtu = mtu,
		.queues = (uint16_t)setup->queues,
		.zero_copy = d->arena_bytes != 0,
		.reads = spate_dpdk_reads_payload(d, info.device),
		.strays = setup->queues > 1 && driver_is(d, "net_af_packet"),
	};
	if (d->tx_offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM)
		p->caps.tx_offloads |= SPATE_TX_IP_CSUM;
	if (d->tx_offloads & RTE_ETH_TX_OFFLOAD_TCP_CKSUM)
		p->caps.tx_offloads |= SPATE_TX_L4_CSUM;
	/*
	 * A TSO packet of ours has at most SPATE_PKT_FRAGS pieces, and every device we know takes
	 * nine.
	 */
	if ((d->tx_offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO) &&
	    (p->caps.tx_offloads & SPATE_TX_L4_CSUM) && !d->linear) {
		p->caps.tx_offloads |= SPATE_TX_TSO;
		p->caps.tso_max = 65535 - 120; /* IP's limit, less the longest headers */
	}
	ret = rte_eth_macaddr_get(id, &mac);
	if (ret == 0)
		memcpy(p->caps.mac, mac.addr_bytes, 6);
	/*
	 * net_tap tells the address of the kernel's end: two hosts with one address, and one IPv6
	 * link-local.
	 */
	if (driver_is(d, "net_tap"))
		p->caps.mac[5] ^= 1;
	for (unsigned i = 0; i < RTE_DIM(ends); i++)
		rte_eth_dev_callback_register(id, ends[i], spate_dpdk_on_end, d);
	spate_dpdk_look(p);
	return 0;

undo:
	spate_dpdk_close(p);
	return ret;
}

static void free_pools(struct dpdk_queue *q)
{
	if (q->frags != NULL && q->frags_have != 0)
		rte_mempool_put_bulk(q->frags, (void **)q->frag, q->frags_have);
	rte_pktmbuf_free_bulk(q->backlog, q->count.tx_backlog);
	rte_mempool_free(q->rx);
	rte_mempool_free(q->heads);
	rte_mempool_free(q->frags);
	rte_mempool_free(q->copies);
}

void spate_dpdk_close(struct spate_port *p)
{
	struct dpdk *d = p->priv;

	if (d == NULL)
		return;
	for (unsigned i = 0; i < RTE_DIM(ends); i++)
		while (rte_eth_dev_callback_unregister(d->id, ends[i], spate_dpdk_on_end, d) ==
		       -EAGAIN)
			; /* it runs just now */
	if (d->promiscuous)
		rte_eth_promiscuous_disable(d->id);
	rte_eth_dev_stop(d->id);
	spate_dpdk_leave_arena(d);
	rte_eth_dev_close(d->id);
	for (unsigned i = 0; i < d->queues; i++)
		free_pools(&d->queue[i]);
	rte_free(d);
	p->priv = NULL;
}

void spate_dpdk_quiet(struct spate_port *p)
{
	rte_eth_dev_stop(((struct dpdk *)p->priv)->id);
}

bool spate_dpdk_lost(const struct spate_port *p)
{
	const struct dpdk *d = p->priv;

	return atomic_load_explicit(&d->lost, memory_order_relaxed);
}

const char *spate_dpdk_name(const struct spate_port *p)
{
	return ((const struct dpdk *)p->priv)->name;
}

void spate_dpdk_describe(const struct spate_port *p, char *text, size_t len)
{
	const struct dpdk *d = p->priv;
	const struct spate_port_caps *c = &p->caps;

	snprintf(text, len,
		 "%s (%s): %02x:%02x:%02x:%02x:%02x:%02x, MTU %u, %u queue%s, checksums by %s, TSO "
		 "%s, %s%s",
		 d->name, d->driver, c->mac[0], c->mac[1], c->mac[2], c->mac[3], c->mac[4],
		 c->mac[5], c->mtu, c->queues, c->queues == 1 ? "" : "s",
		 c->tx_offloads & SPATE_TX_L4_CSUM ? "the device" : "software",
		 c->tso_max != 0 ? "on" : "off",
		 c->zero_copy ? "payload sent from the cache's memory"
		 : d->linear  ? "payload copied (the device takes no multi-segment packets)"
			      : "payload copied (the device cannot reach the cache's memory)",
		 d->deaf ? ", group frames refused: IPv6 will not be found" : "");
}

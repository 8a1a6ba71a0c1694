/*
 * dpdk_arena.c: the cache's memory, made readable for a device, so that payload leaves from where
 * it lies.
 *
 *     virtual      copies, so any address will do; virtio-user and memif's zero-copy hand over an
 *                  address in memory of DPDK's own, where the arena is then (control/dpdk.c)
 *     real         registered with DPDK and mapped for the device: addresses are virtual ones
 *     real, IOVA   registered; each page has its own address, and only reserved huge pages keep it.
 *     physical     Mapped too where there is an IOMMU all the same (too narrow a one, or
 *                  --iova-mode=pa, or vfio's unsafe mode allowed but not needed)
 */
#define ALLOW_EXPERIMENTAL_API /* rte_dev_dma_map */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_devargs.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_memory.h>
#include <rte_vfio.h>

#include "dataplane/port/dpdk_internal.h"
#include "dataplane/port/hugepages.h"

static bool is_virtual(const struct rte_device *dev)
{
	const struct rte_bus *bus = rte_bus_find_by_device(dev);

	return bus == NULL || strcmp(rte_bus_name(bus), "vdev") == 0;
}

/* Its peer maps DPDK's own memory and nothing else, and no copy is made on this side. */
static bool sees_only_ours(const struct dpdk *d, const struct rte_device *dev)
{
	const struct rte_devargs *a = rte_dev_devargs(dev);

	return strcmp(d->driver, "net_virtio_user") == 0 ||
	       (strcmp(d->driver, "net_memif") == 0 && a != NULL && a->args != NULL &&
		strstr(a->args, "zero-copy=yes") != NULL);
}

/* Virtual devices copy, unless the peer reads it. */
bool spate_dpdk_reads_payload(const struct dpdk *d, struct rte_device *dev)
{
	if (!(d->tx_offloads & RTE_ETH_TX_OFFLOAD_TCP_CKSUM) || d->linear || d->arena_bytes == 0)
		return true;
	return is_virtual(dev) && !sees_only_ours(d, dev);
}

int spate_dpdk_page_addresses(const struct spate_arena_info *a, rte_iova_t (*where)(const void *),
			      rte_iova_t *to)
{
	if (a->page_bytes < SPATE_HUGEPAGE_BYTES)
		return -EINVAL;
	for (size_t i = 0; i < a->bytes / a->page_bytes; i++) {
		char *page = (char *)a->base + i * a->page_bytes;

		/* A page that nobody has touched is nowhere yet. Its bytes may be in use: not
		 * changed. */
		atomic_fetch_or((_Atomic char *)page, 0);
		to[i] = where(page);
		if (to[i] == RTE_BAD_IOVA)
			return -EPERM;
	}
	return 0;
}

/* 0, or what rte_dev_dma_map said; -ENOTSUP: nothing between the device and memory. */
static int map_pages(struct dpdk *d, struct rte_device *dev, const struct spate_arena_info *a)
{
	for (size_t at = 0; at < a->bytes / a->page_bytes * a->page_bytes; at += a->page_bytes) {
		if (rte_dev_dma_map(dev, (char *)a->base + at,
				    d->arena_iova[at >> d->arena_page_shift], a->page_bytes) != 0)
			return -rte_errno;
		d->dma_mapped = at + a->page_bytes;
	}
	return 0;
}

static int no_map(const struct dpdk *d, int err, char *why, size_t why_len)
{
	return spate_dpdk_fail(why, why_len, err,
			       "%s: the IOMMU does not map the cache's memory (%s): raise \"ulimit "
			       "-l\", see docs/operations.md",
			       d->name, rte_strerror(err));
}

/* vfio's unsafe mode, by the device's group: that it is allowed says nothing of this one. */
static bool no_iommu(const struct rte_device *dev)
{
	char path[64];
	int group;

	if (rte_vfio_noiommu_is_enabled() != 1 ||
	    rte_vfio_get_group_num("/sys/bus/pci/devices", rte_dev_name(dev), &group) != 1)
		return false;
	snprintf(path, sizeof(path), "/dev/vfio/noiommu-%d", group);
	return access(path, F_OK) == 0;
}

static int by_physical_address(struct dpdk *d, struct rte_device *dev,
			       const struct spate_arena_info *a, char *why, size_t why_len)
{
	size_t pages = a->bytes / a->page_bytes;
	char recipe[256];
	int err;

	d->arena_page_shift = (unsigned)__builtin_ctzl(a->page_bytes);
	d->arena_iova = malloc(pages * sizeof(*d->arena_iova));
	if (d->arena_iova == NULL)
		return spate_dpdk_fail(why, why_len, ENOMEM, "out of memory");
	err = spate_dpdk_page_addresses(a, rte_mem_virt2iova, d->arena_iova);
	if (err == -EINVAL)
		return spate_dpdk_fail(
			why, why_len, EINVAL,
			"%s: without an IOMMU the cache must be in reserved huge pages, and there "
			"are too few: a smaller cache.memory, or type: %s",
			d->name,
			spate_hugepages_recipe(recipe, sizeof(recipe),
					       (long)(a->bytes / SPATE_HUGEPAGE_BYTES) + 1));
	if (err != 0)
		return spate_dpdk_fail(
			why, why_len, EPERM,
			"%s: physical addresses cannot be read: run as root, or use an "
			"IOMMU (vfio-pci)",
			d->name);
	err = no_iommu(dev) ? 0 : map_pages(d, dev, a);
	return err == 0 || err == -ENOTSUP ? 0 : no_map(d, -err, why, why_len);
}

int spate_dpdk_reach_arena(struct dpdk *d, struct rte_device *dev, const struct spate_arena_info *a,
			   char *why, size_t why_len)
{
	size_t len = RTE_ALIGN_FLOOR(a->bytes, a->page_bytes);

	if (sees_only_ours(d, dev) && rte_mem_virt2memseg(a->base, NULL) == NULL)
		return 0;
	d->device = dev;
	d->arena_base = (uintptr_t)a->base;
	d->arena_bytes = a->bytes;
	if (is_virtual(dev))
		return 0;
	if (rte_extmem_register(a->base, len, NULL, 0, a->page_bytes) == 0)
		d->registered = len;
	else if (rte_errno != EEXIST) /* by another port */
		return spate_dpdk_fail(why, why_len, rte_errno,
				       "%s: DPDK does not take over the cache's memory: %s",
				       d->name, rte_strerror(rte_errno));
	if (rte_eal_iova_mode() == RTE_IOVA_PA)
		return by_physical_address(d, dev, a, why, why_len);
	if (rte_dev_dma_map(dev, a->base, (uintptr_t)a->base, len) == 0)
		d->dma_mapped = len;
	else if (rte_errno != ENOTSUP)
		return no_map(d, rte_errno, why, why_len);
	return 0;
}

void spate_dpdk_leave_arena(struct dpdk *d)
{
	size_t page = (size_t)1 << d->arena_page_shift;

	if (d->dma_mapped != 0 && d->arena_iova == NULL)
		rte_dev_dma_unmap(d->device, (void *)d->arena_base, d->arena_base, d->dma_mapped);
	for (size_t at = 0; d->arena_iova != NULL && at < d->dma_mapped; at += page)
		rte_dev_dma_unmap(d->device, (void *)(d->arena_base + at),
				  d->arena_iova[at >> d->arena_page_shift], page);
	if (d->registered != 0)
		rte_extmem_unregister((void *)d->arena_base, d->registered);
	free(d->arena_iova);
	d->dma_mapped = d->registered = 0;
	d->arena_iova = NULL;
}

/*
 * dpdk.h: from the dpdk: section of the configuration to ports that run. Between reading the
 * configuration and making workers:
 *
 *   spate_dpdk_start(cfg, &arena, listeners, n, &d, why, ...)  EAL, ports, and what each worker
 *                                                              must know
 *   setup.backend_setup = spate_dpdk_backend_setup(d)
 *   setup.cpu = spate_dpdk_cpu(d, i)
 *   ... workers live and are destroyed
 *   spate_dpdk_stop(d)                                         before the cache is destroyed
 */
#ifndef SPATE_CONTROL_DPDK_H
#define SPATE_CONTROL_DPDK_H

#include <stddef.h>

#include "control/config/config.h"
#include "dataplane/backend_dpdk.h"

struct spate_dpdk;

/*
 * Where the cache's memory is to come from: *take NULL: anywhere. A virtio-user port, or a memif
 * with zero-copy, can only send what its peer has mapped, which is DPDK's own memory: then DPDK is
 * started here. 0 or negative errno with why filled in.
 */
int spate_dpdk_memory(const struct spate_config *cfg, spate_cache_take **take, char *why,
		      size_t why_len);
/* listeners and dgrams are borrowed. 0 or negative errno with why filled in; then nothing is left
 * behind. */
int spate_dpdk_start(const struct spate_config *cfg, const struct spate_arena_info *arena,
		     const struct spate_listener *listeners, unsigned nlisteners,
		     const struct spate_dgram_listener *dgrams, unsigned ndgrams,
		     struct spate_dpdk **out, char *why, size_t why_len);
const struct spate_dpdk_setup *spate_dpdk_backend_setup(const struct spate_dpdk *d);
int spate_dpdk_cpu(const struct spate_dpdk *d, unsigned worker); /* -1: not pinned */
unsigned spate_dpdk_ports(const struct spate_dpdk *d);
void spate_dpdk_port_line(const struct spate_dpdk *d, unsigned i, char *text,
			  size_t len); /* for the log */
/* The port's name is good until stop. Control's thread, as for each that asks a device. */
const char *spate_dpdk_port_status(const struct spate_dpdk *d, unsigned i,
				   struct spate_port_status *out);
/* Asks the device for its link, for all who read link_up; and returns that. */
bool spate_dpdk_port_look(struct spate_dpdk *d, unsigned i, const char **name);
bool spate_dpdk_port_lost(const struct spate_dpdk *d, unsigned i); /* for /healthz: costs nothing */
void spate_dpdk_stop(struct spate_dpdk *d);                        /* NULL is fine */

/*
 * The same as a table: run.c is linked without DPDK too (tests), so main() hands this to it where
 * there is DPDK.
 */
struct spate_dpdk_ops {
	int (*memory)(const struct spate_config *cfg, spate_cache_take **take, char *why,
		      size_t why_len);
	int (*start)(const struct spate_config *cfg, const struct spate_arena_info *arena,
		     const struct spate_listener *listeners, unsigned nlisteners,
		     const struct spate_dgram_listener *dgrams, unsigned ndgrams,
		     struct spate_dpdk **out, char *why, size_t why_len);
	const struct spate_dpdk_setup *(*setup)(const struct spate_dpdk *d);
	int (*cpu)(const struct spate_dpdk *d, unsigned worker);
	unsigned (*ports)(const struct spate_dpdk *d);
	void (*port_line)(const struct spate_dpdk *d, unsigned i, char *text, size_t len);
	const char *(*port_status)(const struct spate_dpdk *d, unsigned i,
				   struct spate_port_status *out);
	bool (*port_look)(struct spate_dpdk *d, unsigned i, const char **name);
	bool (*port_lost)(const struct spate_dpdk *d, unsigned i);
	void (*stop)(struct spate_dpdk *d);
	const struct spate_backend_ops *backend;
};
extern const struct spate_dpdk_ops spate_dpdk_ops; /* only with DPDK */

#endif

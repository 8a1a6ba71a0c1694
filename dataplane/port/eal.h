/*
 * eal.h: DPDK's environment, once a process, and words for what goes wrong in it.
 *
 *   spate_eal_start(args, n, why, sizeof(why))   from dpdk.eal; before any port is opened
 *   spate_eal_ports()                            devices found, in DPDK's order
 *   spate_eal_thread()                           each worker's own thread, before it touches a port
 *   spate_eal_stop()                             after every port was closed
 *
 * What is added to the arguments unless they say otherwise: one lcore (workers are threads of our
 * own), --in-memory (no files are left behind, and several edges may run side by side; with
 * --no-huge --no-shconf does that), --no-telemetry.
 */
#ifndef SPATE_EAL_H
#define SPATE_EAL_H

#include <stddef.h>

/* 0 or negative errno with a sentence or two in why: what is wrong, and what to type. */
int spate_eal_start(const char *const *args, unsigned n, char *why, size_t why_len);
unsigned spate_eal_ports(void);
const char *spate_eal_said(void); /* what went wrong with a device while it started; "": nothing */
/* 0, or -ENOSPC: more threads than DPDK was built for. Gives the thread its own buffer caches. */
int spate_eal_thread(void);
void spate_eal_thread_end(void);
/*
 * Memory of DPDK's own, for the cache: a spate_cache_take (spate/cache.h). What virtio-user's peer,
 * and a memif's with zero-copy, may read. NULL: too few huge pages. Lives until spate_eal_stop.
 */
void *spate_eal_memory(size_t *bytes, size_t *page_bytes);
void spate_eal_stop(void);

#endif

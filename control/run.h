/*
 * run.h: an edge from a configuration: `spate run`.
 *
 * Makes the cache, the rings, the workers with their listeners, the logs and the admin endpoint;
 * then is the control thread until the edge ends.
 *
 *   SIGTERM, SIGINT   stop accepting, finish what flows, end within timeouts.drain; again: now
 *   SIGHUP            read the file again, apply what can be applied, reopen the access log
 */
#ifndef SPATE_RUN_H
#define SPATE_RUN_H

#include "control/config/config.h"

/*
 * cfg: loaded and verified; taken over. config_path: for messages, NULL without a file. 0 when it
 * ran and was asked to stop; 1 when it could not start, with one line on stderr that says why.
 */
int spate_run(struct spate_config *cfg, const char *config_path);

/* What main() sets where the build has DPDK (control/dpdk.h); NULL: sockets only. */
struct spate_dpdk_ops;
extern const struct spate_dpdk_ops *spate_run_dpdk;

#endif

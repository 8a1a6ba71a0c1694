/*
 * links.h: DPDK's ports, watched. Once a second each device is asked for its link: here rather
 * than on a worker, as asking may take system calls. What has changed is said in the log; workers
 * read what was seen last (port.h, link_up).
 */
#ifndef SPATE_CONTROL_LINKS_H
#define SPATE_CONTROL_LINKS_H

#include "control/dpdk.h"
#include "control/loop.h"

struct spate_links {
	struct spate_loop *loop;
	const struct spate_dpdk_ops *ops;
	struct spate_dpdk *dpdk;
	struct spate_timer timer;
	unsigned grace;      /* looks before a link that is not up is news */
	uint32_t down, lost; /* as last said: a bit a port */
};

/* loop and dpdk are borrowed until stop. The loop's thread. */
void spate_links_watch(struct spate_links *l, struct spate_loop *loop,
		       const struct spate_dpdk_ops *ops, struct spate_dpdk *dpdk);
void spate_links_look(struct spate_links *l); /* once; the timer's */
void spate_links_stop(struct spate_links *l); /* zeroed and never watched is fine */

#endif

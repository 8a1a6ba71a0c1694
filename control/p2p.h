/*
 * p2p.h: from the p2p: section of the configuration to a tracker and its UDP listeners.
 *
 *   err = spate_p2p_groups(text, group, out, room, &n)   checks one entry of p2p.groups
 *   spate_p2p_tracker(cfg, &tracker)                     before the workers; NULL where p2p.tracker
 *                                                        is not set
 *   spate_p2p_dgrams(cfg, &listeners, &n)                what the backend is to listen on; free()
 */
#ifndef SPATE_CONTROL_P2P_H
#define SPATE_CONTROL_P2P_H

#include "control/config/config.h"
#include "dataplane/bt/tracker.h"

#define SPATE_P2P_PREFIXES 4096 /* in all groups */

/* NULL, or what is wrong (static text). Appends to out[*n]; out may be NULL: only checks. */
const char *spate_p2p_group(const char *text, uint8_t group, struct spate_tracker_prefix *out,
			    unsigned room, unsigned *n);
int spate_p2p_tracker(const struct spate_config *cfg, struct spate_tracker **out);
int spate_p2p_dgrams(const struct spate_config *cfg, struct spate_dgram_listener **out,
		     unsigned *n);

#endif

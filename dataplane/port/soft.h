/*
 * soft.h: what a port does itself when its device does not: checksums of a packet about to be
 * sent. Reads the frags, so it costs a pass over the payload; a device with L4 checksum offload
 * spares it.
 */
#ifndef SPATE_PORT_SOFT_H
#define SPATE_PORT_SOFT_H

#include "dataplane/port/port.h"

/*
 * Does what tx->flags ask for and `offloads` (the device's) does not have; clears those flags.
 * Not TSO.
 */
void spate_soft_csum(struct spate_pkt_tx *tx, uint32_t offloads);

/* Copies head and frags to dst, which has room for all. Returns bytes. */
size_t spate_soft_gather(const struct spate_pkt_tx *tx, uint8_t *dst);

/*
 * Segment `i` of a TSO packet as it would leave a device: headers patched (lengths, id, sequence
 * number, flags, checksums), payload copied. dst has room for head_len + tso_mss; without csum
 * the L4 checksum is left wrong, for a receiver that does not look. Returns bytes; 0: there is no
 * segment i.
 */
size_t spate_soft_cut(const struct spate_pkt_tx *tx, unsigned i, uint8_t *dst, bool csum);

#endif

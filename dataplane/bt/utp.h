/*
 * utp.h: uTP (BEP 29) is not spoken here, and says so: a SYN is answered by a RESET at once, so
 * that clients that try it first come back over TCP without waiting for a timeout. Stateless, and
 * never longer than what was asked; anything but a SYN is dropped, a RESET above all.
 */
#ifndef SPATE_BT_UTP_H
#define SPATE_BT_UTP_H

#include "dataplane/stream/dgram.h"

#define SPATE_UTP_HEADER 20u

/* Writes the answer to a SYN; 0: it is none. out: SPATE_UTP_HEADER bytes. */
size_t spate_utp_reset(const uint8_t *p, size_t len, uint64_t now_us, uint8_t *out);

extern const struct spate_dgram_app
	spate_utp_app; /* on the UDP port beside p2p.listen; ctx unused */

#endif

/*
 * strays.h: segments that came to another worker than their connection's. A NIC's hash never does
 * that; net_af_packet does: DPDK has the kernel give a packet to another queue when its own is
 * full (PACKET_FANOUT_FLAG_ROLLOVER). Who gets a segment that he knows nothing of hands it to the
 * next worker, and so on round; back where it came from it is nobody's, and answered (RST, or it
 * is a SYN cookie's).
 *
 *   worker: spate_strays_put()     rare: a copy, behind a spinlock of the receiver's box
 *   next:   spate_strays_first()   each turn: one load when there is nothing; then
 *           spate_strays_done()
 *
 * A full box drops, as a full queue does on any wire.
 */
#ifndef SPATE_NET_STRAYS_H
#define SPATE_NET_STRAYS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SPATE_STRAYS      256 /* a box; a power of two */
#define SPATE_STRAY_BYTES 2032

struct spate_stray {
	uint16_t len;
	uint8_t iface, hops; /* workers that did not know it */
	_Alignas(16) uint8_t frame[SPATE_STRAY_BYTES];
};

struct spate_strays;

/* For so many workers; NULL: no memory. */
struct spate_strays *spate_strays_create(unsigned workers);
void spate_strays_destroy(struct spate_strays *s); /* NULL is fine */
unsigned spate_strays_workers(const struct spate_strays *s);

/* To worker `to`; the frame is copied. false: full, or longer than SPATE_STRAY_BYTES. */
bool spate_strays_put(struct spate_strays *s, unsigned to, unsigned iface, unsigned hops,
		      const uint8_t *frame, uint32_t len);
/* The oldest in our own box, ours until done; NULL: none. */
struct spate_stray *spate_strays_first(struct spate_strays *s, unsigned worker);
void spate_strays_done(struct spate_strays *s, unsigned worker);

#endif

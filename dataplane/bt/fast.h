/*
 * fast.h: the pieces that a choked peer may have nevertheless (BEP 6, "allowed fast set"), so that
 * a newcomer has something to trade before it is his turn. A pure function of who asks for what:
 * who comes again, from anywhere in his /24, is given the same ones.
 */
#ifndef SPATE_BT_FAST_H
#define SPATE_BT_FAST_H

#include <stdint.h>

#include "spate/torrent.h"

/*
 * The first k of the set for that address (16 bytes, IPv4 mapped), to out[k]. BEP 6 knows IPv4
 * only; of IPv6 the /64 takes its place. Returns how many: k, or all pieces where there are fewer.
 */
unsigned spate_bt_fast_set(const uint8_t ip[16], const uint8_t infohash[SPATE_INFOHASH_BYTES],
			   uint32_t pieces, unsigned k, uint32_t *out);

#endif

/*
 * message.h: the peer wire's messages: names, lengths, and bytes to write. Pure functions.
 *
 *     4 bytes length (big-endian) | 1 byte id | payload            length 0: keep-alive
 */
#ifndef SPATE_BT_MESSAGE_H
#define SPATE_BT_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum spate_bt_id {
	SPATE_BT_CHOKE = 0,
	SPATE_BT_UNCHOKE = 1,
	SPATE_BT_INTERESTED = 2,
	SPATE_BT_NOT_INTERESTED = 3,
	SPATE_BT_HAVE = 4,     /* piece */
	SPATE_BT_BITFIELD = 5, /* a bit a piece */
	SPATE_BT_REQUEST = 6,  /* piece, begin, length */
	SPATE_BT_PIECE = 7,    /* piece, begin, bytes */
	SPATE_BT_CANCEL = 8,   /* piece, begin, length */
	SPATE_BT_PORT = 9,     /* BEP 5: a DHT port; not for us */
	SPATE_BT_SUGGEST = 13, /* from here to 17: BEP 6 */
	SPATE_BT_HAVE_ALL = 14,
	SPATE_BT_HAVE_NONE = 15,
	SPATE_BT_REJECT = 16, /* piece, begin, length */
	SPATE_BT_ALLOWED_FAST = 17,
	SPATE_BT_EXTENDED = 20,     /* BEP 10: its own id, bencoded payload */
	SPATE_BT_HASH_REQUEST = 21, /* BEP 52: root, base layer, index, length, proof layers */
	SPATE_BT_HASHES = 22,       /* likewise, then the hashes */
	SPATE_BT_HASH_REJECT = 23,
};

#define SPATE_BT_PROTOCOL \
	"\x13"            \
	"BitTorrent protocol"
#define SPATE_BT_PROTOCOL_LEN  20u
#define SPATE_BT_HANDSHAKE     68u
#define SPATE_BT_PIECE_HEAD    13u
#define SPATE_BT_REQUEST_MAX   (128u << 10) /* bytes; more is refused */
#define SPATE_BT_MESSAGE_MAX   (256u << 10) /* beside a bitfield nothing we may get is longer */
#define SPATE_BT_HASH_BYTES    48u          /* of a hash request: 32 + 4 * 4 */
#define SPATE_BT_RESERVED_EXT  0x10         /* byte 5: BEP 10 */
#define SPATE_BT_RESERVED_FAST 0x04         /* byte 7: BEP 6 */
#define SPATE_BT_RESERVED_V2   0x10         /* byte 7: BEP 52 */

static inline uint32_t spate_bt_get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void spate_bt_put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* May a message of this id be `len` long, id included? Ids we do not know may, up to the limit. */
bool spate_bt_length_ok(uint8_t id, uint32_t len, uint32_t pieces);

#endif

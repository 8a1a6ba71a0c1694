#include "dataplane/bt/message.h"

bool spate_bt_length_ok(uint8_t id, uint32_t len, uint32_t pieces)
{
	switch (id) {
	case SPATE_BT_CHOKE:
	case SPATE_BT_UNCHOKE:
	case SPATE_BT_INTERESTED:
	case SPATE_BT_NOT_INTERESTED:
	case SPATE_BT_HAVE_ALL:
	case SPATE_BT_HAVE_NONE:
		return len == 1;
	case SPATE_BT_PORT:
		return len == 3;
	case SPATE_BT_HAVE:
	case SPATE_BT_SUGGEST:
	case SPATE_BT_ALLOWED_FAST:
		return len == 5;
	case SPATE_BT_REQUEST:
	case SPATE_BT_CANCEL:
	case SPATE_BT_REJECT:
		return len == 13;
	case SPATE_BT_BITFIELD:
		return len == 1 + (pieces + 7) / 8;
	case SPATE_BT_EXTENDED:
		return len >= 2 && len <= SPATE_BT_MESSAGE_MAX;
	case SPATE_BT_HASH_REQUEST:
	case SPATE_BT_HASH_REJECT:
		return len == 1 + SPATE_BT_HASH_BYTES;
	default:
		return len <= SPATE_BT_MESSAGE_MAX;
	}
}

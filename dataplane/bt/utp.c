#include "dataplane/bt/utp.h"

#include <string.h>

#include "dataplane/bt/message.h"
#include "dataplane/worker.h"

/*
 *      0       4       8               16              24              32
 *      | type  | ver 1 | extension     | connection id                 |
 *      | timestamp, us                                                 |
 *      | its difference to the other side's                            |
 *      | window                                                        |
 *      | seq_nr                        | ack_nr                        |
 */
enum { RESET = 3, SYN = 4 };

size_t spate_utp_reset(const uint8_t *p, size_t len, uint64_t now_us, uint8_t *out)
{
	if (len < SPATE_UTP_HEADER || p[0] != (SYN << 4 | 1))
		return 0;
	memset(out, 0, SPATE_UTP_HEADER);
	out[0] = RESET << 4 | 1;
	memcpy(out + 2, p + 2, 2); /* a SYN carries the id that its sender listens on */
	spate_bt_put32(out + 4, (uint32_t)now_us);
	spate_bt_put32(out + 8, (uint32_t)now_us - spate_bt_get32(p + 4));
	memcpy(out + 18, p + 16, 2); /* ack_nr: the SYN */
	return SPATE_UTP_HEADER;
}

static void on_datagram(struct spate_dgram *d, const uint8_t *data, size_t len)
{
	uint8_t reset[SPATE_UTP_HEADER], *out;
	size_t n = spate_utp_reset(data, len, d->worker->now_us, reset);

	if (n == 0 || (out = spate_dgram_reply(d)) == NULL)
		return;
	memcpy(out, reset, n);
	spate_dgram_send(d, n);
	SPATE_COUNT(d->worker->stats, bt_utp_resets);
}

const struct spate_dgram_app spate_utp_app = {.name = "utp", .recv = on_datagram};

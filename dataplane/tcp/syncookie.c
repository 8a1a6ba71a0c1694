/*
 * SYN cookies (RFC 4987 3.6): under pressure a SYN leaves no state behind; our ISN says it all:
 *
 *      31    27 26  24 23                    0
 *     ┌────────┬──────┬───────────────────────┐
 *     │ minute │ MSS  │ MAC of tuple, peer's  │
 *     │        │ index│ ISN, minute, MSS      │
 *     └────────┴──────┴───────────────────────┘
 * and the low six bits of the timestamp say window scale (15: none), SACK and ECN.
 */
#include "dataplane/tcp/conn.h"
#include "dataplane/util/siphash.h"

#define PERIOD_US 64000000ull

static const uint16_t mss_table[8] = {216, 536, 1024, 1220, 1340, 1440, 1460, 8940};

static uint32_t mac(const struct spate_tcp *t, const struct tcp_seg *s, uint32_t irs,
		    uint32_t period, unsigned index)
{
	uint64_t w[6];

	memcpy(w, s->key.local_ip, 16);
	memcpy(w + 2, s->key.peer_ip, 16);
	w[4] = (uint64_t)s->key.local_port << 48 | (uint64_t)s->key.peer_port << 32 | irs;
	w[5] = (uint64_t)period << 8 | index;
	return (uint32_t)siphash(t->key_cookie, w, 6, 2, 4) & 0xffffff;
}

void tcp_cookie_send(struct spate_tcp *t, const struct tcp_seg *s)
{
	const struct spate_tcp_config *cfg = &t->cfg;
	uint32_t period = (uint32_t)(t->now_us / PERIOD_US), iss, tsval = 0;
	uint16_t mss = s->mss != 0 ? s->mss : s->in->v6 ? 1220 : 536;
	bool ts = cfg->timestamps && s->has_ts, sack = ts && cfg->sack && s->sack_ok;
	bool wscale = ts && cfg->wscale && s->wscale != 0xff;
	bool ecn = ts && cfg->ecn && (s->flags & (TCP_ECE | TCP_CWR)) == (TCP_ECE | TCP_CWR);
	struct spate_tcp_path path;
	unsigned index = 7, opts, scale = 0;
	uint8_t buf[40];

	while (index > 0 && mss_table[index] > mss)
		index--;
	iss = (period & 31) << 27 | index << 24 | mac(t, s, s->seq, period, index);
	if (ts) {
		uint32_t now = t->now_ms + tcp_ts_offset(t, &s->key);

		tsval = (now & ~63u) | (wscale ? s->wscale : 15u) | (uint32_t)sack << 4 |
			(uint32_t)ecn << 5;
		if (seq_lt(now, tsval))
			tsval -= 64;
	}
	while (scale < 14 && (uint32_t)65535 << scale < cfg->rcv_buf)
		scale++;
	if (t->lower.path(t->lower.net, s->key.local_ip, s->key.peer_ip, &path) !=
	    SPATE_TCP_PATH_READY)
		return;
	opts = tcp_syn_options(t, buf, (uint16_t)(path.mtu - path.l3_len - 20), ts, tsval, s->tsval,
			       sack, wscale ? (uint8_t)scale : 0xff);
	tcp_answer(t, s, (uint8_t)(TCP_SYN | TCP_ACK | (ecn ? TCP_ECE : 0)), iss, s->seq + 1,
		   (uint16_t)min32(cfg->rcv_buf, 65535), buf, opts);
	t->cookie_us = t->now_us;
	tcp_count(t, SPATE_TCP_COOKIE_SENT, 1);
}

/* Was one sent so lately that it may come back? */
bool tcp_cookies_about(const struct spate_tcp *t)
{
	return t->cookie_us != 0 && t->now_us - t->cookie_us <= 2 * PERIOD_US;
}

bool tcp_cookie_check(struct spate_tcp *t, const struct tcp_seg *s, uint16_t *mss, uint8_t *wscale,
		      bool *sack, bool *ecn)
{
	uint32_t cookie = s->ack - 1, period = (uint32_t)(t->now_us / PERIOD_US);
	unsigned index = (cookie >> 24) & 7, age;

	/* Else do not even look, so that guessing is only possible under attack. */
	if (!tcp_cookies_about(t))
		return false;
	age = (period - (cookie >> 27)) & 31;
	if (age > 1 || mac(t, s, s->seq - 1, period - age, index) != (cookie & 0xffffff))
		return false;
	*mss = mss_table[index];
	*wscale = 0xff;
	*sack = *ecn = false;
	if (s->has_ts) {
		if ((s->tsecr & 15) != 15)
			*wscale = (uint8_t)(s->tsecr & 15);
		*sack = s->tsecr & 16;
		*ecn = s->tsecr & 32;
	}
	return true;
}

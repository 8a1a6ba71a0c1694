/*
 * extended.c: BEP 10 and what rides on it: the info dictionary for who came by a magnet (BEP 9),
 * other peers (BEP 11), "we have this no longer" (BEP 54), "we want nothing" (BEP 21).
 */
#include <stdio.h>
#include <string.h>

#include "dataplane/bt/bencode.h"
#include "dataplane/bt/impl.h"
#include "dataplane/bt/tracker.h"

#define METADATA_PIECE 16384u /* BEP 9 */

enum { METADATA_REQUEST, METADATA_DATA, METADATA_REJECT };

/* Head of an extended message; payload follows. */
static void say_head(struct spate_bt_conn *c, uint8_t ext, size_t payload)
{
	uint8_t head[6];

	spate_bt_put32(head, (uint32_t)(2 + payload));
	head[4] = SPATE_BT_EXTENDED;
	head[5] = ext;
	spate_bt_say(c, head, sizeof(head));
}

/* "4:" or "16:" and the address's bytes, as they came in. */
static size_t put_ip(char *out, const struct spate_addr *a)
{
	bool four = spate_addr_is_ip4(a->ip);
	size_t n = four ? 2 : 3;

	memcpy(out, four ? "4:" : "16:", n);
	memcpy(out + n, a->ip + (four ? 12 : 0), four ? 4 : 16);
	return n + (four ? 4 : 16);
}

void spate_bt_say_extended(struct spate_bt_conn *c)
{
	char text[512];
	size_t n = (size_t)snprintf(
		text, sizeof(text) - 32,
		"d1:md11:lt_donthavei%de11:ut_metadatai%de6:ut_pexi%dee13:metadata_sizei%ue"
		"1:pi%ue4:reqqi%ue11:upload_onlyi1e1:v5:Spate6:yourip",
		SPATE_BT_EXT_DONTHAVE, SPATE_BT_EXT_METADATA, SPATE_BT_EXT_PEX,
		c->seed->t->info_len, c->s->local.port, SPATE_BT_REQQ);

	n += put_ip(text + n, &c->s->peer);
	text[n++] = 'e';
	say_head(c, SPATE_BT_EXT_HANDSHAKE, n);
	spate_bt_say(c, text, n);
}

/* An integer value, or -1; anything else is walked over. */
static int64_t number(struct spate_bdec *d)
{
	int64_t v = -1;

	if (spate_bdec_peek(d) != 'i')
		spate_bdec_skip(d);
	else if (!spate_bdec_int(d, &v))
		v = -1;
	return v;
}

static void got_names(struct spate_bt_conn *c, struct spate_bdec *d)
{
	static const struct {
		const char *name;
		enum spate_bt_ext ext;
	} known[] = {
		{"ut_metadata", SPATE_BT_EXT_METADATA},
		{"ut_pex", SPATE_BT_EXT_PEX},
		{"lt_donthave", SPATE_BT_EXT_DONTHAVE},
	};
	struct spate_bstr key;

	spate_bdec_dict(d);
	while (spate_bdec_more(d) && spate_bdec_str(d, &key)) {
		int64_t id = number(d);

		for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (id >= 0 && id <= 255 && spate_bstr_is(&key, known[i].name))
				c->ext[known[i].ext] = (uint8_t)id;
	}
}

static void got_handshake(struct spate_bt_conn *c, const uint8_t *p, uint32_t len)
{
	struct spate_bstr key;
	struct spate_bdec d;

	spate_bdec_init(&d, p, len);
	spate_bdec_dict(&d);
	while (spate_bdec_more(&d) && spate_bdec_str(&d, &key)) {
		if (spate_bstr_is(&key, "m") && spate_bdec_peek(&d) == 'd')
			got_names(c, &d);
		else if (spate_bstr_is(&key, "upload_only"))
			c->peer_seeds |= number(&d) == 1;
		else
			spate_bdec_skip(&d);
	}
	if (!spate_bdec_ok(&d))
		spate_bt_close(c, malformed);
}

/*
 * BEP 9: {msg_type, piece}; the answer has total_size too, and the bytes behind the dictionary. A
 * choke does not hold it back: who came by a magnet can say what it wants only after it.
 */
static void got_metadata(struct spate_bt_conn *c, const uint8_t *p, uint32_t len)
{
	const struct spate_torrent *t = c->seed->t;
	int64_t type = -1, piece = -1;
	struct spate_bstr key;
	struct spate_bdec d;
	char text[96];
	size_t n, bytes = 0;

	spate_bdec_init(&d, p, len);
	spate_bdec_dict(&d);
	while (spate_bdec_more(&d) && spate_bdec_str(&d, &key)) {
		if (spate_bstr_is(&key, "msg_type"))
			type = number(&d);
		else if (spate_bstr_is(&key, "piece"))
			piece = number(&d);
		else
			spate_bdec_skip(&d);
	}
	if (!spate_bdec_ok(&d)) {
		spate_bt_close(c, malformed);
		return;
	}
	if (type != METADATA_REQUEST || c->ext[SPATE_BT_EXT_METADATA] == 0)
		return;
	if (piece >= 0 && piece < (t->info_len + METADATA_PIECE - 1) / METADATA_PIECE)
		bytes = t->info_len - (size_t)piece * METADATA_PIECE;
	if (bytes > METADATA_PIECE)
		bytes = METADATA_PIECE;
	if (bytes == 0 || !spate_bt_may_copy(c, bytes)) {
		n = (size_t)snprintf(text, sizeof(text), "d8:msg_typei%de5:piecei%lldee",
				     METADATA_REJECT, (long long)piece);
		say_head(c, c->ext[SPATE_BT_EXT_METADATA], n);
		spate_bt_say(c, text, n);
		return;
	}
	n = (size_t)snprintf(text, sizeof(text), "d8:msg_typei%de5:piecei%llde10:total_sizei%uee",
			     METADATA_DATA, (long long)piece, t->info_len);
	say_head(c, c->ext[SPATE_BT_EXT_METADATA], n + bytes);
	spate_bt_say(c, text, n);
	spate_bt_say(c, t->info + (size_t)piece * METADATA_PIECE, bytes);
	spate_bt_copied(c, bytes);
	SPATE_COUNT(c->s->worker->stats, bt_metadata);
}

void spate_bt_extended(struct spate_bt_conn *c, const uint8_t *p, uint32_t len)
{
	switch (p[0]) {
	case SPATE_BT_EXT_HANDSHAKE:
		got_handshake(c, p + 1, len - 1);
		break;
	case SPATE_BT_EXT_METADATA:
		got_metadata(c, p + 1, len - 1);
		break;
	default:
		break; /* a seeder needs no peers, and nobody's pieces */
	}
}

/* --- BEP 54 --- */

void spate_bt_say_donthave(struct spate_bt_conn *c, uint32_t piece)
{
	uint8_t p[4];

	for (unsigned i = 0; i < c->ngone; i++)
		if (c->gone[i] == piece)
			return;
	if (c->ext[SPATE_BT_EXT_DONTHAVE] == 0 || c->ngone == SPATE_BT_GONE)
		return;
	spate_bt_put32(p, piece);
	say_head(c, c->ext[SPATE_BT_EXT_DONTHAVE], sizeof(p));
	spate_bt_say(c, p, sizeof(p));
	c->gone[c->ngone++] = piece;
	c->gone_us = c->s->worker->now_us;
}

/* The origin may be well again. */
void spate_bt_offer_again(struct spate_bt_conn *c)
{
	if (c->ngone == 0 || c->s->worker->now_us - c->gone_us < SPATE_BT_AGAIN_US)
		return;
	while (c->ngone > 0)
		spate_bt_say_numbers(c, SPATE_BT_HAVE, 1, c->gone[--c->ngone], 0, 0);
}

/* --- BEP 11 --- */

#define PEX_PEERS 50u /* BEP 11: at most so many in a message */

static void put_added(struct spate_benc *e, const char *name, const char *flags,
		      const struct spate_peer_list *l, unsigned bytes)
{
	uint8_t none[PEX_PEERS] = {0};

	if (l->n == 0)
		return;
	spate_benc_text(e, name);
	spate_benc_str(e, l->to, (size_t)l->n * bytes);
	spate_benc_text(e, flags);
	spate_benc_str(e, none, l->n);
}

/*
 * What the swarm store names now. A peer is told some of a large swarm again and again rather than
 * what has changed: that would have to be remembered for each.
 */
void spate_bt_say_pex(struct spate_bt_conn *c)
{
	const struct spate_torrent *t = c->seed->t;
	uint8_t four[PEX_PEERS * 6], six[PEX_PEERS * 18], text[2048];
	struct spate_peer_list v4 = {.to = four, .want = PEX_PEERS / 2};
	struct spate_peer_list v6 = {.to = six, .want = PEX_PEERS / 2};
	struct spate_benc e;

	if (c->ext[SPATE_BT_EXT_PEX] == 0)
		return;
	spate_tracker_pex(c->s->worker, c->v2 ? t->infohash_v2 : t->infohash, &c->s->peer, &v4,
			  &v6);
	if (v4.n + v6.n == 0)
		return;
	spate_benc_init(&e, text, sizeof(text));
	spate_benc_dict(&e);
	put_added(&e, "added", "added.f", &v4, 6);
	put_added(&e, "added6", "added6.f", &v6, 18);
	spate_benc_end(&e);
	if (e.full)
		return;
	say_head(c, c->ext[SPATE_BT_EXT_PEX], e.len);
	spate_bt_say(c, text, e.len);
	SPATE_COUNT(c->s->worker->stats, bt_pex);
}

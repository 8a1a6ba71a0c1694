/*
 * hashes.c: BEP 52 hash requests. Layers above the leaves are computed when they are asked for; a
 * worker does so much of it a second and refuses the rest, for a request is short and its answer
 * is not. What is sent is taken off the rates, as metadata is; a choke holds back pieces only.
 */
#include <string.h>

#include "dataplane/bt/impl.h"
#include "dataplane/bt/merkle.h"

#define HASHES_A_S 400000u /* about 5 % of a core */

static const struct spate_torrent_file *find(const struct spate_torrent *t, const uint8_t root[32])
{
	for (uint32_t i = 0; i < t->nfiles; i++)
		if (memcmp(t->files[i].root, root, 32) == 0)
			return &t->files[i];
	return NULL;
}

void spate_bt_hash_request(struct spate_bt_conn *c, const uint8_t p[SPATE_BT_HASH_BYTES])
{
	struct spate_bt *b = spate_bt_of(c);
	const struct spate_torrent_file *f = find(c->seed->t, p);
	uint32_t base = spate_bt_get32(p + 32), index = spate_bt_get32(p + 36),
		 length = spate_bt_get32(p + 40), proofs = spate_bt_get32(p + 44);
	uint8_t head[5 + SPATE_BT_HASH_BYTES], out[512 + SPATE_MERKLE_LAYERS_MAX][32];
	unsigned n = 0;
	uint64_t cost = 0;

	if (f != NULL)
		n = spate_merkle_proof(f, base, index, length, proofs, NULL, &cost);
	if (n > 0 && !(spate_bt_may_copy(c, n * 32ull) &&
		       spate_bt_bucket_open(&b->hashing, HASHES_A_S, b->w->now_us)))
		n = 0;
	if (n > 0) {
		n = spate_merkle_proof(f, base, index, length, proofs, out, &cost);
		spate_bt_bucket_take(&b->hashing, HASHES_A_S, cost);
	}
	spate_bt_put32(head, (uint32_t)(1 + SPATE_BT_HASH_BYTES + n * 32));
	head[4] = n > 0 ? SPATE_BT_HASHES : SPATE_BT_HASH_REJECT;
	memcpy(head + 5, p, SPATE_BT_HASH_BYTES);
	spate_bt_say(c, head, sizeof(head));
	if (n > 0) {
		spate_bt_say(c, out, (size_t)n * 32);
		spate_bt_copied(c, n * 32ull);
		SPATE_COUNT(b->w->stats, bt_hashes);
	} else {
		SPATE_COUNT(b->w->stats, bt_hash_rejects);
	}
}

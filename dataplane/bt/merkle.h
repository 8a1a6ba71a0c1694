/*
 * merkle.h: BEP 52's trees: SHA-256 over 16 KiB blocks, then over pairs, zero hashes where the file
 * has ended, up to the pieces root. Layer 0 is the leaves.
 *
 *     layer 2            root
 *     layer 1      n0            n1
 *     layer 0   l0    l1     l2     (0)        a file of three blocks
 */
#ifndef SPATE_BT_MERKLE_H
#define SPATE_BT_MERKLE_H

#include <stdint.h>

#include "spate/torrent.h"

#define SPATE_MERKLE_LAYERS_MAX 32u

unsigned spate_merkle_layers(uint32_t nleaves); /* above the leaves: 0 for one leaf */

/* Node i of that layer, computed from the leaves. Returns how many hashes that took. */
uint64_t spate_merkle_node(const struct spate_torrent_file *f, unsigned layer, uint64_t i,
			   uint8_t out[32]);

/*
 * What a hash request is answered with: `length` nodes of layer `base` from `index` on, then the
 * uncles that lead from their common ancestor towards the root, as far as `proofs` layers above
 * base say. Returns the number of hashes written, 0 where the request cannot be answered (BEP 52's
 * rules; length 2..512). out has room for 512 + 32 of them. *cost: hashes computed; with out NULL
 * only an upper bound of it is told.
 */
unsigned spate_merkle_proof(const struct spate_torrent_file *f, uint32_t base, uint32_t index,
			    uint32_t length, uint32_t proofs, uint8_t (*out)[32], uint64_t *cost);

#endif

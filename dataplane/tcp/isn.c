/*
 * Numbers that must not be guessed: initial sequence numbers (RFC 6528), timestamp offsets (RFC
 * 7323 5.4), port offsets (RFC 6056 3.3.3). All are functions of the tuple and a secret, so none
 * needs state.
 */
#include "dataplane/tcp/conn.h"
#include "dataplane/util/siphash.h"

static uint64_t of_tuple(const uint64_t key[2], const struct tcp_tuple *k, bool ports)
{
	uint64_t w[5];

	memcpy(w, k->local_ip, 16);
	memcpy(w + 2, k->peer_ip, 16);
	w[4] = ports ? (uint64_t)k->local_port << 16 | k->peer_port : k->peer_port;
	return siphash(key, w, 5, 2, 4);
}

/* A clock of 4 us a step, and a keyed function of the tuple. */
uint32_t tcp_isn(const struct spate_tcp *t, const struct tcp_tuple *k)
{
	return (uint32_t)(t->now_us / 4) + (uint32_t)of_tuple(t->key_isn, k, true);
}

/* The same for each connection of a tuple: its clock runs on, which RFC 6191 wants. */
uint32_t tcp_ts_offset(const struct spate_tcp *t, const struct tcp_tuple *k)
{
	return (uint32_t)of_tuple(t->key_ts, k, true);
}

uint32_t tcp_port_offset(const struct spate_tcp *t, const struct tcp_tuple *k)
{
	return (uint32_t)of_tuple(t->key_port, k, false);
}

/*
 * fetch.h: one object by HTTP over a load_net, for who needs it before the load begins.
 *
 * An edge that is busy making what was asked for (503), or is not there yet, is asked again until
 * `seconds` have passed. 0, with *out for free(); or negative errno with why filled in.
 */
#ifndef SPATE_LOAD_FETCH_H
#define SPATE_LOAD_FETCH_H

#include <stddef.h>
#include <stdint.h>

struct load_net;

/* url: http://ADDRESS[:PORT]/PATH, a numeric address. */
int load_fetch(struct load_net *net, const char *url, double seconds, uint8_t **out, size_t *len,
	       char *why, size_t why_len);

#endif

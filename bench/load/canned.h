/*
 * canned.h: a responder that does nothing but answer: it counts empty lines and sends one prepared
 * response for each. What the generator reaches against it is the generator's ceiling (or this
 * one's: whichever is busier says so).
 */
#ifndef SPATE_LOAD_CANNED_H
#define SPATE_LOAD_CANNED_H

#include <stdint.h>

#include "dataplane/stream/stream.h"

/* A listening socket; *at gets its port when that was 0. -errno. */
int load_canned_listen(struct spate_addr *at);

/* Answers on fd until the process ends or *stop is set. 0 or -errno. */
int load_canned_serve(int fd, uint64_t bytes, const _Atomic bool *stop);

#endif

/*
 * sock.h: the socket backend. Streams over kernel sockets and io_uring, one ring and one listener a
 * worker.
 *
 * Give spate_sock_backend and a struct spate_sock_setup to spate_worker_create. Listeners are
 * opened there (so that a port in use is an error at start); the ring is enabled by the worker's
 * own thread.
 */
#ifndef SPATE_SOCK_H
#define SPATE_SOCK_H

#include "dataplane/stream/dgram.h"
#include "dataplane/worker.h"

struct spate_sock_setup {
	const struct spate_listener *listeners; /* copied */
	unsigned count;
	const struct spate_dgram_listener *dgrams; /* copied */
	unsigned ndgrams;
	const char *congestion; /* the kernel's name, "cubic"; NULL: its default */
};

extern const struct spate_backend_ops spate_sock_backend;

/*
 * Whether the kernel lets this process have that congestion control: 0, -EPERM (it is not among
 * net.ipv4.tcp_allowed_congestion_control), -ENOENT (the kernel does not have it), or what else a
 * socket may say. Asked once, before the workers start.
 */
int spate_sock_may_have(const char *congestion);

struct sockaddr_storage;
/* As the kernel has it, IPv4 where it is; the length of what was filled in. */
unsigned spate_sock_addr(struct sockaddr_storage *ss, const struct spate_addr *a);

#endif

/*
 * server.h: HTTP/1.1 for few and trusted clients, over the control loop; admin.h uses it. Heads are
 * parsed by the viewers' own parser (dataplane/http/request.h), so what is ambiguous is refused
 * here too.
 *
 *   spate_server_open(&srv, loop, addr, len, answer, ctx)
 *   answer(ctx, req, &response)     for each request, at once; it fills response and its body
 *   spate_server_close(srv)
 *
 *   connection:  READ ──head complete──► answer ──► WRITE ──keep-alive──► READ ...
 *                  │ idle, error                      └─close──► LINGER (FIN sent, drop what comes)
 * ──► gone
 *
 * A connection has one operation in flight and one timer; either ends it in a known time.
 */
#ifndef SPATE_CONTROL_ADMIN_SERVER_H
#define SPATE_CONTROL_ADMIN_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "control/loop.h"
#include "dataplane/http/request.h"

struct spate_server;

struct spate_response {
	unsigned status;
	const char *type;  /* of the content */
	const char *allow; /* for 405; NULL: no such field */
	char *body;        /* malloc'd by answer(), freed by the server; NULL: none */
	size_t len;
};

typedef void spate_server_answer(void *ctx, const struct spate_http_request *req,
				 struct spate_response *out);

/*
 * max: connections at once; one more closes the one that has waited longest for its client, or is
 * closed itself when all are being answered. 0, -ENOMEM, or what socket, bind or listen said.
 */
int spate_server_open(struct spate_server **out, struct spate_loop *loop,
		      const struct sockaddr *addr, socklen_t addr_len, unsigned max,
		      spate_server_answer *answer, void *ctx);
uint16_t spate_server_port(const struct spate_server *srv); /* host order */

/* Turns the loop until nothing is in flight, then frees. Not from inside a loop callback. */
void spate_server_close(struct spate_server *srv);

/* A body from a literal or a short text; on want of memory the response is an empty 500. */
void spate_response_text(struct spate_response *out, unsigned status, const char *type,
			 const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif

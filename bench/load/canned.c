/*
 * canned.c: epoll and one loop. A request ends with an empty line: three bytes of state a
 * connection, and no parser. What a socket does not take now is sent when it has room.
 */
#include "bench/load/canned.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define FDS 65536

struct viewer {
	uint64_t owed; /* bytes of responses still to be sent */
	uint8_t matched;
	bool writable; /* is waited for */
};

struct canned {
	int ep, fd;
	char *response;
	uint64_t len; /* of it */
	struct viewer viewer[FDS];
};

int load_canned_listen(struct spate_addr *at)
{
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_port = htons(at->port)};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1, no = 0;

	memcpy(&sa.sin6_addr, at->ip, 16);
	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 4096) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	at->port = ntohs(sa.sin6_port);
	return fd;
}

static void wait_for(struct canned *c, int fd, bool room)
{
	struct epoll_event ev = {.events = EPOLLIN | (room ? EPOLLOUT : 0), .data.fd = fd};

	if (c->viewer[fd].writable == room)
		return;
	c->viewer[fd].writable = room;
	epoll_ctl(c->ep, EPOLL_CTL_MOD, fd, &ev);
}

/* false: the connection is gone. */
static bool pay(struct canned *c, int fd)
{
	struct viewer *v = &c->viewer[fd];

	while (v->owed != 0) {
		uint64_t rest = v->owed % c->len != 0 ? v->owed % c->len : c->len;
		ssize_t n = send(fd, c->response + (c->len - rest), rest, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0)
			return false;
		v->owed -= (uint64_t)n;
	}
	wait_for(c, fd, v->owed != 0);
	return true;
}

static bool hear(struct canned *c, int fd)
{
	struct viewer *v = &c->viewer[fd];
	char text[16384];
	ssize_t n = recv(fd, text, sizeof(text), 0);

	if (n < 0 && errno == EAGAIN)
		return true;
	if (n <= 0)
		return false;
	for (ssize_t i = 0; i < n; i++) {
		if (text[i] == "\r\n\r\n"[v->matched])
			v->matched++;
		else
			v->matched = text[i] == '\r';
		if (v->matched == 4) {
			v->matched = 0;
			v->owed += c->len;
		}
	}
	return pay(c, fd);
}

static void welcome(struct canned *c)
{
	int fd;

	while ((fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

		if (fd >= FDS) {
			close(fd);
			continue;
		}
		c->viewer[fd] = (struct viewer){0};
		epoll_ctl(c->ep, EPOLL_CTL_ADD, fd, &ev);
	}
}

int load_canned_serve(int fd, uint64_t bytes, const _Atomic bool *stop)
{
	struct canned *c = calloc(1, sizeof(*c));
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
	struct rlimit files;
	char head[128];
	int n = snprintf(head, sizeof(head),
			 "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\nServer: canned\r\n\r\n",
			 (unsigned long long)bytes);

	if (c == NULL || (c->response = malloc((size_t)n + bytes)) == NULL) {
		free(c);
		return -ENOMEM;
	}
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	memcpy(c->response, head, (size_t)n);
	memset(c->response + n, 'x', bytes);
	c->len = (uint64_t)n + bytes;
	c->fd = fd;
	c->ep = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(c->ep, EPOLL_CTL_ADD, fd, &ev);
	while (!atomic_load_explicit(stop, memory_order_relaxed)) {
		struct epoll_event got[256];
		int k = epoll_wait(c->ep, got, 256, 100);

		for (int i = 0; i < k; i++) {
			int at = got[i].data.fd;
			bool ok = true;

			if (at == fd) {
				welcome(c);
				continue;
			}
			if (got[i].events & EPOLLOUT)
				ok = pay(c, at);
			if (ok && (got[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
				ok = hear(c, at);
			if (!ok)
				close(at);
		}
	}
	close(c->ep);
	free(c->response);
	free(c);
	return 0;
}

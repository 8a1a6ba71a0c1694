/*
 * leech.c: a peer that takes as fast as it is given: one thread, any number of connections, each
 * with `depth` requests of 16 KiB out at a time, round and round the torrent. What comes is counted
 * and thrown away, so that on the other core the seeder is what is measured.
 *
 *     spate-leech HOST PORT INFOHASH TORRENT_BYTES PIECE_BYTES CONNS SECONDS [DEPTH]
 *
 * Says {"bytes": payload, "seconds": time, "pieces": n} when the time is over.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/bt/message.h"

#define BLOCK     16384u
#define CONNS_MAX 256
#define HEAD      13u

struct conn {
	int fd;
	bool open;      /* unchoked */
	unsigned out;   /* requests */
	uint64_t next;  /* offset to ask for */
	uint32_t hello; /* handshake bytes still to come */
	uint8_t head[HEAD];
	uint32_t have;
	uint32_t skip; /* of the message, behind its head */
};

static uint64_t total, piece_bytes, got, pieces;
static unsigned depth = 128;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
	fprintf(stderr, "spate-leech: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void put(struct conn *c, const void *p, size_t n)
{
	while (n > 0) {
		ssize_t k = send(c->fd, p, n, MSG_NOSIGNAL);

		if (k <= 0)
			die("send");
		p = (const uint8_t *)p + k;
		n -= (size_t)k;
	}
}

/* In batches, as clients do. */
static void ask(struct conn *c)
{
	uint8_t m[17 * 64];
	size_t n = 0;

	if (!c->open || c->out > depth - depth / 4)
		return;
	while (c->out < depth) {
		uint64_t piece = c->next / piece_bytes, left = (piece + 1) * piece_bytes - c->next;
		uint32_t len = left < BLOCK ? (uint32_t)left : BLOCK;

		if (c->next + len > total)
			len = (uint32_t)(total - c->next);
		spate_bt_put32(m + n, 13);
		m[n + 4] = SPATE_BT_REQUEST;
		spate_bt_put32(m + n + 5, (uint32_t)piece);
		spate_bt_put32(m + n + 9, (uint32_t)(c->next % piece_bytes));
		spate_bt_put32(m + n + 13, len);
		n += 17;
		c->out++;
		c->next = c->next + len < total ? c->next + len : 0;
		if (n == sizeof(m)) {
			put(c, m, n);
			n = 0;
		}
	}
	if (n > 0)
		put(c, m, n);
}

static void message(struct conn *c)
{
	uint32_t len = spate_bt_get32(c->head);

	switch (c->head[4]) {
	case SPATE_BT_UNCHOKE:
		c->open = true;
		break;
	case SPATE_BT_CHOKE:
		c->open = false;
		c->out = 0;
		break;
	case SPATE_BT_PIECE:
		got += len - 9;
		pieces++;
		c->out--;
		break;
	case SPATE_BT_REJECT:
		c->out--;
		break;
	}
}

static void take(struct conn *c)
{
	static uint8_t buf[512 << 10];
	ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);
	size_t at = 0;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		die("recv");
	while (at < (size_t)n) {
		size_t left = (size_t)n - at, k;
		uint32_t len;

		if (c->hello > 0) {
			k = left < c->hello ? left : c->hello;
			c->hello -= (uint32_t)k;
			at += k;
			continue;
		}
		if (c->skip > 0) {
			k = left < c->skip ? left : c->skip;
			c->skip -= (uint32_t)k;
			at += k;
			if (c->skip == 0)
				message(c);
			continue;
		}
		c->head[c->have++] = buf[at++];
		if (c->have < 4)
			continue;
		len = spate_bt_get32(c->head);
		if (len == 0) {
			c->have = 0;
			continue;
		}
		if (c->have < 5)
			continue;
		c->have = 0;
		c->skip = len - 1;
		if (c->skip == 0)
			message(c);
	}
	ask(c);
}

static void start(struct conn *c, const char *host, int port, const uint8_t *hash, unsigned i)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	uint8_t hello[SPATE_BT_HANDSHAKE + 5] = SPATE_BT_PROTOCOL;
	int one = 1, room = 4 << 20;

	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (inet_pton(AF_INET, host, &to.sin_addr) != 1 ||
	    connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect");
	hello[27] = SPATE_BT_RESERVED_FAST;
	memcpy(hello + 28, hash, 20);
	snprintf((char *)hello + 48, 21, "-LE0001-%012u", i);
	memcpy(hello + SPATE_BT_HANDSHAKE, "\0\0\0\1\x0f", 5); /* have_none */
	c->hello = SPATE_BT_HANDSHAKE;
	c->next = total / BLOCK * i / CONNS_MAX * BLOCK;
	put(c, hello, sizeof(hello));
	put(c, "\0\0\0\1\2", 5);
}

int main(int argc, char **argv)
{
	static struct conn conn[CONNS_MAX];
	struct pollfd poll_of[CONNS_MAX];
	uint8_t hash[20];
	unsigned n;
	double begin, end;

	if (argc < 8 || strlen(argv[3]) != 40) {
		fprintf(stderr, "usage: spate-leech HOST PORT INFOHASH TORRENT_BYTES PIECE_BYTES "
				"CONNS SECONDS [DEPTH]\n");
		return 2;
	}
	for (unsigned i = 0; i < 20; i++)
		sscanf(argv[3] + 2 * i, "%2hhx", &hash[i]);
	total = strtoull(argv[4], NULL, 10);
	piece_bytes = strtoull(argv[5], NULL, 10);
	n = (unsigned)atoi(argv[6]);
	if (argc > 8)
		depth = (unsigned)atoi(argv[8]);
	if (total == 0 || piece_bytes == 0 || n == 0 || n > CONNS_MAX || depth == 0)
		return 2;
	for (unsigned i = 0; i < n; i++) {
		start(&conn[i], argv[1], atoi(argv[2]), hash, i);
		poll_of[i] = (struct pollfd){.fd = conn[i].fd, .events = POLLIN};
	}
	begin = now();
	end = begin + atof(argv[7]);
	while (now() < end) {
		if (poll(poll_of, n, 100) < 0)
			die("poll");
		for (unsigned i = 0; i < n; i++)
			if (poll_of[i].revents != 0)
				take(&conn[i]);
	}
	printf("{\"bytes\": %llu, \"seconds\": %.3f, \"pieces\": %llu}\n", (unsigned long long)got,
	       now() - begin, (unsigned long long)pieces);
	return 0;
}

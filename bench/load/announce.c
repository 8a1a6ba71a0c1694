/*
 * announce.c: UDP announces as fast as a tracker answers them (BEP 15), for ./dev bench tracker.
 *
 *   announce ADDRESS PORT [-s SECONDS] [-w WINDOW] [-h HASHES] [-p PEERS] [-n NUMWANT] [-f FLOWS]
 *            [-H HEX]
 *
 * FLOWS sockets, each with WINDOW questions under way: one answer in, one question out, in batches
 * of recvmmsg and sendmmsg. Infohashes and peers are drawn from fixed sets (HEX: this infohash
 * alone), so that swarms have a size; a peer is a port, as all come from one address. Counts
 * answers of an announce only; whatever else comes back, and what is lost, is said too. One line of
 * JSON.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH   64
#define BYTES   2048
#define LOST_MS 200 /* after so long without an answer the window is sent again */

static struct {
	unsigned flows, window, hashes, peers, numwant;
	double seconds;
	uint8_t fixed[20];
	bool has_fixed;
	uint64_t rng, id;
	uint64_t answers, bytes, peers_named, errors, lost, questions;
} t = {.flows = 8,
       .window = 32,
       .hashes = 1000,
       .peers = 50000,
       .numwant = 50,
       .seconds = 3,
       .rng = 88172645463325252ull};

struct flow {
	int fd;
	unsigned out; /* questions without an answer */
	double heard;
};

static uint64_t next(void)
{
	t.rng ^= t.rng << 13;
	t.rng ^= t.rng >> 7;
	t.rng ^= t.rng << 17;
	return t.rng;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void put32(uint8_t *p, uint32_t v)
{
	v = htonl(v);
	memcpy(p, &v, 4);
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return ntohl(v);
}

static void question(uint8_t q[98])
{
	uint64_t hash = next() % t.hashes;
	uint16_t port = (uint16_t)(1024 + next() % t.peers);

	memset(q, 0, 98);
	memcpy(q, &t.id, 8);
	put32(q + 8, 1);
	put32(q + 12, (uint32_t)next());
	if (t.has_fixed) {
		memcpy(q + 16, t.fixed, 20);
	} else {
		hash *= 0x9e3779b97f4a7c15ull;
		memcpy(q + 16, &hash, 8);
		memcpy(q + 24, &hash, 8);
	}
	memcpy(q + 36, "-XX0001-", 8);
	q[71] = port & 1; /* left: every other one is a seed */
	put32(q + 80, 0);
	put32(q + 92, t.numwant);
	q[96] = (uint8_t)(port >> 8);
	q[97] = (uint8_t)port;
}

static void send_some(struct flow *f, unsigned n)
{
	static uint8_t q[BATCH][98];
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];

	while (n > 0) {
		unsigned k = n < BATCH ? n : BATCH;
		int sent;

		memset(m, 0, sizeof(m[0]) * k);
		for (unsigned i = 0; i < k; i++) {
			question(q[i]);
			iov[i] = (struct iovec){q[i], 98};
			m[i].msg_hdr.msg_iov = &iov[i];
			m[i].msg_hdr.msg_iovlen = 1;
		}
		sent = sendmmsg(f->fd, m, k, 0);
		if (sent <= 0)
			return;
		f->out += (unsigned)sent;
		t.questions += (unsigned)sent;
		n -= (unsigned)sent;
	}
}

static void hear(struct flow *f, double at)
{
	static uint8_t a[BATCH][BYTES];
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];
	int n;

	for (unsigned i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){a[i], BYTES};
		m[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
	}
	n = recvmmsg(f->fd, m, BATCH, MSG_DONTWAIT, NULL);
	if (n <= 0)
		return;
	for (int i = 0; i < n; i++) {
		if (m[i].msg_len >= 20 && get32(a[i]) == 1) {
			t.answers++;
			t.bytes += m[i].msg_len;
			t.peers_named += (m[i].msg_len - 20) / 6;
		} else {
			t.errors++;
		}
	}
	f->heard = at;
	f->out = f->out > (unsigned)n ? f->out - (unsigned)n : 0;
	send_some(f, t.window - f->out);
}

static int connect_to(const struct addrinfo *to, bool ask_id)
{
	int fd = socket(to->ai_family, SOCK_DGRAM, 0), bytes = 4 << 20;
	uint8_t q[16] = {0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80}, a[64];
	struct timeval wait = {.tv_sec = 1};

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (fd < 0 || connect(fd, to->ai_addr, to->ai_addrlen) < 0)
		return -1;
	if (!ask_id)
		return fd;
	for (int i = 0; i < 5; i++) {
		if (send(fd, q, 16, 0) == 16 && recv(fd, a, sizeof(a), 0) == 16) {
			memcpy(&t.id, a + 8, 8);
			return fd;
		}
	}
	close(fd);
	return -1;
}

static void options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "s:w:h:p:n:f:H:")) != -1) {
		unsigned v = (unsigned)atoi(optarg);

		if (c == 's')
			t.seconds = atof(optarg);
		else if (c == 'w')
			t.window = v;
		else if (c == 'h')
			t.hashes = v > 0 ? v : 1;
		else if (c == 'p')
			t.peers = v > 0 && v < 64000 ? v : 1;
		else if (c == 'n')
			t.numwant = v;
		else if (c == 'f')
			t.flows = v > 0 && v <= 512 ? v : 1;
		else if (c == 'H' && strlen(optarg) == 40) {
			t.has_fixed = true;
			for (int i = 0; i < 20; i++) {
				char two[3] = {optarg[2 * i], optarg[2 * i + 1], 0};

				t.fixed[i] = (uint8_t)strtoul(two, NULL, 16);
			}
		}
	}
}

int main(int argc, char **argv)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *to;
	struct flow *f;
	struct pollfd *p;
	double began, at;

	options(argc, argv);
	if (optind + 2 > argc || getaddrinfo(argv[optind], argv[optind + 1], &hints, &to) != 0) {
		fprintf(stderr, "announce ADDRESS PORT [options]: see the top of announce.c\n");
		return 2;
	}
	f = calloc(t.flows, sizeof(*f));
	p = calloc(t.flows, sizeof(*p));
	for (unsigned i = 0; i < t.flows; i++) {
		/* An id is good for the address, whatever the port: both trackers make them so. */
		f[i].fd = connect_to(to, i == 0);
		p[i] = (struct pollfd){.fd = f[i].fd, .events = POLLIN};
		if (f[i].fd < 0) {
			fprintf(stderr, "no answer to connect\n");
			return 1;
		}
	}
	began = at = now();
	for (unsigned i = 0; i < t.flows; i++) {
		f[i].heard = at;
		send_some(&f[i], t.window);
	}
	while (at - began < t.seconds) {
		poll(p, t.flows, LOST_MS);
		at = now();
		for (unsigned i = 0; i < t.flows; i++) {
			if (p[i].revents != 0)
				hear(&f[i], at);
			if (at - f[i].heard > LOST_MS / 1e3) {
				t.lost += f[i].out;
				f[i].out = 0;
				f[i].heard = at;
				send_some(&f[i], t.window);
			}
		}
	}
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	printf("{\"answers\": %lu, \"seconds\": %.4f, \"per_second\": %.0f, \"bytes\": %.1f, "
	       "\"peers\": %.1f, \"errors\": %lu, \"lost\": %lu, \"cpu\": %.3f}\n",
	       (unsigned long)t.answers, at - began, (double)t.answers / (at - began),
	       t.answers ? (double)t.bytes / (double)t.answers : 0,
	       t.answers ? (double)t.peers_named / (double)t.answers : 0, (unsigned long)t.errors,
	       (unsigned long)t.lost,
	       (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
	return 0;
}

/*
 * link: a wire with faults, in user space (the test hosts have no netem). Two ends, each a TAP
 * device that it makes or an interface whose frames it takes (packet socket); what comes in at
 * one end leaves at the other after
 *
 *     loss ─ duplication ─ corruption ─ queue (tail drop) ─ rate ─ delay + jitter ─ reordering
 *
 *     link --a tap:NAME|packet:IFACE --b ... [--seed N] [OPTION[@ab|@ba] VALUE]...
 *
 *     --delay 20ms       one way
 *     --jitter 2ms       added, uniform; keeps the order
 *     --reorder 1%:5ms   held back so long
 *     --loss 1%          each packet by itself
 *     --burst 0.1%:8     bursts: begun with this chance, this long on average
 *     --dup 1%
 *     --corrupt 0.1%     one bit, past the ethernet header
 *     --rate 100mbit
 *     --queue 100        packets that may wait for the rate
 *     --mtu 1400         longer IP packets are lost (a black hole; no ICMP is made)
 *
 * Without @ both directions get it. The same seed gives the same fate to the n-th packet of a
 * direction. Prints "ready", and on SIGTERM one line of JSON for each direction. Offloads of a
 * packet: interface's peer must be off (ethtool -K PEER tx off tso off gso off); a frame over
 * 9216 bytes is dropped and counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX 9216
#define PACKETS   32768
#define BATCH     64
#define BURST_NS  200000000

struct packet {
	uint64_t due_ns, order;
	uint32_t next; /* free list */
	uint16_t len;
	uint8_t bytes[FRAME_MAX];
};

struct direction {
	const char *name;
	int from, to;
	/* faults */
	uint64_t delay_ns, jitter_ns, reorder_ns, rate_bps;
	double loss, burst, burst_len, dup, corrupt, reorder;
	uint32_t queue, mtu;
	/* state */
	uint64_t rng, free_ns, last_due_ns, burst_end_ns;
	unsigned bursting;
	uint64_t in, out, bytes, lost, queue_full, duplicated, corrupted, reordered, too_long,
		failed;
};

static struct packet *pool;
static uint32_t free_head, heap[2][PACKETS], heap_n[2];
static uint64_t order;
static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	stop = 1;
}

static void die(const char *what, const char *why)
{
	fprintf(stderr, "link: %s: %s\n", what, why);
	exit(2);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/*
 * splitmix64: one stream a direction, so that the other direction's traffic changes nothing here.
 */
static uint64_t next(struct direction *d)
{
	uint64_t z = d->rng += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static bool chance(struct direction *d, double p)
{
	double draw =
		(double)(next(d) >> 11) / 9007199254740992.0; /* drawn always: fates do not shift */

	return draw < p;
}

/* --- the packets on their way: a heap by due time, and by arrival among equals --- */

static bool before(uint32_t a, uint32_t b)
{
	return pool[a].due_ns != pool[b].due_ns ? pool[a].due_ns < pool[b].due_ns
						: pool[a].order < pool[b].order;
}

static void push(unsigned w, uint32_t p)
{
	uint32_t *h = heap[w], i = heap_n[w]++;

	for (h[i] = p; i > 0 && before(h[i], h[(i - 1) / 2]); i = (i - 1) / 2) {
		uint32_t t = h[i];

		h[i] = h[(i - 1) / 2];
		h[(i - 1) / 2] = t;
	}
}

static uint32_t pop(unsigned w)
{
	uint32_t *h = heap[w], top = h[0], n = --heap_n[w], i = 0;

	h[0] = h[n];
	for (;;) {
		uint32_t least = i;

		for (uint32_t c = 2 * i + 1; c <= 2 * i + 2 && c < n; c++)
			if (before(h[c], h[least]))
				least = c;
		if (least == i)
			return top;
		uint32_t t = h[i];

		h[i] = h[least];
		h[least] = t;
		i = least;
	}
}

static uint32_t take(void)
{
	uint32_t p = free_head;

	if (p != UINT32_MAX)
		free_head = pool[p].next;
	return p;
}

static void give(uint32_t p)
{
	pool[p].next = free_head;
	free_head = p;
}

/*
 * When a frame of this length is through: queue, rate, delay, jitter, reordering. false: the
 * queue is full.
 */
static bool schedule(struct direction *d, struct packet *p, uint64_t now)
{
	uint64_t start = d->free_ns > now ? d->free_ns : now, wire_ns = 0, due;

	if (d->rate_bps != 0) {
		wire_ns = (uint64_t)(p->len + 24) * 8 * 1000000000 /
			  d->rate_bps; /* preamble, CRC, gap */
		if (d->queue != 0 &&
		    start - now > (uint64_t)d->queue * 1538 * 8 * 1000000000 / d->rate_bps) {
			d->queue_full++;
			return false;
		}
	}
	d->free_ns = start + wire_ns;
	due = d->free_ns + d->delay_ns + (d->jitter_ns != 0 ? next(d) % d->jitter_ns : 0);
	if (due < d->last_due_ns)
		due = d->last_due_ns; /* jitter alone keeps the order, as a queue would */
	if (chance(d, d->reorder)) {
		d->reordered++;
		due += d->reorder_ns;
	} else {
		d->last_due_ns = due;
	}
	p->due_ns = due;
	p->order = order++;
	return true;
}

/* Bursts are counted in packets, but must not outlast a sender that has backed off. */
static bool lose(struct direction *d, uint64_t now)
{
	bool lost = chance(d, d->loss);

	if (now > d->burst_end_ns)
		d->bursting = 0;
	if (d->bursting != 0) {
		d->bursting--;
		lost = true;
	} else if (chance(d, d->burst)) {
		d->bursting = (unsigned)(d->burst_len * 2 * (double)(next(d) % 1000) / 1000);
		d->burst_end_ns = now + BURST_NS;
		lost = true;
	}
	d->lost += lost;
	return lost;
}

static void arrive(struct direction *d, unsigned w, uint32_t p, uint64_t now)
{
	struct packet *k = &pool[p];
	bool dup = chance(d, d->dup), corrupt = chance(d, d->corrupt);
	uint64_t bit = next(d);

	d->in++;
	bool big = d->mtu != 0 && k->len > d->mtu + 14u;

	d->too_long += big;
	if (lose(d, now) || big || !schedule(d, k, now)) {
		give(p);
		return;
	}
	if (corrupt && k->len > 14) {
		k->bytes[14 + bit / 8 % (k->len - 14u)] ^= (uint8_t)(1 << bit % 8);
		d->corrupted++;
	}
	push(w, p);
	if (dup) {
		uint32_t q = take();

		if (q == UINT32_MAX)
			return;
		memcpy(&pool[q], k, offsetof(struct packet, bytes) + k->len);
		pool[q].order = order++;
		d->duplicated++;
		push(w, q);
	}
}

static void receive(struct direction *d, unsigned w)
{
	uint64_t now = now_ns();

	for (unsigned i = 0; i < BATCH; i++) {
		uint32_t p = take();

		if (p == UINT32_MAX)
			return; /* the pool is what the kernel's queue before us is for */
		struct packet *k = &pool[p];
		struct sockaddr_ll from;
		socklen_t len = sizeof(from);
		struct iovec iov = {k->bytes, FRAME_MAX};
		struct msghdr m = {
			.msg_name = &from, .msg_namelen = len, .msg_iov = &iov, .msg_iovlen = 1};
		ssize_t n = recvmsg(d->from, &m, MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0 && errno == ENOTSOCK) {
			n = read(d->from, k->bytes, FRAME_MAX);
			from.sll_pkttype = PACKET_HOST;
		}
		if (n <= 0) {
			give(p);
			return;
		}
		if (from.sll_pkttype == PACKET_OUTGOING || n > FRAME_MAX) {
			d->too_long += n > FRAME_MAX;
			give(p);
			continue;
		}
		k->len = (uint16_t)n;
		arrive(d, w, p, now);
	}
}

static uint64_t deliver(struct direction *d, unsigned w)
{
	uint64_t now = now_ns();

	while (heap_n[w] != 0 && pool[heap[w][0]].due_ns <= now) {
		uint32_t p = pop(w);

		if (write(d->to, pool[p].bytes, pool[p].len) == pool[p].len) {
			d->out++;
			d->bytes += pool[p].len;
		} else {
			d->failed++;
		}
		give(p);
	}
	return heap_n[w] != 0 ? pool[heap[w][0]].due_ns : UINT64_MAX;
}

/* --- ends --- */

static int open_tap(const char *name)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
		die(name, strerror(errno));
	return fd;
}

static int open_packet(const char *name)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL),
				 .sll_ifindex = (int)if_nametoindex(name)};
	struct packet_mreq promisc = {.mr_ifindex = at.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1,
	    size = 16 << 20;

	if (fd < 0 || at.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		die(name, strerror(errno));
	setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promisc, sizeof(promisc));
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return fd;
}

static int open_end(const char *what)
{
	if (strncmp(what, "tap:", 4) == 0)
		return open_tap(what + 4);
	if (strncmp(what, "packet:", 7) == 0)
		return open_packet(what + 7);
	die(what, "an end is tap:NAME or packet:IFACE");
	return -1;
}

/* --- options --- */

static uint64_t parse_time(const char *v)
{
	char *unit;
	double n = strtod(v, &unit);

	if (strncmp(unit, "ms", 2) == 0)
		return (uint64_t)(n * 1e6);
	if (strncmp(unit, "us", 2) == 0)
		return (uint64_t)(n * 1e3);
	if (*unit == 's')
		return (uint64_t)(n * 1e9);
	die(v, "a time has us, ms or s");
	return 0;
}

static double parse_part(const char *v)
{
	char *unit;
	double n = strtod(v, &unit);

	return *unit == '%' ? n / 100 : n;
}

static uint64_t parse_rate(const char *v)
{
	char *unit;
	double n = strtod(v, &unit);

	return (uint64_t)(n * (strncmp(unit, "gbit", 4) == 0   ? 1e9
			       : strncmp(unit, "mbit", 4) == 0 ? 1e6
			       : strncmp(unit, "kbit", 4) == 0 ? 1e3
							       : 1));
}

static bool set(struct direction *d, const char *name, size_t len, const char *v)
{
	const char *colon = strchr(v, ':');

#define IS(text) (len == strlen(text) && memcmp(name, text, len) == 0)
	if (IS("delay"))
		d->delay_ns = parse_time(v);
	else if (IS("jitter"))
		d->jitter_ns = parse_time(v);
	else if (IS("loss"))
		d->loss = parse_part(v);
	else if (IS("dup"))
		d->dup = parse_part(v);
	else if (IS("corrupt"))
		d->corrupt = parse_part(v);
	else if (IS("rate"))
		d->rate_bps = parse_rate(v);
	else if (IS("queue"))
		d->queue = (uint32_t)atoi(v);
	else if (IS("mtu"))
		d->mtu = (uint32_t)atoi(v);
	else if (IS("burst") && colon != NULL)
		d->burst = parse_part(v), d->burst_len = atof(colon + 1);
	else if (IS("reorder") && colon != NULL)
		d->reorder = parse_part(v), d->reorder_ns = parse_time(colon + 1);
	else
		return false;
#undef IS
	return true;
}

static void option(struct direction d[2], const char *arg, const char *v)
{
	const char *at = strchr(arg, '@');
	size_t len = at != NULL ? (size_t)(at - arg) - 2 : strlen(arg) - 2;
	bool ok = strncmp(arg, "--", 2) == 0;

	for (unsigned i = 0; ok && i < 2; i++)
		if (at == NULL || strcmp(at + 1, d[i].name) == 0)
			ok = set(&d[i], arg + 2, len, v);
	if (!ok)
		die(arg, "see the top of link.c");
}

static void report(const struct direction *d)
{
	printf("{\"direction\": \"%s\", \"in\": %llu, \"out\": %llu, \"bytes\": %llu, \"lost\": "
	       "%llu, \"queue_full\": "
	       "%llu, \"duplicated\": %llu, \"corrupted\": %llu, \"reordered\": %llu, "
	       "\"too_long\": %llu, \"failed\": "
	       "%llu}\n",
	       d->name, (unsigned long long)d->in, (unsigned long long)d->out,
	       (unsigned long long)d->bytes, (unsigned long long)d->lost,
	       (unsigned long long)d->queue_full, (unsigned long long)d->duplicated,
	       (unsigned long long)d->corrupted, (unsigned long long)d->reordered,
	       (unsigned long long)d->too_long, (unsigned long long)d->failed);
}

int main(int argc, char **argv)
{
	struct direction d[2] = {{.name = "ab"}, {.name = "ba"}};
	uint64_t seed = 1;
	int a = -1, b = -1;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--a") == 0)
			a = open_end(argv[i + 1]);
		else if (strcmp(argv[i], "--b") == 0)
			b = open_end(argv[i + 1]);
		else if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[i + 1], NULL, 0);
		else
			option(d, argv[i], argv[i + 1]);
	}
	if (a < 0 || b < 0)
		die("usage", "link --a tap:NAME|packet:IFACE --b ... (see the top of link.c)");
	pool = calloc(PACKETS, sizeof(*pool));
	if (pool == NULL)
		die("pool", "out of memory");
	for (uint32_t i = 0; i < PACKETS; i++)
		pool[i].next = i + 1 < PACKETS ? i + 1 : UINT32_MAX;
	d[0].from = d[1].to = a;
	d[1].from = d[0].to = b;
	d[0].rng = seed * 2;
	d[1].rng = seed * 2 + 1;
	signal(SIGTERM, on_term);
	signal(SIGINT, on_term);
	prctl(PR_SET_TIMERSLACK, 1UL);
	puts("ready");
	fflush(stdout);
	while (!stop) {
		struct pollfd fds[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
		uint64_t due = deliver(&d[0], 0), other = deliver(&d[1], 1), now = now_ns();
		uint64_t wait = (due < other ? due : other);

		wait = wait > now ? wait - now : 0;
		if (wait > 1000000000)
			wait = 1000000000;
		struct timespec ts = {.tv_sec = (time_t)(wait / 1000000000),
				      .tv_nsec = (long)(wait % 1000000000)};

		if (ppoll(fds, 2, &ts, NULL) < 0 && errno != EINTR)
			die("poll", strerror(errno));
		if (fds[0].revents != 0)
			receive(&d[0], 0);
		if (fds[1].revents != 0)
			receive(&d[1], 1);
	}
	report(&d[0]);
	report(&d[1]);
	return 0;
}

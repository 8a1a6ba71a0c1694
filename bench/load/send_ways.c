/*
 * send_ways.c: which way to send from the arena costs least, at each size? The table in
 * docs/design/send.md is this program's output.
 *
 *   send_ways [seconds a cell]
 *
 * A server thread on core 0 answers one-byte requests of CONNS loopback connections with `size`
 * bytes out of a memfd of 256 MiB (so: not out of L2), each time from another place; a client
 * process on core 1 keeps one request in flight on each connection and reads everything. All ways
 * go through one io_uring, as in dataplane/stream/sock.c, except sendfile, which has no operation
 * there. Reported: requests/s, Gbit/s, and the server's own CPU nanoseconds a request (user and
 * system; what the kernel does for the receiver in softirq on the sender's core is in it).
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONNS       16
#define ARENA_BYTES (256u << 20)
#define HEAD_BYTES  300

enum way { WAY_SEND, WAY_SENDMSG, WAY_SEND_ZC, WAY_SPLICE, WAY_SENDFILE, WAY_VMSPLICE, WAYS };
static const char *const way_names[WAYS] = {"send",         "sendmsg head+body", "send_zc fixed",
					    "splice memfd", "sendfile memfd",    "vmsplice"};

enum op { OP_REQUEST, OP_SENT, OP_PIPE };

struct peer {
	int fd, pipe[2];
	uint64_t piped; /* bytes in the pipe */
	uint64_t off;   /* next place in the arena */
	uint64_t left;  /* of the answer under way; 0: waiting for a request */
	char request;
};

static struct io_uring ring;
static struct peer peers[CONNS];
static char *arena;
static int arena_fd;
static char head[HEAD_BYTES];
static struct msghdr msgs[CONNS];
static struct iovec iovs[CONNS][2];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		die("sched_setaffinity");
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static struct io_uring_sqe *sqe_for(struct peer *p, enum op op)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (sqe == NULL)
		die("sq full");
	(void)p;
	(void)op;
	return sqe;
}

static void tag(struct io_uring_sqe *sqe, struct peer *p, enum op op)
{
	io_uring_sqe_set_data64(sqe, (uint64_t)(p - peers) << 8 | op);
}

static void want_request(struct peer *p)
{
	struct io_uring_sqe *sqe = sqe_for(p, OP_REQUEST);

	io_uring_prep_recv(sqe, p->fd, &p->request, 1, 0);
	tag(sqe, p, OP_REQUEST);
}

static void next_op(struct peer *p)
{
	struct io_uring_sqe *sqe = sqe_for(p, OP_SENT);

	if (p->left > 0) {
		io_uring_prep_poll_add(sqe, p->fd, POLLOUT);
		tag(sqe, p, OP_PIPE);
	} else {
		io_uring_prep_recv(sqe, p->fd, &p->request, 1, 0);
		tag(sqe, p, OP_REQUEST);
	}
}

/* User pages into the pipe, the pipe into the socket, as far as both take. */
static void vmsplice_some(struct peer *p)
{
	while (p->left > 0) {
		if (p->piped == 0) {
			struct iovec iov = {arena + p->off,
					    p->left < (1u << 20) ? p->left : 1u << 20};
			ssize_t n = vmsplice(p->pipe[1], &iov, 1, SPLICE_F_NONBLOCK);

			if (n <= 0)
				die("vmsplice");
			p->piped = (uint64_t)n;
		}
		ssize_t n = splice(p->pipe[0], NULL, p->fd, NULL, p->piped, SPLICE_F_NONBLOCK);

		if (n < 0) {
			if (errno != EAGAIN)
				die("splice");
			break;
		}
		p->piped -= (uint64_t)n;
		p->off += (uint64_t)n;
		p->left -= (uint64_t)n;
	}
	next_op(p);
}

/* True when the answer was finished at once (sendfile). */
static void send_some(struct peer *p, enum way way, uint64_t size)
{
	struct io_uring_sqe *sqe;
	uint64_t n = p->left;
	int i = (int)(p - peers);

	switch (way) {
	case WAY_SEND:
		sqe = sqe_for(p, OP_SENT);
		io_uring_prep_send(sqe, p->fd, arena + p->off, n, MSG_NOSIGNAL);
		tag(sqe, p, OP_SENT);
		break;
	case WAY_SENDMSG: {
		bool first = p->left == size;

		sqe = sqe_for(p, OP_SENT);
		iovs[i][0] = (struct iovec){head, HEAD_BYTES};
		iovs[i][1] = (struct iovec){arena + p->off + (first ? HEAD_BYTES : 0),
					    n - (first ? HEAD_BYTES : 0)};
		msgs[i] = (struct msghdr){.msg_iov = first ? iovs[i] : &iovs[i][1],
					  .msg_iovlen = first ? 2 : 1};
		io_uring_prep_sendmsg(sqe, p->fd, &msgs[i], MSG_NOSIGNAL);
		tag(sqe, p, OP_SENT);
		break;
	}
	case WAY_SEND_ZC:
		sqe = sqe_for(p, OP_SENT);
		io_uring_prep_send_zc(sqe, p->fd, arena + p->off, n, MSG_NOSIGNAL, 0);
		sqe->ioprio |= IORING_RECVSEND_FIXED_BUF;
		sqe->buf_index = 0;
		tag(sqe, p, OP_SENT);
		break;
	case WAY_SPLICE:
		if (n > (1u << 20))
			n = 1u << 20;
		sqe = sqe_for(p, OP_PIPE);
		io_uring_prep_splice(sqe, arena_fd, (int64_t)p->off, p->pipe[1], -1, (unsigned)n,
				     0);
		sqe->flags |= IOSQE_IO_LINK;
		tag(sqe, p, OP_PIPE);
		sqe = sqe_for(p, OP_SENT);
		io_uring_prep_splice(sqe, p->pipe[0], -1, p->fd, -1, (unsigned)n, 0);
		tag(sqe, p, OP_SENT);
		break;
	case WAY_VMSPLICE:
		vmsplice_some(p);
		break;
	case WAY_SENDFILE:
	case WAYS: {
		off_t off = (off_t)p->off;
		ssize_t r = sendfile(p->fd, arena_fd, &off, n);

		if (r < 0 && errno != EAGAIN)
			die("sendfile");
		if (r < 0) { /* full: wait for room, count nothing */
			next_op(p);
		} else {
			p->off += (uint64_t)r;
			p->left -= (uint64_t)r;
			next_op(p);
		}
		break;
	}
	}
}

static void start_answer(struct peer *p, enum way way, uint64_t size)
{
	p->left = size;
	if (p->off + size > ARENA_BYTES)
		p->off = 0;
	send_some(p, way, size);
}

static void serve(enum way way, uint64_t size, double seconds)
{
	uint64_t answers = 0, cpu0 = now_ns(CLOCK_PROCESS_CPUTIME_ID), t0 = now_ns(CLOCK_MONOTONIC),
		 t;

	for (int i = 0; i < CONNS; i++) {
		peers[i].off = (uint64_t)i * (ARENA_BYTES / CONNS);
		want_request(&peers[i]);
	}
	do {
		struct io_uring_cqe *cqe;
		struct __kernel_timespec ts = {.tv_nsec = 100000000};
		unsigned at, n = 0;

		io_uring_submit_and_wait_timeout(&ring, &cqe, 1, &ts, NULL);
		io_uring_for_each_cqe(&ring, at, cqe)
		{
			struct peer *p = &peers[cqe->user_data >> 8];
			enum op op = (enum op)(cqe->user_data & 0xff);

			n++;
			if (cqe->flags & IORING_CQE_F_NOTIF)
				continue;
			if (cqe->res < 0) {
				errno = -cqe->res;
				die(way_names[way]);
			}
			if (op == OP_REQUEST) {
				if (cqe->res == 1)
					start_answer(p, way, size);
			} else if (op == OP_SENT) {
				p->left -= (uint64_t)cqe->res;
				p->off += (uint64_t)cqe->res;
				if (p->left > 0) {
					send_some(p, way, size);
				} else {
					answers++;
					want_request(p);
				}
			} else if (way >= WAY_SENDFILE) {
				send_some(p, way, size);
			}
			if (way >= WAY_SENDFILE && op != OP_SENT && p->left == 0)
				answers++;
		}
		io_uring_cq_advance(&ring, n);
		t = now_ns(CLOCK_MONOTONIC);
	} while ((double)(t - t0) < seconds * 1e9);
	double wall = (double)(t - t0) / 1e9;
	double cpu = (double)(now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu0);

	printf("| %s | %llu | %.0f | %.2f | %.0f | %.3f |\n", way_names[way],
	       (unsigned long long)size, (double)answers / wall,
	       (double)(answers * size) * 8 / wall / 1e9, answers ? cpu / (double)answers : 0,
	       answers ? cpu / (double)(answers * size) : 0);
	fflush(stdout);
}

/* Keeps one request in flight on each connection, reads all, until it is killed. */
static void client(const int fds[CONNS], uint64_t size)
{
	static char buf[1 << 20];
	struct pollfd pfd[CONNS];
	uint64_t left[CONNS];

	pin_to(1);
	for (int i = 0; i < CONNS; i++) {
		pfd[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
		left[i] = size;
		if (write(fds[i], "r", 1) != 1)
			die("request");
	}
	for (;;) {
		if (poll(pfd, CONNS, -1) < 0)
			die("poll");
		for (int i = 0; i < CONNS; i++) {
			if (!(pfd[i].revents & POLLIN))
				continue;
			ssize_t n = recv(fds[i], buf, sizeof(buf), MSG_DONTWAIT);

			if (n <= 0)
				_exit(n < 0 && errno != EAGAIN ? 1 : 0);
			left[i] -= (uint64_t)n;
			if (left[i] == 0) {
				left[i] = size;
				if (write(fds[i], "r", 1) != 1)
					_exit(0);
			}
		}
	}
}

static int connect_pair(int listener, int *server)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	int one = 1, c = socket(AF_INET, SOCK_STREAM, 0);

	getsockname(listener, (struct sockaddr *)&sin, &len);
	if (connect(c, (struct sockaddr *)&sin, len) < 0)
		die("connect");
	*server = accept(listener, NULL, NULL);
	setsockopt(*server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return c;
}

static void cell(enum way way, uint64_t size, double seconds)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct io_uring_params par = {.flags = IORING_SETUP_SINGLE_ISSUER |
					       IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
				      .cq_entries = 4096};
	int listener = socket(AF_INET, SOCK_STREAM, 0), fds[CONNS];
	struct iovec reg = {arena, ARENA_BYTES};

	if (bind(listener, (struct sockaddr *)&sin, sizeof(sin)) < 0 || listen(listener, CONNS) < 0)
		die("listen");
	for (int i = 0; i < CONNS; i++) {
		fds[i] = connect_pair(listener, &peers[i].fd);
		if (pipe(peers[i].pipe) < 0)
			die("pipe");
		fcntl(peers[i].pipe[1], F_SETPIPE_SZ, 1 << 20);
		if (way == WAY_SENDFILE)
			fcntl(peers[i].fd, F_SETFL, O_NONBLOCK);
	}
	pid_t pid = fork();

	if (pid == 0) {
		for (int i = 0; i < CONNS; i++)
			close(peers[i].fd);
		client(fds, size);
	}
	for (int i = 0; i < CONNS; i++)
		close(fds[i]);
	pin_to(0);
	if (io_uring_queue_init_params(1024, &ring, &par) < 0)
		die("io_uring");
	if (way == WAY_SEND_ZC && io_uring_register_buffers(&ring, &reg, 1) < 0)
		die("register_buffers");
	serve(way, size, seconds);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	io_uring_queue_exit(&ring);
	for (int i = 0; i < CONNS; i++) {
		close(peers[i].fd);
		close(peers[i].pipe[0]);
		close(peers[i].pipe[1]);
	}
	close(listener);
}

int main(int argc, char **argv)
{
	static const uint64_t sizes[] = {1024, 16384, 65536, 1 << 20, 4 << 20};
	double seconds = argc > 1 ? atof(argv[1]) : 2;

	arena_fd = memfd_create("arena", MFD_CLOEXEC);
	if (arena_fd < 0 || ftruncate(arena_fd, ARENA_BYTES) < 0)
		die("memfd");
	arena = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, arena_fd, 0);
	if (arena == MAP_FAILED)
		die("mmap");
	madvise(arena, ARENA_BYTES, MADV_HUGEPAGE);
	memset(arena, 'x', ARENA_BYTES);
	memset(head, 'h', sizeof(head));
	puts("| way | bytes | answers/s | Gbit/s | CPU ns/answer | CPU ns/byte |\n"
	     "| --- | --- | --- | --- | --- | --- |");
	for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		for (int w = 0; w < WAYS; w++)
			cell((enum way)w, sizes[s], seconds);
	return 0;
}

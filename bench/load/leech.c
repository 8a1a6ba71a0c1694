/*
 * leech.c: takes from a seeder as fast as it gives: one thread, any number of connections
 * (taker.c), over kernel sockets or our own TCP on DPDK (net.h). What comes is checked for being
 * what was asked for, by option for its hash, and thrown away: on the other core the seeder is what
 * is measured.
 *
 *     torrent ─► connections, all unchoked ─► warm-up ─► measured ─► {"bytes": …}
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/load/fetch.h"
#include "bench/load/net.h"
#include "bench/load/options.h"
#include "bench/load/taker.h"

#define CONNS_MAX 1024
#define TURN_NS   5000000u
#define OPEN_NS   20000000000u /* until all are unchoked */
#define FETCH_S   30.0
#define STILL_NS  10000000000u /* nothing came for so long: nothing will */

static const char help[] =
	"usage: spate-leech [OPTION...] TORRENT ADDRESS:PORT\n"
	"\n"
	"Takes a torrent from one seeder by the peer wire, round and round, and says how much "
	"came. "
	"Each block\n"
	"must be one that was asked for, in its length. TORRENT is a file, or http://ADDRESS/PATH, "
	"which is\n"
	"asked for (again while it is being made) over the same network.\n"
	"\n"
	"  spate-leech -c 8 -d 5 2.torrent 127.0.0.1:6881\n"
	"\n"
	"  -c, --connections N   (8)\n"
	"  -d, --duration S      seconds measured (5); --warmup S before them, not measured (0)\n"
	"      --once            end when each connection has had the torrent once\n"
	"      --depth N         requests out on a connection (128)\n"
	"      --verify[=N]      look at the SHA-1 of every piece, or of one in N\n"
	"      --dpdk ARGS       not the kernel's sockets but Spate's own TCP over a DPDK port; "
	"ARGS "
	"are the EAL's\n"
	"      --address A/N     ours on that port; --gateway A; --mtu N; --window BYTES "
	"(4194304); "
	"--counters\n"
	"\n"
	"Ends with 0 when all that came was right, with 1 when not, with 2 when nothing could be "
	"done.\n";

enum {
	O_WARMUP = 256,
	O_ONCE,
	O_DEPTH,
	O_VERIFY,
	O_DPDK,
	O_ADDRESS,
	O_GATEWAY,
	O_MTU,
	O_WINDOW,
	O_COUNTERS
};

static const struct option longs[] = {
	{"connections", 1, 0, 'c'},   {"duration", 1, 0, 'd'},
	{"warmup", 1, 0, O_WARMUP},   {"once", 0, 0, O_ONCE},
	{"depth", 1, 0, O_DEPTH},     {"verify", 2, 0, O_VERIFY},
	{"dpdk", 1, 0, O_DPDK},       {"address", 1, 0, O_ADDRESS},
	{"gateway", 1, 0, O_GATEWAY}, {"mtu", 1, 0, O_MTU},
	{"window", 1, 0, O_WINDOW},   {"counters", 0, 0, O_COUNTERS},
	{"help", 0, 0, 'h'},          {0},
};

struct leech {
	struct load_options o;
	struct load_torrent torrent;
	struct load_takers w;
	struct load_taker *takers;
	uint8_t *file;
	size_t file_len;
	double warmup_s, duration_s;
	uint64_t still_ns, still_at; /* when bytes last moved, and to what */
	/* of the window */
	uint64_t from_ns, to_ns, bytes, blocks, busy_ns;
};

static _Atomic bool stop;

static void on_signal(int sig)
{
	(void)sig;
	atomic_store_explicit(&stop, true, memory_order_relaxed);
}

static bool number(const char *text, double least, double most, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return end != text && *end == '\0' && *out >= least && *out <= most;
}

static bool take(struct leech *l, int opt, const char *v)
{
	double n = 0;
	bool ok = true;

	switch (opt) {
	case 'c':
		ok = number(v, 1, CONNS_MAX, &n);
		l->o.connections = (unsigned)n;
		break;
	case 'd':
		return number(v, 0.01, 1e6, &l->duration_s);
	case O_WARMUP:
		return number(v, 0, 1e6, &l->warmup_s);
	case O_ONCE:
		l->w.once = true;
		break;
	case O_DEPTH:
		ok = number(v, 1, LOAD_TAKER_DEPTH, &n);
		l->w.depth = (unsigned)n;
		break;
	case O_VERIFY:
		ok = number(v != NULL ? v : "1", 1, 1e9, &n);
		l->w.sample = (unsigned)n;
		break;
	case O_DPDK:
		l->o.dpdk = v;
		break;
	case O_ADDRESS:
		l->o.address = v;
		break;
	case O_GATEWAY:
		l->o.gateway = v;
		break;
	case O_MTU:
		ok = number(v, 576, 65535, &n);
		l->o.mtu = (uint16_t)n;
		break;
	case O_WINDOW:
		ok = number(v, 4096, 1u << 30, &n);
		l->o.window = (uint32_t)n;
		break;
	case O_COUNTERS:
		l->o.counters = true;
		break;
	default:
		ok = false;
	}
	return ok;
}

/* 0: go on; 1: all is done; -EINVAL: a message is on stderr. */
static int parse(struct leech *l, int argc, char **argv)
{
	int opt;

	*l = (struct leech){
		.o = {.connections = 8, .window = 4u << 20},
		.w = {.depth = 128},
		.duration_s = 5,
	};
	while ((opt = getopt_long(argc, argv, "c:d:h", longs, NULL)) != -1) {
		if (opt == 'h') {
			fputs(help, stdout);
			return 1;
		}
		if (!take(l, opt, optarg)) {
			if (opt != '?')
				fprintf(stderr,
					"spate-leech: %s makes no sense (spate-leech --help)\n",
					optarg != NULL ? optarg : argv[optind - 1]);
			return -EINVAL;
		}
	}
	if (argc - optind != 2 || !load_address(argv[optind + 1], 6881, &l->o.server)) {
		fprintf(stderr, "spate-leech: want TORRENT ADDRESS:PORT (spate-leech --help)\n");
		return -EINVAL;
	}
	if (l->o.dpdk != NULL && l->o.address == NULL) {
		fprintf(stderr, "spate-leech: --dpdk needs --address, as 10.0.0.2/24\n");
		return -EINVAL;
	}
	return 0;
}

static int read_file(struct leech *l, const char *name, char *why, size_t why_len)
{
	FILE *f = fopen(name, "rb");
	long n = -1;

	if (f != NULL && fseek(f, 0, SEEK_END) == 0)
		n = ftell(f);
	if (n > 0) {
		rewind(f);
		l->file = malloc((size_t)n);
		l->file_len = l->file != NULL ? fread(l->file, 1, (size_t)n, f) : 0;
	}
	if (f != NULL)
		fclose(f);
	if (n > 0 && l->file_len == (size_t)n)
		return 0;
	snprintf(why, why_len, "%s: cannot be read", name);
	return -EIO;
}

static int torrent(struct leech *l, const char *from, char *why, size_t why_len)
{
	int err = strncmp(from, "http://", 7) == 0 ? load_fetch(l->w.net, from, FETCH_S, &l->file,
								&l->file_len, why, why_len)
						   : read_file(l, from, why, why_len);

	if (err != 0)
		return err;
	l->w.torrent = &l->torrent;
	if (load_torrent_parse(&l->torrent, l->file, l->file_len))
		return 0;
	snprintf(why, why_len, "%s: not a torrent with a v1 half", from);
	return -EINVAL;
}

/* Each begins at another place, as far apart as can be. */
static int start(struct leech *l, char *why, size_t why_len)
{
	unsigned n = l->o.connections;

	l->takers = calloc(n, sizeof(*l->takers));
	for (unsigned i = 0; i < n; i++) {
		uint32_t piece = (uint32_t)((uint64_t)l->torrent.pieces * i / n);
		int err = l->takers == NULL
				  ? -ENOMEM
				  : load_taker_start(&l->takers[i], &l->w, &l->o.server, piece, i);

		if (err != 0) {
			snprintf(why, why_len, "no connection: %s", strerror(-err));
			return err;
		}
	}
	return 0;
}

static void fail(struct leech *l, const char *why)
{
	l->w.failed = true;
	snprintf(l->w.why, sizeof(l->w.why), "%s", why);
}

static bool over(const struct leech *l)
{
	return l->w.failed || atomic_load_explicit(&stop, memory_order_relaxed) ||
	       l->w.done == l->o.connections;
}

static void turn(struct leech *l)
{
	struct load_net *net = l->w.net;

	net->ops->turn(net, TURN_NS);
	if (l->w.bytes != l->still_at) {
		l->still_at = l->w.bytes;
		l->still_ns = net->now_ns;
	} else if (net->now_ns > l->still_ns + STILL_NS && !l->w.failed) {
		fail(l, "nothing has come for ten seconds");
	}
}

static void drive(struct leech *l)
{
	struct load_net *net = l->w.net;
	uint64_t end = net->now_ns + OPEN_NS;

	l->still_ns = net->now_ns;
	while (!over(l) && l->w.open < l->o.connections && net->now_ns < end)
		turn(l);
	if (l->w.open < l->o.connections && !over(l))
		fail(l, "not all connections were unchoked");
	end = net->now_ns + (uint64_t)(l->warmup_s * 1e9);
	while (!over(l) && net->now_ns < end)
		turn(l);
	l->from_ns = net->now_ns;
	if (l->warmup_s > 0) { /* without one, what came while they opened counts */
		l->bytes = l->w.bytes;
		l->blocks = l->w.blocks;
	}
	l->busy_ns = load_busy_ns(net, &l->o);
	end = net->now_ns + (uint64_t)(l->duration_s * 1e9);
	while (!over(l) && (l->w.once || net->now_ns < end))
		turn(l);
	l->to_ns = net->now_ns;
	l->bytes = l->w.bytes - l->bytes;
	l->blocks = l->w.blocks - l->blocks;
	l->busy_ns = load_busy_ns(net, &l->o) - l->busy_ns;
}

static int report(const struct leech *l)
{
	const struct load_takers *w = &l->w;
	double s = (double)(l->to_ns - l->from_ns) / 1e9;

	printf("{\"bytes\": %llu, \"seconds\": %.4f, \"blocks\": %llu, \"busy\": %.3f, "
	       "\"verified\": %llu, \"wrong\": %llu, \"rejected\": %llu}\n",
	       (unsigned long long)l->bytes, s, (unsigned long long)l->blocks,
	       s > 0 ? (double)l->busy_ns / 1e9 / s : 0, (unsigned long long)w->verified,
	       (unsigned long long)w->wrong, (unsigned long long)w->rejected);
	if (w->failed)
		fprintf(stderr, "spate-leech: %s\n", w->why);
	if (w->wrong != 0)
		fprintf(stderr, "spate-leech: %llu pieces have not the hash of the torrent\n",
			(unsigned long long)w->wrong);
	if (w->bytes == 0 && !w->failed)
		fprintf(stderr, "spate-leech: nothing came\n");
	return w->failed || w->wrong != 0 || w->bytes == 0 ||
	       (w->once && w->done < l->o.connections);
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
	static struct leech l;
	char why[256] = "";
	int err = parse(&l, argc, argv);

	if (err != 0)
		return err < 0 ? 2 : 0;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	err = load_net_open(&l.w.net, &l.o, why, sizeof(why));
	if (err == 0)
		err = torrent(&l, argv[optind], why, sizeof(why));
	if (err == 0)
		err = start(&l, why, sizeof(why));
	if (err == 0)
		drive(&l);
	if (l.w.net != NULL)
		l.w.net->ops->close(l.w.net);
	if (err != 0)
		fprintf(stderr, "spate-leech: %s\n", why);
	else
		err = report(&l);
	for (unsigned i = 0; l.takers != NULL && i < l.o.connections; i++)
		load_taker_finish(&l.takers[i]);
	free(l.takers);
	free(l.file);
	return err < 0 ? 2 : err;
}

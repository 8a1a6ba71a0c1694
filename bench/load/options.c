/* options.c: the command line of spate-load, and its help. */
#include "bench/load/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "version.h"

static const char help[] =
	"usage: spate-load [OPTION...] URL...\n"
	"       spate-load --dash [OPTION...] http://HOST/MANIFEST.mpd\n"
	"\n"
	"Asks an HTTP/1.1 server for objects as fast as it answers, or at a constant rate, and "
	"says how\n"
	"many came, how soon, and whether they were right.\n"
	"\n"
	"  spate-load -c 64 -d 10s http://127.0.0.1:8080/a http://127.0.0.1:8080/b\n"
	"  spate-load -c 256 --rate 20000 --json out.json 'http://127.0.0.1:8080/o/{000..999}'\n"
	"  spate-load -c 100 --urls list --zipf 0.9 --verify first http://127.0.0.1:8080/\n"
	"  spate-load --dash -c 500 http://127.0.0.1:8080/stream.mpd\n"
	"\n"
	"How much:\n"
	"  -c, --connections N    at most, all threads together; with --dash: viewers (10)\n"
	"  -t, --threads N        each with its share of connections and rate (1)\n"
	"      --cpu LIST         pin the threads: 1,2,3\n"
	"  -d, --duration TIME    measured (10s); --warmup TIME before it, not measured (1s)\n"
	"      --cover            each URL once before all that: the server then has all of them\n"
	"  -n, --requests N       end after so many\n"
	"  -r, --rate N           open loop: N requests a second whatever the server does; latency "
	"counts\n"
	"                         from when a request was due, also when it had to wait for a "
	"connection\n"
	"      --poisson          gaps of an exponential distribution, not all the same\n"
	"      --pipeline N       requests on a connection before the first answer (1)\n"
	"      --one-shot         a connection for each request; its handshake is part of the "
	"latency\n"
	"      --timeout TIME     a request that takes longer has failed (5s)\n"
	"\n"
	"What:\n"
	"  URL                    {A..B} stands for each number, zeros in front as in A\n"
	"  -u, --urls FILE        lines PATH [XXH3-64 of the body]; the URL then only names the "
	"server\n"
	"      --make-urls DIR    print such a list of the files under DIR, and end\n"
	"      --zipf S           the k-th URL with a weight of 1/k^S (0: all alike)\n"
	"      --range A-B        bytes A to B of each; or SIZE: a random range of so many bytes\n"
	"  -H, --header LINE      a request field more\n"
	"      --seed N           another sequence of random choices (1)\n"
	"      --verify HOW       first: each body must have the hash of its first transfer, or "
	"the list's;\n"
	"                         list: the list's; none (none). One that differs is an error\n"
	"      --verify-sample N  look at one answer of N; others are received and thrown away "
	"(1)\n"
	"\n"
	"DASH viewers (--dash): play the manifest in real time, to its end, and adapt to what they "
	"get\n"
	"      --buffer TIME      at most so much ahead (30s)\n"
	"      --start TIME       play as soon as so much is there (2s)\n"
	"      --safety F         share of the measured throughput to use (0.8)\n"
	"      --together         all start at once, not spread over the first segment's time\n"
	"      --stop-after TIME  leave after so much playback\n"
	"\n"
	"Network:\n"
	"      --source ADDRESS   connect from there\n"
	"      --dpdk ARGS        not the kernel's sockets but Spate's own TCP over a DPDK port; "
	"ARGS are the\n"
	"                         EAL's: '--no-pci "
	"--vdev=net_memif0,role=client,socket=/tmp/m.sock'\n"
	"      --address A/N      ours on that port; --gateway A; --mtu N\n"
	"      --no-tso --no-csum leave the device's offloads alone\n"
	"      --window SIZE      receive window of a connection on DPDK (4MiB)\n"
	"      --counters         at the end, what our TCP counted (stderr)\n"
	"\n"
	"Output:\n"
	"      --json FILE        rows of {bench, case, metric, value, unit, aim, peer}; - is "
	"stdout\n"
	"      --bench N --case N --peer N   what those rows say (load, the URL, null)\n"
	"      --progress         a line a second, also when stderr is no terminal; --quiet: "
	"never\n"
	"\n"
	"Itself:\n"
	"      --ceiling          what this generator can do here at most: it runs against a "
	"responder that\n"
	"                         does nothing but answer, at 1 KiB, 64 KiB and 1 MiB\n"
	"      --canned A:PORT    be that responder; --canned-bytes SIZE (1KiB)\n"
	"      --version, --help\n"
	"\n"
	"TIME: 500us, 20ms, 10s, 5m. SIZE: 1024, 64KiB, 1MiB. Ends with 0 when each answer was "
	"right, with 1\n"
	"when one failed, with 2 when nothing could be done.\n";

enum {
	O_CPU = 256,
	O_WARMUP,
	O_COVER,
	O_POISSON,
	O_PIPELINE,
	O_ONE_SHOT,
	O_TIMEOUT,
	O_MAKE_URLS,
	O_ZIPF,
	O_RANGE,
	O_SEED,
	O_VERIFY,
	O_SAMPLE,
	O_DASH,
	O_BUFFER,
	O_START,
	O_SAFETY,
	O_TOGETHER,
	O_STOP_AFTER,
	O_SOURCE,
	O_DPDK,
	O_ADDRESS,
	O_GATEWAY,
	O_MTU,
	O_NO_TSO,
	O_NO_CSUM,
	O_WINDOW,
	O_COUNTERS,
	O_JSON,
	O_BENCH,
	O_CASE,
	O_PEER,
	O_PROGRESS,
	O_QUIET,
	O_CEILING,
	O_CANNED,
	O_CANNED_BYTES,
	O_VERSION,
};

static const struct option longs[] = {
	{"connections", 1, 0, 'c'},
	{"threads", 1, 0, 't'},
	{"cpu", 1, 0, O_CPU},
	{"duration", 1, 0, 'd'},
	{"warmup", 1, 0, O_WARMUP},
	{"cover", 0, 0, O_COVER},
	{"requests", 1, 0, 'n'},
	{"rate", 1, 0, 'r'},
	{"poisson", 0, 0, O_POISSON},
	{"pipeline", 1, 0, O_PIPELINE},
	{"one-shot", 0, 0, O_ONE_SHOT},
	{"timeout", 1, 0, O_TIMEOUT},
	{"urls", 1, 0, 'u'},
	{"make-urls", 1, 0, O_MAKE_URLS},
	{"zipf", 1, 0, O_ZIPF},
	{"range", 1, 0, O_RANGE},
	{"header", 1, 0, 'H'},
	{"seed", 1, 0, O_SEED},
	{"verify", 1, 0, O_VERIFY},
	{"verify-sample", 1, 0, O_SAMPLE},
	{"dash", 0, 0, O_DASH},
	{"buffer", 1, 0, O_BUFFER},
	{"start", 1, 0, O_START},
	{"safety", 1, 0, O_SAFETY},
	{"together", 0, 0, O_TOGETHER},
	{"stop-after", 1, 0, O_STOP_AFTER},
	{"source", 1, 0, O_SOURCE},
	{"dpdk", 1, 0, O_DPDK},
	{"address", 1, 0, O_ADDRESS},
	{"gateway", 1, 0, O_GATEWAY},
	{"mtu", 1, 0, O_MTU},
	{"no-tso", 0, 0, O_NO_TSO},
	{"no-csum", 0, 0, O_NO_CSUM},
	{"window", 1, 0, O_WINDOW},
	{"counters", 0, 0, O_COUNTERS},
	{"json", 1, 0, O_JSON},
	{"bench", 1, 0, O_BENCH},
	{"case", 1, 0, O_CASE},
	{"peer", 1, 0, O_PEER},
	{"progress", 0, 0, O_PROGRESS},
	{"quiet", 0, 0, O_QUIET},
	{"ceiling", 0, 0, O_CEILING},
	{"canned", 1, 0, O_CANNED},
	{"canned-bytes", 1, 0, O_CANNED_BYTES},
	{"version", 0, 0, O_VERSION},
	{"help", 0, 0, 'h'},
	{0},
};

static bool count(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && *out >= least &&
	       *out <= most;
}

static bool real(const char *text, double least, double most, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return end != text && *end == '\0' && *out >= least && *out <= most;
}

static bool size(const char *text, uint64_t *out)
{
	static const struct {
		const char *unit;
		double times;
	} units[] = {{"", 1},     {"B", 1},         {"k", 1e3},         {"KiB", 1024},
		     {"K", 1024}, {"M", 1048576.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}};
	char *end;
	double v = strtod(text, &end);

	for (unsigned i = 0; end != text && v >= 0 && i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(end, units[i].unit) == 0 && v * units[i].times < 1e18) {
			*out = (uint64_t)(v * units[i].times);
			return true;
		}
	return false;
}

static bool duration(const char *text, uint64_t *out)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = {{"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"m", 60e9}, {"h", 3600e9}};
	char *end;
	double v = strtod(text, &end);

	for (unsigned i = 0; end != text && v >= 0 && i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(end, units[i].unit) == 0 && v * units[i].ns < 1e18) {
			*out = (uint64_t)(v * units[i].ns);
			return true;
		}
	return false;
}

static bool seconds(const char *text, double *out)
{
	uint64_t ns;

	if (!duration(text, &ns))
		return false;
	*out = (double)ns / 1e9;
	return true;
}

bool load_address(const char *text, uint16_t port, struct spate_addr *out)
{
	char host[64];
	const char *colon = strrchr(text, ':'), *end;
	struct in6_addr v6;
	struct in_addr v4;
	uint64_t p = port;

	if (text[0] == '[') {
		end = strchr(text, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return false;
		colon = end[1] == ':' ? end + 1 : NULL;
		text++;
	} else {
		if (colon != NULL && strchr(text, ':') != colon)
			colon = NULL; /* a bare IPv6 address */
		end = colon != NULL ? colon : text + strlen(text);
	}
	if (colon != NULL && !count(colon + 1, 1, 65535, &p))
		return false;
	if ((size_t)(end - text) >= sizeof(host))
		return false;
	memcpy(host, text, (size_t)(end - text));
	host[end - text] = '\0';
	*out = (struct spate_addr){.port = (uint16_t)p};
	if (inet_pton(AF_INET, host, &v4) == 1) {
		out->ip[10] = out->ip[11] = 0xff;
		memcpy(out->ip + 12, &v4, 4);
		return true;
	}
	if (inet_pton(AF_INET6, host, &v6) != 1)
		return false;
	memcpy(out->ip, &v6, 16);
	return true;
}

/* The server that all URLs name: the first one's. */
static int server_of(struct load_options *o, const char *url)
{
	struct addrinfo *found = NULL, hints = {.ai_socktype = SOCK_STREAM};
	const char *from = url + 7, *slash = strchr(from, '/');
	size_t n = slash != NULL ? (size_t)(slash - from) : strlen(from);
	char host[256], *colon;
	int err;

	if (n == 0 || n >= sizeof(o->host)) {
		fprintf(stderr, "spate-load: %s: no host in it\n", url);
		return -EINVAL;
	}
	memcpy(o->host, from, n);
	o->host[n] = '\0';
	if (load_address(o->host, 80, &o->server))
		return 0;
	snprintf(host, sizeof(host), "%s", o->host);
	colon = strrchr(host, ':');
	if (colon != NULL)
		*colon = '\0';
	err = getaddrinfo(host, colon != NULL ? colon + 1 : "80", &hints, &found);
	if (err != 0) {
		fprintf(stderr, "spate-load: %s: %s\n", o->host, gai_strerror(err));
		return -EINVAL;
	}
	char ip[64], port[16], both[96];

	getnameinfo(found->ai_addr, found->ai_addrlen, ip, sizeof(ip), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(both, sizeof(both), strchr(ip, ':') != NULL ? "[%s]:%s" : "%s:%s", ip, port);
	freeaddrinfo(found);
	return load_address(both, 80, &o->server) ? 0 : -EINVAL;
}

static bool cpus(struct load_options *o, const char *text)
{
	unsigned n = 0;

	while (n < LOAD_THREADS_MAX) {
		char *end;
		long v = strtol(text, &end, 10);

		if (end == text || v < 0 || v > 4095)
			return false;
		o->cpu[n++] = (int)v;
		if (*end == '\0')
			return true;
		if (*end != ',')
			return false;
		text = end + 1;
	}
	return false;
}

static bool range(struct load_options *o, const char *text)
{
	const char *dash = strchr(text, '-');
	char first[32];

	o->has_range = true;
	if (dash == NULL) {
		o->range_random = true;
		return size(text, &o->range_bytes) && o->range_bytes != 0;
	}
	if (dash - text >= (ptrdiff_t)sizeof(first))
		return false;
	memcpy(first, text, (size_t)(dash - text));
	first[dash - text] = '\0';
	return count(first, 0, INT64_MAX, &o->range_first) &&
	       count(dash + 1, o->range_first, INT64_MAX, &o->range_last);
}

static bool header(struct load_options *o, const char *line)
{
	size_t had = strlen(o->headers);

	return strchr(line, ':') != NULL && strpbrk(line, "\r\n") == NULL &&
	       (size_t)snprintf(o->headers + had, sizeof(o->headers) - had, "%s\r\n", line) <
		       sizeof(o->headers) - had;
}

static bool verify(struct load_options *o, const char *text)
{
	static const char *const names[] = {"none", "first", "list"};

	for (unsigned i = 0; i < 3; i++)
		if (strcmp(text, names[i]) == 0) {
			o->verify = (enum load_verify)i;
			return true;
		}
	return false;
}

/* One option; false: its value makes no sense. */
static bool take(struct load_options *o, int opt, const char *v)
{
	uint64_t n = 0;
	bool ok = true;

	switch (opt) {
	case 'c':
		ok = count(v, 1, 1000000, &n);
		o->connections = (unsigned)n;
		break;
	case 't':
		ok = count(v, 1, LOAD_THREADS_MAX, &n);
		o->threads = (unsigned)n;
		break;
	case O_CPU:
		return cpus(o, v);
	case 'd':
		return duration(v, &o->duration_ns) && o->duration_ns != 0;
	case O_WARMUP:
		return duration(v, &o->warmup_ns);
	case O_COVER:
		o->cover = true;
		break;
	case 'n':
		return count(v, 1, UINT64_MAX, &o->requests);
	case 'r':
		return real(v, 0.001, 1e9, &o->rate);
	case O_POISSON:
		o->poisson = true;
		break;
	case O_PIPELINE:
		ok = count(v, 1, 256, &n);
		o->pipeline = (unsigned)n;
		break;
	case O_ONE_SHOT:
		o->one_shot = true;
		break;
	case O_TIMEOUT:
		return duration(v, &o->timeout_ns) && o->timeout_ns != 0;
	case 'u':
		o->url_file = v;
		break;
	case O_MAKE_URLS:
		o->make_urls = v;
		break;
	case O_ZIPF:
		return real(v, 0, 10, &o->zipf);
	case O_RANGE:
		return range(o, v);
	case 'H':
		return header(o, v);
	case O_SEED:
		return count(v, 0, UINT64_MAX, &o->seed);
	case O_VERIFY:
		return verify(o, v);
	case O_SAMPLE:
		ok = count(v, 1, UINT32_MAX, &n);
		o->verify_sample = (unsigned)n;
		break;
	case O_DASH:
		o->dash = true;
		break;
	case O_BUFFER:
		return seconds(v, &o->buffer_s) && o->buffer_s > 0;
	case O_START:
		return seconds(v, &o->start_s);
	case O_SAFETY:
		return real(v, 0.01, 2, &o->safety);
	case O_TOGETHER:
		o->from_zero = true;
		break;
	case O_STOP_AFTER:
		return seconds(v, &o->stop_after_s);
	case O_SOURCE:
		o->has_source = true;
		return load_address(v, 0, &o->source);
	case O_DPDK:
		o->dpdk = v;
		break;
	case O_ADDRESS:
		o->address = v;
		break;
	case O_GATEWAY:
		o->gateway = v;
		break;
	case O_MTU:
		ok = count(v, 576, 65535, &n);
		o->mtu = (uint16_t)n;
		break;
	case O_NO_TSO:
		o->no_tso = true;
		break;
	case O_NO_CSUM:
		o->no_csum = true;
		break;
	case O_WINDOW:
		ok = size(v, &n) && n >= 4096 && n <= 1u << 30;
		o->window = (uint32_t)n;
		break;
	case O_COUNTERS:
		o->counters = true;
		break;
	case O_JSON:
		o->json = v;
		break;
	case O_BENCH:
		o->bench = v;
		break;
	case O_CASE:
		o->name = v;
		break;
	case O_PEER:
		o->peer = v;
		break;
	case O_PROGRESS:
		o->progress = true;
		break;
	case O_QUIET:
		o->quiet = true;
		break;
	case O_CEILING:
		o->ceiling = true;
		break;
	case O_CANNED:
		o->canned = v;
		break;
	case O_CANNED_BYTES:
		return size(v, &o->canned_bytes);
	}
	return ok;
}

static const char *long_name(int opt)
{
	for (unsigned i = 0; longs[i].name != NULL; i++)
		if (longs[i].val == opt)
			return longs[i].name;
	return "?";
}

static int complain(const char *text)
{
	fprintf(stderr, "spate-load: %s (spate-load --help)\n", text);
	return -EINVAL;
}

static int check(struct load_options *o)
{
	if (o->canned != NULL || o->ceiling || o->make_urls != NULL)
		return 0;
	if (o->nurls == 0)
		return complain("no URL given");
	for (unsigned i = 0; i < o->nurls; i++)
		if (strncmp(o->urls[i], "http://", 7) != 0)
			return complain("a URL begins with http:// (TLS is not spoken here)");
	if (o->threads > o->connections)
		return complain("more threads than connections");
	if (o->dpdk != NULL && o->threads != 1)
		return complain("a DPDK port is one thread's: --threads 1");
	if (o->dpdk != NULL && o->address == NULL)
		return complain("--dpdk needs --address, as 10.0.0.2/24");
	if (o->dash && (o->rate > 0 || o->pipeline > 1 || o->one_shot || o->has_range))
		return complain(
			"--dash goes by itself: no --rate, --pipeline, --one-shot, --range");
	if (o->dash && o->nurls != 1)
		return complain("--dash plays one manifest");
	if (o->one_shot && o->pipeline > 1)
		return complain("--one-shot and --pipeline exclude each other");
	if (o->verify == LOAD_VERIFY_LIST && o->url_file == NULL)
		return complain("--verify list needs hashes: --urls FILE");
	if (o->verify == LOAD_VERIFY_LIST && o->has_range)
		return complain(
			"the list's hashes are of whole objects: --verify first with --range");
	if (o->dash && o->duration_ns == 10000000000u)
		o->duration_ns = 86400000000000u; /* until all have seen the end */
	if (o->requests != 0)
		o->warmup_ns = 0; /* so many are measured */
	return server_of(o, o->urls[0]);
}

int load_options_parse(struct load_options *o, int argc, char **argv)
{
	int opt;

	*o = (struct load_options){
		.connections = 10,
		.threads = 1,
		.duration_ns = 10000000000u,
		.warmup_ns = 1000000000u,
		.timeout_ns = 5000000000u,
		.pipeline = 1,
		.seed = 1,
		.verify_sample = 1,
		.buffer_s = 30,
		.start_s = 2,
		.safety = 0.8,
		.window = 4u << 20,
		.bench = "load",
		.canned_bytes = 1024,
	};
	for (unsigned i = 0; i < LOAD_THREADS_MAX; i++)
		o->cpu[i] = -1;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "c:t:d:n:r:u:H:h", longs, NULL)) != -1) {
		if (opt == 'h') {
			fputs(help, stdout);
			return 1;
		}
		if (opt == O_VERSION) {
			puts("spate-load " SPATE_VERSION);
			return 1;
		}
		if (opt == '?') {
			fprintf(stderr,
				"spate-load: %s: unknown, or without its value (spate-load "
				"--help)\n",
				argv[optind - 1]);
			return -EINVAL;
		}
		if (!take(o, opt, optarg)) {
			fprintf(stderr, "spate-load: --%s %s makes no sense (spate-load --help)\n",
				long_name(opt), optarg != NULL ? optarg : "");
			return -EINVAL;
		}
	}
	o->urls = (const char *const *)(argv + optind);
	o->nurls = (unsigned)(argc - optind);
	if (!o->quiet && isatty(STDERR_FILENO))
		o->progress = true;
	return check(o);
}

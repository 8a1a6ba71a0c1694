/*
 * options.h: what was asked for on the command line. Read only after load_options_parse.
 */
#ifndef SPATE_LOAD_OPTIONS_H
#define SPATE_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/stream/stream.h"

#define LOAD_THREADS_MAX 64
#define LOAD_HEADERS_MAX 2048 /* bytes of -H lines */

enum load_verify {
	LOAD_VERIFY_NONE,
	LOAD_VERIFY_FIRST, /* each object (or range) against its first transfer, or the list's hash
			    */
	LOAD_VERIFY_LIST,  /* against the list's hash only: each URL must have one */
};

struct load_options {
	/* how much */
	unsigned connections; /* all threads together */
	unsigned threads;
	int cpu[LOAD_THREADS_MAX]; /* pinned to; -1: not */
	uint64_t duration_ns, warmup_ns, timeout_ns;
	bool cover;        /* each URL once, before the warm-up */
	uint64_t requests; /* 0: no limit */
	double rate;       /* a second; 0: closed loop */
	bool poisson;
	unsigned pipeline;
	bool one_shot;
	/* what */
	struct spate_addr server;
	char host[256]; /* of the Host field, with the port when it is not 80 */
	const char *const *urls;
	unsigned nurls;
	const char *url_file;
	double zipf;
	bool has_range, range_random;
	uint64_t range_first, range_last, range_bytes;
	char headers[LOAD_HEADERS_MAX];
	uint64_t seed;
	enum load_verify verify;
	unsigned verify_sample; /* one of so many */
	/* DASH */
	bool dash;
	double buffer_s, start_s, safety;
	bool from_zero;      /* all sessions start at once, not spread over the first segment */
	double stop_after_s; /* of playback; 0: the whole presentation */
	/* the network */
	bool has_source;
	struct spate_addr source;
	const char *dpdk; /* EAL arguments; NULL: kernel sockets */
	const char *address, *gateway;
	uint16_t mtu;
	bool no_tso, no_csum, counters;
	uint32_t window;
	/* output */
	const char *json, *bench, *name, *peer;
	bool progress, quiet;
	/* instead of load */
	bool ceiling;
	const char *canned; /* ADDRESS:PORT to answer on */
	uint64_t canned_bytes;
	const char *make_urls;
};

/* 0: go on; 1: all is done (help, version); -EINVAL: a message is on stderr. argv must stay. */
int load_options_parse(struct load_options *o, int argc, char **argv);

/* "10.0.0.1:80", "[::1]:80", "::1" and a default port. false: it is no address. */
bool load_address(const char *text, uint16_t port, struct spate_addr *out);

#endif

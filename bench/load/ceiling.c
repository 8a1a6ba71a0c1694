/*
 * ceiling.c: what the generator can do on this machine: it runs against a responder that only
 * answers (canned.c), in a process and on a core of its own. Where that one is the busier, the
 * ceiling is higher than what is shown, and it says so.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/load/canned.h"
#include "bench/load/load.h"
#include "bench/load/report.h"

static void pin(int nth)
{
	cpu_set_t have, want;

	CPU_ZERO(&want);
	if (sched_getaffinity(0, sizeof(have), &have) != 0)
		return;
	for (unsigned i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &have) && nth-- == 0) {
			CPU_SET(i, &want);
			sched_setaffinity(0, sizeof(want), &want);
			return;
		}
}

static int one(struct load_options *o, uint64_t bytes, const char *name, struct load_rows *rows)
{
	struct load_result *r = calloc(1, sizeof(*r));
	struct rusage use = {0};
	char url[64], why[512], *urls[] = {url};
	double server;
	int fd, err;
	pid_t pid;

	if (r == NULL)
		return -ENOMEM;
	o->server = (struct spate_addr){.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
	fd = load_canned_listen(&o->server);
	if (fd < 0) {
		free(r);
		return fd;
	}
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/canned", o->server.port);
	snprintf(o->host, sizeof(o->host), "127.0.0.1:%u", o->server.port);
	o->urls = (const char *const *)urls;
	o->nurls = 1;
	pid = fork();
	if (pid == 0) {
		pin(0);
		_exit(load_canned_serve(fd, bytes, &load_stop) == 0 ? 0 : 1);
	}
	close(fd);
	err = load_run(o, r, why, sizeof(why));
	kill(pid, SIGKILL);
	wait4(pid, NULL, 0, &use);
	if (err != 0) {
		fprintf(stderr, "spate-load: %s\n", why);
		free(r);
		return err;
	}
	server = ((double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
		  (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6) /
		 (r->seconds + (double)o->warmup_ns / 1e9);
	printf("  %-7s %9.0f requests/s %8.2f Gbit/s   generator busy %3.0f %%, responder %3.0f "
	       "%%%s\n",
	       name, (double)r->answers / r->seconds, (double)r->bytes * 8 / 1e9 / r->seconds,
	       r->busy * 100, server * 100,
	       r->busy < 0.9 ? ": bound by the responder, the generator can do more" : "");
	rows->name = name;
	load_row(rows, "ceiling", (double)r->answers / r->seconds, "1/s");
	load_row(rows, "ceiling goodput", (double)r->bytes * 8 / 1e9 / r->seconds, "Gbit/s");
	load_row(rows, "generator busy", r->busy, "of a core");
	free(r);
	return 0;
}

int load_ceiling(struct load_options *o)
{
	static const struct {
		uint64_t bytes;
		const char *name;
	} sizes[] = {{1024, "1 KiB"}, {64 << 10, "64 KiB"}, {1 << 20, "1 MiB"}};
	struct load_rows rows;
	int err = load_rows_open(&rows, o, "ceiling");

	if (err != 0) {
		fprintf(stderr, "spate-load: %s: %s\n", o->json, strerror(-err));
		return 2;
	}
	if (o->cpu[0] < 0)
		o->cpu[0] = 1 % (int)sysconf(_SC_NPROCESSORS_ONLN);
	if (o->duration_ns == 10000000000u)
		o->duration_ns = 3000000000u;
	printf("the generator's own ceiling over loopback: %u connections, %u thread%s, payload "
	       "%s\n",
	       o->connections, o->threads, o->threads == 1 ? "" : "s",
	       o->verify != LOAD_VERIFY_NONE ? "verified" : "not looked at");
	for (unsigned i = 0; err == 0 && i < sizeof(sizes) / sizeof(sizes[0]); i++)
		err = one(o, sizes[i].bytes, sizes[i].name, &rows);
	if (load_rows_close(&rows) != 0 || err != 0)
		return 2;
	return 0;
}

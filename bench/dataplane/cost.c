/*
 * cost.c: what our dataplane costs a core, in TSC cycles (rig.h says what is on the clock).
 *
 *   spate-cost [--json FILE] [--quick] [CASE...]     these cases; "1 MiB*": all that begin so
 *
 *   1 MiB ...       objects of 1 MiB, 1 GiB of them: cycles a byte, a data packet, an ACK
 *   1 KiB ...       requests on kept connections, over up to 1,000,000 objects: 1.0 GiB of bodies
 *                   and 0.5 GB of metadata
 *   connection ...  handshake, GET of 1 KiB, FIN from the client
 *
 *   ... 2 workers   the same on two cores at once, over one cache: what sharing it costs each
 *
 * A case is run in slices of about a millisecond. The median slice counts, of those in which the
 * kernel did not run somebody else in the middle of a turn. Nothing here is a wire: line rate is
 * `./dev bench line`.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

#include "rig.h"

#define SLICES_MAX 401

struct test_case {
	const char *name;
	struct rig_setup rig;
	uint64_t slice; /* answers */
	unsigned slices;
	bool more; /* not with --quick */
};

#define MIB(n) ((uint64_t)(n) << 20)
/* clang-format off */
#define BULK(conns_, ...)        {.object_bytes = MIB(1), .objects = 1024, .conns = (conns_), __VA_ARGS__}
#define REQUEST(many, conns_, ...) {.object_bytes = 1024, .objects = (many), .conns = (conns_), __VA_ARGS__}

static const struct test_case cases[] = {
	{"1 MiB, MTU 1500", BULK(8), 4, 400},
	{"1 MiB, MTU 1500, an ACK for 2", BULK(8, .ack_each = 2), 4, 400},
	{"1 MiB, MTU 1500, soft checksum", BULK(8, .soft_csum = true), 4, 400},
	{"1 MiB, MTU 1500, 100 conns", BULK(100), 4, 400, true},
	{"1 MiB, MTU 1500, 2 workers", BULK(8, .workers = 2), 4, 400, true},
	{"1 MiB, TSO 60 KiB", BULK(8, .tso = 61440), 4, 400},
	{"1 MiB, net_ring", BULK(8, .ring = true), 4, 400},
	{"1 KiB, 1,000,000 objects", REQUEST(1000000, 64), 500, 301},
	{"1 KiB, 100,000 objects", REQUEST(100000, 64), 500, 201, true},
	{"1 KiB, 10,000 objects", REQUEST(10000, 64), 500, 201, true},
	{"1 KiB, 1,000 objects", REQUEST(1000, 64), 500, 201, true},
	{"1 KiB, 1,000,000 objects, 1 conn", REQUEST(1000000, 1), 200, 201, true},
	{"1 KiB, 1,000,000 objects, 1,000 conns", REQUEST(1000000, 1000), 500, 301, true},
	{"1 KiB, 1,000,000 objects, 10,000 conns", REQUEST(1000000, 10000), 500, 301, true},
	{"1 KiB, 1,000,000 objects, 2 workers", REQUEST(1000000, 64, .workers = 2), 500, 301, true},
	{"1 KiB, 1,000 objects, 2 workers", REQUEST(1000, 64, .workers = 2), 500, 301, true},
	{"1 KiB, 1,000,000 objects, net_ring", REQUEST(1000000, 64, .ring = true), 500, 201},
	{"connection, 1,000,000 objects", REQUEST(1000000, 64, .close_each = true), 300, 301},
	{"connection, 1,000 objects", REQUEST(1000, 64, .close_each = true), 300, 301, true},
	{"connection, 1,000,000 objects, net_ring", REQUEST(1000000, 64, .close_each = true, .ring = true), 300, 301},
};
/* clang-format on */

static unsigned most_slices = SLICES_MAX; /* --slices: fewer, under a profiler */
static FILE *json;
static bool first_row = true;
static double tsc_hz;

static void row(const char *name, const char *metric, double value, const char *unit, double aim)
{
	printf("  %-40s %-20s %12.3f %s\n", name, metric, value, unit);
	fflush(stdout);
	if (json == NULL)
		return;
	fprintf(json,
		"%s\n {\"bench\": \"dataplane\", \"case\": \"%s\", \"metric\": \"%s\", \"value\": "
		"%.4f, "
		"\"unit\": \"%s\", \"aim\": ",
		first_row ? "" : ",", name, metric, value, unit);
	first_row = false;
	if (aim > 0)
		fprintf(json, "%g", aim);
	else
		fputs("null", json);
	fputs(", \"peer\": null}", json);
}

static int less(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), less);
	return v[n / 2];
}

/* What one worker measured, a value a slice. */
struct series {
	double cycles[SLICES_MAX], packet[SLICES_MAX], ack[SLICES_MAX];
	unsigned n;
	struct rig_count all;
};

static bool is_bulk(const struct test_case *t)
{
	return t->rig.object_bytes >= MIB(1);
}

static void warm_up(const struct test_case *t)
{
	rig_run(t->slice * (most_slices < 100 ? most_slices : 100) + t->rig.conns * 4);
}

static void measure(const struct test_case *t, struct series *s)
{
	struct rig_count c;

	s->n = t->slices < most_slices ? t->slices : most_slices;
	for (unsigned i = 0, tries = 0; i < s->n; tries++) {
		rig_mark();
		rig_run(t->slice);
		rig_counted(&c);
		if (c.broken != 0 && tries < 20 * s->n)
			continue;
		s->cycles[i] = (double)(c.turn_cycles + c.flush_cycles) /
			       (double)(is_bulk(t) ? c.bodies : c.answers);
		s->packet[i] = (double)c.flush_cycles / (double)c.tx_packets;
		s->ack[i] = (double)c.turn_cycles / (double)c.rx_packets;
		s->all.tx_packets += c.tx_packets;
		s->all.rx_packets += c.rx_packets;
		i++;
	}
}

/* Both workers measure only while both work. */
struct pair {
	const struct test_case *t;
	struct series *s;
	pthread_barrier_t warm;
	_Atomic unsigned done;
};

static void pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	rig_must(sched_setaffinity(0, sizeof(set), &set) == 0, "two workers want cores 0 and 1");
}

static void measure_beside(struct pair *p, struct series *s)
{
	warm_up(p->t);
	pthread_barrier_wait(&p->warm);
	measure(p->t, s);
	atomic_fetch_add(&p->done, 1);
	while (atomic_load(&p->done) < 2)
		rig_run(p->t->slice);
}

static void *second(void *arg)
{
	struct pair *p = arg;

	pin(1);
	rig_join(&p->t->rig, 1);
	measure_beside(p, &p->s[1]);
	rig_leave();
	return NULL;
}

static void measure_two(const struct test_case *t, struct series s[2])
{
	struct pair p = {.t = t, .s = s};
	pthread_t other;
	cpu_set_t before;

	rig_must(sched_getaffinity(0, sizeof(before), &before) == 0, "affinity");
	pin(0);
	pthread_barrier_init(&p.warm, NULL, 2);
	rig_must(pthread_create(&other, NULL, second, &p) == 0, "a second worker");
	measure_beside(&p, &s[0]);
	pthread_join(other, NULL);
	pthread_barrier_destroy(&p.warm);
	sched_setaffinity(0, sizeof(before), &before);
}

static void run_case(const struct test_case *t)
{
	static struct series s[2];
	unsigned workers = t->rig.workers > 1 ? 2 : 1;
	double each = 0, rate = 0;

	memset(s, 0, sizeof(s));
	rig_open(&t->rig);
	if (workers == 2) {
		measure_two(t, s);
	} else {
		warm_up(t);
		measure(t, s);
	}
	rig_close();
	for (unsigned i = 0; i < workers; i++) {
		double m = median(s[i].cycles, s[i].n);

		each += m / workers;
		rate += tsc_hz / m;
	}
	/* The aims are for what does not fit the caches, and for one worker. */
	bool aim = t->rig.objects >= 1000000 && t->rig.conns == 64 && workers == 1;
	const char *cores = workers == 2 ? "two cores" : "one core";

	if (is_bulk(t)) {
		row(t->name, "cycles/byte", each, "cycles", t->rig.tso ? 0.08 : 0.20);
		row(t->name, "cycles/data packet", median(s->packet, s->n), "cycles", 0);
		row(t->name, "cycles/ACK", median(s->ack, s->n), "cycles", 0);
		row(t->name, "data packets/ACK",
		    (double)s->all.tx_packets / (double)s->all.rx_packets, "", 0);
		row(t->name, cores, rate * 8 / 1e9, "Gbit/s", 0);
	} else if (t->rig.close_each) {
		row(t->name, "cycles/connection", each, "cycles", 0);
		row(t->name, cores, rate / 1e6, "M conn/s", aim ? 1.0 : 0);
	} else {
		row(t->name, "cycles/request", each, "cycles", 0);
		row(t->name, cores, rate / 1e6, "M req/s", aim ? 2.5 : 0);
	}
}

static void measure_tsc(void)
{
	uint64_t t0 = rig_now_us(), c0 = __rdtsc();

	while (rig_now_us() - t0 < 100000)
		;
	tsc_hz = (double)(__rdtsc() - c0) / (double)(rig_now_us() - t0) * 1e6;
}

static bool chosen(const struct test_case *t, char **names, int n, bool quick)
{
	if (n == 0)
		return !(quick && t->more);
	for (int i = 0; i < n; i++) {
		size_t len = strlen(names[i]);

		if (strcmp(t->name, names[i]) == 0 || (len > 0 && names[i][len - 1] == '*' &&
						       strncmp(t->name, names[i], len - 1) == 0))
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	bool quick = false;
	int at = 1;

	for (; at < argc && argv[at][0] == '-'; at++) {
		if (strcmp(argv[at], "--quick") == 0)
			quick = true;
		else if (strcmp(argv[at], "--json") == 0 && at + 1 < argc)
			rig_must((json = fopen(argv[++at], "w")) != NULL,
				 "cannot write the JSON file");
		else if (strcmp(argv[at], "--slices") == 0 && at + 1 < argc)
			most_slices = (unsigned)atoi(argv[++at]);
		else
			rig_must(
				false,
				"usage: spate-cost [--json FILE] [--quick] [--slices N] [CASE...]");
	}
	measure_tsc();
	printf("TSC %.2f GHz; the edge's cycles only; the memory port and net_ring are no wires\n",
	       tsc_hz / 1e9);
	if (json != NULL)
		fputc('[', json);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (chosen(&cases[i], argv + at, argc - at, quick))
			run_case(&cases[i]);
	if (json != NULL) {
		fputs("\n]\n", json);
		fclose(json);
	}
	return 0;
}

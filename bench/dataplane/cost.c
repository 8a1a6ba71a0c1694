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
 * A case is run in slices of about a millisecond. The median slice counts, of those in which the
 * kernel did not run somebody else in the middle of a turn. Nothing here is a wire: line rate is
 * `./dev bench line`.
 */
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
	{"1 MiB, TSO 60 KiB", BULK(8, .tso = 61440), 4, 400},
	{"1 MiB, net_ring", BULK(8, .ring = true), 4, 400},
	{"1 KiB, 1,000,000 objects", REQUEST(1000000, 64), 500, 301},
	{"1 KiB, 100,000 objects", REQUEST(100000, 64), 500, 201, true},
	{"1 KiB, 10,000 objects", REQUEST(10000, 64), 500, 201, true},
	{"1 KiB, 1,000 objects", REQUEST(1000, 64), 500, 201, true},
	{"1 KiB, 1,000,000 objects, 1 conn", REQUEST(1000000, 1), 200, 201, true},
	{"1 KiB, 1,000,000 objects, 1,000 conns", REQUEST(1000000, 1000), 500, 301, true},
	{"1 KiB, 1,000,000 objects, 10,000 conns", REQUEST(1000000, 10000), 500, 301, true},
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

static void run_case(const struct test_case *t)
{
	static double cycles[SLICES_MAX], packet[SLICES_MAX], ack[SLICES_MAX];
	struct rig_count c, all = {0};
	unsigned n = t->slices < most_slices ? t->slices : most_slices;
	bool bulk = t->rig.object_bytes >= MIB(1);

	rig_open(&t->rig);
	rig_run(t->slice * (most_slices < 100 ? most_slices : 100) + t->rig.conns * 4);
	for (unsigned i = 0, tries = 0; i < n; tries++) {
		rig_mark();
		rig_run(t->slice);
		rig_counted(&c);
		if (c.broken != 0 && tries < 20 * n)
			continue;
		cycles[i] = (double)(c.turn_cycles + c.flush_cycles) /
			    (double)(bulk ? c.bodies : c.answers);
		packet[i] = (double)c.flush_cycles / (double)c.tx_packets;
		ack[i] = (double)c.turn_cycles / (double)c.rx_packets;
		all.tx_packets += c.tx_packets;
		all.rx_packets += c.rx_packets;
		i++;
	}
	rig_close();
	double each = median(cycles, n);
	/* The aims are for what does not fit the caches. */
	bool aim = t->rig.objects >= 1000000 && t->rig.conns == 64;

	if (bulk) {
		row(t->name, "cycles/byte", each, "cycles", t->rig.tso ? 0.08 : 0.20);
		row(t->name, "cycles/data packet", median(packet, n), "cycles", 0);
		row(t->name, "cycles/ACK", median(ack, n), "cycles", 0);
		row(t->name, "data packets/ACK", (double)all.tx_packets / (double)all.rx_packets,
		    "", 0);
		row(t->name, "one core", tsc_hz / each * 8 / 1e9, "Gbit/s", 0);
	} else if (t->rig.close_each) {
		row(t->name, "cycles/connection", each, "cycles", 0);
		row(t->name, "one core", tsc_hz / each / 1e6, "M conn/s", aim ? 1.0 : 0);
	} else {
		row(t->name, "cycles/request", each, "cycles", 0);
		row(t->name, "one core", tsc_hz / each / 1e6, "M req/s", aim ? 2.5 : 0);
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

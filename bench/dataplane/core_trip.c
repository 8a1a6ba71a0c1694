/*
 * core_trip.c: nanoseconds that a cache line takes from one core to another and back.
 *
 *   core-trip A B      prints the median of nine batches
 *
 * On a virtual machine the two may share a cache in one second and not in the next, wherever the
 * host puts them; what goes from one to the other then costs several times as much. A figure of two
 * programs on two cores means little without this one beside it.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BATCHES 9
#define TRIPS   2000u

/* The line that travels: odd when A has written it last, even when B has. */
static struct {
	_Alignas(128) _Atomic uint64_t turn;
	_Alignas(128) _Atomic int over;
	int core_b;
} m;

static void pin(int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned)core, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0) {
		perror("core-trip");
		exit(1);
	}
}

static void *answer(void *unused)
{
	(void)unused;
	pin(m.core_b);
	while (!atomic_load_explicit(&m.over, memory_order_relaxed)) {
		uint64_t t = atomic_load_explicit(&m.turn, memory_order_acquire);

		if (t & 1)
			atomic_store_explicit(&m.turn, t + 1, memory_order_release);
	}
	return NULL;
}

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static double batch(void)
{
	double begin = now_ns();

	for (unsigned i = 0; i < TRIPS; i++) {
		uint64_t t = atomic_load_explicit(&m.turn, memory_order_relaxed);

		atomic_store_explicit(&m.turn, t + 1, memory_order_release);
		while (atomic_load_explicit(&m.turn, memory_order_acquire) != t + 2)
			;
	}
	return (now_ns() - begin) / TRIPS;
}

static int less(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	double ns[BATCHES];
	pthread_t other;

	if (argc != 3) {
		fputs("usage: core-trip CORE CORE\n", stderr);
		return 2;
	}
	m.core_b = atoi(argv[2]);
	pin(atoi(argv[1]));
	if (pthread_create(&other, NULL, answer, NULL) != 0)
		return 1;
	batch(); /* until the other one is there */
	for (unsigned i = 0; i < BATCHES; i++)
		ns[i] = batch();
	atomic_store(&m.over, 1);
	pthread_join(other, NULL);
	qsort(ns, BATCHES, sizeof(*ns), less);
	printf("%.1f\n", ns[BATCHES / 2]);
	return 0;
}

/*
 * eal.c: starting DPDK. Its own messages are kept back while it starts: when it fails, what they
 * say is turned into what to do, and the last of them is quoted; later ones go to stderr.
 */
#include "dataplane/port/eal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_bus_vdev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_memzone.h>
#include <rte_version.h>

#include "dataplane/port/hugepages.h"

#define ARGS_MAX 72
#define LOG_KEPT 8192
#define MORE_PAGES \
	1024 /* asked for when there are too few: the cache may have had what there was */

static struct {
	bool started, starting;
	char text[LOG_KEPT];
	size_t len;
	FILE *stream;
} eal;

/* While starting: the first 8 KiB are kept. Afterwards: to stderr. */
static ssize_t take_log(void *cookie, const char *p, size_t n)
{
	if (!eal.starting)
		return (ssize_t)fwrite(p, 1, n, stderr);
	size_t room = sizeof(eal.text) - 1 - eal.len;
	size_t k = n < room ? n : room;

	memcpy(eal.text + eal.len, p, k);
	eal.len += k;
	eal.text[eal.len] = '\0';
	return (ssize_t)n;
}

static bool has(const char *const *args, unsigned n, const char *name)
{
	size_t len = strlen(name);

	for (unsigned i = 0; i < n; i++)
		if (strncmp(args[i], name, len) == 0 &&
		    (args[i][len] == '\0' || args[i][len] == '=' || name[1] != '-'))
			return true;
	return false;
}

/* How DPDK's messages speak of a failure. The last word is also in harmless ones. */
static const char *const words[] = {"fail",    "error",   "cannot",    "could not",
				    "invalid", "unrecog", "unknown",   "unable",
				    "no such", "denied",  "permitted", "not "};
#define WORDS      (sizeof(words) / sizeof(words[0]))
#define SURE_WORDS (WORDS - 1)

/* The first line of DPDK's own that has one of the first n words, else its last line. */
static bool find_line(size_t nwords, char *line, size_t len)
{
	line[0] = '\0';
	for (const char *p = eal.text; *p != '\0';) {
		size_t n = strcspn(p, "\n");

		if (n != 0)
			snprintf(line, len, "%.*s", (int)n, p);
		for (size_t i = 0; i < nwords; i++)
			if (strcasestr(line, words[i]) != NULL)
				return true;
		p += n + (p[n] == '\n');
	}
	return false;
}

/* The first line that speaks of a failure; those after it are consequences. Else the last line. */
static const char *what_it_said(void)
{
	static char line[256];

	find_line(WORDS, line, sizeof(line));
	return line;
}

static bool logged(const char *what)
{
	return strcasestr(eal.text, what) != NULL;
}

static int explain(int err, bool huge, char *why, size_t len)
{
	const char *said = what_it_said();
	char recipe[256];

	if (logged("hugepage") || logged("hugetlb") || (err == ENOMEM && huge))
		snprintf(why, len,
			 "DPDK found no memory in huge pages. Type: %s; or add \"--no-huge\", "
			 "\"-m\", \"512\" to dpdk.eal (slower). It said: %s",
			 spate_hugepages_recipe(recipe, sizeof(recipe), MORE_PAGES), said);
	else if (err == EACCES || err == EPERM || logged("permission denied") ||
		 logged("not permitted"))
		snprintf(why, len,
			 "DPDK may not use the device or memory: run as root, or see "
			 "docs/operations.md "
			 "(capabilities, /dev/vfio). It said: %s",
			 said);
	else if (logged("failed to parse device") || logged("cannot find a vdev driver") ||
		 logged("vdev_probe") || logged("failed to initialize vdev") ||
		 logged("failed to create vdev") || logged("cannot plug device") ||
		 logged("bus failed to probe") || logged("cannot probe device"))
		snprintf(why, len,
			 "DPDK could not make a device of dpdk.eal: check the name after --vdev= "
			 "(net_af_packet0, "
			 "net_tap0, net_memif0 ...), its options, and that the interface exists. "
			 "It said: %s",
			 said);
	else if (err == EINVAL || logged("unrecognized option") || logged("invalid option") ||
		 logged("usage:"))
		snprintf(why, len, "DPDK does not understand an argument in dpdk.eal. It said: %s",
			 said);
	else if (err == EAGAIN || logged("cannot create lock") || logged("another process"))
		snprintf(
			why, len,
			"Another DPDK process holds the same files: add \"--in-memory\" or another "
			"\"--file-prefix\" to dpdk.eal. It said: %s",
			said);
	else
		snprintf(why, len, "DPDK did not start (%s). It said: %s", rte_strerror(err), said);
	return -(err != 0 ? err : EIO);
}

static int first_cpu(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		for (int i = 0; i < CPU_SETSIZE && i < RTE_MAX_LCORE; i++)
			if (CPU_ISSET(i, &set))
				return i;
	return 0;
}

/* Points fd at /dev/null; returns where it pointed before, for unmute. */
static int mute(int fd)
{
	int old, null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	fflush(NULL);
	old = null < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (old >= 0)
		dup2(null, fd);
	if (null >= 0)
		close(null);
	return old;
}

static void unmute(int fd, int old)
{
	fflush(NULL);
	if (old < 0)
		return;
	dup2(old, fd);
	close(old);
}

int spate_eal_start(const char *const *args, unsigned n, char *why, size_t why_len)
{
	bool huge = !has(args, n, "--no-huge");
	char lcores[32], *argv[ARGS_MAX];
	int argc = 0, ret, out, err;
	cpu_set_t before;

	if (eal.started)
		return 0;
	if (n + 8 > ARGS_MAX) {
		snprintf(why, why_len, "dpdk.eal has more than %d arguments", ARGS_MAX - 8);
		return -E2BIG;
	}
	/* The commonest first obstacle, and DPDK's own words for it are many. */
	if (huge && spate_hugepages_free_any() == 0) {
		char recipe[256];

		snprintf(why, why_len,
			 "no huge pages are free. Type: %s; or add \"--no-huge\", \"-m\", \"512\" "
			 "to dpdk.eal (slower)",
			 spate_hugepages_recipe(recipe, sizeof(recipe), MORE_PAGES));
		return -ENOMEM;
	}
	argv[argc++] = (char *)(uintptr_t) "spate";
	if (!has(args, n, "-l") && !has(args, n, "-c") && !has(args, n, "--lcores")) {
		/*
		 * An lcore is a slot; that it is called 0 whatever the CPU keeps machines of 200
		 * cores working.
		 */
		snprintf(lcores, sizeof(lcores), "--lcores=0@%d", first_cpu());
		argv[argc++] = lcores;
	}
	/*
	 * DPDK 22.11 takes --in-memory and --no-huge for a contradiction; --no-shconf is what is
	 * left of the one when there are no huge pages.
	 */
	if (!huge && !has(args, n, "--no-shconf") && !has(args, n, "--file-prefix"))
		argv[argc++] = (char *)(uintptr_t) "--no-shconf";
	if (huge && !has(args, n, "--in-memory") && !has(args, n, "--file-prefix") &&
	    !has(args, n, "--proc-type") && !has(args, n, "--huge-unlink") &&
	    !has(args, n, "--no-shconf"))
		argv[argc++] = (char *)(uintptr_t) "--in-memory";
	if (!has(args, n, "--telemetry") && !has(args, n, "--no-telemetry"))
		argv[argc++] = (char *)(uintptr_t) "--no-telemetry"; /* /metrics says more */
	for (unsigned i = 0; i < n; i++)
		if (huge || strcmp(args[i], "--in-memory") != 0)
			argv[argc++] = (char *)(uintptr_t)args[i];
	argv[argc] = NULL;

	eal.starting = true;
	eal.stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = take_log});
	if (eal.stream != NULL) {
		setvbuf(eal.stream, NULL, _IONBF, 0);
		rte_openlog_stream(eal.stream);
	}
	/*
	 * rte_eal_init moves the calling thread to its lcore; ours stays where it was. And a
	 * wrong argument makes it print its whole usage, which would bury what we have to say.
	 */
	sched_getaffinity(0, sizeof(before), &before);
	out = mute(STDOUT_FILENO);
	err = mute(STDERR_FILENO);
	ret = rte_eal_init(argc, argv);
	unmute(STDOUT_FILENO, out);
	unmute(STDERR_FILENO, err);
	sched_setaffinity(0, sizeof(before), &before);
	eal.starting = false;
	if (ret < 0)
		return explain(rte_errno, huge, why, why_len);
	rte_log_set_global_level(RTE_LOG_WARNING);
	eal.started = true;
	return 0;
}

const char *spate_eal_said(void)
{
	static char line[256];

	return find_line(SURE_WORDS, line, sizeof(line)) ? line : "";
}

unsigned spate_eal_ports(void)
{
	return rte_eth_dev_count_avail();
}

int spate_eal_thread(void)
{
	cpu_set_t before;
	int ret;

	if (!eal.started || rte_lcore_id() != LCORE_ID_ANY)
		return 0;
	pthread_getaffinity_np(pthread_self(), sizeof(before), &before);
	ret = rte_thread_register();
	pthread_setaffinity_np(pthread_self(), sizeof(before), &before);
	return ret < 0 ? -ENOSPC : 0;
}

void spate_eal_thread_end(void)
{
	if (eal.started)
		rte_thread_unregister();
}

void *spate_eal_memory(size_t *bytes, size_t *page_bytes)
{
	size_t whole = *bytes & ~(((size_t)2 << 20) - 1);
	const struct rte_memzone *z =
		whole == 0 ? NULL
			   : rte_memzone_reserve_aligned("spate_arena", whole, SOCKET_ID_ANY, 0,
							 2u << 20);

	if (z == NULL)
		return NULL;
	*bytes = whole;
	*page_bytes = z->hugepage_sz;
	return z->addr;
}

void spate_eal_stop(void)
{
	if (!eal.started)
		return;
	rte_eal_cleanup();
	eal.started = false;
}

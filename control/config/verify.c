/* verify.c: can this machine run this configuration, now? Everything here asks the kernel or the
 * resolver. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <liburing.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "control/config/config.h"
#include "control/config/report.h"
#include "control/config/table.h"
#include "control/config/values.h"
#include "control/config/who.h"
#include "dataplane/port/hugepages.h"

struct verify {
	const struct spate_config *cfg;
	struct spate_config_report *report;
};

static const char no_file[] = "spate";

/* The file, or the option that set the row. */
static const char *from(const struct verify *v, enum spate_param_id id)
{
	const struct spate_config_overrides *o = v->cfg->overrides;

	for (unsigned i = 0; o && i < o->count; i++)
		if (strcmp(o->set[i].path, spate_params[id].path) == 0)
			return o->set[i].from;
	return v->cfg->path ? v->cfg->path : no_file;
}

/* Did the file or the command line set this row? */
static bool is_set(const struct verify *v, enum spate_param_id id)
{
	const char *name = v->cfg->path ? v->cfg->path : no_file;

	return v->cfg->where[id].line || strcmp(from(v, id), name) != 0;
}

#define ROW(id) from(v, SPATE_PARAM_##id), &v->cfg->where[SPATE_PARAM_##id]

static void bind_failed(struct verify *v, enum spate_param_id id, const struct spate_config_addr *a,
			int err)
{
	bool preset = id == SPATE_PARAM_admin && !is_set(v, id);
	const char *what = strerror(err);
	char who[128], text[256];

	switch (err) {
	case EADDRINUSE:
		if (!spate_who_listens(a->port, who, sizeof(who)))
			who[0] = '\0';
		snprintf(text, sizeof(text), "the port is in use%s%s%s", *who ? " by " : "", who,
			 preset ? " (the default; --admin off, or another address)" : "");
		what = text;
		break;
	case EADDRNOTAVAIL:
		what = "no interface of this machine has that address";
		break;
	case EAFNOSUPPORT:
		what = a->v6 ? "this machine has no IPv6" : "this machine has no IPv4";
		break;
	case EACCES:
		what = "not permitted: ports below 1024 need root or CAP_NET_BIND_SERVICE";
		break;
	}
	spate_report_error(v->report, from(v, id), &a->where, "%s: \"%s\": %s",
			   spate_params[id].path, a->text, what);
}

/*
 * Binds and no more: listening would take a viewer's connection away. Without SO_REUSEPORT, so that
 * another edge that shares the port is found; with SO_REUSEADDR, so that old connections in
 * TIME-WAIT are no obstacle, as they will not be for the edge.
 */
static void address(struct verify *v, enum spate_param_id id, const struct spate_config_addr *a,
		    int type)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
	int fd, on = 1, err = 0;

	memcpy(&in.sin_addr, a->ip + 12, 4);
	memcpy(&in6.sin6_addr, a->ip, 16);
	fd = socket(a->v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		bind_failed(v, id, a, errno);
		return;
	}
	if (type == SOCK_STREAM) /* for UDP it would mean to share */
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (a->v6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (a->v6 ? bind(fd, (struct sockaddr *)&in6, sizeof(in6))
		  : bind(fd, (struct sockaddr *)&in, sizeof(in)))
		err = errno;
	close(fd);
	if (err)
		bind_failed(v, id, a, err);
}

/* 0 or what is wrong with using `path` as a directory in this mode (R_OK, W_OK). */
static int directory(const char *path, int mode)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno;
	if (!S_ISDIR(st.st_mode))
		return ENOTDIR;
	return faccessat(AT_FDCWD, path, mode | X_OK, AT_EACCESS) < 0 ? errno : 0;
}

static void resolve(struct verify *v, const struct spate_config_origin *o)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *res = NULL;
	const char *where = from(v, SPATE_PARAM_origins);
	int err = getaddrinfo(o->host, NULL, &hints, &res);

	if (res)
		freeaddrinfo(res);
	if (err == EAI_AGAIN) /* the resolver's trouble may pass; the edge can start meanwhile */
		spate_report_warning(v->report, where, &o->where,
				     "origins[].url: \"%s\": cannot resolve the name now: %s",
				     o->host, gai_strerror(err));
	else if (err)
		spate_report_error(v->report, where, &o->where,
				   "origins[].url: \"%s\": cannot resolve the name: %s", o->host,
				   err == EAI_SYSTEM ? strerror(errno) : gai_strerror(err));
}

/* "localhost:9000" is taken for a directory; it was meant as a server. */
static bool like_a_server(const char *dir)
{
	const char *colon = strchr(dir, ':');

	return colon && colon > dir && !memchr(dir, '/', (size_t)(colon - dir)) &&
	       colon[1] >= '0' && colon[1] <= '9';
}

static void origins(struct verify *v, unsigned flags)
{
	for (unsigned i = 0; i < v->cfg->origins_count; i++) {
		const struct spate_config_origin *o = &v->cfg->origins[i];
		int err = o->dir ? directory(o->dir, R_OK) : 0;

		if (err)
			spate_report_error(v->report, from(v, SPATE_PARAM_origins), &o->where,
					   "origins[].dir: \"%s\": %s%s%s%s", o->dir, strerror(err),
					   like_a_server(o->dir) ? ": for a server write \"http://"
								 : "",
					   like_a_server(o->dir) ? o->dir : "",
					   like_a_server(o->dir) ? "\"" : "");
		if (o->url && !(flags & SPATE_VERIFY_QUICK))
			resolve(v, o);
	}
}

/* Bytes that a "Name:   123 kB" line of /proc/meminfo stands for; counts without kB as they are. */
static uint64_t meminfo(const char *name)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[256];
	uint64_t n = 0, found = 0;
	size_t len = strlen(name);

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, name, len) == 0 && line[len] == ':' &&
		    sscanf(line + len + 1, "%" SCNu64, &n) == 1)
			found = strstr(line, "kB") ? n << 10 : n;
	fclose(f);
	return found;
}

/* What the cgroup (version 2) still allows; UINT64_MAX: no limit. */
static uint64_t cgroup_left(void)
{
	uint64_t limit = UINT64_MAX, used = 0;
	FILE *f = fopen("/sys/fs/cgroup/memory.max", "re");

	if (!f)
		return UINT64_MAX;
	if (fscanf(f, "%" SCNu64, &limit) != 1)
		limit = UINT64_MAX; /* "max" */
	fclose(f);
	f = fopen("/sys/fs/cgroup/memory.current", "re");
	if (f) {
		if (fscanf(f, "%" SCNu64, &used) != 1)
			used = 0;
		fclose(f);
	}
	return limit == UINT64_MAX ? limit : limit > used ? limit - used : 0;
}

static void memory(struct verify *v)
{
	uint64_t want = v->cfg->cache.memory_bytes, left = cgroup_left();
	uint64_t there =
		meminfo("MemAvailable") + (uint64_t)spate_hugepages_free() * SPATE_HUGEPAGE_BYTES;
	char a[32], b[32];

	if (left < there)
		there = left;
	if (there && want > there)
		spate_report_error(v->report, ROW(cache_memory),
				   "cache.memory: %s does not fit: this machine has %s left",
				   spate_format_size(want, a),
				   spate_format_size(there >> 20 << 20, b));
}

static void disk(struct verify *v)
{
	const char *path = v->cfg->cache.disk.path;
	struct statvfs fs;
	char a[32], b[32];
	uint64_t left;
	int err;

	if (!*path)
		return;
	err = directory(path, R_OK | W_OK);
	if (err) {
		spate_report_error(v->report, ROW(cache_disk_path), "cache.disk.path: \"%s\": %s",
				   path, strerror(err));
		return;
	}
	if (statvfs(path, &fs) == 0) {
		left = (uint64_t)fs.f_bavail * fs.f_frsize;
		if (left < v->cfg->cache.disk.size_bytes)
			spate_report_warning(v->report, ROW(cache_disk_size),
					     "cache.disk.size: %s is more than the %s free on %s",
					     spate_format_size(v->cfg->cache.disk.size_bytes, a),
					     spate_format_size(left >> 20 << 20, b), path);
	}
	spate_report_warning(
		v->report, ROW(cache_disk),
		"cache.disk: this version keeps content in memory only; the section has no effect");
}

static void torrent_store(struct verify *v)
{
	const char *path = v->cfg->p2p.store;
	int err = *path ? directory(path, R_OK | W_OK) : 0;

	if (err)
		spate_report_error(v->report, ROW(p2p_store), "p2p.store: \"%s\": %s", path,
				   strerror(err));
}

static void access_log(struct verify *v)
{
	const char *path = v->cfg->log.access;
	const char *slash = strrchr(path, '/');
	char dir[4096];
	struct stat st;
	int err = 0;

	if (strcmp(path, "off") == 0 || strcmp(path, "stdout") == 0 || strcmp(path, "stderr") == 0)
		return;
	if (stat(path, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			err = EISDIR;
		else if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0)
			err = errno;
	} else if (errno == ENOENT) {
		snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1,
			 slash ? path : ".");
		err = directory(dir, W_OK);
	} else {
		err = errno;
	}
	if (err)
		spate_report_error(v->report, ROW(log_access),
				   "log.access: \"%s\": cannot be written: %s", path,
				   strerror(err));
}

static void io_uring(struct verify *v)
{
	struct io_uring ring;
	int err = io_uring_queue_init(2, &ring, 0);

	if (err == 0)
		io_uring_queue_exit(&ring);
	else if (err == -EPERM || err == -ENOSYS)
		spate_report_error(
			v->report, "spate", NULL,
			"io_uring: not available here (%s): see kernel.io_uring_disabled, or the "
			"container's seccomp profile",
			strerror(-err));
	else
		spate_report_error(v->report, "spate", NULL, "io_uring: %s", strerror(-err));
}

static void machine(struct verify *v)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN), conf = sysconf(_SC_NPROCESSORS_CONF);
	uint64_t files = (uint64_t)v->cfg->limits.connections * v->cfg->workers + 64;
	struct rlimit nofile;

	if (cpus > 0 && v->cfg->workers > cpus)
		spate_report_warning(v->report, ROW(workers),
				     "workers: %u are more than the %ld CPUs online",
				     v->cfg->workers, cpus);
	/* The default is a bound, not a promise: only a number that somebody wrote is one. */
	if (v->cfg->backend == SPATE_BACKEND_SOCKETS && is_set(v, SPATE_PARAM_limit_connections) &&
	    getrlimit(RLIMIT_NOFILE, &nofile) == 0 && nofile.rlim_max < files)
		spate_report_warning(v->report, ROW(limit_connections),
				     "limits.connections: %u for each worker needs %" PRIu64
				     " open files, the hard limit is %" PRIu64 " (ulimit -Hn)",
				     v->cfg->limits.connections, files, (uint64_t)nofile.rlim_max);
	for (unsigned i = 0; i < v->cfg->dpdk.ports_count; i++) {
		const struct spate_config_port *p = &v->cfg->dpdk.ports[i];

		for (unsigned j = 0; j < p->cores_count; j++)
			if (conf > 0 && p->cores[j] >= (unsigned long)conf)
				spate_report_error(
					v->report, from(v, SPATE_PARAM_dpdk_ports), &p->where,
					"dpdk.ports[].cores: %u: this machine has cores 0 to %ld",
					p->cores[j], conf - 1);
	}
}

int spate_config_verify(const struct spate_config *cfg, unsigned flags,
			struct spate_config_report *report)
{
	struct verify state = {.cfg = cfg, .report = report}, *v = &state;
	unsigned errors = report->errors;

	if (!(flags & SPATE_VERIFY_RUNNING)) {
		/* With DPDK the addresses of listen are ours, not the kernel's. */
		for (unsigned i = 0; cfg->backend == SPATE_BACKEND_SOCKETS && i < cfg->listen_count;
		     i++)
			address(v, SPATE_PARAM_listen, &cfg->listen[i], SOCK_STREAM);
		for (unsigned i = 0;
		     cfg->backend == SPATE_BACKEND_SOCKETS && i < cfg->p2p.tracker_count; i++)
			address(v, SPATE_PARAM_p2p_tracker, &cfg->p2p.tracker[i], SOCK_DGRAM);
		if (cfg->admin_count)
			address(v, SPATE_PARAM_admin, cfg->admin, SOCK_STREAM);
		memory(v);
	}
	origins(v, flags);
	disk(v);
	torrent_store(v);
	access_log(v);
	machine(v);
	io_uring(v);
	return report->errors > errors ? -EINVAL : 0;
}

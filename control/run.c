/*
 * run.c: the life of the process.
 *
 *     start ─► loop ──SIGTERM──► DRAIN ──all DRAINED, or time is over──► STOP ─► join ─► end
 *               └──SIGHUP──► load, swap origins, limits, logs
 */
#include "control/run.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "control/admin/admin.h"
#include "control/control.h"
#include "control/log/access.h"
#include "control/links.h"
#include "control/log/event.h"
#include "control/loop.h"
#include "control/notify.h"
#include "control/p2p.h"
#include "control/dpdk.h"
#include "dataplane/bt/conn.h"
#include "dataplane/http/conn.h"
#include "dataplane/stream/sock.h"
#include "dataplane/worker.h"
#include "version.h"

#define LOG_RING_BYTES (1u << 20)
#define LOG_FLUSH_MS   1000
#define OTHER_FDS      512 /* beside the viewers': origins, files, logs, rings */

/*
 * A worker's configuration stays until the end: it may still be looked at after the next one was
 * sent.
 */
struct worker_config {
	struct spate_worker_config c;
	struct worker_config *older;
};

const struct spate_dpdk_ops *spate_run_dpdk;

struct run {
	struct spate_config *cfg; /* now */
	struct spate_config
		*first; /* at the start: what a restart would change is measured against this */
	char *path;     /* the configuration file as it was named; "" without one */
	struct spate_loop *loop;
	struct spate_cache *cache;
	struct spate_control *control;
	struct spate_access *access;
	struct spate_admin *admin;
	struct spate_hook signals;
	struct spate_timer drain_timer, watchdog;
	struct worker_config *worker_config;
	struct spate_listener *listeners;
	unsigned nlisteners;
	struct spate_dgram_listener *dgrams;
	unsigned ndgrams;
	struct spate_tracker *tracker; /* NULL: none */
	struct spate_sock_setup sock;
	struct spate_dpdk *dpdk; /* NULL: sockets */
	struct spate_links links;
	unsigned n, rings_made, workers_made, threads_made;
	struct spate_worker **worker;
	pthread_t *thread;
	struct spate_log_ring *ring, **ring_list;
	struct spate_stats *stats;
	const struct spate_stats **stats_list;
	bool draining;
};

/* --- signals --- */

static _Atomic(struct spate_loop *) signal_loop;
static _Atomic unsigned terms, hups;
static const int ours[] = {SIGTERM, SIGINT, SIGHUP};

static void on_signal(int sig)
{
	struct spate_loop *l = atomic_load(&signal_loop);
	int saved = errno;

	atomic_fetch_add(sig == SIGHUP ? &hups : &terms, 1);
	if (l != NULL)
		spate_loop_wake(l);
	errno = saved;
}

static void catch_signals(struct spate_loop *l)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	atomic_store(&signal_loop, l);
	for (unsigned i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		sigaction(ours[i], &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* net_tap has a real-time signal with each packet; when too many wait (it was stopped, the
	 * machine is busy) the kernel sends this one instead, which would end the process. */
	signal(SIGIO, SIG_IGN);
}

static void uncatch_signals(void)
{
	for (unsigned i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		signal(ours[i], SIG_DFL);
	atomic_store(&signal_loop, NULL);
}

/* --- the end, in order --- */

static void on_drain_time(struct spate_timer *t)
{
	struct run *r = (struct run *)((char *)t - offsetof(struct run, drain_timer));
	uint64_t open = 0;

	for (unsigned i = 0; i < r->n; i++)
		open += atomic_load_explicit(&r->stats[i].conn_open, memory_order_relaxed);
	spate_event(drain_timeout, SPATE_F_U64("connections", open));
	spate_loop_stop(r->loop);
}

static void on_drained(void *ctx)
{
	struct run *r = ctx;

	spate_event(drained);
	spate_loop_stop(r->loop);
}

static void begin_drain(void *ctx)
{
	struct run *r = ctx;

	if (r->draining)
		return;
	r->draining = true;
	spate_notify("STOPPING=1");
	spate_event(draining, SPATE_F_U64("at_most_ms", r->cfg->timeouts.drain_ms));
	if (r->admin != NULL)
		spate_admin_draining(r->admin);
	spate_control_tell(r->control, SPATE_MSG_DRAIN, NULL);
	spate_loop_timer(r->loop, &r->drain_timer, r->cfg->timeouts.drain_ms, on_drain_time);
}

/* --- configuration --- */

/* Of a worker, and no more than there are descriptors for: viewers must not leave control without. */
static uint32_t connections(const struct spate_config *cfg)
{
	struct rlimit lim;
	uint64_t most;

	if (cfg->backend != SPATE_BACKEND_SOCKETS || getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return cfg->limits.connections;
	most = lim.rlim_cur > 2 * OTHER_FDS ? lim.rlim_cur - OTHER_FDS : lim.rlim_cur / 2;
	most = most / cfg->workers + 1;
	return cfg->limits.connections < most ? cfg->limits.connections : (uint32_t)most;
}

static int set_worker_config(struct run *r, const struct spate_config *cfg)
{
	struct worker_config *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return -ENOMEM;
	w->c = (struct spate_worker_config){
		.header_timeout_ms = cfg->timeouts.header_ms,
		.idle_timeout_ms = cfg->timeouts.idle_ms,
		.send_timeout_ms = cfg->timeouts.send_ms,
		.max_connections = connections(cfg),
		.max_requests = cfg->limits.requests,
		.access_log = strcmp(cfg->log.access, "off") != 0,
		.bt_rate = cfg->p2p.rate_bytes,
		.bt_peer_rate = cfg->p2p.peer_rate_bytes,
		.bt_slots = cfg->p2p.slots,
		.bt_connections = cfg->p2p.connections,
	};
	w->older = r->worker_config;
	r->worker_config = w;
	return 0;
}

static enum spate_log_format access_format(const struct spate_config *cfg)
{
	return cfg->log.format == SPATE_LOG_COMBINED ? SPATE_LOG_LINE_COMBINED
						     : SPATE_LOG_LINE_JSON;
}

static void open_events(const struct spate_config *cfg)
{
	static const enum spate_event_sev sev[] = {[SPATE_LEVEL_ERROR] = SPATE_SEV_ERROR,
						   [SPATE_LEVEL_WARN] = SPATE_SEV_WARN,
						   [SPATE_LEVEL_INFO] = SPATE_SEV_INFO,
						   [SPATE_LEVEL_DEBUG] = SPATE_SEV_DEBUG};
	struct spate_event_setup setup = {.level = sev[cfg->log.level]};

	spate_event_open(&setup);
}

/* One event a line of the report. */
static void tell_report(const struct run *r, char *text)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save))
		spate_event(config_error, SPATE_F_STR("file", r->path),
			    SPATE_F_STR("reason", line));
}

static void apply(struct run *r, struct spate_config *next)
{
	struct spate_config_changes changes;
	const char *why;
	int rc = spate_control_config(r->control, next, &why);

	if (rc < 0 || (rc = set_worker_config(r, next)) < 0) {
		spate_event(config_error, SPATE_F_STR("file", r->path),
			    SPATE_F_STR("reason", why != NULL ? why : "origins"), SPATE_F_ERR(rc));
		spate_config_free(next);
		return;
	}
	rc = spate_access_set(r->access, next->log.access, access_format(next));
	if (rc < 0)
		spate_event(log_open_failed, SPATE_F_STR("path", next->log.access),
			    SPATE_F_ERR(rc));
	spate_control_tell(r->control, SPATE_MSG_CONFIG, &r->worker_config->c);
	/* Again with every reload until it happens: listeners, workers and memory are still the
	 * first ones. */
	spate_config_diff(r->first, next, &changes);
	if (changes.restart > 0)
		spate_event(config_needs_restart, SPATE_F_STR("setting", changes.restart_names));
	open_events(next);
	if (r->admin != NULL)
		spate_admin_config(r->admin, next);
	spate_config_diff(r->cfg, next, &changes);
	if (r->cfg != r->first)
		spate_config_free(r->cfg);
	r->cfg = next;
	spate_event(config_loaded, SPATE_F_STR("file", r->path),
		    SPATE_F_STR("changed", changes.reload_names));
}

static void reload(struct run *r)
{
	struct spate_config_report *report = calloc(1, sizeof(*report));
	struct spate_config *next = NULL;
	int rc;

	spate_notify_reloading();
	spate_event(reloading);
	spate_event_reopen();
	rc = report == NULL ? -ENOMEM : spate_config_reload(r->cfg, &next, report);
	if (rc == 0)
		rc = spate_config_verify(next, SPATE_VERIFY_RUNNING | SPATE_VERIFY_QUICK, report);
	if (rc == 0)
		apply(r, next);
	else
		spate_config_free(next);
	if (rc < 0 && report != NULL && report->errors > 0)
		tell_report(r, report->text);
	else if (rc < 0)
		spate_event(config_error, SPATE_F_STR("file", r->path), SPATE_F_ERR(rc));
	free(report);
	spate_notify("READY=1");
}

/* Signal handlers only count; what they ask for happens here, on the loop. */
static void on_turn(struct spate_hook *h)
{
	struct run *r = (struct run *)((char *)h - offsetof(struct run, signals));
	unsigned asked = atomic_exchange(&terms, 0);

	if (atomic_exchange(&hups, 0) > 0 && !r->draining)
		reload(r);
	if (asked > 1 || (asked > 0 && r->draining))
		spate_loop_stop(r->loop); /* it was said twice */
	if (asked > 0)
		begin_drain(r);
}

/*
 * Between our look at the counters and the sleep a signal leaves the eventfd readable, so none is
 * missed.
 */
static bool on_sleep(struct spate_hook *h)
{
	return atomic_load(&terms) == 0 && atomic_load(&hups) == 0;
}

static void on_watchdog(struct spate_timer *t)
{
	struct run *r = (struct run *)((char *)t - offsetof(struct run, watchdog));

	spate_notify("WATCHDOG=1");
	spate_loop_timer(r->loop, t, spate_notify_watchdog_ms(), on_watchdog);
}

/* --- start --- */

static int cannot(const char *what, const char *why, int rc)
{
	if (why != NULL)
		fprintf(stderr, "spate: %s: %s\n", what, why);
	else
		fprintf(stderr, "spate: %s: %s\n", what, strerror(-rc));
	return rc;
}

/*
 * The soft limit on descriptors is a default for programs that use select(2); we may have the hard
 * one.
 */
static void raise_limits(const struct spate_config *cfg)
{
	uint64_t want = (uint64_t)cfg->workers * cfg->limits.connections + OTHER_FDS;
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return;
	if (lim.rlim_cur < lim.rlim_max) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
		getrlimit(RLIMIT_NOFILE, &lim);
	}
	if (cfg->backend == SPATE_BACKEND_SOCKETS && lim.rlim_cur < want)
		spate_event(limit_low, SPATE_F_STR("limit", "open files"),
			    SPATE_F_U64("have", lim.rlim_cur), SPATE_F_U64("want", want));
}

static void add_listener(struct spate_listener *l, const struct spate_config_addr *from,
			 bool (*accept)(struct spate_stream *s, void *ctx))
{
	memcpy(l->addr.ip, from->ip, sizeof(l->addr.ip));
	l->addr.port = from->port;
	l->accept = accept;
}

/* A kernel may keep one for root: then its own default serves viewers as well, and is better than
 * no edge. */
static const char *kernel_congestion(const struct spate_config *cfg)
{
	const char *name = cfg->tcp.congestion == SPATE_CC_BBR ? "bbr" : "cubic";
	int rc = spate_sock_may_have(name);

	if (rc == 0)
		return name;
	spate_event(degraded, SPATE_F_STR("what", "tcp.congestion: the kernel's default instead"),
		    SPATE_F_STR("asked", name), SPATE_F_ERR(rc));
	return NULL;
}

static int make_listeners(struct run *r)
{
	const struct spate_config *cfg = r->cfg;
	unsigned n = cfg->listen_count + cfg->p2p.listen_count;

	r->listeners = calloc(n > 0 ? n : 1, sizeof(*r->listeners));
	if (r->listeners == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		bool http = i < cfg->listen_count;
		const struct spate_config_addr *from =
			http ? &cfg->listen[i] : &cfg->p2p.listen[i - cfg->listen_count];

		add_listener(&r->listeners[r->nlisteners++], from,
			     http ? spate_http_accept : spate_bt_accept);
	}
	if (spate_p2p_dgrams(r->cfg, &r->dgrams, &r->ndgrams) < 0)
		return -ENOMEM;
	r->sock = (struct spate_sock_setup){
		.dgrams = r->dgrams,
		.ndgrams = r->ndgrams,
		.listeners = r->listeners,
		.count = r->nlisteners,
		.congestion = cfg->backend == SPATE_BACKEND_SOCKETS ? kernel_congestion(cfg) : NULL,
	};
	return 0;
}

/* EAL and ports; each port is said once, with what its device cannot do. */
static int start_dpdk(struct run *r, struct spate_worker_setup *setup)
{
	struct spate_arena_info arena;
	char why[1024] = "";
	int rc;

	if (spate_run_dpdk == NULL)
		return cannot("backend dpdk", "this build does not have it", -ENOTSUP);
	spate_cache_arena(r->cache, &arena);
	rc = spate_run_dpdk->start(r->cfg, &arena, r->listeners, r->nlisteners, r->dgrams,
				   r->ndgrams, &r->dpdk, why, sizeof(why));
	if (rc < 0)
		return cannot("backend dpdk", why, rc);
	for (unsigned i = 0; i < spate_run_dpdk->ports(r->dpdk); i++) {
		spate_run_dpdk->port_line(r->dpdk, i, why, sizeof(why));
		spate_event(port, SPATE_F_STR("port", why));
	}
	spate_links_watch(&r->links, r->loop, spate_run_dpdk, r->dpdk);
	setup->backend = spate_run_dpdk->backend;
	setup->backend_setup = spate_run_dpdk->setup(r->dpdk);
	return 0;
}

/* The backend and what it wants to know. */
static int choose_backend(struct run *r, struct spate_worker_setup *setup)
{
	if (r->cfg->backend == SPATE_BACKEND_DPDK)
		return start_dpdk(r, setup);
	setup->backend = &spate_sock_backend;
	setup->backend_setup = &r->sock;
	return 0;
}

static int make_rings(struct run *r)
{
	r->n = r->cfg->workers;
	r->worker = calloc(r->n, sizeof(*r->worker));
	r->thread = calloc(r->n, sizeof(*r->thread));
	r->ring = aligned_alloc(64, r->n * sizeof(*r->ring));
	r->ring_list = calloc(r->n, sizeof(*r->ring_list));
	r->stats = aligned_alloc(64, r->n * sizeof(*r->stats));
	r->stats_list = calloc(r->n, sizeof(*r->stats_list));
	if (r->worker == NULL || r->thread == NULL || r->ring == NULL || r->ring_list == NULL ||
	    r->stats == NULL || r->stats_list == NULL)
		return -ENOMEM;
	memset(r->stats, 0, r->n * sizeof(*r->stats));
	for (unsigned i = 0; i < r->n; i++) {
		int rc = spate_log_ring_init(&r->ring[i], LOG_RING_BYTES);

		if (rc < 0)
			return rc;
		r->rings_made++;
		r->ring_list[i] = &r->ring[i];
		r->stats_list[i] = &r->stats[i];
	}
	return 0;
}

static int make_workers(struct run *r)
{
	struct spate_worker_setup setup = {.cpu = -1,
					   .cache = r->cache,
					   .config = &r->worker_config->c,
					   .tracker = r->tracker};
	const char *why = NULL;
	int rc = choose_backend(r, &setup);

	for (unsigned i = 0; rc == 0 && i < r->n; i++) {
		struct spate_control_link link = spate_control_link(r->control, i);

		setup.id = i;
		setup.cpu = r->dpdk != NULL ? spate_run_dpdk->cpu(r->dpdk, i) : -1;
		setup.stats = &r->stats[i];
		setup.to_control = link.to_control;
		setup.from_control = link.from_control;
		setup.log = &r->ring[i];
		rc = spate_worker_create(&r->worker[i], &setup, &why);
		if (rc < 0)
			return cannot("cannot start", why, rc);
		r->workers_made++;
	}
	return rc;
}

static int purge(void *ctx, const struct spate_key *key, const char *url, size_t len)
{
	struct run *r = ctx;
	bool found = spate_control_purge(r->control, key);

	spate_event(purged, SPATE_F_STRN("url", url, len), SPATE_F_U64("found", found));
	return found;
}

static const char *port_status(void *ctx, unsigned i, struct spate_port_status *out)
{
	return spate_run_dpdk->port_status(((struct run *)ctx)->dpdk, i, out);
}

static bool port_lost(void *ctx, unsigned i)
{
	return spate_run_dpdk->port_lost(((struct run *)ctx)->dpdk, i);
}

static int make_admin(struct run *r)
{
	struct spate_admin_setup setup = {
		.loop = r->loop,
		.workers = r->stats_list,
		.nworkers = r->n,
		.control = spate_control_stats(r->control),
		.publisher = spate_control_publisher(r->control),
		.cache = r->cache,
		.config = r->cfg,
		.backend = r->cfg->backend == SPATE_BACKEND_SOCKETS ? "sockets" : "dpdk",
		.nports = r->dpdk != NULL ? spate_run_dpdk->ports(r->dpdk) : 0,
		.port_status = port_status,
		.port_lost = port_lost,
		.ctx = r,
		.purge = purge,
		.drain = begin_drain,
	};
	int rc;

	if (r->cfg->admin_count == 0)
		return 0;
	memcpy(setup.ip, r->cfg->admin[0].ip, sizeof(setup.ip));
	setup.port = r->cfg->admin[0].port;
	rc = spate_admin_create(&r->admin, &setup);
	if (rc < 0) {
		fprintf(stderr, "spate: admin endpoint: cannot listen on %s: %s\n",
			r->cfg->admin[0].text, strerror(-rc));
		return rc;
	}
	return 0;
}

static void *worker_thread(void *arg)
{
	spate_worker_run(arg);
	return NULL;
}

/* Signals are for this thread; the workers are born with all of them blocked. */
static int start_threads(struct run *r)
{
	sigset_t all, old;
	int rc = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (unsigned i = 0; rc == 0 && i < r->n; i++) {
		rc = -pthread_create(&r->thread[i], NULL, worker_thread, r->worker[i]);
		if (rc == 0) {
			char name[16];

			snprintf(name, sizeof(name), "spate-%u", i % 10000);
			pthread_setname_np(r->thread[i], name);
			r->threads_made++;
		}
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc < 0 ? cannot("worker thread", NULL, rc) : 0;
}

/*
 * Lent to a socket, memory goes page by page and comes back so; who copies wants the largest pages
 * there are, as our own TCP does, and some devices want them of DPDK's own.
 */
static int make_cache(struct run *r)
{
	uint64_t bytes = r->cfg->cache.memory_bytes;
	uint32_t block = r->cfg->cache.block_bytes;
	spate_cache_take *take = NULL;
	char why[1024] = "";
	int rc = 0;

	if (r->cfg->backend == SPATE_BACKEND_SOCKETS && r->cfg->tcp.send == SPATE_SEND_REFERENCE) {
		rc = spate_cache_create_giftable(&r->cache, bytes, block, r->cfg->workers);
	} else {
		if (r->cfg->backend == SPATE_BACKEND_DPDK && spate_run_dpdk != NULL)
			rc = spate_run_dpdk->memory(r->cfg, &take, why, sizeof(why));
		if (rc < 0)
			return cannot("backend dpdk", why, rc);
		rc = spate_cache_create_in(&r->cache, bytes, block, r->cfg->workers, take);
	}
	return rc < 0 ? cannot("cache.memory", NULL, rc) : 0;
}

static int start(struct run *r)
{
	struct spate_control_setup control = {.drained = on_drained, .ctx = r};
	struct spate_access_setup access = {0};
	const char *why = NULL;
	int rc;

	rc = spate_key_secret();
	if (rc < 0)
		return cannot("no random bytes", NULL, rc);
	rc = spate_loop_create(&r->loop, 0);
	if (rc < 0)
		return cannot("io_uring", NULL, rc);
	catch_signals(r->loop);
	rc = make_cache(r);
	if (rc < 0)
		return rc;
	if ((rc = make_rings(r)) < 0 || (rc = make_listeners(r)) < 0 ||
	    (rc = set_worker_config(r, r->cfg)) < 0 ||
	    (rc = spate_p2p_tracker(r->cfg, &r->tracker)) < 0)
		return cannot("start", NULL, rc);
	control.loop = r->loop;
	control.cache = r->cache;
	control.config = r->cfg;
	control.workers = r->n;
	rc = spate_control_create(&r->control, &control, &why);
	if (rc < 0)
		return cannot(why != NULL ? why : "control", NULL, rc);
	access.loop = r->loop;
	access.rings = r->ring_list;
	access.nrings = r->n;
	access.stats = spate_control_stats(r->control);
	access.path = r->cfg->log.access;
	access.format = access_format(r->cfg);
	rc = spate_access_create(&r->access, &access);
	if (rc < 0)
		return cannot(r->cfg->log.access, NULL, rc);
	if ((rc = make_workers(r)) < 0 || (rc = make_admin(r)) < 0)
		return rc;
	return start_threads(r);
}

static void say_ready(const struct run *r)
{
	struct spate_arena_info arena;
	char listen[512];
	size_t n = 0;

	spate_cache_arena(r->cache, &arena);
	listen[0] = '\0';
	for (unsigned i = 0; i < r->cfg->listen_count && n < sizeof(listen); i++)
		n += (size_t)snprintf(listen + n, sizeof(listen) - n, "%s%s", i > 0 ? " " : "",
				      r->cfg->listen[i].text);
	spate_event(ready, SPATE_F_STR("version", SPATE_VERSION), SPATE_F_STR("listen", listen),
		    SPATE_F_STR("admin", r->admin != NULL ? r->cfg->admin[0].text : "off"),
		    SPATE_F_STR("backend",
				r->cfg->backend == SPATE_BACKEND_SOCKETS ? "sockets" : "dpdk"),
		    SPATE_F_U64("workers", r->n),
		    SPATE_F_U64("memory_bytes", r->cfg->cache.memory_bytes),
		    SPATE_F_STR("huge_pages", arena.page_bytes > 4096 ? "yes" : "no"));
	spate_notify("READY=1");
}

/* Whatever start() has made, in reverse. */
static void end(struct run *r)
{
	bool whole = true;

	if (r->threads_made > 0)
		spate_control_tell(r->control, SPATE_MSG_STOP, NULL);
	for (unsigned i = 0; i < r->threads_made; i++)
		pthread_join(r->thread[i], NULL);
	spate_admin_destroy(r->admin);
	spate_links_stop(&r->links);
	/* First of what may take its time: whatever hangs below, what was served is on record. */
	if (r->access != NULL)
		spate_access_destroy(r->access, LOG_FLUSH_MS);
	if (r->control != NULL)
		whole = spate_control_finish(r->control);
	for (unsigned i = 0; i < r->workers_made; i++)
		spate_worker_destroy(r->worker[i]);
	if (r->dpdk != NULL)
		spate_run_dpdk->stop(r->dpdk);
	spate_control_destroy(r->control);
	uncatch_signals();
	for (unsigned i = 0; i < r->rings_made; i++)
		spate_log_ring_finish(&r->ring[i]);
	if (whole)
		spate_cache_destroy(r->cache);
	spate_loop_destroy(r->loop);
	while (r->worker_config != NULL) {
		struct worker_config *w = r->worker_config;

		r->worker_config = w->older;
		free(w);
	}
	free(r->path);
	spate_tracker_destroy(r->tracker);
	free(r->dgrams);
	free(r->listeners);
	free(r->worker);
	free(r->thread);
	free(r->ring);
	free(r->ring_list);
	free(r->stats);
	free(r->stats_list);
	if (r->cfg != r->first)
		spate_config_free(r->cfg);
	spate_config_free(r->first);
}

int spate_run(struct spate_config *cfg, const char *config_path)
{
	/* A copy, for it may be part of a configuration that a reload replaces. */
	struct run r = {
		.cfg = cfg, .first = cfg, .path = strdup(config_path != NULL ? config_path : "")};
	int rc;

	open_events(cfg);
	raise_limits(cfg);
	rc = r.path == NULL ? cannot("start", NULL, -ENOMEM) : start(&r);
	if (rc == 0) {
		r.signals = (struct spate_hook){.sleep = on_sleep, .turn = on_turn};
		spate_loop_hook(r.loop, &r.signals);
		if (spate_notify_watchdog_ms() > 0)
			on_watchdog(&r.watchdog);
		say_ready(&r);
		spate_loop_run(r.loop);
		spate_loop_unhook(r.loop, &r.signals);
	}
	end(&r);
	if (rc == 0)
		spate_event(stopped);
	spate_event_close();
	return rc < 0 ? 1 : 0;
}

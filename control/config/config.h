/*
 * config.h: what the user asked for, as plain values in one struct. Every parameter is a row of
 * include/spate/tbl/params.def; this struct has one field a row.
 *
 *   spate_config_load("spate.yaml", &overrides, &cfg, &report)   the file, the command line over it
 *   spate_config_verify(cfg, 0, &report)          asks the machine: ports, directories, names
 *   spate_config_reload(cfg, &next, &report)      SIGHUP: same file, same command line
 *   spate_config_diff(cfg, next, &changes)        what takes effect now, what after a restart
 *   spate_config_free(cfg)
 *
 * How a file becomes the struct:
 *
 *   YAML ─ libyaml ─► tree with marks ─ read.c ─► canonical text ─ libcyaml ─► struct
 *                     (line:col)          │       (every key, plain numbers)      ▲
 *                                         │                                       │
 *                          names mistakes, converts units,               typed schema, made
 *                          adds defaults and the command line            of the table too
 *
 * Ownership: spate_config_load gives a struct that the caller frees with spate_config_free; every
 * pointer in it is freed with it, except `overrides`, which is borrowed and must outlive it.
 * Nothing changes after loading, so any thread may read it.
 */
#ifndef SPATE_CONFIG_H
#define SPATE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum spate_config_backend { SPATE_BACKEND_SOCKETS, SPATE_BACKEND_DPDK };
enum spate_config_exception { SPATE_EXCEPTION_NONE, SPATE_EXCEPTION_TAP };
enum spate_config_routers { SPATE_ROUTERS_STATIC, SPATE_ROUTERS_ADVERTISED };
enum spate_config_idle { SPATE_IDLE_ADAPTIVE, SPATE_IDLE_SPIN };
enum spate_config_swarms { SPATE_SWARMS_PUBLISHED, SPATE_SWARMS_OPEN };
enum spate_config_congestion { SPATE_CC_CUBIC, SPATE_CC_BBR };
enum spate_config_send { SPATE_SEND_COPY, SPATE_SEND_REFERENCE };
enum spate_config_log_format { SPATE_LOG_JSON, SPATE_LOG_COMBINED };
enum spate_config_log_level {
	SPATE_LEVEL_ERROR,
	SPATE_LEVEL_WARN,
	SPATE_LEVEL_INFO,
	SPATE_LEVEL_DEBUG
};

/* Where a value was written: line and column count from 1; line 0: a default or the command line.
 */
struct spate_config_where {
	uint32_t line, col;
};

/* An IP address and a port to listen on. */
struct spate_config_addr {
	char *text;     /* as written, "0.0.0.0:8080" */
	uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint16_t port;  /* host order; 0: the kernel chooses */
	bool v6;
	struct spate_config_where where;
};

/* An IP address, with a prefix length where one was written (else 32 or 128); of a route the
 * network, and where to. */
struct spate_config_ip {
	char *text;
	uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint8_t via[16];
	uint8_t prefix; /* bits, of the family's own length */
	bool v6;
	struct spate_config_where where;
};

/* Where content comes from. Either url or dir is set, the other is NULL. */
struct spate_config_origin {
	char *match;     /* path prefix, begins with "/"; the longest match wins */
	char *url;       /* as written */
	char *dir;       /* as written */
	char *host;      /* of url: name or IP literal without brackets */
	char *authority; /* of url: what goes into Host: */
	char *base; /* of url: path put before the request's, no slash at its end; "" or "/video" */
	uint16_t port; /* of url: host order */
	struct spate_config_where where;
};

struct spate_config_port {
	struct spate_config_ip *addresses;
	uint32_t addresses_count;
	struct spate_config_ip *gateways; /* at most one a family */
	uint32_t gateways_count;
	struct spate_config_ip *routes;
	uint32_t routes_count;
	uint32_t *cores;
	uint32_t cores_count;
	uint32_t routers; /* enum spate_config_routers */
	uint32_t vlan;    /* 0: untagged */
	uint32_t mtu;     /* 0: the device's */
	struct spate_config_where where;
};

struct spate_config {
	struct spate_config_addr *listen;
	uint32_t listen_count;
	uint32_t backend; /* enum spate_config_backend */
	uint32_t workers;

	struct {
		uint64_t memory_bytes;
		uint32_t block_bytes; /* power of two */
		struct {
			char *path; /* "": no disk tier */
			uint64_t size_bytes;
		} disk;
	} cache;

	struct spate_config_origin *origins;
	uint32_t origins_count;

	struct spate_config_addr *admin; /* none or one */
	uint32_t admin_count;

	struct {
		char *access;    /* "off", "stdout", "stderr" or a file's path */
		uint32_t format; /* enum spate_config_log_format */
		uint32_t level;  /* enum spate_config_log_level */
	} log;

	struct {
		uint32_t header_ms;      /* first byte of a request to the end of its head */
		uint32_t idle_ms;        /* keep-alive, between requests */
		uint32_t send_ms;        /* no progress in sending */
		uint32_t connect_ms;     /* to an origin, name resolution included */
		uint32_t origin_head_ms; /* request sent to response head complete */
		uint32_t origin_idle_ms; /* no byte of the body */
		uint32_t drain_ms;       /* SIGTERM to exit, at most */
	} timeouts;

	struct {
		uint32_t connections;  /* a worker */
		uint32_t requests;     /* a connection; 0: no limit */
		uint64_t object_bytes; /* largest object kept in memory; 0: what fits */
		uint32_t origin_pool;  /* idle connections kept to one origin */
	} limits;

	struct {
		uint32_t congestion; /* enum spate_config_congestion */
		uint32_t send;       /* enum spate_config_send */
	} tcp;

	struct {
		struct spate_config_addr *listen; /* peer wire */
		uint32_t listen_count;
		struct spate_config_addr *tracker; /* UDP */
		uint32_t tracker_count;
		char *url;
		char **announce;
		uint32_t announce_count;
		uint32_t piece_bytes;    /* power of two */
		uint64_t torrents_bytes; /* of torrents and their hashes */
		char *store;             /* directory; "": none */
		uint64_t store_bytes;
		uint32_t swarms; /* enum spate_config_swarms */
		uint32_t interval_ms;
		uint32_t audience;
		char **groups; /* "10.0.0.0/8,fd00::/8" */
		uint32_t groups_count;
		char *secret;
		uint64_t memory_bytes;                /* of the swarms */
		uint32_t announces;                   /* a second and address; 0: no limit */
		uint64_t rate_bytes, peer_rate_bytes; /* a second; 0: no limit */
		uint32_t slots;
		uint32_t connections; /* a worker */
	} p2p;

	struct {
		char **eal;
		uint32_t eal_count;
		uint32_t idle;      /* enum spate_config_idle */
		uint32_t exception; /* enum spate_config_exception */
		struct spate_config_port *ports;
		uint32_t ports_count;
	} dpdk;

	/* where it came from; not parameters */
	char *path;                                     /* the file, NULL: none */
	const struct spate_config_overrides *overrides; /* borrowed, may be NULL */
	struct spate_config_where *where;               /* one a row of the table */
};

/* What the command line says: rows of the table by path, over the file. A list given here replaces
 * the file's. */
#define SPATE_CONFIG_OVERRIDES_MAX 64
struct spate_config_overrides {
	unsigned count;
	struct {
		const char *path;  /* "cache.memory", "listen", "origins" (the value is a URL or
				      directory) */
		const char *value; /* as the user typed it */
		const char *from;  /* for errors: "--memory" */
	} set[SPATE_CONFIG_OVERRIDES_MAX];
};

/* Findings, one a line, each "file:line:col: message" or "--option: message". Zero it before first
 * use. */
struct spate_config_report {
	unsigned errors, warnings;
	size_t len;
	char text[8192]; /* NUL-terminated; what does not fit is counted and left out */
};

/*
 * Reads, checks and loads. path NULL: no file, only the command line and defaults. 0, -EINVAL (the
 * report says why), -ENOENT/-EACCES/... (the file; also in the report), -ENOMEM. On failure *out is
 * untouched.
 */
int spate_config_load(const char *path, const struct spate_config_overrides *overrides,
		      struct spate_config **out, struct spate_config_report *report);

/* The same from memory; name stands for the file in messages. Tests and the fuzzer. */
int spate_config_parse(const char *name, const char *text, size_t len,
		       const struct spate_config_overrides *overrides, struct spate_config **out,
		       struct spate_config_report *report);

/* Loads old's file again under old's command line. As spate_config_load; old stays the caller's. */
int spate_config_reload(const struct spate_config *old, struct spate_config **out,
			struct spate_config_report *report);

void spate_config_free(struct spate_config *cfg); /* NULL is fine */

/*
 * Asks the machine whether this can run now: addresses can be bound, directories are there and may
 * be used, names resolve, memory fits. Blocks (name resolution). 0, or -EINVAL when it added errors
 * to the report; warnings leave 0.
 */
#define SPATE_VERIFY_RUNNING 0x1 /* a reload: addresses and memory are in use, leave them out */
#define SPATE_VERIFY_QUICK   0x2 /* no name resolution: does not block for long */
int spate_config_verify(const struct spate_config *cfg, unsigned flags,
			struct spate_config_report *report);

/* What differs between two configurations, by the table's "apply" column. */
struct spate_config_changes {
	unsigned reload, restart; /* parameters that changed, of each sort */
	char reload_names[1024];  /* "origins, timeouts.idle"; "" when none; cut when too long */
	char restart_names[1024]; /* "workers, cache.memory" */
};
void spate_config_diff(const struct spate_config *old, const struct spate_config *next,
		       struct spate_config_changes *out);

#endif

#include "control/dpdk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/port/dpdk.h"
#include "dataplane/port/eal.h"

struct spate_dpdk {
	const struct spate_config *cfg;
	struct spate_dpdk_setup setup;
	struct spate_dpdk_if ifs[SPATE_NET_IFACES];
	struct spate_port ports[SPATE_NET_IFACES];
	unsigned nports; /* open */
	struct spate_dpdk_address *addresses[SPATE_NET_IFACES];
	struct spate_dpdk_route *routes[SPATE_NET_IFACES];
	int tap_fd[SPATE_NET_IFACES]; /* 0: none */
	struct spate_net_board board;
	struct spate_strays *strays; /* NULL: no port has any */
};

/*
 * The kernel's side of port i: an interface with the port's MAC address and MTU. Its addresses
 * are the user's.
 */
static int open_tap(struct spate_dpdk *d, unsigned i, char *why, size_t len)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC),
	    s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = 0;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "spate%u", i);
	if (fd < 0 || s < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
		err = -errno;
	if (err == 0) {
		ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
		memcpy(ifr.ifr_hwaddr.sa_data, d->ports[i].caps.mac, 6);
		if (ioctl(s, SIOCSIFHWADDR, &ifr) < 0)
			err = -errno;
		ifr.ifr_mtu = d->ports[i].caps.mtu;
		if (err == 0 && ioctl(s, SIOCSIFMTU, &ifr) < 0)
			err = -errno;
		ifr.ifr_flags = IFF_UP;
		if (err == 0 && ioctl(s, SIOCSIFFLAGS, &ifr) < 0)
			err = -errno;
	}
	if (s >= 0)
		close(s);
	if (err != 0) {
		snprintf(why, len, "dpdk.exception: no interface spate%u: %s", i, strerror(-err));
		if (fd >= 0)
			close(fd);
		return err;
	}
	d->tap_fd[i] = fd;
	return 0;
}

/* Addresses and routes of port i, as the backend wants them: a gateway is the route to everything.
 */
static bool copy_addresses(struct spate_dpdk *d, unsigned i)
{
	const struct spate_config_port *p = &d->cfg->dpdk.ports[i];
	struct spate_dpdk_route *r;

	d->addresses[i] = calloc(p->addresses_count + 1, sizeof(*d->addresses[i]));
	d->routes[i] = r = calloc(p->gateways_count + p->routes_count + 1, sizeof(*r));
	if (d->addresses[i] == NULL || r == NULL)
		return false;
	for (unsigned k = 0; k < p->addresses_count; k++) {
		memcpy(d->addresses[i][k].ip, p->addresses[k].ip, 16);
		d->addresses[i][k].prefix = p->addresses[k].prefix;
	}
	for (unsigned k = 0; k < p->gateways_count; k++, r++) {
		memcpy(r->via, p->gateways[k].ip, 16);
		if (!p->gateways[k].v6)
			r->dst[10] = r->dst[11] = 0xff;
	}
	for (unsigned k = 0; k < p->routes_count; k++, r++) {
		memcpy(r->dst, p->routes[k].ip, 16);
		memcpy(r->via, p->routes[k].via, 16);
		r->prefix = p->routes[k].prefix;
	}
	return true;
}

static int open_port(struct spate_dpdk *d, unsigned i, const struct spate_arena_info *arena,
		     char *why, size_t len)
{
	const struct spate_config_port *p = &d->cfg->dpdk.ports[i];
	struct spate_dpdk_if *f = &d->ifs[i];
	struct spate_dpdk_port_setup ps = {.queues = d->cfg->workers,
					   .mtu = (uint16_t)p->mtu,
					   .whole_csums =
						   d->cfg->dpdk.exception == SPATE_EXCEPTION_TAP,
					   .arena = arena};
	int err;

	if (!copy_addresses(d, i)) {
		snprintf(why, len, "out of memory");
		return -ENOMEM;
	}
	err = spate_dpdk_open(&d->ports[i], i, &ps, why, len);
	if (err != 0)
		return err;
	d->nports++;
	*f = (struct spate_dpdk_if){
		.port = &d->ports[i],
		.addresses = d->addresses[i],
		.naddresses = p->addresses_count,
		.routes = d->routes[i],
		.nroutes = p->gateways_count + p->routes_count,
		.routers = p->routers == SPATE_ROUTERS_ADVERTISED,
		.vlan = (uint16_t)p->vlan,
		.tap_fd = -1,
	};
	if (d->cfg->dpdk.exception == SPATE_EXCEPTION_TAP) {
		err = open_tap(d, i, why, len);
		f->tap_fd = d->tap_fd[i];
		return err;
	}
	return 0;
}

static bool has_word(const struct spate_config *cfg, const char *a, const char *b)
{
	for (unsigned i = 0; i < cfg->dpdk.eal_count; i++)
		if (strstr(cfg->dpdk.eal[i], a) != NULL && strstr(cfg->dpdk.eal[i], b) != NULL)
			return true;
	return false;
}

int spate_dpdk_memory(const struct spate_config *cfg, spate_cache_take **take, char *why,
		      size_t why_len)
{
	int err;

	*take = NULL;
	if (has_word(cfg, "--no-huge", "") ||
	    (!has_word(cfg, "net_virtio_user", "") && !has_word(cfg, "net_memif", "zero-copy=yes")))
		return 0;
	err = spate_eal_start((const char *const *)cfg->dpdk.eal, cfg->dpdk.eal_count, why,
			      why_len);
	if (err == 0)
		*take = spate_eal_memory;
	return err;
}

int spate_dpdk_start(const struct spate_config *cfg, const struct spate_arena_info *arena,
		     const struct spate_listener *listeners, unsigned nlisteners,
		     const struct spate_dgram_listener *dgrams, unsigned ndgrams,
		     struct spate_dpdk **out, char *why, size_t why_len)
{
	struct spate_dpdk *d = calloc(1, sizeof(*d));
	int err;

	if (d == NULL) {
		snprintf(why, why_len, "out of memory");
		return -ENOMEM;
	}
	d->cfg = cfg;
	assert(cfg->dpdk.ports_count <= SPATE_NET_IFACES); /* control/config/rules_dpdk.c */
	err = spate_eal_start((const char *const *)cfg->dpdk.eal, cfg->dpdk.eal_count, why,
			      why_len);
	for (unsigned i = 0; err == 0 && i < cfg->dpdk.ports_count; i++)
		err = open_port(d, i, arena, why, why_len);
	for (unsigned i = 0; err == 0 && i < d->nports; i++) {
		if (!d->ports[i].caps.strays || d->strays != NULL)
			continue;
		d->strays = spate_strays_create(cfg->workers);
		if (d->strays == NULL) {
			snprintf(why, why_len, "out of memory");
			err = -ENOMEM;
		}
	}
	if (err != 0) {
		spate_dpdk_stop(d);
		return err;
	}
	spate_net_board_init(&d->board);
	d->setup = (struct spate_dpdk_setup){
		.congestion = cfg->tcp.congestion == SPATE_CC_BBR ? SPATE_TCP_BBR : SPATE_TCP_CUBIC,
		.ifs = d->ifs,
		.nifs = d->nports,
		.listeners = listeners,
		.nlisteners = nlisteners,
		.dgrams = dgrams,
		.ndgrams = ndgrams,
		.board = cfg->workers > 1 ? &d->board : NULL,
		.strays = d->strays,
		.spin = cfg->dpdk.idle == SPATE_IDLE_SPIN,
	};
	*out = d;
	return 0;
}

const struct spate_dpdk_setup *spate_dpdk_backend_setup(const struct spate_dpdk *d)
{
	return &d->setup;
}

/* The first port that names cores decides: a worker serves every port, so it can only be in one
 * place. */
int spate_dpdk_cpu(const struct spate_dpdk *d, unsigned worker)
{
	for (unsigned i = 0; i < d->cfg->dpdk.ports_count; i++)
		if (worker < d->cfg->dpdk.ports[i].cores_count)
			return (int)d->cfg->dpdk.ports[i].cores[worker];
	return -1;
}

unsigned spate_dpdk_ports(const struct spate_dpdk *d)
{
	return d->nports;
}

void spate_dpdk_port_line(const struct spate_dpdk *d, unsigned i, char *text, size_t len)
{
	spate_dpdk_describe(&d->ports[i], text, len);
}

const char *spate_dpdk_port_status(const struct spate_dpdk *d, unsigned i,
				   struct spate_port_status *out)
{
	struct spate_port *p = (struct spate_port *)&d->ports[i]; /* status() only looks */

	p->ops->status(p, out);
	return spate_dpdk_name(p);
}

bool spate_dpdk_port_look(struct spate_dpdk *d, unsigned i, const char **name)
{
	*name = spate_dpdk_name(&d->ports[i]);
	return spate_dpdk_look(&d->ports[i]);
}

bool spate_dpdk_port_lost(const struct spate_dpdk *d, unsigned i)
{
	return spate_dpdk_lost(&d->ports[i]);
}

void spate_dpdk_stop(struct spate_dpdk *d)
{
	if (d == NULL)
		return;
	for (unsigned i = 0; i < d->nports; i++)
		spate_dpdk_quiet(&d->ports[i]);
	for (unsigned i = 0; i < d->nports; i++)
		d->ports[i].ops->close(&d->ports[i]);
	for (unsigned i = 0; i < SPATE_NET_IFACES; i++) {
		if (d->tap_fd[i] > 0)
			close(d->tap_fd[i]);
		free(d->addresses[i]);
		free(d->routes[i]);
	}
	spate_strays_destroy(d->strays);
	free(d);
	spate_eal_stop();
}

const struct spate_dpdk_ops spate_dpdk_ops = {
	.memory = spate_dpdk_memory,
	.start = spate_dpdk_start,
	.setup = spate_dpdk_backend_setup,
	.cpu = spate_dpdk_cpu,
	.ports = spate_dpdk_ports,
	.port_line = spate_dpdk_port_line,
	.port_status = spate_dpdk_port_status,
	.port_look = spate_dpdk_port_look,
	.port_lost = spate_dpdk_port_lost,
	.stop = spate_dpdk_stop,
	.backend = &spate_dpdk_backend,
};

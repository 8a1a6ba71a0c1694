/* fill_rig.c: see fill_rig.h. */
#include "fill_rig.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_reply(struct spate_fill_env *env, struct spate_miss *m, struct spate_object *o,
		     enum spate_fetch_verdict v)
{
	struct rig *r = (struct rig *)env;
	struct rig_miss *k = (struct rig_miss *)m;

	assert_false(k->replied);
	assert_true((o != NULL) == (v == SPATE_FETCH_OK || v == SPATE_FETCH_STALE));
	k->replied = true;
	k->verdict = v;
	k->object = o;
	r->replies++;
}

static void on_progress(struct spate_fill_env *env, struct spate_object *o, uint64_t workers)
{
	((struct rig *)env)->progress++;
}

static void *run_script(void *arg)
{
	struct rig *r = arg;

	r->script(r);
	return NULL;
}

static void listen_loopback(struct rig *r)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(r->listener, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(r->listener, 64), 0);
	getsockname(r->listener, (struct sockaddr *)&a, &len);
	r->port = ntohs(a.sin_port);
}

void rig_open(struct rig *r, void (*script)(struct rig *r), const char *dir)
{
	struct spate_config_origin cfg = {.match = (char *)"/", .dir = (char *)dir};
	const char *bad;

	memset(r, 0, sizeof(*r));
	r->listener = -1;
	if (dir == NULL) {
		listen_loopback(r);
		cfg.url = (char *)"http://127.0.0.1";
		cfg.host = (char *)"127.0.0.1";
		cfg.authority = (char *)"origin.test";
		cfg.base = (char *)"/base";
		cfg.port = r->port;
	}
	assert_int_equal(spate_loop_create(&r->env.loop, 0), 0);
	assert_int_equal(spate_cache_create(&r->env.cache, 4 << 20, 0, 1), 0);
	assert_int_equal(spate_dns_create(&r->env.dns, r->env.loop), 0);
	assert_int_equal(spate_origins_create(&r->env.origins, r->env.loop, &cfg, 1, 4, &bad), 0);
	r->env.stats = &r->stats;
	r->env.limits = (struct spate_fill_limits){
		.connect_ms = 5000, .head_ms = 5000, .idle_ms = 5000, .room_ms = 5000, .fills = 32};
	r->env.reply = on_reply;
	r->env.progress = on_progress;
	assert_int_equal(spate_fills_create(&r->fills, &r->env), 0);
	r->script = script;
	if (script != NULL)
		assert_int_equal(pthread_create(&r->thread, NULL, run_script, r), 0);
}

void rig_close(struct rig *r)
{
	atomic_store(&r->gate, true);
	if (r->listener >= 0)
		shutdown(r->listener, SHUT_RDWR); /* a script in accept comes back */
	spate_fills_destroy(r->fills);
	spate_origins_destroy(r->env.origins);
	spate_loop_turn(r->env.loop, 0); /* closes connections: the script gets to its end */
	if (r->script != NULL)
		pthread_join(r->thread, NULL);
	for (unsigned i = 0; i < r->misses; i++)
		rig_taken(r, &r->miss[i]);
	spate_dns_destroy(r->env.dns);
	spate_cache_reclaim(r->env.cache);
	spate_cache_check(r->env.cache);
	spate_cache_destroy(r->env.cache);
	spate_loop_destroy(r->env.loop);
	if (r->listener >= 0)
		close(r->listener);
}

struct rig_miss *rig_fetch(struct rig *r, const char *url, struct spate_object *stale)
{
	struct rig_miss *k = &r->miss[r->misses++];

	assert_true(r->misses <= RIG_MISSES);
	k->miss = (struct spate_miss){.key = spate_key_of(url, strlen(url)),
				      .url = url,
				      .url_len = (uint16_t)strlen(url),
				      .last = UINT64_MAX,
				      .stale = stale};
	spate_fills_fetch(r->fills, &k->miss);
	return k;
}

static void turn(struct rig *r)
{
	spate_loop_turn(r->env.loop, spate_fills_stalled(r->fills) ? 1000 : 20000);
	spate_cache_reclaim(r->env.cache);
	spate_fills_turn(r->fills);
}

void rig_until_replies(struct rig *r, unsigned n)
{
	for (int i = 0; i < 1000 && r->replies < n; i++)
		turn(r);
	assert_int_equal(r->replies, n);
}

void rig_until_idle(struct rig *r)
{
	for (int i = 0; i < 1000 && spate_fills_count(r->fills) > 0; i++)
		turn(r);
	assert_int_equal(spate_fills_count(r->fills), 0);
}

void rig_taken(struct rig *r, struct rig_miss *m)
{
	if (m->object != NULL)
		spate_cache_release(r->env.cache, m->object);
	m->object = NULL;
}

void rig_expire(struct spate_object *o)
{
	atomic_store(&o->expires_s, time(NULL) - 1);
}

struct spate_object *rig_lookup(struct rig *r, const char *url)
{
	struct spate_key key = spate_key_of(url, strlen(url));

	return spate_cache_lookup(r->env.cache, &key);
}

void rig_assert_body(struct rig *r, struct spate_object *o, const void *body, size_t len)
{
	struct iovec iov[16];
	uint64_t at = 0;
	unsigned n;

	assert_int_equal(atomic_load(&o->filled), len);
	while (at < len) {
		uint64_t got = spate_object_iov(r->env.cache, o, at, len - at, iov, 16, &n);

		assert_true(got > 0);
		for (unsigned i = 0; i < n; i++) {
			assert_memory_equal(iov[i].iov_base, (const char *)body + at,
					    iov[i].iov_len);
			at += iov[i].iov_len;
		}
	}
}

uint64_t rig_count(_Atomic uint64_t *counter)
{
	return atomic_load(counter);
}

int rig_accept(struct rig *r)
{
	int fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0)
		r->connections++;
	return fd;
}

bool rig_read_request(struct rig *r, int fd)
{
	size_t n = 0;

	while (n < 4 || memcmp(r->request + n - 4, "\r\n\r\n", 4) != 0) {
		if (read(fd, r->request + n, 1) != 1)
			return false;
		n++;
	}
	r->request[n] = '\0';
	r->requests++;
	return true;
}

void rig_send_n(int fd, const void *p, size_t n)
{
	while (n > 0) {
		ssize_t w = send(fd, p, n, MSG_NOSIGNAL);

		if (w <= 0)
			return;
		p = (const char *)p + w;
		n -= (size_t)w;
	}
}

void rig_send(int fd, const char *text)
{
	rig_send_n(fd, text, strlen(text));
}

void rig_wait_gate(struct rig *r)
{
	while (!atomic_load(&r->gate))
		usleep(1000);
}

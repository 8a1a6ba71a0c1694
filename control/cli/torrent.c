/*
 * torrent.c: `spate torrent`: the torrents of a manifest, written to files, without an edge.
 * Control without workers does it: the same fills, hashes and names, so the same infohashes as an
 * edge's.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/cli/cli.h"
#include "control/control.h"
#include "control/torrent/make.h"
#include "control/torrent/publish.h"

#define MEMORY "256MiB" /* segments pass through; none is kept */

struct place {
	char origin[PATH_MAX], base[PATH_MAX], url[PATH_MAX]; /* base: "http://host:port", or "" */
};

struct asked {
	struct spate_publisher_query q; /* first */
	struct spate_publisher_answer a;
	bool done;
};

static int no(const char *what, const char *why)
{
	fprintf(stderr, "spate torrent: %s: %s\n", what, why);
	return 1;
}

/* "http://host[:port]/path" */
static bool place_of_url(const char *text, struct place *p)
{
	size_t host = strcspn(text + 7, "/?#") + 7, path = strcspn(text + host, "#");

	if (text[host] != '/' || host >= sizeof(p->base) || path >= sizeof(p->url))
		return false;
	snprintf(p->base, sizeof(p->base), "%.*s", (int)host, text);
	snprintf(p->origin, sizeof(p->origin), "%s", p->base);
	snprintf(p->url, sizeof(p->url), "%.*s", (int)path, text + host);
	return true;
}

/* A file: served from the folder above its own, so that its own gives the hybrid its name. */
static bool place_of_file(const char *text, struct place *p)
{
	struct spate_buf url = {0};
	char *file, *folder;
	bool fits;

	if (realpath(text, p->origin) == NULL)
		return false;
	p->base[0] = '\0';
	file = strrchr(p->origin, '/');
	*file++ = '\0';
	folder = strrchr(p->origin, '/');
	spate_buf_text(&url, "/");
	if (folder != NULL && folder[1] != '\0') {
		spate_buf_percent(&url, folder + 1, strlen(folder + 1), "");
		spate_buf_text(&url, "/");
	}
	spate_buf_percent(&url, file, strlen(file), "");
	fits = !url.failed && url.len < sizeof(p->url);
	if (fits)
		snprintf(p->url, sizeof(p->url), "%.*s", (int)url.len, url.p);
	free(url.p);
	if (folder == p->origin || folder == NULL)
		strcpy(p->origin, "/");
	else
		*folder = '\0';
	return fits;
}

static void on_answer(struct spate_publisher_query *q, struct spate_publisher_answer *a)
{
	struct asked *x = (struct asked *)q;

	x->a = *a;
	spate_buf_add(&x->a.body, "", 1); /* a text, for what is said of a failure */
	x->done = true;
}

/* Until it is not 503 any more. The body is the caller's. */
static void ask(struct spate_loop *l, struct spate_publisher *p, const char *url, struct asked *x)
{
	do {
		memset(x, 0, sizeof(*x));
		x->q.url = url;
		x->q.len = strlen(url);
		x->q.fn = on_answer;
		spate_publisher_ask(p, &x->q);
		while (!x->done)
			spate_loop_turn(l, 50000);
		if (x->a.status == 503) {
			free(x->a.body.p);
			spate_loop_turn(l, 50000);
		}
	} while (x->a.status == 503);
}

static int write_file(const char *dir, const char *id, const char *suffix,
		      const struct spate_buf *text)
{
	char path[PATH_MAX];
	FILE *f;
	int n = snprintf(path, sizeof(path), "%s/", dir);

	for (const char *c = id; *c != '\0' && n < PATH_MAX - 32; c++)
		path[n++] = *c == '/' || (uint8_t)*c < 0x20 || (*c == '.' && c == id) ? '_' : *c;
	snprintf(path + n, sizeof(path) - (size_t)n, "%s", suffix);
	f = fopen(path, "wb");
	if (f == NULL || fwrite(text->p, 1, text->len, f) != text->len || fclose(f) != 0)
		return no(path, strerror(errno));
	printf("%s\n", path);
	return 0;
}

static void print_hash(const char *name, const uint8_t *p, size_t n)
{
	printf("  %s ", name);
	while (n-- > 0)
		printf("%02x", *p++);
	putchar('\n');
}

static int write_rep(const char *dir, const struct spate_published *r)
{
	int rc = write_file(dir, r->id, ".torrent", &r->v1->file);

	print_hash("infohash", r->v1->t.infohash, SPATE_INFOHASH_BYTES);
	printf("  %.*s\n", (int)r->v1->magnet.len, r->v1->magnet.p);
	if (rc == 0)
		rc = write_file(dir, r->id, ".hybrid.torrent", &r->hybrid->file);
	print_hash("infohash", r->hybrid->t.infohash, SPATE_INFOHASH_BYTES);
	print_hash("infohash v2", r->hybrid->sha256, SPATE_SHA256_BYTES);
	printf("  %.*s\n", (int)r->hybrid->magnet.len, r->hybrid->magnet.p);
	return rc;
}

static int each(struct spate_loop *l, struct spate_publisher *p, const struct place *at,
		const char *dir)
{
	char url[PATH_MAX + 1024];
	struct asked x;
	struct spate_published r;
	int status = 0;

	snprintf(url, sizeof(url), "%s.torrents", at->url);
	ask(l, p, url, &x);
	free(x.a.body.p);
	if (x.a.status != 200)
		return no(at->url, "the manifest cannot be had or read");
	if (!spate_publisher_published(p, at->url, 0, &r))
		return no(at->url, "it has no representations, or is a live manifest");
	for (unsigned i = 0; spate_publisher_published(p, at->url, i, &r); i++) {
		struct spate_buf id = {0};

		spate_buf_percent(&id, r.id, strlen(r.id), "");
		snprintf(url, sizeof(url), "%s.torrents/%.*s.torrent", at->url, (int)id.len, id.p);
		free(id.p);
		ask(l, p, url, &x);
		if (x.a.status != 200)
			status = no(r.id, x.a.body.p != NULL ? x.a.body.p : "no memory");
		else if (!spate_publisher_published(p, at->url, i, &r) || r.v1 == NULL)
			status = no(r.id, "its content has changed meanwhile");
		else
			status |= write_rep(dir, &r);
		free(x.a.body.p);
	}
	return status;
}

static void never(void *ctx)
{
}

static int with(const struct spate_config *cfg, const struct place *at, const char *dir)
{
	struct spate_control_setup setup = {.config = cfg, .workers = 0, .drained = never};
	struct spate_control *ctl = NULL;
	const char *why = NULL;
	int rc = spate_loop_create(&setup.loop, 0), status = 1;

	if (rc == 0)
		rc = spate_cache_create(&setup.cache, cfg->cache.memory_bytes,
					cfg->cache.block_bytes, 1);
	if (rc == 0)
		rc = spate_control_create(&ctl, &setup, &why);
	if (rc == 0)
		status = each(setup.loop, spate_control_publisher(ctl), at, dir);
	else
		no(why != NULL ? why : "cannot start", strerror(-rc));
	spate_control_destroy(ctl);
	if (setup.cache != NULL)
		spate_cache_destroy(setup.cache);
	if (setup.loop != NULL)
		spate_loop_destroy(setup.loop);
	return status;
}

int spate_cli_torrent(const struct spate_cli *cli)
{
	const char *dir = cli->given[SPATE_OPTION_out] ? cli->value[SPATE_OPTION_out] : ".";
	struct spate_config_overrides all = cli->overrides;
	struct spate_config_report report = {0};
	struct spate_config *cfg = NULL;
	static struct place at;
	int rc, status = 1;

	if (strncmp(cli->operand, "http://", 7) == 0 ? !place_of_url(cli->operand, &at)
						     : !place_of_file(cli->operand, &at))
		return no(cli->operand, strncmp(cli->operand, "http", 4) == 0
						? "not an http://host/path"
						: strerror(errno));
	if (all.count > SPATE_CONFIG_OVERRIDES_MAX - 4)
		return no("--set", "too many");
	all.set[all.count++] = (typeof(all.set[0])){"origins", at.origin, "MANIFEST"};
	all.set[all.count++] = (typeof(all.set[0])){"cache.memory", MEMORY, "cache.memory"};
	if (cli->value[SPATE_OPTION_config] == NULL) {
		bool given = false;

		for (unsigned i = 0; i < all.count; i++)
			given |= strcmp(all.set[i].path, "p2p.url") == 0;
		if (!given)
			all.set[all.count++] = (typeof(all.set[0])){"p2p.url", at.base, "MANIFEST"};
	}
	rc = spate_config_load(cli->value[SPATE_OPTION_config], &all, &cfg, &report);
	fputs(report.text, stderr);
	if (rc == 0 && mkdir(dir, 0777) < 0 && errno != EEXIST)
		status = no(dir, strerror(errno));
	else if (rc == 0)
		status = with(cfg, &at, dir);
	spate_config_free(cfg);
	return status;
}

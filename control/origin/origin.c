/* origin.c: the set of origins and which one a path belongs to. */
#include "control/origin/origin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "control/fs.h"

static uint64_t add_id(uint64_t id, const char *part)
{
	return XXH3_64bits_withSeed(part, strlen(part), id);
}

static uint64_t id_of(const struct spate_origin *o)
{
	uint64_t id = o->is_dir ? 1 : 2;

	if (o->is_dir)
		return add_id(id, o->name);
	return add_id(add_id(add_id(id + o->port, o->host), o->authority), o->base);
}

static struct spate_origin *make(struct spate_loop *l, const struct spate_config_origin *cfg,
				 unsigned idle_max)
{
	struct spate_origin *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->refs = 1;
	o->loop = l;
	o->dirfd = -1;
	o->idle_max = idle_max;
	o->match = strdup(cfg->match != NULL ? cfg->match : "/");
	o->name = strdup(cfg->dir != NULL ? cfg->dir : cfg->url);
	if (o->match == NULL || o->name == NULL)
		goto fail;
	o->match_len = strlen(o->match);
	while (o->match_len > 0 && o->match[o->match_len - 1] == '/')
		o->match_len--;
	if (cfg->dir != NULL) {
		o->is_dir = true;
		o->id = id_of(o);
		return o;
	}
	o->host = strdup(cfg->host);
	o->authority = strdup(cfg->authority);
	o->base = strdup(cfg->base != NULL ? cfg->base : "");
	o->port = cfg->port;
	if (o->host == NULL || o->authority == NULL || o->base == NULL)
		goto fail;
	o->id = id_of(o);
	return o;

fail:
	spate_origin_unref(o);
	return NULL;
}

void spate_origin_unref(struct spate_origin *o)
{
	if (o == NULL || --o->refs > 0)
		return;
	if (o->dirfd >= 0)
		close(o->dirfd);
	free(o->match);
	free(o->name);
	free(o->host);
	free(o->authority);
	free(o->base);
	free(o);
}

static int longest_first(const void *a, const void *b)
{
	const struct spate_origin *x = *(struct spate_origin *const *)a;
	const struct spate_origin *y = *(struct spate_origin *const *)b;

	return (x->match_len < y->match_len) - (x->match_len > y->match_len);
}

/* 0, or the errno of open(2). */
static int open_dir(struct spate_origin *o)
{
	struct statx st = {0};

	o->dirfd = open(o->name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (o->dirfd < 0)
		return -errno;
	o->may_wait = spate_fs_may_wait(o->dirfd);
	(void)statx(o->dirfd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st);
	o->mount = st.stx_mnt_id;
	return 0;
}

int spate_origins_create(struct spate_origins **out, struct spate_loop *l,
			 const struct spate_config_origin *cfg, unsigned n, unsigned idle_max,
			 const char **bad)
{
	struct spate_origins *set = calloc(1, sizeof(*set) + n * sizeof(set->o[0]));
	int rc;

	*bad = NULL;
	if (set == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		struct spate_origin *o = make(l, &cfg[i], idle_max);

		if (o == NULL) {
			rc = -ENOMEM;
			goto fail;
		}
		set->o[set->n++] = o;
		if (o->is_dir && (rc = open_dir(o)) < 0) {
			*bad = cfg[i].dir;
			goto fail;
		}
	}
	qsort(set->o, set->n, sizeof(set->o[0]), longest_first);
	*out = set;
	return 0;

fail:
	spate_origins_destroy(set);
	return rc;
}

void spate_origins_destroy(struct spate_origins *set)
{
	if (set == NULL)
		return;
	for (unsigned i = 0; i < set->n; i++) {
		struct spate_origin *o = set->o[i];

		o->retired = true;
		while (o->idle != NULL)
			spate_conn_close(o->idle);
		spate_origin_unref(o);
	}
	free(set);
}

struct spate_origin *spate_origins_match(const struct spate_origins *set, const char *url,
					 size_t len)
{
	for (unsigned i = 0; i < set->n; i++) {
		struct spate_origin *o = set->o[i];

		if (len < o->match_len || memcmp(url, o->match, o->match_len) != 0)
			continue;
		if (len == o->match_len || url[o->match_len] == '/' || url[o->match_len] == '?')
			return o;
	}
	return NULL;
}

/* plan.c: from URLs and lists to a table of paths. */
#include "bench/load/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define PATHS_MAX 100000000u

static bool add(struct load_plan *p, const char *path, size_t len, uint64_t hash)
{
	if (p->n + 1 >= p->room) {
		size_t room = p->room != 0 ? p->room * 2 : 1024;
		uint64_t *at = realloc(p->at, room * sizeof(*at));
		_Atomic uint64_t *h;

		if (at == NULL)
			return false;
		p->at = at;
		h = realloc((void *)p->hash, room * sizeof(*h));
		if (h == NULL)
			return false;
		p->hash = h;
		p->room = room;
	}
	if (p->text_len + len > p->text_room) {
		size_t room = (p->text_len + len) * 2 + 4096;
		char *text = realloc(p->store, room);

		if (text == NULL)
			return false;
		p->store = text;
		p->text_room = room;
	}
	memcpy(p->store + p->text_len, path, len);
	p->at[p->n] = p->text_len;
	p->text_len += len;
	atomic_init(&p->hash[p->n], hash);
	p->at[++p->n] = p->text_len;
	return true;
}

/* path with its first {A..B}, if it has one, counted through. 0, -EINVAL or -ENOMEM. */
static int add_each(struct load_plan *p, const char *path)
{
	const char *open = strchr(path, '{'), *close = open != NULL ? strchr(open, '}') : NULL;
	char text[4096], *end;
	unsigned long long a, b;

	if (close == NULL || strstr(open, "..") == NULL || strstr(open, "..") > close)
		return add(p, path, strlen(path), 0) ? 0 : -ENOMEM;
	a = strtoull(open + 1, &end, 10);
	int width = (int)(end - open - 1);

	if (width == 0 || end[0] != '.' || end[1] != '.')
		return -EINVAL;
	b = strtoull(end + 2, &end, 10);
	if (end != close || b < a || b - a >= PATHS_MAX || strlen(path) + 24 > sizeof(text))
		return -EINVAL;
	for (; a <= b; a++) {
		int n = snprintf(text, sizeof(text), "%.*s%0*llu%s", (int)(open - path), path,
				 width, a, close + 1);

		if (!add(p, text, (size_t)n, 0))
			return -ENOMEM;
	}
	return 0;
}

static int add_url(struct load_plan *p, const char *url, char *why, size_t why_len)
{
	const char *path = strchr(url + 7, '/');
	int err = add_each(p, path != NULL ? path : "/");

	if (err != 0)
		snprintf(why, why_len, "%s: %s", url,
			 err == -EINVAL ? "{A..B} wants two numbers, the smaller one first"
					: "out of memory");
	return err;
}

/* PATH [HASH]; false: it makes no sense. */
static bool add_line(struct load_plan *p, char *line, bool want_hash)
{
	char *path = line + strspn(line, " \t"), *hash, *end;
	uint64_t h = 0;

	path[strcspn(path, "\r\n")] = '\0';
	if (*path == '\0' || *path == '#')
		return true;
	hash = path + strcspn(path, " \t");
	if (*hash != '\0') {
		*hash++ = '\0';
		hash += strspn(hash, " \t");
	}
	if (*hash != '\0') {
		h = load_plan_hash(strtoull(hash, &end, 16));
		if (end - hash != 16 || *end != '\0')
			return false;
	} else if (want_hash) {
		return false;
	}
	return *path == '/' && add(p, path, strlen(path), h);
}

static int read_list(struct load_plan *p, const struct load_options *o, char *why, size_t why_len)
{
	FILE *f = fopen(o->url_file, "re");
	char *line = NULL;
	size_t cap = 0;
	unsigned number = 0;
	int err = 0;

	if (f == NULL) {
		snprintf(why, why_len, "%s: %s", o->url_file, strerror(errno));
		return -errno;
	}
	while (err == 0 && getline(&line, &cap, f) >= 0) {
		number++;
		if (!add_line(p, line, o->verify == LOAD_VERIFY_LIST)) {
			snprintf(why, why_len, "%s:%u: not \"/PATH\" or \"/PATH HASH\"%s",
				 o->url_file, number,
				 o->verify == LOAD_VERIFY_LIST ? " (--verify list needs each hash)"
							       : "");
			err = -EINVAL;
		}
	}
	free(line);
	fclose(f);
	return err;
}

int load_plan_open(struct load_plan *p, const struct load_options *o, char *why, size_t why_len)
{
	int err = 0;

	*p = (struct load_plan){0};
	if (o->url_file != NULL)
		err = read_list(p, o, why, why_len);
	for (unsigned i = 0; err == 0 && o->url_file == NULL && i < o->nurls; i++)
		err = add_url(p, o->urls[i], why, why_len);
	if (err == 0 && p->n == 0) {
		snprintf(why, why_len, "%s: no URL in it", o->url_file);
		err = -EINVAL;
	}
	if (err == 0) {
		p->text = p->store;
		p->size = calloc(p->n, sizeof(*p->size));
		err = p->size == NULL ? -ENOMEM : load_zipf_init(&p->zipf, p->n, o->zipf);
		if (err != 0)
			snprintf(why, why_len, "out of memory");
	}
	if (err != 0)
		load_plan_close(p);
	return err;
}

void load_plan_close(struct load_plan *p)
{
	load_zipf_finish(&p->zipf);
	free(p->store);
	free(p->at);
	free((void *)p->hash);
	free((void *)p->size);
	*p = (struct load_plan){0};
}

static int hash_file(const char *name, off_t bytes, uint64_t *out)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	void *m;

	if (fd < 0)
		return -errno;
	m = bytes == 0 ? "" : mmap(NULL, (size_t)bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (m == MAP_FAILED)
		return -errno;
	*out = XXH3_64bits(m, (size_t)bytes);
	if (bytes != 0)
		munmap(m, (size_t)bytes);
	return 0;
}

int load_plan_make_urls(const char *dir)
{
	char *paths[] = {(char *)(uintptr_t)dir, NULL};
	FTS *t = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	size_t skip = strlen(dir);
	FTSENT *e;
	int err = 0;

	if (t == NULL)
		return -errno;
	while (skip > 0 && dir[skip - 1] == '/')
		skip--;
	while (err == 0 && (e = fts_read(t)) != NULL) {
		uint64_t h = 0;

		if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS)
			err = -e->fts_errno;
		if (e->fts_info != FTS_F)
			continue;
		err = hash_file(e->fts_path, e->fts_statp->st_size, &h);
		if (err == 0)
			printf("%s %016llx\n", e->fts_path + skip, (unsigned long long)h);
	}
	fts_close(t);
	return err;
}

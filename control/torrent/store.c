#include "control/torrent/store.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#define SUFFIX ".hashes"
#define STRAY  ".spate-"

struct spate_store {
	int dir;
	uint64_t bytes;
};

void spate_store_name(const char *manifest, const char *id, uint32_t piece_bytes,
		      char out[SPATE_STORE_NAME])
{
	uint32_t piece = htole32(piece_bytes);
	XXH3_state_t *x = XXH3_createState();
	XXH128_hash_t h = {0};

	/* With their NULs, so that "a" + "bc" is not "ab" + "c". */
	if (x != NULL) {
		XXH3_128bits_reset(x);
		XXH3_128bits_update(x, manifest, strlen(manifest) + 1);
		XXH3_128bits_update(x, id, strlen(id) + 1);
		XXH3_128bits_update(x, &piece, sizeof(piece));
		h = XXH3_128bits_digest(x);
	}
	XXH3_freeState(x);
	snprintf(out, SPATE_STORE_NAME, "%016llx%016llx" SUFFIX, (unsigned long long)h.high64,
		 (unsigned long long)h.low64);
}

/* --- the bound --- */

struct entry {
	char name[SPATE_STORE_NAME];
	uint64_t bytes;
	struct timespec used;
};

static int by_use(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->used.tv_sec != y->used.tv_sec)
		return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
	if (x->used.tv_nsec != y->used.tv_nsec)
		return x->used.tv_nsec < y->used.tv_nsec ? -1 : 1;
	return strcmp(x->name, y->name);
}

static bool ours(const char *name)
{
	return strlen(name) == 32 + strlen(SUFFIX) && strspn(name, "0123456789abcdef") == 32 &&
	       strcmp(name + 32, SUFFIX) == 0;
}

/* Our files, and how many bytes they are; what a crash has left is removed on the way. */
static int list(struct spate_store *s, struct entry **out, size_t *n, uint64_t *bytes)
{
	int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	time_t now = time(NULL);
	size_t cap = 0;
	int rc = 0;

	*out = NULL;
	*n = *bytes = 0;
	if (d == NULL) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	for (struct dirent *e; rc == 0 && (e = readdir(d)) != NULL;) {
		bool stray = strncmp(e->d_name, STRAY, strlen(STRAY)) == 0;
		struct stat st;

		if ((!stray && !ours(e->d_name)) ||
		    fstatat(s->dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		if (stray) {
			if (now - st.st_mtime > SPATE_STORE_STRAY_S)
				unlinkat(s->dir, e->d_name, 0);
			continue;
		}
		if (*n == cap) {
			struct entry *more;

			cap = cap == 0 ? 64 : cap * 2;
			more = realloc(*out, cap * sizeof(**out));
			if (more == NULL) {
				rc = -ENOMEM;
				break;
			}
			*out = more;
		}
		(*out)[*n] = (struct entry){.bytes = (uint64_t)st.st_size, .used = st.st_mtim};
		memcpy((*out)[(*n)++].name, e->d_name, 32 + sizeof(SUFFIX));
		*bytes += (uint64_t)st.st_size;
	}
	closedir(d);
	return rc;
}

/* keep: a name that stays whatever its time says; NULL: none. */
static void trim(struct spate_store *s, const char *keep)
{
	struct entry *all;
	uint64_t bytes;
	size_t n;

	if (list(s, &all, &n, &bytes) == 0 && bytes > s->bytes) {
		qsort(all, n, sizeof(*all), by_use);
		for (size_t i = 0; i < n && bytes > s->bytes; i++) {
			if (keep != NULL && strcmp(all[i].name, keep) == 0)
				continue;
			/* Another edge may have been here first: then they are gone as well. */
			if (unlinkat(s->dir, all[i].name, 0) == 0 || errno == ENOENT)
				bytes -= all[i].bytes;
		}
	}
	free(all);
}

/* --- files --- */

static int write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno != EINTR)
			return -errno;
		if (k > 0) {
			p += k;
			n -= (size_t)k;
		}
	}
	return 0;
}

static int put(struct spate_store *s, const char *name, const struct spate_buf *b)
{
	char aside[sizeof(STRAY) + 16];
	uint64_t number = 0;
	int fd, rc;

	/* Of its own, whoever else writes here. */
	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) < 0)
		return -errno;
	snprintf(aside, sizeof(aside), STRAY "%016llx", (unsigned long long)number);
	fd = openat(s->dir, aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	rc = write_all(fd, b->p, b->len);
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && renameat(s->dir, aside, s->dir, name) < 0)
		rc = -errno;
	if (rc < 0)
		unlinkat(s->dir, aside, 0);
	return rc;
}

int spate_store_save(struct spate_store *s, const struct spate_record *r)
{
	char name[SPATE_STORE_NAME];
	struct spate_buf b = {0};
	int rc = spate_record_encode(r, &b);

	if (rc == 0 && b.len > s->bytes)
		rc = -EFBIG;
	spate_store_name(r->manifest, r->id, r->piece_bytes, name);
	if (rc == 0)
		rc = put(s, name, &b);
	if (rc == 0)
		trim(s, name);
	free(b.p);
	return rc;
}

/* The whole file, *n bytes, malloc'd. */
static int get(int fd, uint8_t **out, size_t *n)
{
	struct stat st;
	uint8_t *p;
	size_t at = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size < SPATE_RECORD_MIN || st.st_size > SPATE_RECORD_MAX)
		return -EBADMSG;
	*n = (size_t)st.st_size;
	p = malloc(*n);
	if (p == NULL)
		return -ENOMEM;
	while (at < *n) {
		ssize_t k = read(fd, p + at, *n - at);

		if (k > 0) {
			at += (size_t)k;
		} else if (k == 0 || errno != EINTR) {
			int rc = k == 0 ? -EBADMSG : -errno;

			free(p);
			return rc;
		}
	}
	*out = p;
	return 0;
}

int spate_store_load(struct spate_store *s, const char *manifest, const char *id,
		     uint32_t piece_bytes, struct spate_record *out)
{
	char name[SPATE_STORE_NAME];
	uint8_t *p = NULL;
	size_t n = 0;
	int fd, rc;

	memset(out, 0, sizeof(*out));
	spate_store_name(manifest, id, piece_bytes, name);
	/* Not blocking, not by a link: whatever lies there under this name. */
	fd = openat(s->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno != ELOOP)
		return -errno;
	rc = fd < 0 ? -EBADMSG : get(fd, &p, &n);
	if (rc == 0)
		rc = spate_record_decode(p, n, out);
	if (rc == 0 && (strcmp(out->manifest, manifest) != 0 || strcmp(out->id, id) != 0 ||
			out->piece_bytes != piece_bytes))
		rc = -EBADMSG;
	if (rc == 0)
		futimens(fd, NULL); /* used now; if not, it only goes earlier */
	if (rc == -EBADMSG)
		unlinkat(s->dir, name, 0);
	if (rc < 0)
		spate_record_free(out);
	free(p);
	if (fd >= 0)
		close(fd);
	return rc;
}

int spate_store_touch(struct spate_store *s, const char *manifest, const char *id,
		      uint32_t piece_bytes)
{
	char name[SPATE_STORE_NAME];

	spate_store_name(manifest, id, piece_bytes, name);
	return utimensat(s->dir, name, NULL, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT ? -errno
											 : 0;
}

int spate_store_remove(struct spate_store *s, const char *manifest, const char *id,
		       uint32_t piece_bytes)
{
	char name[SPATE_STORE_NAME];

	spate_store_name(manifest, id, piece_bytes, name);
	return unlinkat(s->dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* --- life --- */

int spate_store_create(struct spate_store **out, const char *path, uint64_t bytes)
{
	struct spate_store *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return -ENOMEM;
	s->bytes = bytes;
	s->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0) {
		rc = -errno;
		goto free_store;
	}
	if (faccessat(s->dir, ".", R_OK | W_OK | X_OK, AT_EACCESS) < 0) {
		rc = -errno;
		goto close_dir;
	}
	trim(s, NULL); /* the bound may have become smaller */
	*out = s;
	return 0;

close_dir:
	close(s->dir);
free_store:
	free(s);
	return rc;
}

void spate_store_destroy(struct spate_store *s)
{
	if (s == NULL)
		return;
	close(s->dir);
	free(s);
}

/*
 * dir.c: a directory as an origin. The name is resolved by the kernel beneath the directory
 * (openat2, RESOLVE_BENEATH: no "..", absolute name or symbolic link gets out), regular files only,
 * and their pages are read straight into the arena. Nothing tells us that a file changes, so it is
 * fresh for SPATE_FRESH_DEFAULT_S only; then one open and statx are the revalidation.
 *
 *     OPEN ─► STAT ─► head ─► READ … READ ─► STAT again ─► end
 *
 * A file that is not the same at the end as it was at the beginning (size, mtime) gives no object.
 * Packagers that write to a temporary name and rename are never seen half.
 */
#include <errno.h>
#include <linux/stat.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/log/event.h"
#include "control/origin/fill.h"
#include "control/origin/meta.h"

#define IOVS       16
#define READ_MAX   262144u
#define OPEN_TRIES 8 /* EAGAIN: a rename raced with the walk, openat2(2) */

struct dir {
	struct spate_op op;
	struct statx st, again;
	struct open_how how;
	struct iovec iov[IOVS];
	uint64_t at;
	int fd;
	unsigned tries;
	bool stopping;
	char *name;
};

#define DIR_OF(op_) ((struct dir *)((char *)(op_)-offsetof(struct dir, op)))
#define LOOP(d)     (spate_fill_env(spate_fill_of_source(d))->loop)

static void end(struct dir *d, enum spate_fetch_verdict v)
{
	if (d->fd >= 0)
		spate_loop_close(LOOP(d), d->fd);
	free(d->name);
	spate_fill_end(spate_fill_of_source(d), v);
}

static void log_error(const struct dir *d, int err)
{
	if (d->name != NULL && err != -ECANCELED)
		spate_event(origin_file_error, SPATE_F_STR("path", d->name), SPATE_F_ERR(err));
}

static void end_with_error(struct dir *d, int err)
{
	switch (err) {
	case -ENOENT:
	case -ENOTDIR:
	case -ENAMETOOLONG:
	case -EISDIR:
	case -ENXIO: /* a socket */
	case -EILSEQ:
		end(d, SPATE_FETCH_NOT_FOUND);
		return;
	case -EACCES:
	case -EPERM:
	case -EXDEV: /* a link that leads out of the directory */
	case -ELOOP:
		log_error(d, err);
		end(d, SPATE_FETCH_FORBIDDEN);
		return;
	default:
		log_error(d, err);
		end(d, SPATE_FETCH_BAD_GATEWAY);
	}
}

static bool same_file(const struct statx *a, const struct statx *b)
{
	return a->stx_size == b->stx_size && a->stx_ino == b->stx_ino &&
	       a->stx_mtime.tv_sec == b->stx_mtime.tv_sec &&
	       a->stx_mtime.tv_nsec == b->stx_mtime.tv_nsec;
}

static void on_stat_again(struct spate_op *op, int res, unsigned flags)
{
	struct dir *d = DIR_OF(op);

	if (res < 0)
		end_with_error(d, res);
	else
		end(d, same_file(&d->st, &d->again) ? SPATE_FETCH_OK : SPATE_FETCH_BAD_GATEWAY);
}

static void pump(struct dir *d);

static void on_read(struct spate_op *op, int res, unsigned flags)
{
	struct dir *d = DIR_OF(op);

	if (res == -EAGAIN || res == -EINTR)
		res = 0; /* falls through to another try below */
	else if (res == 0)
		res = -EIO; /* it has shrunk */
	if (res < 0 || d->stopping) {
		end_with_error(d, res < 0 ? res : -ECANCELED);
		return;
	}
	if (res > 0) {
		d->at += (uint64_t)res;
		if (!spate_fill_filled(spate_fill_of_source(d), (uint64_t)res)) {
			end(d, SPATE_FETCH_BAD_GATEWAY);
			return;
		}
	}
	pump(d);
}

static void pump(struct dir *d)
{
	uint64_t left = d->st.stx_size - d->at;
	unsigned n;

	if (left == 0) {
		spate_loop_statx(LOOP(d), &d->op, d->fd, "", AT_EMPTY_PATH,
				 STATX_BASIC_STATS | STATX_MNT_ID, &d->again, on_stat_again);
		return;
	}
	if (spate_fill_room(spate_fill_of_source(d), left < READ_MAX ? left : READ_MAX, d->iov,
			    IOVS, &n) != 0)
		spate_loop_readv(LOOP(d), &d->op, d->fd, d->iov, n, d->at, on_read);
}

/* The ETag says it all: time to the nanosecond, size and inode. */
static bool is_stale_one(const struct spate_meta *have, const struct spate_meta *now)
{
	return have != NULL && have->etag_len == now->etag_len &&
	       memcmp(have->head + have->etag_off, now->head + now->etag_off, now->etag_len) == 0;
}

static void on_stat(struct spate_op *op, int res, unsigned flags)
{
	struct dir *d = DIR_OF(op);
	struct spate_fill *f = spate_fill_of_source(d);
	struct spate_fill_head h;
	size_t url_len;
	const char *url = spate_fill_url(f, &url_len);

	if (res < 0 || d->stopping) {
		end_with_error(d, res < 0 ? res : -ECANCELED);
		return;
	}
	if (d->st.stx_mnt_id != spate_fill_origin(f)->mount)
		d->op.async = true; /* something else is mounted beneath: who knows what */
	if (!S_ISREG(d->st.stx_mode)) {
		end(d, SPATE_FETCH_NOT_FOUND);
		return;
	}
	res = spate_meta_of_file(&h, &d->st, url, url_len, spate_loop_wall_s(LOOP(d)));
	if (res < 0) {
		end_with_error(d, res);
		return;
	}
	h.not_modified = is_stale_one(spate_fill_stale(f), h.meta);
	if (spate_fill_head(f, &h))
		pump(d);
	else
		end(d, h.not_modified ? SPATE_FETCH_OK : SPATE_FETCH_BAD_GATEWAY);
}

static void on_open(struct spate_op *op, int res, unsigned flags)
{
	struct dir *d = DIR_OF(op);

	if (res >= 0)
		d->fd = res;
	if (res == -EAGAIN && ++d->tries < OPEN_TRIES && !d->stopping) {
		spate_loop_openat2(LOOP(d), &d->op,
				   spate_fill_origin(spate_fill_of_source(d))->dirfd, d->name,
				   &d->how, on_open);
		return;
	}
	if (res < 0 || d->stopping) {
		end_with_error(d, res < 0 ? res : -ECANCELED);
		return;
	}
	spate_loop_statx(LOOP(d), &d->op, d->fd, "", AT_EMPTY_PATH,
			 STATX_BASIC_STATS | STATX_MNT_ID, &d->st, on_stat);
}

static void on_bad_name(struct spate_op *op, int res, unsigned flags)
{
	end_with_error(DIR_OF(op), res);
}

static int hex(char c)
{
	return c >= '0' && c <= '9'                     ? c - '0'
	       : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
							: -1;
}

/*
 * The path's percent-encoding undone, without the query and the slashes it begins with. -EILSEQ:
 * NUL or an encoded slash, which no file name has, or a broken escape.
 */
static int decode(const char *url, size_t len, char *out)
{
	size_t i = 0, n = 0;

	while (i < len && url[i] == '/')
		i++;
	for (; i < len && url[i] != '?'; i++) {
		char c = url[i];

		if (c == '%') {
			int hi = i + 2 < len ? hex(url[i + 1]) : -1,
			    lo = i + 2 < len ? hex(url[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return -EILSEQ;
			c = (char)(hi << 4 | lo);
			i += 2;
			if (c == '/')
				return -EILSEQ;
		}
		if (c == '\0')
			return -EILSEQ;
		out[n++] = c;
	}
	if (n == 0)
		out[n++] = '.';
	out[n] = '\0';
	return 0;
}

static void start(struct spate_fill *f)
{
	struct dir *d = spate_fill_source(f);
	size_t url_len;
	const char *url = spate_fill_url(f, &url_len);
	int rc;

	d->fd = -1;
	d->op.async = spate_fill_origin(f)->may_wait;
	d->name = malloc(url_len + 2);
	rc = d->name == NULL ? -ENOMEM : decode(url, url_len, d->name);
	if (rc < 0) {
		spate_loop_defer(LOOP(d), &d->op, rc, on_bad_name);
		return;
	}
	/* O_NONBLOCK: opening a FIFO must not wait for its writer. */
	d->how = (struct open_how){.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
				   .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	spate_loop_openat2(LOOP(d), &d->op, spate_fill_origin(f)->dirfd, d->name, &d->how, on_open);
}

static void resume(struct spate_fill *f)
{
	struct dir *d = spate_fill_source(f);

	if (!d->op.busy)
		pump(d);
}

static void stop(struct spate_fill *f)
{
	struct dir *d = spate_fill_source(f);

	d->stopping = true;
	if (d->op.busy)
		spate_loop_cancel(LOOP(d), &d->op);
	else
		end(d, SPATE_FETCH_BAD_GATEWAY);
}

const struct spate_source_ops spate_source_dir = {
	.name = "directory",
	.start = start,
	.resume = resume,
	.stop = stop,
	.bytes = sizeof(struct dir),
};

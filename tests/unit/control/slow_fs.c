/* slow_fs.c: see slow_fs.h. The protocol is linux/fuse.h's, as far as one file needs it. */
#include "slow_fs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void answer(int fd, uint64_t unique, int error, const void *p, size_t n)
{
	struct fuse_out_header h = {
		.len = (uint32_t)(sizeof(h) + n), .error = error, .unique = unique};
	struct iovec v[2] = {{&h, sizeof(h)}, {(void *)p, n}};

	(void)!writev(fd, v, 2);
}

static struct fuse_attr attr_of(uint64_t node)
{
	return node == FUSE_ROOT_ID
		       ? (struct fuse_attr){.ino = 1, .mode = S_IFDIR | 0755, .nlink = 2}
		       : (struct fuse_attr){.ino = 2,
					    .mode = S_IFREG | 0644,
					    .nlink = 1,
					    .size = SLOW_FS_BYTES,
					    .blocks = SLOW_FS_BYTES / 512};
}

/* False: there will be no answer. */
static bool wait_ms(int ms)
{
	if (ms > 0)
		usleep((unsigned)ms * 1000);
	return ms != SLOW_FS_NEVER;
}

static void serve_one(int fd, struct slow_fs_server *s, const struct fuse_in_header *in)
{
	static const char zeros[SLOW_FS_BYTES];
	const void *arg = in + 1;

	switch (in->opcode) {
	case FUSE_INIT: {
		const struct fuse_init_in *i = arg;
		struct fuse_init_out o = {.major = 7,
					  .minor = 31,
					  .max_readahead = i->max_readahead,
					  .max_background = 12,
					  .max_write = 65536};

		answer(fd, in->unique, 0, &o, sizeof(o));
		return;
	}
	case FUSE_LOOKUP: {
		struct fuse_entry_out o = {
			.nodeid = 2, .entry_valid = 1000, .attr_valid = 1000, .attr = attr_of(2)};

		answer(fd, in->unique, 0, &o, sizeof(o));
		return;
	}
	case FUSE_GETATTR:
	case FUSE_SETATTR: {
		struct fuse_attr_out o = {.attr_valid = 1000, .attr = attr_of(in->nodeid)};

		answer(fd, in->unique, 0, &o, sizeof(o));
		return;
	}
	case FUSE_OPEN:
	case FUSE_OPENDIR: {
		struct fuse_open_out o = {.fh = 1};

		s->asked++;
		if (wait_ms(s->open_ms))
			answer(fd, in->unique, 0, &o, sizeof(o));
		return;
	}
	case FUSE_READ: {
		const struct fuse_read_in *i = arg;

		s->asked++;
		if (wait_ms(s->read_ms))
			answer(fd, in->unique, 0, zeros,
			       i->size < sizeof(zeros) ? i->size : sizeof(zeros));
		return;
	}
	case FUSE_STATFS: {
		struct fuse_statfs_out o = {.st.bsize = 4096};

		answer(fd, in->unique, 0, &o, sizeof(o));
		return;
	}
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		answer(fd, in->unique, 0, NULL, 0);
		return;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return;
	default:
		answer(fd, in->unique, -ENOSYS, NULL, 0);
	}
}

static void serve(int fd, struct slow_fs_server *s)
{
	static _Alignas(8) char buf[1 << 18];

	for (;;) {
		if (read(fd, buf, sizeof(buf)) >= (ssize_t)sizeof(struct fuse_in_header))
			serve_one(fd, s, (const void *)buf);
		else if (errno != EINTR && errno != ENOENT && errno != EAGAIN)
			_exit(0); /* unmounted */
	}
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* A mount namespace, so that nobody else sees it; of a user namespace where we are not root. */
static void enter_namespace(void)
{
	unsigned uid = geteuid(), gid = getegid();
	static bool done;
	char map[32];

	if (done)
		return;
	done = true;
	assert_int_equal(unshare(CLONE_NEWNS | (uid == 0 ? 0 : CLONE_NEWUSER)), 0);
	if (uid != 0) {
		snprintf(map, sizeof(map), "0 %u 1", uid);
		put("/proc/self/uid_map", map);
		put("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", gid);
		put("/proc/self/gid_map", map);
	}
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

bool slow_fs_mount(struct slow_fs *fs, const char *at)
{
	char options[64];
	int fd;

	if (access("/dev/fuse", F_OK) < 0 && getenv("CI") == NULL)
		return false;
	enter_namespace();
	fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	fs->at = at;
	fs->server = mmap(NULL, sizeof(*fs->server), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(fs->server, MAP_FAILED);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	assert_int_equal(mount("slow", at, "fuse", MS_NOSUID | MS_NODEV, options), 0);
	fs->pid = fork();
	assert_true(fs->pid >= 0);
	if (fs->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(fd, fs->server);
	}
	close(fd); /* so that the server's is the last one: with it all requests end */
	return true;
}

void slow_fs_unmount(struct slow_fs *fs)
{
	if (fs->pid == 0)
		return;
	kill(fs->pid, SIGKILL);
	waitpid(fs->pid, NULL, 0);
	umount2(fs->at, MNT_DETACH);
	munmap(fs->server, sizeof(*fs->server));
	fs->pid = 0;
}

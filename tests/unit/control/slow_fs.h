/*
 * slow_fs.h: a file system whose server (FUSE, a process of its own) answers late, or never. Every
 * name in it is the same file of SLOW_FS_BYTES zeros.
 *
 *   if (!slow_fs_mount(&fs, at)) skip;   in a mount namespace that the test process gets for itself
 *   fs.server->read_ms = 500;            from now on
 *   slow_fs_unmount(&fs)                 what still waits for an answer gets an error
 */
#ifndef SLOW_FS_H
#define SLOW_FS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#define SLOW_FS_BYTES 65536
#define SLOW_FS_NEVER (-1)

/* Shared with the server. */
struct slow_fs_server {
	_Atomic int open_ms, read_ms; /* how late; SLOW_FS_NEVER */
	_Atomic unsigned asked;       /* of those, that have come */
};

struct slow_fs {
	const char *at;
	pid_t pid;
	struct slow_fs_server *server;
};

/* False: there is no /dev/fuse, and this is not CI, where that fails. */
bool slow_fs_mount(struct slow_fs *fs, const char *at);
void slow_fs_unmount(struct slow_fs *fs);

#endif

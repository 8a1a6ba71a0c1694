/*
 * fs.h: may work in this file system wait for somebody else: a server, a daemon in user space?
 *
 * io_uring tries an open or a read where it is submitted first, on the loop's thread, and trusts the
 * file system to say "that would wait". FUSE and network file systems don't: the thread sleeps in
 * there until they answer, and with it every other fill. So on all but the local ones we know, ops
 * go to the kernel's own threads at once (struct spate_op.async): a hop of some microseconds. Writes
 * to a file always do.
 */
#ifndef SPATE_CONTROL_FS_H
#define SPATE_CONTROL_FS_H

#include <stdbool.h>

/* fd: any file or directory in it, O_PATH included. */
bool spate_fs_may_wait(int fd);

#endif

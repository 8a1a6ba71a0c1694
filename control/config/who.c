#include "control/config/who.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TCP_LISTEN 0x0a /* the "st" column of /proc/net/tcp */

/* The socket's inode; 0: no listener there. */
static unsigned long listener_inode(const char *table, uint16_t port)
{
	FILE *f = fopen(table, "re");
	unsigned long inode, found = 0;
	unsigned local, state;
	char line[512];

	if (!f)
		return 0;
	/* sl local_address:port rem_address st tx:rx tr:when retrnsmt uid timeout inode */
	while (!found && fgets(line, sizeof(line), f))
		if (sscanf(line, " %*d: %*[0-9A-F]:%x %*s %x %*s %*s %*s %*s %*s %lu", &local,
			   &state, &inode) == 3 &&
		    local == port && state == TCP_LISTEN)
			found = inode;
	fclose(f);
	return found;
}

static bool holds(const char *pid, const char *link)
{
	char path[300], target[64];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	d = opendir(path);
	if (!d)
		return false;
	while (!found && (e = readdir(d))) {
		ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1);

		if (n > 0) {
			target[n] = '\0';
			found = strcmp(target, link) == 0;
		}
	}
	closedir(d);
	return found;
}

static void describe(const char *pid, char *buf, size_t size)
{
	char path[300], comm[64] = "a process";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	f = fopen(path, "re");
	if (f) {
		if (fgets(comm, sizeof(comm), f))
			comm[strcspn(comm, "\n")] = '\0';
		fclose(f);
	}
	snprintf(buf, size, "%s (pid %s)", comm, pid);
}

bool spate_who_listens(uint16_t port, char *buf, size_t size)
{
	unsigned long inode = listener_inode("/proc/net/tcp", port);
	char link[64];
	struct dirent *e;
	bool found = false;
	DIR *proc;

	if (!inode)
		inode = listener_inode("/proc/net/tcp6", port);
	if (!inode)
		return false;
	snprintf(link, sizeof(link), "socket:[%lu]", inode);
	proc = opendir("/proc");
	if (!proc)
		return false;
	while (!found && (e = readdir(proc))) {
		if (isdigit((unsigned char)e->d_name[0]) && holds(e->d_name, link)) {
			describe(e->d_name, buf, size);
			found = true;
		}
	}
	closedir(proc);
	return found;
}

/* version.c: `spate version`. */
#include <stdio.h>
#include <sys/utsname.h>

#include "control/cli/build.h"
#include "control/cli/cli.h"
#include "version.h"

int spate_cli_version(const struct spate_cli *cli)
{
	struct utsname u;

	(void)cli;
	printf("spate %s\n", SPATE_VERSION);
	printf("%-10s %s\n", "build", SPATE_BUILD_TYPE);
	printf("%-10s %s\n", "compiler", SPATE_BUILD_COMPILER);
	if (uname(&u) == 0)
		printf("%-10s %s %s %s\n", "kernel", u.sysname, u.release, u.machine);
	printf("%-10s %s\n", "liburing", SPATE_BUILD_LIBURING);
	printf("%-10s %s\n", "DPDK", SPATE_BUILD_DPDK);
	return 0;
}

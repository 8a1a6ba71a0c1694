/*
 * spate.c: main, and the map of the program.
 *
 *     spate run ──► control/cli/      the command line; the other commands end here
 *                   control/config/   YAML and options to one struct; asks the machine about it
 *                   control/run.c     makes cache, workers and control; waits for signals
 *                        │
 *        ┌───────────────┴──────────────────┐
 *     worker threads (dataplane/)        control, this thread (control/)
 *        port/ net/ tcp/   packets          loop.c     io_uring: everything that can wait
 *        stream/           bytes            origin/    fetches: HTTP origins and directories
 *        http/             requests         admin/     /healthz /metrics /stat /purge /drain
 *        cache/ (reading)                   log/       access records and events to text
 *        │                                  cache/ (writing)
 *        └──── include/spate/msg.h: "get me this" / "here it is" ────┘
 *
 * A hit never leaves its worker. A miss is one message to control, which fetches once however many
 * ask; the workers stream the object while it fills. docs/architecture.md has the drawing with the
 * reasons.
 */
#include <signal.h>
#include <stdio.h>

#include "control/cli/cli.h"
#include "control/dpdk.h"
#include "control/run.h"

int main(int argc, char **argv)
{
	static int (*const commands[SPATE_COMMAND_COUNT])(const struct spate_cli *) = {
#define SPATE_COMMAND(id, operands, help) spate_cli_##id,
#define SPATE_OPTION(...)
#include "spate/tbl/options.def"
#undef SPATE_COMMAND
#undef SPATE_OPTION
	};
	static struct spate_cli cli; /* the configuration borrows from it until the end */
	int status;

#ifdef SPATE_HAVE_DPDK
	spate_run_dpdk = &spate_dpdk_ops;
#endif
	if (!spate_cli_parse(argc, argv, &cli, &status))
		return status;
	signal(SIGPIPE,
	       SIG_IGN); /* a viewer, origin or log reader that goes away is an error code */
	status = commands[cli.command](&cli);
	if (fflush(stdout) != 0) /* "spate stat > /dev/full" has not worked */
		status = status ? status : 1;
	return status;
}

/* who.h: which process listens on a TCP port, from /proc, for the message that the port is taken.
 */
#ifndef SPATE_CONFIG_WHO_H
#define SPATE_CONFIG_WHO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Writes "nginx (pid 123)" to buf. False when nobody is found, or when the process is another
 * user's: only root may look into those. Walks /proc: milliseconds, for error paths.
 */
bool spate_who_listens(uint16_t port, char *buf, size_t size);

#endif

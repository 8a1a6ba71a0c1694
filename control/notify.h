/*
 * notify.h: tells systemd how it goes (sd_notify(3)), by writing to $NOTIFY_SOCKET ourselves.
 * Nothing happens where that is not set. Never blocks, never fails loudly: the service manager is
 * not our concern.
 */
#ifndef SPATE_NOTIFY_H
#define SPATE_NOTIFY_H

#include <stdint.h>

/* "READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=..."; several are separated by newlines. */
void spate_notify(const char *state);

/* RELOADING=1 with the time it needs (Type=notify-reload); READY=1 ends it. */
void spate_notify_reloading(void);

/* How often to say WATCHDOG=1: half of what systemd waits, in ms; 0: it does not watch us. */
uint64_t spate_notify_watchdog_ms(void);

#endif

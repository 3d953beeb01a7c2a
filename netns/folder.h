/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * folder: where a lab's real clients keep their files, of which nothing may be
 * left on the machine. It is a tmpfs in the sandbox's own mounts, always at
 * FOLDER_PATH, so that the paths of sockets in it are short; with a place to
 * keep it, that place is mounted there instead.
 *
 *   folder_open -> the clients -> folder_close, in a sandbox, one at a time
 *
 * /run and /etc/resolv.conf of the machine are covered from the first
 * folder_open on: what a client writes there stays in the sandbox.
 */
#ifndef NATRIG_NETNS_FOLDER_H
#define NATRIG_NETNS_FOLDER_H

#include "wire/err.h"

#define FOLDER_PATH "/run/natrig"

/*
 * KEEP: a folder that is there, and then emptied, or can be made; NULL or "":
 * nothing is kept.
 */
int folder_open(const char *keep, struct err *err);
void folder_close(void);

/*
 * Ends every process of the sandbox but the caller, who is its first, and
 * waits for their end: whatever a client has left running.
 */
void folder_end_processes(void);

#endif

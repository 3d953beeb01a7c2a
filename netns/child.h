/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * child: a program in the calling thread's network namespace that dies with
 * the thread.
 */
#ifndef NATRIG_NETNS_CHILD_H
#define NATRIG_NETNS_CHILD_H

#include "wire/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct child_plan {
	const char *const *argv; /* argv[0] is searched in PATH */
	const char *const *env;	 /* NULL: natrig's own */
	int stdin_fd;		 /* -1: /dev/null */
	int stdout_fd;		 /* -1: /dev/null */
	int stderr_fd;		 /* -1: /dev/null */
	int extra_fd;		 /* becomes 3; -1: none */
	bool own_session;	 /* a terminal's signals do not reach it */
};

/*
 * The PID, or -errno with the reason. The child inherits no other descriptor,
 * no blocked and no ignored signal.
 */
pid_t child_start(const struct child_plan *plan, struct err *err);

#endif

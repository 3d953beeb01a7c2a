/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/interrupt.h"

#include <sys/signalfd.h>

int interrupt_open(sigset_t *old_mask)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, old_mask);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Ctrl-C and its like, as something to poll for rather than a handler. */
#ifndef NATRIG_HARNESS_INTERRUPT_H
#define NATRIG_HARNESS_INTERRUPT_H

#include <signal.h>

/*
 * Blocks SIGINT, SIGTERM and SIGHUP in the calling thread, and gives a signalfd
 * that one of them makes readable; the caller's to close. OLD_MASK (may be
 * NULL) gets what was blocked before. -1 with errno where there is none.
 */
int interrupt_open(sigset_t *old_mask);

#endif

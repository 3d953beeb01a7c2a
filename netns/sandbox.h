/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sandbox: a process of its own in fresh PID, mount and network namespaces
 * (and, without root, a user namespace), in which a lab lives.
 *
 * Whatever ends either process, kill -9 included, ends the other and every
 * child; namespaces are held by descriptors only, so nothing is left behind.
 */
#ifndef NATRIG_NETNS_SANDBOX_H
#define NATRIG_NETNS_SANDBOX_H

#include "wire/err.h"

#include <stdbool.h>

/*
 * Runs FN(ARG) in a sandbox and waits. *STATUS becomes what FN returned (0 to
 * 255), or 128 + the signal that ended it. In the sandbox the process is PID 1
 * of its namespace, /proc is its own, SIGINT and SIGTERM are delivered to it
 * (the caller forwards them; it never dies of them itself while it waits).
 * Returns 0, or -EPERM and the like when the kernel or its settings refuse a
 * namespace: err says which, and how to get it.
 */
int sandbox_run(int (*fn)(void *arg), void *arg, int *status, struct err *err);

/* What `natrig doctor` shows. */
struct sandbox_feature {
	const char *name;   /* "network namespace" */
	bool present;
	char found[200];    /* what was seen */
	char remedy[300];   /* how to get it; "" where present */
	bool required;	    /* without it no lab runs */
};

/*
 * Tries each thing a lab needs (user, network, mount, PID namespaces, veth,
 * bridge, nf_tables NAT, conntrack via ctnetlink, packet sockets, TUN, the
 * miniupnpd program) and fills at most MAX; returns how many.
 */
unsigned sandbox_probe(struct sandbox_feature *features, unsigned max);

#endif

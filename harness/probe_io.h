/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * probe_io: the sockets under a probe, and its two drivers: on the network as
 * it is, in real time; and from a host of a lab, in the lab's time.
 *
 * Kernel sockets and no crafted packets: the probe asks what a program sees,
 * fragments put together and all. A lab host is told to accept packets that
 * bear its own address (a NAT that hairpins without translating the source);
 * a real host drops them, so there such a NAT looks like one that does not.
 */
#ifndef NATRIG_HARNESS_PROBE_IO_H
#define NATRIG_HARNESS_PROBE_IO_H

#include "harness/driver.h"
#include "harness/probe.h"

typedef void probe_progress_fn(void *arg, const char *what);

struct probe_io_options {
	int interrupt_fd; /* readable: stop with -EINTR; -1: none */
	probe_progress_fn *progress; /* may be NULL */
	void *arg;
};

/*
 * Probes CONFIG->server from this host: fills in ip and ports, opens sockets,
 * runs the probe to its end. 0, or a negative errno with the words (no route,
 * no free ports, interrupted). A server that does not answer is no error but a
 * finding.
 */
int probe_real(struct probe_config *config,
	       const struct probe_io_options *options,
	       struct probe_report *report, struct err *err);

/*
 * The same from plan node HOST of a lab, with plan node PEER (-1: none) as the
 * second host. CONFIG's server must be set. Lab time, skipped where the driver
 * skips.
 */
int probe_in_lab(struct driver *driver, struct lab *lab, unsigned host,
		 int peer, struct probe_config *config,
		 struct probe_report *report, struct err *err);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* portmapd_own: what portmapd.c and its other halves share. */
#ifndef NATRIG_NETNS_PORTMAPD_OWN_H
#define NATRIG_NETNS_PORTMAPD_OWN_H

#include "netns/portmapd.h"

#define SSDP_PORT 1900
#define NAT_PMP_PORT 5351
/* Both come from one socket. */
#define PMP_OR_PCP (LAB_PORTMAP_NAT_PMP | LAB_PORTMAP_PCP)

struct portmapd_granted {
	struct portmapd_lease lease;
	/* On the daemon's own clock, see portmapd_lease.c; UINT64_MAX: never. */
	uint64_t ends_us;
	bool found;
};

struct portmapd {
	struct portmapd_plan plan;
	pid_t pid; /* -1: ended */
	int log_fd;
	struct portmapd_granted *leases;
	unsigned lease_count, lease_room;
	uint64_t aged_us;
	uint64_t file_mtime_ns, file_inode; /* as last read */
	int64_t file_bytes;
	bool changed; /* since portmapd_look told */
};

/* 0, or why it is no longer there. */
int portmapd_check(struct portmapd *d, struct err *err);

#endif

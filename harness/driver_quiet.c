/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Is anything under way in the lab? Decided, not slept for; HACKING.md, "Lab
 * time", says why this cannot miss a packet.
 */
#include "harness/driver_private.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

/*
 * Packets that wait in the kernel's per-CPU backlog for their next namespace:
 * column 11 of softnet_stat. The process is pinned to one CPU (see run.c), so
 * every packet of the lab is in this CPU's queue or already delivered.
 */
static bool backlog_empty(void)
{
	char line[512];
	unsigned queued, cpu;
	bool empty = true;
	FILE *f = fopen("/proc/net/softnet_stat", "re");

	if (!f)
		return false;
	while (empty && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*x %*x %*x %*x %*x %*x %*x %*x %*x %*x %*x "
				 "%x %x", &queued, &cpu) == 2 &&
		    cpu == (unsigned)sched_getcpu())
			empty = !queued;
	}
	fclose(f);
	return empty;
}

bool driver_quiet(const struct driver *d)
{
	return !upnp_worker_busy(d->upnp) && backlog_empty() &&
	       lab_daemons_idle(d->config.lab);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * portmapd: miniupnpd in a router's namespace, speaking UPnP and NAT-PMP as
 * the plan wants. Private to netns/.
 *
 * portmapd_start, in the router's namespace -> portmapd_free. It keeps no file
 * outside a tmpfs that is mounted nowhere.
 */
#ifndef NATRIG_NETNS_PORTMAPD_H
#define NATRIG_NETNS_PORTMAPD_H

#include "wire/endpoint.h"
#include "wire/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct portmapd;

struct portmapd_plan {
	const char *where;    /* the router's name, for errors */
	unsigned id;	      /* unique in the lab */
	unsigned protocols;   /* LAB_PORTMAP_* */
	int files_fd;	      /* of portmapd_files */
	uint32_t lan_ip;
	unsigned lan_bits;
};

/* A private tmpfs for the daemons' files; the descriptor or -errno. */
int portmapd_files(struct err *err);

int portmapd_start(struct portmapd **d, const struct portmapd_plan *plan,
		   struct err *err);
/* Tells it to end, and does not wait; NULL is legal. */
void portmapd_stop(struct portmapd *d);
/* Ends it if need be, and waits; NULL is legal. */
void portmapd_free(struct portmapd *d);

/*
 * READY once it waits for questions on every protocol that was wanted; never
 * blocks. Negative errno when the daemon has died; err has its last words.
 */
int portmapd_ready(struct portmapd *d, bool *ready, struct err *err);
/* It waits, with empty queues: it has nothing left to answer. */
bool portmapd_idle(const struct portmapd *d);
/* True while the kernel holds it up, in what cannot be interrupted. */
bool portmapd_held_up(const struct portmapd *d);

/* A mapping that the daemon has granted. */
struct portmapd_lease {
	int proto; /* IPPROTO_UDP or IPPROTO_TCP */
	uint16_t external_port;
	struct endpoint inside;
};

/*
 * Ages the leases by US; NOW_US is real time. Writes at most MAX leases that
 * are over into GONE and returns how many, or -errno. The caller takes their
 * mappings away.
 */
int portmapd_age(struct portmapd *d, uint64_t us, uint64_t now_us,
		 struct portmapd_lease *gone, unsigned max, struct err *err);

/*
 * Looks whether the daemon has granted or ended anything; cheap where not.
 * NOW_US is real time. 1: the leases are others than at the last call, 0: they
 * are not, or -errno.
 */
int portmapd_look(struct portmapd *d, uint64_t now_us, struct err *err);
/* How many leases there are, as of the last look; and the one at INDEX. */
unsigned portmapd_lease_count(const struct portmapd *d);
const struct portmapd_lease *portmapd_lease(const struct portmapd *d,
					    unsigned index);
/*
 * The outside port that is granted to INSIDE now, 0 where none is, or -errno.
 * What it finds is news to the next portmapd_look all the same.
 */
int portmapd_find(struct portmapd *d, uint64_t now_us, int proto,
		  struct endpoint inside, struct err *err);

#endif

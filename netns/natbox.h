/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * natbox: puts a NAT engine (netns/engine.h) into a router's namespace, for
 * what netfilter cannot do. The kernel there forwards nothing, and drops what
 * its own stack would answer (nat_ruleset with `engine`). The box hears IP
 * packets through packet sockets on both links and sends through raw sockets,
 * so that ARP and routes stay the kernel's.
 *
 *   natbox_new -> natbox_serve, natbox_on_timer ... -> natbox_free
 *
 * Time is an argument, in microseconds of lab time, so nothing in a box has to
 * be aged when time is skipped.
 */
#ifndef NATRIG_NETNS_NATBOX_H
#define NATRIG_NETNS_NATBOX_H

#include "netns/closing.h"
#include "netns/engine.h"
#include "netns/nat.h"
#include "wire/endpoint.h"

struct natbox;

struct natbox_plan {
	const char *where; /* for errors; used during the call only */
	struct nat nat;
	unsigned wan_index, lan_index; /* interfaces; both are there */
	uint32_t wan_ips[NAT_MAX_POOL]; /* as many as the NAT has */
	uint32_t lan_ip, lan_net, lan_mask;
	uint64_t seed;
};

/* The calling thread is in the router's namespace. */
int natbox_new(const struct natbox_plan *plan, struct natbox **box,
	       struct err *err);
/* Its sockets are slow to close: they go to *CLOSING. NULL is legal. */
void natbox_free(struct natbox *b, struct closing **closing);

/*
 * Behaves like PLAN from now on, and forgets all that was (a reboot, another
 * address, another behaviour). Interfaces stay. After an error it is as before.
 */
int natbox_restart(struct natbox *b, const struct natbox_plan *plan,
		   struct err *err);
/* Forgets all mappings. */
void natbox_flush(struct natbox *b);

/* Adds its descriptors to an epoll instance; each event's data.ptr is B. */
int natbox_watch(struct natbox *b, int epoll_fd, struct err *err);
/* Takes them out again; to be done before natbox_free, which closes late. */
void natbox_unwatch(struct natbox *b, int epoll_fd);
/*
 * What has arrived, as much as is fair in one turn (epoll tells of the rest
 * again). 0, or a negative errno where a socket fails.
 */
int natbox_serve(struct natbox *b, uint64_t now_us, struct err *err);
/* ENGINE_NEVER where nothing is due. */
uint64_t natbox_deadline(const struct natbox *b);
void natbox_on_timer(struct natbox *b, uint64_t now_us);

/*
 * Packets that the box drops, as a packet filter of the router would: on their
 * way out as they come in from the LAN, on their way in as they go to it. PROTO
 * 0: any; PORT 0: any, else the destination port of UDP or TCP.
 */
struct natbox_block {
	bool inward;
	uint32_t src, dst;
	int proto;
	uint16_t port;
};
/* In place of those that were; BLOCKS is copied. */
int natbox_set_blocks(struct natbox *b, const struct natbox_block *blocks,
		      unsigned count, struct err *err);

/* A port mapping that a daemon has granted. */
struct natbox_grant {
	int proto;
	uint16_t external_port;
	struct endpoint inside;
};
/*
 * In place of those that were; GRANTS is copied. A restart forgets them, so
 * natbox_lacks_grants tells when they are wanted again.
 */
int natbox_set_grants(struct natbox *b, uint64_t now_us,
		      const struct natbox_grant *grants, unsigned count,
		      struct err *err);
bool natbox_lacks_grants(const struct natbox *b);
/*
 * Called between hearing packets and taking them, so that what a daemon had
 * granted when they came is known.
 */
typedef int natbox_heard_fn(void *arg, uint64_t now_us, struct err *err);
void natbox_on_heard(struct natbox *b, natbox_heard_fn *heard, void *arg);

/* The engine's, since the last restart. */
void natbox_stats(const struct natbox *b, struct engine_stats *stats);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conntrack: the flows that a router remembers. Private to netns/.
 *
 * conntrack_new, in the router's namespace -> conntrack_free. It belongs to
 * that namespace from then on.
 */
#ifndef NATRIG_NETNS_CONNTRACK_H
#define NATRIG_NETNS_CONNTRACK_H

#include "netns/closing.h"
#include "netns/netlink.h"
#include "wire/err.h"

#include <stdbool.h>
#include <stdint.h>

struct conntrack;

/*
 * FRESH: no flow has been made in this namespace. Then none has to be looked
 * for either: all that there will be are heard of.
 */
int conntrack_new(struct conntrack **ct, const char *where, bool fresh,
		  struct err *err);
void conntrack_free(struct conntrack *ct);
/* The same, its sockets handed over to CLOSING. */
void conntrack_free_later(struct conntrack *ct, struct closing **closing);

/*
 * Its netfilter socket, for nftables too. (Each such socket's close waits for
 * nftables' own garbage, 10 ms: so there is one, for as long as the router.)
 */
struct netlink *conntrack_netlink(struct conntrack *ct);

/* Forgets every flow. */
int conntrack_flush(struct conntrack *ct, struct err *err);

/* The router's, for UDP. */
struct conntrack_timeouts {
	unsigned udp_s, udp_stream_s;
};

/*
 * Ages every flow by US. NOW_US is real time, and says how long ago the last
 * call was. What was refreshed since then (or is seen for the first time) is
 * known to a second only; all else is exact.
 */
int conntrack_age(struct conntrack *ct, uint64_t us, uint64_t now_us,
		  const struct conntrack_timeouts *timeouts, struct err *err);

#endif

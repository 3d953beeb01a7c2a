/* SPDX-License-Identifier: BSD-3-Clause */
/* element: dynamic elements of nftables sets and maps. Private to netns/. */
#ifndef NATRIG_NETNS_ELEMENT_H
#define NATRIG_NETNS_ELEMENT_H

#include "netns/netlink.h"

/*
 * Brings the end of each element of SET (in table `inet router`) nearer by US;
 * those that have less are deleted. NL is a netfilter socket in the router's
 * namespace. The kernel counts in milliseconds: up to one is lost a call.
 */
int element_age(struct netlink *nl, const char *set, uint64_t us,
		const char *where, struct err *err);

#endif

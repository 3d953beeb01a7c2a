/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lab_own: what the lab_*.c files share and nobody else sees.
 *
 *   lab.c         lab_new, lab_free, entering a namespace, processes
 *   lab_plan.c    checks a plan and gives out addresses; touches no kernel
 *   lab_ns.c      namespaces, sysctls
 *   lab_build.c   links, addresses, routes
 *   lab_link.c    links that go and come
 *   lab_router.c  rulesets, daemons, flush, reboot, renumber, set
 *   lab_engine.c  routers whose NAT is our own engine
 *   lab_block.c   blocks
 *   lab_age.c     lab time for what the kernel holds
 */
#ifndef NATRIG_NETNS_LAB_OWN_H
#define NATRIG_NETNS_LAB_OWN_H

#include "netns/conntrack.h"
#include "netns/lab.h"
#include "netns/natbox.h"
#include "netns/netlink.h"
#include "netns/portmapd.h"

#define LAB_INTERNET_NET 0x19000000U  /* 25.0.0.0 */
#define LAB_INTERNET_BITS 8
/*
 * As many as have been tried: 1,000 homes and servers. The kernel's own limits
 * are near: a broadcast must fit the queue of the CPU that it is sent on
 * (net.core.netdev_max_backlog, 1,000), and all namespaces share one table of
 * neighbours (net.ipv4.neigh.default.gc_thresh3, 1,024).
 */
#define LAB_INTERNET_MAX_NODES 1023

/* Fixed interface indexes, so that no message has to ask for one. */
enum {
	LAB_INDEX_LO = 1,
	LAB_INDEX_FIRST = 2,  /* eth0, wan */
	LAB_INDEX_LAN = 3,    /* router: lan */
	LAB_INDEX_PORTS = 10, /* ports of a bridge: this + the node's index */
	/* In the internet's namespace. Not 2: a device whose lower one has the
	 * same index is taken for one without, and comes up a second later. */
	LAB_INDEX_INTERNET = 8,
	LAB_INDEX_NOWHERE = 9,
};

struct lab_blocked {
	unsigned x, y; /* node indexes */
	int proto;
	uint16_t port;
};

struct lab_node_own {
	unsigned index;
	unsigned members;	/* routers: nodes on its LAN */
	uint32_t lan_net;	/* routers */
	uint32_t next_member_ip; /* routers: next free on the LAN */
	bool blocks_loaded;	/* has a table of blocks */
	struct portmapd *daemon;
	struct conntrack *conntrack; /* routers; opened when first needed */
	struct natbox *box;	/* routers with an engine */
	uint32_t engine_starts;
};

struct lab_own {
	struct lab_node_own *nodes;
	int home_ns_fd;
	struct netlink internet; /* rtnetlink in the internet's namespace */
	struct netlink_batch batch;
	int low_fd; /* keeps a low number free for nftables, see lab.c */
	struct lab_blocked *blocked;
	unsigned blocked_count;
	bool internet_blocks_loaded;
	bool ages;
	uint32_t next_wan_ip;
	int boxes_fd; /* epoll: packets for the boxes of engines */
	unsigned box_count;
	int files_fd; /* private tmpfs of the daemons; -1: none */
	pid_t *children;
	unsigned child_count;
};

/* lab_plan.c */
int lab_plan_check(const struct lab_plan *plan, struct err *err);
int lab_plan_addresses(struct lab *lab, struct err *err);
/* The router of NODE, or NULL on the internet. */
struct lab_node *lab_router_of(const struct lab *lab,
			       const struct lab_node *node);
/* The outermost NAT that NODE's packets pass, or NODE itself. */
const struct lab_node *lab_public_node(const struct lab *lab,
				       const struct lab_node *node);
uint32_t lab_mask(unsigned bits);

/* lab.c */
int lab_enter_fd(int ns_fd, const char *name, struct err *err);
/*
 * Runs nft's own words in the calling thread's namespace. What nft prints (with
 * rules' handles) goes to *OUTPUT, which the caller frees; NULL: not wanted.
 */
int lab_nft(struct lab *lab, const char *text, char **output,
	    const char *where, struct err *err);

/* lab_ns.c */
int lab_namespaces(struct lab *lab, struct netlink *sockets, struct err *err);
/* PROC_FD is a /proc, -1: the one at hand. */
int lab_sysctl(int proc_fd, const char *name, const char *value,
	       struct err *err);

/* lab_build.c */
int lab_build(struct lab *lab, struct err *err);
/* Queues an IPv4 address of the interface with that index. */
void lab_put_address(struct netlink_batch *batch, const char *what, bool add,
		     unsigned ifindex, uint32_t ip, unsigned bits);
/*
 * Queues the router's addresses outside but for the first. They belong to no
 * net, lest they go with the first one.
 */
void lab_put_pool(struct netlink_batch *batch, const char *what, bool add,
		  const struct lab_node *router);
/* Queues a route; NET 0 with 0 BITS is the default route. */
void lab_put_route(struct netlink_batch *batch, const char *what, bool add,
		   uint32_t net, unsigned bits, uint32_t gateway);
void lab_put_flags(struct netlink_batch *batch, const char *what,
		   unsigned ifindex, bool up);
/* Queues into an RTM_NEWLINK what a node on the internet is, or was cut off. */
void lab_put_macvlan(struct nlmsghdr *nlh, bool connected);

/* lab_link.c */
/* Waits until the link (0: each one) in NL's namespace can send. */
int lab_settle(struct netlink *nl, unsigned ifindex, const char *where,
	       struct err *err);

/* lab_router.c; the calling thread is in the router's namespace */
int lab_router_rules(struct lab *lab, const struct lab_node *router, bool fresh,
		     struct err *err);
/* Those that were others before; WAS NULL: the kernel still has its own. */
int lab_router_timeouts(int proc_fd, const struct lab_node *router,
			const struct nat *was, struct err *err);
int lab_router_daemon(struct lab *lab, struct lab_node *router,
		      struct err *err);
/* Only a router without an engine lets the kernel forward. */
int lab_router_forwarding(int proc_fd, const struct lab_node *router,
			  struct err *err);
/*
 * Tells (or, with ADD false, un-tells) the nodes around each router that does
 * not translate by what way its LAN is reached.
 */
int lab_announce(struct lab *lab, bool add, struct err *err);

/* lab_engine.c; the calling thread is in the router's namespace */
/* Makes the router's box, or has it begin anew as the router now is. */
int lab_engine_start(struct lab *lab, struct lab_node *router, struct err *err);
/* Where there is none, nothing happens. */
void lab_engine_end(struct lab *lab, struct lab_node *router,
		    struct closing **closing);

/* lab_block.c */
int lab_blocks_load(struct lab *lab, struct err *err);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lab: the world as the kernel has it: namespaces, links, addresses, routes,
 * NAT, firewall, port-mapping daemons. It knows no protocol above UDP and TCP.
 *
 * lab_new(plan) builds everything in this process through netlink and one
 * libnftables context (nothing is forked but miniupnpd) -> lab_free. Must run
 * inside a sandbox. The calling thread's own namespace is the same before and
 * after each call.
 *
 * Address plan (deterministic, by order in the plan):
 *   internet   25.0.0.0/8, one segment with a namespace of its own
 *   routers    25.0.x.y, from 25.0.0.1 up (WAN), also hosts on the internet
 *              from 25.128.0.1; servers from 25.255.0.1
 *   LANs       192.168.N.0/24 for the N-th router (10.x.y.0/24 from the 255th)
 *              router .1, members from .2 up
 * A router behind another router has its WAN address on the other's LAN. One
 * with a pool has that many addresses outside, one after the other.
 */
#ifndef NATRIG_NETNS_LAB_H
#define NATRIG_NETNS_LAB_H

#include "netns/clock.h"
#include "netns/nat.h"

#include <sys/types.h>

enum lab_kind { LAB_HOST, LAB_ROUTER, LAB_SERVER };

enum { LAB_PORTMAP_UPNP = 1, LAB_PORTMAP_NAT_PMP = 2, LAB_PORTMAP_PCP = 4 };

struct lab_plan_node {
	char name[64];
	enum lab_kind kind;
	int router;	  /* index into the plan of the router it is behind (it
			   * may come later in the plan); -1: the internet */
	struct nat nat;	  /* routers */
	unsigned portmap; /* routers: LAB_PORTMAP_* */
	/* Routers: an engine also for what netfilter can do; for comparison. */
	bool force_engine;
};

struct lab_plan {
	struct lab_plan_node *nodes;
	unsigned count;
	/* Time will be skipped: routers tell of their flows from the start,
	 * which makes the first lab_age cheap. */
	bool ages;
};

struct lab_iface {
	char name[16]; /* "eth0", "wan", "lan" */
	uint8_t mac[6];
	uint32_t ip;   /* host byte order */
	unsigned prefix_bits;
};

struct lab_node {
	struct lab_plan_node plan; /* current: `set` changes it */
	int ns_fd;
	struct lab_iface ifaces[2]; /* host, server: eth0; router: wan, lan */
	unsigned iface_count;
	uint32_t gateway_ip; /* 0 on the internet */
	/* A router's outside addresses but for the first, ifaces[0].ip. */
	uint32_t pool_ips[NAT_MAX_POOL - 1];
	/* private to netns/ from here */
	struct lab_node_own *own;
};

struct lab {
	struct lab_node *nodes; /* same order as the plan */
	unsigned count;
	int internet_ns_fd;
	struct lab_own *own;
};

/* Is this router's NAT our own engine, and not the kernel's? */
bool lab_wants_engine(const struct lab_plan_node *node);
/*
 * 0, or -ENOTSUP and why where there can be no such router. What lab_new and
 * lab_set refuse is known before there is a lab.
 */
int lab_router_supported(const struct lab_plan_node *node, struct err *err);

int lab_new(const struct lab_plan *plan, struct lab **lab, struct err *err);
/* Checked, with addresses given, and nothing built: to look at, and to free. */
int lab_sketch(const struct lab_plan *plan, struct lab **lab, struct err *err);
/* Ends the daemons, drops the namespaces; NULL is legal. */
void lab_free(struct lab *lab);

/*
 * Puts the calling thread into the node's network namespace; lab_leave puts
 * it back. Sockets opened in between stay in the namespace.
 */
int lab_enter(struct lab *lab, const struct lab_node *node, struct err *err);
void lab_leave(struct lab *lab);

/*
 * The node's own stack hears nothing from now on (but ARP), and so answers
 * nothing: who crafts packets there hears through packet sockets.
 */
int lab_deafen(struct lab *lab, const struct lab_node *node, struct err *err);
/* The largest packet that the node's first interface sends. */
int lab_mtu(struct lab *lab, const struct lab_node *node, unsigned bytes,
	    struct err *err);

/* A router's outside addresses, in the pool's order; of others: its own. */
unsigned lab_wan_ips(const struct lab_node *node, uint32_t ips[NAT_MAX_POOL]);

/*
 * The address by which NODE is seen on the internet if no NAT re-maps it: of a
 * NAT with a pool the first one, by which it may well not be seen.
 */
uint32_t lab_public_ip(const struct lab *lab, const struct lab_node *node);
/*
 * The port there that a port mapping gives to NODE's UDP port PORT, which is
 * PORT itself where there is no such mapping; or -errno.
 */
int lab_public_port(const struct lab *lab, const struct lab_node *node,
		    uint16_t port, struct err *err);

/* --- routers with an engine --------------------------------------------- */

/*
 * Their packets pass through this process: whoever runs a lab waits for lab_fd
 * to be readable and calls lab_serve, and lab_on_timer by lab_deadline. In a
 * lab without such routers nothing ever comes of either. Times are lab time.
 */
int lab_fd(const struct lab *lab);
/* The number of sockets served, or a negative errno. */
int lab_serve(struct lab *lab, uint64_t now_us, struct err *err);
/* UINT64_MAX where nothing is due. */
uint64_t lab_deadline(const struct lab *lab);
void lab_on_timer(struct lab *lab, uint64_t now_us);

/* --- what happens to routers ------------------------------------------- */

/* Conntrack only; an engine forgets its mappings. */
int lab_flush(struct lab *lab, struct lab_node *router, struct err *err);
/* All NAT state, port mappings and leases gone; same addresses. */
int lab_reboot(struct lab *lab, struct lab_node *router, struct err *err);
/* A new, unused WAN address; NAT state of the old one is gone. */
int lab_renumber(struct lab *lab, struct lab_node *router, struct err *err);
/*
 * New behaviour (but no pool of another size) or portmap, keeping conntrack
 * (and leases where the daemon stays). An engine whose behaviour changes begins
 * anew, and so does a router that gets or loses one. A daemon that is newly
 * wanted is started, but see lab_ready.
 */
int lab_set(struct lab *lab, struct lab_node *router, const struct nat *nat,
	    unsigned portmap, struct err *err);

/*
 * True once every port-mapping daemon waits for questions on its LAN; cheap to
 * poll. -errno when a daemon has died: err has its last words.
 */
int lab_ready(struct lab *lab, bool *ready, struct err *err);

/* Link of the node to its router or the internet (of a router: its WAN). */
int lab_link(struct lab *lab, struct lab_node *node, bool up, struct err *err);

/*
 * Drops packets from X to Y. PROTO 0 (all), IPPROTO_UDP or IPPROTO_TCP; PORT 0
 * for all, else the destination port. Where X is behind a router that router
 * drops them on their way out (they leave x, and die at its router); where X
 * is on the internet the internet drops them. Y behind a router stands for
 * that router's public address when it is its only host, else Y's own router
 * drops them on their way in. Blocking twice is the same as once.
 */
int lab_block(struct lab *lab, struct lab_node *x, struct lab_node *y,
	      int proto, uint16_t port, struct err *err);
/* -ENOENT where no such block stands. */
int lab_unblock(struct lab *lab, struct lab_node *x, struct lab_node *y,
		int proto, uint16_t port, struct err *err);

/* --- time ---------------------------------------------------------------- */

/*
 * Ages every router's kernel state by US: conntrack entries, dynamic set and
 * map elements, leases of the port-mapping daemon.
 */
int lab_age(struct lab *lab, uint64_t us, struct err *err);

/*
 * True when every port-mapping daemon waits with empty queues: none has
 * anything left to answer. Holds only where natrig and its children share one
 * CPU.
 */
bool lab_daemons_idle(const struct lab *lab);
/*
 * True while the kernel holds a daemon up: it has one lock for the links of all
 * namespaces, which is taken for seconds where many labs are cleared away.
 */
bool lab_daemons_held_up(const struct lab *lab);

/*
 * A process in the node's namespace that dies with the lab. STDIO becomes its
 * descriptors 0 to 2; -1 there is /dev/null. ENV NULL: natrig's own.
 */
pid_t lab_spawn(struct lab *lab, struct lab_node *node, const char *const *argv,
		const char *const *env, const int stdio[static 3],
		struct err *err);

#endif

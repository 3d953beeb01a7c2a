/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Builds the world in three sweeps: namespaces (with all that needs no link:
 * sysctls, rulesets), then every link through one socket, born with both ends
 * where they belong (moving one costs 20 ms), then addresses and routes.
 */
#include "netns/lab_own.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <arpa/inet.h>
#include <net/if.h>

/* Kernel datagrams stay well below the socket's buffer. */
#define BATCH_BYTES 65536

struct building {
	struct lab *lab;
	struct netlink *sockets; /* by node: rtnetlink in its namespace */
};

/* --- links ---------------------------------------------------------------- */

static struct ifinfomsg *put_link(struct nlmsghdr *nlh, unsigned ifindex)
{
	struct ifinfomsg *link = netlink_extra(nlh, sizeof(*link));

	link->ifi_family = AF_UNSPEC;
	link->ifi_index = (int)ifindex;
	return link;
}

void lab_put_flags(struct netlink_batch *batch, const char *what,
		   unsigned ifindex, bool up)
{
	struct nlmsghdr *nlh = netlink_begin(batch, what, RTM_NEWLINK, 0);
	struct ifinfomsg *link;

	if (!nlh)
		return;
	link = put_link(nlh, ifindex);
	link->ifi_change = IFF_UP;
	link->ifi_flags = up ? IFF_UP : 0;
	netlink_end(batch);
}

/*
 * One packet, one segment: with more, a recording would show TCP segments
 * larger than any link carries. One queue is enough, and cheaper.
 */
static void put_end(struct nlmsghdr *nlh, const char *name,
		    const uint8_t mac[static 6], int ns_fd)
{
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put(nlh, IFLA_ADDRESS, 6, mac);
	mnl_attr_put_u32(nlh, IFLA_GSO_MAX_SEGS, 1);
	mnl_attr_put_u32(nlh, IFLA_NUM_TX_QUEUES, 1);
	mnl_attr_put_u32(nlh, IFLA_NUM_RX_QUEUES, 1);
	if (ns_fd >= 0)
		mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)ns_fd);
}

struct link_end {
	const char *name;
	const uint8_t *mac;
	unsigned ifindex;
	int ns_fd;
	unsigned bridge; /* ifindex; 0: none */
};

/* The near end is up at once; the far one can only be once both exist. */
static void put_veth(struct netlink_batch *batch, const struct link_end *near,
		     const struct link_end *far)
{
	struct nlmsghdr *nlh = netlink_begin(batch, "make a veth", RTM_NEWLINK,
					     NLM_F_CREATE | NLM_F_EXCL);
	struct nlattr *info, *data, *peer;
	struct ifinfomsg *link;

	if (!nlh)
		return;
	link = put_link(nlh, near->ifindex);
	link->ifi_flags = link->ifi_change = IFF_UP;
	put_end(nlh, near->name, near->mac, near->ns_fd);
	if (near->bridge)
		mnl_attr_put_u32(nlh, IFLA_MASTER, near->bridge);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
	put_link(nlh, far->ifindex);
	put_end(nlh, far->name, far->mac, far->ns_fd);
	mnl_attr_nest_end(nlh, peer);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
	netlink_end(batch);
}

/* A bridge that only switches: no spanning tree, no multicast cleverness. */
static void put_bridge(struct netlink_batch *batch,
		       const struct lab_iface *iface, int ns_fd)
{
	struct nlmsghdr *nlh = netlink_begin(batch, "make a bridge",
					     RTM_NEWLINK,
					     NLM_F_CREATE | NLM_F_EXCL);
	struct nlattr *info, *data;
	struct ifinfomsg *link;

	if (!nlh)
		return;
	link = put_link(nlh, LAB_INDEX_LAN);
	link->ifi_flags = link->ifi_change = IFF_UP;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, iface->name);
	mnl_attr_put(nlh, IFLA_ADDRESS, 6, iface->mac);
	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)ns_fd);
	mnl_attr_put_u32(nlh, IFLA_GSO_MAX_SEGS, 1);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "bridge");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	mnl_attr_put_u32(nlh, IFLA_BR_STP_STATE, 0);
	mnl_attr_put_u32(nlh, IFLA_BR_FORWARD_DELAY, 0);
	mnl_attr_put_u8(nlh, IFLA_BR_MCAST_SNOOPING, 0);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
	netlink_end(batch);
}

void lab_put_macvlan(struct nlmsghdr *nlh, bool connected)
{
	struct nlattr *info, *data;

	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "macvlan");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	mnl_attr_put_u32(nlh, IFLA_MACVLAN_MODE,
			 connected ? MACVLAN_MODE_BRIDGE
				   : MACVLAN_MODE_PRIVATE);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
}

/*
 * The internet is a switch without a bridge: macvlans of one lower device
 * reach each other through it. To clear a bridge away, the kernel keeps its
 * lock on all links for an RCU barrier: 17 ms a lab, in which no other lab can
 * be built. What is sent to nobody goes to the other end, where nobody is.
 */
static void put_internet(struct netlink_batch *batch)
{
	static const uint8_t near_mac[6] = {2, 2, 25, 0, 0, 0};
	static const uint8_t far_mac[6] = {2, 2, 25, 0, 0, 1};
	const struct link_end near = {"internet", near_mac, LAB_INDEX_INTERNET,
				      -1, 0};
	const struct link_end far = {"nowhere", far_mac, LAB_INDEX_NOWHERE, -1,
				     0};

	put_veth(batch, &near, &far);
	lab_put_flags(batch, "bring the internet up", LAB_INDEX_NOWHERE, true);
}

/* Comes up with its namespace's other links. */
static void put_internet_link(struct netlink_batch *batch,
			      const struct link_end *end)
{
	struct nlmsghdr *nlh = netlink_begin(batch, "make a macvlan",
					     RTM_NEWLINK,
					     NLM_F_CREATE | NLM_F_EXCL);

	if (!nlh)
		return;
	put_link(nlh, end->ifindex);
	put_end(nlh, end->name, end->mac, end->ns_fd);
	mnl_attr_put_u32(nlh, IFLA_LINK, LAB_INDEX_INTERNET);
	lab_put_macvlan(nlh, true);
	netlink_end(batch);
}

static bool has_lan_bridge(const struct lab_node *router)
{
	return router->own->members > 1;
}

static void put_node_link(struct lab *lab, const struct lab_node *node)
{
	const struct lab_iface *iface = &node->ifaces[0];
	const struct lab_node *router = lab_router_of(lab, node);
	const struct link_end far = {iface->name, iface->mac, LAB_INDEX_FIRST,
				     node->ns_fd, 0};
	struct link_end near;
	uint8_t port_mac[6];
	char name[16];

	if (!router) {
		put_internet_link(&lab->own->batch, &far);
		return;
	}
	near = (struct link_end){name, port_mac,
				 LAB_INDEX_PORTS + node->own->index,
				 router->ns_fd, LAB_INDEX_LAN};
	snprintf(name, sizeof(name), "port%u", node->own->index);
	memcpy(port_mac, iface->mac, 6);
	port_mac[1] = 1;
	if (!has_lan_bridge(router)) {
		near.name = router->ifaces[1].name;
		near.mac = router->ifaces[1].mac;
		near.ifindex = LAB_INDEX_LAN;
		near.bridge = 0;
	}
	put_veth(&lab->own->batch, &near, &far);
}

/* A LAN with nobody on it yet is a bridge too: `lan` always exists. */
static void put_lan_bridge(struct lab *lab, const struct lab_node *router)
{
	if (router->plan.kind == LAB_ROUTER && router->own->members != 1)
		put_bridge(&lab->own->batch, &router->ifaces[1],
			   router->ns_fd);
}

static int send_links(struct lab *lab, bool all, struct err *err)
{
	if (!all && lab->own->batch.used_bytes < BATCH_BYTES)
		return 0;
	return netlink_send(&lab->own->internet, &lab->own->batch,
			    "the lab's links", 0, err);
}

static int make_links(struct lab *lab, struct err *err)
{
	int code = 0;

	lab_put_flags(&lab->own->batch, "bring lo up", LAB_INDEX_LO, true);
	put_internet(&lab->own->batch);
	for (unsigned i = 0; i < lab->count && !code; i++) {
		put_lan_bridge(lab, &lab->nodes[i]);
		code = send_links(lab, false, err);
	}
	for (unsigned i = 0; i < lab->count && !code; i++) {
		put_node_link(lab, &lab->nodes[i]);
		code = send_links(lab, false, err);
	}
	return code ? code : send_links(lab, true, err);
}

/* --- addresses and routes ------------------------------------------------- */

void lab_put_address(struct netlink_batch *batch, const char *what, bool add,
		     unsigned ifindex, uint32_t ip, unsigned bits)
{
	uint16_t flags = add ? NLM_F_CREATE | NLM_F_EXCL : 0;
	struct nlmsghdr *nlh = netlink_begin(batch, what, add ? RTM_NEWADDR
							      : RTM_DELADDR,
					     flags);
	struct ifaddrmsg *address;

	if (!nlh)
		return;
	address = netlink_extra(nlh, sizeof(*address));
	address->ifa_family = AF_INET;
	address->ifa_prefixlen = (uint8_t)bits;
	address->ifa_index = ifindex;
	mnl_attr_put_u32(nlh, IFA_LOCAL, htonl(ip));
	mnl_attr_put_u32(nlh, IFA_ADDRESS, htonl(ip));
	netlink_end(batch);
}

void lab_put_pool(struct netlink_batch *batch, const char *what, bool add,
		  const struct lab_node *router)
{
	uint32_t ips[NAT_MAX_POOL];
	unsigned count = lab_wan_ips(router, ips);

	for (unsigned i = 1; i < count; i++)
		lab_put_address(batch, what, add, LAB_INDEX_FIRST, ips[i], 32);
}

void lab_put_route(struct netlink_batch *batch, const char *what, bool add,
		   uint32_t net, unsigned bits, uint32_t gateway)
{
	uint16_t flags = add ? NLM_F_CREATE | NLM_F_REPLACE : 0;
	struct nlmsghdr *nlh = netlink_begin(batch, what, add ? RTM_NEWROUTE
							      : RTM_DELROUTE,
					     flags);
	struct rtmsg *route;

	if (!nlh)
		return;
	route = netlink_extra(nlh, sizeof(*route));
	route->rtm_family = AF_INET;
	route->rtm_dst_len = (uint8_t)bits;
	route->rtm_table = RT_TABLE_MAIN;
	route->rtm_protocol = RTPROT_STATIC;
	route->rtm_scope = RT_SCOPE_UNIVERSE;
	route->rtm_type = RTN_UNICAST;
	if (bits)
		mnl_attr_put_u32(nlh, RTA_DST, htonl(net));
	mnl_attr_put_u32(nlh, RTA_GATEWAY, htonl(gateway));
	netlink_end(batch);
}

static int configure(struct building *b, struct lab_node *node, struct err *err)
{
	struct netlink_batch *batch = &b->lab->own->batch;

	lab_put_flags(batch, "bring lo up", LAB_INDEX_LO, true);
	lab_put_flags(batch, "bring its link up", LAB_INDEX_FIRST, true);
	for (unsigned i = 0; i < node->iface_count; i++)
		lab_put_address(batch, "set an address", true,
				LAB_INDEX_FIRST + i, node->ifaces[i].ip,
				node->ifaces[i].prefix_bits);
	lab_put_pool(batch, "set an address of its pool", true, node);
	if (node->gateway_ip)
		lab_put_route(batch, "set its default route", true, 0, 0,
			      node->gateway_ip);
	return netlink_send(&b->sockets[node->own->index], batch,
			    node->plan.name, 0, err);
}

/* Daemons take 50 ms to start, so theirs are the first routers to be whole. */
static int configure_all(struct building *b, bool with_daemon, struct err *err)
{
	int code = 0;

	for (unsigned i = 0; i < b->lab->count && !code; i++) {
		struct lab_node *node = &b->lab->nodes[i];

		if ((node->plan.portmap != 0) != with_daemon)
			continue;
		code = configure(b, node, err);
		if (code || !with_daemon)
			continue;
		code = lab_enter(b->lab, node, err);
		if (!code)
			code = lab_router_daemon(b->lab, node, err);
	}
	return code;
}

/*
 * The far end of a link brings the near one's carrier up, but the kernel lets
 * the near one send only when its own worker has been round.
 */
static int settle_all(struct building *b, struct err *err)
{
	struct lab *lab = b->lab;
	int code = lab_settle(&lab->own->internet, 0, "the internet", err);

	for (unsigned i = 0; i < lab->count && !code; i++)
		if (lab->nodes[i].plan.kind == LAB_ROUTER)
			code = lab_settle(&b->sockets[i], 0,
					  lab->nodes[i].plan.name, err);
	return code;
}

/* They listen to links, which must be there. */
static int start_engines(struct lab *lab, struct err *err)
{
	int code = 0;

	for (unsigned i = 0; i < lab->count && !code; i++) {
		if (!lab_wants_engine(&lab->nodes[i].plan))
			continue;
		code = lab_enter(lab, &lab->nodes[i], err);
		if (!code)
			code = lab_engine_start(lab, &lab->nodes[i], err);
	}
	return code;
}

static int make_world(struct building *b, struct err *err)
{
	struct lab *lab = b->lab;
	int code = lab_namespaces(lab, b->sockets, err);

	if (!code)
		code = make_links(lab, err);
	if (!code)
		code = start_engines(lab, err);
	if (!code)
		code = configure_all(b, true, err);
	if (!code)
		code = configure_all(b, false, err);
	if (!code)
		code = lab_announce(lab, true, err);
	return code ? code : settle_all(b, err);
}

int lab_build(struct lab *lab, struct err *err)
{
	struct building b = {.lab = lab};
	int code;

	b.sockets = malloc((lab->count + 1) * sizeof(*b.sockets));
	if (!b.sockets)
		return err_set(err, ENOMEM, "no memory for %u sockets",
			       lab->count);
	for (unsigned i = 0; i <= lab->count; i++)
		b.sockets[i].fd = -1;
	code = make_world(&b, err);
	for (unsigned i = 0; i <= lab->count; i++)
		netlink_close(&b.sockets[i]);
	free(b.sockets);
	return code;
}

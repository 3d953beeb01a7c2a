/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Builds the world in three sweeps: namespaces (with all that needs no link:
 * sysctls, rulesets), then every link through one socket, born with both ends
 * where they belong (moving one costs 20 ms), then addresses and routes.
 */
#include "netns/lab_own.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <arpa/inet.h>
#include <net/if.h>

/* Kernel datagrams stay well below the socket's buffer. */
#define BATCH_BYTES 65536
/* Below this many nodes a lab does without: a mount costs 1 ms at its end. */
#define PROC_USES 64

/* What each namespace gave us while we were in it. */
struct building {
	struct lab *lab;
	struct netlink *sockets; /* by node: rtnetlink */
	const char *skip[12];	 /* sysctls that already have their value */
	unsigned skip_count;
	bool usual_timeouts;	 /* the kernel's own are 30 s and 120 s */
	int proc_fd;		 /* see fresh_proc */
	unsigned proc_uses;
};

int lab_sysctl(int proc_fd, const char *name, const char *value,
	       struct err *err)
{
	char path[128];
	int fd, code = 0;

	snprintf(path, sizeof(path), "%ssys/net/%s", proc_fd < 0 ? "/proc/" : "",
		 name);
	fd = openat(proc_fd, path, O_WRONLY | O_CLOEXEC);
	/* A kernel without IPv6 or br_netfilter needs none of their sysctls. */
	if (fd < 0 && errno == ENOENT &&
	    (strncmp(name, "ipv6/", 5) == 0 || strncmp(name, "bridge/", 7) == 0))
		return 0;
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		code = err_set(err, errno, "cannot set %s to %s: %s", path,
			       value, strerror(errno));
	if (fd >= 0)
		close(fd);
	return code;
}

struct sysctl {
	const char *name, *value;
};

/*
 * IPv6 off before any link is up, lest its chatter be recorded. No reverse
 * path filter: it is inherited from the host, and would drop what a NAT is
 * being tested with. Redirects would tell hosts of hairpins.
 */
static const struct sysctl all_sysctls[] = {
	{"ipv6/conf/all/disable_ipv6", "1"},
	{"ipv4/conf/all/rp_filter", "0"},
	{"ipv4/conf/default/rp_filter", "0"},
};
/* With br_netfilter, neighbours on a bridge would pass the router's NAT. */
static const struct sysctl bridge_sysctls[] = {
	{"bridge/bridge-nf-call-iptables", "0"},
};
/* Packet counters tell lab_age which flows were refreshed. */
static const struct sysctl router_sysctls[] = {
	{"ipv4/ip_forward", "1"},
	{"ipv4/conf/all/send_redirects", "0"},
	{"ipv4/conf/default/send_redirects", "0"},
	{"netfilter/nf_conntrack_acct", "1"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Also where there is no such sysctl and none is needed. */
static bool sysctl_has(const char *name, const char *value)
{
	char path[128], found[16] = "";
	ssize_t bytes = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT;
	bytes = read(fd, found, sizeof(found) - 1);
	close(fd);
	found[bytes > 0 ? bytes - 1 : 0] = 0;
	return strcmp(found, value) == 0;
}

static void look_at(struct building *b, const struct sysctl *sysctls,
		    unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (sysctl_has(sysctls[i].name, sysctls[i].value))
			b->skip[b->skip_count++] = sysctls[i].name;
}

/* All fresh namespaces start alike: what the first one has need not be set. */
static void look_at_sysctls(struct building *b)
{
	b->skip_count = 0;
	look_at(b, all_sysctls, COUNT(all_sysctls));
	look_at(b, bridge_sysctls, COUNT(bridge_sysctls));
	look_at(b, router_sysctls, COUNT(router_sysctls));
	b->usual_timeouts =
		sysctl_has("netfilter/nf_conntrack_udp_timeout", "30") &&
		sysctl_has("netfilter/nf_conntrack_udp_timeout_stream", "120");
}

/*
 * The kernel finds a namespace's sysctl by walking those of all namespaces
 * that were looked at through the same mount: with 2,000 of them that is most
 * of the time. So each few dozen have a /proc of their own, mounted nowhere.
 */
static void fresh_proc(struct building *b)
{
	int fs;

	if (b->lab->count < PROC_USES || b->proc_uses++ % PROC_USES)
		return;
	if (b->proc_fd >= 0)
		close(b->proc_fd);
	b->proc_fd = -1; /* /proc itself will do, only slower */
	fs = fsopen("proc", FSOPEN_CLOEXEC);
	if (fs < 0)
		return;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		b->proc_fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	close(fs);
}

static bool has_usual_timeouts(const struct building *b, const struct nat *nat)
{
	return b->usual_timeouts && nat->udp_timeout_s == 30 &&
	       nat->udp_stream_timeout_s == 120;
}

static int set_sysctls(const struct building *b, const struct sysctl *sysctls,
		       unsigned count, struct err *err)
{
	for (unsigned i = 0; i < count; i++) {
		bool skip = false;
		int code;

		for (unsigned j = 0; j < b->skip_count; j++)
			skip |= b->skip[j] == sysctls[i].name;
		code = skip ? 0 : lab_sysctl(b->proc_fd, sysctls[i].name,
					     sysctls[i].value, err);
		if (code)
			return code;
	}
	return 0;
}

/* The calling thread is in the new namespace afterwards. */
static int make_namespace(const char *name, int *ns_fd, struct netlink *nl,
			  struct err *err)
{
	if (unshare(CLONE_NEWNET))
		return err_set(err, errno, "%s: cannot make a network "
			       "namespace: %s%s", name, strerror(errno),
			       errno == ENOSPC ? "; raise user.max_net_"
						 "namespaces with sysctl" : "");
	*ns_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (*ns_fd < 0)
		return err_set(err, errno, "%s: cannot hold its network "
			       "namespace: %s%s", name, strerror(errno),
			       errno == EMFILE ? "; raise the limit of open "
						 "files (ulimit -n)" : "");
	return netlink_open(nl, NETLINK_ROUTE, err);
}

static int make_node(struct building *b, struct lab_node *node, struct err *err)
{
	struct netlink *nl = &b->sockets[node->own->index];
	int code;

	fresh_proc(b);
	code = make_namespace(node->plan.name, &node->ns_fd, nl, err);

	if (!code)
		code = set_sysctls(b, all_sysctls, COUNT(all_sysctls), err);
	if (code || node->plan.kind != LAB_ROUTER)
		return code;
	code = set_sysctls(b, router_sysctls, COUNT(router_sysctls), err);
	if (!code)
		code = set_sysctls(b, bridge_sysctls, COUNT(bridge_sysctls),
				   err);
	if (!code && !has_usual_timeouts(b, &node->plan.nat))
		code = lab_router_timeouts(b->proc_fd, node, err);
	if (!code)
		code = lab_router_rules(b->lab, node, true, err);
	return code;
}

/* --- links ----------------------------------------------------------------- */

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
static void put_bridge(struct netlink_batch *batch, const char *name,
		       unsigned ifindex, const uint8_t mac[static 6], int ns_fd)
{
	struct nlmsghdr *nlh = netlink_begin(batch, "make a bridge",
					     RTM_NEWLINK,
					     NLM_F_CREATE | NLM_F_EXCL);
	struct nlattr *info, *data;
	struct ifinfomsg *link;

	if (!nlh)
		return;
	link = put_link(nlh, ifindex);
	link->ifi_flags = link->ifi_change = IFF_UP;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put(nlh, IFLA_ADDRESS, 6, mac);
	if (ns_fd >= 0)
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

static bool has_lan_bridge(const struct lab_node *router)
{
	return router->own->members > 1;
}

static void put_node_link(struct lab *lab, const struct lab_node *node)
{
	const struct lab_iface *iface = &node->ifaces[0];
	const struct lab_node *router = lab_router_of(lab, node);
	uint8_t port_mac[6];
	char name[16];
	struct link_end far = {iface->name, iface->mac, LAB_INDEX_FIRST,
			       node->ns_fd, 0};
	struct link_end near = {name, port_mac,
				LAB_INDEX_PORTS + node->own->index, -1,
				LAB_INDEX_FIRST};

	snprintf(name, sizeof(name), "port%u", node->own->index);
	memcpy(port_mac, iface->mac, 6);
	port_mac[1] = 1;
	if (router) {
		near.ns_fd = router->ns_fd;
		near.bridge = LAB_INDEX_LAN;
	}
	if (router && !has_lan_bridge(router)) {
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
		put_bridge(&lab->own->batch, router->ifaces[1].name,
			   LAB_INDEX_LAN, router->ifaces[1].mac, router->ns_fd);
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
	static const uint8_t mac[6] = {2, 2, 25, 0, 0, 0};
	int code = 0;

	lab_put_flags(&lab->own->batch, "bring lo up", LAB_INDEX_LO, true);
	put_bridge(&lab->own->batch, "internet", LAB_INDEX_FIRST, mac, -1);
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

/* --- addresses and routes -------------------------------------------------- */

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

static int make_world(struct building *b, struct err *err)
{
	struct lab *lab = b->lab;
	int code = make_namespace("the internet", &lab->internet_ns_fd,
				  &lab->own->internet, err);

	if (code)
		return code;
	look_at_sysctls(b);
	code = set_sysctls(b, all_sysctls, COUNT(all_sysctls), err);
	if (!code)
		code = set_sysctls(b, bridge_sysctls, COUNT(bridge_sysctls),
				   err);
	for (unsigned i = 0; i < lab->count && !code; i++)
		code = make_node(b, &lab->nodes[i], err);
	if (!code)
		code = make_links(lab, err);
	if (!code)
		code = configure_all(b, true, err);
	if (!code)
		code = configure_all(b, false, err);
	if (!code)
		code = lab_announce(lab, true, err);
	return code;
}

int lab_build(struct lab *lab, struct err *err)
{
	struct building b = {.lab = lab, .proc_fd = -1};
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
	if (b.proc_fd >= 0)
		close(b.proc_fd);
	return code;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "netns/lab_own.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define RULESET_BYTES 8192

/* Says so when NODE is no router. */
static int need_router(const struct lab_node *node, const char *what,
		       struct err *err)
{
	if (node->plan.kind == LAB_ROUTER)
		return 0;
	return err_set(err, EINVAL, "%s: cannot %s it: it is not a router",
		       node->plan.name, what);
}

int lab_router_rules(struct lab *lab, const struct lab_node *router, bool fresh,
		     struct err *err)
{
	struct nat_place place = {
		.wan = router->ifaces[0].name,
		.lan = router->ifaces[1].name,
		.wan_ip = router->ifaces[0].ip,
		.lan_net = router->own->lan_net,
		.lan_mask = lab_mask(router->ifaces[1].prefix_bits),
		.portmap = router->plan.portmap != 0,
		.fresh = fresh,
		.engine = lab_wants_engine(&router->plan),
	};
	uint32_t ips[NAT_MAX_POOL];
	unsigned count = lab_wan_ips(router, ips);
	char text[RULESET_BYTES];
	int length;

	memcpy(place.more_wan_ips, ips + 1, (count - 1) * sizeof(*ips));
	length = nat_ruleset(&router->plan.nat, &place, text, sizeof(text),
			     err);
	if (length < 0)
		return length;
	return lab_nft(lab, text, NULL, router->plan.name, err);
}

static int set_timeout(int proc_fd, const char *name, unsigned seconds,
		       struct err *err)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", seconds);
	return lab_sysctl(proc_fd, name, text, err);
}

/* What the kernel has where the NAT says 0. */
static const struct timeout {
	const char *name;
	size_t at; /* in struct nat */
	unsigned usual_s;
} timeouts[] = {
	{"udp_timeout", offsetof(struct nat, udp_timeout_s), 30},
	{"udp_timeout_stream", offsetof(struct nat, udp_stream_timeout_s), 120},
	{"icmp_timeout", offsetof(struct nat, icmp_timeout_s), 30},
	{"tcp_timeout_established", offsetof(struct nat, tcp_timeout_s),
	 432000},
	/* With data on its way, or sent in vain: shorter by itself. */
	{"tcp_timeout_unacknowledged", offsetof(struct nat, tcp_timeout_s),
	 300},
	{"tcp_timeout_max_retrans", offsetof(struct nat, tcp_timeout_s), 300},
	/* Half closed, which RFC 5382 counts as established. */
	{"tcp_timeout_fin_wait", offsetof(struct nat, tcp_timeout_s), 120},
	{"tcp_timeout_close_wait", offsetof(struct nat, tcp_timeout_s), 60},
	{"tcp_timeout_syn_sent",
	 offsetof(struct nat, tcp_transitory_timeout_s), 120},
	{"tcp_timeout_syn_recv",
	 offsetof(struct nat, tcp_transitory_timeout_s), 60},
	{"tcp_timeout_last_ack",
	 offsetof(struct nat, tcp_transitory_timeout_s), 30},
	{"tcp_timeout_time_wait",
	 offsetof(struct nat, tcp_transitory_timeout_s), 120},
	{"tcp_timeout_close", offsetof(struct nat, tcp_transitory_timeout_s),
	 10},
};

static unsigned timeout_of(const struct nat *nat, const struct timeout *t)
{
	return *(const unsigned *)((const char *)nat + t->at);
}

int lab_router_timeouts(int proc_fd, const struct lab_node *router,
			const struct nat *was, struct err *err)
{
	char name[64];
	int code = 0;

	for (size_t i = 0; i < sizeof(timeouts) / sizeof(*timeouts) && !code;
	     i++) {
		unsigned seconds = timeout_of(&router->plan.nat, &timeouts[i]);

		if (seconds == (was ? timeout_of(was, &timeouts[i]) : 0))
			continue;
		snprintf(name, sizeof(name), "netfilter/nf_conntrack_%s",
			 timeouts[i].name);
		code = set_timeout(proc_fd, name,
				   seconds ? seconds : timeouts[i].usual_s,
				   err);
	}
	return code;
}

int lab_router_forwarding(int proc_fd, const struct lab_node *router,
			  struct err *err)
{
	return lab_sysctl(proc_fd, "ipv4/ip_forward",
			  lab_wants_engine(&router->plan) ? "0" : "1", err);
}

/*
 * miniupnpd answers NAT-PMP and PCP or neither: both are on port 5351, and the
 * first byte of a request is its version, 0 or 2. A router that is to have one
 * of them does not hear the other.
 */
static int load_protocol_rules(struct lab *lab, const struct lab_node *router,
			       struct err *err)
{
	const unsigned both = LAB_PORTMAP_NAT_PMP | LAB_PORTMAP_PCP;
	unsigned has = router->plan.portmap & both;
	char text[384];

	if (!has || has == both)
		return 0;
	snprintf(text, sizeof(text),
		 "table inet portmap {\n"
		 "	chain input {\n"
		 "		type filter hook input priority filter - 5; policy accept;\n"
		 "	}\n"
		 "}\n"
		 "flush chain inet portmap input\n"
		 "add rule inet portmap input iifname \"%s\" udp dport 5351 @th,64,8 %s 0 drop\n",
		 router->ifaces[1].name,
		 has == LAB_PORTMAP_PCP ? "==" : "!=");
	return lab_nft(lab, text, NULL, router->plan.name, err);
}

int lab_router_daemon(struct lab *lab, struct lab_node *router, struct err *err)
{
	struct portmapd_plan plan = {
		.where = router->plan.name,
		.id = router->own->index,
		.protocols = router->plan.portmap,
		.lan_ip = router->ifaces[1].ip,
		.lan_bits = router->ifaces[1].prefix_bits,
	};
	int code;

	if (lab->own->files_fd < 0)
		lab->own->files_fd = portmapd_files(err);
	if (lab->own->files_fd < 0)
		return lab->own->files_fd;
	plan.files_fd = lab->own->files_fd;
	code = load_protocol_rules(lab, router, err);
	if (code)
		return code;
	return portmapd_start(&router->own->daemon, &plan, err);
}

static void end_daemon(struct lab_node *router)
{
	portmapd_stop(router->own->daemon);
	portmapd_free(router->own->daemon);
	router->own->daemon = NULL;
}

static int flush_here(struct lab_node *router, struct err *err)
{
	int code = 0;

	if (router->own->box) {
		natbox_flush(router->own->box);
		return 0;
	}
	if (!router->own->conntrack)
		code = conntrack_new(&router->own->conntrack,
				     router->plan.name, false, err);
	return code ? code : conntrack_flush(router->own->conntrack, err);
}

int lab_flush(struct lab *lab, struct lab_node *router, struct err *err)
{
	int code = need_router(router, "flush", err);

	if (code)
		return code;
	code = lab_enter(lab, router, err);
	if (!code)
		code = flush_here(router, err);
	lab_leave(lab);
	return code;
}

/* The mappings go before the flows, lest a packet in between make new ones. */
static int reboot_here(struct lab *lab, struct lab_node *router,
		       struct err *err)
{
	int code = lab_nft(lab, "table inet portmap\n"
			   "delete table inet portmap\n", NULL,
			   router->plan.name, err);

	if (!code)
		code = lab_router_rules(lab, router, false, err);
	if (!code && router->own->box)
		code = lab_engine_start(lab, router, err);
	else if (!code)
		code = flush_here(router, err);
	if (!code && router->plan.portmap)
		code = lab_router_daemon(lab, router, err);
	return code;
}

int lab_reboot(struct lab *lab, struct lab_node *router, struct err *err)
{
	int code = need_router(router, "reboot", err);

	if (code)
		return code;
	end_daemon(router);
	code = lab_enter(lab, router, err);
	if (!code)
		code = reboot_here(lab, router, err);
	lab_leave(lab);
	return code;
}

/* --- a new address -------------------------------------------------------- */

/* One, or as many as its pool has. */
static int take_addresses(struct lab *lab, struct lab_node *router,
			  uint32_t ips[NAT_MAX_POOL], struct err *err)
{
	const struct lab_node *outer = lab_router_of(lab, router);
	uint32_t *next = outer ? &outer->own->next_member_ip
			       : &lab->own->next_wan_ip;
	unsigned count = lab_wan_ips(router, ips);

	if (outer && (*next & 0xff) + count > 0xff)
		return err_set(err, EADDRNOTAVAIL, "%s: the LAN of %s has no "
			       "unused address left", router->plan.name,
			       outer->plan.name);
	for (unsigned i = 0; i < count; i++)
		ips[i] = (*next)++;
	return 0;
}

static int renumber_here(struct lab *lab, struct lab_node *router,
			 const uint32_t ips[NAT_MAX_POOL], struct err *err)
{
	struct netlink_batch *batch = &lab->own->batch;
	struct lab_iface *wan = &router->ifaces[0];
	struct netlink nl;
	int code = netlink_open(&nl, NETLINK_ROUTE, err);

	if (code)
		return code;
	lab_put_address(batch, "drop its WAN address", false, LAB_INDEX_FIRST,
			wan->ip, wan->prefix_bits);
	lab_put_pool(batch, "drop an address of its pool", false, router);
	wan->ip = ips[0];
	memcpy(router->pool_ips, ips + 1, sizeof(router->pool_ips));
	lab_put_address(batch, "set its WAN address", true, LAB_INDEX_FIRST,
			wan->ip, wan->prefix_bits);
	lab_put_pool(batch, "set an address of its pool", true, router);
	if (router->gateway_ip)
		lab_put_route(batch, "set its default route", true, 0, 0,
			      router->gateway_ip);
	code = netlink_send(&nl, batch, router->plan.name, 0, err);
	netlink_close(&nl);
	if (!code)
		code = lab_router_rules(lab, router, false, err);
	if (!code && router->own->box)
		return lab_engine_start(lab, router, err);
	return code ? code : flush_here(router, err);
}

int lab_renumber(struct lab *lab, struct lab_node *router, struct err *err)
{
	bool announced = router->plan.nat.mapping == NAT_MAPPING_NONE;
	int code = need_router(router, "renumber", err);
	uint32_t ips[NAT_MAX_POOL] = {0};

	if (!code)
		code = take_addresses(lab, router, ips, err);
	if (!code && announced)
		code = lab_announce(lab, false, err);
	if (code)
		return code;
	code = lab_enter(lab, router, err);
	if (!code)
		code = renumber_here(lab, router, ips, err);
	lab_leave(lab);
	if (!code && announced)
		code = lab_announce(lab, true, err);
	/* Blocks are written in addresses. */
	return code ? code : lab_blocks_load(lab, err);
}

/* --- a new behaviour ------------------------------------------------------ */

/* Between netfilter and an engine no flow can be handed over. */
static int set_engine(struct lab *lab, struct lab_node *router, bool changes,
		      struct err *err)
{
	bool had = router->own->box, has = lab_wants_engine(&router->plan);
	struct closing *closing = NULL;
	int code = 0;

	if (had != has)
		code = lab_router_forwarding(-1, router, err);
	if (!code && !had && has)
		code = flush_here(router, err);
	if (!code && has && (changes || !had))
		return lab_engine_start(lab, router, err);
	if (code || has || !had)
		return code;
	lab_engine_end(lab, router, &closing);
	closing_start(closing);
	return flush_here(router, err);
}

static int set_here(struct lab *lab, struct lab_node *router,
		    unsigned old_portmap, const struct nat *old,
		    struct err *err)
{
	int code = lab_router_timeouts(-1, router, old, err);

	if (!code && router->plan.portmap != old_portmap && old_portmap)
		code = lab_nft(lab, "table inet portmap\n"
			       "delete table inet portmap\n", NULL,
			       router->plan.name, err);
	if (!code && router->plan.portmap != old_portmap && router->own->box)
		code = natbox_set_grants(router->own->box, 0, NULL, 0, err);
	if (!code)
		code = lab_router_rules(lab, router, false, err);
	if (!code)
		code = set_engine(lab, router,
				  !nat_equal(old, &router->plan.nat), err);
	if (!code && router->plan.portmap && !router->own->daemon)
		code = lab_router_daemon(lab, router, err);
	return code;
}

int lab_set(struct lab *lab, struct lab_node *router, const struct nat *nat,
	    unsigned portmap, struct err *err)
{
	bool turns = (router->plan.nat.mapping == NAT_MAPPING_NONE) !=
		     (nat->mapping == NAT_MAPPING_NONE);
	const struct nat old = router->plan.nat;
	unsigned old_portmap = router->plan.portmap;
	struct lab_plan_node wanted = router->plan;
	bool boxed = router->own->box;
	int code = need_router(router, "set", err);

	wanted.nat = *nat;
	wanted.portmap = portmap;
	if (!code)
		code = lab_router_supported(&wanted, err);
	if (!code && nat_filled(nat, NAT_BY_ENGINE).pool !=
			     nat_filled(&old, NAT_BY_ENGINE).pool)
		code = err_set(err, EINVAL, "%s: a router's pool cannot "
			       "change while it runs", router->plan.name);
	if (!code && turns)
		code = lab_announce(lab, false, err);
	if (code)
		return code;
	router->plan.nat = *nat;
	router->plan.portmap = portmap;
	/* The daemon cannot be told of other protocols: a new one, then. */
	if (portmap != old_portmap)
		end_daemon(router);
	code = lab_enter(lab, router, err);
	if (!code)
		code = set_here(lab, router, old_portmap, &old, err);
	lab_leave(lab);
	/* lab_block's addresses are those that show outside. */
	if (!code && turns)
		code = lab_announce(lab, true, err);
	/* A new engine knows of no blocks. */
	turns |= !boxed && router->own->box;
	return code || !turns ? code : lab_blocks_load(lab, err);
}

/* --- routers that do not translate ---------------------------------------- */

static int tell_one(struct lab *lab, const struct lab_node *node,
		    const struct lab_node *router, uint32_t via_ip, bool add,
		    struct err *err)
{
	struct netlink nl;
	int code = lab_enter(lab, node, err);

	if (!code)
		code = netlink_open(&nl, NETLINK_ROUTE, err);
	if (code)
		return code;
	lab_put_route(&lab->own->batch, "set the way to a LAN", add,
		      router->own->lan_net, router->ifaces[1].prefix_bits,
		      via_ip);
	/* ESRCH: it was gone already. */
	code = netlink_send(&nl, &lab->own->batch, node->plan.name, ESRCH, err);
	netlink_close(&nl);
	return code;
}

/* Up to the first router that translates, or to all of the internet. */
static int announce(struct lab *lab, const struct lab_node *router, bool add,
		    struct err *err)
{
	const struct lab_node *at = router, *outer;
	int code = 0;

	for (; !code && at; at = outer) {
		if (at->plan.nat.mapping != NAT_MAPPING_NONE)
			return 0;
		outer = lab_router_of(lab, at);
		if (outer)
			code = tell_one(lab, outer, router, at->ifaces[0].ip,
					add, err);
		for (unsigned i = 0; i < lab->count && !outer && !code; i++)
			if (lab->nodes[i].plan.router < 0 &&
			    &lab->nodes[i] != at)
				code = tell_one(lab, &lab->nodes[i], router,
						at->ifaces[0].ip, add, err);
	}
	return code;
}

int lab_announce(struct lab *lab, bool add, struct err *err)
{
	int code = 0;

	for (unsigned i = 0; i < lab->count && !code; i++)
		if (lab->nodes[i].plan.kind == LAB_ROUTER &&
		    lab->nodes[i].plan.nat.mapping == NAT_MAPPING_NONE)
			code = announce(lab, &lab->nodes[i], add, err);
	lab_leave(lab);
	return code;
}

/* --- daemons -------------------------------------------------------------- */

int lab_ready(struct lab *lab, bool *ready, struct err *err)
{
	int code = 0;

	*ready = true;
	for (unsigned i = 0; i < lab->count && !code; i++) {
		struct lab_node *node = &lab->nodes[i];
		bool one = true;

		if (node->own->daemon)
			code = portmapd_ready(node->own->daemon, &one, err);
		*ready = *ready && one;
	}
	return code;
}

bool lab_daemons_held_up(const struct lab *lab)
{
	for (unsigned i = 0; i < lab->count; i++)
		if (lab->own->nodes[i].daemon &&
		    portmapd_held_up(lab->own->nodes[i].daemon))
			return true;
	return false;
}

int lab_public_port(const struct lab *lab, const struct lab_node *node,
		    uint16_t port, struct err *err)
{
	const struct lab_node *router = lab_router_of(lab, node);
	struct endpoint inside = {node->ifaces[0].ip, port};
	int found = 0;

	if (router && router == lab_public_node(lab, node) &&
	    router->own->daemon)
		found = portmapd_find(router->own->daemon, clock_real_us(),
				      IPPROTO_UDP, inside, err);
	return found ? found : port;
}

bool lab_daemons_idle(const struct lab *lab)
{
	for (unsigned i = 0; i < lab->count; i++)
		if (lab->own->nodes[i].daemon &&
		    !portmapd_idle(lab->own->nodes[i].daemon))
			return false;
	return true;
}

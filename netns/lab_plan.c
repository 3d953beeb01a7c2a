/* SPDX-License-Identifier: BSD-3-Clause */
#include "netns/lab_own.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FIRST_ROUTER_IP 0x19000001U /* 25.0.0.1 */
#define FIRST_HOST_IP 0x19800001U   /* 25.128.0.1 */
#define FIRST_SERVER_IP 0x19ff0001U /* 25.255.0.1 */
/* 192.168.1.0/24 to 192.168.254.0/24, then 10.x.y.0/24. */
#define FIRST_LANS 254
#define LAN_BITS 24
#define LAN_MAX_MEMBERS 253

uint32_t lab_mask(unsigned bits)
{
	return bits ? ~0U << (32 - bits) : 0;
}

struct lab_node *lab_router_of(const struct lab *lab,
			       const struct lab_node *node)
{
	return node->plan.router < 0 ? NULL : &lab->nodes[node->plan.router];
}

/* A router behind itself would have no way out. */
static int check_chain(const struct lab_plan *plan, unsigned i, struct err *err)
{
	int at = (int)i;

	for (unsigned hops = 0; at >= 0; hops++) {
		if (hops > plan->count)
			return err_set(err, EINVAL, "%s: is behind itself; one "
				       "of its routers must be on the internet",
				       plan->nodes[i].name);
		at = plan->nodes[at].router;
	}
	return 0;
}

static int check_node(const struct lab_plan *plan, unsigned i, struct err *err)
{
	const struct lab_plan_node *node = &plan->nodes[i];
	struct err why = {.text = ""};

	if (!node->name[0] ||
	    strnlen(node->name, sizeof(node->name)) == sizeof(node->name))
		return err_set(err, EINVAL, "node %u of the plan has no usable "
			       "name", i);
	if (node->router >= (int)plan->count ||
	    (node->router >= 0 &&
	     plan->nodes[node->router].kind != LAB_ROUTER))
		return err_set(err, EINVAL, "%s: is behind node %d, which is "
			       "no router", node->name, node->router);
	if (node->kind == LAB_SERVER && node->router >= 0)
		return err_set(err, EINVAL, "%s: a server must be on the "
			       "internet, not behind %s", node->name,
			       plan->nodes[node->router].name);
	if (node->kind != LAB_ROUTER)
		return 0;
	if (lab_router_supported(node, &why))
		return err_set(err, ENOTSUP, "%s: %s", node->name, why.text);
	return check_chain(plan, i, err);
}

int lab_plan_check(const struct lab_plan *plan, struct err *err)
{
	unsigned direct = 0;
	int code;

	for (unsigned i = 0; i < plan->count; i++) {
		code = check_node(plan, i, err);
		if (code)
			return code;
		direct += plan->nodes[i].router < 0;
	}
	if (direct > LAB_INTERNET_MAX_NODES)
		return err_set(err, E2BIG, "%u nodes on the internet: at most "
			       "%d can be; put some behind a router", direct,
			       LAB_INTERNET_MAX_NODES);
	return 0;
}

/* MACs tell an interface by its address: 02:00 inside, 02:01 outside ends. */
static void set_iface(struct lab_iface *iface, const char *name, uint32_t ip,
		      unsigned bits)
{
	snprintf(iface->name, sizeof(iface->name), "%s", name);
	iface->ip = ip;
	iface->prefix_bits = bits;
	iface->mac[0] = 2;
	iface->mac[1] = 0;
	for (unsigned i = 0; i < 4; i++)
		iface->mac[2 + i] = (uint8_t)(ip >> (24 - 8 * i));
}

static void give_lan(struct lab_node *router, unsigned number)
{
	uint32_t net = 0xc0a80000U | number << 8;

	if (number > FIRST_LANS)
		net = 0x0a000000U | (number - FIRST_LANS - 1) << 8;
	router->own->lan_net = net;
	router->own->next_member_ip = net + 2;
	set_iface(&router->ifaces[1], "lan", net + 1, LAN_BITS);
	router->iface_count = 2;
}

static unsigned more_addresses(const struct lab_node *node)
{
	unsigned pool = node->plan.kind == LAB_ROUTER ? node->plan.nat.pool : 0;

	return pool > 1 ? pool - 1 : 0;
}

unsigned lab_wan_ips(const struct lab_node *node, uint32_t ips[NAT_MAX_POOL])
{
	unsigned more = more_addresses(node);

	ips[0] = node->ifaces[0].ip;
	memcpy(ips + 1, node->pool_ips, more * sizeof(*ips));
	return 1 + more;
}

static int give_outside(struct lab *lab, struct lab_node *node,
			uint32_t next[3], struct err *err)
{
	struct lab_node *router = lab_router_of(lab, node);
	const char *name = node->plan.kind == LAB_ROUTER ? "wan" : "eth0";
	uint32_t *ip = router ? &router->own->next_member_ip
			      : &next[node->plan.kind];
	unsigned more = more_addresses(node);

	if (router) {
		router->own->members++;
		if ((*ip & 0xff) + more > LAN_MAX_MEMBERS + 1)
			return err_set(err, E2BIG, "%s: more than %d addresses "
				       "behind it", router->plan.name,
				       LAN_MAX_MEMBERS);
		node->gateway_ip = router->ifaces[1].ip;
	}
	set_iface(&node->ifaces[0], name, (*ip)++,
		  router ? LAN_BITS : LAB_INTERNET_BITS);
	for (unsigned i = 0; i < more; i++)
		node->pool_ips[i] = (*ip)++;
	return 0;
}

int lab_plan_addresses(struct lab *lab, struct err *err)
{
	uint32_t next[3] = {[LAB_ROUTER] = FIRST_ROUTER_IP,
			    [LAB_HOST] = FIRST_HOST_IP,
			    [LAB_SERVER] = FIRST_SERVER_IP};
	unsigned lans = 0;
	int code;

	for (unsigned i = 0; i < lab->count; i++) {
		struct lab_node *node = &lab->nodes[i];

		if (node->plan.kind == LAB_ROUTER)
			give_lan(node, ++lans);
	}
	for (unsigned i = 0; i < lab->count; i++) {
		struct lab_node *node = &lab->nodes[i];

		if (!node->iface_count)
			node->iface_count = 1;
		code = give_outside(lab, node, next, err);
		if (code)
			return code;
	}
	lab->own->next_wan_ip = next[LAB_ROUTER];
	return 0;
}

/* A router that does not translate shows its hosts' own addresses. */
const struct lab_node *lab_public_node(const struct lab *lab,
				       const struct lab_node *node)
{
	const struct lab_node *router = lab_router_of(lab, node);

	for (; router; router = lab_router_of(lab, router))
		if (router->plan.nat.mapping != NAT_MAPPING_NONE)
			node = router;
	return node;
}

uint32_t lab_public_ip(const struct lab *lab, const struct lab_node *node)
{
	return lab_public_node(lab, node)->ifaces[0].ip;
}

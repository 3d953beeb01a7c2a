/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lab time that is skipped is taken from everything in the kernel (and in the
 * daemons) that ends by itself.
 */
#include "netns/lab_own.h"

#include "netns/element.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>

#define MAX_GONE 64

static int age_sets(struct lab_node *router, uint64_t us, struct err *err)
{
	struct netlink *nl = conntrack_netlink(router->own->conntrack);
	const char *names[NAT_MAX_SETS];
	unsigned count = nat_sets(&router->plan.nat, names);
	int code = 0;

	for (unsigned i = 0; i < count && !code; i++)
		code = element_age(nl, names[i], us, router->plan.name, err);
	return code;
}

/* The handle in `... th dport 5000 dnat ... # handle 7`, or 0. */
static unsigned handle_in(const char *line, const struct portmapd_lease *lease)
{
	char port[32], proto[16];
	const char *handle = strstr(line, "# handle ");

	snprintf(port, sizeof(port), "dport %u ", lease->external_port);
	snprintf(proto, sizeof(proto), "0x%02x ", lease->proto);
	if (!handle || !strstr(line, port) || !strstr(line, " dnat "))
		return 0;
	/* nft prints what it cannot name as raw bits: `@nh,72,8 0x11`. */
	if (!strstr(line, proto) &&
	    !strstr(line, lease->proto == IPPROTO_UDP ? "udp " : "tcp ") &&
	    !(lease->proto == IPPROTO_TCP && strstr(line, " 0x6 ")))
		return 0;
	return (unsigned)strtoul(handle + strlen("# handle "), NULL, 10);
}

/* The daemon reads its rules back from the kernel: with it the mapping ends. */
static int drop_lease(struct lab *lab, const struct lab_node *router,
		      const struct portmapd_lease *lease, struct err *err)
{
	char *text = NULL, *line, *rest, command[96];
	int code = lab_nft(lab, "list chain inet portmap prerouting", &text,
			   router->plan.name, err);

	if (code)
		return code;
	for (line = strtok_r(text, "\n", &rest); line && !code;
	     line = strtok_r(NULL, "\n", &rest)) {
		unsigned handle = handle_in(line, lease);

		if (!handle)
			continue;
		snprintf(command, sizeof(command),
			 "delete rule inet portmap prerouting handle %u",
			 handle);
		code = lab_nft(lab, command, NULL, router->plan.name, err);
	}
	free(text);
	return code;
}

static int age_leases(struct lab *lab, struct lab_node *router, uint64_t us,
		      uint64_t now_us, struct err *err)
{
	struct portmapd_lease gone[MAX_GONE];
	int count, code = 0;

	if (!router->own->daemon)
		return 0;
	do {
		count = portmapd_age(router->own->daemon, us, now_us, gone,
				     MAX_GONE, err);
		us = 0;
		for (int i = 0; i < count && !code; i++)
			code = drop_lease(lab, router, &gone[i], err);
	} while (count == MAX_GONE && !code);
	return count < 0 ? count : code;
}

static int age_router(struct lab *lab, struct lab_node *router, uint64_t us,
		      uint64_t now_us, struct err *err)
{
	const struct conntrack_timeouts timeouts = {
		.udp_s = router->plan.nat.udp_timeout_s,
		.udp_stream_s = router->plan.nat.udp_stream_timeout_s,
	};
	int code;

	/* Engines live in lab time; a daemon does not. */
	if (router->own->box && !router->own->daemon)
		return 0;
	code = lab_enter(lab, router, err);
	if (!code && router->own->box)
		return age_leases(lab, router, us, now_us, err);
	if (!code && !router->own->conntrack)
		code = conntrack_new(&router->own->conntrack,
				     router->plan.name, false, err);
	if (!code)
		code = conntrack_age(router->own->conntrack, us, now_us,
				     &timeouts, err);
	if (!code)
		code = age_sets(router, us, err);
	if (!code)
		code = age_leases(lab, router, us, now_us, err);
	return code;
}

int lab_age(struct lab *lab, uint64_t us, struct err *err)
{
	uint64_t now_us = clock_real_us();
	int code = 0;

	for (unsigned i = 0; i < lab->count && !code; i++)
		if (lab->nodes[i].plan.kind == LAB_ROUTER)
			code = age_router(lab, &lab->nodes[i], us, now_us, err);
	lab_leave(lab);
	return code;
}

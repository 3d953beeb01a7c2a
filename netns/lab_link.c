/* SPDX-License-Identifier: BSD-3-Clause */
/* Links that go and come. */
#include "netns/lab_own.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

/*
 * Only so that it ends. The kernel notices carriers when it gets its lock on
 * all links, which it may hold for seconds while it clears a large lab away.
 */
#define SETTLE_US 30000000

/*
 * Only what has a peer or a lower device has IFLA_LINK; a bridge without
 * members may stay down, and loopback has no state.
 */
static int on_link(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *link = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	bool *settled = arg, has_other = false;
	uint8_t state = IF_OPER_UP;

	netlink_for_each_in(attr, nlh, sizeof(*link)) {
		if (mnl_attr_get_type(attr) == IFLA_LINK)
			has_other = true;
		else if (mnl_attr_get_type(attr) == IFLA_OPERSTATE)
			state = mnl_attr_get_u8(attr);
	}
	if (has_other && (link->ifi_flags & IFF_UP) && state != IF_OPER_UP)
		*settled = false;
	return MNL_CB_OK;
}

static int look(struct netlink *nl, unsigned ifindex, const char *where,
		bool *settled, struct err *err)
{
	struct netlink_batch batch = {.data = NULL};
	struct nlmsghdr *nlh = netlink_begin(&batch, "look at its links",
					     RTM_GETLINK, 0);
	struct ifinfomsg *link;
	int code;

	*settled = true;
	if (nlh) {
		link = netlink_extra(nlh, sizeof(*link));
		link->ifi_index = (int)ifindex;
		netlink_end(&batch);
	}
	code = ifindex ? netlink_ask(nl, &batch, on_link, settled, where, 0, err)
		       : netlink_dump(nl, &batch, on_link, settled, where, err);
	netlink_batch_free(&batch);
	return code;
}

int lab_settle(struct netlink *nl, unsigned ifindex, const char *where,
	       struct err *err)
{
	uint64_t end_us = clock_real_us() + SETTLE_US;
	bool settled = false;
	int code;

	for (;;) {
		code = look(nl, ifindex, where, &settled, err);
		/* EINTR: it changed while it was told. */
		if (code && code != -EINTR)
			return code;
		if (!code && settled)
			return 0;
		if (clock_real_us() > end_us)
			return err_set(err, ETIMEDOUT, "%s: its links do not "
				       "come up", where);
		poll(NULL, 0, 1);
	}
}

static int open_in(struct lab *lab, const struct lab_node *node,
		   struct netlink *nl, struct err *err)
{
	int code = lab_enter(lab, node, err);

	if (!code)
		code = netlink_open(nl, NETLINK_ROUTE, err);
	lab_leave(lab);
	return code;
}

/* The node's own end has been without a carrier, and must notice. */
static int settle_node(struct lab *lab, const struct lab_node *node,
		       struct err *err)
{
	struct netlink nl;
	int code = open_in(lab, node, &nl, err);

	if (code)
		return code;
	code = lab_settle(&nl, LAB_INDEX_FIRST, node->plan.name, err);
	netlink_close(&nl);
	return code;
}

static int set_far_end(struct lab *lab, struct netlink *nl, unsigned ifindex,
		       bool up, const char *where, struct err *err)
{
	int code;

	lab_put_flags(&lab->own->batch, "set a link up or down", ifindex, up);
	code = netlink_send(nl, &lab->own->batch, where, 0, err);
	return code || !up ? code : lab_settle(nl, ifindex, where, err);
}

/*
 * What is on the internet has no end there. In private mode it reaches nobody
 * and nobody reaches it; with its protocol down it has no carrier.
 */
static int set_internet_link(struct lab *lab, const struct lab_node *node,
			     bool up, struct err *err)
{
	struct netlink_batch *batch = &lab->own->batch;
	struct nlmsghdr *nlh;
	struct ifinfomsg *link;
	struct netlink nl;
	int code = open_in(lab, node, &nl, err);

	if (code)
		return code;
	nlh = netlink_begin(batch, "set a link up or down", RTM_NEWLINK, 0);
	if (nlh) {
		link = netlink_extra(nlh, sizeof(*link));
		link->ifi_index = LAB_INDEX_FIRST;
		mnl_attr_put_u8(nlh, IFLA_PROTO_DOWN, !up);
		lab_put_macvlan(nlh, up);
		netlink_end(batch);
	}
	code = netlink_send(&nl, batch, node->plan.name, 0, err);
	if (!code && up)
		code = lab_settle(&nl, LAB_INDEX_FIRST, node->plan.name, err);
	netlink_close(&nl);
	return code;
}

/*
 * The far end is what goes down, so that the node keeps its addresses and
 * routes, as with a cable pulled, and a recorder on it keeps its handle.
 */
int lab_link(struct lab *lab, struct lab_node *node, bool up, struct err *err)
{
	const struct lab_node *router = lab_router_of(lab, node);
	unsigned ifindex = LAB_INDEX_PORTS + node->own->index;
	struct netlink nl;
	int code;

	if (!router)
		return set_internet_link(lab, node, up, err);
	if (router->own->members == 1)
		ifindex = LAB_INDEX_LAN;
	code = open_in(lab, router, &nl, err);
	if (code)
		return code;
	code = set_far_end(lab, &nl, ifindex, up, node->plan.name, err);
	netlink_close(&nl);
	return code || !up ? code : settle_node(lab, node, err);
}

int lab_mtu(struct lab *lab, const struct lab_node *node, unsigned bytes,
	    struct err *err)
{
	struct ifreq request = {.ifr_mtu = (int)bytes};
	int code = lab_enter(lab, node, err), fd;

	if (code)
		return code;
	memcpy(request.ifr_name, node->ifaces[0].name, IFNAMSIZ);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFMTU, &request))
		code = err_set(err, errno, "%s: cannot set the MTU of its "
			       "link: %s", node->plan.name, strerror(errno));
	if (fd >= 0)
		close(fd);
	lab_leave(lab);
	return code;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netlink: messages to the kernel in batches. Private to netns/.
 *
 * A socket belongs to the network namespace in which it was opened, wherever
 * its user goes afterwards. Messages are queued in a growing buffer and sent
 * together; only the last one asks for an acknowledgement, since the kernel
 * reports an error in any case. netlink_open -> netlink_close.
 */
#ifndef NATRIG_NETNS_NETLINK_H
#define NATRIG_NETNS_NETLINK_H

#include "wire/err.h"

#include <stddef.h>
#include <stdint.h>

#include <libmnl/libmnl.h>

struct netlink {
	int fd; /* -1: closed */
	uint32_t seq;
};

/* In the calling thread's network namespace; PROTOCOL is NETLINK_*. */
int netlink_open(struct netlink *nl, int protocol, struct err *err);
void netlink_close(struct netlink *nl);

/* Messages waiting to be sent; one serves any number of sockets in turn. */
struct netlink_batch {
	unsigned char *data;
	size_t used_bytes;
	size_t room_bytes;
	struct nlmsghdr *last; /* the message being written */
	unsigned count;
	/* What each message was for, to be named when the kernel refuses. */
	const char **what;
	unsigned what_room;
	int error; /* sticky: -ENOMEM */
};

void netlink_batch_free(struct netlink_batch *batch);

/*
 * Begins a message with room for any attributes that natrig writes (4 KiB).
 * WHAT must outlive the send. NULL when memory is short: netlink_send tells.
 */
struct nlmsghdr *netlink_begin(struct netlink_batch *batch, const char *what,
			       uint16_t type, uint16_t flags);
/* An extra header (ifinfomsg, nfgenmsg, ...), zeroed. */
void *netlink_extra(struct nlmsghdr *nlh, size_t bytes);
void netlink_end(struct netlink_batch *batch);

/* Forgets what is queued. */
void netlink_drop(struct netlink_batch *batch);

/*
 * Sends what is queued, waits for the kernel's answer and empties the batch.
 * WHERE names the namespace in the error. Errors listed in TOLERATE (positive
 * errno, 0: none) do not count.
 */
int netlink_send(struct netlink *nl, struct netlink_batch *batch,
		 const char *where, int tolerate, struct err *err);

/*
 * The same for questions: what the kernel tells in answer is handed to EACH,
 * which returns MNL_CB_OK or MNL_CB_ERROR.
 */
int netlink_ask(struct netlink *nl, struct netlink_batch *batch,
		int (*each)(const struct nlmsghdr *nlh, void *arg), void *arg,
		const char *where, int tolerate, struct err *err);

/*
 * Sends one dump request and hands each answer to EACH, which returns
 * MNL_CB_OK or MNL_CB_ERROR. -EINTR: the dump was inconsistent, ask again.
 */
int netlink_dump(struct netlink *nl, struct netlink_batch *batch,
		 int (*each)(const struct nlmsghdr *nlh, void *arg), void *arg,
		 const char *where, struct err *err);

/* libmnl's own walkers do not compile without a warning. */
static inline const struct nlattr *netlink_attr_at(const void *at,
						   const void *end)
{
	const struct nlattr *attr = at;
	ptrdiff_t left = (const char *)end - (const char *)at;

	return left > 0 && mnl_attr_ok(attr, (int)left) ? attr : NULL;
}

#define netlink_for_each(attr, from, end)                                      \
	for ((attr) = netlink_attr_at((from), (end)); (attr);                  \
	     (attr) = netlink_attr_at(mnl_attr_next(attr), (end)))

#define netlink_for_each_nested(attr, nest)                                    \
	netlink_for_each((attr), mnl_attr_get_payload(nest),                   \
			 (const char *)(nest) + (nest)->nla_len)

/* Of a message with an extra header of that size. */
#define netlink_for_each_in(attr, nlh, extra_bytes)                            \
	netlink_for_each((attr),                                               \
			 mnl_nlmsg_get_payload_offset((nlh), (extra_bytes)),   \
			 mnl_nlmsg_get_payload_tail(nlh))

#endif

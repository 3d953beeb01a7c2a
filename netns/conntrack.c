/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ageing. The kernel counts an entry's timeout in whole seconds towards us, so
 * reading, subtracting and writing would lose up to a second each time. Each
 * entry's exact end is therefore kept here, by the entry's id, and the kernel
 * is set to that rounded up: it never forgets a flow too early, and we delete
 * it when its time is over.
 *
 * A packet makes the kernel set the timeout anew. Packet counters tell
 * (nf_conntrack_acct): with new packets the kernel's own value counts, and it
 * is at most as old as the last call, so that lab time is wrong by no more
 * than the real time that passed since then.
 */
#include "netns/conntrack.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <endian.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#define SECOND_US 1000000ULL
/* The kernel gives an answered UDP flow its longer timeout after 2 s. */
#define STREAM_AFTER_US (2 * SECOND_US)

#define TUPLE_MAX_BYTES 128
#define EVENTS_MAX_BYTES (1 << 20)
/* Questions in one message: their answers must fit into a socket's buffer. */
#define ASK_AT_ONCE 64

/*
 * The kernel's own 2 s are real ones, so they are counted here. A flow that is
 * so old gets the first mark, and the ruleset turns it into the second with
 * the next packet that finds it answered (nat_rules.c), as the kernel would
 * have made it assured.
 */
enum { MARK_OLD = 1, MARK_STREAM = 2 };

struct flow {
	uint32_t id;
	uint64_t packets;
	uint64_t left_us;	/* exact, at the last call's end */
	uint64_t age_us;	/* lab time since it was first seen */
};

/* One entry as the kernel tells it. */
struct entry {
	uint32_t id, status, timeout_s, mark;
	uint64_t packets;
	uint8_t proto;
	unsigned tuple_bytes;
	unsigned char tuple[TUPLE_MAX_BYTES]; /* payload of CTA_TUPLE_ORIG */
	bool has_zone;
	uint16_t zone_be;
};

struct reading {
	struct entry *entries;
	unsigned count, room;
	bool short_of_memory;
};

/*
 * A dump of conntrack walks the hash table that all namespaces of the machine
 * share, milliseconds on a machine with much memory. So the table is dumped at
 * most once; later flows are heard of as events, and each is asked about by
 * name.
 */
struct conntrack {
	struct netlink nl;
	struct netlink events;
	struct reading known; /* what exists, or existed a moment ago */
	bool dump; /* known is not complete: dump again */
	struct netlink_batch ask, change;
	char where[64];
	struct flow *flows; /* sorted by id */
	unsigned flow_count;
	uint64_t called_us; /* real time of the last call */
};

static int listen_for_flows(struct conntrack *ct, struct err *err)
{
	int group = NFNLGRP_CONNTRACK_NEW, bytes = EVENTS_MAX_BYTES;
	int code = netlink_open(&ct->events, NETLINK_NETFILTER, err);

	if (code)
		return code;
	/* As large as it may be; what does not fit leads to a dump. */
	if (setsockopt(ct->events.fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes,
		       sizeof(bytes)))
		setsockopt(ct->events.fd, SOL_SOCKET, SO_RCVBUF, &bytes,
			   sizeof(bytes));
	if (setsockopt(ct->events.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP,
		       &group, sizeof(group)))
		return err_set(err, errno, "%s: cannot hear of new flows: %s",
			       ct->where, strerror(errno));
	return 0;
}

int conntrack_new(struct conntrack **out, const char *where, bool fresh,
		  struct err *err)
{
	struct conntrack *ct = calloc(1, sizeof(*ct));
	int code;

	if (!ct)
		return err_set(err, ENOMEM, "no memory for conntrack");
	strncpy(ct->where, where, sizeof(ct->where) - 1);
	ct->events.fd = -1;
	ct->dump = !fresh;
	code = netlink_open(&ct->nl, NETLINK_NETFILTER, err);
	if (!code)
		code = listen_for_flows(ct, err);
	if (code) {
		conntrack_free(ct);
		return code;
	}
	*out = ct;
	return 0;
}

void conntrack_free(struct conntrack *ct)
{
	struct closing *closing = NULL;

	conntrack_free_later(ct, &closing);
	closing_start(closing);
}

void conntrack_free_later(struct conntrack *ct, struct closing **closing)
{
	if (!ct)
		return;
	closing_add(closing, ct->nl.fd);
	closing_add(closing, ct->events.fd);
	free(ct->known.entries);
	netlink_batch_free(&ct->ask);
	netlink_batch_free(&ct->change);
	free(ct->flows);
	free(ct);
}

struct netlink *conntrack_netlink(struct conntrack *ct)
{
	return &ct->nl;
}

static struct nlmsghdr *begin(struct netlink_batch *batch, const char *what,
			      uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh;
	struct nfgenmsg *nfg;

	type |= NFNL_SUBSYS_CTNETLINK << 8;
	nlh = netlink_begin(batch, what, type, flags);
	if (!nlh)
		return NULL;
	nfg = netlink_extra(nlh, sizeof(*nfg));
	nfg->nfgen_family = AF_INET;
	nfg->version = NFNETLINK_V0;
	return nlh;
}

int conntrack_flush(struct conntrack *ct, struct err *err)
{
	ct->flow_count = 0;
	if (begin(&ct->change, "flush conntrack", IPCTNL_MSG_CT_DELETE, 0))
		netlink_end(&ct->change);
	return netlink_send(&ct->nl, &ct->change, ct->where, 0, err);
}

static void put_entry(struct nlmsghdr *nlh, const struct entry *e)
{
	mnl_attr_put(nlh, CTA_TUPLE_ORIG | NLA_F_NESTED, e->tuple_bytes,
		     e->tuple);
	if (e->has_zone)
		mnl_attr_put_u16(nlh, CTA_ZONE, e->zone_be);
}

/* --- reading -------------------------------------------------------------- */

static uint64_t packets_of(const struct nlattr *counters)
{
	const struct nlattr *attr;

	netlink_for_each_nested(attr, counters)
		if (mnl_attr_get_type(attr) == CTA_COUNTERS_PACKETS)
			return be64toh(mnl_attr_get_u64(attr));
	return 0;
}

static uint8_t proto_of(const struct nlattr *tuple)
{
	const struct nlattr *attr, *inner;

	netlink_for_each_nested(attr, tuple) {
		if (mnl_attr_get_type(attr) != CTA_TUPLE_PROTO)
			continue;
		netlink_for_each_nested(inner, attr)
			if (mnl_attr_get_type(inner) == CTA_PROTO_NUM)
				return mnl_attr_get_u8(inner);
	}
	return 0;
}

static void read_attr(const struct nlattr *attr, struct entry *e)
{
	switch (mnl_attr_get_type(attr)) {
	case CTA_TUPLE_ORIG:
		e->tuple_bytes = mnl_attr_get_payload_len(attr);
		if (e->tuple_bytes > sizeof(e->tuple))
			e->tuple_bytes = 0;
		memcpy(e->tuple, mnl_attr_get_payload(attr), e->tuple_bytes);
		e->proto = proto_of(attr);
		break;
	case CTA_STATUS:
		e->status = ntohl(mnl_attr_get_u32(attr));
		break;
	case CTA_TIMEOUT:
		e->timeout_s = ntohl(mnl_attr_get_u32(attr));
		break;
	case CTA_MARK:
		e->mark = ntohl(mnl_attr_get_u32(attr));
		break;
	case CTA_ID:
		e->id = mnl_attr_get_u32(attr);
		break;
	case CTA_ZONE:
		e->has_zone = true;
		e->zone_be = mnl_attr_get_u16(attr);
		break;
	case CTA_COUNTERS_ORIG:
	case CTA_COUNTERS_REPLY:
		e->packets += packets_of(attr);
		break;
	default:
		break;
	}
}

static int on_entry(const struct nlmsghdr *nlh, void *arg)
{
	struct reading *reading = arg;
	const struct nlattr *attr;
	struct entry *e;

	if (reading->count == reading->room) {
		unsigned room = reading->room * 2 + 32;
		struct entry *entries = realloc(reading->entries,
						room * sizeof(*entries));

		if (!entries) {
			reading->short_of_memory = true;
			errno = ENOMEM;
			return MNL_CB_ERROR;
		}
		reading->entries = entries;
		reading->room = room;
	}
	e = &reading->entries[reading->count];
	memset(e, 0, sizeof(*e));
	netlink_for_each_in(attr, nlh, sizeof(struct nfgenmsg))
		read_attr(attr, e);
	/* Without a tuple it cannot be spoken of again. */
	reading->count += e->tuple_bytes > 0;
	return MNL_CB_OK;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static int dump_all(struct conntrack *ct, struct reading *reading,
		    struct err *err)
{
	int code;

	/* A dump that raced with a change may be asked for again. */
	for (unsigned tries = 0; tries < 5; tries++) {
		reading->count = 0;
		if (begin(&ct->ask, "list conntrack", IPCTNL_MSG_CT_GET, 0))
			netlink_end(&ct->ask);
		code = netlink_dump(&ct->nl, &ct->ask, on_entry, reading,
				    ct->where, err);
		if (code != -EINTR)
			break;
	}
	return code;
}

/* What was made since the last time joins the known. */
static void hear_of_flows(struct conntrack *ct)
{
	static _Thread_local _Alignas(8) unsigned char data[16384];
	ssize_t bytes;

	while ((bytes = recv(ct->events.fd, data, sizeof(data),
			     MSG_DONTWAIT)) > 0)
		if (mnl_cb_run(data, (size_t)bytes, 0, 0, on_entry,
			       &ct->known) == MNL_CB_ERROR)
			ct->dump = true;
	if (bytes < 0 && errno != EAGAIN)
		ct->dump = true;
}

/* Those that have ended meanwhile give no answer. */
static int ask_each(struct conntrack *ct, struct reading *reading,
		    struct err *err)
{
	int code = 0;

	for (unsigned i = 0; i < ct->known.count && !code; i++) {
		struct nlmsghdr *nlh = begin(&ct->ask, "look at a flow",
					     IPCTNL_MSG_CT_GET, 0);

		if (!nlh)
			break;
		put_entry(nlh, &ct->known.entries[i]);
		netlink_end(&ct->ask);
		if (i % ASK_AT_ONCE == ASK_AT_ONCE - 1 ||
		    i == ct->known.count - 1)
			code = netlink_ask(&ct->nl, &ct->ask, on_entry,
					   reading, ct->where, ENOENT, err);
	}
	return code;
}

/* A flow that ended and was made anew was heard of twice, and told twice. */
static void drop_doubles(struct reading *reading)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < reading->count; i++)
		if (!kept ||
		    reading->entries[kept - 1].id != reading->entries[i].id)
			reading->entries[kept++] = reading->entries[i];
	reading->count = kept;
}

/* Reads all entries into ct->known, sorted by id. */
static int read_all(struct conntrack *ct, struct err *err)
{
	struct reading reading = {NULL, 0, 0, false};
	int code;

	hear_of_flows(ct);
	code = ct->dump ? dump_all(ct, &reading, err) :
			  ask_each(ct, &reading, err);
	if (code) {
		free(reading.entries);
		return code;
	}
	if (reading.count)
		qsort(reading.entries, reading.count, sizeof(*reading.entries),
		      compare_entries);
	drop_doubles(&reading);
	free(ct->known.entries);
	ct->known = reading;
	ct->dump = false;
	return 0;
}

/* --- ageing --------------------------------------------------------------- */

static void put_delete(struct conntrack *ct, const struct entry *e)
{
	struct nlmsghdr *nlh = begin(&ct->change, "delete a flow",
				     IPCTNL_MSG_CT_DELETE, 0);

	if (!nlh)
		return;
	put_entry(nlh, e);
	mnl_attr_put_u32(nlh, CTA_ID, e->id);
	netlink_end(&ct->change);
}

static void put_timeout(struct conntrack *ct, const struct entry *e,
			uint32_t seconds, bool grown_old)
{
	struct nlmsghdr *nlh = begin(&ct->change, "age a flow",
				     IPCTNL_MSG_CT_NEW, 0);

	if (!nlh)
		return;
	put_entry(nlh, e);
	mnl_attr_put_u32(nlh, CTA_TIMEOUT, htonl(seconds));
	if (grown_old)
		mnl_attr_put_u32(nlh, CTA_MARK, htonl(MARK_OLD));
	if (e->mark == MARK_STREAM && !(e->status & IPS_ASSURED))
		mnl_attr_put_u32(nlh, CTA_STATUS,
				 htonl(e->status | IPS_ASSURED));
	netlink_end(&ct->change);
}

static const struct flow *find_flow(const struct conntrack *ct, uint32_t id)
{
	unsigned low = 0, high = ct->flow_count;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (ct->flows[middle].id == id)
			return &ct->flows[middle];
		if (ct->flows[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/*
 * Told as whole seconds, rounded down, and fresh: so one more, except in the
 * very jiffy in which a full timeout was set.
 */
static uint64_t whole_left_us(const struct entry *e,
			      const struct conntrack_timeouts *timeouts)
{
	if (e->proto == IPPROTO_UDP && (e->timeout_s == timeouts->udp_s ||
					e->timeout_s == timeouts->udp_stream_s))
		return e->timeout_s * SECOND_US;
	return (e->timeout_s + 1) * SECOND_US;
}

/*
 * What is left of an entry now, before the lab time that passes; ELAPSED_US is
 * the real time since the last call.
 */
static struct flow look(const struct conntrack *ct, const struct entry *e,
			uint64_t elapsed_us,
			const struct conntrack_timeouts *timeouts)
{
	const struct flow *old = find_flow(ct, e->id);
	struct flow now = {.id = e->id, .packets = e->packets};

	if (old)
		now.age_us = old->age_us + elapsed_us;
	if (old && old->packets == e->packets) {
		now.left_us = old->left_us > elapsed_us
				      ? old->left_us - elapsed_us : 0;
		return now;
	}
	now.left_us = whole_left_us(e, timeouts);
	if (e->proto == IPPROTO_UDP && e->mark == MARK_STREAM)
		now.left_us = timeouts->udp_stream_s * SECOND_US;
	return now;
}

/* Returns whether the flow lives on. */
static bool age_one(struct conntrack *ct, const struct entry *e,
		    struct flow *flow, uint64_t us)
{
	uint32_t seconds;

	if (flow->left_us <= us) {
		put_delete(ct, e);
		return false;
	}
	flow->left_us -= us;
	flow->age_us += us;
	seconds = (uint32_t)((flow->left_us + SECOND_US - 1) / SECOND_US);
	/* Where nothing was skipped the kernel has counted for itself. */
	if (us)
		put_timeout(ct, e, seconds,
			    e->proto == IPPROTO_UDP && !e->mark &&
				    flow->age_us >= STREAM_AFTER_US);
	return true;
}

int conntrack_age(struct conntrack *ct, uint64_t us, uint64_t now_us,
		  const struct conntrack_timeouts *timeouts, struct err *err)
{
	uint64_t elapsed_us = ct->called_us ? now_us - ct->called_us : 0;
	int code = read_all(ct, err);
	const struct reading *known = &ct->known;
	struct flow *flows = NULL;
	unsigned count = 0;

	if (!code && known->count) {
		flows = malloc(known->count * sizeof(*flows));
		if (!flows)
			code = err_set(err, ENOMEM, "no memory for %u flows",
				       known->count);
	}
	for (unsigned i = 0; flows && i < known->count; i++) {
		struct flow flow = look(ct, &known->entries[i], elapsed_us,
					timeouts);

		if (age_one(ct, &known->entries[i], &flow, us))
			flows[count++] = flow;
	}
	/* ENOENT: it ended in the meantime, which is what time does. */
	if (!code)
		code = netlink_send(&ct->nl, &ct->change, ct->where, ENOENT,
				    err);
	if (code) {
		free(flows);
		return code;
	}
	free(ct->flows);
	ct->flows = flows;
	ct->flow_count = count;
	ct->called_us = now_us;
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An element's end is changed by deleting it and adding it again in one
 * transaction; only new kernels can do it in place. Keys and data are copied
 * as the kernel told them, so no type needs to be known here.
 */
#include "netns/element.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <arpa/inet.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#define TABLE "router"

struct ageing {
	struct netlink_batch *batch;
	const char *set;
	uint64_t ms;
	unsigned count;
};

static struct nlmsghdr *begin(struct netlink_batch *batch, const char *what,
			      uint16_t type, uint16_t flags, const char *set)
{
	struct nlmsghdr *nlh;
	struct nfgenmsg *nfg;

	type |= NFNL_SUBSYS_NFTABLES << 8;
	nlh = netlink_begin(batch, what, type, flags);
	if (!nlh)
		return NULL;
	nfg = netlink_extra(nlh, sizeof(*nfg));
	nfg->nfgen_family = NFPROTO_INET;
	nfg->version = NFNETLINK_V0;
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, TABLE);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set);
	return nlh;
}

static void put_mark(struct netlink_batch *batch, uint16_t type)
{
	struct nlmsghdr *nlh = netlink_begin(batch, "change nftables", type, 0);
	struct nfgenmsg *nfg;

	if (!nlh)
		return;
	nfg = netlink_extra(nlh, sizeof(*nfg));
	nfg->nfgen_family = AF_UNSPEC;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = htons(NFNL_SUBSYS_NFTABLES);
	netlink_end(batch);
}

static void copy_attr(struct nlmsghdr *nlh, const struct nlattr *attr)
{
	mnl_attr_put(nlh, attr->nla_type, mnl_attr_get_payload_len(attr),
		     mnl_attr_get_payload(attr));
}

struct element {
	const struct nlattr *key, *data;
	uint64_t timeout_ms, left_ms;
};

/*
 * TYPE is NFT_MSG_DELSETELEM or NFT_MSG_NEWSETELEM. A rule's `update` may have
 * given an element more time than it was made with, which the kernel refuses
 * to be told (ERANGE); so the time-out grows with it.
 */
static void put_element(const struct ageing *a, const struct element *e,
			uint16_t type)
{
	uint16_t flags = type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0;
	struct nlmsghdr *nlh = begin(a->batch, "age a mapping", type, flags,
				     a->set);
	struct nlattr *list, *nest;
	uint64_t left_ms;

	if (!nlh)
		return;
	list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	nest = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	copy_attr(nlh, e->key);
	if (type == NFT_MSG_NEWSETELEM) {
		if (e->data)
			copy_attr(nlh, e->data);
		left_ms = e->left_ms - a->ms;
		mnl_attr_put_u64(nlh, NFTA_SET_ELEM_TIMEOUT,
				 htobe64(left_ms > e->timeout_ms ?
						 left_ms : e->timeout_ms));
		mnl_attr_put_u64(nlh, NFTA_SET_ELEM_EXPIRATION,
				 htobe64(left_ms));
	}
	mnl_attr_nest_end(nlh, nest);
	mnl_attr_nest_end(nlh, list);
	netlink_end(a->batch);
}

static void age_element(struct ageing *a, const struct nlattr *nest)
{
	struct element e = {NULL, NULL, 0, 0};
	const struct nlattr *attr;

	netlink_for_each_nested(attr, nest) {
		uint16_t type = mnl_attr_get_type(attr);

		if (type == NFTA_SET_ELEM_KEY)
			e.key = attr;
		else if (type == NFTA_SET_ELEM_DATA)
			e.data = attr;
		else if (type == NFTA_SET_ELEM_TIMEOUT)
			e.timeout_ms = be64toh(mnl_attr_get_u64(attr));
		else if (type == NFTA_SET_ELEM_EXPIRATION)
			e.left_ms = be64toh(mnl_attr_get_u64(attr));
	}
	if (!e.key || !e.timeout_ms)
		return;
	a->count++;
	put_element(a, &e, NFT_MSG_DELSETELEM);
	if (e.left_ms > a->ms)
		put_element(a, &e, NFT_MSG_NEWSETELEM);
}

static int on_elements(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr, *nest;

	netlink_for_each_in(attr, nlh, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(attr) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		netlink_for_each_nested(nest, attr)
			age_element(arg, nest);
	}
	return MNL_CB_OK;
}

static int age_once(struct netlink *nl, struct netlink_batch *ask,
		    struct ageing *a, const char *where, struct err *err)
{
	int code;

	a->count = 0;
	if (begin(ask, "list mappings", NFT_MSG_GETSETELEM, 0, a->set))
		netlink_end(ask);
	put_mark(a->batch, NFNL_MSG_BATCH_BEGIN);
	code = netlink_dump(nl, ask, on_elements, a, where, err);
	put_mark(a->batch, NFNL_MSG_BATCH_END);
	if (code || !a->count) {
		netlink_drop(a->batch);
		return code;
	}
	return netlink_send(nl, a->batch, where, 0, err);
}

int element_age(struct netlink *nl, const char *set, uint64_t us,
		const char *where, struct err *err)
{
	struct netlink_batch ask = {.data = NULL}, batch = {.data = NULL};
	struct ageing a = {&batch, set, us / 1000, 0};
	int code = -EINTR;

	/* One that ended, or a dump that changed, meanwhile: look again. */
	for (unsigned tries = 0; tries < 5; tries++) {
		code = age_once(nl, &ask, &a, where, err);
		if (code != -ENOENT && code != -EINTR)
			break;
	}
	netlink_batch_free(&ask);
	netlink_batch_free(&batch);
	return code;
}

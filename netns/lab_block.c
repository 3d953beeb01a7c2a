/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks. Each is one nft rule in a table of its own, `inet block` in a router
 * (`bridge block` for what a LAN's bridge carries) or `netdev block` in the
 * internet. The tables are written anew at each change: blocks are few. The
 * engine of a router hears packets before nftables does, so it is told as well.
 */
#include "netns/lab_own.h"
#include "wire/endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>

/* Where a packet is dropped, and by what addresses it is known there. */
enum place {
	PLACE_INTERNET, /* X and Y are both on it */
	PLACE_OUT,	/* X's router, as it comes in from the LAN */
	PLACE_LAN,	/* X's router: its LAN's bridge, for a neighbour */
	PLACE_IN,	/* Y's router, after translation */
};

/* By what addresses a block knows its packets at one place. */
struct ends {
	uint32_t from[NAT_MAX_POOL], to[NAT_MAX_POOL + 2];
	unsigned from_count, to_count;
};

struct text {
	char *data; /* malloc'ed by open_memstream */
	size_t bytes;
	FILE *file;
};

static const struct lab_node *outermost(const struct lab *lab,
					const struct lab_node *node)
{
	const struct lab_node *router = lab_router_of(lab, node);

	while (router && lab_router_of(lab, router))
		router = lab_router_of(lab, router);
	return router;
}

/* Is Y's public address Y's alone? */
static bool has_address_alone(const struct lab *lab, const struct lab_node *y)
{
	const struct lab_node *edge = outermost(lab, y);

	if (!edge || lab_public_ip(lab, y) == y->ifaces[0].ip)
		return true;
	for (unsigned i = 0; i < lab->count; i++)
		if (&lab->nodes[i] != y &&
		    lab->nodes[i].plan.kind == LAB_HOST &&
		    outermost(lab, &lab->nodes[i]) == edge)
			return false;
	return true;
}

static void put_match(FILE *file, const struct lab_blocked *b)
{
	const char *proto = b->proto == IPPROTO_TCP ? "tcp" : "udp";

	if (b->port && b->proto)
		fprintf(file, " %s dport %u", proto, b->port);
	else if (b->port)
		fprintf(file, " meta l4proto { tcp, udp } th dport %u",
			b->port);
	else if (b->proto)
		fprintf(file, " meta l4proto %s", proto);
	fprintf(file, " drop\n");
}

/* What stands for Y where X's packets have not been translated yet. */
static unsigned addresses_of(const struct lab *lab, const struct lab_node *x,
			     const struct lab_node *y,
			     uint32_t ips[NAT_MAX_POOL + 2])
{
	const struct lab_node *shown = lab_public_node(lab, y);
	unsigned count = 0;

	if (shown == y) {
		count = lab_wan_ips(y, ips);
	} else {
		ips[count++] = y->ifaces[0].ip;
		if (has_address_alone(lab, y))
			count += lab_wan_ips(shown, ips + count);
	}
	if (y->plan.kind == LAB_ROUTER && lab_router_of(lab, x) == y)
		ips[count++] = y->ifaces[1].ip;
	return count;
}

/* Does this block drop packets at PLACE of ROUTER (NULL: the internet)? */
static bool block_at(const struct lab *lab, enum place place,
		     const struct lab_node *router,
		     const struct lab_blocked *b, struct ends *ends)
{
	const struct lab_node *x = &lab->nodes[b->x], *y = &lab->nodes[b->y];
	const struct lab_node *xr = lab_router_of(lab, x);
	const struct lab_node *yr = lab_router_of(lab, y);

	ends->to_count = addresses_of(lab, x, y, ends->to);
	ends->from_count = lab_wan_ips(x, ends->from);
	if (place == PLACE_INTERNET && !xr && has_address_alone(lab, y))
		return true;
	if (place == PLACE_OUT && router == xr)
		return true;
	ends->to_count = 1;
	if (place == PLACE_LAN && router == xr && xr == yr)
		return true;
	/* Y's LAN neighbours share its address: only after DNAT is it known. */
	ends->from_count = lab_wan_ips(lab_public_node(lab, x), ends->from);
	return place == PLACE_IN && router == yr && !has_address_alone(lab, y);
}

static void put_block(const struct lab *lab, FILE *file, enum place place,
		      const struct lab_node *router,
		      const struct lab_blocked *b)
{
	char from[ENDPOINT_TEXT_BYTES], to[ENDPOINT_TEXT_BYTES];
	struct ends ends;

	if (!block_at(lab, place, router, b, &ends))
		return;
	for (unsigned i = 0; i < ends.from_count * ends.to_count; i++) {
		uint32_t from_ip = ends.from[i / ends.to_count];

		fprintf(file, "\t\tip saddr %s ip daddr %s",
			endpoint_format_ip(from_ip, from),
			endpoint_format_ip(ends.to[i % ends.to_count], to));
		put_match(file, b);
	}
}

static void put_chain(const struct lab *lab, FILE *file, enum place place,
		      const struct lab_node *router, const char *head)
{
	fprintf(file, "%s", head);
	for (unsigned i = 0; i < lab->own->blocked_count; i++)
		put_block(lab, file, place, router, &lab->own->blocked[i]);
	fprintf(file, "\t}\n");
}

/*
 * Where there was a table of blocks before, it is written anew. To delete takes
 * the kernel a grace period, in which closing its netlink socket waits.
 */
static void put_head(FILE *file, const char *family, bool again)
{
	if (again)
		fprintf(file, "table %s block\ndelete table %s block\n",
			family, family);
	fprintf(file, "table %s block {\n", family);
}

/* All that one node on the internet sends to another enters there. */
static void put_internet_table(const struct lab *lab, FILE *file)
{
	put_head(file, "netdev", lab->own->internet_blocks_loaded);
	put_chain(lab, file, PLACE_INTERNET, NULL,
		  "\tchain between {\n"
		  "\t\ttype filter hook ingress device \"internet\" "
		  "priority filter; policy accept;\n");
	fprintf(file, "}\n");
}

static void put_bridge_table(const struct lab *lab, FILE *file,
			     const struct lab_node *router)
{
	put_head(file, "bridge", router->own->blocks_loaded);
	put_chain(lab, file, PLACE_LAN, router,
		  "\tchain forward {\n"
		  "\t\ttype filter hook forward priority filter; "
		  "policy accept;\n");
	fprintf(file, "}\n");
}

/* Before conntrack on the way out, so that no flow is remembered. */
static void put_router_table(const struct lab *lab, FILE *file,
			     const struct lab_node *router)
{
	put_head(file, "inet", router->own->blocks_loaded);
	put_chain(lab, file, PLACE_OUT, router,
		  "\tchain out {\n"
		  "\t\ttype filter hook prerouting priority raw; "
		  "policy accept;\n"
		  "\t\tiifname != \"lan\" accept\n");
	put_chain(lab, file, PLACE_IN, router,
		  "\tchain in {\n"
		  "\t\ttype filter hook forward priority filter - 5; "
		  "policy accept;\n");
	fprintf(file, "}\n");
}

static void add_box_blocks(const struct lab *lab, const struct lab_node *router,
			   const struct lab_blocked *b, bool inward,
			   struct natbox_block *blocks, unsigned *block_count)
{
	struct ends ends;

	if (!block_at(lab, inward ? PLACE_IN : PLACE_OUT, router, b, &ends))
		return;
	for (unsigned i = 0; i < ends.from_count * ends.to_count; i++)
		blocks[(*block_count)++] = (struct natbox_block){
			inward, ends.from[i / ends.to_count],
			ends.to[i % ends.to_count], b->proto, b->port};
}

static int load_box(const struct lab *lab, const struct lab_node *router,
		    struct err *err)
{
	unsigned count = 0, room;
	struct natbox_block *blocks;
	int code;

	/* Out and in: each from the pool of one to that of the other. */
	room = 2 * NAT_MAX_POOL * (NAT_MAX_POOL + 2) * lab->own->blocked_count;
	blocks = calloc(room + 1, sizeof(*blocks));
	if (!blocks)
		return err_set(err, ENOMEM, "no memory for blocks");
	for (unsigned i = 0; i < lab->own->blocked_count; i++) {
		const struct lab_blocked *b = &lab->own->blocked[i];

		add_box_blocks(lab, router, b, false, blocks, &count);
		add_box_blocks(lab, router, b, true, blocks, &count);
	}
	code = natbox_set_blocks(router->own->box, blocks, count, err);
	free(blocks);
	return code;
}

static bool concerns(const struct lab *lab, const struct lab_node *router)
{
	for (unsigned i = 0; i < lab->own->blocked_count; i++) {
		const struct lab_blocked *b = &lab->own->blocked[i];

		if (lab_router_of(lab, &lab->nodes[b->x]) == router ||
		    (router &&
		     lab_router_of(lab, &lab->nodes[b->y]) == router))
			return true;
	}
	return false;
}

/* ROUTER NULL: the internet. */
static int load_one(struct lab *lab, const struct lab_node *router,
		    struct err *err)
{
	const char *name = router ? router->plan.name : "the internet";
	struct text text = {NULL, 0, NULL};
	int code;

	text.file = open_memstream(&text.data, &text.bytes);
	if (!text.file)
		return err_set(err, ENOMEM, "no memory for blocks");
	if (router)
		put_router_table(lab, text.file, router);
	else
		put_internet_table(lab, text.file);
	if (router && router->own->members > 1)
		put_bridge_table(lab, text.file, router);
	if (fclose(text.file) || !text.data) {
		free(text.data);
		return err_set(err, ENOMEM, "no memory for blocks");
	}
	code = lab_enter_fd(router ? router->ns_fd : lab->internet_ns_fd, name,
			    err);
	if (!code)
		code = lab_nft(lab, text.data, NULL, name, err);
	lab_leave(lab);
	free(text.data);
	return code;
}

int lab_blocks_load(struct lab *lab, struct err *err)
{
	bool wanted = concerns(lab, NULL);
	int code = 0;

	if (wanted || lab->own->internet_blocks_loaded)
		code = load_one(lab, NULL, err);
	lab->own->internet_blocks_loaded = wanted;
	for (unsigned i = 0; i < lab->count && !code; i++) {
		struct lab_node *node = &lab->nodes[i];

		if (node->plan.kind != LAB_ROUTER)
			continue;
		wanted = concerns(lab, node);
		if (wanted || node->own->blocks_loaded)
			code = load_one(lab, node, err);
		if (!code && node->own->box &&
		    (wanted || node->own->blocks_loaded))
			code = load_box(lab, node, err);
		node->own->blocks_loaded = wanted;
	}
	return code;
}

static struct lab_blocked *find(const struct lab *lab,
				const struct lab_blocked *wanted)
{
	for (unsigned i = 0; i < lab->own->blocked_count; i++) {
		struct lab_blocked *b = &lab->own->blocked[i];

		if (b->x == wanted->x && b->y == wanted->y &&
		    b->proto == wanted->proto && b->port == wanted->port)
			return b;
	}
	return NULL;
}

int lab_block(struct lab *lab, struct lab_node *x, struct lab_node *y,
	      int proto, uint16_t port, struct err *err)
{
	struct lab_blocked wanted = {x->own->index, y->own->index, proto, port};
	size_t bytes = (lab->own->blocked_count + 1) * sizeof(wanted);
	struct lab_blocked *blocked;
	int code;

	if (proto && proto != IPPROTO_UDP && proto != IPPROTO_TCP)
		return err_set(err, EINVAL, "cannot block protocol %d: udp, "
			       "tcp or all", proto);
	if (find(lab, &wanted))
		return 0;
	blocked = realloc(lab->own->blocked, bytes);
	if (!blocked)
		return err_set(err, ENOMEM, "no memory for another block");
	lab->own->blocked = blocked;
	blocked[lab->own->blocked_count++] = wanted;
	code = lab_blocks_load(lab, err);
	if (code)
		lab->own->blocked_count--;
	return code;
}

int lab_unblock(struct lab *lab, struct lab_node *x, struct lab_node *y,
		int proto, uint16_t port, struct err *err)
{
	struct lab_blocked wanted = {x->own->index, y->own->index, proto, port};
	struct lab_blocked *found = find(lab, &wanted);

	if (!found)
		return err_set(err, ENOENT, "%s -> %s is not blocked like that",
			       x->plan.name, y->plan.name);
	*found = lab->own->blocked[--lab->own->blocked_count];
	return lab_blocks_load(lab, err);
}

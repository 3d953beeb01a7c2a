/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cast: who plays in a recording: hosts, routers, servers, their addresses and
 * what stands behind what. It is all the witness knows of a lab.
 *
 * natrig writes it as JSON into the section header of its recordings:
 * {"natrig":1,"title":"...","nodes":[{"name":"a","kind":"host",
 * "behind":"home-a","ips":["192.168.1.2"]}, ...]}; ips of a router are its WAN
 * address first, then LAN ones. For a file from elsewhere it comes from the
 * scenario, and addresses from the file's interfaces.
 */
#ifndef NATRIG_CAPTURES_CAST_H
#define NATRIG_CAPTURES_CAST_H

#include "captures/recording.h"

enum cast_kind { CAST_HOST, CAST_ROUTER, CAST_SERVER };

/* A pool of 8 addresses, a few times renumbered, and the LAN's. */
#define CAST_MAX_IPS 32

struct cast_node {
	char name[64];
	enum cast_kind kind;
	int behind; /* index of the router it is behind; -1: on the internet */
	uint32_t ips[CAST_MAX_IPS]; /* a router: WAN first; later WAN addresses
				     * (renumbered) are added behind */
	unsigned ip_count;
	unsigned wan_ips; /* a router: how many of ips, from the front, are its
			   * outside; the rest are LAN addresses. 0: one */
};

struct cast {
	char title[256];
	struct cast_node *nodes;
	size_t count;
};

/* Index or -1. */
int cast_find(const struct cast *cast, const char *name);
/* Node that has the address or -1. */
int cast_find_ip(const struct cast *cast, uint32_t ip);
/* JSON text, malloc'd, the caller's; NULL when memory runs out. */
char *cast_to_json(const struct cast *cast);
/* -ENODATA where TEXT is no natrig comment (or NULL), -EBADMSG where broken. */
int cast_from_json(const char *text, struct cast **cast, struct err *err);
/*
 * Adds the addresses (if_IPv4addr) that the recording's interfaces tell of
 * nodes of the cast, and learns missing host addresses from outgoing frames.
 */
void cast_learn(struct cast *cast, const struct recording *rec);
/* The names closest in spelling: NULL where none is near. */
const char *cast_nearest(const struct cast *cast, const char *name);
struct cast *cast_new(size_t count); /* zeroed nodes, behind nobody */
struct cast *cast_copy(const struct cast *cast); /* NULL: no memory */
bool cast_has_ip(const struct cast_node *node, uint32_t ip);
/* How many of ips, from the front, are outside (the rule of wan_ips). */
unsigned cast_wan_count(const struct cast_node *node);
/* Whether the vantage is the node's outside; hosts have nothing else. */
bool cast_is_outside(const struct cast_node *node, const struct vantage *v);
/* Slips of the fingers from A to B: letters more, less, wrong, swapped. */
unsigned cast_distance(const char *a, const char *b);
/* NAME is near enough to WORD and nearer than *BEST (updated; UINT_MAX). */
bool cast_is_near(const char *word, const char *name, unsigned *best);
void cast_free(struct cast *cast);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nat: what a router does to packets, in RFC 4787's words, who can do it, and
 * the nftables ruleset that does it. Pure: text out, no kernel touched.
 */
#ifndef NATRIG_NETNS_NAT_H
#define NATRIG_NETNS_NAT_H

#include "wire/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum nat_mapping { NAT_MAPPING_NONE, NAT_EIM, NAT_ADM, NAT_APDM };
enum nat_filtering { NAT_FILTERING_NONE, NAT_EIF, NAT_ADF, NAT_APDF };
enum nat_ports {
	NAT_PORTS_PRESERVE, /* where it is free; else drawn */
	NAT_PORTS_RANDOM,
	NAT_PORTS_SEQUENTIAL,
	NAT_PORTS_BLOCK,	/* each host draws on a block of its own */
	NAT_PORTS_PRESERVE_ONLY /* where it is taken, nothing gets out */
};
enum nat_hairpin {
	NAT_HAIRPIN_NONE,
	NAT_HAIRPIN_EXTERNAL, /* arrives with its mapped source */
	NAT_HAIRPIN_INTERNAL  /* with its inside source */
};
/* What keeps a mapping: packets of both directions, or of the inside's only. */
enum nat_refresh { NAT_REFRESH_BOTH, NAT_REFRESH_OUTBOUND };
/* Timeouts count from the last packet, or from a mapping's making. */
enum nat_lifetime { NAT_LIFETIME_IDLE, NAT_LIFETIME_ABSOLUTE };
/* A host has one address of the pool, or each mapping any of them. */
enum nat_pooling { NAT_POOLING_PAIRED, NAT_POOLING_ARBITRARY };
enum nat_wan_input { NAT_WAN_DROP, NAT_WAN_REJECT, NAT_WAN_ACCEPT };

#define NAT_MAX_POOL 8
#define NAT_BLOCK_PORTS 512
/* The range that ports are drawn from, and blocks cut from. */
#define NAT_PORT_LOW 1024
#define NAT_PORT_HIGH 65535

/* 0 is in each field what a home router does, or the usual. */
struct nat {
	enum nat_mapping mapping; /* NONE: routes without translating */
	enum nat_filtering filtering;
	enum nat_ports ports;
	unsigned block_ports; /* of NAT_PORTS_BLOCK; 0: NAT_BLOCK_PORTS */
	unsigned pool;	      /* external addresses; 0: one */
	enum nat_pooling pooling;
	enum nat_hairpin hairpin;
	enum nat_refresh refresh;
	enum nat_lifetime lifetime;
	/* What a host sends from a mapped port leaves by that mapping. */
	bool map_outbound;
	bool udp_blocked; /* UDP from the LAN is dropped */
	enum nat_wan_input wan_input;
	unsigned udp_timeout_s;	       /* default 30 */
	unsigned udp_stream_timeout_s; /* default 120 */
	/* 0: what is usual with who does it, see nat_filled. */
	unsigned tcp_timeout_s;		   /* established or half closed */
	unsigned tcp_transitory_timeout_s; /* opening, or closed both ways */
	unsigned icmp_timeout_s;	   /* queries */
};

struct nat_preset {
	const char *name;
	const char *summary; /* one line, for people */
	struct nat nat;
};

/* One more preset is one more row in nat.c. Ends with name NULL. */
extern const struct nat_preset nat_presets[];
const struct nat_preset *nat_preset_find(const char *name);

/* Names of the enums' values, as scenarios write them; NULL-terminated. */
extern const char *const nat_mapping_names[];	/* none eim adm apdm */
extern const char *const nat_filtering_names[]; /* none eif adf apdf */
/* preserve random sequential block preserve-only, and then once more the
 * first, by its full name: preserve-or-random */
extern const char *const nat_ports_names[];
extern const char *const nat_hairpin_names[];	/* none external internal */
extern const char *const nat_refresh_names[];	/* both outbound */
extern const char *const nat_lifetime_names[];	/* idle absolute */
extern const char *const nat_pooling_names[];	/* paired arbitrary */
extern const char *const nat_wan_input_names[]; /* drop reject accept */

bool nat_equal(const struct nat *a, const struct nat *b);

/* Who does it: the kernel's netfilter where it can do this exactly. */
enum nat_by {
	NAT_BY_NETFILTER,
	NAT_BY_ENGINE /* netns/engine.h, in the router's namespace: natbox.h */
};
enum nat_by nat_by(const struct nat *nat);
/* Why netfilter cannot; NULL where it can. Of what nat_supported accepts. */
const char *nat_why_engine(const struct nat *nat);

/*
 * NAT with each default in place of its 0, as BY has it: addresses, ports of a
 * block, timeouts. netfilter's own timeouts of TCP's states but for the
 * established one differ, from 10 s to 2 min: the longest is told, unless one
 * is asked for, which all of them then have.
 */
struct nat nat_filled(const struct nat *nat, enum nat_by by);

/* 0, or -ENOTSUP with the reason where neither can do this combination. */
int nat_supported(const struct nat *nat, struct err *err);

/*
 * Names of the sets and maps, of netfilter's ruleset, whose elements end by
 * themselves.
 */
#define NAT_MAX_SETS 4
unsigned nat_sets(const struct nat *nat, const char *names[NAT_MAX_SETS]);

struct nat_place {
	const char *wan; /* interface names */
	const char *lan;
	uint32_t wan_ip; /* the first one */
	uint32_t more_wan_ips[NAT_MAX_POOL - 1]; /* of a pool */
	uint32_t lan_net, lan_mask;
	bool portmap; /* with the chains that miniupnpd fills */
	bool fresh;   /* there is no table to be replaced yet */
	bool engine;  /* only what keeps the kernel out of an engine's way */
};

/*
 * The ruleset as nft reads it, into TEXT. Returns its length, or -EMSGSIZE,
 * or -ENOTSUP where that takes an engine and place->engine is not set. It
 * begins by (re)creating the table `router`, so it can be loaded over an old
 * one; dynamic state (maps) is then gone, conntrack not. The table `portmap` is
 * only made where it is missing: what the daemon put there outlives a load.
 */
int nat_ruleset(const struct nat *nat, const struct nat_place *place,
		char *text, size_t text_bytes, struct err *err);

#endif

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
enum nat_ports { NAT_PORTS_PRESERVE, NAT_PORTS_RANDOM, NAT_PORTS_SEQUENTIAL };
enum nat_wan_input { NAT_WAN_DROP, NAT_WAN_REJECT, NAT_WAN_ACCEPT };

struct nat {
	enum nat_mapping mapping; /* NONE: routes without translating */
	enum nat_filtering filtering;
	enum nat_ports ports;
	bool hairpin;
	bool udp_blocked;	  /* UDP from the LAN is dropped */
	enum nat_wan_input wan_input;
	unsigned udp_timeout_s;	       /* default 30 */
	unsigned udp_stream_timeout_s; /* default 120 */
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
extern const char *const nat_ports_names[];	/* preserve random sequential */
extern const char *const nat_wan_input_names[]; /* drop reject accept */

/* Who does it: the kernel's netfilter where it can do this exactly. */
enum nat_by {
	NAT_BY_NETFILTER,
	NAT_BY_ENGINE /* netns/engine.h, in the router's namespace: natbox.h */
};
enum nat_by nat_by(const struct nat *nat);
/* Why netfilter cannot; NULL where it can. Of what nat_supported accepts. */
const char *nat_why_engine(const struct nat *nat);

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
	uint32_t wan_ip;
	uint32_t lan_net, lan_mask;
	bool portmap; /* with the chains that miniupnpd fills */
	bool fresh;   /* there is no table to be replaced yet */
	bool engine;  /* only what keeps the kernel out of an engine's way */
};

/*
 * The ruleset as nft reads it, into TEXT. Returns its length, or -EMSGSIZE,
 * or -ENOTSUP where that takes an engine and place->engine is not set. It begins by (re)creating the table `router`, so
 * it can be loaded over an old one; dynamic state (maps) is then gone,
 * conntrack not. The table `portmap` is only made where it is missing: what the
 * daemon put there outlives a load.
 */
int nat_ruleset(const struct nat *nat, const struct nat_place *place, char *text,
		size_t text_bytes, struct err *err);

#endif

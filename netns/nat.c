/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Presets and limits are here; the ruleset's text is in nat_rules.c.
 */
#include "netns/nat.h"

#include <errno.h>
#include <string.h>

#define USUAL .udp_timeout_s = 30, .udp_stream_timeout_s = 120

const struct nat_preset nat_presets[] = {
	{"none", "routes without translating, and lets everything in",
	 {.mapping = NAT_MAPPING_NONE, .filtering = NAT_FILTERING_NONE, USUAL}},
	{"easy", "EIM, APDF, keeps ports: what Linux masquerade does",
	 {.mapping = NAT_EIM, .filtering = NAT_APDF, USUAL}},
	{"full-cone", "EIM, EIF: whoever knows the mapping gets in",
	 {.mapping = NAT_EIM, .filtering = NAT_EIF, USUAL}},
	{"address-restricted", "EIM, ADF: whoever was sent to gets in",
	 {.mapping = NAT_EIM, .filtering = NAT_ADF, USUAL}},
	{"symmetric", "APDM, APDF, random ports: hard",
	 {.mapping = NAT_APDM, .filtering = NAT_APDF,
	  .ports = NAT_PORTS_RANDOM, USUAL}},
	{"udp-blocked", "easy for TCP; UDP from the LAN is dropped",
	 {.mapping = NAT_EIM, .filtering = NAT_APDF, .udp_blocked = true,
	  USUAL}},
	{"firewall", "translates nothing, and lets in only what answers",
	 {.mapping = NAT_MAPPING_NONE, .filtering = NAT_APDF, USUAL}},
	{"cgnat", "a carrier's: EIM, EIF, hairpin, 2 addresses, ports in "
		  "blocks",
	 {.mapping = NAT_EIM, .filtering = NAT_EIF, .ports = NAT_PORTS_BLOCK,
	  .pool = 2, .hairpin = NAT_HAIRPIN_EXTERNAL, USUAL}},
	{"symmetric-sequential", "APDM, APDF, ports counted up: hard, but to be "
				 "guessed",
	 {.mapping = NAT_APDM, .filtering = NAT_APDF,
	  .ports = NAT_PORTS_SEQUENTIAL, USUAL}},
	{"symmetric-preserving", "APDM, APDF, the first flow keeps the port: "
				 "hard, and looks easy at first",
	 {.mapping = NAT_APDM, .filtering = NAT_APDF, USUAL}},
	{.name = NULL},
};

const char *const nat_mapping_names[] = {"none", "eim", "adm", "apdm", NULL};
const char *const nat_filtering_names[] = {"none", "eif", "adf", "apdf", NULL};
const char *const nat_ports_names[] = {"preserve",	"random",
				       "sequential",	"block",
				       "preserve-only", "preserve-or-random",
				       NULL};
const char *const nat_hairpin_names[] = {"none", "external", "internal", NULL};
const char *const nat_refresh_names[] = {"both", "outbound", NULL};
const char *const nat_lifetime_names[] = {"idle", "absolute", NULL};
const char *const nat_pooling_names[] = {"paired", "arbitrary", NULL};
const char *const nat_wan_input_names[] = {"drop", "reject", "accept", NULL};

const struct nat_preset *nat_preset_find(const char *name)
{
	const struct nat_preset *preset;

	for (preset = nat_presets; preset->name; preset++)
		if (strcmp(preset->name, name) == 0)
			return preset;
	return NULL;
}

bool nat_equal(const struct nat *a, const struct nat *b)
{
	return a->mapping == b->mapping && a->filtering == b->filtering &&
	       a->ports == b->ports && a->block_ports == b->block_ports &&
	       a->pool == b->pool && a->pooling == b->pooling &&
	       a->hairpin == b->hairpin && a->refresh == b->refresh &&
	       a->lifetime == b->lifetime &&
	       a->map_outbound == b->map_outbound &&
	       a->udp_blocked == b->udp_blocked &&
	       a->wan_input == b->wan_input &&
	       a->udp_timeout_s == b->udp_timeout_s &&
	       a->udp_stream_timeout_s == b->udp_stream_timeout_s &&
	       a->tcp_timeout_s == b->tcp_timeout_s &&
	       a->tcp_transitory_timeout_s == b->tcp_transitory_timeout_s &&
	       a->icmp_timeout_s == b->icmp_timeout_s;
}

static void fill(unsigned *value, unsigned usual)
{
	if (!*value)
		*value = usual;
}

/* The engine's TCP and ICMP as RFC 5382 and RFC 5508 want them at least. */
struct nat nat_filled(const struct nat *nat, enum nat_by by)
{
	bool engine = by == NAT_BY_ENGINE;
	struct nat full = *nat;

	fill(&full.pool, 1);
	fill(&full.block_ports, NAT_BLOCK_PORTS);
	fill(&full.tcp_timeout_s, engine ? 7440 : 432000);
	fill(&full.tcp_transitory_timeout_s, engine ? 240 : 120);
	fill(&full.icmp_timeout_s, engine ? 60 : 30);
	return full;
}

/* --- who can -------------------------------------------------------------- */

struct limit {
	bool (*hits)(const struct nat *nat);
	const char *why;
};

static const char *first_hit(const struct limit *limits, const struct nat *nat)
{
	for (; limits->hits; limits++)
		if (limits->hits(nat))
			return limits->why;
	return NULL;
}

static bool is_adm(const struct nat *nat)
{
	return nat->mapping == NAT_ADM;
}

static bool is_sequential(const struct nat *nat)
{
	return nat->ports == NAT_PORTS_SEQUENTIAL;
}

static bool is_block(const struct nat *nat)
{
	return nat->ports == NAT_PORTS_BLOCK;
}

static bool is_preserve_only(const struct nat *nat)
{
	return nat->ports == NAT_PORTS_PRESERVE_ONLY;
}

static bool has_pool(const struct nat *nat)
{
	return nat->pool > 1;
}

static bool refreshes_outbound(const struct nat *nat)
{
	return nat->refresh == NAT_REFRESH_OUTBOUND;
}

static bool is_absolute(const struct nat *nat)
{
	return nat->lifetime == NAT_LIFETIME_ABSOLUTE;
}

static bool maps_outbound(const struct nat *nat)
{
	return nat->map_outbound;
}

static bool is_apdm_preserve(const struct nat *nat)
{
	return nat->mapping == NAT_APDM && nat->ports == NAT_PORTS_PRESERVE;
}

static bool is_apdm_open(const struct nat *nat)
{
	return nat->mapping == NAT_APDM && nat->filtering != NAT_APDF;
}

static bool is_apdm_hairpin(const struct nat *nat)
{
	return nat->mapping == NAT_APDM && nat->hairpin;
}

static bool is_eim_random(const struct nat *nat)
{
	return nat->mapping == NAT_EIM && nat->ports == NAT_PORTS_RANDOM;
}

/* What only the engine can do. */
const char *nat_why_engine(const struct nat *nat)
{
	static const struct limit limits[] = {
		{is_adm, "mapping adm: netfilter maps per flow or not at all"},
		{is_sequential, "ports sequential: netfilter keeps ports or "
				"draws them"},
		{is_block, "ports block: netfilter knows of no blocks that "
			   "belong to a host"},
		{is_preserve_only, "ports preserve-only: netfilter draws "
				   "another port where one is taken"},
		{has_pool, "pool: netfilter picks among addresses by a hash "
			   "for each flow, and moves no flow to one where its "
			   "port is free"},
		{refreshes_outbound, "refresh outbound: with netfilter packets "
				     "of both directions keep a flow"},
		{is_absolute, "lifetime absolute: with netfilter each packet "
			      "begins a flow's timeout anew"},
		{maps_outbound, "map-outbound: with netfilter a port mapping "
				"is only for what comes in"},
		{is_apdm_preserve, "mapping apdm with ports preserve: "
				   "netfilter re-maps only by drawing ports"},
		{is_apdm_open, "mapping apdm with a filtering other than apdf: "
			       "a port of one flow lets nobody else in"},
		{is_apdm_hairpin, "hairpin with mapping apdm: no mapping "
				  "serves a second sender"},
		{is_eim_random, "mapping eim with ports random: netfilter "
				"draws anew for each flow"},
		{NULL, NULL},
	};

	return first_hit(limits, nat);
}

static bool is_unfiltered(const struct nat *nat)
{
	return nat->mapping != NAT_MAPPING_NONE &&
	       nat->filtering == NAT_FILTERING_NONE;
}

static bool is_none_ports(const struct nat *nat)
{
	return nat->mapping == NAT_MAPPING_NONE &&
	       nat->ports != NAT_PORTS_PRESERVE;
}

static bool is_none_hairpin(const struct nat *nat)
{
	return nat->mapping == NAT_MAPPING_NONE && nat->hairpin;
}

static bool is_none_pool(const struct nat *nat)
{
	return nat->mapping == NAT_MAPPING_NONE && nat->pool > 1;
}

static bool is_none_refreshed(const struct nat *nat)
{
	return nat->mapping == NAT_MAPPING_NONE && refreshes_outbound(nat);
}

static bool is_none_absolute(const struct nat *nat)
{
	return nat->mapping == NAT_MAPPING_NONE && is_absolute(nat);
}

static bool is_none_outbound(const struct nat *nat)
{
	return nat->mapping == NAT_MAPPING_NONE && maps_outbound(nat);
}

static bool is_pool_too_large(const struct nat *nat)
{
	return nat->pool > NAT_MAX_POOL;
}

static bool is_arbitrary_of_one(const struct nat *nat)
{
	return nat->pooling == NAT_POOLING_ARBITRARY && nat->pool < 2;
}

static bool is_size_without_blocks(const struct nat *nat)
{
	return nat->block_ports && nat->ports != NAT_PORTS_BLOCK;
}

static bool is_block_too_large(const struct nat *nat)
{
	return nat->block_ports > NAT_PORT_HIGH - NAT_PORT_LOW + 1;
}

static bool is_gone_at_once(const struct nat *nat)
{
	return !nat->udp_timeout_s || !nat->udp_stream_timeout_s;
}

/* What neither can do, each with the nearest thing that there is. */
static const struct limit impossible[] = {
	{is_unfiltered, "filtering none with a mapping: a packet for no "
			"mapping has nowhere to go; nearest: filtering eif"},
	{is_none_ports, "mapping none with other ports than preserve: nothing "
			"is translated; nearest: ports preserve"},
	{is_none_hairpin, "hairpin with mapping none: there is no outside "
			  "address to come back by; nearest: hairpin: false"},
	{is_none_pool, "pool with mapping none: nothing is translated to any "
		       "address; nearest: pool: 1"},
	{is_none_refreshed, "refresh outbound with mapping none: there are no "
			    "mappings to refresh; nearest: refresh both"},
	{is_none_absolute, "lifetime absolute with mapping none: there are no "
			   "mappings to end; nearest: lifetime idle"},
	{is_none_outbound, "map-outbound with mapping none: there are no "
			   "mappings to leave by; nearest: map-outbound: "
			   "false"},
	{is_pool_too_large, "a pool of more than 8 addresses; nearest: "
			    "pool: 8"},
	{is_arbitrary_of_one, "pooling arbitrary with one address: there is "
			      "nothing to choose from; nearest: pool: 2"},
	{is_size_without_blocks, "block-size with other ports than block: "
				 "there are no blocks; nearest: ports block"},
	{is_block_too_large, "block-size above 64512, which all ports from "
			     "1024 are; nearest: block-size: 64512"},
	{is_gone_at_once, "a UDP timeout of 0: a flow would be forgotten at "
			  "once; nearest: 1s"},
	{NULL, NULL},
};

enum nat_by nat_by(const struct nat *nat)
{
	return nat_why_engine(nat) ? NAT_BY_ENGINE : NAT_BY_NETFILTER;
}

int nat_supported(const struct nat *nat, struct err *err)
{
	const char *why = first_hit(impossible, nat);

	if (why)
		return err_set(err, ENOTSUP, "no router can do this NAT: %s",
			       why);
	return 0;
}

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
	{.name = NULL},
};

const char *const nat_mapping_names[] = {"none", "eim", "adm", "apdm", NULL};
const char *const nat_filtering_names[] = {"none", "eif", "adf", "apdf", NULL};
const char *const nat_ports_names[] = {"preserve", "random", "sequential",
				       NULL};
const char *const nat_wan_input_names[] = {"drop", "reject", "accept", NULL};

const struct nat_preset *nat_preset_find(const char *name)
{
	const struct nat_preset *preset;

	for (preset = nat_presets; preset->name; preset++)
		if (strcmp(preset->name, name) == 0)
			return preset;
	return NULL;
}

/* What only the engine can do. */
const char *nat_why_engine(const struct nat *nat)
{
	if (nat->mapping == NAT_ADM)
		return "mapping adm: netfilter maps per flow or not at all";
	if (nat->ports == NAT_PORTS_SEQUENTIAL)
		return "ports sequential: netfilter keeps ports or draws them";
	if (nat->mapping == NAT_APDM && nat->ports == NAT_PORTS_PRESERVE)
		return "mapping apdm with ports preserve: netfilter re-maps "
		       "only by drawing ports";
	if (nat->mapping == NAT_APDM && nat->filtering != NAT_APDF)
		return "mapping apdm with a filtering other than apdf: a port "
		       "of one flow lets nobody else in";
	if (nat->mapping == NAT_APDM && nat->hairpin)
		return "hairpin with mapping apdm: no mapping serves a second "
		       "sender";
	if (nat->mapping == NAT_EIM && nat->ports == NAT_PORTS_RANDOM)
		return "mapping eim with ports random: netfilter draws anew "
		       "for each flow";
	return NULL;
}

/* What neither can do, each with the nearest thing that there is. */
static const char *why_not(const struct nat *nat)
{
	if (nat->mapping != NAT_MAPPING_NONE &&
	    nat->filtering == NAT_FILTERING_NONE)
		return "filtering none with a mapping: a packet for no mapping "
		       "has nowhere to go; nearest: filtering eif";
	if (nat->mapping == NAT_MAPPING_NONE && nat->ports != NAT_PORTS_PRESERVE)
		return "mapping none with other ports than preserve: nothing "
		       "is translated; nearest: ports preserve";
	if (nat->mapping == NAT_MAPPING_NONE && nat->hairpin)
		return "hairpin with mapping none: there is no outside address "
		       "to come back by; nearest: hairpin: false";
	if (!nat->udp_timeout_s || !nat->udp_stream_timeout_s)
		return "a UDP timeout of 0: a flow would be forgotten at once; "
		       "nearest: 1s";
	return NULL;
}

enum nat_by nat_by(const struct nat *nat)
{
	return nat_why_engine(nat) ? NAT_BY_ENGINE : NAT_BY_NETFILTER;
}

int nat_supported(const struct nat *nat, struct err *err)
{
	const char *why = why_not(nat);

	if (why)
		return err_set(err, ENOTSUP, "no router can do this NAT: %s",
			       why);
	return 0;
}

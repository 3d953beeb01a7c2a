/* SPDX-License-Identifier: BSD-3-Clause */
/* What `routers` and `set` say of one router: its NAT and its port mapping. */
#include "harness/scenario_reader.h"

#include <stdio.h>
#include <string.h>

static const struct nat nat_defaults = {.wan_input = NAT_WAN_DROP,
					.udp_timeout_s = 30,
					.udp_stream_timeout_s = 120};

/* --- the keys of a behaviour: INTO is the struct lab_plan_node ---------- */

static struct nat *nat_of(void *into)
{
	return &((struct lab_plan_node *)into)->nat;
}

/*
 * A preset says how a NAT translates and filters. What a router does to its
 * own WAN packets and its timeouts stand beside it: they stay as they are
 * unless the preset makes something special of them.
 */
static void take_preset(struct nat *nat, const struct nat *preset)
{
	struct nat old = *nat;

	*nat = *preset;
	if (preset->wan_input == nat_defaults.wan_input)
		nat->wan_input = old.wan_input;
	if (!preset->udp_timeout_s ||
	    preset->udp_timeout_s == nat_defaults.udp_timeout_s)
		nat->udp_timeout_s = old.udp_timeout_s;
	if (!preset->udp_stream_timeout_s ||
	    preset->udp_stream_timeout_s == nat_defaults.udp_stream_timeout_s)
		nat->udp_stream_timeout_s = old.udp_stream_timeout_s;
}

static int read_preset(struct reader *r, const struct yaml_node *value,
		       void *into)
{
	const char *names[64] = {NULL};
	int index = 0, ret;

	for (unsigned i = 0; nat_presets[i].name && i < 63; i++)
		names[i] = nat_presets[i].name;
	ret = reader_choice(r, value, names, &index);
	if (!ret)
		take_preset(nat_of(into), &nat_presets[index].nat);
	return ret;
}

static int read_mapping(struct reader *r, const struct yaml_node *value,
			void *into)
{
	int index = 0;
	int ret = reader_choice(r, value, nat_mapping_names, &index);

	if (!ret)
		nat_of(into)->mapping = (enum nat_mapping)index;
	return ret;
}

static int read_filtering(struct reader *r, const struct yaml_node *value,
			  void *into)
{
	int index = 0;
	int ret = reader_choice(r, value, nat_filtering_names, &index);

	if (!ret)
		nat_of(into)->filtering = (enum nat_filtering)index;
	return ret;
}

static int read_ports(struct reader *r, const struct yaml_node *value,
		      void *into)
{
	int index = 0;
	int ret = reader_choice(r, value, nat_ports_names, &index);

	if (!ret)
		nat_of(into)->ports = (enum nat_ports)index;
	return ret;
}

static int read_hairpin(struct reader *r, const struct yaml_node *value,
			void *into)
{
	return reader_bool(r, value, &nat_of(into)->hairpin);
}

static int read_wan_input(struct reader *r, const struct yaml_node *value,
			  void *into)
{
	int index = 0;
	int ret = reader_choice(r, value, nat_wan_input_names, &index);

	if (!ret)
		nat_of(into)->wan_input = (enum nat_wan_input)index;
	return ret;
}

static int read_timeout(struct reader *r, const struct yaml_node *value,
			unsigned *timeout_s)
{
	uint64_t us;
	int ret = reader_duration(r, value, READER_SECOND_US, READER_MAX_US,
				  &us);

	if (ret)
		return ret;
	if (us % READER_SECOND_US)
		return reader_refuse(r, value, "%s: whole seconds expected, "
				     "not %s", value->key, value->text);
	*timeout_s = (unsigned)(us / READER_SECOND_US);
	return 0;
}

static int read_udp_timeout(struct reader *r, const struct yaml_node *value,
			    void *into)
{
	return read_timeout(r, value, &nat_of(into)->udp_timeout_s);
}

static int read_udp_stream_timeout(struct reader *r,
				   const struct yaml_node *value, void *into)
{
	return read_timeout(r, value, &nat_of(into)->udp_stream_timeout_s);
}

#define BESIDE_KEYS                                                            \
	{"hairpin", read_hairpin, false},                                      \
	{"wan-input", read_wan_input, false},                                  \
	{"udp-timeout", read_udp_timeout, false},                              \
	{"udp-stream-timeout", read_udp_stream_timeout, false}

static const struct reader_key nat_keys[] = {
	{"preset", read_preset, false},
	{"mapping", read_mapping, false},
	{"filtering", read_filtering, false},
	{"ports", read_ports, false},
	BESIDE_KEYS,
	{NULL, NULL, false}};

static const struct reader_key beside_keys[] = {BESIDE_KEYS,
						{NULL, NULL, false}};

/* --- nat: a preset, or a mapping ---------------------------------------- */

static int read_nat(struct reader *r, const struct yaml_node *value, void *into)
{
	const struct yaml_node *twice;

	if (value->kind != YAML_MAP)
		return read_preset(r, value, into);
	for (const struct reader_key *k = beside_keys; k->name; k++) {
		twice = yaml_get(value, k->name);
		if (twice && yaml_get(value->parent, k->name))
			return reader_refuse_key(r, twice, "%s is said twice: "
						 "in nat and beside it",
						 k->name);
	}
	return reader_map(r, value, "nat", nat_keys, into);
}

/* In `routers` nothing is there to fall back on but a preset. */
static int read_new_nat(struct reader *r, const struct yaml_node *value,
			void *into)
{
	*nat_of(into) = nat_defaults;
	if (value->kind == YAML_MAP && !yaml_get(value, "preset") &&
	    !(yaml_get(value, "mapping") && yaml_get(value, "filtering")))
		return reader_refuse(r, value, "nat: a preset, or both mapping "
				     "and filtering expected");
	return read_nat(r, value, into);
}

/* --- portmap: one or a list --------------------------------------------- */

static const char *const portmap_names[] = {"none", "upnp", "nat-pmp", "pcp",
					    NULL};
static const unsigned portmap_bits[] = {0, LAB_PORTMAP_UPNP,
					LAB_PORTMAP_NAT_PMP, LAB_PORTMAP_PCP};

static int read_portmap(struct reader *r, const struct yaml_node *value,
			void *into)
{
	struct lab_plan_node *node = into;
	const struct yaml_node *item;
	int index = 0, ret;

	if (value->kind != YAML_LIST) {
		ret = reader_choice(r, value, portmap_names, &index);
		if (!ret)
			node->portmap = portmap_bits[index];
		return ret;
	}
	node->portmap = 0;
	for (item = value->first; item; item = item->next) {
		ret = reader_choice(r, item, portmap_names, &index);
		if (ret)
			return ret;
		if (!index && value->members > 1)
			return reader_refuse(r, item, "portmap: none goes with "
					     "nothing else");
		if (node->portmap & portmap_bits[index])
			return reader_refuse(r, item, "portmap: %s is here "
					     "twice", item->text);
		node->portmap |= portmap_bits[index];
	}
	return 0;
}

static int read_outer(struct reader *r, const struct yaml_node *value,
		      void *into)
{
	struct lab_plan_node *node = into;

	return reader_node(r, value, READER_ROUTER, &node->router);
}

static const struct reader_key router_keys[] = {
	{"nat", read_new_nat, true},
	BESIDE_KEYS,
	{"portmap", read_portmap, false},
	{"router", read_outer, false},
	{NULL, NULL, false}};

static const struct reader_key set_keys[] = {
	{"nat", read_nat, false},
	BESIDE_KEYS,
	{"portmap", read_portmap, false},
	{NULL, NULL, false}};

int reader_router(struct reader *r, const struct yaml_node *body, bool set,
		  struct lab_plan_node *node)
{
	const struct yaml_node *nat;
	char where[SCENARIO_NAME_BYTES + 16] = "router ";
	struct err why = {0};
	int ret;

	strncat(where, node->name, SCENARIO_NAME_BYTES);
	ret = reader_map(r, body, where, set ? set_keys : router_keys, node);
	if (ret)
		return ret;
	if (set && !body->members)
		return reader_refuse(r, body, "nothing to set of %s",
				     node->name);
	ret = lab_router_supported(node, &why);
	if (!ret)
		return 0;
	nat = yaml_get(body, "nat");
	reader_refuse(r, nat ? nat : body, "%s", why.text);
	return ret;
}

/* --- the set step ------------------------------------------------------- */

/* "set edge-c portmap upnp, wan-input drop" */
static void set_text(const char *name, const struct yaml_node *member,
		     char *text, size_t size_bytes)
{
	const struct yaml_node *key;
	char value[SCENARIO_TEXT_BYTES];
	size_t at;

	snprintf(text, size_bytes, "set %s", name);
	for (key = member->first; key; key = key->next) {
		yaml_flow(key, value, sizeof(value));
		at = strlen(text);
		snprintf(text + at, size_bytes - at, "%s %s %s",
			 key == member->first ? "" : ",", key->key, value);
	}
}

/* One step for each router named; what is not said stays as it is by now. */
int reader_finish_set(struct reader *r, const struct yaml_node *body,
		      struct step *step)
{
	const struct yaml_node *set = body->first, *member;
	struct lab_plan_node *now;
	struct yaml_node name;
	int ret;

	ret = reader_kind(r, set, YAML_MAP, "{ROUTER: {nat: ...}}");
	if (!ret && !set->members)
		ret = reader_refuse(r, set, "set: no router is named");
	for (member = set->first; member && !ret; member = member->next) {
		name = (struct yaml_node){.kind = YAML_TEXT,
					  .text = member->key,
					  .line = member->key_line,
					  .column = member->key_column};
		ret = reader_node(r, &name, READER_ROUTER, &step->x);
		if (ret)
			return ret;
		now = &r->now[step->x];
		ret = reader_router(r, member, true, now);
		step->nat = now->nat;
		step->portmap = now->portmap;
		set_text(now->name, member, step->text, sizeof(step->text));
		if (!ret)
			ret = reader_push(r, body, step);
	}
	return ret;
}

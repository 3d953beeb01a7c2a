/* SPDX-License-Identifier: BSD-3-Clause */
/* What `routers` and `set` say of one router: its NAT and its port mapping. */
#include "harness/scenario_reader.h"

#include <stddef.h>
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

/* What a preset leaves as it was where it makes nothing special of it. */
#define KEEP(field)                                                            \
	do {                                                                   \
		if (preset->field == nat_defaults.field)                       \
			nat->field = old.field;                                \
	} while (0)

/*
 * A preset says how a NAT translates and filters. What a router does to its
 * own WAN packets, its addresses and its timeouts stand beside it: they stay
 * as they are unless the preset makes something special of them.
 */
static void take_preset(struct nat *nat, const struct nat *preset)
{
	struct nat old = *nat;

	*nat = *preset;
	KEEP(wan_input);
	KEEP(pool);
	KEEP(pooling);
	KEEP(refresh);
	KEEP(lifetime);
	KEEP(map_outbound);
	KEEP(udp_timeout_s);
	KEEP(udp_stream_timeout_s);
	KEEP(tcp_timeout_s);
	KEEP(tcp_transitory_timeout_s);
	KEEP(icmp_timeout_s);
	/* One address has nothing to choose from. */
	if (nat->pool < 2)
		nat->pooling = NAT_POOLING_PAIRED;
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

/* Each field that is one of some words; an enum is as wide as an unsigned. */
static const struct word {
	const char *key;
	const char *const *names;
	size_t at; /* in struct nat */
} words[] = {
	{"mapping", nat_mapping_names, offsetof(struct nat, mapping)},
	{"filtering", nat_filtering_names, offsetof(struct nat, filtering)},
	{"pooling", nat_pooling_names, offsetof(struct nat, pooling)},
	{"refresh", nat_refresh_names, offsetof(struct nat, refresh)},
	{"lifetime", nat_lifetime_names, offsetof(struct nat, lifetime)},
	{"wan-input", nat_wan_input_names, offsetof(struct nat, wan_input)},
};

static const struct timeout {
	const char *key;
	size_t at;
} timeouts[] = {
	{"udp-timeout", offsetof(struct nat, udp_timeout_s)},
	{"udp-stream-timeout", offsetof(struct nat, udp_stream_timeout_s)},
	{"tcp-timeout", offsetof(struct nat, tcp_timeout_s)},
	{"tcp-transitory-timeout",
	 offsetof(struct nat, tcp_transitory_timeout_s)},
	{"icmp-timeout", offsetof(struct nat, icmp_timeout_s)},
};

static unsigned *field_of(void *into, size_t at)
{
	return (unsigned *)((char *)nat_of(into) + at);
}

static int read_word(struct reader *r, const struct yaml_node *value,
		     void *into)
{
	const struct word *word = words;
	int index = 0, ret;

	while (strcmp(word->key, value->key))
		word++;
	ret = reader_choice(r, value, word->names, &index);
	if (!ret)
		*field_of(into, word->at) = (unsigned)index;
	return ret;
}

static int read_ports(struct reader *r, const struct yaml_node *value,
		      void *into)
{
	int index = 0;
	int ret = reader_choice(r, value, nat_ports_names, &index);

	if (ret)
		return ret;
	/* The last is another name of the first. */
	if (index > NAT_PORTS_PRESERVE_ONLY)
		index = NAT_PORTS_PRESERVE;
	if (index != NAT_PORTS_BLOCK)
		nat_of(into)->block_ports = 0;
	nat_of(into)->ports = (enum nat_ports)index;
	return 0;
}

static int read_count(struct reader *r, const struct yaml_node *value,
		      unsigned most, unsigned *count)
{
	uint64_t number;
	int ret = reader_number(r, value, 1, most, &number);

	if (!ret)
		*count = (unsigned)number;
	return ret;
}

static int read_block_size(struct reader *r, const struct yaml_node *value,
			   void *into)
{
	return read_count(r, value, NAT_PORT_HIGH - NAT_PORT_LOW + 1,
			  &nat_of(into)->block_ports);
}

static int read_pool(struct reader *r, const struct yaml_node *value,
		     void *into)
{
	unsigned *pool = &nat_of(into)->pool;
	int ret = read_count(r, value, NAT_MAX_POOL, pool);

	if (!ret && *pool == 1)
		*pool = 0; /* which is what is usual, and so the same */
	return ret;
}

static int read_hairpin(struct reader *r, const struct yaml_node *value,
			void *into)
{
	static const char *const names[] = {"true",	"false",    "none",
					    "external", "internal", NULL};
	static const enum nat_hairpin values[] = {
		NAT_HAIRPIN_EXTERNAL, NAT_HAIRPIN_NONE, NAT_HAIRPIN_NONE,
		NAT_HAIRPIN_EXTERNAL, NAT_HAIRPIN_INTERNAL};
	int index = 0;
	int ret = reader_choice(r, value, names, &index);

	if (!ret)
		nat_of(into)->hairpin = values[index];
	return ret;
}

static int read_map_outbound(struct reader *r, const struct yaml_node *value,
			     void *into)
{
	return reader_bool(r, value, &nat_of(into)->map_outbound);
}

static int read_timeout(struct reader *r, const struct yaml_node *value,
			void *into)
{
	const struct timeout *timeout = timeouts;
	uint64_t us;
	int ret = reader_duration(r, value, READER_SECOND_US, READER_MAX_US,
				  &us);

	if (ret)
		return ret;
	if (us % READER_SECOND_US)
		return reader_refuse(r, value, "%s: whole seconds expected, "
				     "not %s", value->key, value->text);
	while (strcmp(timeout->key, value->key))
		timeout++;
	*field_of(into, timeout->at) = (unsigned)(us / READER_SECOND_US);
	return 0;
}

#define BESIDE_KEYS                                                            \
	{"hairpin", read_hairpin, false},                                      \
	{"wan-input", read_word, false},                                       \
	{"pool", read_pool, false},                                            \
	{"pooling", read_word, false},                                         \
	{"map-outbound", read_map_outbound, false},                            \
	{"refresh", read_word, false},                                         \
	{"lifetime", read_word, false},                                        \
	{"udp-timeout", read_timeout, false},                                  \
	{"udp-stream-timeout", read_timeout, false},                           \
	{"tcp-timeout", read_timeout, false},                                  \
	{"tcp-transitory-timeout", read_timeout, false},                       \
	{"icmp-timeout", read_timeout, false}

static const struct reader_key nat_keys[] = {
	{"preset", read_preset, false},
	{"mapping", read_word, false},
	{"filtering", read_word, false},
	{"ports", read_ports, false},
	{"block-size", read_block_size, false},
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
	unsigned pool = nat_filled(&node->nat, NAT_BY_ENGINE).pool, now;
	struct err why = {0};
	int ret;

	strncat(where, node->name, SCENARIO_NAME_BYTES);
	ret = reader_map(r, body, where, set ? set_keys : router_keys, node);
	if (ret)
		return ret;
	if (set && !body->members)
		return reader_refuse(r, body, "nothing to set of %s",
				     node->name);
	now = nat_filled(&node->nat, NAT_BY_ENGINE).pool;
	if (set && now != pool)
		return reader_refuse(r, body, "a pool of %u addresses instead "
				     "of %u: a router's addresses cannot be "
				     "set while it runs", now, pool);
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

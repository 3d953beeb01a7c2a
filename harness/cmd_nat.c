/* SPDX-License-Identifier: BSD-3-Clause */
/* The verb that tells of NATs without building one: presets and rules. */
#include "harness/commands.h"
#include "harness/nearest.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stddef.h>
#include <string.h>

static const char help[] =
	"Usage: natrig nat list [--json]\n"
	"       natrig nat show [--json] PRESET\n"
	"       natrig nat show [--json] FILE ROUTER\n"
	"\n"
	"list: the presets that a scenario can name, with what they do.\n"
	"show: what one preset, or one router of a scenario, does, in RFC 4787's\n"
	"words; what does it (netfilter, or natrig's own engine, and then why); and\n"
	"the rules as nft reads them. Builds nothing and needs no privilege.\n"
	"\n"
	"      --json   JSON instead of text\n"
	"  -h, --help   this\n"
	"\n"
	"Exit status: 0; 2 usage, or no such preset, file or router.\n";

enum { RULES_BYTES = 16384 };

/* --- words ---------------------------------------------------------------- */

static const char *const mapping_words[] = {
	[NAT_MAPPING_NONE] = "none: routes without translating",
	[NAT_EIM] = "endpoint-independent (EIM)",
	[NAT_ADM] = "address-dependent (ADM)",
	[NAT_APDM] = "address-and-port-dependent (APDM)"};
static const char *const filtering_words[] = {
	[NAT_FILTERING_NONE] = "none: everything gets in",
	[NAT_EIF] = "endpoint-independent (EIF)",
	[NAT_ADF] = "address-dependent (ADF)",
	[NAT_APDF] = "address-and-port-dependent (APDF)"};
static const char *const ports_words[] = {
	[NAT_PORTS_PRESERVE] = "preserved where free",
	[NAT_PORTS_RANDOM] = "random",
	[NAT_PORTS_SEQUENTIAL] = "sequential",
	[NAT_PORTS_BLOCK] = "from a block for each host",
	[NAT_PORTS_PRESERVE_ONLY] = "preserved; where taken, nothing gets out"};
static const char *const hairpin_words[] = {
	[NAT_HAIRPIN_NONE] = "not supported",
	[NAT_HAIRPIN_EXTERNAL] = "with the external source",
	[NAT_HAIRPIN_INTERNAL] = "with the internal source"};
static const char *const pooling_words[] = {
	[NAT_POOLING_PAIRED] = "each host has one of them",
	[NAT_POOLING_ARBITRARY] = "each mapping has any of them"};
static const char *const refresh_words[] = {
	[NAT_REFRESH_BOTH] = "of both directions",
	[NAT_REFRESH_OUTBOUND] = "from inside only"};
static const char *const lifetime_words[] = {
	[NAT_LIFETIME_IDLE] = "timeouts count from the last packet",
	[NAT_LIFETIME_ABSOLUTE] = "timeouts count from a mapping's making"};
static const char *const stray_words[] = {
	[NAT_WAN_DROP] = "dropped",
	[NAT_WAN_REJECT] = "rejected (ICMP port unreachable)",
	[NAT_WAN_ACCEPT] = "accepted by the router itself"};

const char *nat_name(const struct nat *nat)
{
	for (const struct nat_preset *p = nat_presets; p->name; p++)
		if (nat_equal(&p->nat, nat))
			return p->name;
	return NULL;
}

const char *nat_words(const struct nat *nat, char text[static NAT_WORDS_BYTES])
{
	const char *name = nat_name(nat);
	bool translates = nat->mapping != NAT_MAPPING_NONE;
	char pool[32] = "";

	if (nat->pool > 1)
		snprintf(pool, sizeof(pool), ", %u addresses (%s)", nat->pool,
			 nat_pooling_names[nat->pooling]);
	snprintf(text, NAT_WORDS_BYTES, "%s%s%s, %s%s%s%s%s%s%s%s",
		 name ? name : "", name ? ": " : "",
		 nat_mapping_names[nat->mapping],
		 nat_filtering_names[nat->filtering],
		 translates ? ", ports " : "",
		 translates ? nat_ports_names[nat->ports] : "", pool,
		 nat->hairpin ? ", hairpin" : "",
		 nat->hairpin == NAT_HAIRPIN_INTERNAL ? " internal" : "",
		 nat->refresh ? ", refresh outbound" : "",
		 nat->lifetime ? ", lifetime absolute" : "");
	return text;
}

static const char *done_by(const struct nat *nat)
{
	struct err err = {0};

	if (nat_supported(nat, &err))
		return "nothing here";
	return nat_by(nat) == NAT_BY_ENGINE ? "engine" : "netfilter";
}

/* --- timeouts ------------------------------------------------------------- */

static const struct {
	const char *key, *words;
	size_t at; /* in struct nat */
} timeouts[] = {
	{"udp-timeout", "UDP ", offsetof(struct nat, udp_timeout_s)},
	{"udp-stream-timeout", ", once answered and 2 s old ",
	 offsetof(struct nat, udp_stream_timeout_s)},
	{"tcp-timeout", "TCP ", offsetof(struct nat, tcp_timeout_s)},
	{"tcp-transitory-timeout", ", opening or closing ",
	 offsetof(struct nat, tcp_transitory_timeout_s)},
	{"icmp-timeout", "ICMP ", offsetof(struct nat, icmp_timeout_s)},
};

enum { TIMEOUTS = sizeof(timeouts) / sizeof(timeouts[0]) };

static unsigned timeout_of(const struct nat *nat, unsigned i)
{
	return *(const unsigned *)((const char *)nat + timeouts[i].at);
}

/* "2h 4m" */
static const char *duration_words(unsigned seconds, char text[static 40])
{
	static const struct {
		char letter;
		unsigned seconds;
	} units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
	size_t at = 0;

	text[0] = 0;
	for (unsigned i = 0; i < 4; i++) {
		if (seconds < units[i].seconds)
			continue;
		at += (size_t)snprintf(text + at, 40 - at, "%s%u%c",
				       at ? " " : "",
				       seconds / units[i].seconds,
				       units[i].letter);
		seconds %= units[i].seconds;
	}
	return text;
}

/* --- list ----------------------------------------------------------------- */

static json_t *nat_json(const struct nat *nat)
{
	const struct nat full = nat_filled(nat, nat_by(nat));
	const char *why = nat_why_engine(nat);
	json_t *json = json_pack(
		"{s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:b, s:b, s:s, s:s*}",
		"mapping", nat_mapping_names[nat->mapping], "filtering",
		nat_filtering_names[nat->filtering], "ports",
		nat_ports_names[nat->ports], "hairpin",
		nat_hairpin_names[nat->hairpin], "pool", (int)full.pool,
		"pooling", nat_pooling_names[nat->pooling], "refresh",
		nat_refresh_names[nat->refresh], "lifetime",
		nat_lifetime_names[nat->lifetime], "wan-input",
		nat_wan_input_names[nat->wan_input], "map-outbound",
		nat->map_outbound, "udp-blocked",
		nat->udp_blocked, "by", done_by(nat), "why-engine", why);

	if (json && nat->ports == NAT_PORTS_BLOCK)
		json_object_set_new(json, "block-size",
				    json_integer(full.block_ports));
	for (unsigned i = 0; json && i < TIMEOUTS; i++)
		json_object_set_new(json, timeouts[i].key,
				    json_integer(timeout_of(&full, i)));
	return json;
}

static int print_json(json_t *json)
{
	if (!json)
		return EXIT_CANNOT_RUN;
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
	return EXIT_HOLDS;
}

static int list(bool as_json)
{
	json_t *all = json_array(), *one;

	if (!as_json)
		printf("%-20s %-7s %-9s %-11s %-8s %s\n", "PRESET", "MAPPING",
		       "FILTERING", "PORTS", "HAIRPIN", "BY");
	for (const struct nat_preset *p = nat_presets; p->name; p++) {
		const struct nat *n = &p->nat;

		one = nat_json(n);
		json_object_set_new(one, "name", json_string(p->name));
		json_object_set_new(one, "summary", json_string(p->summary));
		json_array_append_new(all, one);
		if (!as_json)
			printf("%-20s %-7s %-9s %-11s %-8s %s\n    %s\n",
			       p->name, nat_mapping_names[n->mapping],
			       nat_filtering_names[n->filtering],
			       n->mapping == NAT_MAPPING_NONE ?
				       "-" : nat_ports_names[n->ports],
			       n->hairpin ? "yes" : "no", done_by(n),
			       p->summary);
	}
	if (as_json)
		return print_json(all);
	json_decref(all);
	return EXIT_HOLDS;
}

/* --- show ----------------------------------------------------------------- */

static const char *rules_of(const struct nat *nat, bool portmap,
			    char text[static RULES_BYTES])
{
	struct nat_place place = {.wan = "wan",
				  .lan = "lan",
				  .wan_ip = 0x19000001, /* 25.0.0.1 */
				  .lan_net = 0xc0a80100, /* 192.168.1.0 */
				  .lan_mask = 0xffffff00,
				  .portmap = portmap,
				  .fresh = true,
				  .engine = nat_by(nat) == NAT_BY_ENGINE};
	struct err err = {0};

	for (unsigned i = 1; i < nat->pool; i++)
		place.more_wan_ips[i - 1] = place.wan_ip + i;
	if (nat_ruleset(nat, &place, text, RULES_BYTES, &err) < 0)
		snprintf(text, RULES_BYTES, "none: %s\n", err.text);
	return text;
}

static void print_timeouts(const struct nat *nat)
{
	const struct nat full = nat_filled(nat, nat_by(nat));
	char text[40];

	for (unsigned i = 0; i < TIMEOUTS; i++) {
		bool more = timeouts[i].words[0] == ',';

		/* A lifetime that nothing changes is one. */
		if (more && nat->lifetime == NAT_LIFETIME_ABSOLUTE)
			continue;
		if (!more)
			printf("%s", i ? "\n               " :
					 "  timeouts     ");
		printf("%s%s", timeouts[i].words,
		       duration_words(timeout_of(&full, i), text));
	}
	printf("\n");
}

static void print_translation(const struct nat *nat)
{
	const struct nat full = nat_filled(nat, nat_by(nat));

	printf("  ports        %s", ports_words[nat->ports]);
	if (nat->ports == NAT_PORTS_BLOCK)
		printf(" (%u ports)", full.block_ports);
	printf("\n  addresses    ");
	if (full.pool == 1)
		printf("one\n");
	else
		printf("%u, %s\n", full.pool, pooling_words[nat->pooling]);
	printf("  hairpinning  %s\n"
	       "  refresh      by packets %s\n"
	       "  lifetime     %s\n",
	       hairpin_words[nat->hairpin], refresh_words[nat->refresh],
	       lifetime_words[nat->lifetime]);
}

static void print_text(const char *name, const char *summary,
		       const struct nat *nat, bool portmap, const char *rules)
{
	const char *why = nat_why_engine(nat);

	printf("%s%s%s\n\n", name, *summary ? ": " : "", summary);
	printf("  mapping      %s\n", mapping_words[nat->mapping]);
	printf("  filtering    %s\n", filtering_words[nat->filtering]);
	if (nat->mapping != NAT_MAPPING_NONE)
		print_translation(nat);
	if (portmap)
		printf("  portmap      by miniupnpd%s; %s\n",
		       why ? ", whose grants the engine follows" : "",
		       nat->map_outbound ?
			       "what a host sends leaves by its mapping, too" :
			       "for what comes in");
	printf("  UDP          %s\n",
	       nat->udp_blocked ? "from the LAN is dropped" : "allowed");
	print_timeouts(nat);
	printf("  strays       a packet from outside for no mapping is %s\n",
	       stray_words[nat->wan_input]);
	printf("  done by      %s\n",
	       why ? "natrig's own engine, since netfilter cannot do this:" :
		     "netfilter");
	if (why)
		printf("               %s\n", why);
	printf("\n%s (outside 25.0.0.1 on wan, inside 192.168.1.0/24 on "
	       "lan):\n\n%s",
	       why ? "rules that keep the kernel out of its way" : "rules",
	       rules);
}

static int show(const char *name, const char *summary, const struct nat *nat,
		bool portmap, bool as_json)
{
	char rules[RULES_BYTES];
	json_t *json;

	rules_of(nat, portmap, rules);
	if (!as_json) {
		print_text(name, summary, nat, portmap, rules);
		return EXIT_HOLDS;
	}
	json = nat_json(nat);
	json_object_set_new(json, "name", json_string(name));
	json_object_set_new(json, "rules", json_string(rules));
	return print_json(json);
}

static int show_preset(const char *name, bool as_json)
{
	const struct nat_preset *preset = nat_preset_find(name);
	const char *words[64] = {NULL};
	const char *near;

	if (preset)
		return show(preset->name, preset->summary, &preset->nat, false,
			    as_json);
	for (unsigned i = 0; nat_presets[i].name && i < 63; i++)
		words[i] = nat_presets[i].name;
	near = nearest_word(name, words);
	return usage_error("nat", "no preset '%s'%s%s%s; natrig nat list has "
			   "them all", name, near ? "; did you mean '" : "",
			   near ? near : "", near ? "'?" : "");
}

static int show_router(const char *file, const char *name, bool as_json)
{
	struct scenario *s = NULL;
	struct err err = {0};
	const struct lab_plan_node *found = NULL;
	const char *words[64] = {NULL}, *near;
	unsigned count = 0;
	int status;

	if (scenario_read(file, &s, &err)) {
		print_err(&err);
		return EXIT_USAGE;
	}
	for (unsigned i = 0; i < s->plan.count; i++) {
		const struct lab_plan_node *node = &s->plan.nodes[i];

		if (node->kind == LAB_ROUTER && !strcmp(node->name, name))
			found = node;
		if (node->kind == LAB_ROUTER && count < 63)
			words[count++] = node->name;
	}
	near = found ? NULL : nearest_word(name, words);
	status = found ? show(name, "", &found->nat, found->portmap, as_json) :
			 usage_error("nat", "%s has no router '%s'%s%s%s", file,
				     name, near ? "; did you mean '" : "",
				     near ? near : "", near ? "'?" : "");
	scenario_free(s);
	return status;
}

int cmd_nat(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'J'},
		{"help", no_argument, NULL, 'h'},
		{0}};
	static const char *const verbs[] = {"list", "show", NULL};
	const char *verb, *near;
	bool json = false;
	int c, left;

	while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (c == 'h')
			return print_help(help);
		if (c != 'J')
			return bad_option("nat", argv, options);
		json = true;
	}
	left = argc - optind - 1;
	if (left < 0)
		return usage_error("nat", "wants list or show");
	verb = argv[optind];
	if (!strcmp(verb, "list") && !left)
		return list(json);
	if (!strcmp(verb, "show") && left == 1)
		return show_preset(argv[optind + 1], json);
	if (!strcmp(verb, "show") && left == 2)
		return show_router(argv[optind + 1], argv[optind + 2], json);
	if (!strcmp(verb, "list"))
		return usage_error("nat", "list takes no arguments");
	if (!strcmp(verb, "show"))
		return usage_error("nat", "show wants PRESET, or FILE ROUTER");
	near = nearest_word(verb, verbs);
	return usage_error("nat", "wants list or show, not '%s'%s%s%s", verb,
			   near ? "; did you mean '" : "", near ? near : "",
			   near ? "'?" : "");
}

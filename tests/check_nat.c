/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rulesets as text; what they do to packets is in check_lab.c. The kernel
 * must take each one, also over another.
 */
#include "netns/nat.h"
#include "netns/sandbox.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <nftables/libnftables.h>

static const struct nat_place place = {
	.wan = "wan",
	.lan = "lan",
	.wan_ip = 0x19000001,
	.lan_net = 0xc0a80100,
	.lan_mask = 0xffffff00,
};

static char text[16384];

static int rules(const struct nat *nat, const struct nat_place *where)
{
	struct err err = {.text = ""};
	int length = nat_ruleset(nat, where, text, sizeof(text), &err);

	ck_assert_msg(length > 0, "%s", err.text);
	ck_assert_uint_eq(strlen(text), (unsigned)length);
	return length;
}

static struct nat preset(const char *name)
{
	const struct nat_preset *found = nat_preset_find(name);

	ck_assert_ptr_nonnull(found);
	return found->nat;
}

START_TEST(presets_have_names_and_summaries)
{
	const struct nat_preset *p;
	unsigned by_engine = 0;

	for (p = nat_presets; p->name; p++) {
		ck_assert_ptr_eq(nat_preset_find(p->name), p);
		ck_assert_int_gt(strlen(p->summary), 10);
		ck_assert_int_eq(nat_supported(&p->nat, NULL), 0);
		by_engine += nat_by(&p->nat) == NAT_BY_ENGINE;
	}
	/* cgnat and two kinds of symmetric. */
	ck_assert_uint_eq(by_engine, 3);
	ck_assert_ptr_null(nat_preset_find("no-such-nat"));
	ck_assert_str_eq(nat_mapping_names[NAT_APDM], "apdm");
	ck_assert_str_eq(nat_filtering_names[NAT_EIF], "eif");
	ck_assert_str_eq(nat_ports_names[NAT_PORTS_SEQUENTIAL], "sequential");
	ck_assert_str_eq(nat_wan_input_names[NAT_WAN_REJECT], "reject");
}
END_TEST

START_TEST(a_short_buffer_is_told)
{
	struct nat nat = preset("full-cone");
	struct err err = {.text = ""};
	int length = rules(&nat, &place);
	char *small = malloc((size_t)length);

	ck_assert_int_eq(nat_ruleset(&nat, &place, small, (size_t)length,
				     &err), -EMSGSIZE);
	ck_assert_ptr_nonnull(strstr(err.text, "does not fit"));
	free(small);
}
END_TEST

START_TEST(timeouts_are_in_the_text)
{
	struct nat nat = preset("full-cone");

	nat.udp_timeout_s = 17;
	nat.udp_stream_timeout_s = 71;
	rules(&nat, &place);
	ck_assert_ptr_nonnull(strstr(text, "timeout 17s"));
	ck_assert_ptr_nonnull(strstr(text, "timeout 71s"));
	ck_assert_ptr_null(strstr(text, "timeout 30s"));
}
END_TEST

#define TIMEOUTS .udp_timeout_s = 30, .udp_stream_timeout_s = 120

struct refusal {
	struct nat nat;
	const char *word; /* must be said */
};

static const struct refusal impossible[] = {
	{{.mapping = NAT_EIM, .filtering = NAT_FILTERING_NONE, TIMEOUTS},
	 "eif"},
	{{.mapping = NAT_ADM, .filtering = NAT_FILTERING_NONE, TIMEOUTS},
	 "eif"},
	{{.mapping = NAT_MAPPING_NONE, .hairpin = true, TIMEOUTS},
	 "hairpin: false"},
	{{.mapping = NAT_MAPPING_NONE, .ports = NAT_PORTS_SEQUENTIAL,
	  TIMEOUTS}, "ports preserve"},
	{{.mapping = NAT_EIM, .filtering = NAT_APDF, .udp_timeout_s = 0,
	  .udp_stream_timeout_s = 120}, "1s"},
	{{.mapping = NAT_MAPPING_NONE, .filtering = NAT_APDF, .pool = 2,
	  TIMEOUTS}, "pool with mapping none"},
	{{.mapping = NAT_MAPPING_NONE, .filtering = NAT_APDF,
	  .refresh = NAT_REFRESH_OUTBOUND, TIMEOUTS}, "refresh both"},
	{{.mapping = NAT_MAPPING_NONE, .filtering = NAT_APDF,
	  .lifetime = NAT_LIFETIME_ABSOLUTE, TIMEOUTS}, "lifetime idle"},
	{{.mapping = NAT_MAPPING_NONE, .filtering = NAT_APDF,
	  .map_outbound = true, TIMEOUTS}, "map-outbound: false"},
	{{.mapping = NAT_EIM, .filtering = NAT_APDF, .pool = 9, TIMEOUTS},
	 "pool: 8"},
	{{.mapping = NAT_EIM, .filtering = NAT_APDF,
	  .pooling = NAT_POOLING_ARBITRARY, TIMEOUTS}, "pool: 2"},
	{{.mapping = NAT_EIM, .filtering = NAT_APDF, .block_ports = 64,
	  TIMEOUTS}, "ports block"},
	{{.mapping = NAT_EIM, .filtering = NAT_APDF, .ports = NAT_PORTS_BLOCK,
	  .block_ports = 64513, TIMEOUTS}, "block-size: 64512"},
};

START_TEST(what_nobody_can_do_is_refused)
{
	struct err err = {.text = ""};

	for (unsigned i = 0; i < sizeof(impossible) / sizeof(impossible[0]);
	     i++) {
		const struct nat *nat = &impossible[i].nat;

		ck_assert_int_eq(nat_supported(nat, &err), -ENOTSUP);
		ck_assert_msg(strstr(err.text, "nearest: "), "%s", err.text);
		ck_assert_msg(strstr(err.text, impossible[i].word), "%s",
			      err.text);
		ck_assert_int_eq(nat_ruleset(nat, &place, text, sizeof(text),
					     NULL), -ENOTSUP);
	}
}
END_TEST

static const struct refusal engines[] = {
	{{.mapping = NAT_ADM, .filtering = NAT_APDF, TIMEOUTS}, "adm"},
	{{.mapping = NAT_EIM, .filtering = NAT_APDF,
	  .ports = NAT_PORTS_SEQUENTIAL, TIMEOUTS}, "sequential"},
	{{.mapping = NAT_APDM, .filtering = NAT_APDF, TIMEOUTS}, "preserve"},
	{{.mapping = NAT_APDM, .filtering = NAT_EIF, .ports = NAT_PORTS_RANDOM,
	  TIMEOUTS}, "apdf"},
	{{.mapping = NAT_APDM, .filtering = NAT_APDF, .hairpin = true,
	  .ports = NAT_PORTS_RANDOM, TIMEOUTS}, "hairpin"},
	{{.mapping = NAT_EIM, .filtering = NAT_APDF, .ports = NAT_PORTS_RANDOM,
	  TIMEOUTS}, "random"},
	{{.mapping = NAT_EIM, .filtering = NAT_APDF, .ports = NAT_PORTS_BLOCK,
	  TIMEOUTS}, "block"},
	{{.mapping = NAT_EIM, .filtering = NAT_APDF,
	  .ports = NAT_PORTS_PRESERVE_ONLY, TIMEOUTS}, "preserve-only"},
	{{.mapping = NAT_EIM, .filtering = NAT_APDF, .pool = 2, TIMEOUTS},
	 "pool"},
	{{.mapping = NAT_EIM, .filtering = NAT_APDF,
	  .refresh = NAT_REFRESH_OUTBOUND, TIMEOUTS}, "refresh"},
	{{.mapping = NAT_EIM, .filtering = NAT_APDF,
	  .lifetime = NAT_LIFETIME_ABSOLUTE, TIMEOUTS}, "lifetime"},
	{{.mapping = NAT_EIM, .filtering = NAT_APDF, .map_outbound = true,
	  TIMEOUTS}, "map-outbound"},
};

START_TEST(what_netfilter_cannot_do_is_the_engines)
{
	struct nat_place with = place;
	struct err err = {.text = ""};

	with.engine = true;
	for (unsigned i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
		const struct nat *nat = &engines[i].nat;

		ck_assert_int_eq(nat_supported(nat, &err), 0);
		ck_assert_int_eq(nat_by(nat), NAT_BY_ENGINE);
		ck_assert_ptr_nonnull(strstr(nat_why_engine(nat),
					     engines[i].word));
		ck_assert_int_eq(nat_ruleset(nat, &place, text, sizeof(text),
					     &err), -ENOTSUP);
		ck_assert_msg(strstr(err.text, engines[i].word), "%s",
			      err.text);
		rules(nat, &with);
		ck_assert_ptr_null(strstr(text, "type nat"));
	}
}
END_TEST

/* Each field makes another NAT of it. */
START_TEST(nats_are_told_apart)
{
	const struct nat easy = preset("easy");
	struct nat others[17];
	unsigned count = sizeof(others) / sizeof(others[0]);

	for (unsigned i = 0; i < count; i++)
		others[i] = easy;
	others[0].mapping = NAT_ADM;
	others[1].filtering = NAT_ADF;
	others[2].ports = NAT_PORTS_BLOCK;
	others[3].block_ports = 1;
	others[4].pool = 2;
	others[5].pooling = NAT_POOLING_ARBITRARY;
	others[6].hairpin = NAT_HAIRPIN_INTERNAL;
	others[7].refresh = NAT_REFRESH_OUTBOUND;
	others[8].lifetime = NAT_LIFETIME_ABSOLUTE;
	others[9].map_outbound = true;
	others[10].udp_blocked = true;
	others[11].wan_input = NAT_WAN_ACCEPT;
	others[12].udp_timeout_s = 1;
	others[13].udp_stream_timeout_s = 1;
	others[14].tcp_timeout_s = 1;
	others[15].tcp_transitory_timeout_s = 1;
	others[16].icmp_timeout_s = 1;
	ck_assert(nat_equal(&easy, &easy));
	for (unsigned i = 0; i < count; i++)
		ck_assert_msg(!nat_equal(&easy, &others[i]), "%u", i);
}
END_TEST

START_TEST(defaults_are_those_of_who_does_it)
{
	const struct nat easy = preset("easy");
	struct nat asked = easy, full = nat_filled(&easy, NAT_BY_NETFILTER);

	ck_assert_uint_eq(full.pool, 1);
	ck_assert_uint_eq(full.tcp_timeout_s, 432000);
	ck_assert_uint_eq(full.icmp_timeout_s, 30);
	full = nat_filled(&easy, NAT_BY_ENGINE);
	ck_assert_uint_eq(full.tcp_timeout_s, 7440);
	ck_assert_uint_eq(full.icmp_timeout_s, 60);
	asked.pool = 3;
	asked.tcp_timeout_s = asked.tcp_transitory_timeout_s = 7;
	asked.icmp_timeout_s = 7;
	asked.block_ports = 7;
	full = nat_filled(&asked, NAT_BY_ENGINE);
	ck_assert(nat_equal(&full, &asked));
}
END_TEST

/* Pings to each address of a pool are the router's own. */
START_TEST(an_engines_rules_know_its_pool)
{
	struct nat nat = preset("cgnat");
	struct nat_place with = place;

	with.engine = true;
	with.more_wan_ips[0] = place.wan_ip + 8;
	rules(&nat, &with);
	ck_assert_ptr_nonnull(strstr(text, "{ 25.0.0.1, 25.0.0.9 } ip proto"));
}
END_TEST

START_TEST(sets_are_those_of_the_text)
{
	const struct nat_preset *p;

	for (p = nat_presets; p->name; p++) {
		const char *names[NAT_MAX_SETS];
		unsigned count = nat_sets(&p->nat, names);

		if (nat_by(&p->nat) != NAT_BY_NETFILTER)
			continue;
		rules(&p->nat, &place);
		for (unsigned i = 0; i < count; i++) {
			char head[64];

			snprintf(head, sizeof(head), " %s {", names[i]);
			ck_assert_ptr_nonnull(strstr(text, head));
		}
		if (!count)
			ck_assert_ptr_null(strstr(text, "dynamic"));
	}
}
END_TEST

/* --- the kernel takes them ------------------------------------------------ */

static void load(const char *name)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);

	nft_ctx_buffer_error(nft);
	ck_assert_msg(nft_run_cmd_from_buffer(nft, text) == 0, "%s: %s\n%s",
		      name, nft_ctx_get_error_buffer(nft), text);
	nft_ctx_free(nft);
}

static void load_variants(const char *name, struct nat nat)
{
	struct nat_place with = place;

	for (unsigned wan = NAT_WAN_DROP; wan <= NAT_WAN_ACCEPT; wan++)
		for (unsigned more = 0; more < 4; more++) {
			nat.wan_input = (enum nat_wan_input)wan;
			nat.hairpin = (more & 1) && nat.mapping == NAT_EIM;
			with.portmap = more & 2;
			with.engine = false;
			if (nat_by(&nat) == NAT_BY_NETFILTER) {
				rules(&nat, &with);
				load(name);
			}
			with.engine = true;
			rules(&nat, &with);
			load(name);
		}
}

static int load_all(void *arg)
{
	struct nat_place fresh = place;
	struct nat plain = preset("none");
	const struct nat_preset *p;

	(void)arg;
	for (p = nat_presets; p->name; p++)
		load_variants(p->name, p->nat);
	for (unsigned f = NAT_EIF; f <= NAT_APDF; f++) {
		plain.filtering = (enum nat_filtering)f;
		load_variants("none, filtering", plain);
	}
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	fresh.fresh = true;
	for (p = nat_presets; p->name; p++) {
		ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
		fresh.engine = nat_by(&p->nat) == NAT_BY_ENGINE;
		rules(&p->nat, &fresh);
		ck_assert_ptr_null(strstr(text, "delete"));
		load(p->name);
	}
	return 0;
}

START_TEST(the_kernel_takes_every_ruleset)
{
	struct err err = {.text = ""};
	int status = -1, code = sandbox_run(load_all, NULL, &status, &err);

	if (code) {
		printf("loading rulesets skipped: %s\n", err.text);
		return;
	}
	ck_assert_int_eq(status, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nat");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_set_timeout(all, 60);
	tcase_add_test(all, presets_have_names_and_summaries);
	tcase_add_test(all, a_short_buffer_is_told);
	tcase_add_test(all, timeouts_are_in_the_text);
	tcase_add_test(all, what_nobody_can_do_is_refused);
	tcase_add_test(all, what_netfilter_cannot_do_is_the_engines);
	tcase_add_test(all, nats_are_told_apart);
	tcase_add_test(all, defaults_are_those_of_who_does_it);
	tcase_add_test(all, an_engines_rules_know_its_pool);
	tcase_add_test(all, sets_are_those_of_the_text);
	tcase_add_test(all, the_kernel_takes_every_ruleset);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

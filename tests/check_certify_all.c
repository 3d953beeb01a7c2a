/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every router that there can be, certified by packets: each mapping with each
 * filtering and each port assignment, by whoever does it, and by the engine
 * too where netfilter does it. None may be other than it was asked to be.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "harness/certify.h"
#include "harness/pool.h"
#include "netns/clock.h"
#include "netns/sandbox.h"

enum {
	MAPPINGS = NAT_APDM + 1,
	FILTERINGS = NAT_APDF + 1,
	PORTS = NAT_PORTS_PRESERVE_ONLY + 1,
	/*
	 * What each may take on average, and for how much of its own CPU time
	 * a busy machine may let it wait besides.
	 */
	AVERAGE_MS = 150,
	PATIENCE = 20,
	TIMEOUT_S = 300
};

struct count {
	unsigned routers, lies;
	uint64_t us;
};

/* What a router is, as a scenario would say it. */
static const char *name_of(const struct lab_plan_node *node,
			   char text[static 128])
{
	const struct nat *nat = &node->nat;

	snprintf(text, 128, "%s, %s, %s%s", nat_mapping_names[nat->mapping],
		 nat_filtering_names[nat->filtering],
		 nat_ports_names[nat->ports],
		 node->force_engine ? ", engine" : "");
	return text;
}

static void print_lies(json_t *json, const char *name)
{
	json_t *lies = json_object_get(json_array_get(json, 0), "lies"), *one;
	size_t i;

	json_array_foreach(lies, i, one)
		printf("%s: %s\n", name, json_string_value(one));
}

static void certify(struct lab_plan_node *node, struct count *count)
{
	struct scenario s = {.plan = {.nodes = node, .count = 1}, .seed = 1};
	uint64_t start_us = clock_real_us();
	struct err err = {.text = ""};
	char name[128];
	unsigned lies;
	json_t *json;

	name_of(node, name);
	ck_assert_msg(!certify_scenario(&s, -1, &json, &lies, &err), "%s: %s",
		      name, err.text);
	count->us += clock_real_us() - start_us;
	count->routers++;
	count->lies += lies;
	print_lies(json, name);
	json_decref(json);
}

static void certify_by_both(const struct nat *nat, struct count *count)
{
	struct lab_plan_node node = {.name = "router", .kind = LAB_ROUTER,
				     .router = -1, .nat = *nat};
	struct err err;

	if (lab_router_supported(&node, &err))
		return;
	certify(&node, count);
	node.force_engine = true;
	if (nat_by(nat) == NAT_BY_NETFILTER &&
	    !lab_router_supported(&node, &err))
		certify(&node, count);
}

static const struct nat usual = {.udp_timeout_s = 30,
				 .udp_stream_timeout_s = 120};

static uint64_t cpu_ms(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
	       (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000;
}

static void conclude(const struct count *c)
{
	uint64_t wall_ms = c->us / 1000 / c->routers;
	uint64_t own_ms = cpu_ms() / c->routers;

	printf("%u routers, %u lie, %ju ms each, %ju ms of it CPU time\n",
	       c->routers, c->lies, (uintmax_t)wall_ms, (uintmax_t)own_ms);
	ck_assert_uint_eq(c->lies, 0);
	ck_assert_uint_le(own_ms, AVERAGE_MS);
	ck_assert_uint_le(wall_ms, AVERAGE_MS + PATIENCE * own_ms);
}

static int all_behaviours(void *arg)
{
	struct count count = {0, 0, 0};

	(void)arg;
	pool_pin_cpu(0);
	for (unsigned i = 0; i < MAPPINGS * FILTERINGS * PORTS; i++) {
		struct nat nat = usual;

		nat.mapping = i % MAPPINGS;
		nat.filtering = i / MAPPINGS % FILTERINGS;
		nat.ports = i / MAPPINGS / FILTERINGS;
		certify_by_both(&nat, &count);
	}
	ck_assert_uint_ge(count.routers, 45);
	conclude(&count);
	return 0;
}

/* The other knobs, one router each. */
static const struct nat knobs[] = {
	{.mapping = NAT_EIM, .filtering = NAT_EIF,
	 .hairpin = NAT_HAIRPIN_EXTERNAL},
	{.mapping = NAT_EIM, .filtering = NAT_APDF,
	 .hairpin = NAT_HAIRPIN_EXTERNAL},
	{.mapping = NAT_EIM, .filtering = NAT_EIF,
	 .hairpin = NAT_HAIRPIN_INTERNAL},
	{.mapping = NAT_ADM, .filtering = NAT_EIF,
	 .hairpin = NAT_HAIRPIN_EXTERNAL},
	{.mapping = NAT_EIM, .filtering = NAT_ADF, .pool = 4},
	{.mapping = NAT_EIM, .filtering = NAT_ADF, .pool = 4,
	 .pooling = NAT_POOLING_ARBITRARY},
	{.mapping = NAT_APDM, .filtering = NAT_APDF, .pool = 2,
	 .ports = NAT_PORTS_PRESERVE_ONLY},
	{.mapping = NAT_EIM, .filtering = NAT_EIF,
	 .refresh = NAT_REFRESH_OUTBOUND},
	{.mapping = NAT_EIM, .filtering = NAT_APDF,
	 .refresh = NAT_REFRESH_OUTBOUND},
	{.mapping = NAT_EIM, .filtering = NAT_EIF,
	 .lifetime = NAT_LIFETIME_ABSOLUTE},
	{.mapping = NAT_APDM, .filtering = NAT_APDF,
	 .lifetime = NAT_LIFETIME_ABSOLUTE},
	{.mapping = NAT_EIM, .filtering = NAT_APDF, .tcp_timeout_s = 7440,
	 .tcp_transitory_timeout_s = 240, .icmp_timeout_s = 60},
	{.mapping = NAT_EIM, .filtering = NAT_EIF, .tcp_timeout_s = 300,
	 .tcp_transitory_timeout_s = 30, .icmp_timeout_s = 10},
	{.mapping = NAT_ADM, .filtering = NAT_ADF, .tcp_timeout_s = 600,
	 .tcp_transitory_timeout_s = 60, .icmp_timeout_s = 90},
	{.mapping = NAT_EIM, .filtering = NAT_APDF,
	 .wan_input = NAT_WAN_REJECT},
	{.mapping = NAT_EIM, .filtering = NAT_APDF,
	 .wan_input = NAT_WAN_ACCEPT},
	{.mapping = NAT_ADM, .filtering = NAT_ADF,
	 .wan_input = NAT_WAN_REJECT},
	{.mapping = NAT_ADM, .filtering = NAT_ADF,
	 .wan_input = NAT_WAN_ACCEPT},
	{.mapping = NAT_EIM, .filtering = NAT_APDF, .udp_blocked = true},
	{.mapping = NAT_ADM, .filtering = NAT_ADF, .udp_blocked = true},
	{.mapping = NAT_EIM, .filtering = NAT_ADF, .ports = NAT_PORTS_BLOCK,
	 .block_ports = 128},
	{.mapping = NAT_EIM, .filtering = NAT_EIF, .ports = NAT_PORTS_BLOCK,
	 .block_ports = 2, .pool = 2, .hairpin = NAT_HAIRPIN_EXTERNAL},
};

static int all_knobs(void *arg)
{
	struct count count = {0, 0, 0};

	(void)arg;
	pool_pin_cpu(0);
	for (unsigned i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++) {
		struct nat nat = knobs[i];

		nat.udp_timeout_s = 30 + i;
		nat.udp_stream_timeout_s = 120 + i;
		certify_by_both(&nat, &count);
	}
	conclude(&count);
	return 0;
}

static void in_sandbox(int (*test)(void *arg))
{
	struct err err = {.text = ""};
	int status = -1;

	ck_assert_msg(!sandbox_run(test, NULL, &status, &err), "%s", err.text);
	ck_assert_int_eq(status, 0);
}

START_TEST(every_behaviour_is_what_was_asked)
{
	in_sandbox(all_behaviours);
}
END_TEST

START_TEST(every_knob_is_what_was_asked)
{
	in_sandbox(all_knobs);
}
END_TEST

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

int main(void)
{
	Suite *suite = suite_create("certify all");
	TCase *all = tcase_create("all");
	struct err err = {.text = ""};
	SRunner *runner;
	int failed, status;

	/* What a sandbox says must not be lost with it. */
	setvbuf(stdout, NULL, _IOLBF, 0);

	if (getenv("UNDER_VALGRIND")) {
		printf("skipped: valgrind 3.19 knows no epoll_pwait2(2)\n");
		return 77;
	}
	if (sandbox_run(nothing, NULL, &status, &err)) {
		printf("skipped: %s\n", err.text);
		return 77;
	}
	tcase_set_timeout(all, TIMEOUT_S);
	tcase_add_test(all, every_behaviour_is_what_was_asked);
	tcase_add_test(all, every_knob_is_what_was_asked);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "harness/probe_report.h"
#include "tests/check_probe_world.h"

/* Every mapping, filtering and way to choose ports: 3 x 3 x 5. */
static struct world_case combination(int i)
{
	return (struct world_case){.nat = {.mapping = i % 3,
					   .filtering = i / 3 % 3,
					   .ports = i / 9}};
}

static int expected_allocation(const struct world_case *c)
{
	static const int expected[] = {
		[WORLD_PRESERVE] = PROBE_PRESERVED,
		[WORLD_PRESERVE_OR_RANDOM] = PROBE_PRESERVED,
		[WORLD_RANDOM] = PROBE_RANDOM,
		[WORLD_SEQUENTIAL] = PROBE_SEQUENTIAL,
		[WORLD_BLOCK] = PROBE_BLOCK};

	/* One host alone cannot tell a block from all ports. */
	if (c->nat.ports == WORLD_BLOCK && !c->peer)
		return PROBE_SEQUENTIAL;
	return expected[c->nat.ports];
}

START_TEST(every_combination_is_told)
{
	struct world_case c = combination(_i);
	const struct probe_report *r = world_probe(&c);

	assert_found(r, PROBE_MAPPING, (int)c.nat.mapping);
	assert_found(r, PROBE_FILTERING, (int)c.nat.filtering);
	assert_found(r, PROBE_ALLOCATION, expected_allocation(&c));
	assert_found(r, PROBE_POOLING, PROBE_PAIRED);
	assert_found(r, PROBE_HAIRPIN, PROBE_HAIRPIN_NONE);
	assert_found(r, PROBE_FRAGMENTS_OUT, 1);
	assert_found(r, PROBE_FRAGMENTS_IN, 1);
	assert_unknown(r, PROBE_SHARED_PORT, "second host");
	ck_assert_int_eq(r->findings[PROBE_LIFETIME].state, PROBE_NOT_ASKED);
	ck_assert_uint_le(world_took_us(), 15 * SECOND);
}
END_TEST

START_TEST(a_mapping_by_port_alone_is_not_independent)
{
	struct world_case c = {.nat = {.by_port = true,
				       .ports = WORLD_RANDOM}};

	assert_found(world_probe(&c), PROBE_MAPPING, PROBE_APD);
}
END_TEST

START_TEST(ports_that_are_equal_by_chance_are_no_rule)
{
	struct world_case c = {.nat = {.mapping = PROBE_APD,
				       .ports = WORLD_RANDOM,
				       .chance = true}};

	assert_found(world_probe(&c), PROBE_MAPPING, PROBE_APD);
}
END_TEST

START_TEST(a_second_host_shows_more)
{
	struct world_case c = combination(_i);
	const struct probe_report *r;

	c.peer = true;
	r = world_probe(&c);
	assert_found(r, PROBE_MAPPING, (int)c.nat.mapping);
	assert_found(r, PROBE_FILTERING, (int)c.nat.filtering);
	assert_found(r, PROBE_ALLOCATION, expected_allocation(&c));
	if (c.nat.ports == WORLD_PRESERVE) {
		assert_found(r, PROBE_SHARED_PORT, PROBE_SHARED_REFUSED);
		assert_unknown(r, PROBE_DETERMINISM, "no mapping to compare");
	} else {
		assert_found(r, PROBE_SHARED_PORT, PROBE_SHARED_OTHER);
		assert_found(r, PROBE_DETERMINISM, 1);
	}
}
END_TEST

START_TEST(lost_packets_change_nothing)
{
	struct world_case c = combination(_i);
	const struct probe_report *r;

	c.loss = 7;
	r = world_probe(&c);
	assert_found(r, PROBE_MAPPING, (int)c.nat.mapping);
	assert_found(r, PROBE_FILTERING, (int)c.nat.filtering);
	assert_found(r, PROBE_ALLOCATION, expected_allocation(&c));
}
END_TEST

START_TEST(garbage_is_passed_over)
{
	struct world_case c = combination(_i);
	struct probe_report clean = *world_probe(&c);
	const struct probe_report *r;

	c.server.garbage = true;
	r = world_probe(&c);
	for (unsigned i = 0; i < PROBE_ITEMS; i++)
		ck_assert_msg(clean.findings[i].state ==
					      r->findings[i].state &&
				      clean.findings[i].value ==
					      r->findings[i].value,
			      "item %u", i);
	ck_assert_uint_eq(clean.heard, r->heard);
	ck_assert(endpoint_equal(clean.mapped, r->mapped));
}
END_TEST

/* The engine and the probe were written apart: they must agree. */
START_TEST(natrigs_own_engine_is_told)
{
	struct world_case c = combination(_i % 45);
	const struct probe_report *r;

	c.engine = true;
	c.peer = _i >= 45;
	c.lifetime = true;
	c.nat.lifetime_us = 30 * SECOND;
	c.nat.absolute = _i & 1;
	c.nat.inbound_refresh = _i & 2;
	r = world_probe(&c);
	assert_found(r, PROBE_MAPPING, (int)c.nat.mapping);
	assert_found(r, PROBE_FILTERING, (int)c.nat.filtering);
	assert_found(r, PROBE_ALLOCATION, expected_allocation(&c));
	ck_assert_int_ge(r->findings[PROBE_LIFETIME].value, 29);
	ck_assert_int_le(r->findings[PROBE_LIFETIME].value, 30);
	assert_found(r, PROBE_REFRESH_OUT, !c.nat.absolute);
	assert_found(r, PROBE_REFRESH_IN,
		     !c.nat.absolute && c.nat.inbound_refresh);
	if (c.peer && c.nat.ports == WORLD_PRESERVE)
		assert_found(r, PROBE_SHARED_PORT, PROBE_SHARED_REFUSED);
	else if (c.peer)
		assert_found(r, PROBE_DETERMINISM, 1);
}
END_TEST

/*
 * Each mapping has any address of a pool of _i: still one finds a second port
 * with the same one, before ports run out, and it is there when it is needed.
 */
START_TEST(a_pool_hides_no_lifetime)
{
	struct world_case c = {.nat = {.mapping = PROBE_EI,
				       .filtering = PROBE_APD,
				       .arbitrary = true,
				       .pool = (unsigned)_i,
				       .inbound_refresh = true,
				       .lifetime_us = 30 * SECOND},
			       .lifetime = true,
			       .engine = true};
	const struct probe_report *r = world_probe(&c);

	assert_found(r, PROBE_POOLING, PROBE_ARBITRARY);
	assert_found(r, PROBE_LIFETIME, 29);
	assert_found(r, PROBE_STREAM_LIFETIME, 29);
	assert_found(r, PROBE_REFRESH_OUT, 1);
	assert_found(r, PROBE_REFRESH_IN, 1);
}
END_TEST

START_TEST(the_engines_hairpins_are_told)
{
	struct world_case c = {.nat = {.filtering = _i / 3,
				       .ports = WORLD_RANDOM,
				       .hairpin = _i % 3},
			       .peer = true,
			       .engine = true};

	assert_found(world_probe(&c), PROBE_HAIRPIN, (int)c.nat.hairpin);
}
END_TEST

/* --- hairpin, pooling, fragments, overloading ----------------------------- */

START_TEST(hairpins_are_told)
{
	struct world_case c = {.nat = {.mapping = PROBE_EI,
				       .filtering = _i / 3 % 3,
				       .hairpin = _i % 3},
			       .peer = _i >= 9};

	assert_found(world_probe(&c), PROBE_HAIRPIN, (int)c.nat.hairpin);
}
END_TEST

START_TEST(one_port_that_is_taken_is_no_rule)
{
	struct world_case c = {.nat = {.ports = WORLD_PRESERVE_OR_RANDOM}};
	const struct probe_report *r = world_probe(&c);

	c.nat.taken = r->samples[3].local_port;
	r = world_probe(&c);
	assert_found(r, PROBE_ALLOCATION, PROBE_PRESERVED);
	ck_assert_str_eq(r->findings[PROBE_ALLOCATION].note, "7 of 8");
}
END_TEST

START_TEST(arbitrary_pooling_is_told)
{
	struct world_case c = {.nat = {.arbitrary = true}};

	assert_found(world_probe(&c), PROBE_POOLING, PROBE_ARBITRARY);
}
END_TEST

START_TEST(lost_fragments_are_told)
{
	struct world_case c = {.nat = {.drop_fragments = true}};
	const struct probe_report *r = world_probe(&c);

	assert_found(r, PROBE_FRAGMENTS_OUT, 0);
	assert_found(r, PROBE_FRAGMENTS_IN, 0);
	assert_found(r, PROBE_MAPPING, PROBE_EI);
}
END_TEST

START_TEST(overloaded_ports_are_told)
{
	struct world_case c = {.nat = {.overload = true}, .peer = true};

	assert_found(world_probe(&c), PROBE_SHARED_PORT,
		     PROBE_SHARED_OVERLOADED);
}
END_TEST

START_TEST(no_nat_is_told)
{
	struct world_case c = {.nat = {.off = true}};
	const struct probe_report *r = world_probe(&c);

	assert_found(r, PROBE_MAPPING, PROBE_UNTRANSLATED);
	assert_found(r, PROBE_FILTERING, PROBE_EI);
	assert_unknown(r, PROBE_HAIRPIN, "nothing is translated");
}
END_TEST

/* --- lifetimes ------------------------------------------------------------ */

START_TEST(lifetimes_are_measured)
{
	static const int seconds[] = {1, 14, 15, 30, 119, 120, 300, 599};
	struct world_case c = {
		.nat = {.mapping = _i % 3,
			.filtering = PROBE_APD,
			.ports = WORLD_RANDOM,
			.lifetime_us = seconds[_i] * SECOND},
		.lifetime = true};
	const struct probe_report *r = world_probe(&c);

	ck_assert_int_eq(r->findings[PROBE_LIFETIME].state, PROBE_FOUND);
	ck_assert_int_le(r->findings[PROBE_LIFETIME].value, seconds[_i]);
	ck_assert_int_ge(r->findings[PROBE_LIFETIME].value, seconds[_i] - 1);
	ck_assert_int_eq(r->findings[PROBE_STREAM_LIFETIME].value,
			 r->findings[PROBE_LIFETIME].value);
}
END_TEST

START_TEST(streams_live_longer)
{
	struct world_case c = {.nat = {.lifetime_us = 30 * SECOND,
				       .stream_us = 120 * SECOND},
			       .lifetime = true};
	const struct probe_report *r = world_probe(&c);

	ck_assert_int_ge(r->findings[PROBE_LIFETIME].value, 29);
	ck_assert_int_le(r->findings[PROBE_LIFETIME].value, 30);
	ck_assert_int_ge(r->findings[PROBE_STREAM_LIFETIME].value, 119);
	ck_assert_int_le(r->findings[PROBE_STREAM_LIFETIME].value, 120);
}
END_TEST

START_TEST(eternal_mappings_are_told)
{
	struct world_case c = {.lifetime = true};
	const struct probe_report *r = world_probe(&c);

	assert_found(r, PROBE_LIFETIME, 600);
	ck_assert_str_eq(r->findings[PROBE_LIFETIME].note, "or longer");
	assert_unknown(r, PROBE_REFRESH_OUT, "outlive");
}
END_TEST

START_TEST(refreshes_are_told)
{
	struct world_case c = {.nat = {.lifetime_us = 60 * SECOND,
				       .absolute = _i & 1,
				       .inbound_refresh = _i & 2},
			       .lifetime = true};
	const struct probe_report *r = world_probe(&c);

	assert_found(r, PROBE_REFRESH_OUT, !c.nat.absolute);
	assert_found(r, PROBE_REFRESH_IN,
		     !c.nat.absolute && c.nat.inbound_refresh);
}
END_TEST

/* --- servers that are worse ----------------------------------------------- */

START_TEST(a_dead_server_leaves_nothing)
{
	struct world_case c = {.server = {.dead = _i == 0},
			       .nat = {.udp_blocked = _i == 1},
			       .peer = true, .lifetime = true};
	const struct probe_report *r = world_probe(&c);

	for (unsigned i = 0; i < PROBE_ITEMS; i++)
		assert_unknown(r, i, "does not answer");
	ck_assert_uint_eq(r->heard, 0);
	ck_assert_uint_eq(r->mapped.ip, 0);
	ck_assert_uint_le(world_took_us(), 5 * SECOND);
}
END_TEST

START_TEST(one_address_is_not_enough)
{
	struct world_case c = {.nat = {.ports = WORLD_PRESERVE_OR_RANDOM},
			       .server = {.alone = true},
			       .peer = true};
	const struct probe_report *r = world_probe(&c);

	assert_unknown(r, PROBE_MAPPING, "no second address");
	assert_unknown(r, PROBE_FILTERING, "no second address");
	assert_unknown(r, PROBE_DETERMINISM, "second address");
	assert_found(r, PROBE_ALLOCATION, PROBE_PRESERVED);
	assert_found(r, PROBE_HAIRPIN, PROBE_HAIRPIN_NONE);
}
END_TEST

START_TEST(a_strange_other_address_is_not_asked)
{
	static const struct endpoint strange[] = {
		{0x7f000001, 3479}, {0xe0000001, 3479}, {SERVER_IP, 3479},
		{OTHER_IP, 0}, {HOST_IP, 3479}, {0x00000001, 3479},
		{0xffffffff, 3479}, {OTHER_IP, 3478}};
	struct world_case c = {.server = {.claims_other = strange[_i]}};
	const struct probe_report *r = world_probe(&c);

	assert_unknown(r, PROBE_MAPPING, "no second address");
	ck_assert_uint_eq(r->other.ip, 0);
}
END_TEST

START_TEST(an_other_address_that_is_not_there)
{
	struct world_case c = {
		.server = {.claims_other = {0x19ff0009, 3479}}};

	assert_unknown(world_probe(&c), PROBE_MAPPING, "no answer");
}
END_TEST

START_TEST(silence_is_checked)
{
	struct world_case c = {.nat = {.filtering = _i},
			       .server = {.mute_other = true}};

	assert_unknown(world_probe(&c), PROBE_FILTERING, "silence");
}
END_TEST

START_TEST(an_ignored_change_request_is_told)
{
	struct world_case c = {.server = {.ignores_change = true}};

	assert_unknown(world_probe(&c), PROBE_FILTERING, "CHANGE-REQUEST");
}
END_TEST

START_TEST(missing_padding_is_told)
{
	struct world_case c = {.server = {.ignores_padding = true}};
	const struct probe_report *r = world_probe(&c);

	assert_unknown(r, PROBE_FRAGMENTS_IN, "does not pad");
	assert_found(r, PROBE_FRAGMENTS_OUT, 1);
}
END_TEST

START_TEST(missing_response_port_is_told)
{
	struct world_case c = {.server = {.ignores_response_port = true},
			       .lifetime = true};
	const struct probe_report *r = world_probe(&c);

	assert_unknown(r, PROBE_LIFETIME, "RESPONSE-PORT");
	assert_unknown(r, PROBE_REFRESH_IN, "not known");
}
END_TEST

START_TEST(pools_are_no_end_of_lifetimes)
{
	struct world_case c = {.nat = {.arbitrary = true,
				       .ports = WORLD_RANDOM,
				       .lifetime_us = 30 * SECOND},
			       .lifetime = true};
	const struct probe_finding *f =
		&world_probe(&c)->findings[PROBE_LIFETIME];

	/* Tries until both of its ports have one external address. */
	ck_assert_int_eq(f->state, PROBE_FOUND);
	ck_assert(f->value == 29 || f->value == 30);
}
END_TEST

/* --- reports and ports ---------------------------------------------------- */

START_TEST(ports_are_uneven_and_of_both_parities)
{
	struct probe_config c = {0};
	unsigned odd = 0, same = 0;

	probe_choose_ports(&c, 20000);
	for (unsigned i = 1; i < PROBE_PORTS; i++) {
		ck_assert_uint_gt(c.ports[i], c.ports[i - 1]);
		odd += c.ports[i] & 1;
		same += i > 1 && c.ports[i] - c.ports[i - 1] ==
					 c.ports[i - 1] - c.ports[i - 2];
	}
	ck_assert_uint_gt(odd, PROBE_PORTS / 4);
	ck_assert_uint_lt(odd, 3 * PROBE_PORTS / 4);
	ck_assert_uint_eq(same, 0);
	ck_assert_uint_lt(c.ports[PROBE_PORTS - 1], 20000 + 1024);
}
END_TEST

START_TEST(the_table_fits_a_terminal)
{
	struct world_case c = combination(_i % 45);
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	c.server.dead = _i == 45;
	c.peer = _i & 1;
	probe_report_text(world_probe(&c), out);
	fclose(out);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		ck_assert_msg(strlen(line) <= 80, "too wide: %s", line);
	free(text);
}
END_TEST

START_TEST(the_json_has_every_item)
{
	struct world_case c = {.peer = true, .lifetime = true};
	json_t *json = probe_report_json(world_probe(&c));
	json_t *findings = json_object_get(json, "findings");

	ck_assert_uint_eq(json_object_size(findings), PROBE_ITEMS);
	ck_assert_str_eq(json_string_value(json_object_get(
				 json_object_get(findings, "mapping"),
				 "value")),
			 "endpoint-independent");
	ck_assert_uint_eq(json_array_size(json_object_get(json, "samples")),
			  PROBE_SAMPLES);
	json_decref(json);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("probe");
	TCase *one = tcase_create("probe");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(one, every_combination_is_told, 0, 45);
	tcase_add_test(one, a_mapping_by_port_alone_is_not_independent);
	tcase_add_test(one, ports_that_are_equal_by_chance_are_no_rule);
	tcase_add_loop_test(one, a_second_host_shows_more, 0, 45);
	tcase_add_loop_test(one, lost_packets_change_nothing, 0, 45);
	tcase_add_loop_test(one, garbage_is_passed_over, 0, 45);
	tcase_add_loop_test(one, natrigs_own_engine_is_told, 0, 90);
	tcase_add_loop_test(one, the_engines_hairpins_are_told, 0, 9);
	tcase_add_loop_test(one, a_pool_hides_no_lifetime, 2, 9);
	tcase_add_loop_test(one, hairpins_are_told, 0, 18);
	tcase_add_test(one, one_port_that_is_taken_is_no_rule);
	tcase_add_test(one, arbitrary_pooling_is_told);
	tcase_add_test(one, lost_fragments_are_told);
	tcase_add_test(one, overloaded_ports_are_told);
	tcase_add_test(one, no_nat_is_told);
	tcase_add_loop_test(one, lifetimes_are_measured, 0, 8);
	tcase_add_test(one, streams_live_longer);
	tcase_add_test(one, eternal_mappings_are_told);
	tcase_add_loop_test(one, refreshes_are_told, 0, 4);
	tcase_add_loop_test(one, a_dead_server_leaves_nothing, 0, 2);
	tcase_add_test(one, one_address_is_not_enough);
	tcase_add_loop_test(one, a_strange_other_address_is_not_asked, 0, 8);
	tcase_add_test(one, an_other_address_that_is_not_there);
	tcase_add_loop_test(one, silence_is_checked, 1, 3);
	tcase_add_test(one, an_ignored_change_request_is_told);
	tcase_add_test(one, missing_padding_is_told);
	tcase_add_test(one, missing_response_port_is_told);
	tcase_add_test(one, pools_are_no_end_of_lifetimes);
	tcase_add_test(one, ports_are_uneven_and_of_both_parities);
	tcase_add_loop_test(one, the_table_fits_a_terminal, 0, 46);
	tcase_add_test(one, the_json_has_every_item);
	suite_add_tcase(suite, one);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

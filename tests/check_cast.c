/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "captures/cast.h"
#include "tests/stage.h"

static struct stage *s;

static void set_up(void)
{
	s = stage_seed();
}

static void tear_down(void)
{
	stage_free(s);
}

static uint32_t ip(const char *text)
{
	struct endpoint e;

	ck_assert_int_eq(endpoint_parse(text, &e), 0);
	return e.ip;
}

START_TEST(json_round_trip)
{
	struct cast *copy;
	struct err err;
	char *text;

	snprintf(s->cast->title, sizeof(s->cast->title), "A \"quoted\" title");
	stage_node(s, "home-a")->wan_ips = 1;
	text = cast_to_json(s->cast);
	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(cast_from_json(text, &copy, &err), 0);
	ck_assert_str_eq(copy->title, s->cast->title);
	ck_assert_uint_eq(copy->count, s->cast->count);
	for (size_t i = 0; i < copy->count; i++) {
		ck_assert_str_eq(copy->nodes[i].name, s->cast->nodes[i].name);
		ck_assert_int_eq(copy->nodes[i].kind, s->cast->nodes[i].kind);
		ck_assert_int_eq(copy->nodes[i].behind,
				 s->cast->nodes[i].behind);
		ck_assert_uint_eq(copy->nodes[i].wan_ips,
				  s->cast->nodes[i].wan_ips);
		ck_assert_uint_eq(copy->nodes[i].ip_count,
				  s->cast->nodes[i].ip_count);
		ck_assert_mem_eq(copy->nodes[i].ips, s->cast->nodes[i].ips,
				 sizeof(copy->nodes[i].ips));
	}
	cast_free(copy);
	free(text);
}
END_TEST

static const struct {
	const char *text;
	int code;
	const char *says;
} broken[] = {
	{NULL, -ENODATA, "no cast"},
	{"", -ENODATA, "no cast"},
	{"recorded on Tuesday", -ENODATA, "no cast"},
	{"{\"other\":1}", -ENODATA, "no cast"},
	{"{\"natrig\":2,\"nodes\":[]}", -EBADMSG, "natrig"},
	{"{\"natrig\":1}", -EBADMSG, "nodes"},
	{"{\"natrig\":1,\"nodes\":[{}]}", -EBADMSG, "name"},
	{"{\"natrig\":1,\"nodes\":[7]}", -EBADMSG, "name"},
	{"{\"natrig\":1,\"nodes\":[{\"name\":\"a\"}]}", -EBADMSG,
	 "a is of no kind"},
	{"{\"natrig\":1,\"nodes\":[{\"name\":\"a\",\"kind\":\"toaster\"}]}",
	 -EBADMSG, "a is toaster"},
	{"{\"natrig\":1,\"nodes\":[{\"name\":\"a\",\"kind\":\"host\","
	 "\"ips\":[\"1.2.3\"]}]}",
	 -EBADMSG, "address 1 of a"},
	{"{\"natrig\":1,\"nodes\":[{\"name\":\"a\",\"kind\":\"host\","
	 "\"ips\":[\"1.2.3.4\",\"1.2.3.4:5\"]}]}",
	 -EBADMSG, "address 2 of a"},
	{"{\"natrig\":1,\"nodes\":[{\"name\":\"a\",\"kind\":\"host\",\"ips\":["
	 "\"1.0.0.1\",\"1.0.0.2\",\"1.0.0.3\",\"1.0.0.4\","
	 "\"1.0.0.5\",\"1.0.0.6\",\"1.0.0.7\",\"1.0.0.8\","
	 "\"1.0.0.9\",\"1.0.0.10\",\"1.0.0.11\",\"1.0.0.12\","
	 "\"1.0.0.13\",\"1.0.0.14\",\"1.0.0.15\",\"1.0.0.16\","
	 "\"1.0.0.17\",\"1.0.0.18\",\"1.0.0.19\",\"1.0.0.20\","
	 "\"1.0.0.21\",\"1.0.0.22\",\"1.0.0.23\",\"1.0.0.24\","
	 "\"1.0.0.25\",\"1.0.0.26\",\"1.0.0.27\",\"1.0.0.28\","
	 "\"1.0.0.29\",\"1.0.0.30\",\"1.0.0.31\",\"1.0.0.32\","
	 "\"1.0.0.33\"]}]}",
	 -EBADMSG, "more than 32"},
	{"{\"natrig\":1,\"nodes\":[{\"name\":\"a\",\"kind\":\"host\","
	 "\"wan_ips\":33}]}",
	 -EBADMSG, "wan_ips of a"},
	{"{\"natrig\":1,\"nodes\":[{\"name\":\"a\",\"kind\":\"host\"},"
	 "{\"name\":\"a\",\"kind\":\"host\"}]}",
	 -EBADMSG, "two nodes are a"},
	{"{\"natrig\":1,\"nodes\":[{\"name\":\"a\",\"kind\":\"host\","
	 "\"behind\":\"b\"}]}",
	 -EBADMSG, "a is behind b"},
	{"{\"natrig\":1,\"nodes\":[{\"name\":\"a\",\"kind\":\"host\","
	 "\"behind\":\"a\"}]}",
	 -EBADMSG, "a is behind a, which is no router"},
	{"{\"natrig\":1,\"nodes\":[{\"name\":\"r\",\"kind\":\"router\","
	 "\"behind\":\"q\"},{\"name\":\"q\",\"kind\":\"router\","
	 "\"behind\":\"r\"}]}",
	 -EBADMSG, "r is behind itself"},
};

START_TEST(json_broken)
{
	struct err err = {.text = ""};
	struct cast *cast;

	ck_assert_int_eq(cast_from_json(broken[_i].text, &cast, &err),
			 broken[_i].code);
	ck_assert_ptr_null(cast);
	ck_assert_msg(strstr(err.text, broken[_i].says), "%s", err.text);
}
END_TEST

START_TEST(finds)
{
	ck_assert_int_eq(cast_find(s->cast, "edge-c"), 2);
	ck_assert_int_eq(cast_find(s->cast, "edge"), -1);
	ck_assert_int_eq(cast_find_ip(s->cast, ip("192.168.2.1")), 2);
	ck_assert_int_eq(cast_find_ip(s->cast, ip("25.0.0.9")), -1);
	/* 0 is "no address", not one that address-less nodes share. */
	ck_assert_int_eq(cast_find_ip(s->cast, 0), -1);
}
END_TEST

START_TEST(nearest)
{
	ck_assert_str_eq(cast_nearest(s->cast, "egde-c"), "edge-c");
	ck_assert_str_eq(cast_nearest(s->cast, "home-b"), "home-a");
	ck_assert_str_eq(cast_nearest(s->cast, "RELAY"), "relay");
	ck_assert_str_eq(cast_nearest(s->cast, "stun3"), "stun1");
	ck_assert_ptr_null(cast_nearest(s->cast, "z"));
	ck_assert_ptr_null(cast_nearest(s->cast, "toaster"));
}
END_TEST

START_TEST(distance)
{
	ck_assert_uint_eq(cast_distance("", ""), 0);
	ck_assert_uint_eq(cast_distance("", "abc"), 3);
	ck_assert_uint_eq(cast_distance("abc", ""), 3);
	ck_assert_uint_eq(cast_distance("kitten", "sitting"), 3);
	ck_assert_uint_eq(cast_distance("relay", "realy"), 1);
	ck_assert_uint_eq(cast_distance("reaches", "reachs"), 1);
}
END_TEST

/* An interface's address: the outside's before the inside's. */
START_TEST(learns_from_interfaces)
{
	struct cast_node *home = stage_node(s, "home-a");

	home->ip_count = 0;
	/* The file may tell of the inside first. */
	{
		struct vantage wan = s->rec.vantages[1];

		ck_assert_str_eq(wan.name, "home-a.wan");
		s->rec.vantages[1] = s->rec.vantages[2];
		s->rec.vantages[2] = wan;
	}
	for (size_t i = 0; i < s->rec.vantage_count; i++) {
		if (!strcmp(s->rec.vantages[i].name, "home-a.wan"))
			s->rec.vantages[i].ip = ip("25.0.0.7");
		if (!strcmp(s->rec.vantages[i].name, "home-a.lan"))
			s->rec.vantages[i].ip = ip("192.168.1.1");
	}
	cast_learn(s->cast, &s->rec);
	ck_assert_uint_eq(home->ip_count, 2);
	ck_assert_uint_eq(home->ips[0], ip("25.0.0.7"));
	ck_assert_uint_eq(home->ips[1], ip("192.168.1.1"));
	ck_assert_uint_eq(cast_wan_count(home), 1);
}
END_TEST

START_TEST(learns_from_frames)
{
	struct cast_node *home = stage_node(s, "home-a");
	struct cast_node *a = stage_node(s, "a");

	a->ip_count = 0;
	stage_say(s, "x");
	stage_hops(s, "a.eth0 out 192.168.1.2:41641 25.0.0.3:5765 64\n"
		      "home-a.wan out 25.0.0.77:41641 25.0.0.3:5765 63\n"
		      "edge-c.wan in 25.0.0.78:41641 25.0.0.3:5765 63\n"
		      "a.eth0 out 10.9.9.9:41641 25.0.0.3:5765 64\n"
		      "home-a.lan out 10.9.9.8:41641 192.168.1.2:5765 64");
	cast_learn(s->cast, &s->rec);
	ck_assert_uint_eq(a->ip_count, 1);
	ck_assert_uint_eq(a->ips[0], ip("192.168.1.2"));
	/* A new WAN address stands with the old one, before the LAN's. */
	ck_assert_uint_eq(home->ip_count, 3);
	ck_assert_uint_eq(home->ips[0], ip("25.0.0.2"));
	ck_assert_uint_eq(home->ips[1], ip("25.0.0.77"));
	ck_assert_uint_eq(home->ips[2], ip("192.168.1.1"));
	ck_assert_uint_eq(cast_wan_count(home), 2);
	ck_assert_uint_eq(stage_node(s, "edge-c")->ip_count, 2);
}
END_TEST

/* More addresses than there is room for are left out. */
START_TEST(learns_no_more_than_fit)
{
	struct cast_node *home = stage_node(s, "home-a");
	char hop[80];

	stage_say(s, "x");
	for (int i = 10; i < 50; i++) {
		snprintf(hop, sizeof(hop),
			 "home-a.wan out 25.0.0.%d:1 25.0.0.3:2 63", i);
		stage_hop(s, hop);
	}
	cast_learn(s->cast, &s->rec);
	ck_assert_uint_eq(home->ip_count, CAST_MAX_IPS);
	ck_assert_uint_eq(home->ips[CAST_MAX_IPS - 1], ip("192.168.1.1"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cast");
	TCase *tests = tcase_create("cast");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, json_round_trip);
	tcase_add_loop_test(tests, json_broken, 0,
			    sizeof(broken) / sizeof(broken[0]));
	tcase_add_test(tests, finds);
	tcase_add_test(tests, nearest);
	tcase_add_test(tests, distance);
	tcase_add_test(tests, learns_from_interfaces);
	tcase_add_test(tests, learns_from_frames);
	tcase_add_test(tests, learns_no_more_than_fit);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

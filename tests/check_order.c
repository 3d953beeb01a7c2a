/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "captures/order.h"
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

/*
 * The seed's story: a's 1st ping dies at edge-c (0.0003 s); c's ping reaches a
 * (1.0009 s); a's 2nd ping reaches c (2.0015 s); a asks stun1; a sends to an
 * address that nobody has.
 */
static void tell_the_story(void)
{
	stage_ping(s, 1);
	stage_hops(s, "a.eth0 out 192.168.1.2:41641 25.0.0.3:5765 64;"
		      "home-a.lan in 192.168.1.2:41641 25.0.0.3:5765 64;"
		      "home-a.wan out 25.0.0.2:41641 25.0.0.3:5765 63;"
		      "edge-c.wan in 25.0.0.2:41641 25.0.0.3:5765 63");
	stage_wait(s, 1);
	stage_ping(s, 2);
	stage_hops(s, "c.eth0 out 192.168.2.2:41641 25.0.0.2:41641 64;"
		      "edge-c.lan in 192.168.2.2:41641 25.0.0.2:41641 64;"
		      "edge-c.wan out 25.0.0.3:5765 25.0.0.2:41641 63;"
		      "home-a.wan in 25.0.0.3:5765 25.0.0.2:41641 63;"
		      "home-a.lan out 25.0.0.3:5765 192.168.1.2:41641 62;"
		      "a.eth0 in 25.0.0.3:5765 192.168.1.2:41641 62");
	stage_wait(s, 1);
	stage_ping(s, 3);
	stage_hops(s, "a.eth0 out 192.168.1.2:41641 25.0.0.3:5765 64;"
		      "home-a.lan in 192.168.1.2:41641 25.0.0.3:5765 64;"
		      "home-a.wan out 25.0.0.2:41641 25.0.0.3:5765 63;"
		      "edge-c.wan in 25.0.0.2:41641 25.0.0.3:5765 63;"
		      "edge-c.lan out 25.0.0.2:41641 192.168.2.2:41641 62;"
		      "c.eth0 in 25.0.0.2:41641 192.168.2.2:41641 62");
	stage_wireguard(s, 4);
	stage_hops(s, "c.eth0 out 192.168.2.2:41641 192.168.1.2:41641 64;"
		      "edge-c.lan in 192.168.2.2:41641 192.168.1.2:41641 64;"
		      "edge-c.wan out 25.0.0.3:5765 192.168.1.2:41641 63");
	/* STUN's cookie and its size: a binding request. */
	s->payload = "\0\1\0\0\x21\x12\xa4\x42"
		     "abcdefghijkl";
	s->payload_bytes = 20;
	stage_hops(s, "a.eth0 out 192.168.1.2:41641 25.0.1.1:3478 64;"
		      "home-a.lan in 192.168.1.2:41641 25.0.1.1:3478 64;"
		      "home-a.wan out 25.0.0.2:41641 25.0.1.1:3478 63;"
		      "stun1.eth0 in 25.0.0.2:41641 25.0.1.1:3478 63");
	s->payload = "\0\0";
	s->payload_bytes = 2;
	stage_hops(s, "c.eth0 out 192.168.2.2:50000 192.168.2.1:5351 64;"
		      "edge-c.lan in 192.168.2.2:50000 192.168.2.1:5351 64");
	stage_journeys(s);
}

static const struct {
	const char *text;
	bool holds;
	const char *says; /* part of why */
} orders[] = {
	/* before */
	{"c -> a leaves c before a -> c reaches c", true, "before the"},
	{"a -> c reaches c before c -> a leaves c", false, "not before the"},
	{"a -> c leaves a before c -> a leaves c", true, ""},
	{"a -> c reaches stun1 before c -> a leaves c", false,
	 "no packet of a for c reached stun1"},
	{"c -> a leaves c before a -> c reaches relay", false,
	 "the right never happened: no packet of a for c reached relay, "
	 "though 2 were sent, the last: a's 2nd disco.ping to c"},
	/* the same moment is not before */
	{"a -> c leaves a before a -> c leaves a", false, ""},
	/* no .. before */
	{"no a -> c reaches c before c -> a leaves c", true,
	 "the first packet of a for c reached c at 2.0015"},
	{"no a -> c dies at edge-c before c -> a leaves c", false,
	 "a packet of a for c died at edge-c at 0.000300 s (frame 4), "
	 "before the first packet of c for a left c at 1.000400 s (frame 5)"
	 ": a's 1st disco.ping to c left home-a from 25.0.0.2:41641 and "
	 "died at edge-c: no mapping for port 5765"},
	{"no a -> c reaches stun1 before c -> a leaves c", true,
	 "no packet of a for c reached stun1 at any time"},
	{"no a -> c reaches c before c -> a reaches stun2", false,
	 "the right never happened"},
	{"no a -> stun2 leaves a before stun2 -> a leaves stun2", false,
	 "the right never happened: no packet of stun2 for a left stun2: "
	 "the recording has no such packet"},
	/* some, never */
	{"some a -> c dies at edge-c", true, "died at edge-c at 0.000300 s"},
	{"some a -> c dies at home-a", false, "though 2 were sent"},
	{"never a -> c dies at home-a", true, ""},
	{"never a -> c dies at edge-c", false,
	 "no mapping for port 5765 (frames 1, 2, 3, 4)"},
	{"some c -> a dies at internet", true, "died at the internet"},
	{"some c -> a of disco dies at internet", false,
	 "though one was sent: c's 1st disco.ping to a left edge-c"},
	/* within */
	{"a -> c reaches c within 2s after c -> a leaves c", true, "1.001"},
	{"a -> c reaches c within 1s after c -> a leaves c", false, "1.001"},
	{"a -> c reaches c within 1100ms after c -> a leaves c", true, ""},
	{"a -> c reaches c within 1.1s after c -> a leaves c", true, ""},
	{"a -> c reaches c within 600us after a -> c leaves a", false, ""},
	{"a -> c dies at edge-c within 300us after a -> c leaves a", true, ""},
	{"a -> c dies at edge-c within 299us after a -> c leaves a", false, ""},
	{"a -> c dies at edge-c within 0.0003s after a -> c leaves a", true,
	 ""},
	{"a -> c dies at edge-c within 1h after c -> a leaves c", false,
	 "but none after"},
	{"a -> c dies at home-a within 1m after c -> a leaves c", false,
	 "no packet of a for c died at home-a"},
	{"a -> c reaches c within 1m after c -> a leaves relay", false,
	 "the right never happened"},
	/* kinds */
	{"some a -> c of disco.ping reaches c", true, ""},
	{"some a -> c of disco.pong reaches c", false,
	 "no disco.pong of a for c reached c: the recording has no such"},
	{"some a -> c of disco.call-me-maybe reaches c", false, ""},
	{"some a -> c of wireguard reaches c", false, ""},
	{"some c -> a of wireguard leaves edge-c", true, ""},
	{"some a -> c of relay reaches c", false, ""},
	{"some a -> stun1 of stun reaches stun1", true, ""},
	{"some a -> stun1 reaches stun1", true, ""},
	{"some a -> stun1 of disco reaches stun1", false, ""},
	{"some c -> edge-c of portmap reaches edge-c", true, ""},
	{"some c -> edge-c reaches edge-c", true, ""},
	/* routers see packets leave and come on both sides */
	{"some c -> a leaves home-a", true, "(frame 9)"},
	{"some c -> a reaches home-a", true, "(frame 8)"},
};

static void check(const char *text, struct order_result *result)
{
	struct order_statement statement;
	struct err err = {.text = ""};

	ck_assert_msg(!order_parse(text, s->cast, &statement, &err), "%s: %s",
		      text, err.text);
	ck_assert_str_eq(statement.text, text);
	order_check(&statement, s->j, result);
}

START_TEST(orders_hold_or_fall_short)
{
	struct order_result r;

	tell_the_story();
	check(orders[_i].text, &r);
	ck_assert_msg(r.holds == orders[_i].holds, "%s: %s", orders[_i].text,
		      r.why);
	ck_assert_msg(strstr(r.why, orders[_i].says), "%s: %s", orders[_i].text,
		      r.why);
	ck_assert_msg(*r.why, "%s: no why", orders[_i].text);
	ck_assert_uint_le(r.frame_count, ORDER_MAX_EVIDENCE);
}
END_TEST

START_TEST(evidence_is_frames)
{
	static const unsigned journey[] = {4, 1, 2, 3};
	struct order_result r;

	tell_the_story();
	check("some a -> c dies at edge-c", &r);
	ck_assert_uint_eq(r.frame_count, 4);
	ck_assert_mem_eq(r.frames, journey, sizeof(journey));
	check("c -> a leaves c before a -> c reaches c", &r);
	ck_assert_uint_eq(r.frame_count, 2);
	ck_assert_uint_eq(r.frames[0], 5);
	ck_assert_uint_eq(r.frames[1], 16);
}
END_TEST

START_TEST(an_empty_recording)
{
	struct order_result r;

	stage_journeys(s);
	check("never a -> c reaches c", &r);
	ck_assert(r.holds);
	check("some a -> c reaches c", &r);
	ck_assert(!r.holds);
	check("no a -> c reaches c before c -> a leaves c", &r);
	ck_assert(!r.holds);
	ck_assert_msg(strstr(r.why, "the right never happened"), "%s", r.why);
}
END_TEST

/* What set out first need not be what arrives first. */
START_TEST(the_first_to_arrive_counts)
{
	struct order_result r;

	stage_deafen(s, "edge-c.wan");
	stage_deafen(s, "edge-c.lan");
	stage_ping(s, 1);
	stage_hops(s, "a.eth0 out 192.168.1.2:1 25.0.0.3:5765 64");
	stage_ping(s, 2);
	stage_hops(s, "a.eth0 out 192.168.1.2:1 25.0.0.3:5765 64;"
		      "c.eth0 in 25.0.0.2:1 192.168.2.2:1 62");
	stage_ping(s, 1);
	stage_hops(s, "c.eth0 in 25.0.0.2:1 192.168.2.2:1 62");
	stage_journeys(s);
	ck_assert_uint_eq(s->j->count, 2);
	check("some a -> c reaches c", &r);
	ck_assert_msg(strstr(r.why, "(frame 3)"), "%s", r.why);
}
END_TEST

/* What nobody saw did not die on the internet. */
START_TEST(the_unknown_is_no_death)
{
	struct order_result r;

	stage_deafen(s, "edge-c.wan");
	stage_deafen(s, "edge-c.lan");
	stage_deafen(s, "c.eth0");
	stage_ping(s, 1);
	stage_hops(s, "a.eth0 out 192.168.1.2:1 25.0.0.3:5765 64;"
		      "home-a.lan in 192.168.1.2:1 25.0.0.3:5765 64;"
		      "home-a.wan out 25.0.0.2:1 25.0.0.3:5765 63");
	stage_journeys(s);
	check("some a -> c dies at internet", &r);
	ck_assert(!r.holds);
	ck_assert_msg(strstr(r.why, "was not recorded"), "%s", r.why);
}
END_TEST

/* A packet over the relay, made by hand: kinds over it are not UDP's. */
START_TEST(relay_packets_are_not_udp)
{
	static const struct {
		unsigned kind;
		const char *text;
		bool holds;
	} cases[] = {
		{JOURNEY_DISCO_PING, "some c -> a reaches a", false},
		{JOURNEY_DISCO_PING, "some c -> a of disco reaches a", false},
		{JOURNEY_DISCO_PING, "some c -> a of disco.ping reaches a",
		 false},
		{JOURNEY_DISCO_PING, "some c -> a of relay reaches a", true},
		{JOURNEY_WIREGUARD, "some c -> a of wireguard reaches a",
		 false},
		{JOURNEY_DISCO_CALL_ME_MAYBE,
		 "some c -> a of disco.call-me-maybe reaches a", true},
		{JOURNEY_DISCO_CALL_ME_MAYBE, "some c -> a of disco reaches a",
		 true},
		{JOURNEY_DISCO_CALL_ME_MAYBE, "some c -> a reaches a", false},
	};
	struct order_result r;

	tell_the_story();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		s->j->list[1].kind = cases[i].kind | JOURNEY_RELAY;
		s->j->list[1].over_relay = true;
		check(cases[i].text, &r);
		ck_assert_msg(r.holds == cases[i].holds, "%zu %s: %s", i,
			      cases[i].text, r.why);
	}
}
END_TEST

/* Between clients, what looks like STUN or a port's protocol is not meant. */
START_TEST(services_count_with_servers_only)
{
	struct order_result r;

	tell_the_story();
	s->j->list[1].kind = JOURNEY_STUN;
	check("some c -> a reaches a", &r);
	ck_assert(!r.holds);
	check("some c -> a of stun reaches a", &r);
	ck_assert(r.holds);
	s->j->list[1].kind = JOURNEY_ICMP_ERROR;
	check("some c -> a reaches a", &r);
	ck_assert(!r.holds);
	s->j->list[1].kind = JOURNEY_TCP;
	check("some c -> a reaches a", &r);
	ck_assert(!r.holds);
}
END_TEST

START_TEST(parses)
{
	struct order_statement o;
	int a = stage_index(s, "a"), c = stage_index(s, "c");

	ck_assert_int_eq(order_parse("  no a->c of disco.ping dies at internet"
				     "\tbefore   c->a leaves edge-c ",
				     s->cast, &o, NULL),
			 0);
	ck_assert_int_eq(o.form, ORDER_NO_BEFORE);
	ck_assert_int_eq(o.left.from, a);
	ck_assert_int_eq(o.left.to, c);
	ck_assert_uint_eq(o.left.kinds, JOURNEY_DISCO_PING);
	ck_assert_int_eq(o.left.what, ORDER_DIES_AT);
	ck_assert_int_eq(o.left.at, -2);
	ck_assert_int_eq(o.right.from, c);
	ck_assert_int_eq(o.right.what, ORDER_LEAVES);
	ck_assert_uint_eq(o.right.kinds, 0);
	ck_assert_int_eq(o.right.at, stage_index(s, "edge-c"));
	ck_assert_int_eq(order_parse("a -> c reaches c within 2m after "
				     "c -> a reaches a",
				     s->cast, &o, NULL),
			 0);
	ck_assert_int_eq(o.form, ORDER_WITHIN);
	ck_assert_uint_eq(o.within_ns, UINT64_C(120000000000));
	/* As a double, this is a little less. */
	ck_assert_int_eq(order_parse("a -> c reaches c within 4.1s after "
				     "c -> a reaches a",
				     s->cast, &o, NULL),
			 0);
	ck_assert_uint_eq(o.within_ns, UINT64_C(4100000000));
	ck_assert_int_eq(order_parse("some a -> c of disco reaches c", s->cast,
				     &o, NULL),
			 0);
	ck_assert_uint_eq(o.left.kinds, JOURNEY_DISCO_PING |
						JOURNEY_DISCO_PONG |
						JOURNEY_DISCO_CALL_ME_MAYBE |
						JOURNEY_DISCO_OTHER);
}
END_TEST

/* Somebody may call a node "no". */
START_TEST(form_words_may_be_names)
{
	struct order_statement o;

	snprintf(stage_node(s, "a")->name, 64, "no");
	ck_assert_int_eq(order_parse("no -> c leaves no before c -> no "
				     "leaves c",
				     s->cast, &o, NULL),
			 0);
	ck_assert_int_eq(o.form, ORDER_BEFORE);
	ck_assert_int_eq(order_parse("no no -> c leaves no before c -> no "
				     "leaves c",
				     s->cast, &o, NULL),
			 0);
	ck_assert_int_eq(o.form, ORDER_NO_BEFORE);
}
END_TEST

#define NODES "a node (a, home-a, edge-c, c, stun1, stun2, relay"
#define KINDS                                                                  \
	"a kind (disco, disco.ping, disco.pong, disco.call-me-maybe, stun, "   \
	"wireguard, portmap or relay)"
#define TIME "a time, as 500ms, 5s or 2m"

static const struct {
	const char *text;
	unsigned column;
	const char *says;
} wrong[] = {
	{"", 1, "expected no, some, never or " NODES "), the statement ends"},
	{"  ", 3, "the statement ends"},
	{"sone a -> c reaches c", 1,
	 NODES "), got \"sone\"; did you mean some?"},
	{"hom-a -> c reaches c", 1, "did you mean home-a?"},
	{"some", 5, "expected " NODES "), the statement ends"},
	{"some b -> c reaches c", 6, "expected " NODES "), got \"b\""},
	{"some stun3 -> c reaches c", 6, "got \"stun3\"; did you mean stun1?"},
	{"some internet -> c reaches c", 6, "expected " NODES ")"},
	{"some a => c reaches c", 8,
	 "expected ->, got \"=>\"; did you mean "
	 "->?"},
	{"some a -> egde-c of disco dies at c", 11,
	 "expected " NODES "), got \"egde-c\"; did you mean edge-c?"},
	{"some a -> c", 12,
	 "expected of, leaves, reaches or dies, the statement ends"},
	{"some a -> c reachs c", 13,
	 "expected of, leaves, reaches or dies, "
	 "got \"reachs\"; did you mean reaches?"},
	{"some a -> c of", 15, "expected " KINDS ", the statement ends"},
	{"some a -> c of disco.pign leaves a", 16,
	 "expected " KINDS ", got \"disco.pign\"; did you mean disco.ping?"},
	{"some a -> c of disco.ping", 26,
	 "expected leaves, reaches or dies, the statement ends"},
	{"some a -> c of disco.ping leave a", 27,
	 "got \"leave\"; did you mean leaves?"},
	{"some a -> c dies edge-c", 18, "expected at, got \"edge-c\""},
	{"some a -> c dies at edgec", 21,
	 "expected " NODES ", internet), got \"edgec\"; did you mean "
	 "edge-c?"},
	{"some a -> c dies at internt", 21, "did you mean internet?"},
	{"some a -> c leaves internet", 20, "expected " NODES ")"},
	{"some a -> c reaches c before c -> a leaves c", 23,
	 "expected the end of the statement, got \"before\""},
	{"never a -> c reaches c now", 24, "expected the end"},
	{"no a -> c reaches c", 20, "expected before, the statement ends"},
	{"no a -> c reaches c within 5s after c -> a leaves c", 21,
	 "expected before, got \"within\""},
	{"no a -> c reaches c befor c -> a leaves c", 21,
	 "did you mean before?"},
	{"a -> c reaches c", 17, "expected before or within, the statement"},
	{"a -> c reaches c after c -> a leaves c", 18,
	 "expected before or within, got \"after\""},
	{"a -> c reaches c before", 24, "expected " NODES ")"},
	{"a -> c reaches c within", 24, "expected " TIME ", the statement"},
	{"a -> c reaches c within 5 after c -> a leaves c", 25,
	 "expected " TIME ", got \"5\""},
	{"a -> c reaches c within 5sec after c -> a leaves c", 25,
	 "expected " TIME},
	{"a -> c reaches c within -5s after c -> a leaves c", 25,
	 "expected " TIME},
	{"a -> c reaches c within 1e3s after c -> a leaves c", 25,
	 "expected " TIME},
	{"a -> c reaches c within 0x5s after c -> a leaves c", 25,
	 "expected " TIME},
	{"a -> c reaches c within 1.2.3s after c -> a leaves c", 25,
	 "expected " TIME},
	{"a -> c reaches c within 999999999h after c -> a leaves c", 25,
	 "less than 10000000s"},
	{"a -> c reaches c within 5s c -> a leaves c", 28,
	 "expected after, got \"c\""},
	{"a -> c reaches c within 5s aftre c -> a leaves c", 28,
	 "did you mean after?"},
	{"a -> c reaches c before no c -> a leaves c", 25, "got \"no\""},
};

START_TEST(errors_say_where_and_what)
{
	struct order_statement o;
	struct err err = {.text = "", .file = "f", .line = 7};

	ck_assert_int_eq(order_parse(wrong[_i].text, s->cast, &o, &err),
			 -EINVAL);
	ck_assert_msg(err.column == wrong[_i].column, "%s: column %u: %s",
		      wrong[_i].text, err.column, err.text);
	ck_assert_msg(strstr(err.text, wrong[_i].says), "%s: %s",
		      wrong[_i].text, err.text);
	/* File and line are the caller's. */
	ck_assert_str_eq(err.file, "f");
	ck_assert_uint_eq(err.line, 7);
	ck_assert_int_eq(order_parse(wrong[_i].text, s->cast, &o, NULL),
			 -EINVAL);
}
END_TEST

START_TEST(errors_bear_long_words)
{
	struct order_statement o;
	struct err err = {.text = ""};
	char text[600];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(order_parse(text, s->cast, &o, &err), -EINVAL);
	ck_assert_uint_eq(err.column, 256);
	text[255] = '\0';
	ck_assert_int_eq(order_parse(text, s->cast, &o, &err), -EINVAL);
	ck_assert_uint_eq(err.column, 1);
	memset(text, ' ', 255);
	ck_assert_int_eq(order_parse(text, s->cast, &o, &err), -EINVAL);
	ck_assert_uint_eq(err.column, 256);
}
END_TEST

/* A hundred names are not listed, and fit what room there is. */
START_TEST(errors_bear_many_nodes)
{
	struct cast *many = cast_new(200);
	struct order_statement o;
	struct err err = {.text = ""};

	for (int i = 0; i < 200; i++)
		snprintf(many->nodes[i].name, sizeof(many->nodes[i].name),
			 "%059d", i);
	ck_assert_int_eq(order_parse("a", many, &o, &err), -EINVAL);
	ck_assert_msg(strstr(err.text, ", ...), got \"a\""), "%s", err.text);
	cast_free(many);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("order");
	TCase *tests = tcase_create("order");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, orders_hold_or_fall_short, 0,
			    sizeof(orders) / sizeof(orders[0]));
	tcase_add_test(tests, evidence_is_frames);
	tcase_add_test(tests, an_empty_recording);
	tcase_add_test(tests, relay_packets_are_not_udp);
	tcase_add_test(tests, services_count_with_servers_only);
	tcase_add_test(tests, parses);
	tcase_add_test(tests, form_words_may_be_names);
	tcase_add_loop_test(tests, errors_say_where_and_what, 0,
			    sizeof(wrong) / sizeof(wrong[0]));
	tcase_add_test(tests, errors_bear_long_words);
	tcase_add_test(tests, errors_bear_many_nodes);
	tcase_add_test(tests, the_first_to_arrive_counts);
	tcase_add_test(tests, the_unknown_is_no_death);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Ways: who sent what to whom, past which nodes, and where it ended. */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "captures/journey.h"
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

static void begin(const char *const *lines)
{
	stage_free(s);
	s = stage_of(lines);
}

START_TEST(follows_through_two_nats)
{
	const struct journey *one;

	stage_ping(s, 1);
	stage_hops(s, C_TO_A);
	stage_ping(s, 2);
	stage_hops(s, A_TO_C);
	ck_assert_uint_eq(stage_journeys(s)->count, 2);
	stage_expect(s, 0, "c", "a", 6, "arrived");
	stage_expect(s, 1, "a", "c", 6, "arrived");
	one = stage_at(s, 1);
	ck_assert_uint_eq(one->kind, JOURNEY_DISCO_PING);
	ck_assert(!one->over_relay);
	ck_assert_uint_eq(one->last_ns - one->first_ns, 500000);
	ck_assert_uint_eq(one->payload_bytes, 124);
	for (unsigned i = 0; i < 6; i++) {
		ck_assert_uint_eq(one->sightings[i].frame->number, 7 + i);
		ck_assert(one->sightings[i].out == !(i % 2));
	}
	ck_assert_int_eq(one->sightings[3].node, stage_index(s, "edge-c"));
	ck_assert_uint_eq(one->sightings[3].src.ip, 0x19000002);
	stage_describes(s, 1,
			"a's 1st disco.ping to c left home-a from "
			"25.0.0.2:41641 and reached c "
			"(frames 7, 8, 9, 10, 11, 12)");
}
END_TEST

START_TEST(dies_at_the_edge)
{
	for (uint8_t i = 1; i < 5; i++) {
		stage_ping(s, i);
		stage_hops(s, A_OUT);
	}
	stage_journeys(s);
	stage_expect(s, 3, "a", "c", 4, "edge-c");
	stage_describes(s, 3,
			"a's 4th disco.ping to c left home-a from "
			"25.0.0.2:41641 and died at edge-c: no mapping for "
			"port 5765 (frames 13, 14, 15, 16)");
}
END_TEST

/* The same bytes again are another journey, whatever became of the first. */
START_TEST(tells_retransmissions_apart)
{
	stage_wireguard(s, 1);
	stage_hops(s, A_OUT);
	stage_wait(s, 5);
	stage_hops(s, A_TO_C);
	stage_wait(s, 0.3);
	stage_hops(s, A_OUT);
	ck_assert_uint_eq(stage_journeys(s)->count, 3);
	stage_expect(s, 0, "a", "c", 4, "edge-c");
	stage_expect(s, 1, "a", "c", 6, "arrived");
	stage_expect(s, 2, "a", "c", 4, "edge-c");
	ck_assert_uint_eq(stage_at(s, 0)->kind, JOURNEY_WIREGUARD);
	/* Found by its bytes: the first that began not before. */
	ck_assert_ptr_eq(journeys_find(s->j, s->payload, 148, 0),
			 stage_at(s, 0));
	ck_assert_ptr_eq(journeys_find(s->j, s->payload, 148,
				       stage_at(s, 0)->first_ns + 1),
			 stage_at(s, 1));
	ck_assert_ptr_null(journeys_find(s->j, s->payload, 148,
					 stage_at(s, 2)->first_ns + 1));
	ck_assert_ptr_null(journeys_find(s->j, s->payload, 147, 0));
}
END_TEST

/* Two copies under way at once: the IP id says which is which. */
START_TEST(tells_copies_apart_by_ip_id)
{
	stage_wireguard(s, 1);
	s->ip_id = 7;
	stage_hop(s, "a.eth0 out 192.168.1.2:41641 25.0.0.3:5765 64");
	s->ip_id = 8;
	stage_hop(s, "a.eth0 out 192.168.1.2:41641 25.0.0.3:5765 64");
	s->ip_id = 7;
	stage_hop(s, "home-a.lan in 192.168.1.2:41641 25.0.0.3:5765 64");
	stage_hop(s, "home-a.wan out 25.0.0.2:41641 25.0.0.3:5765 63");
	ck_assert_uint_eq(stage_journeys(s)->count, 2);
	stage_expect(s, 0, "a", "c", 3, "internet");
	stage_expect(s, 1, "a", "c", 1, "a");
}
END_TEST

/* A link takes nothing from the TTL: the newest copy is not the one. */
START_TEST(tells_copies_apart_by_ttl)
{
	stage_wireguard(s, 1);
	stage_hops(s, "a.eth0 out 192.168.1.2:41641 25.0.0.3:5765 64;"
		      "a.eth0 out 192.168.1.2:41641 25.0.0.3:5765 3;"
		      "home-a.lan in 192.168.1.2:41641 25.0.0.3:5765 64");
	ck_assert_uint_eq(stage_journeys(s)->count, 2);
	stage_expect(s, 0, "a", "c", 2, "home-a");
	stage_expect(s, 1, "a", "c", 1, "a");
}
END_TEST

/* Equal bytes to two destinations at once are two journeys. */
START_TEST(tells_destinations_apart)
{
	stage_wireguard(s, 1);
	stage_hops(s, "a.eth0 out 192.168.1.2:41641 25.0.0.3:5765 64;"
		      "a.eth0 out 192.168.1.2:41641 25.0.1.1:41641 64;"
		      "home-a.lan in 192.168.1.2:41641 25.0.0.3:5765 64;"
		      "home-a.lan in 192.168.1.2:41641 25.0.1.1:41641 64;"
		      "home-a.wan out 192.168.1.2:41641 25.0.0.3:5765 63;"
		      "home-a.wan out 192.168.1.2:41641 25.0.1.1:41641 63;"
		      "stun1.eth0 in 192.168.1.2:41641 25.0.1.1:41641 63;"
		      "edge-c.wan in 192.168.1.2:41641 25.0.0.3:5765 63");
	ck_assert_uint_eq(stage_journeys(s)->count, 2);
	stage_expect(s, 0, "a", "c", 4, "edge-c");
	stage_expect(s, 1, "a", "stun1", 4, "arrived");
}
END_TEST

/*
 * Linux's NAT, when two flows clash, also gives the sender another port on the
 * way in: both ends change at once, as seen in a real recording.
 */
START_TEST(follows_a_clash_of_flows)
{
	stage_say(s, "short");
	stage_hops(s, A_OUT "edge-c.lan out 25.0.0.2:9574 192.168.2.2:41641 62;"
			    "c.eth0 in 25.0.0.2:9574 192.168.2.2:41641 62");
	stage_pong(s, 2);
	stage_hops(s, "c.eth0 out 192.168.2.2:41641 25.0.0.2:9574 64;"
		      "edge-c.lan in 192.168.2.2:41641 25.0.0.2:9574 64;"
		      "edge-c.wan out 25.0.0.3:5765 25.0.0.2:41641 63;"
		      "home-a.wan in 25.0.0.3:5765 25.0.0.2:41641 63");
	ck_assert_uint_eq(stage_journeys(s)->count, 2);
	stage_expect(s, 0, "a", "c", 6, "arrived");
	stage_expect(s, 1, "c", "a", 4, "home-a");
}
END_TEST

/* Equal bytes to two ports of one host, past a router that changes nothing. */
START_TEST(tells_ports_apart)
{
	stage_wireguard(s, 1);
	stage_hops(s, "home-a.lan in 192.168.1.2:41641 25.0.0.3:5765 64;"
		      "home-a.lan in 192.168.1.2:41641 25.0.0.3:5766 64;"
		      "home-a.wan out 25.0.0.2:41641 25.0.0.3:5765 63;"
		      "home-a.wan out 25.0.0.2:41641 25.0.0.3:5766 63");
	ck_assert_uint_eq(stage_journeys(s)->count, 2);
	ck_assert_uint_eq(stage_at(s, 0)->sightings[1].dst.port, 5765);
	ck_assert_uint_eq(stage_at(s, 1)->sightings[1].dst.port, 5766);
}
END_TEST

/* A host sends back the very bytes that it got. */
START_TEST(an_echo_is_a_journey_of_its_own)
{
	stage_say(s, "echo");
	stage_hops(s, A_TO_C C_TO_A);
	ck_assert_uint_eq(stage_journeys(s)->count, 2);
	stage_expect(s, 0, "a", "c", 6, "arrived");
	stage_expect(s, 1, "c", "a", 6, "arrived");
	ck_assert_str_eq(journey_kind_name(stage_at(s, 0)), "udp");
}
END_TEST

static const char *const two_at_home[] = {
	"host a home 192.168.1.2",
	"host b home 192.168.1.3",
	"router home - 25.0.0.2 192.168.1.1",
	"router edge-c - 25.0.0.3 192.168.2.1",
	"host c edge-c 192.168.2.2",
	"server stun1 - 25.0.1.1",
	NULL};

#define B_TO_C                                                                 \
	"b.eth0 out 192.168.1.3:41641 25.0.0.3:5765 64;"                       \
	"home.lan in 192.168.1.3:41641 25.0.0.3:5765 64;"                      \
	"home.wan out 25.0.0.2:1024 25.0.0.3:5765 63;"                         \
	"edge-c.wan in 25.0.0.2:1024 25.0.0.3:5765 63;"
#define HAIRPIN                                                                \
	"a.eth0 out 192.168.1.2:41641 25.0.0.2:1024 64;"                       \
	"home.lan in 192.168.1.2:41641 25.0.0.2:1024 64;"

START_TEST(follows_a_hairpin)
{
	begin(two_at_home);
	stage_ping(s, 1);
	stage_hops(s, B_TO_C);
	stage_ping(s, 2);
	stage_hops(s,
		   HAIRPIN "home.lan out 25.0.0.2:41641 192.168.1.3:41641 63;"
			   "b.eth0 in 25.0.0.2:41641 192.168.1.3:41641 63");
	stage_ping(s, 3);
	stage_hops(s, HAIRPIN);
	ck_assert_uint_eq(stage_journeys(s)->count, 3);
	stage_expect(s, 1, "a", "b", 4, "arrived");
	stage_expect(s, 2, "a", "b", 2, "home");
	stage_describes(s, 2,
			"a's 2nd disco.ping to b left a from 192.168.1.2:41641 "
			"and died at home: home does not hairpin its own "
			"address 25.0.0.2 (frames 9, 10)");
}
END_TEST

START_TEST(follows_on_one_lan)
{
	begin(two_at_home);
	stage_ping(s, 1);
	stage_hops(s, "a.eth0 out 192.168.1.2:41641 192.168.1.3:41641 64;"
		      "b.eth0 in 192.168.1.2:41641 192.168.1.3:41641 64");
	stage_ping(s, 2);
	stage_hops(s, "a.eth0 out 192.168.1.2:41641 192.168.1.3:41641 64");
	stage_ping(s, 3);
	stage_hops(s, "a.eth0 out 192.168.1.2:41641 192.168.1.9:41641 64;"
		      "home.lan in 192.168.1.2:41641 192.168.1.9:41641 64");
	stage_journeys(s);
	stage_expect(s, 0, "a", "b", 2, "arrived");
	stage_expect(s, 1, "a", "b", 1, "a");
	stage_describes(s, 1,
			"a's 2nd disco.ping to b left a from 192.168.1.2:41641 "
			"and died there: lost on the link to b (frame 3)");
	stage_expect(s, 2, "a", "-", 2, "home");
}
END_TEST

static const char *const nested[] = {"host a inner 192.168.1.2",
				     "router inner outer 100.64.0.2 "
				     "192.168.1.1",
				     "router outer - 25.0.0.2 100.64.0.1",
				     "host c - 25.0.0.3", NULL};

START_TEST(follows_through_a_router_behind_a_router)
{
	begin(nested);
	stage_ping(s, 1);
	stage_hops(s, "a.eth0 out 192.168.1.2:41641 25.0.0.3:41641 64;"
		      "inner.lan in 192.168.1.2:41641 25.0.0.3:41641 64;"
		      "inner.wan out 100.64.0.2:41641 25.0.0.3:41641 63;"
		      "outer.lan in 100.64.0.2:41641 25.0.0.3:41641 63;"
		      "outer.wan out 25.0.0.2:6000 25.0.0.3:41641 62;"
		      "c.eth0 in 25.0.0.2:6000 25.0.0.3:41641 62");
	stage_pong(s, 2);
	stage_hops(s, "c.eth0 out 25.0.0.3:41641 25.0.0.2:6000 64;"
		      "outer.wan in 25.0.0.3:41641 25.0.0.2:6000 64;"
		      "outer.lan out 25.0.0.3:41641 100.64.0.2:41641 63;"
		      "inner.wan in 25.0.0.3:41641 100.64.0.2:41641 63");
	stage_ping(s, 3);
	stage_hops(s, "c.eth0 out 25.0.0.3:41641 25.0.0.2:7 64;"
		      "outer.wan in 25.0.0.3:41641 25.0.0.2:7 64");
	ck_assert_uint_eq(stage_journeys(s)->count, 3);
	stage_expect(s, 0, "a", "c", 6, "arrived");
	stage_describes(s, 0,
			"a's 1st disco.ping to c left outer from 25.0.0.2:6000 "
			"and reached c (frames 1, 2, 3, 4, 5, 6)");
	stage_expect(s, 1, "c", "a", 4, "inner");
	stage_expect(s, 2, "c", "a", 2, "outer");
}
END_TEST

/* An error finds its way back through the NAT that changes what it quotes. */
START_TEST(follows_icmp_errors)
{
	stage_ping(s, 1);
	stage_hops(s, A_OUT);
	stage_icmp(s, "edge-c.wan out 25.0.0.3 25.0.0.2 64", 3, 3, PACKET_UDP,
		   "25.0.0.2:41641", "25.0.0.3:5765");
	stage_icmp(s, "home-a.wan in 25.0.0.3 25.0.0.2 64", 3, 3, PACKET_UDP,
		   "25.0.0.2:41641", "25.0.0.3:5765");
	stage_icmp(s, "home-a.lan out 25.0.0.3 192.168.1.2 63", 3, 3,
		   PACKET_UDP, "192.168.1.2:41641", "25.0.0.3:5765");
	stage_icmp(s, "a.eth0 in 25.0.0.3 192.168.1.2 63", 3, 3, PACKET_UDP,
		   "192.168.1.2:41641", "25.0.0.3:5765");
	ck_assert_uint_eq(stage_journeys(s)->count, 2);
	stage_expect(s, 1, "edge-c", "a", 4, "arrived");
	ck_assert_uint_eq(stage_at(s, 1)->kind, JOURNEY_ICMP_ERROR);
	stage_describes(
		s, 1,
		"edge-c's 1st icmp error to a left edge-c from 25.0.0.3 "
		"and reached a (frames 5, 6, 7, 8)");
	stage_describes(
		s, 0,
		"a's 1st disco.ping to c left home-a from "
		"25.0.0.2:41641 and died at edge-c: no mapping for port "
		"5765; answered with ICMP port unreachable "
		"(frames 1, 2, 3, 4)");
}
END_TEST

/* About a packet that nobody recorded. */
START_TEST(follows_icmp_errors_about_nothing)
{
	stage_icmp(s, "home-a.wan in 25.0.0.3 25.0.0.2 64", 11, 0, PACKET_UDP,
		   "25.0.0.2:41641", "25.0.0.3:5765");
	stage_icmp(s, "home-a.lan out 25.0.0.3 192.168.1.2 63", 11, 0,
		   PACKET_UDP, "192.168.1.2:41641", "25.0.0.3:5765");
	ck_assert_uint_eq(stage_journeys(s)->count, 1);
	ck_assert_uint_eq(stage_at(s, 0)->sighting_count, 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("journey");
	TCase *tests = tcase_create("journey");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, follows_through_two_nats);
	tcase_add_test(tests, dies_at_the_edge);
	tcase_add_test(tests, tells_retransmissions_apart);
	tcase_add_test(tests, tells_copies_apart_by_ip_id);
	tcase_add_test(tests, tells_destinations_apart);
	tcase_add_test(tests, an_echo_is_a_journey_of_its_own);
	tcase_add_test(tests, follows_a_hairpin);
	tcase_add_test(tests, follows_on_one_lan);
	tcase_add_test(tests, follows_through_a_router_behind_a_router);
	tcase_add_test(tests, follows_icmp_errors);
	tcase_add_test(tests, follows_icmp_errors_about_nothing);
	tcase_add_test(tests, tells_copies_apart_by_ttl);
	tcase_add_test(tests, follows_a_clash_of_flows);
	tcase_add_test(tests, tells_ports_apart);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

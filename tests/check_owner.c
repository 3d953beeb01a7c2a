/* SPDX-License-Identifier: BSD-3-Clause */
/* Whose a packet is, and whom it is meant for. */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "captures/journey.h"
#include "tests/stage.h"
#include "wire/natpmp.h"
#include "wire/stun.h"

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

/* Of several hosts behind a router, a port tells once it was seen in use. */
START_TEST(knows_hosts_by_their_ports)
{
	begin(two_at_home);
	stage_ping(s, 1);
	stage_hops(s, "edge-c.wan out 25.0.0.3:5765 25.0.0.2:1024 63;"
		      "home.wan in 25.0.0.3:5765 25.0.0.2:1024 63");
	stage_ping(s, 2);
	stage_hops(s, "edge-c.wan out 25.0.0.3:5765 25.0.0.2:1025 63;"
		      "home.wan in 25.0.0.3:5765 25.0.0.2:1025 63");
	stage_ping(s, 3);
	stage_hops(s, B_TO_C);
	stage_journeys(s);
	stage_expect(s, 0, "edge-c", "b", 2, "home");
	stage_expect(s, 1, "edge-c", "-", 2, "home");
	stage_expect(s, 2, "b", "c", 4, "edge-c");
}
END_TEST

/* A port that went from one host to another is whose it was at the time. */
START_TEST(knows_who_had_the_port_then)
{
	begin(two_at_home);
	stage_ping(s, 1);
	stage_hops(s, B_TO_C);
	stage_ping(s, 2);
	stage_hops(s, "home.wan in 25.0.0.3:5765 25.0.0.2:1024 63");
	stage_wait(s, 60);
	stage_ping(s, 3);
	stage_hops(s, "a.eth0 out 192.168.1.2:41641 25.0.0.3:5765 64;"
		      "home.lan in 192.168.1.2:41641 25.0.0.3:5765 64;"
		      "home.wan out 25.0.0.2:1024 25.0.0.3:5765 63");
	stage_ping(s, 4);
	stage_hops(s, "home.wan in 25.0.0.3:5765 25.0.0.2:1024 63");
	stage_journeys(s);
	stage_expect(s, 1, "c", "b", 1, "home");
	stage_expect(s, 3, "c", "a", 1, "home");
}
END_TEST

START_TEST(knows_hosts_by_stun)
{
	struct stun_message m = {.class = STUN_SUCCESS,
				 .method = STUN_METHOD_BINDING,
				 .mapped = {0x19000002, 777}};
	uint8_t answer[128];
	int size = stun_encode(&m, answer, sizeof(answer));

	begin(two_at_home);
	stage_deafen(s, "home.wan");
	stage_deafen(s, "home.lan");
	s->payload = answer;
	s->payload_bytes = (size_t)size;
	stage_hops(s, "stun1.eth0 out 25.0.1.1:3478 25.0.0.2:777 64;"
		      "b.eth0 in 25.0.1.1:3478 192.168.1.3:41641 63");
	stage_ping(s, 1);
	stage_hops(s, "c.eth0 out 192.168.2.2:41641 25.0.0.2:777 64");
	stage_journeys(s);
	stage_expect(s, 0, "stun1", "b", 2, "arrived");
	ck_assert_uint_eq(stage_at(s, 0)->kind, JOURNEY_STUN);
	ck_assert_str_eq(stage_name(s, stage_at(s, 1)->to), "b");
}
END_TEST

/* A mapping that was never used, but granted, says whose a port is. */
START_TEST(knows_hosts_by_granted_ports)
{
	struct natpmp_message m = {.response = true,
				   .op = NATPMP_MAP_UDP,
				   .internal_port = 41641,
				   .external_port = 6000,
				   .lifetime_s = 7200};
	uint8_t answer[NATPMP_MAX_BYTES];
	int size = natpmp_encode(&m, answer, sizeof(answer));

	begin(two_at_home);
	s->payload = answer;
	s->payload_bytes = (size_t)size;
	stage_hops(s, "home.lan out 192.168.1.1:5351 192.168.1.3:50000 64;"
		      "b.eth0 in 192.168.1.1:5351 192.168.1.3:50000 64");
	stage_ping(s, 1);
	stage_hops(s, "home.wan in 25.0.0.3:5765 25.0.0.2:6000 63");
	stage_ping(s, 2);
	stage_hops(s, "home.wan in 25.0.0.3:5765 25.0.0.2:6001 63");
	stage_journeys(s);
	stage_expect(s, 0, "home", "b", 2, "arrived");
	stage_expect(s, 1, "c", "b", 1, "home");
	stage_expect(s, 2, "c", "-", 1, "home");
}
END_TEST

static const char *const alike[] = {"host a home-a 192.168.1.2",
				    "router home-a - 25.0.0.2 192.168.1.1",
				    "host c edge-c 192.168.1.2",
				    "router edge-c - 25.0.0.3 192.168.1.1",
				    "host d home-a 192.168.1.3",
				    "host p - 25.0.0.7",
				    NULL};

/* Both homes use the same range: the sender's own comes first, or nobody. */
START_TEST(private_addresses_are_not_unique)
{
	begin(alike);
	stage_ping(s, 1);
	stage_hops(s, "d.eth0 out 192.168.1.3:41641 192.168.1.2:41641 64");
	stage_ping(s, 2);
	stage_hops(s, "p.eth0 out 25.0.0.7:41641 192.168.1.2:41641 64");
	stage_ping(s, 3);
	stage_hops(s, "edge-c.lan out 25.0.0.7:41641 192.168.1.2:41641 64");
	stage_journeys(s);
	stage_expect(s, 0, "d", "a", 1, "d");
	stage_expect(s, 1, "p", "-", 1, "internet");
	stage_expect(s, 2, "p", "c", 1, "edge-c");
}
END_TEST

START_TEST(follows_a_renumbered_router)
{
	stage_ping(s, 1);
	stage_hops(s, A_OUT);
	stage_wait(s, 60);
	stage_ping(s, 2);
	stage_hops(s, "a.eth0 out 192.168.1.2:41641 25.0.0.3:5765 64;"
		      "home-a.lan in 192.168.1.2:41641 25.0.0.3:5765 64;"
		      "home-a.wan out 25.0.0.42:41641 25.0.0.3:5765 63;"
		      "edge-c.wan in 25.0.0.42:41641 25.0.0.3:5765 63");
	stage_ping(s, 3);
	stage_hops(s, "c.eth0 out 192.168.2.2:41641 25.0.0.42:9 64;"
		      "edge-c.lan in 192.168.2.2:41641 25.0.0.42:9 64;"
		      "edge-c.wan out 25.0.0.3:5765 25.0.0.42:9 63;"
		      "home-a.wan in 25.0.0.3:5765 25.0.0.42:9 63");
	ck_assert_uint_eq(stage_journeys(s)->count, 3);
	stage_expect(s, 2, "c", "a", 4, "home-a");
	/* What it was told is the caller's, and stays as it is. */
	ck_assert_uint_eq(stage_node(s, "home-a")->ip_count, 2);
}
END_TEST

START_TEST(portmap_goes_to_the_router)
{
	stage_say(s, "\0");
	s->payload_bytes = 2;
	stage_hops(s, "c.eth0 out 192.168.2.2:50000 192.168.2.1:5351 64;"
		      "edge-c.lan in 192.168.2.2:50000 192.168.2.1:5351 64");
	stage_say(s, "M-SEARCH * HTTP/1.1");
	stage_hops(s, "a.eth0 out 192.168.1.2:50000 239.255.255.250:1900 4;"
		      "home-a.lan in 192.168.1.2:50000 239.255.255.250:1900 "
		      "4");
	stage_say(s, "HTTP/1.1 200 OK");
	stage_hops(s, "home-a.lan out 192.168.1.1:1900 192.168.1.2:50000 64;"
		      "a.eth0 in 192.168.1.1:1900 192.168.1.2:50000 64");
	/* A router's outside address means the router to those inside. */
	stage_say(s, "\0\1");
	s->payload_bytes = 2;
	stage_hops(s, "c.eth0 out 192.168.2.2:50000 25.0.0.3:5351 64;"
		      "edge-c.lan in 192.168.2.2:50000 25.0.0.3:5351 64");
	ck_assert_uint_eq(stage_journeys(s)->count, 4);
	stage_expect(s, 3, "c", "edge-c", 2, "arrived");
	stage_expect(s, 0, "c", "edge-c", 2, "arrived");
	stage_expect(s, 1, "a", "home-a", 2, "arrived");
	stage_expect(s, 2, "home-a", "a", 2, "arrived");
	for (size_t i = 0; i < 3; i++)
		ck_assert_uint_eq(stage_at(s, i)->kind, JOURNEY_PORTMAP);
}
END_TEST

/* All hosts of a LAN hear a group's packet, and it stays one journey. */
START_TEST(a_group_hears_together)
{
	begin(two_at_home);
	stage_say(s, "M-SEARCH * HTTP/1.1");
	stage_hops(s, "a.eth0 out 192.168.1.2:50000 239.255.255.250:1900 4;"
		      "home.lan in 192.168.1.2:50000 239.255.255.250:1900 4;"
		      "b.eth0 in 192.168.1.2:50000 239.255.255.250:1900 4");
	ck_assert_uint_eq(stage_journeys(s)->count, 1);
	stage_expect(s, 0, "a", "home", 3, "arrived");
}
END_TEST

/* Of several hosts, an error is for the one whose packet it is about. */
START_TEST(errors_are_for_who_is_quoted)
{
	begin(two_at_home);
	stage_ping(s, 1);
	stage_hops(s, B_TO_C);
	stage_icmp(s, "home.wan in 25.0.0.3 25.0.0.2 64", 3, 3, PACKET_UDP,
		   "25.0.0.2:1024", "25.0.0.3:5765");
	ck_assert_uint_eq(stage_journeys(s)->count, 2);
	ck_assert_str_eq(stage_name(s, stage_at(s, 1)->to), "b");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("owner");
	TCase *tests = tcase_create("owner");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, knows_hosts_by_their_ports);
	tcase_add_test(tests, knows_who_had_the_port_then);
	tcase_add_test(tests, knows_hosts_by_stun);
	tcase_add_test(tests, follows_a_renumbered_router);
	tcase_add_test(tests, portmap_goes_to_the_router);
	tcase_add_test(tests, a_group_hears_together);
	tcase_add_test(tests, knows_hosts_by_granted_ports);
	tcase_add_test(tests, private_addresses_are_not_unique);
	tcase_add_test(tests, errors_are_for_who_is_quoted);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

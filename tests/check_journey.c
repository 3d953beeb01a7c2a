/* SPDX-License-Identifier: BSD-3-Clause */
/* Ways: who sent what to whom, past which nodes, and where it ended. */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "captures/journey.h"
#include "tests/stage.h"
#include "wire/natpmp.h"
#include "wire/stun.h"

#define A_OUT                                                                  \
	"a.eth0 out 192.168.1.2:41641 25.0.0.3:5765 64;"                       \
	"home-a.lan in 192.168.1.2:41641 25.0.0.3:5765 64;"                    \
	"home-a.wan out 25.0.0.2:41641 25.0.0.3:5765 63;"                      \
	"edge-c.wan in 25.0.0.2:41641 25.0.0.3:5765 63;"
#define A_TO_C                                                                 \
	A_OUT "edge-c.lan out 25.0.0.2:41641 192.168.2.2:41641 62;"            \
	      "c.eth0 in 25.0.0.2:41641 192.168.2.2:41641 62;"
#define C_TO_A                                                                 \
	"c.eth0 out 192.168.2.2:41641 25.0.0.2:41641 64;"                      \
	"edge-c.lan in 192.168.2.2:41641 25.0.0.2:41641 64;"                   \
	"edge-c.wan out 25.0.0.3:5765 25.0.0.2:41641 63;"                      \
	"home-a.wan in 25.0.0.3:5765 25.0.0.2:41641 63;"                       \
	"home-a.lan out 25.0.0.3:5765 192.168.1.2:41641 62;"                   \
	"a.eth0 in 25.0.0.3:5765 192.168.1.2:41641 62;"

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

static const struct journey *at(size_t i)
{
	ck_assert_uint_lt(i, s->j->count);
	return &s->j->list[i];
}

static const char *name(int node)
{
	return node < 0 ? "-" : s->cast->nodes[node].name;
}

/* FATE: "arrived", "internet", "?" or the node where it died. */
static void expect(size_t i, const char *from, const char *to,
		   unsigned sightings, const char *fate)
{
	const struct journey *one = at(i);
	char text[512];

	journey_describe(s->j, one, text, sizeof(text));
	ck_assert_msg(!strcmp(name(one->from), from), "from %s: %s",
		      name(one->from), text);
	ck_assert_msg(!strcmp(name(one->to), to), "to %s: %s", name(one->to),
		      text);
	ck_assert_msg(one->sighting_count == sightings, "%u sightings: %s",
		      one->sighting_count, text);
	ck_assert_msg(one->arrived == !strcmp(fate, "arrived"), "%s", text);
	ck_assert_msg(one->on_internet == !strcmp(fate, "internet"), "%s",
		      text);
	if (one->arrived || one->on_internet || !strcmp(fate, "?"))
		fate = "-";
	ck_assert_msg(!strcmp(name(one->died_at), fate), "died at %s: %s",
		      name(one->died_at), text);
}

static void describes(size_t i, const char *wanted)
{
	char text[512];

	journey_describe(s->j, at(i), text, sizeof(text));
	ck_assert_str_eq(text, wanted);
}

START_TEST(follows_through_two_nats)
{
	const struct journey *one;

	stage_ping(s, 1);
	stage_hops(s, C_TO_A);
	stage_ping(s, 2);
	stage_hops(s, A_TO_C);
	ck_assert_uint_eq(stage_journeys(s)->count, 2);
	expect(0, "c", "a", 6, "arrived");
	expect(1, "a", "c", 6, "arrived");
	one = at(1);
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
	describes(1, "a's 1st disco.ping to c left home-a from "
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
	expect(3, "a", "c", 4, "edge-c");
	describes(3, "a's 4th disco.ping to c left home-a from "
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
	expect(0, "a", "c", 4, "edge-c");
	expect(1, "a", "c", 6, "arrived");
	expect(2, "a", "c", 4, "edge-c");
	ck_assert_uint_eq(at(0)->kind, JOURNEY_WIREGUARD);
	/* Found by its bytes: the first that began not before. */
	ck_assert_ptr_eq(journeys_find(s->j, s->payload, 148, 0), at(0));
	ck_assert_ptr_eq(
		journeys_find(s->j, s->payload, 148, at(0)->first_ns + 1),
		at(1));
	ck_assert_ptr_null(
		journeys_find(s->j, s->payload, 148, at(2)->first_ns + 1));
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
	expect(0, "a", "c", 3, "internet");
	expect(1, "a", "c", 1, "a");
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
	expect(0, "a", "c", 2, "home-a");
	expect(1, "a", "c", 1, "a");
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
	expect(0, "a", "c", 4, "edge-c");
	expect(1, "a", "stun1", 4, "arrived");
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
	expect(0, "a", "c", 6, "arrived");
	expect(1, "c", "a", 4, "home-a");
}
END_TEST

/* A host sends back the very bytes that it got. */
START_TEST(an_echo_is_a_journey_of_its_own)
{
	stage_say(s, "echo");
	stage_hops(s, A_TO_C C_TO_A);
	ck_assert_uint_eq(stage_journeys(s)->count, 2);
	expect(0, "a", "c", 6, "arrived");
	expect(1, "c", "a", 6, "arrived");
	ck_assert_str_eq(journey_kind_name(at(0)), "udp");
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
	expect(1, "a", "b", 4, "arrived");
	expect(2, "a", "b", 2, "home");
	describes(2, "a's 2nd disco.ping to b left a from 192.168.1.2:41641 "
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
	expect(0, "a", "b", 2, "arrived");
	expect(1, "a", "b", 1, "a");
	describes(1, "a's 2nd disco.ping to b left a from 192.168.1.2:41641 "
		     "and died there: lost on the link to b (frame 3)");
	expect(2, "a", "-", 2, "home");
}
END_TEST

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
	expect(0, "edge-c", "b", 2, "home");
	expect(1, "edge-c", "-", 2, "home");
	expect(2, "b", "c", 4, "edge-c");
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
	expect(1, "c", "b", 1, "home");
	expect(3, "c", "a", 1, "home");
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
	expect(0, "stun1", "b", 2, "arrived");
	ck_assert_uint_eq(at(0)->kind, JOURNEY_STUN);
	ck_assert_str_eq(name(at(1)->to), "b");
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
	expect(0, "home", "b", 2, "arrived");
	expect(1, "c", "b", 1, "home");
	expect(2, "c", "-", 1, "home");
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
	expect(0, "d", "a", 1, "d");
	expect(1, "p", "-", 1, "internet");
	expect(2, "p", "c", 1, "edge-c");
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
	expect(0, "a", "c", 6, "arrived");
	describes(0, "a's 1st disco.ping to c left outer from 25.0.0.2:6000 "
		     "and reached c (frames 1, 2, 3, 4, 5, 6)");
	expect(1, "c", "a", 4, "inner");
	expect(2, "c", "a", 2, "outer");
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
	expect(2, "c", "a", 4, "home-a");
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
	expect(3, "c", "edge-c", 2, "arrived");
	expect(0, "c", "edge-c", 2, "arrived");
	expect(1, "a", "home-a", 2, "arrived");
	expect(2, "home-a", "a", 2, "arrived");
	for (size_t i = 0; i < 3; i++)
		ck_assert_uint_eq(at(i)->kind, JOURNEY_PORTMAP);
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
	expect(0, "a", "home", 3, "arrived");
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
	expect(1, "edge-c", "a", 4, "arrived");
	ck_assert_uint_eq(at(1)->kind, JOURNEY_ICMP_ERROR);
	describes(1, "edge-c's 1st icmp error to a left edge-c from 25.0.0.3 "
		     "and reached a (frames 5, 6, 7, 8)");
	describes(0, "a's 1st disco.ping to c left home-a from "
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
	ck_assert_uint_eq(at(0)->sighting_count, 2);
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
	tcase_add_test(tests, knows_hosts_by_their_ports);
	tcase_add_test(tests, knows_who_had_the_port_then);
	tcase_add_test(tests, knows_hosts_by_stun);
	tcase_add_test(tests, follows_through_a_router_behind_a_router);
	tcase_add_test(tests, follows_a_renumbered_router);
	tcase_add_test(tests, portmap_goes_to_the_router);
	tcase_add_test(tests, a_group_hears_together);
	tcase_add_test(tests, follows_icmp_errors);
	tcase_add_test(tests, follows_icmp_errors_about_nothing);
	tcase_add_test(tests, tells_copies_apart_by_ttl);
	tcase_add_test(tests, knows_hosts_by_granted_ports);
	tcase_add_test(tests, private_addresses_are_not_unique);
	tcase_add_test(tests, follows_a_clash_of_flows);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

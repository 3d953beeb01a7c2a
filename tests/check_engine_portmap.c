/* SPDX-License-Identifier: BSD-3-Clause */
/* Mappings by hand: what UPnP, NAT-PMP and PCP ask a router for. */
#include <errno.h>

#include "tests/check_engine_world.h"

static const struct endpoint server = {SERVER1, 3478};
static struct engine_config config;

static int map(uint16_t external, uint32_t ip, uint16_t internal,
	       uint32_t lifetime_s)
{
	return engine_map(w.engine, w.now_us, PACKET_UDP, external, ip,
			  internal, lifetime_s);
}

static bool enters_to(uint16_t external, struct endpoint inside)
{
	return enters(server, at(POOL1, external)) &&
	       endpoint_equal(w.out[0].packet.dst, inside);
}

static void setup(void)
{
	world_setup();
	config = world_config();
	world_engine(&config);
}

START_TEST(lets_everyone_in)
{
	ck_assert_int_eq(map(5000, HOST1, 6000, 0), 0);
	ck_assert(enters_to(5000, at(HOST1, 6000)));
	ck_assert(enters(at(SERVER2, 1), at(POOL1, 5000)));
	ck_assert(!enters_tcp(server, at(POOL1, 5000)));
	/* The answer leaves from there, and what is no answer too. */
	ck_assert_uint_eq(leaves(at(HOST1, 6000), server).port, 5000);
	ck_assert_uint_eq(leaves(at(HOST1, 6000), at(SERVER2, 5)).port, 5000);
	pass_us(100000 * SECOND);
	ck_assert(enters_to(5000, at(HOST1, 6000)));
	ck_assert_int_eq(engine_unmap(w.engine, PACKET_UDP, 5000), 0);
	ck_assert(!enters_to(5000, at(HOST1, 6000)));
	ck_assert_uint_eq(stats().sessions, 0);
}
END_TEST

START_TEST(over_tcp)
{
	ck_assert_int_eq(engine_map(w.engine, w.now_us, PACKET_TCP, 5000, HOST1,
				    6000, 0),
			 0);
	ck_assert(enters_tcp(server, at(POOL1, 5000)));
	ck_assert_int_eq(
		give_tcp(ENGINE_WAN, at(SERVER2, 1), at(POOL1, 5000), ACK),
		ENGINE_DROPPED);
	ck_assert(!enters(server, at(POOL1, 5000)));
}
END_TEST

START_TEST(lifetime)
{
	ck_assert_int_eq(map(5000, HOST1, 6000, 7200), 0);
	ck_assert_int_eq(map(5001, HOST1, 6001, 60), 0);
	ck_assert_int_eq(map(5002, HOST1, 6002, 100), 0);
	ck_assert_uint_eq(engine_deadline(w.engine), w.now_us + 60 * SECOND);
	pass_us(60 * SECOND - 1);
	ck_assert(enters_to(5001, at(HOST1, 6001)));
	pass_us(1);
	ck_assert(!enters_to(5001, at(HOST1, 6001)));
	ck_assert(enters_to(5002, at(HOST1, 6002)));
	/* Renewed, as clients do at half time. */
	ck_assert_int_eq(map(5002, HOST1, 6002, 100), 0);
	pass_us(100 * SECOND - 1);
	ck_assert(enters_to(5002, at(HOST1, 6002)));
	ck_assert_int_eq(map(5002, HOST1, 6002, 0), 0);
	pass_us(8000 * SECOND);
	ck_assert(enters_to(5002, at(HOST1, 6002)));
	ck_assert(!enters_to(5000, at(HOST1, 6000)));
}
END_TEST

START_TEST(who_has_a_port)
{
	leaves(at(HOST2, 5000), server);
	ck_assert_int_eq(map(5000, HOST1, 5000, 0), -EEXIST);
	ck_assert_int_eq(map(5001, HOST1, 5001, 0), 0);
	ck_assert_int_eq(map(5001, HOST2, 5001, 0), -EEXIST);
	/* The same host takes it elsewhere. */
	ck_assert_int_eq(map(5001, HOST1, 7000, 0), 0);
	ck_assert(enters_to(5001, at(HOST1, 7000)));
	/* Nobody gets it as a random or preserved one. */
	ck_assert_uint_ne(leaves(at(HOST2, 5001), server).port, 5001);
}
END_TEST

START_TEST(becomes_one_by_hand)
{
	leaves(at(HOST1, 5000), server);
	ck_assert(!enters(at(SERVER2, 9), at(POOL1, 5000)));
	ck_assert_int_eq(map(5000, HOST1, 5000, 0), 0);
	ck_assert_uint_eq(stats().sessions, 1);
	ck_assert(enters(at(SERVER2, 9), at(POOL1, 5000)));
	pass_us(1000 * SECOND);
	ck_assert(enters_to(5000, at(HOST1, 5000)));
	ck_assert_int_eq(engine_unmap(w.engine, PACKET_UDP, 5000), 0);
	ck_assert_uint_eq(stats().mappings, 0);
}
END_TEST

START_TEST(absolute_lifetime_is_of_the_others)
{
	config.absolute_lifetime = true;
	config.udp_timeout_s = 30;
	world_engine(&config);
	leaves(at(HOST1, 5000), server);
	ck_assert_int_eq(map(5000, HOST1, 5000, 0), 0);
	ck_assert_int_eq(map(5001, HOST1, 5001, 0), 0);
	leaves(at(HOST1, 5001), server);
	pass_us(100 * SECOND);
	ck_assert_uint_eq(stats().mappings, 2);
	ck_assert_uint_eq(stats().sessions, 0);
}
END_TEST

/* A symmetric NAT: out from a fresh port, unless it is asked to. */
START_TEST(what_goes_out)
{
	config.mapping = ENGINE_APD;
	config.ports = ENGINE_PORTS_RANDOM;
	for (unsigned same = 0; same < 2; same++) {
		config.map_outbound = same;
		world_engine(&config);
		ck_assert_int_eq(map(5000, HOST1, 5000, 0), 0);
		ck_assert_int_eq(leaves(at(HOST1, 5000), server).port == 5000,
				 same);
		ck_assert_uint_ne(leaves(at(HOST1, 5001), server).port, 5000);
		/* An answer has no choice. */
		ck_assert(enters(at(SERVER2, 7), at(POOL1, 5000)));
		ck_assert_uint_eq(leaves(at(HOST1, 5000), at(SERVER2, 7)).port,
				  5000);
	}
}
END_TEST

/* What had the port for one remote only ends: now it is everyone's. */
START_TEST(takes_a_narrow_one_over)
{
	config.mapping = ENGINE_APD;
	world_engine(&config);
	ck_assert_uint_eq(leaves(at(HOST1, 5000), server).port, 5000);
	ck_assert_int_eq(map(5000, HOST1, 5000, 0), 0);
	ck_assert_uint_eq(stats().sessions, 0);
	ck_assert_uint_ne(leaves(at(HOST1, 5000), server).port, 5000);
	ck_assert(enters(at(SERVER2, 9), at(POOL1, 5000)));
}
END_TEST

START_TEST(two_outside_one_inside)
{
	ck_assert_int_eq(map(5000, HOST1, 6000, 0), 0);
	ck_assert_int_eq(map(5001, HOST1, 6000, 0), 0);
	ck_assert(enters_to(5000, at(HOST1, 6000)));
	ck_assert(enters_to(5001, at(HOST1, 6000)));
	ck_assert_uint_eq(leaves(at(HOST1, 6000), server).port, 5000);
	ck_assert_int_eq(engine_unmap(w.engine, PACKET_UDP, 5000), 0);
	ck_assert_uint_eq(leaves(at(HOST1, 6000), server).port, 5001);
}
END_TEST

START_TEST(refused)
{
	ck_assert_int_eq(map(0, HOST1, 1, 0), -EINVAL);
	ck_assert_int_eq(map(1, HOST1, 0, 0), -EINVAL);
	ck_assert_int_eq(map(1, SERVER1, 1, 0), -EINVAL);
	ck_assert_int_eq(map(1, ROUTER, 1, 0), -EINVAL);
	ck_assert_int_eq(engine_map(w.engine, 0, PACKET_ICMP, 1, HOST1, 1, 0),
			 -EINVAL);
	ck_assert_int_eq(engine_unmap(w.engine, PACKET_UDP, 1), -ENOENT);
	ck_assert_int_eq(engine_unmap(w.engine, PACKET_ICMP, 1), -ENOENT);
	leaves(at(HOST1, 5), server);
	ck_assert_int_eq(engine_unmap(w.engine, PACKET_UDP, 5), -ENOENT);
	config.max_mappings = 2;
	world_engine(&config);
	leaves(at(HOST1, 5), server);
	ck_assert_int_eq(map(1, HOST1, 1, 0), 0);
	ck_assert_int_eq(map(2, HOST1, 1, 0), 0);
	ck_assert_int_eq(map(3, HOST1, 1, 0), -ENOSPC);
	ck_assert_uint_eq(leaves(at(HOST1, 5), server).port, 0);
}
END_TEST

START_TEST(hairpin_to_it)
{
	config.hairpin = ENGINE_HAIRPIN_EXTERNAL;
	world_engine(&config);
	ck_assert_int_eq(map(5000, HOST1, 5000, 0), 0);
	ck_assert_int_eq(give_udp(ENGINE_LAN, at(HOST2, 1), at(POOL1, 5000)),
			 ENGINE_FORWARDED);
	ck_assert(endpoint_equal(w.out[0].packet.dst, at(HOST1, 5000)));
}
END_TEST

/* As miniupnpd does to a Linux router: for what comes in only. */
START_TEST(apart_from_what_goes_out)
{
	config.map_apart = true;
	for (unsigned i = ENGINE_EI; i <= ENGINE_APD; i++) {
		config.mapping = i;
		world_engine(&config);
		ck_assert_int_eq(map(5000, HOST1, 6000, 0), 0);
		ck_assert_uint_eq(leaves(at(HOST1, 6000), server).port, 6000);
		ck_assert(enters_to(5000, at(HOST1, 6000)));
		ck_assert(enters(at(SERVER2, 7), at(POOL1, 5000)));
		ck_assert_uint_eq(leaves(at(HOST1, 6000), at(SERVER2, 7)).port,
				  5000);
		ck_assert_uint_eq(leaves(at(HOST1, 6000), server).port, 6000);
	}
}
END_TEST

/* The port that is kept anyway is kept through the mapping. */
START_TEST(apart_but_for_the_kept_port)
{
	config.map_apart = true;
	world_engine(&config);
	ck_assert_int_eq(map(5000, HOST1, 5000, 0), 0);
	ck_assert_uint_eq(leaves(at(HOST1, 5000), server).port, 5000);
	ck_assert_uint_eq(leaves(at(HOST1, 5000), at(SERVER2, 5)).port, 5000);
	config.ports = ENGINE_PORTS_RANDOM;
	world_engine(&config);
	ck_assert_int_eq(map(5000, HOST1, 5000, 0), 0);
	ck_assert_uint_ne(leaves(at(HOST1, 5000), server).port, 5000);
}
END_TEST

START_TEST(ends_softly)
{
	for (unsigned absolute = 0; absolute < 2; absolute++) {
		config.absolute_lifetime = absolute;
		config.udp_timeout_s = 30;
		world_engine(&config);
		ck_assert_int_eq(map(5000, HOST1, 6000, 0), 0);
		ck_assert(enters_to(5000, at(HOST1, 6000)));
		leaves(at(HOST1, 6000), server);
		ck_assert_int_eq(engine_unmap_softly(w.engine, PACKET_UDP,
						     5000), 0);
		ck_assert_int_eq(engine_unmap_softly(w.engine, PACKET_UDP,
						     5000), -ENOENT);
		ck_assert(enters_to(5000, at(HOST1, 6000)));
		ck_assert(!enters(at(SERVER2, 7), at(POOL1, 5000)));
		pass_us(31 * SECOND);
		ck_assert(!enters_to(5000, at(HOST1, 6000)));
		ck_assert_uint_eq(stats().mappings, 0);
		/* With nothing in it, it ends at once. */
		ck_assert_int_eq(map(5000, HOST1, 6000, 0), 0);
		ck_assert_int_eq(engine_unmap_softly(w.engine, PACKET_UDP,
						     5000), 0);
		ck_assert_uint_eq(stats().mappings, 0);
	}
}
END_TEST

START_TEST(evicts_whoever_has_the_port)
{
	leaves(at(HOST2, 5000), server);
	ck_assert_int_eq(map(5000, HOST1, 5000, 0), -EEXIST);
	engine_evict_port(w.engine, PACKET_UDP, 5000);
	ck_assert_uint_eq(stats().mappings, 0);
	ck_assert_int_eq(map(5000, HOST1, 5000, 0), 0);
	/* But none by hand. */
	engine_evict_port(w.engine, PACKET_UDP, 5000);
	ck_assert(enters_to(5000, at(HOST1, 5000)));
	engine_evict_port(w.engine, PACKET_TCP, 5000);
	engine_evict_port(w.engine, PACKET_ICMP, 5000);
	ck_assert_uint_eq(stats().mappings, 1);
}
END_TEST

Suite *engine_portmap_suite(void)
{
	Suite *s = suite_create("engine portmap");
	TCase *t = tcase_create("by hand");

	tcase_add_checked_fixture(t, setup, world_teardown);
	tcase_add_test(t, lets_everyone_in);
	tcase_add_test(t, over_tcp);
	tcase_add_test(t, lifetime);
	tcase_add_test(t, who_has_a_port);
	tcase_add_test(t, becomes_one_by_hand);
	tcase_add_test(t, absolute_lifetime_is_of_the_others);
	tcase_add_test(t, what_goes_out);
	tcase_add_test(t, takes_a_narrow_one_over);
	tcase_add_test(t, two_outside_one_inside);
	tcase_add_test(t, refused);
	tcase_add_test(t, hairpin_to_it);
	tcase_add_test(t, apart_from_what_goes_out);
	tcase_add_test(t, apart_but_for_the_kept_port);
	tcase_add_test(t, ends_softly);
	tcase_add_test(t, evicts_whoever_has_the_port);
	suite_add_tcase(s, t);
	return s;
}

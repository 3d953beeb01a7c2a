/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 4787 section 6: from inside, to an inside host's outside endpoint. */
#include "tests/check_engine_world.h"

static const struct endpoint one = {HOST1, 4001}, two = {HOST2, 4002};
static const struct endpoint server = {SERVER1, 3478};

static struct engine_config config;
static struct endpoint one_out, two_out;

static void lay_out(enum engine_hairpin hairpin, enum engine_dependence filter)
{
	config.hairpin = hairpin;
	config.filtering = filter;
	world_engine(&config);
	one_out = leaves(one, server);
	two_out = leaves(two, server);
}

static void setup(void)
{
	world_setup();
	config = world_config();
	config.ports = ENGINE_PORTS_RANDOM;
}

/* From ONE to TWO's outside; checks that it arrives with SRC. */
static void arrives(struct endpoint src)
{
	ck_assert_int_eq(give_udp(ENGINE_LAN, one, two_out), ENGINE_FORWARDED);
	ck_assert_uint_eq(w.count, 1);
	ck_assert_int_eq(w.out[0].to, ENGINE_LAN);
	ck_assert(endpoint_equal(w.out[0].packet.src, src));
	ck_assert(endpoint_equal(w.out[0].packet.dst, two));
	ck_assert_uint_eq(w.out[0].packet.ttl, 63);
}

START_TEST(external_source)
{
	lay_out(ENGINE_HAIRPIN_EXTERNAL, ENGINE_EI);
	arrives(one_out);
	/* And back. */
	ck_assert_int_eq(give_udp(ENGINE_LAN, two, one_out), ENGINE_FORWARDED);
	ck_assert(endpoint_equal(w.out[0].packet.src, two_out));
	ck_assert(endpoint_equal(w.out[0].packet.dst, one));
}
END_TEST

START_TEST(internal_source)
{
	lay_out(ENGINE_HAIRPIN_INTERNAL, ENGINE_EI);
	arrives(one);
}
END_TEST

START_TEST(none)
{
	lay_out(ENGINE_HAIRPIN_NONE, ENGINE_EI);
	ck_assert_int_eq(give_udp(ENGINE_LAN, one, two_out), ENGINE_DROPPED);
	config.stray = ENGINE_STRAY_ACCEPT;
	lay_out(ENGINE_HAIRPIN_NONE, ENGINE_EI);
	ck_assert_int_eq(give_udp(ENGINE_LAN, one, two_out), ENGINE_TO_HOST);
	ck_assert_uint_eq(stats().sessions, 2);
}
END_TEST

/* The filter is for what comes from outside. */
START_TEST(unfiltered)
{
	config.hairpin_unfiltered = true;
	for (unsigned filter = ENGINE_AD; filter <= ENGINE_APD; filter++) {
		lay_out(ENGINE_HAIRPIN_EXTERNAL, filter);
		arrives(one_out);
		ck_assert(!enters(at(SERVER2, 9), two_out));
	}
}
END_TEST

/* Filters hold for neighbours too: each must have written first. */
START_TEST(filtered)
{
	for (unsigned filter = ENGINE_AD; filter <= ENGINE_APD; filter++) {
		lay_out(ENGINE_HAIRPIN_EXTERNAL, filter);
		ck_assert_int_eq(give_udp(ENGINE_LAN, one, two_out),
				 ENGINE_DROPPED);
		ck_assert_int_eq(give_udp(ENGINE_LAN, two, one_out),
				 ENGINE_FORWARDED);
		arrives(one_out);
	}
}
END_TEST

START_TEST(to_oneself)
{
	lay_out(ENGINE_HAIRPIN_EXTERNAL, ENGINE_APD);
	ck_assert_int_eq(give_udp(ENGINE_LAN, one, one_out), ENGINE_FORWARDED);
	ck_assert(endpoint_equal(w.out[0].packet.src, one_out));
	ck_assert(endpoint_equal(w.out[0].packet.dst, one));
}
END_TEST

/* A symmetric NAT gives the sender a mapping for this remote, too. */
START_TEST(symmetric)
{
	config.mapping = ENGINE_APD;
	lay_out(ENGINE_HAIRPIN_EXTERNAL, ENGINE_EI);
	ck_assert_int_eq(give_udp(ENGINE_LAN, one, two_out), ENGINE_FORWARDED);
	ck_assert_uint_eq(w.out[0].packet.src.ip, POOL1);
	ck_assert_uint_ne(w.out[0].packet.src.port, one_out.port);
	ck_assert(endpoint_equal(w.out[0].packet.dst, two));
	ck_assert_uint_eq(stats().mappings, 3);
}
END_TEST

START_TEST(over_tcp)
{
	config.hairpin = ENGINE_HAIRPIN_EXTERNAL;
	config.filtering = ENGINE_EI;
	world_engine(&config);
	one_out = leaves_tcp(one, server);
	two_out = leaves_tcp(two, server);
	ck_assert_int_eq(give_tcp(ENGINE_LAN, one, two_out, SYN),
			 ENGINE_FORWARDED);
	ck_assert(endpoint_equal(w.out[0].packet.dst, two));
	ck_assert_int_eq(give_tcp(ENGINE_LAN, two, one_out, SYN | ACK),
			 ENGINE_FORWARDED);
	ck_assert(endpoint_equal(w.out[0].packet.src, two_out));
	ck_assert_int_eq(give_tcp(ENGINE_LAN, one, two_out, ACK),
			 ENGINE_FORWARDED);
}
END_TEST

START_TEST(nobody_there)
{
	lay_out(ENGINE_HAIRPIN_EXTERNAL, ENGINE_EI);
	ck_assert_int_eq(give_udp(ENGINE_LAN, one, at(POOL1, 1)),
			 ENGINE_DROPPED);
	config.stray = ENGINE_STRAY_REJECT;
	lay_out(ENGINE_HAIRPIN_EXTERNAL, ENGINE_EI);
	ck_assert_int_eq(give_udp(ENGINE_LAN, one, at(POOL1, 1)),
			 ENGINE_REJECTED);
	ck_assert_int_eq(w.out[0].to, ENGINE_LAN);
	ck_assert_uint_eq(w.out[0].packet.icmp_type, 3);
	ck_assert_uint_eq(w.out[0].packet.src.ip, POOL1);
	ck_assert_int_eq(give_tcp(ENGINE_LAN, one, at(POOL1, 1), SYN),
			 ENGINE_REJECTED);
	ck_assert_uint_eq(w.out[0].packet.tcp_flags, RST | ACK);
	ck_assert_uint_eq(stats().sessions, 2);
}
END_TEST

/* Making the sender's mapping may push out the very one it wants. */
START_TEST(pushes_its_goal_out)
{
	config.hairpin = ENGINE_HAIRPIN_EXTERNAL;
	config.filtering = ENGINE_EI;
	config.max_mappings = 1;
	world_engine(&config);
	two_out = leaves(two, server);
	ck_assert_int_eq(give_udp(ENGINE_LAN, one, two_out), ENGINE_DROPPED);
	ck_assert_uint_eq(stats().mappings, 1);
}
END_TEST

/* An error about a hairpinned packet goes back the same way (RFC 5508). */
START_TEST(error_comes_back)
{
	uint8_t error[PACKET_MAX];
	const struct packet *p = &w.out[0].packet;
	size_t size_bytes;
	struct packet quoted;

	lay_out(ENGINE_HAIRPIN_EXTERNAL, ENGINE_EI);
	arrives(one_out);
	size_bytes = make_error(3, 3, two.ip, one_out.ip, w.out[0].data,
				w.out[0].size_bytes, error);
	ck_assert_int_eq(give(ENGINE_LAN, error, size_bytes), ENGINE_FORWARDED);
	ck_assert_int_eq(w.out[0].to, ENGINE_LAN);
	ck_assert_uint_eq(p->src.ip, two_out.ip);
	ck_assert_uint_eq(p->dst.ip, one.ip);
	ck_assert_int_eq(packet_decode(PACKET_LINK_RAW, p->payload,
				       p->payload_bytes, &quoted, NULL),
			 0);
	ck_assert(endpoint_equal(quoted.src, one));
	ck_assert(endpoint_equal(quoted.dst, two_out));
}
END_TEST

START_TEST(runs_out_of_hops)
{
	uint8_t packet[PACKET_MAX];
	size_t size_bytes;

	lay_out(ENGINE_HAIRPIN_EXTERNAL, ENGINE_EI);
	size_bytes = make_udp(one, two_out, packet);
	packet[8] = 1;
	mend_ip(packet);
	ck_assert_int_eq(give(ENGINE_LAN, packet, size_bytes), ENGINE_REJECTED);
	ck_assert_uint_eq(w.out[0].packet.icmp_type, 11);
	packet[8] = 2; /* one router, one hop */
	mend_ip(packet);
	ck_assert_int_eq(give(ENGINE_LAN, packet, size_bytes),
			 ENGINE_FORWARDED);
	ck_assert_uint_eq(w.out[0].packet.ttl, 1);
}
END_TEST

Suite *engine_hairpin_suite(void)
{
	Suite *s = suite_create("engine hairpin");
	TCase *t = tcase_create("hairpin");

	tcase_add_checked_fixture(t, setup, world_teardown);
	tcase_add_test(t, external_source);
	tcase_add_test(t, internal_source);
	tcase_add_test(t, none);
	tcase_add_test(t, filtered);
	tcase_add_test(t, unfiltered);
	tcase_add_test(t, to_oneself);
	tcase_add_test(t, symmetric);
	tcase_add_test(t, over_tcp);
	tcase_add_test(t, nobody_there);
	tcase_add_test(t, pushes_its_goal_out);
	tcase_add_test(t, error_comes_back);
	tcase_add_test(t, runs_out_of_hops);
	suite_add_tcase(s, t);
	return s;
}

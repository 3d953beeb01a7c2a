/* SPDX-License-Identifier: BSD-3-Clause */
/* Journeys over the relay: out of one TCP stream, into another. */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "captures/journey.h"
#include "tests/pipe.h"

static struct stage *s;
static struct pipes p;

static void set_up(void)
{
	s = stage_seed();
	pipes_init(&p, s);
}

static void tear_down(void)
{
	stage_free(s);
}

START_TEST(follows_over_the_relay)
{
	const struct journey *one;
	char text[512];

	pipes_open(&p);
	stage_ping(s, 1);
	s->payload_bytes = 80 + 2 * 18;
	pipes_send_through(&p);
	stage_journeys(s);
	ck_assert_uint_eq(pipe_count(s, JOURNEY_RELAY), 1);
	one = pipe_find(s, JOURNEY_DISCO_CALL_ME_MAYBE, 0);
	pipe_expect(s, one, "a", "c", 8, NULL);
	ck_assert_str_eq(journey_kind_name(one), "relay disco.call-me-maybe");
	ck_assert_uint_eq(one->payload_bytes, s->payload_bytes);
	ck_assert_mem_eq(one->payload, s->payload, s->payload_bytes);
	journey_describe(s->j, one, text, sizeof(text));
	ck_assert_str_eq(text, "a's 1st relay disco.call-me-maybe to c left "
			       "home-a from 25.0.0.2:5000 and reached c "
			       "(frames 33, 34, 35, 36, 37, 38, 39, 40)");
	ck_assert_ptr_null(
		journeys_find(s->j, one->payload, one->payload_bytes, 0));
}
END_TEST

START_TEST(names_what_the_relay_carries)
{
	pipes_open(&p);
	stage_ping(s, 1);
	pipes_send_through(&p);
	stage_pong(s, 2);
	pipes_send_through(&p);
	stage_wireguard(s, 3);
	pipes_send_through(&p);
	stage_say(s, "something");
	pipes_send_through(&p);
	stage_journeys(s);
	ck_assert_str_eq(journey_kind_name(pipe_find(s, JOURNEY_DISCO_PING, 0)),
			 "relay disco.ping");
	ck_assert_str_eq(journey_kind_name(pipe_find(s, JOURNEY_DISCO_PONG, 0)),
			 "relay disco.pong");
	ck_assert_str_eq(journey_kind_name(pipe_find(s, JOURNEY_WIREGUARD, 0)),
			 "relay wireguard");
	ck_assert_str_eq(journey_kind_name(pipe_find(s, JOURNEY_OTHER_UDP, 0)),
			 "relay packet");
}
END_TEST

/* The same bytes over UDP are another journey. */
START_TEST(keeps_relay_and_udp_apart)
{
	pipes_open(&p);
	stage_wireguard(s, 1);
	pipes_send_through(&p);
	stage_hops(s, "a.eth0 out 192.168.1.2:41641 25.0.0.3:5765 64");
	stage_journeys(s);
	pipe_expect(s, pipe_find(s, JOURNEY_WIREGUARD, 0), "a", "c", 8, NULL);
	ck_assert(!pipe_find(s, JOURNEY_WIREGUARD, 1)->over_relay);
	ck_assert_ptr_eq(journeys_find(s->j, s->payload, 148, 0),
			 pipe_find(s, JOURNEY_WIREGUARD, 1));
}
END_TEST

START_TEST(sends_the_same_again)
{
	pipes_open(&p);
	stage_wireguard(s, 1);
	pipes_send_through(&p);
	stage_wait(s, 5);
	pipes_send_through(&p);
	stage_journeys(s);
	ck_assert_uint_eq(pipe_count(s, JOURNEY_RELAY), 2);
	pipe_expect(s, pipe_find(s, JOURNEY_RELAY, 0), "a", "c", 8, NULL);
	pipe_expect(s, pipe_find(s, JOURNEY_RELAY, 1), "a", "c", 8, NULL);
}
END_TEST

/* Both openings and three packets, cut into segments of each size. */
START_TEST(bears_odd_borders)
{
	size_t size = (size_t)_i;
	size_t from;

	pipe_add_opening(&p.a_up, &p.a_down, pipe_key_a);
	pipe_add_opening(&p.c_up, &p.c_down, pipe_key_c);
	for (uint8_t i = 1; i < 4; i++) {
		stage_ping(s, i);
		pipe_add_packet(&p.a_up, DERP_SEND_PACKET, pipe_key_c);
		pipe_add_packet(&p.c_down, DERP_RECV_PACKET, pipe_key_a);
	}
	pipe_syn(&p.a_up, 0, 4);
	pipe_syn(&p.c_up, 0, 4);
	pipe_syn(&p.c_down, TCP_FLAG_ACK, 4);
	pipe_flush(&p.c_up, 0, 4);
	for (from = 0; from < p.a_up.size_bytes; from += size)
		pipe_segment(&p.a_up, from,
			     from + size < p.a_up.size_bytes
				     ? from + size
				     : p.a_up.size_bytes,
			     4);
	for (from = 0; from < p.c_down.size_bytes; from += size)
		pipe_segment(&p.c_down, from,
			     from + size < p.c_down.size_bytes
				     ? from + size
				     : p.c_down.size_bytes,
			     4);
	stage_journeys(s);
	ck_assert_uint_eq(pipe_count(s, JOURNEY_RELAY), 3);
	for (unsigned i = 0; i < 3; i++)
		pipe_expect(s, pipe_find(s, JOURNEY_RELAY, i), "a", "c", 8,
			    NULL);
}
END_TEST

/* Backwards, twice, and with borders that overlap. */
START_TEST(bears_any_order)
{
	enum { CUT = 37 };
	size_t from, to;

	pipes_open(&p);
	from = p.a_up.size_bytes;
	stage_ping(s, 1);
	pipe_add_packet(&p.a_up, DERP_SEND_PACKET, pipe_key_c);
	for (to = p.a_up.size_bytes; to > from; to -= CUT) {
		size_t start = to > from + CUT ? to - CUT : from;

		pipe_segment(&p.a_up, start > from + 5 ? start - 5 : from, to,
			     4);
		pipe_segment(&p.a_up, start, to, 2);
		if (start == from)
			break;
	}
	pipe_segment(&p.a_up, from, from + 20, 4);
	stage_journeys(s);
	ck_assert_uint_eq(pipe_count(s, JOURNEY_RELAY), 1);
	pipe_expect(s, pipe_find(s, JOURNEY_RELAY, 0), "a", "c", 4, "relay");
}
END_TEST

/* A segment that the router dropped, and that came again. */
START_TEST(bears_retransmission)
{
	size_t from;

	pipes_open(&p);
	from = p.a_up.size_bytes;
	stage_ping(s, 1);
	pipe_add_packet(&p.a_up, DERP_SEND_PACKET, pipe_key_c);
	pipe_flush(&p.a_up, from, 2);
	stage_wait(s, 0.2);
	pipe_flush(&p.a_up, from, 4);
	stage_journeys(s);
	ck_assert_uint_eq(pipe_count(s, JOURNEY_RELAY), 1);
	pipe_expect(s, pipe_find(s, JOURNEY_RELAY, 0), "a", "c", 4, "relay");
	pipe_reason_is(s, pipe_find(s, JOURNEY_RELAY, 0),
		       "relay did not send it on to c");
}
END_TEST

START_TEST(dies_on_the_way_to_the_relay)
{
	size_t from;

	pipes_open(&p);
	from = p.a_up.size_bytes;
	stage_ping(s, 1);
	pipe_add_packet(&p.a_up, DERP_SEND_PACKET, pipe_key_c);
	pipe_flush(&p.a_up, from, 2);
	stage_journeys(s);
	pipe_expect(s, pipe_find(s, JOURNEY_RELAY, 0), "a", "c", 2, "home-a");
	pipe_reason_is(s, pipe_find(s, JOURNEY_RELAY, 0),
		       "home-a did not pass the TCP segment on");
}
END_TEST

START_TEST(dies_behind_the_relay)
{
	size_t from;

	pipes_open(&p);
	stage_ping(s, 1);
	from = p.a_up.size_bytes;
	pipe_add_packet(&p.a_up, DERP_SEND_PACKET, pipe_key_c);
	pipe_flush(&p.a_up, from, 4);
	from = p.c_down.size_bytes;
	pipe_add_packet(&p.c_down, DERP_RECV_PACKET, pipe_key_a);
	pipe_flush(&p.c_down, from, 1);
	stage_journeys(s);
	ck_assert(pipe_find(s, JOURNEY_RELAY, 0)->on_internet);
	pipe_expect(s, pipe_find(s, JOURNEY_RELAY, 0), "a", "c", 5, "-");
	pipe_reason_is(s, pipe_find(s, JOURNEY_RELAY, 0),
		       "blocked on the internet, or edge-c's link is down");
}
END_TEST

/* A connection between the same ports again, with other numbers. */
START_TEST(bears_a_second_connection)
{
	pipes_open(&p);
	stage_ping(s, 1);
	pipes_send_through(&p);
	p.a_up.size_bytes = p.a_down.size_bytes = 0;
	p.a_up.seq += 777777;
	p.a_down.seq += 999;
	pipe_add_opening(&p.a_up, &p.a_down, pipe_key_a);
	pipe_syn(&p.a_up, 0, 4);
	pipe_syn(&p.a_up, 0, 4); /* a retry changes nothing */
	pipe_syn(&p.a_down, TCP_FLAG_ACK, 4);
	pipe_flush(&p.a_up, 0, 4);
	pipe_flush(&p.a_down, 0, 4);
	stage_ping(s, 2);
	pipes_send_through(&p);
	stage_journeys(s);
	ck_assert_uint_eq(pipe_count(s, JOURNEY_RELAY), 2);
	pipe_expect(s, pipe_find(s, JOURNEY_RELAY, 1), "a", "c", 8, NULL);
}
END_TEST

/* TLS and noise are left alone, a hole too big ends the story. */
START_TEST(leaves_other_streams_alone)
{
	static const uint8_t hello[] = {0x16, 3, 1, 2, 0, 1, 0};
	uint8_t noise[1400] = {0};

	pipe_syn(&p.a_up, 0, 4);
	pipe_add(&p.a_up, hello, sizeof(hello));
	pipe_flush(&p.a_up, 0, 4);
	pipe_syn(&p.c_up, 0, 1);
	pipe_add(&p.c_up, "GET /derp HT", 12);
	pipe_segment(&p.c_up, 0, 5, 1);
	for (uint32_t i = 0; i < 300; i++)
		stage_tcp(s, p.c_up.hops[0], p.c_up.seq + 1000 + 1400 * i, 0,
			  TCP_FLAG_ACK, noise, sizeof(noise));
	pipe_segment(&p.c_up, 5, 12, 1);
	stage_journeys(s);
	ck_assert_uint_eq(s->j->count, 2);
	ck_assert_uint_eq(pipe_count(s, JOURNEY_TCP), 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("relayed");
	TCase *tests = tcase_create("relayed");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tests, 30);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, follows_over_the_relay);
	tcase_add_test(tests, names_what_the_relay_carries);
	tcase_add_test(tests, keeps_relay_and_udp_apart);
	tcase_add_test(tests, sends_the_same_again);
	tcase_add_loop_test(tests, bears_odd_borders, 1, 60);
	tcase_add_test(tests, bears_any_order);
	tcase_add_test(tests, bears_retransmission);
	tcase_add_test(tests, dies_on_the_way_to_the_relay);
	tcase_add_test(tests, dies_behind_the_relay);
	tcase_add_test(tests, bears_a_second_connection);
	tcase_add_test(tests, leaves_other_streams_alone);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Over the relay: who is who by keys, who is missing, who cannot connect. */
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

/* Nobody has that key: the relay has nowhere to send it. */
START_TEST(dies_for_want_of_a_client)
{
	size_t from;

	pipes_open(&p);
	stage_ping(s, 1);
	from = p.a_up.size_bytes;
	pipe_add_packet(&p.a_up, DERP_SEND_PACKET, pipe_key_other);
	pipe_flush(&p.a_up, from, 4);
	stage_journeys(s);
	pipe_expect(s, pipe_find(s, JOURNEY_RELAY, 0), "a", "-", 4, "relay");
	pipe_reason_is(
		s, pipe_find(s, JOURNEY_RELAY, 0),
		"relay did not send it on: nobody was seen to connect with "
		"that key");
}
END_TEST

/* The same bytes for two: the key says which of them came out. */
START_TEST(tells_receivers_apart)
{
	size_t from;

	pipes_open(&p);
	stage_ping(s, 1);
	from = p.a_up.size_bytes;
	pipe_add_packet(&p.a_up, DERP_SEND_PACKET, pipe_key_c);
	pipe_add_packet(&p.a_up, DERP_SEND_PACKET, pipe_key_other);
	pipe_flush(&p.a_up, from, 4);
	from = p.c_down.size_bytes;
	pipe_add_packet(&p.c_down, DERP_RECV_PACKET, pipe_key_a);
	pipe_flush(&p.c_down, from, 4);
	stage_journeys(s);
	ck_assert_uint_eq(pipe_count(s, JOURNEY_RELAY), 2);
	pipe_expect(s, pipe_find(s, JOURNEY_RELAY, 0), "a", "c", 8, NULL);
	pipe_expect(s, pipe_find(s, JOURNEY_RELAY, 1), "a", "-", 4, "relay");
}
END_TEST

/* It came out of the relay, but was not seen to go in. */
START_TEST(knows_senders_by_their_keys)
{
	const char *const deaf[] = {"home-a.lan", "home-a.wan", "relay.eth0",
				    "edge-c.lan", "edge-c.wan"};
	size_t from;

	for (size_t i = 0; i < 5; i++)
		stage_deafen(s, deaf[i]);
	pipes_open(&p);
	stage_ping(s, 1);
	from = p.c_down.size_bytes;
	pipe_add_packet(&p.c_down, DERP_RECV_PACKET, pipe_key_a);
	pipe_flush(&p.c_down, from, 4);
	stage_journeys(s);
	pipe_expect(s, pipe_find(s, JOURNEY_RELAY, 0), "a", "c", 1, NULL);
}
END_TEST

/* c never got there: of all hosts and keys, only it and its key are left. */
START_TEST(knows_the_last_key_by_elimination)
{
	size_t from;

	pipe_add_opening(&p.a_up, &p.a_down, pipe_key_a);
	pipe_syn(&p.a_up, 0, 4);
	pipe_syn(&p.a_down, TCP_FLAG_ACK, 4);
	pipe_flush(&p.a_up, 0, 4);
	pipe_flush(&p.a_down, 0, 4);
	stage_ping(s, 1);
	from = p.a_up.size_bytes;
	pipe_add_packet(&p.a_up, DERP_SEND_PACKET, pipe_key_c);
	pipe_flush(&p.a_up, from, 4);
	stage_journeys(s);
	pipe_expect(s, pipe_find(s, JOURNEY_RELAY, 0), "a", "c", 4, "relay");
	pipe_reason_is(s, pipe_find(s, JOURNEY_RELAY, 0),
		       "relay did not send it on: c was "
		       "never seen to connect to it");
	/* Two keys that nobody has are one too many. */
	from = p.a_up.size_bytes;
	pipe_add_packet(&p.a_up, DERP_SEND_PACKET, pipe_key_other);
	pipe_flush(&p.a_up, from, 4);
	stage_journeys(s);
	pipe_expect(s, pipe_find(s, JOURNEY_RELAY, 0), "a", "-", 4, "relay");
	pipe_expect(s, pipe_find(s, JOURNEY_RELAY, 1), "a", "-", 4, "relay");
}
END_TEST

/* Two hosts that never said a key: it may be either's. */
START_TEST(guesses_no_key)
{
	static const char *const lines[] = {
		"host a home-a 192.168.1.2",
		"router home-a - 25.0.0.2 192.168.1.1",
		"host c - 25.0.0.3",
		"host d - 25.0.0.4",
		"server relay - 25.0.1.3",
		NULL};
	size_t from;

	stage_free(s);
	s = stage_of(lines);
	pipes_init(&p, s);
	pipe_add_opening(&p.a_up, &p.a_down, pipe_key_a);
	pipe_syn(&p.a_up, 0, 4);
	pipe_flush(&p.a_up, 0, 4);
	stage_ping(s, 1);
	from = p.a_up.size_bytes;
	pipe_add_packet(&p.a_up, DERP_SEND_PACKET, pipe_key_c);
	pipe_flush(&p.a_up, from, 4);
	stage_journeys(s);
	pipe_expect(s, pipe_find(s, JOURNEY_RELAY, 0), "a", "-", 4, "relay");
}
END_TEST

START_TEST(dies_before_the_client_connects)
{
	size_t from;

	pipe_add_opening(&p.a_up, &p.a_down, pipe_key_a);
	pipe_add_opening(&p.c_up, &p.c_down, pipe_key_c);
	pipe_syn(&p.a_up, 0, 4);
	pipe_flush(&p.a_up, 0, 4);
	stage_ping(s, 1);
	from = p.a_up.size_bytes;
	pipe_add_packet(&p.a_up, DERP_SEND_PACKET, pipe_key_c);
	pipe_flush(&p.a_up, from, 4);
	pipe_syn(&p.c_up, 0, 4);
	pipe_flush(&p.c_up, 0, 4);
	stage_journeys(s);
	pipe_expect(s, pipe_find(s, JOURNEY_RELAY, 0), "a", "c", 4, "relay");
	pipe_reason_is(
		s, pipe_find(s, JOURNEY_RELAY, 0),
		"relay did not send it on: c had not connected to it yet");
}
END_TEST

/* Only one end was recorded. */
START_TEST(follows_with_c_alone)
{
	const char *const deaf[] = {"a.eth0",	  "home-a.lan", "home-a.wan",
				    "relay.eth0", "edge-c.lan", "edge-c.wan"};

	for (size_t i = 0; i < 6; i++)
		stage_deafen(s, deaf[i]);
	pipes_open(&p);
	stage_ping(s, 1);
	pipes_send_through(&p);
	stage_journeys(s);
	/* Of two hosts, the other one. */
	pipe_expect(s, pipe_find(s, JOURNEY_RELAY, 0), "a", "c", 1, NULL);
}
END_TEST

/* Only the hosts were recorded: what left one entered the other. */
START_TEST(follows_with_the_hosts_alone)
{
	const char *const deaf[] = {"home-a.lan", "home-a.wan", "relay.eth0",
				    "edge-c.lan", "edge-c.wan"};

	for (size_t i = 0; i < 5; i++)
		stage_deafen(s, deaf[i]);
	pipes_open(&p);
	stage_ping(s, 1);
	pipes_send_through(&p);
	stage_journeys(s);
	ck_assert_uint_eq(pipe_count(s, JOURNEY_RELAY), 1);
	pipe_expect(s, pipe_find(s, JOURNEY_RELAY, 0), "a", "c", 2, NULL);
}
END_TEST

/* Only the routers: keys are known by where their streams came from. */
START_TEST(follows_with_the_routers_alone)
{
	stage_deafen(s, "a.eth0");
	stage_deafen(s, "c.eth0");
	stage_deafen(s, "relay.eth0");
	pipes_open(&p);
	stage_ping(s, 1);
	pipes_send_through(&p);
	stage_journeys(s);
	ck_assert_uint_eq(pipe_count(s, JOURNEY_RELAY), 1);
	ck_assert_int_eq(pipe_find(s, JOURNEY_RELAY, 0)->from,
			 stage_index(s, "a"));
	ck_assert_int_eq(pipe_find(s, JOURNEY_RELAY, 0)->to,
			 stage_index(s, "c"));
}
END_TEST

START_TEST(shows_where_connections_die)
{
	const struct journey *one;
	char text[256];

	pipe_syn(&p.c_up, 0, 2);
	stage_wait(s, 1);
	pipe_syn(&p.c_up, 0, 2);
	stage_wait(s, 2);
	pipe_syn(&p.c_up, 0, 4);
	stage_journeys(s);
	ck_assert_uint_eq(pipe_count(s, JOURNEY_TCP), 3);
	one = pipe_find(s, JOURNEY_TCP, 1);
	ck_assert_int_eq(one->died_at, stage_index(s, "edge-c"));
	journey_describe(s->j, one, text, sizeof(text));
	ck_assert_str_eq(text, "c's 2nd tcp connect to relay left c from "
			       "192.168.2.2:6000 and died at edge-c: blocked "
			       "by edge-c (outbound) (frames 3, 4)");
	ck_assert(pipe_find(s, JOURNEY_TCP, 2)->arrived);
}
END_TEST

START_TEST(shows_resets)
{
	pipe_syn(&p.c_up, 0, 2);
	stage_tcp(s, "edge-c.lan out 25.0.1.3:80 192.168.2.2:6000 64", 0,
		  p.c_up.seq + 1, TCP_FLAG_RST | TCP_FLAG_ACK, NULL, 0);
	stage_journeys(s);
	pipe_reason_is(
		s, pipe_find(s, JOURNEY_TCP, 0),
		"blocked by edge-c (outbound); refused with a TCP reset");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("relayed_who");
	TCase *tests = tcase_create("relayed_who");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tests, 30);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, dies_for_want_of_a_client);
	tcase_add_test(tests, follows_with_c_alone);
	tcase_add_test(tests, follows_with_the_hosts_alone);
	tcase_add_test(tests, follows_with_the_routers_alone);
	tcase_add_test(tests, shows_where_connections_die);
	tcase_add_test(tests, shows_resets);
	tcase_add_test(tests, tells_receivers_apart);
	tcase_add_test(tests, knows_senders_by_their_keys);
	tcase_add_test(tests, knows_the_last_key_by_elimination);
	tcase_add_test(tests, dies_before_the_client_connects);
	tcase_add_test(tests, guesses_no_key);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What is said of a real client's echo from the recording alone. */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "harness/evidence.h"
#include "harness/real.h"
#include "tests/tls_pipe.h"

#define ECHO_BYTES (REAL_ECHO_BYTES + 32)

static struct stage *s;
static struct tls_client t[TLS_HOSTS];
static struct scenario *scenario;
static struct step_outcome outcome;
static struct clock lab_clock;

static void set_up(void)
{
	s = tls_stage();
	tls_clients_init(t, s);
	for (int i = 0; i < TLS_HOSTS; i++)
		tls_open(&t[i]);
	lab_clock = (struct clock){.start_real_ns = s->now_ns};
	scenario = calloc(1, sizeof(*scenario));
	scenario->step_count = 1;
	scenario->steps = calloc(1, sizeof(*scenario->steps));
	scenario->steps[0].verb = STEP_PING;
	scenario->steps[0].kind = CLIENT_PING_DATA;
	scenario->steps[0].x = stage_index(s, "a");
	scenario->steps[0].y = stage_index(s, "c");
	outcome = (struct step_outcome){.done = true,
					.holds = true,
					.path = CLIENT_PATH_RELAY,
					.carrier = CARRIER_SOUGHT,
					.to_us = 1000000,
					.replied_us = 1000000};
}

static void tear_down(void)
{
	stage_free(s);
	free(scenario->steps);
	free(scenario);
}

static void judge(void)
{
	stage_journeys(s);
	evidence_for_steps(scenario, &lab_clock, s->j, &outcome);
}

/* The echo itself, not what else came over the relay at the time. */
START_TEST(names_the_relayed_reply)
{
	tls_packet(&t[TLS_A].up, ECHO_BYTES);
	tls_packet(&t[TLS_C].down, ECHO_BYTES);
	tls_packet(&t[TLS_C].up, ECHO_BYTES);
	tls_packet(&t[TLS_A].down, ECHO_BYTES);
	tls_packet(&t[TLS_C].up, 170);
	tls_packet(&t[TLS_A].down, 170);
	judge();
	ck_assert(outcome.holds);
	ck_assert_uint_eq(outcome.frame_count, 8);
	ck_assert_msg(strstr(outcome.why, "an encrypted packet of 432 bytes "
					  "from c to a over the relay, by its "
					  "size wireguard, left edge-c") ==
			      outcome.why,
		      "%s", outcome.why);
}
END_TEST

static void reply_directly(void)
{
	stage_wireguard(s, 9);
	s->payload_bytes = ECHO_BYTES;
	memcpy(s->own, "\4\0\0\0", 4);
	stage_hops(s, "c.eth0 out 192.168.2.2:41641 25.0.0.2:41641 64;"
		      "edge-c.lan in 192.168.2.2:41641 25.0.0.2:41641 64;"
		      "edge-c.wan out 25.0.0.3:41641 25.0.0.2:41641 63;"
		      "home-a.wan in 25.0.0.3:41641 25.0.0.2:41641 63;"
		      "home-a.lan out 25.0.0.3:41641 192.168.1.2:41641 62;"
		      "a.eth0 in 25.0.0.3:41641 192.168.1.2:41641 62");
}

START_TEST(tells_the_ways_of_request_and_reply)
{
	tls_packet(&t[TLS_A].up, ECHO_BYTES);
	tls_packet(&t[TLS_C].down, ECHO_BYTES);
	reply_directly();
	judge();
	ck_assert(outcome.holds);
	ck_assert_msg(strstr(outcome.why, "the reply came directly, its "
					  "request over the relay: c's 1st "
					  "wireguard to a left edge-c") ==
			      outcome.why,
		      "%s", outcome.why);
	ck_assert_msg(strstr(outcome.why, "; an encrypted packet of 432 bytes "
					  "from a to c over the relay"),
		      "%s", outcome.why);
}
END_TEST

/* The relay put the request into a record with something else. */
START_TEST(says_what_it_cannot_tell)
{
	tls_packet(&t[TLS_A].up, ECHO_BYTES);
	tls_packet(&t[TLS_C].down, ECHO_BYTES + 13);
	reply_directly();
	judge();
	ck_assert(outcome.holds);
	ck_assert_msg(strstr(outcome.why, "c's 1st wireguard to a left"),
		      "%s", outcome.why);
	ck_assert_msg(strstr(outcome.why, "; by which way its request came "
					  "cannot be told"),
		      "%s", outcome.why);
}
END_TEST

/* The reply is in such a record: only bytes of the relay's are to be seen. */
START_TEST(falls_back_to_bytes)
{
	tls_packet(&t[TLS_A].up, ECHO_BYTES);
	tls_packet(&t[TLS_C].down, ECHO_BYTES);
	tls_packet(&t[TLS_C].up, ECHO_BYTES);
	tls_packet(&t[TLS_A].down, ECHO_BYTES + 13);
	judge();
	ck_assert(outcome.holds);
	ck_assert_msg(strstr(outcome.why,
			     "504 bytes, encrypted, came to a from relay"),
		      "%s", outcome.why);
}
END_TEST

/* Whatever the client says. */
START_TEST(refuses_what_was_not_there)
{
	tls_packet(&t[TLS_A].up, ECHO_BYTES);
	tls_packet(&t[TLS_C].down, ECHO_BYTES);
	judge();
	ck_assert(!outcome.holds);
	ck_assert_msg(strstr(outcome.why, "shows nothing from a relay"), "%s",
		      outcome.why);
	outcome.holds = true;
	outcome.path = CLIENT_PATH_DIRECT;
	reply_directly();
	judge();
	ck_assert(!outcome.holds);
	ck_assert_msg(strstr(outcome.why, "does not show a direct path"), "%s",
		      outcome.why);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("evidence");
	TCase *tests = tcase_create("evidence");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, names_the_relayed_reply);
	tcase_add_test(tests, tells_the_ways_of_request_and_reply);
	tcase_add_test(tests, says_what_it_cannot_tell);
	tcase_add_test(tests, falls_back_to_bytes);
	tcase_add_test(tests, refuses_what_was_not_there);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

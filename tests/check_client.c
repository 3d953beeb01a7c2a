/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The oracle: each row of the table in doc/facts.md that says what the real
 * client did, and what it is that makes a row turn out otherwise.
 */
#include <check.h>
#include <stdlib.h>

#include "tests/check_client_suites.h"
#include "tests/check_client_world.h"

#define DATA CLIENT_PING_DATA
#define DISCO CLIENT_PING_DISCO
#define NOWAY CLIENT_PATH_NONE
#define RELAY CLIENT_PATH_RELAY
#define DIRECT CLIENT_PATH_DIRECT

static struct world *w;

static void setup(void)
{
	w = world_new();
}

static void teardown(void)
{
	world_free(w);
}

static void lay_out(enum world_nat nat_a, enum world_nat nat_c, bool upnp,
		    bool blocked)
{
	world_node(w, A)->nat = nat_a;
	world_node(w, C)->nat = nat_c;
	world_node(w, C)->upnp = upnp;
	world_node(w, C)->relay_blocked = blocked;
	world_start_all(w);
}

static enum client_path ping(unsigned from, unsigned to, unsigned span_s,
			     bool until_direct)
{
	return world_ping(w, from, to, DATA, span_s * WORLD_S, until_direct);
}

#define expect_reply_between(from_ms, to_ms)                                   \
	do {                                                                   \
		ck_assert_uint_ge(world_reply_us(w), (from_ms)*WORLD_MS);      \
		ck_assert_uint_le(world_reply_us(w), (to_ms)*WORLD_MS);        \
	} while (0)

START_TEST(row_1_disco)
{
	lay_out(WORLD_EASY, WORLD_SYMMETRIC, false, false);
	ck_assert_int_eq(world_ping(w, A, C, DISCO, 20 * WORLD_S, true), RELAY);
	ck_assert_uint_eq(world_reply_echo(w), 1);
}
END_TEST

START_TEST(row_1_data)
{
	lay_out(WORLD_EASY, WORLD_SYMMETRIC, false, false);
	ck_assert_int_eq(ping(A, C, 20, true), RELAY);
	expect_reply_between(1, 100);
	ck_assert_int_eq(ping(C, A, 20, true), RELAY);
	ck_assert_int_eq(ping(A, C, 20, true), RELAY);
}
END_TEST

START_TEST(row_2_disco)
{
	const struct client_ping *p;

	lay_out(WORLD_FULL_CONE, WORLD_SYMMETRIC, false, false);
	ck_assert_int_eq(world_ping(w, A, C, DISCO, 20 * WORLD_S, true),
			 DIRECT);
	ck_assert_uint_eq(world_reply_echo(w), 4);
	p = client_ping(world_node(w, A)->client);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(p->echoes[i].path, RELAY);
}
END_TEST

START_TEST(row_2_data)
{
	lay_out(WORLD_FULL_CONE, WORLD_SYMMETRIC, false, false);
	ck_assert_int_eq(ping(A, C, 20, false), RELAY);
	expect_reply_between(1, 100);
	ck_assert_int_eq(ping(A, C, 20, true), DIRECT);
	expect_reply_between(1, 4000);
	ck_assert_int_eq(ping(C, A, 20, true), DIRECT);
	ck_assert_int_eq(ping(A, C, 20, true), DIRECT);
}
END_TEST

START_TEST(row_3)
{
	lay_out(WORLD_EASY, WORLD_SYMMETRIC, false, true);
	ck_assert_int_eq(world_ping(w, A, C, DISCO, 20 * WORLD_S, false),
			 NOWAY);
	ck_assert_int_eq(ping(A, C, 20, false), NOWAY);
	ck_assert_int_eq(ping(C, A, 20, false), NOWAY);
	ck_assert_int_eq(ping(A, C, 20, false), NOWAY);
}
END_TEST

static void dead_until_c_pings(void)
{
	size_t mark;

	ck_assert_int_eq(world_ping(w, A, C, DISCO, 20 * WORLD_S, false),
			 NOWAY);
	ck_assert_int_eq(ping(A, C, 20, false), NOWAY);
	ck_assert_int_eq(ping(C, A, 15, true), DIRECT);
	expect_reply_between(4000, 11000);
	/* That session serves A as well, whose own retries end. */
	mark = world_mark(w);
	world_run(w, 7 * WORLD_S);
	ck_assert_uint_eq(world_count(w, mark, A, WORLD_INITIATION, -1), 0);
	ck_assert_int_eq(ping(A, C, 15, false), DIRECT);
	expect_reply_between(1, 100);
}

START_TEST(row_4)
{
	lay_out(WORLD_EASY, WORLD_EASY, false, true);
	dead_until_c_pings();
}
END_TEST

/* The same, but A never pinged before: C alone cannot open A's NAT... */
START_TEST(row_4_c_first)
{
	lay_out(WORLD_EASY, WORLD_EASY, false, true);
	ck_assert_int_eq(ping(C, A, 20, false), NOWAY);
	/* ... but has now opened its own. */
	ck_assert_int_eq(ping(A, C, 15, false), DIRECT);
}
END_TEST

START_TEST(row_4_relay_works)
{
	lay_out(WORLD_EASY, WORLD_EASY, false, false);
	ck_assert_int_eq(ping(A, C, 12, false), RELAY);
	ck_assert_int_eq(ping(A, C, 12, true), DIRECT);
	ck_assert_int_eq(ping(C, A, 12, false), DIRECT);
}
END_TEST

START_TEST(row_5)
{
	lay_out(WORLD_FULL_CONE, WORLD_SYMMETRIC, false, true);
	dead_until_c_pings();
}
END_TEST

START_TEST(row_5_c_first)
{
	lay_out(WORLD_FULL_CONE, WORLD_SYMMETRIC, false, true);
	ck_assert_int_eq(ping(C, A, 15, true), DIRECT);
	expect_reply_between(5000, 11000);
	ck_assert_int_eq(ping(A, C, 15, false), DIRECT);
}
END_TEST

START_TEST(row_6_disco)
{
	lay_out(WORLD_EASY, WORLD_SYMMETRIC, true, true);
	ck_assert_int_eq(world_ping(w, A, C, DISCO, 5 * WORLD_S, false),
			 DIRECT);
	ck_assert_uint_eq(world_reply_echo(w), 1);
	expect_reply_between(1, 10);
}
END_TEST

START_TEST(row_6_data)
{
	size_t mark;

	lay_out(WORLD_EASY, WORLD_SYMMETRIC, true, true);
	mark = world_mark(w);
	ck_assert_int_eq(ping(A, C, 20, false), DIRECT);
	/* The queued first echo is answered with the third initiation. */
	ck_assert_uint_eq(world_reply_echo(w), 1);
	expect_reply_between(10000, 10800);
	ck_assert_uint_eq(world_count(w, mark, A, WORLD_INITIATION, 0), 2);
	ck_assert_uint_eq(world_count(w, mark, A, WORLD_INITIATION, 1), 1);
	ck_assert_int_eq(ping(C, A, 15, false), DIRECT);
	expect_reply_between(1, 100);
	ck_assert_int_eq(ping(A, C, 15, false), DIRECT);
}
END_TEST

START_TEST(ab_always)
{
	lay_out(WORLD_EASY, WORLD_SYMMETRIC, false, true);
	ck_assert_int_eq(ping(A, B, 15, true), DIRECT);
	ck_assert_int_eq(ping(B, A, 15, false), DIRECT);
}
END_TEST

START_TEST(carrier_is_hashed)
{
	const struct client_ping *p;

	lay_out(WORLD_EASY, WORLD_EASY, false, false);
	ck_assert_int_eq(ping(A, C, 12, true), DIRECT);
	p = client_ping(world_node(w, A)->client);
	ck_assert_uint_ge(p->sent, 2);
	ck_assert_mem_ne(p->echoes[0].carrier_hash, p->echoes[1].carrier_hash,
			 16);
}
END_TEST

static Suite *oracle(void)
{
	Suite *s = suite_create("client oracle");
	TCase *t = tcase_create("rows");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, row_1_disco);
	tcase_add_test(t, row_1_data);
	tcase_add_test(t, row_2_disco);
	tcase_add_test(t, row_2_data);
	tcase_add_test(t, row_3);
	tcase_add_test(t, row_4);
	tcase_add_test(t, row_4_c_first);
	tcase_add_test(t, row_4_relay_works);
	tcase_add_test(t, row_5);
	tcase_add_test(t, row_5_c_first);
	tcase_add_test(t, row_6_disco);
	tcase_add_test(t, row_6_data);
	tcase_add_test(t, ab_always);
	tcase_add_test(t, carrier_is_hashed);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(oracle());
	int failed;

	srunner_add_suite(r, client_policy_suite());
	srunner_add_suite(r, client_timers_suite());
	srunner_add_suite(r, client_mapping_suite());
	srunner_add_suite(r, client_input_suite());
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* When things are sent, and when they stop being sent. */
#include <check.h>
#include <string.h>

#include "tests/check_client_suites.h"
#include "tests/check_client_world.h"

#define DATA CLIENT_PING_DATA
#define NOWAY CLIENT_PATH_NONE
#define RELAY CLIENT_PATH_RELAY
#define DIRECT CLIENT_PATH_DIRECT
#define ECHO_BYTES 128 /* of a sealed echo */
#define KEEPALIVE_BYTES 32

static struct world *w;

static void setup(void)
{
	w = world_new();
}

static void teardown(void)
{
	world_free(w);
}

static enum client_path ping(unsigned from, unsigned to, unsigned span_s,
			     bool until_direct)
{
	return world_ping(w, from, to, DATA, span_s * WORLD_S, until_direct);
}

static uint64_t at(size_t since, unsigned node, enum world_kind kind,
		   unsigned n)
{
	const struct world_sent *s = world_nth(w, since, node, kind, n);

	ck_assert_ptr_nonnull(s);
	return s->at_us;
}

static unsigned sized(size_t since, unsigned node, size_t size_bytes,
		      int relayed)
{
	unsigned n = 0;
	const struct world_sent *s;

	for (unsigned i = 0;
	     (s = world_nth(w, since, node, WORLD_DATA, i)) != NULL; i++)
		n += s->size_bytes == size_bytes &&
		     (relayed < 0 || s->relayed == (relayed != 0));
	return n;
}

static void a_and_c_direct(void)
{
	world_start_all(w);
	ck_assert_int_eq(ping(A, C, 12, true), DIRECT);
}

/* --- heartbeat and trust ------------------------------------------------- */

START_TEST(heartbeat_for_45_s)
{
	const struct world_sent *s, *last = NULL;
	size_t mark;
	unsigned n;

	a_and_c_direct();
	/* Let handshakes, confirmations and keep-alives pass. */
	world_run(w, 15 * WORLD_S);
	mark = world_mark(w);
	world_run(w, 13 * WORLD_S);
	for (n = 0; n < 3; n++)
		ck_assert_uint_eq(at(mark, A, WORLD_PING, n + 1) -
					  at(mark, A, WORLD_PING, n),
				  3 * WORLD_S);
	world_run(w, 60 * WORLD_S);
	for (n = 0; (s = world_nth(w, 0, A, WORLD_DATA, n)); n++)
		last = s;
	mark = world_mark(w);
	world_run(w, 120 * WORLD_S);
	ck_assert_uint_eq(world_count(w, mark, A, WORLD_PING, -1), 0);
	/* The last heartbeat came within 45 s after the last data, and one
	 * was due in each 3 s before. */
	for (n = 0; (s = world_nth(w, 0, A, WORLD_PING, n)); n++)
		if (!world_nth(w, 0, A, WORLD_PING, n + 1))
			break;
	ck_assert_uint_le(s->at_us, last->at_us + 45 * WORLD_S);
	ck_assert_uint_ge(s->at_us, last->at_us + 42 * WORLD_S);
}
END_TEST

START_TEST(trusted_path_is_the_only_one)
{
	size_t mark;

	a_and_c_direct();
	world_run(w, 5 * WORLD_S);
	mark = world_mark(w);
	ck_assert_int_eq(ping(A, C, 3, false), DIRECT);
	ck_assert_uint_eq(sized(mark, A, ECHO_BYTES, 0), 1);
	ck_assert_uint_eq(sized(mark, A, ECHO_BYTES, 1), 0);
	ck_assert_uint_eq(world_count(w, mark, A, WORLD_CALL, -1), 0);
}
END_TEST

/* The path goes dark: 6.5 s of trust, then the relay as well. */
START_TEST(trust_ends)
{
	size_t mark;

	/* A symmetric C behind a mapping: nothing else leads to it. */
	world_node(w, C)->nat = WORLD_SYMMETRIC;
	world_node(w, C)->upnp = true;
	a_and_c_direct();
	world_run(w, 8 * WORLD_S);
	world_node(w, C)->mapped_until_us = 0;
	world_reboot_router(w, A, false);
	world_reboot_router(w, C, false);
	world_node(w, A)->nat = WORLD_SYMMETRIC;
	mark = world_mark(w);
	ck_assert_int_eq(ping(A, C, 20, false), RELAY);
	/* The first relayed echo has the number of seconds it took. */
	ck_assert_uint_ge(world_reply_us(w), 3 * WORLD_S);
	ck_assert_uint_le(world_reply_us(w), 8 * WORLD_S);
	ck_assert_uint_ge(sized(mark, A, ECHO_BYTES, 1), 1);
	/* Still over UDP, too. */
	ck_assert_uint_gt(sized(mark, A, ECHO_BYTES, 0),
			  sized(mark, A, ECHO_BYTES, 1));
}
END_TEST

/* What comes twice, over UDP and the relay, counts once. */
START_TEST(copies_count_once)
{
	size_t mark;

	a_and_c_direct();
	world_run(w, 90 * WORLD_S); /* trust is over, the session is not */
	mark = world_mark(w);
	ck_assert_int_eq(ping(A, C, 1, false), DIRECT);
	ck_assert_uint_eq(sized(mark, A, ECHO_BYTES, 0), 1);
	ck_assert_uint_eq(sized(mark, A, ECHO_BYTES, 1), 1);
	ck_assert_uint_le(sized(mark, C, ECHO_BYTES, 0), 1);
	ck_assert_uint_le(sized(mark, C, ECHO_BYTES, 1), 1);
}
END_TEST

START_TEST(full_pings_five_seconds_apart)
{
	size_t mark;

	world_node(w, C)->relay_blocked = true;
	world_start_all(w);
	mark = world_mark(w);
	ck_assert_int_eq(ping(A, C, 20, false), NOWAY);
	/* Each handshake asks for a path, every 5 s and up to 1/3 s more, and
	 * heartbeats in between do; candidates are pinged once in 5 s. C has
	 * a STUN address and a local one. */
	ck_assert_uint_eq(world_count(w, mark, A, WORLD_PING, 0), 8);
	for (unsigned i = 0; i + 2 < 8; i++)
		ck_assert_uint_ge(at(mark, A, WORLD_PING, i + 2),
				  at(mark, A, WORLD_PING, i) + 5 * WORLD_S);
	ck_assert_uint_eq(world_count(w, mark, A, WORLD_CALL, 1), 4);
}
END_TEST

START_TEST(call_after_fresh_endpoints)
{
	size_t mark;

	world_start_all(w);
	mark = world_mark(w);
	ping(A, C, 1, false);
	ck_assert_uint_eq(world_count(w, mark, A, WORLD_CALL, 1), 1);
	ck_assert_uint_eq(world_count(w, mark, A, WORLD_STUN, 0), 0);
	world_run(w, 300 * WORLD_S);
	mark = world_mark(w);
	ping(A, B, 1, false);
	ck_assert_uint_eq(world_count(w, mark, A, WORLD_STUN, 0), 2);
	ck_assert_uint_eq(world_count(w, mark, A, WORLD_CALL, 1), 1);
	ck_assert_uint_ge(at(mark, A, WORLD_CALL, 0),
			  at(mark, A, WORLD_STUN, 1) + 2 * WORLD_MS);
}
END_TEST

/* A tailscale-style ping is activity, and starts no handshake. */
START_TEST(disco_ping_is_no_handshake)
{
	size_t mark;

	world_start_all(w);
	mark = world_mark(w);
	world_ping(w, A, C, CLIENT_PING_DISCO, 10 * WORLD_S, true);
	world_run(w, 30 * WORLD_S);
	ck_assert_uint_eq(world_count(w, mark, A, WORLD_INITIATION, -1), 0);
	ck_assert_uint_gt(world_count(w, mark, A, WORLD_PING, 0), 8);
}
END_TEST

/* Of a peer that stopped pinging, addresses found so are forgotten. */
START_TEST(found_candidates_age)
{
	size_t mark;

	world_node(w, A)->nat = WORLD_FULL_CONE;
	world_node(w, C)->nat = WORLD_SYMMETRIC;
	a_and_c_direct();
	world_run(w, 30 * WORLD_S);
	world_stop(w, C);
	world_run(w, 200 * WORLD_S);
	mark = world_mark(w);
	ping(A, C, 1, false);
	/* One round of pings: two STUN addresses of C, the one guessed from
	 * its local port, the local one; not the one C had pinged from. */
	ck_assert_uint_eq(world_count(w, mark, A, WORLD_PING, 0), 4);
}
END_TEST

/* Those that the netmap names stay, pinged from or not. */
START_TEST(netmap_candidates_stay)
{
	size_t mark;

	a_and_c_direct();
	world_stop(w, C);
	world_run(w, 200 * WORLD_S);
	mark = world_mark(w);
	ping(A, C, 1, false);
	ck_assert_uint_eq(world_count(w, mark, A, WORLD_PING, 0), 2);
}
END_TEST

/* A path of less than 5 ms is good enough: no search for a better one. */
START_TEST(good_path_is_kept)
{
	const struct world_sent *s;
	size_t mark;

	a_and_c_direct();
	mark = world_mark(w);
	for (unsigned i = 0; i < 15; i++) {
		ck_assert_int_eq(ping(A, C, 5, false), DIRECT);
		world_run(w, 8 * WORLD_S);
	}
	for (unsigned i = 0; (s = world_nth(w, mark, A, WORLD_PING, i)); i++)
		ck_assert_uint_eq(s->dst.ip, WORLD_WAN_IP(C));
}
END_TEST

/* --- STUN ---------------------------------------------------------------- */

START_TEST(restun_while_in_use)
{
	size_t mark;

	a_and_c_direct();
	mark = world_mark(w);
	for (unsigned i = 0; i < 20; i++) {
		ping(A, C, 1, false);
		world_run(w, 10 * WORLD_S);
	}
	ck_assert_uint_ge(world_count(w, mark, A, WORLD_STUN, 0), 14);
	for (unsigned i = 0; i + 3 < 14; i += 2) {
		uint64_t gap = at(mark, A, WORLD_STUN, i + 2) -
			       at(mark, A, WORLD_STUN, i);

		ck_assert_uint_ge(gap, 20 * WORLD_S);
		ck_assert_uint_le(gap, 26 * WORLD_S + 50 * WORLD_MS);
	}
}
END_TEST

START_TEST(idle_is_silent)
{
	size_t mark;
	unsigned calls[WORLD_NODES];

	world_start_all(w);
	world_run(w, 80 * WORLD_S);
	mark = world_mark(w);
	for (unsigned i = 0; i < WORLD_NODES; i++)
		calls[i] = world_node(w, i)->timer_calls;
	world_run(w, 3600 * WORLD_S);
	ck_assert_uint_eq(world_mark(w), mark);
	for (unsigned i = 0; i < WORLD_NODES; i++)
		ck_assert_uint_eq(world_node(w, i)->timer_calls, calls[i]);
}
END_TEST

/* --- the session --------------------------------------------------------- */

START_TEST(initiation_is_retried_for_90_s)
{
	uint64_t gap;
	size_t mark;

	world_node(w, C)->relay_blocked = true;
	world_start_all(w);
	mark = world_mark(w);
	ping(A, C, 1, false);
	world_run(w, 200 * WORLD_S);
	/* One and 18 more; each over the relay, as there is no path. */
	ck_assert_uint_eq(world_count(w, mark, A, WORLD_INITIATION, 1), 19);
	for (unsigned i = 0; i + 1 < 19; i++) {
		gap = at(mark, A, WORLD_INITIATION, i + 1) -
		      at(mark, A, WORLD_INITIATION, i);
		ck_assert_uint_ge(gap, 5 * WORLD_S);
		ck_assert_uint_le(gap, 5333 * WORLD_MS);
	}
	/* The queue was dropped then; a new payload starts again. */
	world_node(w, C)->relay_blocked = false;
	world_run(w, 30 * WORLD_S);
	mark = world_mark(w);
	ck_assert_int_eq(ping(A, C, 5, false), RELAY);
	ck_assert_uint_eq(world_reply_echo(w), 1);
	ck_assert_uint_eq(world_count(w, mark, A, WORLD_INITIATION, 1), 1);
}
END_TEST

/* Both begin at once: one session comes of it, and no more handshakes. */
START_TEST(both_initiate)
{
	struct world_node *c = world_node(w, C);
	size_t mark;

	world_start_all(w);
	client_ping_start(c->client, world_now(w), "a", DATA, &c->out);
	ck_assert_int_ne(ping(A, C, 12, false), NOWAY);
	world_run(w, 12 * WORLD_S);
	ck_assert_uint_ne(client_ping(c->client)->echoes[0].replied_us, 0);
	client_ping_stop(c->client);
	mark = world_mark(w);
	world_run(w, 60 * WORLD_S);
	ck_assert_uint_eq(world_count(w, mark, A, WORLD_INITIATION, -1), 0);
	ck_assert_uint_eq(world_count(w, mark, C, WORLD_INITIATION, -1), 0);
}
END_TEST

/* A path found meanwhile does not hasten the next initiation. */
START_TEST(path_does_not_hasten)
{
	size_t mark;

	world_node(w, C)->nat = WORLD_SYMMETRIC;
	world_node(w, C)->upnp = true;
	world_node(w, C)->relay_blocked = true;
	world_start_all(w);
	mark = world_mark(w);
	ping(A, C, 20, false);
	ck_assert_uint_ge(at(mark, A, WORLD_INITIATION, 1),
			  at(mark, A, WORLD_INITIATION, 0) + 5 * WORLD_S);
	/* Though the path was there at once. */
	ck_assert_uint_lt(at(mark, C, WORLD_PONG, 0),
			  at(mark, A, WORLD_INITIATION, 0) + 10 * WORLD_MS);
}
END_TEST

START_TEST(keepalive_after_10_s)
{
	size_t mark;
	const struct world_sent *s;

	a_and_c_direct();
	world_run(w, 60 * WORLD_S);
	mark = world_mark(w);
	ck_assert_int_eq(ping(A, C, 1, false), DIRECT);
	world_run(w, 60 * WORLD_S);
	/* A has the answer and says nothing: 10 s later it does. C has
	 * answered, and heard nothing after it that wants an answer. */
	ck_assert_uint_eq(sized(mark, A, KEEPALIVE_BYTES, 0), 1);
	ck_assert_uint_eq(sized(mark, C, KEEPALIVE_BYTES, -1), 0);
	for (unsigned i = 0; (s = world_nth(w, mark, A, WORLD_DATA, i)); i++)
		if (s->size_bytes == KEEPALIVE_BYTES)
			ck_assert_uint_ge(s->at_us, at(mark, A, WORLD_DATA, 0) +
							    10 * WORLD_S);
}
END_TEST

START_TEST(rekey_after_120_s)
{
	const struct world_sent *s;
	uint64_t started, renewed;
	bool confirmed = false;
	size_t mark;

	world_start_all(w);
	mark = world_mark(w);
	started = world_now(w);
	for (unsigned i = 0; i < 26; i++) {
		ck_assert_int_ne(ping(A, C, 2, false), NOWAY);
		world_run(w, 5 * WORLD_S);
	}
	ck_assert_uint_eq(world_count(w, mark, C, WORLD_INITIATION, -1), 0);
	ck_assert_uint_ge(at(mark, A, WORLD_INITIATION, 1),
			  started + 120 * WORLD_S);
	renewed = at(mark, A, WORLD_INITIATION, 1);
	ck_assert_uint_le(renewed, started + 126 * WORLD_S);
	/* Nothing waits for this one: a keep-alive confirms it. */
	for (unsigned i = 0; (s = world_nth(w, mark, A, WORLD_DATA, i)); i++)
		confirmed |= s->size_bytes == KEEPALIVE_BYTES &&
			     s->at_us > renewed &&
			     s->at_us < renewed + 100 * WORLD_MS;
	ck_assert(confirmed);
}
END_TEST

START_TEST(rejected_after_180_s)
{
	size_t mark;

	a_and_c_direct();
	world_run(w, 185 * WORLD_S);
	mark = world_mark(w);
	ck_assert_int_ne(ping(A, C, 5, false), NOWAY);
	ck_assert_uint_ge(world_count(w, mark, A, WORLD_INITIATION, -1), 1);
	ck_assert_uint_lt(at(mark, A, WORLD_INITIATION, 0),
			  at(mark, A, WORLD_DATA, 0));
}
END_TEST

/* Data goes out and nothing comes back: a new handshake after 15 s. */
START_TEST(no_answer_15_s)
{
	uint64_t first;
	size_t mark;

	a_and_c_direct();
	world_run(w, 60 * WORLD_S);
	world_stop(w, C);
	mark = world_mark(w);
	ping(A, C, 1, false);
	world_run(w, 30 * WORLD_S);
	first = at(mark, A, WORLD_DATA, 0);
	ck_assert_uint_ge(at(mark, A, WORLD_INITIATION, 0),
			  first + 15 * WORLD_S);
	ck_assert_uint_le(at(mark, A, WORLD_INITIATION, 0),
			  first + 15333 * WORLD_MS);
}
END_TEST

START_TEST(queue_keeps_the_newest_128)
{
	const struct client_ping *p;

	world_node(w, C)->relay_blocked = true;
	world_start_all(w);
	client_ping_start(world_node(w, A)->client, world_now(w), "c", DATA,
			  &world_node(w, A)->out);
	world_run(w, 200 * WORLD_S);
	p = client_ping(world_node(w, A)->client);
	ck_assert_uint_eq(p->sent, 201);
	world_node(w, C)->relay_blocked = false;
	world_run(w, 25 * WORLD_S);
	ck_assert_uint_eq(p->echoes[0].replied_us, 0);
	ck_assert_uint_eq(p->echoes[201 - 128 - 1].replied_us, 0);
	ck_assert_uint_ne(p->echoes[200].replied_us, 0);
	world_run(w, 100 * WORLD_S);
	ck_assert_uint_eq(p->sent, CLIENT_MAX_PINGS);
}
END_TEST

Suite *client_timers_suite(void)
{
	Suite *s = suite_create("client timers");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, heartbeat_for_45_s);
	tcase_add_test(t, trusted_path_is_the_only_one);
	tcase_add_test(t, trust_ends);
	tcase_add_test(t, copies_count_once);
	tcase_add_test(t, full_pings_five_seconds_apart);
	tcase_add_test(t, call_after_fresh_endpoints);
	tcase_add_test(t, disco_ping_is_no_handshake);
	tcase_add_test(t, found_candidates_age);
	tcase_add_test(t, netmap_candidates_stay);
	tcase_add_test(t, good_path_is_kept);
	tcase_add_test(t, restun_while_in_use);
	tcase_add_test(t, idle_is_silent);
	tcase_add_test(t, initiation_is_retried_for_90_s);
	tcase_add_test(t, both_initiate);
	tcase_add_test(t, path_does_not_hasten);
	tcase_add_test(t, keepalive_after_10_s);
	tcase_add_test(t, rekey_after_120_s);
	tcase_add_test(t, rejected_after_180_s);
	tcase_add_test(t, no_answer_15_s);
	tcase_add_test(t, queue_keeps_the_newest_128);
	suite_add_tcase(s, t);
	return s;
}

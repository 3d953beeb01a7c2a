/* SPDX-License-Identifier: BSD-3-Clause */
/* Port mapping: who is asked, in which order, for what, and how often. */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "tests/check_client_suites.h"
#include "tests/check_client_world.h"
#include "tests/valgrind.h"

static struct world *w;
static struct world_node *c;

static void setup(void)
{
	w = world_new();
	c = world_node(w, C);
	c->nat = WORLD_SYMMETRIC;
}

static void teardown(void)
{
	world_free(w);
}

static const struct client_netcheck *report(void)
{
	client_netcheck(c->client, world_now(w), &c->out);
	world_run(w, 6 * WORLD_S);
	return client_netcheck_report(c->client);
}

static void upnp_fails_with(int first, int second)
{
	c->upnp = true;
	c->upnp_errors[0] = first;
	c->upnp_errors[1] = second;
	c->upnp_error_count = 1 + (second != 0);
}

START_TEST(nothing_there)
{
	const struct client_netcheck *r;

	world_start_all(w);
	r = client_netcheck_report(c->client);
	ck_assert_int_eq(r->portmap, CLIENT_PORTMAP_NONE);
	/* The report has waited for the probe. */
	ck_assert_uint_eq(r->finished_us - r->started_us, 250 * WORLD_MS);
	ck_assert_uint_eq(world_count(w, 0, C, WORLD_PMP, 0), 1);
	ck_assert_uint_eq(world_count(w, 0, C, WORLD_SSDP, 0), 1);
}
END_TEST

START_TEST(nat_pmp_first)
{
	const struct client_netcheck *r;

	c->pmp = true;
	c->upnp = true;
	world_start_all(w);
	r = client_netcheck_report(c->client);
	ck_assert_int_eq(r->portmap, CLIENT_PORTMAP_NAT_PMP);
	ck_assert_uint_eq(r->portmapped.ip, WORLD_WAN_IP(C));
	ck_assert_uint_eq(r->portmapped.port, 41641);
	ck_assert_uint_eq(c->map_requests, 1);
	ck_assert_uint_eq(c->lease_s, 7200);
	ck_assert_uint_lt(r->finished_us - r->started_us, 20 * WORLD_MS);
}
END_TEST

START_TEST(upnp_else)
{
	const struct client_netcheck *r;

	c->upnp = true;
	world_start_all(w);
	r = client_netcheck_report(c->client);
	ck_assert_int_eq(r->portmap, CLIENT_PORTMAP_UPNP);
	ck_assert_uint_eq(r->portmapped.port, 41641);
	ck_assert_uint_eq(c->lease_s, 7200);
}
END_TEST

START_TEST(only_permanent)
{
	upnp_fails_with(_i ? 402 : 725, 0);
	world_start_all(w);
	ck_assert_int_eq(report()->portmap, CLIENT_PORTMAP_UPNP);
	ck_assert_uint_eq(c->lease_s, 0);
	ck_assert_uint_eq(c->map_requests, 2);
}
END_TEST

START_TEST(permanent_refused_too)
{
	upnp_fails_with(725, 725);
	world_start_all(w);
	ck_assert_int_eq(report()->portmap, CLIENT_PORTMAP_NONE);
	ck_assert_uint_eq(c->map_requests, 2);
}
END_TEST

START_TEST(conflict)
{
	upnp_fails_with(718, 0);
	world_start_all(w);
	ck_assert_int_eq(report()->portmap, CLIENT_PORTMAP_UPNP);
	ck_assert_uint_ne(c->mapped_port, 41641);
	ck_assert_uint_eq(report()->portmapped.port, c->mapped_port);
}
END_TEST

START_TEST(conflict_for_ever)
{
	upnp_fails_with(718, 718);
	for (unsigned i = 0; i < 8; i++)
		c->upnp_errors[i] = 718;
	c->upnp_error_count = 8;
	world_start_all(w);
	ck_assert_int_eq(report()->portmap, CLIENT_PORTMAP_NONE);
	ck_assert_uint_eq(c->map_requests, 5);
}
END_TEST

/* A failure is not the end: the next endpoint update tries again. */
START_TEST(error_then_again)
{
	upnp_fails_with(501, 0);
	world_start_all(w);
	ck_assert_int_eq(report()->portmap, CLIENT_PORTMAP_NONE);
	world_run(w, 30 * WORLD_S);
	ck_assert_int_eq(report()->portmap, CLIENT_PORTMAP_UPNP);
	/* The service is trusted for ten minutes: no second search. */
	ck_assert_uint_eq(world_count(w, 0, C, WORLD_SSDP, 0), 1);
}
END_TEST

/* Searched for at the next look, and asked at the one after that. */
START_TEST(dead_service_is_searched_again)
{
	upnp_fails_with(-ECONNREFUSED, 0);
	world_start_all(w);
	world_run(w, 30 * WORLD_S);
	ck_assert_int_eq(report()->portmap, CLIENT_PORTMAP_NONE);
	ck_assert_uint_eq(world_count(w, 0, C, WORLD_SSDP, 0), 2);
	world_run(w, 25 * WORLD_S);
	ck_assert_int_eq(report()->portmap, CLIENT_PORTMAP_UPNP);
	ck_assert_uint_eq(world_count(w, 0, C, WORLD_SSDP, 0), 2);
}
END_TEST

/* Nobody looks while the node is idle, so the lease runs out. */
START_TEST(idle_lapses)
{
	c->upnp = true;
	world_start_all(w);
	world_run(w, 7300 * WORLD_S);
	ck_assert_uint_eq(c->map_requests, 1);
	ck_assert_uint_lt(c->mapped_until_us, world_now(w));
	ck_assert_int_eq(report()->portmap, CLIENT_PORTMAP_NONE);
}
END_TEST

/* In use, it is renewed after half its time, for the port it had. */
START_TEST(renewed_in_use)
{
	uint64_t renewed_from = world_now(w) + 3600 * WORLD_S;

	c->upnp = _i == 0;
	c->pmp = _i == 1;
	world_start_all(w);
	while (world_now(w) < renewed_from - 100 * WORLD_S) {
		world_ping(w, C, A, CLIENT_PING_DATA, 5 * WORLD_S, false);
		world_run(w, 20 * WORLD_S);
	}
	ck_assert_uint_eq(c->map_requests, 1);
	while (world_now(w) < renewed_from + 100 * WORLD_S) {
		world_ping(w, C, A, CLIENT_PING_DATA, 5 * WORLD_S, false);
		world_run(w, 20 * WORLD_S);
	}
	ck_assert_uint_eq(c->map_requests, 2);
	ck_assert_uint_eq(c->mapped_port, 41641);
}
END_TEST

/* The daemon comes late: whoever is in use finds it at the next update. */
START_TEST(daemon_comes_late)
{
	world_start_all(w);
	world_run(w, 300 * WORLD_S);
	c->upnp = true;
	world_run(w, 300 * WORLD_S);
	ck_assert_uint_eq(c->map_requests, 0);
	world_ping(w, C, A, CLIENT_PING_DATA, 2 * WORLD_S, false);
	world_run(w, 2 * WORLD_S);
	ck_assert_uint_eq(c->map_requests, 1);
}
END_TEST

/* Whose relay is cut off looks at its network again and again, and finds it. */
START_TEST(daemon_comes_late_and_no_relay)
{
	c->relay_blocked = true;
	world_start_all(w);
	world_run(w, 300 * WORLD_S);
	c->upnp = true;
	world_run(w, 60 * WORLD_S);
	ck_assert_uint_eq(c->map_requests, 1);
}
END_TEST

/* In use, but not cut off: the first look finds it, the second asks it. */
START_TEST(late_daemon_is_asked_at_the_second_look)
{
	world_start_all(w);
	c->upnp = true;
	world_run(w, 30 * WORLD_S);
	ck_assert_uint_eq(world_count(w, 0, C, WORLD_SSDP, 0), 2);
	ck_assert_uint_eq(c->map_requests, 0);
	world_run(w, 25 * WORLD_S);
	ck_assert_uint_eq(c->map_requests, 1);
	ck_assert_uint_eq(world_count(w, 0, C, WORLD_SSDP, 0), 2);
}
END_TEST

Suite *client_mapping_suite(void)
{
	Suite *s = suite_create("client port mapping");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, nothing_there);
	tcase_add_test(t, nat_pmp_first);
	tcase_add_test(t, upnp_else);
	tcase_add_loop_test(t, only_permanent, 0, 2);
	tcase_add_test(t, permanent_refused_too);
	tcase_add_test(t, conflict);
	tcase_add_test(t, conflict_for_ever);
	tcase_add_test(t, error_then_again);
	tcase_add_test(t, dead_service_is_searched_again);
	tcase_add_test(t, idle_lapses);
	tcase_add_loop_test(t, renewed_in_use, 0, unless_valgrind(2, 0));
	tcase_add_test(t, daemon_comes_late_and_no_relay);
	tcase_add_test(t, late_daemon_is_asked_at_the_second_look);
	tcase_add_test(t, daemon_comes_late);
	suite_add_tcase(s, t);
	return s;
}

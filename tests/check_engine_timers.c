/* SPDX-License-Identifier: BSD-3-Clause */
/* Lifetimes, to the microsecond; what refreshes; what goes when it is full. */
#include <string.h>

#include "tests/check_engine_world.h"

static const struct endpoint server = {SERVER1, 3478};

/* Nothing ends a microsecond before US from now, and all at US. */
static void ends_after(uint64_t us)
{
	unsigned mappings = stats().mappings;

	ck_assert_uint_gt(mappings, 0);
	ck_assert_uint_eq(engine_deadline(w.engine), w.now_us + us);
	pass_us(us - 1);
	ck_assert_uint_eq(stats().mappings, mappings);
	pass_us(1);
	ck_assert_uint_eq(stats().mappings, 0);
	ck_assert_uint_eq(stats().sessions, 0);
	ck_assert_uint_eq(engine_deadline(w.engine), ENGINE_NEVER);
	ck_assert_uint_eq(stats().mappings_made, stats().mappings_ended);
}

START_TEST(usual_lifetimes)
{
	struct engine_config config = world_config();

	world_engine(&config);
	ck_assert_uint_eq(engine_deadline(w.engine), ENGINE_NEVER);
	leaves(at(HOST1, 4000), server);
	ends_after(300 * SECOND);
	give_echo(ENGINE_LAN, 8, HOST1, SERVER1, 1);
	ends_after(60 * SECOND);
	leaves_tcp(at(HOST1, 4000), server);
	ends_after(240 * SECOND);
}
END_TEST

START_TEST(stream_lifetime)
{
	struct engine_config config = world_config();
	struct endpoint outside;

	config.udp_timeout_s = 30;
	config.udp_stream_timeout_s = 120;
	world_engine(&config);
	outside = leaves(at(HOST1, 4000), server);
	pass_us(10 * SECOND);
	ck_assert(enters(server, outside));
	/* The answer itself refreshes nothing; what follows gets more. */
	ck_assert_uint_eq(engine_deadline(w.engine), w.now_us + 20 * SECOND);
	leaves(at(HOST1, 4000), server);
	ends_after(120 * SECOND);

	config.refresh_inbound = true;
	world_engine(&config);
	outside = leaves(at(HOST1, 4000), server);
	pass_us(10 * SECOND);
	ck_assert(enters(server, outside));
	ends_after(120 * SECOND);
}
END_TEST

START_TEST(outbound_refreshes)
{
	struct engine_config config = world_config();

	world_engine(&config);
	for (unsigned i = 0; i < 10; i++) {
		leaves(at(HOST1, 4000), server);
		pass_us(299 * SECOND);
	}
	ck_assert_uint_eq(stats().mappings_made, 1);
	leaves(at(HOST1, 4000), server);
	ends_after(300 * SECOND);
}
END_TEST

START_TEST(inbound_refreshes_if_asked)
{
	struct engine_config config = world_config();
	struct endpoint outside;

	for (unsigned refreshes = 0; refreshes < 2; refreshes++) {
		config.refresh_inbound = refreshes;
		world_engine(&config);
		outside = leaves(at(HOST1, 4000), server);
		pass_us(299 * SECOND);
		ck_assert(enters(server, outside));
		pass_us(1 * SECOND);
		ck_assert_int_eq(enters(server, outside), refreshes);
		pass_us(299 * SECOND);
		ck_assert_int_eq(enters(server, outside), refreshes);
	}
}
END_TEST

/* One that was never written to must not keep a mapping open (REQ-6). */
START_TEST(a_stranger_refreshes_nothing)
{
	struct engine_config config = world_config();
	struct endpoint outside;

	config.filtering = ENGINE_EI;
	world_engine(&config);
	outside = leaves(at(HOST1, 4000), server);
	for (unsigned i = 0; i < 299; i++) {
		pass_us(SECOND);
		ck_assert(enters(at(SERVER2, 1 + i % 3), outside));
	}
	ck_assert_uint_eq(stats().sessions, 4);
	pass_us(SECOND);
	ck_assert_uint_eq(stats().mappings, 0);
	ck_assert_uint_eq(stats().sessions, 0);
}
END_TEST

/* A filter forgets each remote by itself, as netfilter's does. */
START_TEST(filters_have_timers)
{
	struct engine_config config = world_config();
	struct endpoint outside;

	for (unsigned filtering = ENGINE_AD; filtering <= ENGINE_APD;
	     filtering++) {
		config.filtering = filtering;
		world_engine(&config);
		outside = leaves(at(HOST1, 4000), server);
		leaves(at(HOST1, 4000), at(SERVER2, 1));
		pass_us(200 * SECOND);
		ck_assert(enters(at(SERVER2, 1), outside));
		leaves(at(HOST1, 4000), server);
		pass_us(100 * SECOND);
		ck_assert(!enters(at(SERVER2, 1), outside));
		ck_assert(enters(server, outside));
		ck_assert_uint_eq(stats().sessions, 1);
	}
}
END_TEST

/* Who got in by another's leave goes with it. */
START_TEST(borrowed_leave_ends)
{
	struct engine_config config = world_config();
	struct endpoint outside;

	config.filtering = ENGINE_AD;
	world_engine(&config);
	outside = leaves(at(HOST1, 4000), server);
	leaves(at(HOST1, 4000), at(SERVER2, 1));
	pass_us(200 * SECOND);
	leaves(at(HOST1, 4000), server);
	ck_assert(enters(at(SERVER2, 2), outside));
	pass_us(100 * SECOND);
	ck_assert_uint_eq(stats().sessions, 2);
	ck_assert(!enters(at(SERVER2, 2), outside));
	/* The same with a connection that nobody inside answers. */
	config.filtering = ENGINE_EI;
	world_engine(&config);
	outside = leaves_tcp(at(HOST1, 4000), server);
	for (unsigned i = 0; i < 24; i++) {
		ck_assert(enters_tcp(at(SERVER2, 1), outside));
		pass_us(10 * SECOND);
	}
	ck_assert_uint_eq(stats().mappings, 0);
}
END_TEST

START_TEST(absolute_lifetime)
{
	struct engine_config config = world_config();
	struct endpoint outside;

	config.absolute_lifetime = true;
	config.refresh_inbound = true;
	config.udp_timeout_s = 30;
	config.tcp_timeout_s = 40;
	config.icmp_timeout_s = 50;
	world_engine(&config);
	outside = leaves(at(HOST1, 4000), server);
	for (unsigned i = 0; i < 29; i++) {
		pass_us(SECOND);
		leaves(at(HOST1, 4000), server);
		enters(server, outside);
	}
	ends_after(1 * SECOND);
	leaves_tcp(at(HOST1, 4000), server);
	give_tcp(ENGINE_LAN, at(HOST1, 4000), server, RST);
	ends_after(40 * SECOND);
	config.tcp_timeout_s = 1000;
	world_engine(&config);
	leaves_tcp(at(HOST1, 4000), server);
	ends_after(1000 * SECOND);
	give_echo(ENGINE_LAN, 8, HOST1, SERVER1, 1);
	pass_us(10 * SECOND);
	give_echo(ENGINE_LAN, 8, HOST1, SERVER1, 1);
	ends_after(40 * SECOND);
}
END_TEST

START_TEST(input_ends_what_is_due)
{
	struct engine_config config = world_config();
	struct endpoint outside;

	world_engine(&config);
	outside = leaves(at(HOST1, 4000), server);
	w.now_us += 300 * SECOND; /* and no timer ran */
	ck_assert(!enters(server, outside));
	ck_assert_uint_eq(stats().mappings, 0);
	/* A clock that goes back stands still. */
	leaves(at(HOST1, 4000), server);
	w.now_us -= 900 * SECOND;
	leaves(at(HOST1, 4000), server);
	ck_assert_uint_eq(engine_deadline(w.engine), w.now_us + 1200 * SECOND);
}
END_TEST

START_TEST(many_end_in_order)
{
	struct engine_config config = world_config();

	world_engine(&config);
	for (unsigned i = 0; i < 1000; i++) {
		leaves(at(HOST1, 1 + i), server);
		w.now_us += 7;
	}
	w.now_us += 300 * SECOND - 7007;
	for (unsigned i = 0; i < 1000; i++) {
		ck_assert_uint_eq(stats().mappings, 1000 - i);
		ck_assert_uint_eq(engine_deadline(w.engine), w.now_us + 7);
		w.now_us += 7;
		w.count = 0;
		engine_on_timer(w.engine, w.now_us, NULL, NULL);
	}
	ck_assert_uint_eq(stats().mappings, 0);
}
END_TEST

/* ---- full ---- */

START_TEST(oldest_idle_goes)
{
	struct engine_config config = world_config();

	config.max_mappings = 4;
	world_engine(&config);
	for (unsigned i = 0; i < 4; i++) {
		leaves(at(HOST1, 1 + i), server);
		pass_us(1);
	}
	leaves(at(HOST1, 1), server);
	ck_assert_uint_eq(leaves(at(HOST1, 9), server).port, 9);
	ck_assert_uint_eq(stats().mappings, 4);
	/* 2 was idle for longest, 1 was not. */
	ck_assert(enters(server, at(POOL1, 1)));
	ck_assert(!enters(server, at(POOL1, 2)));
	ck_assert(enters(server, at(POOL1, 3)));
}
END_TEST

START_TEST(what_works_stays)
{
	struct engine_config config = world_config();

	config.max_mappings = 3;
	config.udp_timeout_s = 30;
	config.udp_stream_timeout_s = 100;
	world_engine(&config);
	for (unsigned i = 0; i < 2; i++) {
		leaves(at(HOST1, 1 + i), server);
		ck_assert(enters(server, at(POOL1, 1 + i)));
		leaves(at(HOST1, 1 + i), server);
	}
	pass_us(1);
	for (unsigned i = 0; i < 50; i++)
		ck_assert_uint_ne(leaves(at(HOST2, 100 + i), server).port, 0);
	ck_assert(enters(server, at(POOL1, 1)));
	ck_assert(enters(server, at(POOL1, 2)));
	/* With nothing else there the new one is refused. */
	leaves(at(HOST2, 149), server);
	ck_assert(enters(server, at(POOL1, 149)));
	leaves(at(HOST2, 149), server);
	ck_assert_uint_eq(leaves(at(HOST2, 200), server).port, 0);
	ck_assert_uint_eq(stats().mappings, 3);
}
END_TEST

START_TEST(sessions_are_bounded)
{
	struct engine_config config = world_config();
	struct endpoint outside;

	config.filtering = ENGINE_EI;
	config.max_sessions = 10;
	world_engine(&config);
	outside = leaves(at(HOST1, 4000), server);
	/* Strangers fill it, go on being heard, and push nothing out. */
	for (unsigned i = 0; i < 50; i++)
		ck_assert(enters(at(SERVER2, 1 + i), outside));
	ck_assert_uint_eq(stats().sessions, 10);
	ck_assert_uint_eq(stats().mappings, 1);
	for (unsigned i = 0; i < 50; i++) {
		pass_us(1);
		leaves(at(HOST1, 4000), at(SERVER2, 1000 + i));
		leaves(at(HOST1, 4000), server);
		ck_assert_uint_le(stats().sessions, 10);
	}
	ck_assert_uint_eq(stats().mappings_made, 1);
}
END_TEST

/* TCP has no state without a session. */
START_TEST(no_room_for_a_connection)
{
	struct engine_config config = world_config();
	struct endpoint outside;

	config.filtering = ENGINE_EI;
	config.max_sessions = 2;
	world_engine(&config);
	outside = leaves_tcp(at(HOST1, 4000), server);
	ck_assert(enters_tcp(at(SERVER2, 1), outside));
	ck_assert(!enters_tcp(at(SERVER2, 2), outside));
	ck_assert_uint_eq(stats().sessions, 2);
}
END_TEST

START_TEST(absolute_evicts_the_first_made)
{
	struct engine_config config = world_config();

	config.max_mappings = 2;
	config.absolute_lifetime = true;
	world_engine(&config);
	leaves(at(HOST1, 1), server);
	pass_us(1);
	leaves(at(HOST1, 2), server);
	pass_us(1);
	leaves(at(HOST1, 1), server);
	leaves(at(HOST1, 3), server);
	ck_assert(!enters(server, at(POOL1, 1)));
	ck_assert(enters(server, at(POOL1, 2)));
}
END_TEST

START_TEST(flush)
{
	struct engine_config config = world_config();

	world_engine(&config);
	for (unsigned i = 0; i < 1000; i++)
		leaves(at(HOST1, 1 + i), server);
	ck_assert_int_eq(engine_map(w.engine, w.now_us, PACKET_UDP, 5000, HOST1,
				    5000, 0),
			 0);
	leaves(at(HOST1, 5000), server);
	engine_flush(w.engine, false);
	ck_assert_uint_eq(stats().mappings, 1);
	ck_assert_uint_eq(stats().sessions, 0);
	ck_assert(!enters(server, at(POOL1, 1)));
	ck_assert(enters(server, at(POOL1, 5000)));
	engine_flush(w.engine, true);
	ck_assert_uint_eq(stats().mappings, 0);
	ck_assert_uint_eq(stats().sessions, 0);
	ck_assert_uint_eq(engine_deadline(w.engine), ENGINE_NEVER);
	/* Ports are free again. */
	ck_assert_uint_eq(leaves(at(HOST2, 5000), server).port, 5000);
}
END_TEST

START_TEST(bad_configurations)
{
	struct engine *e = (struct engine *)&w;
	struct engine_config bad[12];
	struct err err;

	for (unsigned i = 0; i < 12; i++)
		bad[i] = world_config();
	bad[0].pool_count = 0;
	bad[1].pool_count = ENGINE_MAX_POOL + 1;
	bad[2].pool[0] = IP(10, 0, 0, 9);
	bad[3].pool_count = 2;
	bad[3].pool[1] = POOL1;
	bad[4].lan_mask = IP(255, 0, 255, 0);
	bad[5].lan_net = IP(10, 0, 0, 1);
	bad[6].port_low = 3000;
	bad[6].port_high = 2000;
	bad[7].port_high = 2000; /* and low 0 */
	bad[8].mapping = 3;
	bad[9].ports = ENGINE_PORTS_BLOCK;
	bad[9].block_ports = 65000;
	bad[10].lan_ip = IP(10, 0, 1, 1);
	bad[11].lan_mask = 0;
	for (unsigned i = 0; i < 12; i++) {
		memset(&err, 0, sizeof(err));
		ck_assert_int_eq(engine_new(&bad[i], &e, &err), -22);
		ck_assert_ptr_null(e);
		ck_assert_uint_gt(strlen(err.text), 10);
	}
	engine_free(NULL);
}
END_TEST

Suite *engine_timers_suite(void)
{
	Suite *s = suite_create("engine timers");
	TCase *t = tcase_create("timers");

	tcase_add_checked_fixture(t, world_setup, world_teardown);
	tcase_add_test(t, usual_lifetimes);
	tcase_add_test(t, stream_lifetime);
	tcase_add_test(t, outbound_refreshes);
	tcase_add_test(t, inbound_refreshes_if_asked);
	tcase_add_test(t, a_stranger_refreshes_nothing);
	tcase_add_test(t, filters_have_timers);
	tcase_add_test(t, borrowed_leave_ends);
	tcase_add_test(t, absolute_lifetime);
	tcase_add_test(t, input_ends_what_is_due);
	tcase_add_test(t, many_end_in_order);
	tcase_add_test(t, oldest_idle_goes);
	tcase_add_test(t, what_works_stays);
	tcase_add_test(t, sessions_are_bounded);
	tcase_add_test(t, no_room_for_a_connection);
	tcase_add_test(t, absolute_evicts_the_first_made);
	tcase_add_test(t, flush);
	tcase_add_test(t, bad_configurations);
	suite_add_tcase(s, t);
	return s;
}

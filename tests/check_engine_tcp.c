/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 5382: lifetimes by state, and what nobody asked for. */
#include "tests/check_engine_world.h"

static const struct endpoint inside = {HOST1, 4000};
static const struct endpoint outside = {POOL1, 4000};
static const struct endpoint server = {SERVER1, 443};

static void out(uint8_t flags)
{
	ck_assert_int_eq(give_tcp(ENGINE_LAN, inside, server, flags),
			 ENGINE_FORWARDED);
	ck_assert(endpoint_equal(w.out[0].packet.src, outside));
}

static void in(uint8_t flags)
{
	ck_assert_int_eq(give_tcp(ENGINE_WAN, server, outside, flags),
			 ENGINE_FORWARDED);
	ck_assert(endpoint_equal(w.out[0].packet.dst, inside));
	ck_assert_uint_eq(w.out[0].packet.tcp_flags, flags);
}

static void connect(void)
{
	out(SYN);
	in(SYN | ACK);
	out(ACK);
}

static void lasts(unsigned seconds)
{
	ck_assert_uint_eq(engine_deadline(w.engine),
			  w.now_us + seconds * SECOND);
}

static void setup(void)
{
	struct engine_config config = world_config();

	world_setup();
	world_engine(&config);
}

START_TEST(lifecycle)
{
	out(SYN);
	lasts(240);
	in(SYN | ACK);
	lasts(240);
	out(ACK);
	lasts(7440);
	pass_us(7439 * SECOND);
	in(ACK); /* either way refreshes */
	lasts(7440);
	out(FIN | ACK);
	lasts(7440); /* half closed can last */
	in(ACK);
	lasts(7440);
	in(FIN | ACK);
	lasts(240);
	out(ACK);
	lasts(240);
	pass_us(240 * SECOND - 1);
	ck_assert_uint_eq(stats().mappings, 1);
	pass_us(1);
	ck_assert_uint_eq(stats().mappings, 0);
}
END_TEST

START_TEST(reset)
{
	connect();
	in(RST);
	lasts(240);
	/* It was forged: the connection goes on. */
	out(ACK);
	lasts(7440);
	out(RST | ACK);
	lasts(240);
}
END_TEST

START_TEST(endpoints_used_again)
{
	connect();
	out(FIN | ACK);
	in(FIN | ACK);
	lasts(240);
	connect();
	lasts(7440);
	in(RST);
	out(SYN);
	lasts(240);
	in(ACK); /* of the old one: opens nothing */
	lasts(240);
	in(RST);
	out(SYN);
	in(SYN | ACK);
	lasts(240);
	out(ACK);
	lasts(7440);
}
END_TEST

/* RFC 5382 REQ-2. */
START_TEST(simultaneous_open)
{
	out(SYN);
	in(SYN);
	out(SYN | ACK);
	in(SYN | ACK);
	lasts(240);
	in(ACK);
	lasts(7440);
}
END_TEST

/* A connection from before a reboot. */
START_TEST(picked_up_from_inside)
{
	out(ACK);
	lasts(240);
	in(ACK);
	lasts(240);
	out(ACK);
	lasts(7440);
	ck_assert_int_eq(give_tcp(ENGINE_LAN, at(HOST1, 1), server, RST),
			 ENGINE_DROPPED);
	ck_assert_int_eq(give_tcp(ENGINE_LAN, at(HOST1, 1), server, RST | ACK),
			 ENGINE_DROPPED);
	ck_assert_int_eq(give_tcp(ENGINE_LAN, at(HOST1, 1), server, FIN | ACK),
			 ENGINE_DROPPED);
	ck_assert_int_eq(give_tcp(ENGINE_LAN, at(HOST1, 1), server, SYN | ACK),
			 ENGINE_DROPPED);
	ck_assert_uint_eq(stats().mappings, 1);
}
END_TEST

/* Endpoint-independent filtering lets in what opens, nothing else. */
START_TEST(opened_from_outside)
{
	struct engine_config config = world_config();
	const uint8_t others[] = {ACK, RST, FIN | ACK, SYN | ACK};

	config.filtering = ENGINE_EI;
	world_engine(&config);
	out(SYN);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(give_tcp(ENGINE_WAN, at(SERVER2, 9), outside,
					  others[i]),
				 ENGINE_DROPPED);
	ck_assert(enters_tcp(at(SERVER2, 9), outside));
	ck_assert_int_eq(
		give_tcp(ENGINE_LAN, inside, at(SERVER2, 9), SYN | ACK),
		ENGINE_FORWARDED);
	ck_assert_int_eq(give_tcp(ENGINE_WAN, at(SERVER2, 9), outside, ACK),
			 ENGINE_FORWARDED);
	pass_us(1000 * SECOND);
	ck_assert_uint_eq(stats().sessions, 1);
	lasts(6440);
}
END_TEST

static void reject(void)
{
	struct engine_config config = world_config();

	config.stray = ENGINE_STRAY_REJECT;
	world_engine(&config);
}

/* RFC 5382 REQ-4. */
START_TEST(unsolicited_syn_waits)
{
	const struct packet *p = &w.out[0].packet;

	reject();
	for (unsigned mapped = 0; mapped < 2; mapped++) {
		if (mapped)
			out(SYN);
		ck_assert_int_eq(
			give_tcp(ENGINE_WAN, at(SERVER2, 9), outside, SYN),
			ENGINE_HELD);
		ck_assert_uint_eq(w.count, 0);
		lasts(6);
		pass_us(3 * SECOND);
		/* Sent once more: no second answer. */
		ck_assert_int_eq(
			give_tcp(ENGINE_WAN, at(SERVER2, 9), outside, SYN),
			ENGINE_DROPPED);
		pass_us(3 * SECOND - 1);
		ck_assert_uint_eq(w.count, 0);
		pass_us(1);
		ck_assert_uint_eq(w.count, 1);
		ck_assert_int_eq(w.out[0].to, ENGINE_WAN);
		ck_assert_uint_eq(p->icmp_type, 3);
		ck_assert_uint_eq(p->icmp_code, 3);
		ck_assert_uint_eq(p->src.ip, POOL1);
		ck_assert_uint_eq(p->dst.ip, SERVER2);
		ck_assert_uint_eq(p->payload_bytes, 40);
	}
}
END_TEST

START_TEST(unsolicited_syn_is_met)
{
	reject();
	ck_assert_int_eq(give_tcp(ENGINE_WAN, server, outside, SYN),
			 ENGINE_HELD);
	pass_us(6 * SECOND - 1);
	out(SYN);
	pass_us(1);
	ck_assert_uint_eq(w.count, 0);
	in(SYN);
	/* A SYN to somebody else meets nothing. */
	ck_assert_int_eq(give_tcp(ENGINE_WAN, at(SERVER2, 9), outside, SYN),
			 ENGINE_HELD);
	ck_assert_int_eq(give_tcp(ENGINE_LAN, inside, at(SERVER2, 10), SYN),
			 ENGINE_FORWARDED);
	pass_us(6 * SECOND);
	ck_assert_uint_eq(w.count, 1);
}
END_TEST

START_TEST(syns_that_wait_are_bounded)
{
	reject();
	for (unsigned i = 0; i < 1000; i++)
		ck_assert_int_eq(
			give_tcp(ENGINE_WAN, at(SERVER2, 1 + i), outside, SYN),
			i < 256 ? ENGINE_HELD : ENGINE_DROPPED);
	pass_us(6 * SECOND);
	ck_assert_uint_eq(w.count, 256);
	ck_assert_uint_eq(stats().emitted, 256);
	give_tcp(ENGINE_WAN, server, outside, SYN);
	engine_flush(w.engine, false);
	ck_assert_uint_eq(engine_deadline(w.engine), ENGINE_NEVER);
}
END_TEST

/* engine_map cannot emit: what is due waits for who can. */
START_TEST(mapping_by_hand_loses_no_answer)
{
	reject();
	give_tcp(ENGINE_WAN, server, outside, SYN);
	w.now_us += 10 * SECOND;
	ck_assert_int_eq(
		engine_map(w.engine, w.now_us, PACKET_TCP, 1, HOST1, 1, 0), 0);
	pass_us(0);
	ck_assert_uint_eq(w.count, 1);
}
END_TEST

START_TEST(rejected_with_rst)
{
	const struct packet *p = &w.out[0].packet;
	uint8_t packet[PACKET_MAX];
	size_t size_bytes;

	reject();
	ck_assert_int_eq(give_tcp(ENGINE_WAN, server, outside, ACK),
			 ENGINE_REJECTED);
	ck_assert_uint_eq(p->tcp_flags, RST);
	ck_assert_uint_eq(p->tcp_seq, 0x0a0b0c0d);
	ck_assert(endpoint_equal(p->src, outside));
	ck_assert(endpoint_equal(p->dst, server));
	/* Without an ACK: acknowledges 5 bytes and the FIN. */
	ck_assert_int_eq(give_tcp(ENGINE_WAN, server, outside, FIN),
			 ENGINE_REJECTED);
	ck_assert_uint_eq(p->tcp_flags, RST | ACK);
	ck_assert_uint_eq(p->tcp_ack, 0x01020304 + 6);
	/* With four of the five in a longer header. */
	size_bytes = make_tcp(server, outside, FIN, packet);
	packet[32] = 0x60;
	ck_assert_int_eq(give(ENGINE_WAN, packet, size_bytes), ENGINE_REJECTED);
	ck_assert_uint_eq(p->tcp_ack, 0x01020304 + 2);
	ck_assert_int_eq(give_tcp(ENGINE_WAN, server, outside, RST),
			 ENGINE_DROPPED);
	ck_assert_uint_eq(stats().rejected, 3);
}
END_TEST

Suite *engine_tcp_suite(void)
{
	Suite *s = suite_create("engine tcp");
	TCase *t = tcase_create("tcp");

	tcase_add_checked_fixture(t, setup, world_teardown);
	tcase_add_test(t, lifecycle);
	tcase_add_test(t, reset);
	tcase_add_test(t, endpoints_used_again);
	tcase_add_test(t, simultaneous_open);
	tcase_add_test(t, picked_up_from_inside);
	tcase_add_test(t, opened_from_outside);
	tcase_add_test(t, unsolicited_syn_waits);
	tcase_add_test(t, unsolicited_syn_is_met);
	tcase_add_test(t, syns_that_wait_are_bounded);
	tcase_add_test(t, mapping_by_hand_loses_no_answer);
	tcase_add_test(t, rejected_with_rst);
	suite_add_tcase(s, t);
	return s;
}

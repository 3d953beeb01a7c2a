/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 4787 REQ-14: fragments in order, out of order, and made to harm. */
#include <string.h>

#include "tests/check_engine_world.h"

static const struct endpoint inside = {HOST1, 4000};
static const struct endpoint outside = {POOL1, 4000};
static const struct endpoint server = {SERVER1, 3478};
static struct engine_config config;

static void setup(void)
{
	world_setup();
	config = world_config();
	world_engine(&config);
}

enum { PIECE = 24 };

/* A datagram's bytes behind its IP header, whole. */
struct datagram {
	struct endpoint src, dst;
	uint8_t packet[PACKET_MAX];
	size_t size_bytes; /* of packet */
	uint16_t id;
};

static struct datagram datagram(struct endpoint src, struct endpoint dst,
				uint16_t id)
{
	struct datagram d = {.src = src, .dst = dst, .id = id};
	uint8_t payload[100];

	for (unsigned i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7);
	d.size_bytes = (size_t)packet_encode_udp(src, dst, 64, id, payload,
						 sizeof(payload), d.packet,
						 sizeof(d.packet));
	return d;
}

static unsigned pieces(const struct datagram *d)
{
	return (unsigned)((d->size_bytes - 20 + PIECE - 1) / PIECE);
}

static size_t make_piece(const struct datagram *d, unsigned nth, uint8_t *out)
{
	size_t offset_bytes = (size_t)nth * PIECE;
	size_t left_bytes = d->size_bytes - 20 - offset_bytes;
	struct ip_fields ip = {.src = d->src.ip,
			       .dst = d->dst.ip,
			       .proto = PACKET_UDP,
			       .ttl = 64,
			       .id = d->id,
			       .offset_bytes = (unsigned)offset_bytes,
			       .more = left_bytes > PIECE};

	return make_ip(&ip, d->packet + 20 + offset_bytes,
		       ip.more ? PIECE : left_bytes, out);
}

static enum engine_verdict give_piece(enum engine_side from,
				      const struct datagram *d, unsigned nth)
{
	uint8_t packet[PACKET_MAX];

	return give(from, packet, make_piece(d, nth, packet));
}

/* What came out, put together: checksums then cover it all. */
struct assembly {
	uint8_t packet[PACKET_MAX];
	size_t size_bytes;
	unsigned pieces;
};

static void collect(struct assembly *a, enum engine_side to)
{
	for (unsigned i = 0; i < w.count; i++) {
		const struct packet *p = &w.out[i].packet;
		size_t at_bytes = 20u + p->fragment_offset_bytes;

		ck_assert_int_eq(w.out[i].to, to);
		ck_assert_uint_eq(p->ttl, 63);
		memcpy(a->packet + at_bytes, w.out[i].data + 20,
		       w.out[i].size_bytes - 20);
		if (at_bytes + w.out[i].size_bytes - 20 > a->size_bytes)
			a->size_bytes = at_bytes + w.out[i].size_bytes - 20;
		memcpy(a->packet, w.out[i].data, 20);
		a->pieces++;
	}
	w.count = 0;
}

static void assembled(struct assembly *a, const struct datagram *sent,
		      struct endpoint src, struct endpoint dst)
{
	struct datagram want = datagram(src, dst, sent->id);

	ck_assert_uint_eq(a->pieces, pieces(sent));
	ck_assert_uint_eq(a->size_bytes, sent->size_bytes);
	/* As if it had been sent so: ports, payload and checksum. */
	ck_assert_mem_eq(a->packet + 20, want.packet + 20, a->size_bytes - 20);
	ck_assert_mem_eq(a->packet + 12, want.packet + 12, 8);
}

START_TEST(in_order_both_ways)
{
	struct datagram out = datagram(inside, server, 1);
	struct datagram in = datagram(server, outside, 1);
	struct assembly a = {.pieces = 0}, b = {.pieces = 0};

	for (unsigned i = 0; i < pieces(&out); i++) {
		ck_assert_int_eq(give_piece(ENGINE_LAN, &out, i),
				 ENGINE_FORWARDED);
		collect(&a, ENGINE_WAN);
	}
	assembled(&a, &out, outside, server);
	for (unsigned i = 0; i < pieces(&in); i++) {
		ck_assert_int_eq(give_piece(ENGINE_WAN, &in, i),
				 ENGINE_FORWARDED);
		collect(&b, ENGINE_LAN);
	}
	assembled(&b, &in, server, inside);
}
END_TEST

START_TEST(every_order)
{
	/* Five pieces: all 120 orders, each way. */
	for (unsigned n = 0; n < 240; n++) {
		bool inward = n >= 120;
		enum engine_side from = inward ? ENGINE_WAN : ENGINE_LAN;
		struct datagram d =
			inward ? datagram(server, outside, (uint16_t)n)
			       : datagram(inside, server, (uint16_t)n);
		struct assembly a = {.pieces = 0};
		unsigned left[5] = {0, 1, 2, 3, 4}, rest = n % 120;
		bool first_seen = false;

		leaves(inside, server);
		ck_assert_uint_eq(pieces(&d), 5);
		for (unsigned i = 5; i > 0; i--) {
			unsigned pick = rest % i, nth = left[pick];

			rest /= i;
			left[pick] = left[i - 1];
			first_seen |= nth == 0;
			ck_assert_int_eq(give_piece(from, &d, nth),
					 first_seen ? ENGINE_FORWARDED
						    : ENGINE_HELD);
			collect(&a, inward ? ENGINE_LAN : ENGINE_WAN);
		}
		assembled(&a, &d, inward ? server : outside,
			  inward ? inside : server);
	}
}
END_TEST

START_TEST(wait_ends)
{
	struct datagram d = datagram(inside, server, 1);

	ck_assert_int_eq(give_piece(ENGINE_LAN, &d, 1), ENGINE_HELD);
	ck_assert_uint_eq(engine_deadline(w.engine), w.now_us + 2 * SECOND);
	pass_us(2 * SECOND - 1);
	ck_assert_int_eq(give_piece(ENGINE_LAN, &d, 2), ENGINE_HELD);
	pass_us(1);
	ck_assert_int_eq(give_piece(ENGINE_LAN, &d, 0), ENGINE_FORWARDED);
	ck_assert_uint_eq(w.count, 1);
	/* Once it goes, it lasts while pieces come. */
	for (unsigned i = 1; i < pieces(&d); i++) {
		pass_us(2 * SECOND - 1);
		ck_assert_int_eq(give_piece(ENGINE_LAN, &d, i),
				 ENGINE_FORWARDED);
	}
	pass_us(2 * SECOND);
	ck_assert_int_eq(give_piece(ENGINE_LAN, &d, 1), ENGINE_HELD);
}
END_TEST

/* Another datagram of the same numbers is another one. */
START_TEST(told_apart)
{
	struct datagram d = datagram(inside, server, 1), other = d;
	uint8_t packet[PACKET_MAX];
	size_t size_bytes;

	ck_assert_int_eq(give_piece(ENGINE_LAN, &d, 0), ENGINE_FORWARDED);
	other.id = 2;
	ck_assert_int_eq(give_piece(ENGINE_LAN, &other, 1), ENGINE_HELD);
	other = datagram(at(HOST2, 4000), server, 1);
	ck_assert_int_eq(give_piece(ENGINE_LAN, &other, 1), ENGINE_HELD);
	other = datagram(inside, at(SERVER2, 3478), 1);
	ck_assert_int_eq(give_piece(ENGINE_LAN, &other, 1), ENGINE_HELD);
	size_bytes = make_piece(&d, 1, packet);
	packet[9] = PACKET_ICMP;
	mend_ip(packet);
	ck_assert_int_eq(give(ENGINE_LAN, packet, size_bytes), ENGINE_HELD);
	ck_assert_int_eq(give_piece(ENGINE_LAN, &d, 1), ENGINE_FORWARDED);
}
END_TEST

START_TEST(what_befell_the_first_befalls_all)
{
	struct datagram d = datagram(server, outside, 1);

	/* Nobody asked for it. */
	ck_assert_int_eq(give_piece(ENGINE_WAN, &d, 1), ENGINE_HELD);
	ck_assert_int_eq(give_piece(ENGINE_WAN, &d, 0), ENGINE_DROPPED);
	ck_assert_uint_eq(w.count, 0);
	ck_assert_int_eq(give_piece(ENGINE_WAN, &d, 2), ENGINE_DROPPED);
	config.stray = ENGINE_STRAY_ACCEPT;
	world_engine(&config);
	ck_assert_int_eq(give_piece(ENGINE_WAN, &d, 0), ENGINE_TO_HOST);
	ck_assert_int_eq(give_piece(ENGINE_WAN, &d, 2), ENGINE_TO_HOST);
	config.stray = ENGINE_STRAY_REJECT;
	world_engine(&config);
	ck_assert_int_eq(give_piece(ENGINE_WAN, &d, 0), ENGINE_REJECTED);
	ck_assert_int_eq(give_piece(ENGINE_WAN, &d, 2), ENGINE_DROPPED);
	ck_assert_uint_eq(stats().emitted, 1);
	/* To the router itself, no fragment waits for another. */
	d = datagram(inside, at(ROUTER, 1), 1);
	ck_assert_int_eq(give_piece(ENGINE_LAN, &d, 1), ENGINE_TO_HOST);
}
END_TEST

START_TEST(overlapping)
{
	struct datagram d = datagram(inside, server, 1), other;
	uint8_t packet[PACKET_MAX];
	size_t size_bytes;

	ck_assert_int_eq(give_piece(ENGINE_LAN, &d, 0), ENGINE_FORWARDED);
	/* The network may repeat one ... */
	ck_assert_int_eq(give_piece(ENGINE_LAN, &d, 0), ENGINE_FORWARDED);
	ck_assert_int_eq(give_piece(ENGINE_LAN, &d, 1), ENGINE_FORWARDED);
	ck_assert_int_eq(give_piece(ENGINE_LAN, &d, 1), ENGINE_FORWARDED);
	/* ... even where it dies on the way ... */
	size_bytes = make_piece(&d, 0, packet);
	packet[8] = 1;
	mend_ip(packet);
	ck_assert_int_eq(give(ENGINE_LAN, packet, size_bytes), ENGINE_REJECTED);
	ck_assert_int_eq(give_piece(ENGINE_LAN, &d, 2), ENGINE_FORWARDED);
	ck_assert_uint_eq(w.out[0].packet.src.ip, POOL1);
	ck_assert_uint_eq(w.out[0].packet.dst.ip, SERVER1);
	/* ... but not with other ports in it. */
	other = datagram(at(HOST1, 4001), server, 1);
	ck_assert_int_eq(give_piece(ENGINE_LAN, &other, 0), ENGINE_DROPPED);
	other = datagram(inside, at(SERVER1, 53), 1);
	ck_assert_int_eq(give_piece(ENGINE_LAN, &other, 0), ENGINE_DROPPED);
	ck_assert_uint_eq(stats().sessions, 1);
}
END_TEST

/* RFC 1858 and RFC 3128: no filter sees flags that come in pieces. */
START_TEST(tcp_header_in_pieces)
{
	uint8_t whole[PACKET_MAX], packet[PACKET_MAX];
	struct ip_fields ip = {HOST1, SERVER1, PACKET_TCP, 64, 1, 0, true, 0};

	make_tcp(inside, server, SYN, whole);
	ck_assert_int_eq(
		give(ENGINE_LAN, packet, make_ip(&ip, whole + 20, 8, packet)),
		ENGINE_DROPPED);
	ck_assert_int_eq(
		give(ENGINE_LAN, packet, make_ip(&ip, whole + 20, 16, packet)),
		ENGINE_DROPPED);
	for (unsigned offset_bytes = 8; offset_bytes <= 24; offset_bytes += 8) {
		ip.offset_bytes = offset_bytes;
		ck_assert_int_eq(give(ENGINE_LAN, packet,
				      make_ip(&ip, whole + 20, 8, packet)),
				 offset_bytes < 20 ? ENGINE_DROPPED
						   : ENGINE_HELD);
	}
}
END_TEST

START_TEST(malformed)
{
	struct ip_fields ip = {HOST1, SERVER1, PACKET_UDP, 64, 1, 0, true, 0};
	uint8_t packet[PACKET_MAX], udp[32] = {1, 1, 2, 2, 0, 99};

	/* All but the last end on a multiple of 8, and none is empty. */
	ck_assert_int_eq(
		give(ENGINE_LAN, packet, make_ip(&ip, udp, 31, packet)),
		ENGINE_DROPPED);
	ck_assert_int_eq(give(ENGINE_LAN, packet, make_ip(&ip, udp, 0, packet)),
			 ENGINE_DROPPED);
	ip.offset_bytes = 80;
	ip.more = false;
	ck_assert_int_eq(give(ENGINE_LAN, packet, make_ip(&ip, udp, 0, packet)),
			 ENGINE_DROPPED);
	/* Beyond the end of what a datagram can be. */
	ip.offset_bytes = 65528;
	ck_assert_int_eq(
		give(ENGINE_LAN, packet, make_ip(&ip, udp, 16, packet)),
		ENGINE_DROPPED);
	/* A first fragment that claims to be the whole. */
	ip.offset_bytes = 0;
	ip.more = true;
	udp[5] = 32;
	ck_assert_int_eq(
		give(ENGINE_LAN, packet, make_ip(&ip, udp, 32, packet)),
		ENGINE_DROPPED);
	udp[5] = 40;
	ck_assert_int_eq(
		give(ENGINE_LAN, packet, make_ip(&ip, udp, 32, packet)),
		ENGINE_FORWARDED);
}
END_TEST

/* REQ-14a: a flood of them costs fragments, and only those. */
START_TEST(flood)
{
	struct datagram d = datagram(server, outside, 1);
	struct endpoint from = {SERVER2, 1};
	unsigned held = 0;

	ck_assert_uint_ne(leaves(inside, server).port, 0);
	ck_assert_int_eq(give_piece(ENGINE_WAN, &d, 0), ENGINE_FORWARDED);
	for (unsigned i = 0; i < 5000; i++) {
		struct datagram other =
			datagram(at(from.ip + i, 1), outside, 1);

		held += give_piece(ENGINE_WAN, &other, i % 5) == ENGINE_HELD;
	}
	ck_assert_uint_ge(held, 3000);
	ck_assert_int_eq(give_piece(ENGINE_WAN, &d, 1), ENGINE_FORWARDED);
	ck_assert(enters(server, outside));
	d = datagram(server, outside, 2);
	ck_assert_int_eq(give_piece(ENGINE_WAN, &d, 0), ENGINE_FORWARDED);
	ck_assert_int_eq(give_piece(ENGINE_WAN, &d, 1), ENGINE_FORWARDED);
	/* Of one datagram, not more than it can have. */
	pass_us(2 * SECOND);
	held = 0;
	d = datagram(server, outside, 3);
	for (unsigned i = 0; i < 1000; i++)
		held += give_piece(ENGINE_WAN, &d, 1) == ENGINE_HELD;
	ck_assert_uint_eq(held, 64);
	pass_us(2 * SECOND);
	ck_assert_uint_eq(engine_deadline(w.engine), w.now_us + 296 * SECOND);
}
END_TEST

START_TEST(all_that_waits_is_bounded)
{
	struct datagram d = datagram(inside, server, 1);
	unsigned held = 0;

	for (unsigned i = 0; i < 10 * 64; i++) {
		d.id = (uint16_t)(i / 64);
		held += give_piece(ENGINE_LAN, &d, 1) == ENGINE_HELD;
	}
	ck_assert_uint_eq(held, 256);
	engine_flush(w.engine, false);
	ck_assert_uint_eq(engine_deadline(w.engine), ENGINE_NEVER);
	/* Of those that pass, the one that did longest ago goes first. */
	for (unsigned i = 0; i < 257; i++) {
		d.id = (uint16_t)i;
		ck_assert_int_eq(give_piece(ENGINE_LAN, &d, 0),
				 ENGINE_FORWARDED);
	}
	d.id = 1;
	ck_assert_int_eq(give_piece(ENGINE_LAN, &d, 1), ENGINE_FORWARDED);
	d.id = 0;
	ck_assert_int_eq(give_piece(ENGINE_LAN, &d, 1), ENGINE_HELD);
}
END_TEST

START_TEST(hops_run_out)
{
	struct datagram d = datagram(inside, server, 1);
	uint8_t packet[PACKET_MAX];
	size_t size_bytes = make_piece(&d, 1, packet);

	ck_assert_int_eq(give_piece(ENGINE_LAN, &d, 0), ENGINE_FORWARDED);
	packet[8] = 1;
	mend_ip(packet);
	ck_assert_int_eq(give(ENGINE_LAN, packet, size_bytes), ENGINE_DROPPED);
	/* The first one's end is told, a later one's not. */
	d.id = 2;
	size_bytes = make_piece(&d, 0, packet);
	packet[8] = 1;
	mend_ip(packet);
	ck_assert_int_eq(give(ENGINE_LAN, packet, size_bytes), ENGINE_REJECTED);
	ck_assert_int_eq(give_piece(ENGINE_LAN, &d, 1), ENGINE_DROPPED);
}
END_TEST

START_TEST(hairpinned)
{
	struct datagram d;
	struct assembly a = {.pieces = 0};
	struct endpoint two = {HOST2, 4002};

	config.hairpin = ENGINE_HAIRPIN_EXTERNAL;
	config.filtering = ENGINE_EI;
	world_engine(&config);
	leaves(two, server);
	d = datagram(inside, at(POOL1, 4002), 1);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_int_eq(give_piece(ENGINE_LAN, &d, (i + 3) % 5),
				 i < 2 ? ENGINE_HELD : ENGINE_FORWARDED);
		collect(&a, ENGINE_LAN);
	}
	assembled(&a, &d, outside, two);
}
END_TEST

/* --- links that take less, RFC 4787 REQ-13 -------------------------------- */

enum { MTU = 68, CUT = 48 /* of what is behind the IP header */ };

START_TEST(cut_to_what_the_link_takes)
{
	struct datagram d = datagram(inside, server, 7);
	struct datagram want = datagram(outside, server, 7);
	struct assembly a = {.pieces = 0};

	engine_set_mtu(w.engine, ENGINE_WAN, MTU);
	ck_assert_int_eq(give(ENGINE_LAN, d.packet, d.size_bytes),
			 ENGINE_FORWARDED);
	ck_assert_uint_eq(w.count, (d.size_bytes - 20 + CUT - 1) / CUT);
	for (unsigned i = 0; i < w.count; i++)
		ck_assert_uint_le(w.out[i].size_bytes, MTU);
	collect(&a, ENGINE_WAN);
	ck_assert_uint_eq(a.size_bytes, d.size_bytes);
	ck_assert_mem_eq(a.packet + 20, want.packet + 20, a.size_bytes - 20);
}
END_TEST

START_TEST(a_piece_is_cut_again)
{
	struct datagram d = datagram(inside, server, 8);
	struct datagram want = datagram(outside, server, 8);
	struct assembly a = {.pieces = 0};
	struct ip_fields ip = {.src = HOST1, .dst = SERVER1,
			       .proto = PACKET_UDP, .ttl = 64, .id = 8};
	uint8_t packet[PACKET_MAX];
	const size_t first = 96; /* bytes of UDP in the first piece */

	engine_set_mtu(w.engine, ENGINE_WAN, MTU);
	ip.more = true;
	ck_assert_int_eq(give(ENGINE_LAN, packet,
			      make_ip(&ip, d.packet + 20, first, packet)),
			 ENGINE_FORWARDED);
	ck_assert_uint_eq(w.count, 2);
	collect(&a, ENGINE_WAN);
	ip.more = false;
	ip.offset_bytes = (unsigned)first;
	ck_assert_int_eq(give(ENGINE_LAN, packet,
			      make_ip(&ip, d.packet + 20 + first,
				      d.size_bytes - 20 - first, packet)),
			 ENGINE_FORWARDED);
	collect(&a, ENGINE_WAN);
	ck_assert_uint_eq(a.size_bytes, d.size_bytes);
	ck_assert_mem_eq(a.packet + 20, want.packet + 20, a.size_bytes - 20);
}
END_TEST

/* Both ways: what must not be cut is told to whoever sent it, as he sent it. */
START_TEST(not_to_be_cut)
{
	struct datagram out = datagram(inside, server, 9);
	struct datagram in = datagram(server, outside, 9);
	const struct emitted *told = &w.out[0];

	ck_assert_int_eq(give_udp(ENGINE_LAN, inside, server),
			 ENGINE_FORWARDED);
	engine_set_mtu(w.engine, ENGINE_WAN, MTU);
	out.packet[6] |= 0x40;
	mend_ip(out.packet);
	in.packet[6] |= 0x40;
	mend_ip(in.packet);
	ck_assert_int_eq(give(ENGINE_LAN, out.packet, out.size_bytes),
			 ENGINE_REJECTED);
	ck_assert_uint_eq(w.count, 1);
	ck_assert_int_eq(told->to, ENGINE_LAN);
	ck_assert_uint_eq(told->packet.icmp_type, 3);
	ck_assert_uint_eq(told->packet.icmp_code, 4);
	ck_assert_uint_eq(told->data[20 + 7], MTU);
	ck_assert_mem_eq(told->packet.payload, out.packet, out.size_bytes);
	engine_set_mtu(w.engine, ENGINE_WAN, 0);
	engine_set_mtu(w.engine, ENGINE_LAN, MTU + 8);
	ck_assert_int_eq(give(ENGINE_WAN, in.packet, in.size_bytes),
			 ENGINE_REJECTED);
	ck_assert_int_eq(told->to, ENGINE_WAN);
	ck_assert_uint_eq(told->data[20 + 7], MTU + 8);
	ck_assert_mem_eq(told->packet.payload, in.packet, in.size_bytes);
	/* Other packets of the flow pass as before. */
	ck_assert_int_eq(give_udp(ENGINE_WAN, server, outside),
			 ENGINE_FORWARDED);
}
END_TEST

Suite *engine_fragments_suite(void)
{
	Suite *s = suite_create("engine fragments");
	TCase *t = tcase_create("fragments");

	tcase_add_checked_fixture(t, setup, world_teardown);
	tcase_add_test(t, in_order_both_ways);
	tcase_add_test(t, every_order);
	tcase_add_test(t, wait_ends);
	tcase_add_test(t, told_apart);
	tcase_add_test(t, what_befell_the_first_befalls_all);
	tcase_add_test(t, overlapping);
	tcase_add_test(t, tcp_header_in_pieces);
	tcase_add_test(t, malformed);
	tcase_add_test(t, flood);
	tcase_add_test(t, all_that_waits_is_bounded);
	tcase_add_test(t, hops_run_out);
	tcase_add_test(t, hairpinned);
	tcase_add_test(t, cut_to_what_the_link_takes);
	tcase_add_test(t, a_piece_is_cut_again);
	tcase_add_test(t, not_to_be_cut);
	suite_add_tcase(s, t);
	return s;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Checksums, hops, odd packets, and who a packet is for. */
#include <string.h>

#include "tests/check_engine_world.h"

static const struct endpoint inside = {HOST1, 4000};
static const struct endpoint server = {SERVER1, 3478};
static struct engine_config config;

static void setup(void)
{
	world_setup();
	config = world_config();
	world_engine(&config);
}

/* ---- checksums ---- */

/* Ports from end to end both ways, so that sums wrap in all their ways. */
START_TEST(sums_of_many_ports)
{
	struct endpoint outside;

	config.filtering = ENGINE_EI;
	config.ports = ENGINE_PORTS_RANDOM;
	config.udp_timeout_s = 1;
	world_engine(&config);
	for (unsigned port = 1; port < 65536; port += 13) {
		outside = leaves(at(HOST1, port), at(SERVER1, 65536 - port));
		ck_assert_uint_ne(outside.port, 0);
		ck_assert(enters(at(SERVER1, 65536 - port), outside));
		pass_us(20000);
	}
}
END_TEST

/* The checksum that a payload of two bytes leaves with. */
static unsigned sum_with(unsigned word)
{
	uint8_t packet[PACKET_MAX], payload[2] = {word >> 8 & 255, word & 255};
	int size_bytes = packet_encode_udp(inside, server, 64, 1, payload, 2,
					   packet, sizeof(packet));

	ck_assert_int_eq(give(ENGINE_LAN, packet, (size_t)size_bytes),
			 ENGINE_FORWARDED);
	return (unsigned)(w.out[0].data[26] << 8 | w.out[0].data[27]);
}

/* A sum that comes out as 0 is sent as all ones: 0 would mean there is none. */
START_TEST(udp_sum_of_zero)
{
	unsigned sum = sum_with(0);

	ck_assert_uint_eq(sum_with(sum - 1), 1);
	ck_assert_uint_eq(sum_with(sum), 0xffff);
	ck_assert_uint_eq(sum_with(sum + 1), 0xfffe);
}
END_TEST

START_TEST(udp_without_sum)
{
	uint8_t packet[PACKET_MAX];
	size_t size_bytes = make_udp(inside, server, packet);

	packet[26] = packet[27] = 0;
	ck_assert_int_eq(give(ENGINE_LAN, packet, size_bytes),
			 ENGINE_FORWARDED);
	ck_assert_uint_eq(w.out[0].data[26] << 8 | w.out[0].data[27], 0);
}
END_TEST

/* Wrong by as much as before: the end that hears it must find out. */
START_TEST(a_wrong_sum_stays_wrong)
{
	uint8_t packet[PACKET_MAX], right[2];
	size_t size_bytes = make_udp(inside, server, packet);

	give(ENGINE_LAN, packet, size_bytes);
	memcpy(right, w.out[0].data + 26, 2);
	packet[26] ^= 0x10;
	w.broken_sums = true;
	ck_assert_int_eq(give(ENGINE_LAN, packet, size_bytes),
			 ENGINE_FORWARDED);
	ck_assert_mem_ne(w.out[0].data + 26, right, 2);
}
END_TEST

START_TEST(options_and_padding)
{
	struct ip_fields ip = {HOST1, SERVER1, PACKET_UDP, 64, 1, 0, false, 40};
	uint8_t udp[10] = {0x0f, 0xa0, 0x0d, 0x96, 0, 10}, packet[PACKET_MAX];
	size_t size_bytes = make_ip(&ip, udp, sizeof(udp), packet);

	ck_assert_int_eq(give(ENGINE_LAN, packet, size_bytes + 7),
			 ENGINE_FORWARDED);
	ck_assert_uint_eq(w.out[0].size_bytes, size_bytes);
	ck_assert(endpoint_equal(w.out[0].packet.src, at(POOL1, 4000)));
}
END_TEST

static void take_biggest(void *arg, enum engine_side to, const uint8_t *packet,
			 size_t size_bytes)
{
	const uint8_t *sent = arg;

	ck_assert_int_eq(to, ENGINE_WAN);
	ck_assert_uint_eq(size_bytes, 65535);
	ck_assert_mem_eq(packet + 40, sent + 40, size_bytes - 40);
}

START_TEST(biggest)
{
	static uint8_t big[65535], payload[65515];
	struct ip_fields ip = {HOST1, SERVER1, PACKET_TCP, 64, 1, 0, false, 0};

	memset(payload, 0xff, sizeof(payload));
	payload[12] = 0x50;
	payload[13] = SYN;
	make_ip(&ip, payload, sizeof(payload), big);
	ck_assert_int_eq(engine_input(w.engine, w.now_us, ENGINE_LAN, big,
				      sizeof(big), take_biggest, big),
			 ENGINE_FORWARDED);
}
END_TEST

/* ---- hops ---- */

static enum engine_verdict last_hop(enum engine_side from, struct endpoint src,
				    struct endpoint dst, uint8_t ttl)
{
	uint8_t packet[PACKET_MAX];
	size_t size_bytes = make_udp(src, dst, packet);

	packet[8] = ttl;
	mend_ip(packet);
	return give(from, packet, size_bytes);
}

START_TEST(hops_run_out)
{
	const struct packet *p = &w.out[0].packet;

	for (unsigned ttl = 0; ttl < 2; ttl++) {
		ck_assert_int_eq(
			last_hop(ENGINE_LAN, inside, server, (uint8_t)ttl),
			ENGINE_REJECTED);
		ck_assert_int_eq(w.out[0].to, ENGINE_LAN);
		ck_assert_uint_eq(p->icmp_type, 11);
		ck_assert_uint_eq(p->icmp_code, 0);
		ck_assert_uint_eq(p->src.ip, ROUTER);
		ck_assert_uint_eq(p->ttl, 64);
		ck_assert_uint_eq(p->dst.ip, HOST1);
		/* It never went through, so nothing is mapped. */
		ck_assert_uint_eq(stats().mappings, 0);
	}
	leaves(inside, server);
	ck_assert_int_eq(last_hop(ENGINE_WAN, server, at(POOL1, 4000), 1),
			 ENGINE_REJECTED);
	ck_assert_int_eq(w.out[0].to, ENGINE_WAN);
	ck_assert_uint_eq(p->icmp_type, 11);
	ck_assert_uint_eq(p->src.ip, POOL1);
	ck_assert_uint_eq(p->dst.ip, SERVER1);
	ck_assert_mem_eq(p->payload + 16, "\x19\0\0\1", 4); /* POOL1 */
	/* What is filtered is filtered, whatever its hops. */
	ck_assert_int_eq(
		last_hop(ENGINE_WAN, at(SERVER2, 1), at(POOL1, 4000), 1),
		ENGINE_DROPPED);
	ck_assert_int_eq(last_hop(ENGINE_WAN, server, at(POOL1, 4000), 2),
			 ENGINE_FORWARDED);
	ck_assert_uint_eq(p->ttl, 1);
}
END_TEST

START_TEST(an_error_quotes_up_to_576_bytes)
{
	uint8_t packet[PACKET_MAX], payload[1400] = "";
	int size_bytes =
		packet_encode_udp(inside, server, 1, 9, payload,
				  sizeof(payload), packet, sizeof(packet));

	ck_assert_int_eq(give(ENGINE_LAN, packet, (size_t)size_bytes),
			 ENGINE_REJECTED);
	ck_assert_uint_eq(w.out[0].size_bytes, 576);
	ck_assert_mem_eq(w.out[0].data + 28, packet, 548);
}
END_TEST

/* ---- strays ---- */

START_TEST(strays)
{
	static const enum engine_verdict verdicts[] = {
		ENGINE_DROPPED, ENGINE_REJECTED, ENGINE_TO_HOST};
	const struct packet *p = &w.out[0].packet;

	for (unsigned stray = 0; stray < 3; stray++) {
		config.stray = stray;
		world_engine(&config);
		leaves(inside, server);
		/* Nobody's port, and a port that lets others in. */
		ck_assert_int_eq(give_udp(ENGINE_WAN, server, at(POOL1, 9)),
				 verdicts[stray]);
		ck_assert_int_eq(
			give_udp(ENGINE_WAN, at(SERVER2, 1), at(POOL1, 4000)),
			verdicts[stray]);
		ck_assert_uint_eq(w.count, stray == ENGINE_STRAY_REJECT);
		ck_assert_int_eq(give_echo(ENGINE_WAN, 8, SERVER1, POOL1, 1),
				 verdicts[stray]);
		ck_assert_int_eq(give_echo(ENGINE_WAN, 0, SERVER1, POOL1, 1),
				 stray == ENGINE_STRAY_ACCEPT ? ENGINE_TO_HOST
							      : ENGINE_DROPPED);
		if (stray != ENGINE_STRAY_REJECT)
			continue;
		give_udp(ENGINE_WAN, server, at(POOL1, 9));
		ck_assert_int_eq(w.out[0].to, ENGINE_WAN);
		ck_assert_uint_eq(p->icmp_type, 3);
		ck_assert_uint_eq(p->icmp_code, 3);
		ck_assert_uint_eq(p->src.ip, POOL1);
		ck_assert_uint_eq(p->dst.ip, SERVER1);
	}
}
END_TEST

static enum engine_verdict give_other(enum engine_side from, uint32_t src,
				      uint32_t dst, uint8_t proto)
{
	struct ip_fields ip = {src, dst, proto, 64, 1, 0, false, 0};
	uint8_t packet[PACKET_MAX];

	return give(from, packet, make_ip(&ip, "whatever", 8, packet));
}

START_TEST(other_protocols)
{
	ck_assert_int_eq(give_other(ENGINE_LAN, HOST1, SERVER1, 47),
			 ENGINE_DROPPED);
	ck_assert_int_eq(give_other(ENGINE_WAN, SERVER1, POOL1, 47),
			 ENGINE_DROPPED);
	config.stray = ENGINE_STRAY_REJECT;
	world_engine(&config);
	ck_assert_int_eq(give_other(ENGINE_WAN, SERVER1, POOL1, 47),
			 ENGINE_REJECTED);
	ck_assert_uint_eq(w.out[0].packet.icmp_code, 2);
	ck_assert_int_eq(give_other(ENGINE_LAN, HOST1, POOL1, 47),
			 ENGINE_REJECTED);
}
END_TEST

START_TEST(udp_blocked)
{
	config.udp_blocked = true;
	world_engine(&config);
	ck_assert_int_eq(give_udp(ENGINE_LAN, inside, server), ENGINE_DROPPED);
	ck_assert_int_eq(
		engine_map(w.engine, w.now_us, PACKET_UDP, 1, HOST1, 1, 0), 0);
	ck_assert_int_eq(give_udp(ENGINE_WAN, server, at(POOL1, 1)),
			 ENGINE_DROPPED);
	ck_assert_uint_eq(leaves_tcp(inside, server).port, 4000);
	/* The router still hears its own: NAT-PMP, DNS, DHCP. */
	ck_assert_int_eq(give_udp(ENGINE_LAN, inside, at(ROUTER, 5351)),
			 ENGINE_TO_HOST);
}
END_TEST

/* ---- who it is for ---- */

static const struct {
	enum engine_side from;
	uint32_t src, dst;
	enum engine_verdict verdict;
} addressed[] = {
	{ENGINE_LAN, HOST1, ROUTER, ENGINE_TO_HOST},
	{ENGINE_LAN, HOST1, IP(239, 255, 255, 250), ENGINE_TO_HOST},
	{ENGINE_LAN, HOST1, IP(255, 255, 255, 255), ENGINE_TO_HOST},
	{ENGINE_LAN, HOST1, IP(10, 0, 0, 255), ENGINE_TO_HOST},
	{ENGINE_LAN, 0, IP(255, 255, 255, 255), ENGINE_TO_HOST},
	{ENGINE_LAN, SERVER1, IP(255, 255, 255, 255), ENGINE_DROPPED},
	{ENGINE_LAN, HOST1, HOST2, ENGINE_DROPPED},
	{ENGINE_LAN, HOST1, IP(127, 0, 0, 1), ENGINE_DROPPED},
	{ENGINE_LAN, HOST1, IP(0, 0, 0, 1), ENGINE_DROPPED},
	{ENGINE_LAN, HOST1, IP(240, 0, 0, 1), ENGINE_DROPPED},
	{ENGINE_LAN, 0, SERVER1, ENGINE_DROPPED},
	{ENGINE_LAN, ROUTER, SERVER1, ENGINE_DROPPED},
	{ENGINE_LAN, SERVER2, SERVER1, ENGINE_DROPPED},
	{ENGINE_LAN, IP(10, 0, 1, 2), SERVER1, ENGINE_DROPPED},
	{ENGINE_LAN, IP(10, 0, 0, 255), SERVER1, ENGINE_DROPPED},
	{ENGINE_LAN, HOST1, SERVER1, ENGINE_FORWARDED},
	{ENGINE_WAN, SERVER1, POOL1, ENGINE_FORWARDED},
	{ENGINE_WAN, SERVER1, POOL2, ENGINE_DROPPED},
	{ENGINE_WAN, SERVER1, HOST1, ENGINE_DROPPED},
	{ENGINE_WAN, SERVER1, ROUTER, ENGINE_DROPPED},
	{ENGINE_WAN, SERVER1, IP(224, 0, 0, 1), ENGINE_DROPPED},
	{ENGINE_WAN, HOST1, POOL1, ENGINE_DROPPED},
	{ENGINE_WAN, POOL1, POOL1, ENGINE_DROPPED},
	{ENGINE_WAN, IP(224, 0, 0, 1), POOL1, ENGINE_DROPPED},
	{ENGINE_WAN, IP(127, 0, 0, 1), POOL1, ENGINE_DROPPED},
	{ENGINE_WAN, 0, POOL1, ENGINE_DROPPED},
};

START_TEST(whom_it_is_for)
{
	config.filtering = ENGINE_EI;
	world_engine(&config);
	ck_assert_int_eq(
		engine_map(w.engine, w.now_us, PACKET_UDP, 80, HOST1, 80, 0),
		0);
	for (size_t i = 0; i < sizeof(addressed) / sizeof(*addressed); i++)
		ck_assert_msg(give_udp(addressed[i].from,
				       at(addressed[i].src, 80),
				       at(addressed[i].dst, 80)) ==
				      addressed[i].verdict,
			      "row %zu", i);
	/* Somebody inside pings the router's outside. */
	ck_assert_int_eq(give_echo(ENGINE_LAN, 8, HOST1, POOL1, 1),
			 ENGINE_TO_HOST);
	config.stray = ENGINE_STRAY_ACCEPT;
	world_engine(&config);
	ck_assert_int_eq(give_udp(ENGINE_WAN, server, at(IP(224, 0, 0, 1), 1)),
			 ENGINE_TO_HOST);
}
END_TEST

/* ---- odd ones ---- */

static enum engine_verdict change(uint8_t *packet, size_t size_bytes,
				  size_t where, uint8_t value)
{
	packet[where] = value;
	mend_ip(packet);
	return give(ENGINE_LAN, packet, size_bytes);
}

START_TEST(malformed)
{
	/* Of a UDP packet of 34 bytes: 28 of headers. */
	static const struct {
		size_t where;
		uint8_t value;
	} changes[] = {
		{0, 0x65}, {0, 0x44}, {0, 0x4f}, {2, 1},  {3, 19},  {3, 27},
		{21, 0},   {23, 0},   {24, 1},	 {25, 7}, {25, 15},
	};
	uint8_t packet[PACKET_MAX];
	size_t size_bytes;

	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		/* Port 18 is a length, too, were the header shorter. */
		size_bytes = make_udp(at(HOST1, 18), at(SERVER1, 50), packet);
		memset(packet + size_bytes, 0, 60);
		ck_assert_msg(change(packet, size_bytes, changes[i].where,
				     changes[i].value) == ENGINE_DROPPED,
			      "change %zu", i);
	}
	size_bytes = make_udp(inside, server, packet);
	for (size_t bytes = 0; bytes < size_bytes; bytes++)
		ck_assert_int_eq(give(ENGINE_LAN, packet, bytes),
				 ENGINE_DROPPED);
	packet[10] ^= 1;
	ck_assert_int_eq(give(ENGINE_LAN, packet, size_bytes), ENGINE_DROPPED);
	ck_assert_uint_eq(stats().mappings, 0);
	ck_assert_uint_eq(stats().emitted, 0);
}
END_TEST

START_TEST(malformed_tcp)
{
	uint8_t packet[PACKET_MAX];
	const uint8_t flags[] = {0, 8, SYN | FIN, SYN | RST};
	size_t size_bytes;

	for (unsigned i = 0; i < sizeof(flags); i++)
		ck_assert_int_eq(give_tcp(ENGINE_LAN, inside, server, flags[i]),
				 ENGINE_DROPPED);
	size_bytes = make_tcp(inside, server, SYN, packet);
	ck_assert_int_eq(change(packet, size_bytes, 32, 0x40), ENGINE_DROPPED);
	ck_assert_int_eq(change(packet, size_bytes, 32, 0x60), ENGINE_DROPPED);
	ck_assert_int_eq(change(packet, size_bytes, 32, 0x50),
			 ENGINE_FORWARDED);
	ck_assert_int_eq(change(packet, size_bytes, 3, 39), ENGINE_DROPPED);
	/* Nor do they ride on a session. */
	for (unsigned i = 0; i < sizeof(flags); i++)
		ck_assert_int_eq(give_tcp(ENGINE_LAN, inside, server, flags[i]),
				 ENGINE_DROPPED);
}
END_TEST

START_TEST(counted)
{
	struct engine_stats s;

	config.stray = ENGINE_STRAY_REJECT;
	world_engine(&config);
	give(ENGINE_LAN, (const uint8_t *)"", 0);
	leaves(inside, server);
	give_udp(ENGINE_WAN, server, at(POOL1, 9));
	give_tcp(ENGINE_WAN, server, at(POOL1, 9), SYN);
	give_udp(ENGINE_LAN, inside, at(ROUTER, 9));
	s = stats();
	ck_assert_uint_eq(s.dropped, 1);
	ck_assert_uint_eq(s.forwarded, 1);
	ck_assert_uint_eq(s.rejected, 1);
	ck_assert_uint_eq(s.held, 1);
	ck_assert_uint_eq(s.to_host, 1);
	ck_assert_uint_eq(s.emitted, 2);
	ck_assert_uint_eq(s.mappings, 1);
	ck_assert_uint_eq(s.sessions, 1);
}
END_TEST

Suite *engine_packets_suite(void)
{
	Suite *s = suite_create("engine packets");
	TCase *t = tcase_create("packets");

	tcase_add_checked_fixture(t, setup, world_teardown);
	tcase_add_test(t, sums_of_many_ports);
	tcase_add_test(t, udp_sum_of_zero);
	tcase_add_test(t, udp_without_sum);
	tcase_add_test(t, a_wrong_sum_stays_wrong);
	tcase_add_test(t, options_and_padding);
	tcase_add_test(t, biggest);
	tcase_add_test(t, hops_run_out);
	tcase_add_test(t, an_error_quotes_up_to_576_bytes);
	tcase_add_test(t, strays);
	tcase_add_test(t, other_protocols);
	tcase_add_test(t, udp_blocked);
	tcase_add_test(t, whom_it_is_for);
	tcase_add_test(t, malformed);
	tcase_add_test(t, malformed_tcp);
	tcase_add_test(t, counted);
	suite_add_tcase(s, t);
	return s;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 5508: queries by identifier, and errors translated both ways. */
#include <string.h>

#include "tests/check_engine_world.h"

static const struct endpoint inside = {HOST1, 4000};
static const struct endpoint server = {SERVER1, 3478};
static const uint32_t hop = IP(25, 9, 9, 9); /* a router on the way */

static struct engine_config config;

static void setup(void)
{
	world_setup();
	config = world_config();
	config.ports = ENGINE_PORTS_RANDOM;
	world_engine(&config);
}

/* ---- queries ---- */

START_TEST(echo)
{
	uint16_t id;

	ck_assert_int_eq(give_echo(ENGINE_LAN, 8, HOST1, SERVER1, 77),
			 ENGINE_FORWARDED);
	ck_assert_uint_eq(w.out[0].packet.src.ip, POOL1);
	id = w.out[0].packet.icmp_id;
	ck_assert_uint_ne(id, 77);
	ck_assert_int_eq(give_echo(ENGINE_WAN, 0, SERVER1, POOL1, id),
			 ENGINE_FORWARDED);
	ck_assert_uint_eq(w.out[0].packet.dst.ip, HOST1);
	ck_assert_uint_eq(w.out[0].packet.icmp_id, 77);
	ck_assert_uint_eq(w.out[0].packet.icmp_seq, 7);
	/* Neither another identifier, nor another server, nor a query. */
	ck_assert_int_eq(give_echo(ENGINE_WAN, 0, SERVER1, POOL1, id ^ 1),
			 ENGINE_DROPPED);
	ck_assert_int_eq(give_echo(ENGINE_WAN, 0, SERVER2, POOL1, id),
			 ENGINE_DROPPED);
	ck_assert_int_eq(give_echo(ENGINE_WAN, 8, SERVER1, POOL1, id),
			 ENGINE_DROPPED);
	/* A reply that nobody asked for does not leave. */
	ck_assert_int_eq(give_echo(ENGINE_LAN, 0, HOST1, SERVER1, 77),
			 ENGINE_DROPPED);
}
END_TEST

START_TEST(echo_mapping_and_filtering)
{
	for (unsigned i = 0; i < 9; i++) {
		uint16_t id;

		config.mapping = i % 3;
		config.filtering = i / 3;
		config.seed = i;
		world_engine(&config);
		give_echo(ENGINE_LAN, 8, HOST1, SERVER1, 77);
		id = w.out[0].packet.icmp_id;
		ck_assert_int_eq(give_echo(ENGINE_WAN, 0, SERVER2, POOL1, id),
				 config.filtering == ENGINE_EI
					 ? ENGINE_FORWARDED
					 : ENGINE_DROPPED);
		give_echo(ENGINE_LAN, 8, HOST1, IP(25, 7, 7, 7), 77);
		ck_assert_int_eq(w.out[0].packet.icmp_id == id,
				 config.mapping == ENGINE_EI);
	}
}
END_TEST

START_TEST(identifier_0_and_kept)
{
	config.ports = ENGINE_PORTS_PRESERVE;
	world_engine(&config);
	for (unsigned id = 0; id < 0x20000; id += 0xffff) {
		ck_assert_int_eq(
			give_echo(ENGINE_LAN, 8, HOST1, SERVER1, (uint16_t)id),
			ENGINE_FORWARDED);
		ck_assert_uint_eq(w.out[0].packet.icmp_id, id & 0xffff);
	}
	ck_assert_int_eq(give_echo(ENGINE_LAN, 8, HOST2, SERVER1, 0),
			 ENGINE_DROPPED);
}
END_TEST

START_TEST(timestamp_query)
{
	struct ip_fields ip = {HOST1, SERVER1, PACKET_ICMP, 64, 1, 0, false, 0};
	/* Its sum is ~(0x0d00 + 7). */
	uint8_t icmp[20] = {13, 0, 0xf2, 0xf8, 0, 7}, packet[PACKET_MAX];

	ck_assert_int_eq(give(ENGINE_LAN, packet,
			      make_ip(&ip, icmp, sizeof(icmp), packet)),
			 ENGINE_FORWARDED);
	ip.src = SERVER1;
	ip.dst = POOL1;
	icmp[0] = 14;
	memcpy(icmp + 4, w.out[0].data + 24, 2);
	w.broken_sums = true; /* not worth another sum */
	ck_assert_int_eq(give(ENGINE_WAN, packet,
			      make_ip(&ip, icmp, sizeof(icmp), packet)),
			 ENGINE_FORWARDED);
	ck_assert_uint_eq(w.out[0].data[24] << 8 | w.out[0].data[25], 7);
}
END_TEST

/* ---- errors ---- */

/* Of each kind of packet that an error can be about. */
enum kind { UDP, UDP_NO_SUM, TCP, ECHO, KINDS };

static size_t make(enum kind kind, struct endpoint src, struct endpoint dst,
		   uint8_t *packet)
{
	size_t size_bytes = 0;

	switch (kind) {
	case UDP:
		return make_udp(src, dst, packet);
	case UDP_NO_SUM:
		size_bytes = make_udp(src, dst, packet);
		packet[26] = packet[27] = 0;
		break;
	case TCP:
		return make_tcp(src, dst, SYN, packet);
	case ECHO:
		return (size_t)packet_encode_icmp_echo(8, src.ip, dst.ip,
						       src.port, 1, "abc", 3,
						       packet, PACKET_MAX);
	case KINDS:
		break;
	}
	return size_bytes;
}

/* The quoted packet must be the one that was sent, but for its TTL. */
static void is_quoted(const uint8_t *sent, size_t quoted_bytes)
{
	const uint8_t *quoted = w.out[0].data + 28;

	ck_assert_uint_eq(w.out[0].size_bytes, 28 + quoted_bytes);
	ck_assert_mem_eq(quoted, sent, 8);
	ck_assert_mem_eq(quoted + 12, sent + 12, quoted_bytes - 12);
}

START_TEST(error_inbound)
{
	static const uint8_t types[] = {3, 4, 11, 12};

	for (unsigned i = 0; i < KINDS * 4 * 3; i++) {
		uint8_t sent[PACKET_MAX], error[PACKET_MAX];
		uint8_t type = types[i / KINDS % 4];
		size_t quoted_bytes, size_bytes;
		uint64_t deadline_us;

		size_bytes = make(i % KINDS, inside, server, sent);
		ck_assert_int_eq(give(ENGINE_LAN, sent, size_bytes),
				 ENGINE_FORWARDED);
		deadline_us = engine_deadline(w.engine);
		quoted_bytes = w.out[0].size_bytes;
		if (i / KINDS / 4) /* cut short, after 8 bytes or a few more */
			quoted_bytes = i / KINDS / 4 == 1 ? 28 : 31;
		size_bytes = make_error(type, 1, hop, POOL1, w.out[0].data,
					quoted_bytes, error);
		w.now_us++;
		ck_assert_int_eq(give(ENGINE_WAN, error, size_bytes),
				 ENGINE_FORWARDED);
		ck_assert_int_eq(w.out[0].to, ENGINE_LAN);
		ck_assert_uint_eq(w.out[0].packet.icmp_type, type);
		ck_assert_uint_eq(w.out[0].packet.src.ip, hop);
		ck_assert_uint_eq(w.out[0].packet.dst.ip, HOST1);
		is_quoted(sent, quoted_bytes);
		/* It neither refreshes nor ends anything: REQ-12. */
		ck_assert_uint_eq(engine_deadline(w.engine), deadline_us);
		engine_flush(w.engine, true);
	}
}
END_TEST

START_TEST(error_outbound)
{
	for (unsigned i = 0; i < KINDS * 2; i++) {
		/* From the host itself or a router on the way to it. */
		uint32_t from = i / KINDS ? IP(10, 0, 0, 77) : HOST1;
		uint8_t packet[PACKET_MAX], answer[PACKET_MAX];
		struct endpoint outside, remote = server;
		size_t size_bytes;

		size_bytes = make(i % KINDS, inside, server, packet);
		give(ENGINE_LAN, packet, size_bytes);
		outside = w.out[0].packet.src;
		if (i % KINDS == ECHO) {
			outside.port = w.out[0].packet.icmp_id;
			size_bytes = (size_t)packet_encode_icmp_echo(
				0, SERVER1, POOL1, outside.port, 1, "abc", 3,
				answer, sizeof(answer));
		} else {
			size_bytes = make(i % KINDS, remote, outside, answer);
		}
		ck_assert_int_eq(give(ENGINE_WAN, answer, size_bytes),
				 ENGINE_FORWARDED);
		size_bytes = make_error(3, 3, from, SERVER1, w.out[0].data,
					w.out[0].size_bytes, packet);
		ck_assert_int_eq(give(ENGINE_LAN, packet, size_bytes),
				 ENGINE_FORWARDED);
		ck_assert_int_eq(w.out[0].to, ENGINE_WAN);
		ck_assert_uint_eq(w.out[0].packet.src.ip, POOL1);
		ck_assert_uint_eq(w.out[0].packet.dst.ip, SERVER1);
		is_quoted(answer, w.out[0].size_bytes - 28);
		engine_flush(w.engine, true);
	}
}
END_TEST

/* An error about a packet that left, made by SPOIL into one to be dropped. */
static enum engine_verdict spoilt_error(void (*spoil)(uint8_t *quoted,
						      uint8_t *error))
{
	uint8_t quoted[PACKET_MAX], error[PACKET_MAX];
	size_t size_bytes;

	give_udp(ENGINE_LAN, inside, server);
	size_bytes = w.out[0].size_bytes;
	memcpy(quoted, w.out[0].data, size_bytes);
	spoil(quoted, NULL);
	size_bytes = make_error(3, 3, hop, POOL1, quoted, size_bytes, error);
	spoil(NULL, error);
	return give(ENGINE_WAN, error, size_bytes);
}

static void not_at_all(uint8_t *quoted, uint8_t *error)
{
	(void)quoted;
	(void)error;
}

static void another_remote(uint8_t *quoted, uint8_t *error)
{
	(void)error;
	if (!quoted)
		return;
	quoted[23] ^= 1;
	quoted[19] ^= 1;
	mend_ip(quoted);
}

static void another_port(uint8_t *quoted, uint8_t *error)
{
	(void)error;
	if (quoted)
		quoted[21] ^= 1;
}

static void another_source(uint8_t *quoted, uint8_t *error)
{
	(void)error;
	if (!quoted)
		return;
	quoted[15] ^= 2;
	mend_ip(quoted);
}

static void quoted_sum(uint8_t *quoted, uint8_t *error)
{
	(void)error;
	if (quoted)
		quoted[10] ^= 1;
}

static void quoted_fragment(uint8_t *quoted, uint8_t *error)
{
	(void)error;
	if (!quoted)
		return;
	quoted[7] = 1;
	mend_ip(quoted);
}

static void quoted_version(uint8_t *quoted, uint8_t *error)
{
	(void)error;
	if (!quoted)
		return;
	quoted[0] = 0x65;
	mend_ip(quoted);
}

static void quoted_protocol(uint8_t *quoted, uint8_t *error)
{
	(void)error;
	if (!quoted)
		return;
	quoted[9] = 47;
	mend_ip(quoted);
}

static void quoted_options(uint8_t *quoted, uint8_t *error)
{
	(void)error;
	if (quoted)
		quoted[0] = 0x4f; /* more header than there is packet */
}

static void error_sum(uint8_t *quoted, uint8_t *error)
{
	(void)quoted;
	if (error)
		error[23] ^= 1;
}

static void last_hop(uint8_t *quoted, uint8_t *error)
{
	(void)quoted;
	if (!error)
		return;
	error[8] = 1;
	mend_ip(error);
}

static void fragment(uint8_t *quoted, uint8_t *error)
{
	(void)quoted;
	if (!error)
		return;
	error[6] = 0x20;
	mend_ip(error);
}

START_TEST(errors_that_are_not_believed)
{
	static void (*const spoils[])(uint8_t *, uint8_t *) = {
		another_remote,	 another_port,	  another_source,
		quoted_sum,	 quoted_fragment, quoted_version,
		quoted_protocol, quoted_options,  error_sum,
		last_hop,	 fragment};

	ck_assert_int_eq(spoilt_error(not_at_all), ENGINE_FORWARDED);
	for (size_t i = 0; i < sizeof(spoils) / sizeof(*spoils); i++) {
		ck_assert_int_eq(spoilt_error(spoils[i]), ENGINE_DROPPED);
		ck_assert_uint_eq(w.count, 0);
	}
}
END_TEST

START_TEST(short_errors)
{
	uint8_t quoted[PACKET_MAX], error[PACKET_MAX];

	give_udp(ENGINE_LAN, inside, server);
	memcpy(quoted, w.out[0].data, w.out[0].size_bytes);
	for (size_t bytes = 0; bytes <= 28; bytes++)
		ck_assert_int_eq(give(ENGINE_WAN, error,
				      make_error(3, 3, hop, POOL1, quoted,
						 bytes, error)),
				 bytes < 28 ? ENGINE_DROPPED
					    : ENGINE_FORWARDED);
}
END_TEST

START_TEST(short_errors_with_options)
{
	struct ip_fields ip = {HOST1, SERVER1, PACKET_UDP, 64, 1, 0, false, 4};
	uint8_t udp[8] = {0x0f, 0xa0, 0x0d, 0x96, 0, 8};
	uint8_t quoted[PACKET_MAX], error[PACKET_MAX];

	give(ENGINE_LAN, quoted, make_ip(&ip, udp, sizeof(udp), quoted));
	memcpy(quoted, w.out[0].data, w.out[0].size_bytes);
	for (size_t bytes = 24; bytes <= 32; bytes++)
		ck_assert_int_eq(give(ENGINE_WAN, error,
				      make_error(3, 3, hop, POOL1, quoted,
						 bytes, error)),
				 bytes < 32 ? ENGINE_DROPPED
					    : ENGINE_FORWARDED);
}
END_TEST

/* Quotes a mapping, and a remote that only another mapping knows. */
START_TEST(error_about_another_mapping)
{
	uint8_t quoted[PACKET_MAX], error[PACKET_MAX];
	struct endpoint second;
	size_t size_bytes;

	config.mapping = ENGINE_APD;
	world_engine(&config);
	leaves(inside, server);
	second = leaves(inside, at(SERVER2, 1));
	size_bytes = make_udp(second, server, quoted);
	ck_assert_int_eq(
		give(ENGINE_WAN, error,
		     make_error(3, 3, hop, POOL1, quoted, size_bytes, error)),
		ENGINE_DROPPED);
	/* And one to another address than the quoted packet came from. */
	config.mapping = ENGINE_EI;
	config.paired_pooling = true;
	config.pool_count = 2;
	world_engine(&config);
	size_bytes = make_udp(leaves(inside, server), server, quoted);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(give(ENGINE_WAN, error,
				      make_error(3, 3, hop, POOL1 + i, quoted,
						 size_bytes, error)),
				 i ? ENGINE_DROPPED : ENGINE_FORWARDED);
}
END_TEST

START_TEST(outbound_errors_about_nothing)
{
	uint8_t packet[PACKET_MAX], error[PACKET_MAX];
	size_t size_bytes = make_udp(server, inside, packet);

	ck_assert_int_eq(give(ENGINE_LAN, error,
			      make_error(3, 3, HOST1, SERVER1, packet,
					 size_bytes, error)),
			 ENGINE_DROPPED);
	leaves(inside, server);
	/* Known now; but an error goes to whoever sent the packet. */
	ck_assert_int_eq(give(ENGINE_LAN, error,
			      make_error(3, 3, HOST1, SERVER2, packet,
					 size_bytes, error)),
			 ENGINE_DROPPED);
	ck_assert_int_eq(give(ENGINE_LAN, error,
			      make_error(3, 3, HOST1, SERVER1, packet,
					 size_bytes, error)),
			 ENGINE_FORWARDED);
	/* A redirect is no error to pass on. */
	ck_assert_int_eq(give(ENGINE_LAN, error,
			      make_error(5, 1, HOST1, SERVER1, packet,
					 size_bytes, error)),
			 ENGINE_DROPPED);
}
END_TEST

Suite *engine_icmp_suite(void)
{
	Suite *s = suite_create("engine icmp");
	TCase *t = tcase_create("icmp");

	tcase_add_checked_fixture(t, setup, world_teardown);
	tcase_add_test(t, echo);
	tcase_add_test(t, echo_mapping_and_filtering);
	tcase_add_test(t, identifier_0_and_kept);
	tcase_add_test(t, timestamp_query);
	tcase_add_test(t, error_inbound);
	tcase_add_test(t, error_outbound);
	tcase_add_test(t, errors_that_are_not_believed);
	tcase_add_test(t, short_errors);
	tcase_add_test(t, short_errors_with_options);
	tcase_add_test(t, error_about_another_mapping);
	tcase_add_test(t, outbound_errors_about_nothing);
	suite_add_tcase(s, t);
	return s;
}

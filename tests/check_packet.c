/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The frames below were built by scapy 2.8.0 (IP, UDP, TCP, ICMP, Ether,
 * Dot1Q, CookedLinux, CookedLinuxV2, fragment()), checksums and lengths left
 * for scapy to fill in, and printed with bytes(packet).hex().
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <sodium.h>

#include "tests/hex.h"
#include "wire/packet.h"

/* 10.1.2.3:41641 -> 25.0.0.9:3478, id 0x1234, TTL 61, "natrig!" */
static const char udp_eth[] =
	"020000000002020000000001080045000023123400003d11468a0a0102031900"
	"0009a2a90d96000fbd486e617472696721";
static const char udp_raw[] =
	"45000023123400003d11468a0a01020319000009a2a90d96000fbd486e617472"
	"696721";
static const char udp_vlan[] =
	"02000000000202000000000181000007080045000023123400003d11468a0a01"
	"020319000009a2a90d96000fbd486e617472696721";
static const char udp_sll[] =
	"0004000100060200000000010000080045000023123400003d11468a0a010203"
	"19000009a2a90d96000fbd486e617472696721";
static const char udp_sll2[] =
	"080000000000000300010406020000000001000045000023123400003d11468a"
	"0a01020319000009a2a90d96000fbd486e617472696721";
/* Ports 1 and 2, "x", and 17 bytes of padding behind the datagram. */
static const char udp_padded[] =
	"02000000000202000000000108004500001d123400003d1146900a0102031900"
	"000900010002000962cc780000000000000000000000000000000000";
/* A router alert option; ports 1 and 2, "hi". */
static const char udp_options[] =
	"46000022123400003d11b1860a010203190000099404000000010002000a7261"
	"6869";
/* The same with ten of them, which is as many as there is room for. */
static const char udp_all_options[] =
	"4f000046123400003d1174390a01020319000009940400009404000094040000"
	"9404000094040000940400009404000094040000940400009404000000010002"
	"000a72616869";
/* Its payload was searched for one that makes the sum zero. */
static const char udp_zero_sum[] =
	"4500001e123400003d11468f0a0102031900000900010002000affffdaca";
/* SYN and ACK, three options, "tls". */
static const char tcp[] =
	"45000033123400003d0646850a010203190000099c4001bb1122334455667788"
	"70122000a83b0000020405b401030307746c73";
static const char echo[] =
	"4500002100090000400155c70a0102031900000908003936beef000970696e67"
	"21";
static const char echo_reply[] =
	"4500002100090000400155c7190000090a01020300004136beef000970696e67"
	"21";
/* Port unreachable from 25.0.0.9 about an empty datagram. */
static const char unreachable[] =
	"45000038000100003f0156b8190000090a01020303032223000000004500001c"
	"123400003d1146910a01020319000009a2a90d9600082a92";
/* A datagram of 32 bytes, cut in two by fragment(fragsize=24). */
static const char fragment_first[] =
	"4500002c123420003d1126810a01020319000009a2a90d960028cbe330313233"
	"343536373839616263646566";
static const char fragment_last[] =
	"45000024123400033d1146860a01020319000009303132333435363738396162"
	"63646566";
static const char arp[] =
	"0200000000020200000000010806000108000604000102fc00000001c0000202"
	"00000000000000000000";
static const char ipv6[] =
	"02000000000202000000000186dd600000000008114000000000000000000000"
	"00000000000100000000000000000000000000000001003500350008ff72";
static const char esp[] =
	"4500001a123400003d3246720a010203190000096f7061717565";

static const struct {
	int link;
	const char *hex;
} frames[] = {
	{PACKET_LINK_ETHERNET, udp_eth},
	{PACKET_LINK_RAW, udp_raw},
	{PACKET_LINK_ETHERNET, udp_vlan},
	{PACKET_LINK_LINUX_SLL, udp_sll},
	{PACKET_LINK_LINUX_SLL2, udp_sll2},
	{PACKET_LINK_ETHERNET, udp_padded},
	{PACKET_LINK_IPV4, udp_options},
	{PACKET_LINK_IPV4, tcp},
	{PACKET_LINK_IPV4, echo},
	{PACKET_LINK_IPV4, unreachable},
	{PACKET_LINK_RAW, fragment_first},
	{PACKET_LINK_RAW, fragment_last},
	{PACKET_LINK_ETHERNET, arp},
	{PACKET_LINK_ETHERNET, ipv6},
	{PACKET_LINK_RAW, esp},
};

enum { FRAME_COUNT = sizeof(frames) / sizeof(frames[0]) };

static struct packet decoded(int link, const char *hex)
{
	size_t size_bytes = bytes_of(hex);
	struct err err = {0};
	struct packet p;

	ck_assert_msg(packet_decode(link, buffer, size_bytes, &p, &err) == 0,
		      "%s", err.text);
	return p;
}

static int decode_ipv4(const char *hex)
{
	size_t size_bytes = bytes_of(hex);
	struct packet p;

	return packet_decode(PACKET_LINK_IPV4, buffer, size_bytes, &p, NULL);
}

/* The five ways in which the one datagram was captured. */
START_TEST(decodes_udp_on_every_link)
{
	struct packet p = decoded(frames[_i].link, frames[_i].hex);
	char text[ENDPOINT_TEXT_BYTES];

	ck_assert(p.is_ipv4 && p.has_ports);
	ck_assert(!p.is_fragment && !p.truncated);
	ck_assert_uint_eq(p.ethertype, 0x0800);
	ck_assert_uint_eq(p.ip_proto, PACKET_UDP);
	ck_assert_uint_eq(p.ttl, 61);
	ck_assert_uint_eq(p.ip_id, 0x1234);
	ck_assert_str_eq(endpoint_format(p.src, text), "10.1.2.3:41641");
	ck_assert_str_eq(endpoint_format(p.dst, text), "25.0.0.9:3478");
	ck_assert_uint_eq(p.ip_bytes, 35);
	ck_assert_uint_eq(p.ip[0], 0x45);
	ck_assert_uint_eq(p.payload_bytes, 7);
	ck_assert_mem_eq(p.payload, "natrig!", 7);
}
END_TEST

START_TEST(decodes_link_addresses)
{
	struct packet p = decoded(PACKET_LINK_ETHERNET, udp_eth);

	ck_assert_mem_eq(p.eth_dst, "\2\0\0\0\0\2", 6);
	ck_assert_mem_eq(p.eth_src, "\2\0\0\0\0\1", 6);
	p = decoded(PACKET_LINK_LINUX_SLL2, udp_sll2);
	ck_assert_mem_eq(p.eth_src, "\2\0\0\0\0\1", 6);
	p = decoded(PACKET_LINK_LINUX_SLL, udp_sll);
	ck_assert_mem_eq(p.eth_src, "\2\0\0\0\0\1", 6);
	p = decoded(PACKET_LINK_RAW, udp_raw);
	ck_assert_mem_eq(p.eth_src, "\0\0\0\0\0\0", 6);
}
END_TEST

START_TEST(leaves_out_padding_and_options)
{
	struct packet p = decoded(PACKET_LINK_ETHERNET, udp_padded);

	ck_assert_uint_eq(p.ip_bytes, 29);
	ck_assert_uint_eq(p.payload_bytes, 1);
	p = decoded(PACKET_LINK_IPV4, udp_options);
	ck_assert_uint_eq(p.src.port, 1);
	ck_assert_uint_eq(p.payload_bytes, 2);
	ck_assert_mem_eq(p.payload, "hi", 2);
	p = decoded(PACKET_LINK_IPV4, udp_all_options);
	ck_assert_uint_eq(p.src.port, 1);
	ck_assert_uint_eq(p.payload_bytes, 2);
}
END_TEST

START_TEST(decodes_tcp)
{
	struct packet p = decoded(PACKET_LINK_IPV4, tcp);

	ck_assert(p.has_ports);
	ck_assert_uint_eq(p.src.port, 40000);
	ck_assert_uint_eq(p.dst.port, 443);
	ck_assert_uint_eq(p.tcp_seq, 0x11223344);
	ck_assert_uint_eq(p.tcp_ack, 0x55667788);
	ck_assert_uint_eq(p.tcp_flags, TCP_FLAG_SYN | TCP_FLAG_ACK);
	ck_assert_uint_eq(p.payload_bytes, 3);
	ck_assert_mem_eq(p.payload, "tls", 3);
}
END_TEST

START_TEST(decodes_icmp)
{
	struct packet p = decoded(PACKET_LINK_IPV4, echo);

	ck_assert(!p.has_ports);
	ck_assert_uint_eq(p.icmp_type, 8);
	ck_assert_uint_eq(p.icmp_id, 0xbeef);
	ck_assert_uint_eq(p.icmp_seq, 9);
	ck_assert_uint_eq(p.payload_bytes, 5);
	p = decoded(PACKET_LINK_IPV4, unreachable);
	ck_assert_uint_eq(p.icmp_type, 3);
	ck_assert_uint_eq(p.icmp_code, 3);
	ck_assert_uint_eq(p.icmp_id, 0);
	/* What the error is about can be decoded like any other packet. */
	ck_assert_int_eq(packet_decode(PACKET_LINK_IPV4, p.payload,
				       p.payload_bytes, &p, NULL),
			 0);
	ck_assert_uint_eq(p.dst.port, 3478);
	ck_assert_uint_eq(p.payload_bytes, 0);
}
END_TEST

START_TEST(decodes_fragments)
{
	struct packet p = decoded(PACKET_LINK_RAW, fragment_first);

	ck_assert(p.is_fragment && p.has_ports && !p.truncated);
	ck_assert_uint_eq(p.fragment_offset_bytes, 0);
	ck_assert_uint_eq(p.dst.port, 3478);
	ck_assert_uint_eq(p.payload_bytes, 16);
	p = decoded(PACKET_LINK_RAW, fragment_last);
	ck_assert(p.is_fragment && !p.has_ports);
	ck_assert_uint_eq(p.fragment_offset_bytes, 24);
	ck_assert_uint_eq(p.dst.port, 0);
	ck_assert_uint_eq(p.payload_bytes, 16);
	ck_assert_mem_eq(p.payload, "0123456789abcdef", 16);
}
END_TEST

START_TEST(what_is_no_ipv4_is_no_error)
{
	struct packet p = decoded(PACKET_LINK_ETHERNET, arp);

	ck_assert(!p.is_ipv4);
	ck_assert_uint_eq(p.ethertype, 0x0806);
	p = decoded(PACKET_LINK_ETHERNET, ipv6);
	ck_assert(!p.is_ipv4);
	p = decoded(PACKET_LINK_RAW, esp);
	ck_assert(p.is_ipv4 && !p.has_ports);
	ck_assert_uint_eq(p.ip_proto, 50);
	ck_assert_uint_eq(p.payload_bytes, 6);
}
END_TEST

START_TEST(refuses_contradictions)
{
	/* Version 6; header of 4 words; total length below the header. */
	ck_assert_int_eq(decode_ipv4("65000023123400003d11468a0a0102031900"
				     "0009a2a90d96000fbd486e617472696721"),
			 -EBADMSG);
	ck_assert_int_eq(decode_ipv4("44000023123400003d11468a0a0102031900"
				     "0009a2a90d96000fbd486e617472696721"),
			 -EBADMSG);
	ck_assert_int_eq(decode_ipv4("45000013123400003d11468a0a0102031900"
				     "0009a2a90d96000fbd486e617472696721"),
			 -EBADMSG);
	/* UDP length 7; UDP length one more than there is. */
	ck_assert_int_eq(decode_ipv4("45000023123400003d11468a0a0102031900"
				     "0009a2a90d960007bd486e617472696721"),
			 -EBADMSG);
	ck_assert_int_eq(decode_ipv4("45000023123400003d11468a0a0102031900"
				     "0009a2a90d960010bd486e617472696721"),
			 -EBADMSG);
	/* UDP length 7 in a first fragment, whose rest is elsewhere. */
	ck_assert_int_eq(decode_ipv4("45000023123420003d11468a0a0102031900"
				     "0009a2a90d960007bd486e617472696721"),
			 -EBADMSG);
	/* TCP header of 4 words, and of 15. */
	ck_assert_int_eq(decode_ipv4("45000028123400003d06468a0a0102031900"
				     "00099c4001bb112233445566778840122000"
				     "a83b0000"),
			 -EBADMSG);
	ck_assert_int_eq(decode_ipv4("45000028123400003d06468a0a0102031900"
				     "00099c4001bb1122334455667788f0122000"
				     "a83b0000"),
			 -EBADMSG);
	/* RAW, but neither 4 nor 6. */
	ck_assert_int_eq(packet_decode(PACKET_LINK_RAW, "\x15", 1,
				       &(struct packet){0}, NULL),
			 -EBADMSG);
}
END_TEST

START_TEST(a_tiny_first_fragment_has_no_ports)
{
	/* RFC 791 allows 8 bytes of TCP header in a first fragment. */
	size_t size_bytes = bytes_of("4500001c123420003d06468a0a010203"
				     "190000099c4001bb11223344");
	struct packet p;

	ck_assert_int_eq(
		packet_decode(PACKET_LINK_IPV4, buffer, size_bytes, &p, NULL),
		0);
	ck_assert(p.is_fragment && !p.has_ports);
	ck_assert_uint_eq(p.payload_bytes, 8);
}
END_TEST

START_TEST(an_unknown_link_is_said)
{
	struct err err = {0};
	struct packet p;

	ck_assert_int_eq(packet_decode(999, "x", 1, &p, &err), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err.text, "999"));
}
END_TEST

/* Every invariant that a user of the views relies on. */
static void check_views(const struct packet *p, const uint8_t *data,
			size_t size_bytes)
{
	if (!p->is_ipv4)
		return;
	ck_assert(p->ip >= data && p->ip + p->ip_bytes <= data + size_bytes);
	ck_assert(p->payload >= p->ip &&
		  p->payload + p->payload_bytes <= p->ip + p->ip_bytes);
}

START_TEST(survives_being_cut_anywhere)
{
	size_t size_bytes = bytes_of(frames[_i].hex);
	struct packet whole, p;

	ck_assert_int_eq(packet_decode(frames[_i].link, buffer, size_bytes,
				       &whole, NULL),
			 0);
	for (size_t n = 0; n < size_bytes; n++) {
		/* Of just that size, so that a sanitizer sees one too many. */
		uint8_t *cut = malloc(n ? n : 1);
		int ret;

		memcpy(cut, buffer, n);
		ret = packet_decode(frames[_i].link, cut, n, &p, NULL);
		ck_assert(ret == 0 || ret == -EBADMSG);
		if (!ret)
			check_views(&p, cut, n);
		if (!ret && whole.is_ipv4)
			ck_assert(p.truncated == (p.ip_bytes < whole.ip_bytes));
		free(cut);
	}
}
END_TEST

START_TEST(survives_flipped_bits)
{
	size_t size_bytes = bytes_of(frames[_i].hex);
	struct packet p;

	for (size_t bit = 0; bit < size_bytes * 8; bit++) {
		buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (packet_decode(frames[_i].link, buffer, size_bytes, &p,
				  NULL) == 0)
			check_views(&p, buffer, size_bytes);
		buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}
END_TEST

START_TEST(encodes_udp_as_scapy_does)
{
	struct endpoint src = {0x0a010203, 41641}, dst = {0x19000009, 3478};
	uint8_t out[64], frame[64];
	size_t size_bytes = bytes_of(udp_raw);
	int got = packet_encode_udp(src, dst, 61, 0x1234, "natrig!", 7, out,
				    sizeof(out));

	ck_assert_int_eq(got, (int)size_bytes);
	ck_assert_mem_eq(out, buffer, size_bytes);
	size_bytes = bytes_of(udp_eth);
	got = packet_encode_eth((const uint8_t *)"\2\0\0\0\0\1",
				(const uint8_t *)"\2\0\0\0\0\2", 0x0800, out,
				(size_t)got, frame, sizeof(frame));
	ck_assert_int_eq(got, (int)size_bytes);
	ck_assert_mem_eq(frame, buffer, size_bytes);
}
END_TEST

START_TEST(sends_a_zero_sum_as_ones)
{
	struct endpoint src = {0x0a010203, 1}, dst = {0x19000009, 2};
	size_t size_bytes = bytes_of(udp_zero_sum);
	uint8_t out[64];

	ck_assert_int_eq(packet_encode_udp(src, dst, 61, 0x1234, "\xda\xca", 2,
					   out, sizeof(out)),
			 (int)size_bytes);
	ck_assert_mem_eq(out, buffer, size_bytes);
}
END_TEST

START_TEST(encodes_icmp_echo_as_scapy_does)
{
	size_t size_bytes = bytes_of(echo);
	uint8_t out[64];

	ck_assert_int_eq(packet_encode_icmp_echo(8, 0x0a010203, 0x19000009,
						 0xbeef, 9, "ping!", 5, out,
						 sizeof(out)),
			 (int)size_bytes);
	ck_assert_mem_eq(out, buffer, size_bytes);
	size_bytes = bytes_of(echo_reply);
	ck_assert_int_eq(packet_encode_icmp_echo(0, 0x19000009, 0x0a010203,
						 0xbeef, 9, "ping!", 5, out,
						 sizeof(out)),
			 (int)size_bytes);
	ck_assert_mem_eq(out, buffer, size_bytes);
}
END_TEST

START_TEST(says_when_there_is_no_room)
{
	struct endpoint e = {1, 1};
	static uint8_t big[70000];

	for (size_t n = 0; n < 35; n++)
		ck_assert_int_eq(
			packet_encode_udp(e, e, 1, 1, "natrig!", 7, big, n),
			-EMSGSIZE);
	ck_assert_int_eq(
		packet_encode_udp(e, e, 1, 1, big, 65508, big, sizeof(big)),
		-EMSGSIZE);
	ck_assert_int_eq(
		packet_encode_udp(e, e, 1, 1, NULL, SIZE_MAX, big, sizeof(big)),
		-EMSGSIZE);
	ck_assert_int_eq(packet_encode_udp(e, e, 1, 1, NULL, 0, big, 28), 28);
	ck_assert_int_eq(
		packet_encode_icmp_echo(8, 1, 1, 1, 1, NULL, 0, big, 27),
		-EMSGSIZE);
	ck_assert_int_eq(packet_encode_icmp_echo(8, 1, 1, 1, 1, big, 65508, big,
						 sizeof(big)),
			 -EMSGSIZE);
}
END_TEST

START_TEST(sums_as_rfc_1071_does)
{
	/* The numerical example of RFC 1071, section 3: ddf2 inverted. */
	static const uint8_t data[] = {0x00, 0x01, 0xf2, 0x03,
				       0xf4, 0xf5, 0xf6, 0xf7};

	ck_assert_uint_eq(packet_checksum(data, sizeof(data)), 0x220d);
	ck_assert_uint_eq(packet_checksum(data, 3), (uint16_t)~0xf201);
	ck_assert_uint_eq(packet_checksum(NULL, 0), 0xffff);
}
END_TEST

static TCase *decoding(void)
{
	TCase *tc = tcase_create("decode");

	tcase_add_loop_test(tc, decodes_udp_on_every_link, 0, 5);
	tcase_add_test(tc, decodes_link_addresses);
	tcase_add_test(tc, leaves_out_padding_and_options);
	tcase_add_test(tc, decodes_tcp);
	tcase_add_test(tc, decodes_icmp);
	tcase_add_test(tc, decodes_fragments);
	tcase_add_test(tc, what_is_no_ipv4_is_no_error);
	tcase_add_test(tc, refuses_contradictions);
	tcase_add_test(tc, a_tiny_first_fragment_has_no_ports);
	tcase_add_test(tc, an_unknown_link_is_said);
	tcase_add_loop_test(tc, survives_being_cut_anywhere, 0, FRAME_COUNT);
	tcase_add_loop_test(tc, survives_flipped_bits, 0, FRAME_COUNT);
	return tc;
}

int main(void)
{
	Suite *suite = suite_create("packet");
	TCase *tc = tcase_create("encode");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, decoding());
	tcase_add_test(tc, encodes_udp_as_scapy_does);
	tcase_add_test(tc, sends_a_zero_sum_as_ones);
	tcase_add_test(tc, encodes_icmp_echo_as_scapy_does);
	tcase_add_test(tc, says_when_there_is_no_room);
	tcase_add_test(tc, sums_as_rfc_1071_does);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

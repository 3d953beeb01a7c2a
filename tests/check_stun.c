/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Vectors: RFC 5769 sections 2.1 to 2.3, as printed there; their FINGERPRINT
 * and MESSAGE-INTEGRITY (password VOkJxbRl1RmTxUk/WvJxBt) were checked with
 * Python's zlib and hmac. The others were built by github.com/pion/stun/v3
 * v3.0.0 (stun.Build with its attribute types) and printed from Message.Raw.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "tests/hex.h"
#include "wire/stun.h"

static const char rfc_request[] =
	"000100582112a442b7e7a701bc34d686fa87dfae802200105354554e20746573"
	"7420636c69656e74002400046e0001ff80290008932ff9b151263b3600060009"
	"6576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249"
	"c1b571a280280004e57a3bcf";
static const char rfc_ipv4[] =
	"0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563"
	"746f7220002000080001a147e112a643000800142b91f599fd9e90c38c7489f9"
	"2af9ba53f06be7d780280004c07d4c96";
static const char rfc_ipv6[] =
	"010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563"
	"746f7220002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014"
	"a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c";
static const char pion_request[] =
	"000100142112a442101112131415161718191a1b802200066e61747269670000"
	"80280004468bfec3";
static const char pion_response[] =
	"010100342112a442101112131415161718191a1b8022000470696f6e00200008"
	"000183bb3812a440802b000800010d9619000009802c000800010d971900000a"
	"80280004b3f67ab0";
static const char pion_mapped[] =
	"0101000c2112a442101112131415161718191a1b000100080001a2a919000002";
static const char pion_error[] =
	"0111001c2112a442101112131415161718191a1b0009001500000414556e6b6e"
	"6f776e20417474726962757465000000";

static const char *const vectors[] = {
	rfc_request,   rfc_ipv4,    rfc_ipv6,	pion_request,
	pion_response, pion_mapped, pion_error,
};

enum { VECTOR_COUNT = sizeof(vectors) / sizeof(vectors[0]) };

static const uint8_t rfc_txid[STUN_TXID_BYTES] = {
	0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae};
static const uint8_t pion_txid[STUN_TXID_BYTES] = {
	0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b};

static struct stun_message decoded(const char *hex)
{
	size_t size_bytes = bytes_of(hex);
	struct err err = {0};
	struct stun_message m;

	ck_assert(stun_looks_like(buffer, size_bytes));
	ck_assert_msg(stun_decode(buffer, size_bytes, &m, &err) == 0, "%s",
		      err.text);
	return m;
}

static int refusal(const char *hex)
{
	struct stun_message m;
	size_t size_bytes = bytes_of(hex);

	return stun_decode(buffer, size_bytes, &m, NULL);
}

static void assert_endpoint(struct endpoint e, const char *want)
{
	char text[ENDPOINT_TEXT_BYTES];

	ck_assert_str_eq(endpoint_format(e, text), want);
}

START_TEST(decodes_the_rfc_request)
{
	struct stun_message m = decoded(rfc_request);

	ck_assert_int_eq((int)m.class, STUN_REQUEST);
	ck_assert_uint_eq(m.method, STUN_METHOD_BINDING);
	ck_assert_mem_eq(m.txid, rfc_txid, sizeof(rfc_txid));
	ck_assert_str_eq(m.software, "STUN test client");
	ck_assert(m.fingerprint);
	/* PRIORITY is ICE's: required, and nothing a STUN server knows. */
	ck_assert_uint_eq(m.unknown_required_count, 1);
	ck_assert_uint_eq(m.unknown_required[0], 0x0024);
}
END_TEST

START_TEST(decodes_the_rfc_ipv4_response)
{
	struct stun_message m = decoded(rfc_ipv4);

	ck_assert_int_eq((int)m.class, STUN_SUCCESS);
	ck_assert_str_eq(m.software, "test vector");
	assert_endpoint(m.mapped, "192.0.2.1:32853");
	ck_assert(m.fingerprint);
	ck_assert_uint_eq(m.unknown_required_count, 0);
}
END_TEST

START_TEST(tolerates_the_rfc_ipv6_response)
{
	struct stun_message m = decoded(rfc_ipv6);

	ck_assert_int_eq((int)m.class, STUN_SUCCESS);
	ck_assert(m.fingerprint);
	assert_endpoint(m.mapped, "0.0.0.0:0");
}
END_TEST

START_TEST(decodes_what_pion_sends)
{
	struct stun_message m = decoded(pion_response);

	ck_assert_mem_eq(m.txid, pion_txid, sizeof(pion_txid));
	assert_endpoint(m.mapped, "25.0.0.2:41641");
	assert_endpoint(m.response_origin, "25.0.0.9:3478");
	assert_endpoint(m.other_address, "25.0.0.10:3479");
	ck_assert_str_eq(m.software, "pion");
	m = decoded(pion_mapped);
	assert_endpoint(m.mapped, "25.0.0.2:41641");
	ck_assert(!m.fingerprint);
	m = decoded(pion_error);
	ck_assert_int_eq((int)m.class, STUN_ERROR);
	ck_assert_uint_eq(m.error_code, 420);
	ck_assert_str_eq(m.error_reason, "Unknown Attribute");
}
END_TEST

START_TEST(encodes_what_pion_sends)
{
	static const char *const same[] = {pion_request, pion_response,
					   pion_error};
	struct stun_message m = decoded(same[_i]);
	size_t size_bytes = bytes_of(same[_i]);
	uint8_t out[256];

	ck_assert_int_eq(stun_encode(&m, out, sizeof(out)), (int)size_bytes);
	ck_assert_mem_eq(out, buffer, size_bytes);
}
END_TEST

START_TEST(comes_back_as_it_went)
{
	struct stun_message m = {
		.class = STUN_REQUEST,
		.method = STUN_METHOD_BINDING,
		.txid = {1, 2, 3},
		.change_request = STUN_CHANGE_IP | STUN_CHANGE_PORT,
		.response_port = 4711,
		.padding_bytes = 99,
		.software = "an odd length",
		.fingerprint = true,
	};
	struct stun_message back;
	uint8_t out[256];
	int size_bytes = stun_encode(&m, out, sizeof(out));

	ck_assert_int_gt(size_bytes, 0);
	ck_assert_int_eq(stun_decode(out, (size_t)size_bytes, &back, NULL), 0);
	ck_assert_uint_eq(back.change_request, m.change_request);
	ck_assert_uint_eq(back.response_port, 4711);
	ck_assert_uint_eq(back.padding_bytes, 99);
	ck_assert_str_eq(back.software, m.software);
	ck_assert(back.fingerprint);
	ck_assert_uint_eq(back.unknown_required_count, 0);
	for (size_t n = 0; n < (size_t)size_bytes; n++)
		ck_assert_int_eq(stun_encode(&m, out, n), -EMSGSIZE);
}
END_TEST

START_TEST(an_error_lists_what_it_did_not_know)
{
	/*
	 * By hand from RFC 8489 14.9, 16 bits each: pion v3.0.0 writes 32.
	 */
	static const char hex[] = "011100142112a442"
				  "101112131415161718191a1b"
				  "0009000400000414"
				  "000a0006003370011234"
				  "0000";
	struct stun_message m = decoded(hex);
	size_t size_bytes = bytes_of(hex);
	uint8_t out[64];

	ck_assert_uint_eq(m.error_code, 420);
	ck_assert_uint_eq(m.unknown_required_count, 3);
	ck_assert_uint_eq(m.unknown_required[0], 0x0033);
	ck_assert_uint_eq(m.unknown_required[2], 0x1234);
	ck_assert_int_eq(stun_encode(&m, out, sizeof(out)), (int)size_bytes);
	ck_assert_mem_eq(out, buffer, size_bytes);
}
END_TEST

START_TEST(every_class_and_method_comes_back)
{
	struct stun_message m = {.class = (enum stun_class)_i}, back;
	uint8_t out[20];

	for (unsigned method = 0; method <= 0xfff; method++) {
		m.method = (uint16_t)method;
		ck_assert_int_eq(stun_encode(&m, out, sizeof(out)), 20);
		ck_assert(stun_looks_like(out, 20));
		ck_assert_int_eq(stun_decode(out, 20, &back, NULL), 0);
		ck_assert_int_eq((int)back.class, _i);
		ck_assert_uint_eq(back.method, method);
	}
}
END_TEST

START_TEST(xor_mapped_wins_over_mapped)
{
	/* MAPPED-ADDRESS 1.1.1.1:1 before and after the XORed 25.0.0.2. */
	struct stun_message m = decoded("010100242112a442"
					"101112131415161718191a1b"
					"000100080001000101010101"
					"00200008000183bb3812a440"
					"000100080001000101010101");

	assert_endpoint(m.mapped, "25.0.0.2:41641");
}
END_TEST

START_TEST(ignores_what_follows_message_integrity)
{
	/* MESSAGE-INTEGRITY, then a MAPPED-ADDRESS: nobody signed for it. */
	struct stun_message m =
		decoded("010100242112a442101112131415161718191a1b"
			"00080014000000000000000000000000000000000000000"
			"0"
			"000100080001a2a919000002");

	assert_endpoint(m.mapped, "0.0.0.0:0");
}
END_TEST

START_TEST(keeps_only_printable_text)
{
	/* SOFTWARE "a", ESC, 0x80, "b" */
	struct stun_message m = decoded("010100082112a442"
					"101112131415161718191a1b"
					"80220004611b8062");

	ck_assert_str_eq(m.software, "a??b");
}
END_TEST

static const char *const malformed[] = {
	/* No cookie; top bits set; a header cut short. */
	"000100002112a443101112131415161718191a1b",
	"400100002112a442101112131415161718191a1b",
	"000100002112a442101112131415161718191a",
	/* Length beyond and below what follows, and not a multiple of four. */
	"000100042112a442101112131415161718191a1b",
	"000100002112a442101112131415161718191a1b80220000",
	"000100022112a442101112131415161718191a1b8022",
	/* An attribute that runs over the end; one whose padding does. */
	"000100042112a442101112131415161718191a1b80220001",
	"000100082112a442101112131415161718191a1b8022000561626364",
	/* Address of an unknown family, and of a size its family has not. */
	"0101000c2112a442101112131415161718191a1b002000080003a1470a0a0a0a",
	"0101000c2112a442101112131415161718191a1b002000080002a1470a0a0a0a",
	"010100082112a442101112131415161718191a1b002000040001a147",
	/* CHANGE-REQUEST and RESPONSE-PORT of wrong sizes. */
	"000100042112a442101112131415161718191a1b00030000",
	"000100042112a442101112131415161718191a1b00270000",
	/* Error codes 700, 200 and 4100. */
	"011100082112a442101112131415161718191a1b0009000400000700",
	"011100082112a442101112131415161718191a1b0009000400000200",
	"011100082112a442101112131415161718191a1b0009000400000464",
	/* FINGERPRINT wrong by one bit, too short, and right but not the last.
	 */
	"000100082112a442101112131415161718191a1b802800041196d275",
	"000100042112a442101112131415161718191a1b80280000",
	"0001000c2112a442101112131415161718191a1b80280004629ef5bb80220000",
};

START_TEST(refuses)
{
	ck_assert_int_eq(refusal(malformed[_i]), -EBADMSG);
}
END_TEST

START_TEST(a_list_too_long_is_cut)
{
	/* Ten attributes of type 0x7f00, all required, none known. */
	uint8_t message[20 + 40] = {0, 1, 0, 40, 0x21, 0x12, 0xa4, 0x42};
	struct stun_message m;
	uint8_t out[64];

	for (size_t at = 20; at < sizeof(message); at += 4)
		message[at] = 0x7f;
	ck_assert_int_eq(stun_decode(message, sizeof(message), &m, NULL), 0);
	ck_assert_uint_eq(m.unknown_required_count, 8);
	m.class = STUN_ERROR;
	m.unknown_required_count = 9;
	ck_assert_int_eq(stun_encode(&m, out, sizeof(out)), -EMSGSIZE);
}
END_TEST

START_TEST(refuses_being_cut_anywhere)
{
	size_t size_bytes = bytes_of(vectors[_i]);
	struct stun_message m;

	for (size_t n = 0; n < size_bytes; n++) {
		uint8_t *cut = malloc(n ? n : 1);

		memcpy(cut, buffer, n);
		ck_assert_int_eq(stun_decode(cut, n, &m, NULL), -EBADMSG);
		free(cut);
	}
}
END_TEST

START_TEST(a_flipped_bit_fails_the_fingerprint)
{
	static const char *const signed_ones[] = {rfc_request, rfc_ipv4,
						  rfc_ipv6};
	size_t size_bytes = bytes_of(signed_ones[_i]);
	struct stun_message m;

	for (size_t bit = 0; bit < size_bytes * 8; bit++) {
		int ret;

		buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ret = stun_decode(buffer, size_bytes, &m, NULL);
		/* One way out: FINGERPRINT became another type. */
		ck_assert(ret == -EBADMSG || !m.fingerprint);
		buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stun");
	TCase *tc = tcase_create("stun");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, decodes_the_rfc_request);
	tcase_add_test(tc, decodes_the_rfc_ipv4_response);
	tcase_add_test(tc, tolerates_the_rfc_ipv6_response);
	tcase_add_test(tc, decodes_what_pion_sends);
	tcase_add_loop_test(tc, encodes_what_pion_sends, 0, 3);
	tcase_add_test(tc, comes_back_as_it_went);
	tcase_add_test(tc, an_error_lists_what_it_did_not_know);
	tcase_add_loop_test(tc, every_class_and_method_comes_back, 0, 4);
	tcase_add_test(tc, xor_mapped_wins_over_mapped);
	tcase_add_test(tc, ignores_what_follows_message_integrity);
	tcase_add_test(tc, keeps_only_printable_text);
	tcase_add_loop_test(tc, refuses, 0,
			    sizeof(malformed) / sizeof(malformed[0]));
	tcase_add_test(tc, a_list_too_long_is_cut);
	tcase_add_loop_test(tc, refuses_being_cut_anywhere, 0, VECTOR_COUNT);
	tcase_add_loop_test(tc, a_flipped_bit_fails_the_fingerprint, 0, 3);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

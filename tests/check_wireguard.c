/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The messages were written down in a Go program between two devices of
 * golang.zx2c4.com/wireguard v0.0.0-20250521234502-f333402bd9cb (package
 * device, over conn/bindtest's channels, one ping through tun/tuntest); the
 * cookie was made by its CookieChecker.CreateReply for that initiation.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "tests/hex.h"
#include "wire/wireguard.h"

static const char initiation[] =
	"01000000781f34aa9c6b93564dc15c3a4b94ff0ff33a7e92345632467eb82271"
	"06be04ec9956fd3000a350b1b500b5b0e4653aab3c0961a1950e6ee497f99a99"
	"26ce80f016487b3bf9a966e56dd868896d649c1e71893995453c72b96f3e80b4"
	"975bdeb2c9314c1694782a74dfe82e5242cb1442ba84cedf01eeb4ad51819254"
	"a407a3ae00000000000000000000000000000000";
static const char response[] =
	"02000000c10df6a5781f34aa7ca16478a1132873fcd1b3786d72cdee6fec65f9"
	"1046d5f0ae2d9deff021943b508ed574f56da90586500832a4fd817b0c4f4e65"
	"6dc06018a798c1fee7e016c700000000000000000000000000000000";
static const char cookie[] =
	"03000000781f34aa9632bef9453a51373404307b40bcb5a76bf8c6773e5a4ed9"
	"b37f9ba4d457e8a643d562b987b5c7679c367ace4dd0403fe97e987bd0d2596d";
static const char data[] =
	"04000000c10df6a50000000000000000c863d9cdfa7c7f6efa7a82fa7e25200b"
	"50b0fbbc8453da261aaaee8203d94161af9df175f11a352e479aed537282015d";

static const char *const vectors[] = {initiation, response, cookie, data};

enum { VECTOR_COUNT = sizeof(vectors) / sizeof(vectors[0]) };

static struct wireguard_message decoded(const char *hex)
{
	size_t size_bytes = bytes_of(hex);
	struct wireguard_message m;

	ck_assert(wireguard_looks_like(buffer, size_bytes));
	ck_assert_int_eq(wireguard_decode(buffer, size_bytes, &m, NULL), 0);
	return m;
}

START_TEST(decodes_a_handshake)
{
	struct wireguard_message m = decoded(initiation);
	static const uint8_t zero[16];

	/* Little-endian: 78 1f 34 aa on the wire. */
	ck_assert_uint_eq(m.type, WIREGUARD_INITIATION);
	ck_assert_uint_eq(m.sender, 0xaa341f78);
	ck_assert_mem_eq(m.ephemeral, buffer + 8, 32);
	ck_assert_mem_eq(m.sealed_static, buffer + 40, 48);
	ck_assert_mem_eq(m.sealed_timestamp, buffer + 88, 28);
	ck_assert_mem_eq(m.mac1, buffer + 116, 16);
	ck_assert_mem_eq(m.mac2, zero, sizeof(zero));
	m = decoded(response);
	ck_assert_uint_eq(m.type, WIREGUARD_RESPONSE);
	ck_assert_uint_eq(m.sender, 0xa5f60dc1);
	ck_assert_uint_eq(m.receiver, 0xaa341f78);
	ck_assert_mem_eq(m.ephemeral, buffer + 12, 32);
	ck_assert_mem_eq(m.sealed_nothing, buffer + 44, 16);
	ck_assert_mem_eq(m.mac1, buffer + 60, 16);
}
END_TEST

START_TEST(decodes_cookie_and_data)
{
	struct wireguard_message m = decoded(cookie);

	ck_assert_uint_eq(m.type, WIREGUARD_COOKIE);
	ck_assert_uint_eq(m.receiver, 0xaa341f78);
	ck_assert_uint_eq(m.packet_bytes, 24 + 32);
	m = decoded(data);
	ck_assert_uint_eq(m.type, WIREGUARD_DATA);
	ck_assert_uint_eq(m.receiver, 0xa5f60dc1);
	ck_assert(m.counter == 0);
	ck_assert_ptr_eq(m.packet, buffer + 16);
	ck_assert_uint_eq(m.packet_bytes, 48);
	/* The second packet's counter, as the whitepaper has it (5.4.6). */
	buffer[8] = 1;
	buffer[15] = 2;
	ck_assert_int_eq(wireguard_decode(buffer, 64, &m, NULL), 0);
	ck_assert(m.counter == 0x0200000000000001);
}
END_TEST

START_TEST(encodes_what_was_sent)
{
	struct wireguard_message m = decoded(vectors[_i]);
	size_t size_bytes = bytes_of(vectors[_i]);
	uint8_t out[256];

	ck_assert_int_eq(wireguard_encode(&m, out, sizeof(out)),
			 (int)size_bytes);
	ck_assert_mem_eq(out, buffer, size_bytes);
	for (size_t n = 0; n < size_bytes; n++)
		ck_assert_int_eq(wireguard_encode(&m, out, n), -EMSGSIZE);
}
END_TEST

START_TEST(only_data_comes_in_sizes)
{
	size_t size_bytes = bytes_of(vectors[_i]);
	struct err err = {0};
	struct wireguard_message m;

	for (size_t n = 0; n < sizeof(buffer); n++) {
		bool fits = vectors[_i] == data ? n >= 32 : n == size_bytes;
		uint8_t *cut = malloc(n ? n : 1);

		memcpy(cut, buffer, n);
		ck_assert(wireguard_looks_like(cut, n) == fits);
		ck_assert_int_eq(wireguard_decode(cut, n, &m, &err),
				 fits ? 0 : -EBADMSG);
		free(cut);
	}
	ck_assert_uint_gt(strlen(err.text), 0);
}
END_TEST

START_TEST(type_and_reserved_bytes_count)
{
	size_t size_bytes = bytes_of(vectors[_i]);
	struct wireguard_message m;

	for (size_t bit = 0; bit < size_bytes * 8; bit++) {
		int ret;

		buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ret = wireguard_decode(buffer, size_bytes, &m, NULL);
		/* A message of any type is long enough to pass for data. */
		if (bit < 32 && m.type != WIREGUARD_DATA)
			ck_assert_int_eq(ret, -EBADMSG);
		else
			ck_assert_int_eq(ret, 0);
		buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}
END_TEST

START_TEST(says_what_cannot_be_sent)
{
	struct wireguard_message m = {
		.type = WIREGUARD_DATA, .packet = buffer, .packet_bytes = 15};
	uint8_t out[256];

	ck_assert_int_eq(wireguard_encode(&m, out, sizeof(out)), -EINVAL);
	m.packet_bytes = 16;
	ck_assert_int_eq(wireguard_encode(&m, out, sizeof(out)), 32);
	m.type = WIREGUARD_COOKIE;
	ck_assert_int_eq(wireguard_encode(&m, out, sizeof(out)), -EINVAL);
	m.type = 0;
	ck_assert_int_eq(wireguard_encode(&m, out, sizeof(out)), -EINVAL);
	m.type = 5;
	ck_assert_int_eq(wireguard_encode(&m, out, sizeof(out)), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wireguard");
	TCase *tc = tcase_create("wireguard");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, decodes_a_handshake);
	tcase_add_test(tc, decodes_cookie_and_data);
	tcase_add_loop_test(tc, encodes_what_was_sent, 0, VECTOR_COUNT);
	tcase_add_loop_test(tc, only_data_comes_in_sizes, 0, VECTOR_COUNT);
	tcase_add_loop_test(tc, type_and_reserved_bytes_count, 0, VECTOR_COUNT);
	tcase_add_test(tc, says_what_cannot_be_sent);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

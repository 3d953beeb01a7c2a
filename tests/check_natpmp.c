/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Captured with dumpcap in a throwaway network namespace: the requests are
 * those of Debian's natpmpc 20150609 and, for the deletion, of tailscale.com
 * v1.90.0's net/portmapper; the responses are miniupnpd 2.3.1's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "tests/hex.h"
#include "wire/natpmp.h"

static const struct {
	const char *hex;
	struct natpmp_message m;
} vectors[] = {
	{"0000", {.op = NATPMP_ADDRESS}},
	{"008000000000000119000002",
	 {.response = true, .epoch_s = 1, .external_ip = 0x19000002}},
	{"00010000a2a9a2a900001c20",
	 {.op = NATPMP_MAP_UDP,
	  .internal_port = 41641,
	  .external_port = 41641,
	  .lifetime_s = 7200}},
	{"0081000000000001a2a9a2a900001c20",
	 {.response = true,
	  .op = NATPMP_MAP_UDP,
	  .epoch_s = 1,
	  .internal_port = 41641,
	  .external_port = 41641,
	  .lifetime_s = 7200}},
	{"000200001f90000000000e10",
	 {.op = NATPMP_MAP_TCP, .internal_port = 8080, .lifetime_s = 3600}},
	{"00820000000000011f901f9000000e10",
	 {.response = true,
	  .op = NATPMP_MAP_TCP,
	  .epoch_s = 1,
	  .internal_port = 8080,
	  .external_port = 8080,
	  .lifetime_s = 3600}},
	{"0081000000000003a2a9000000000000",
	 {.response = true,
	  .op = NATPMP_MAP_UDP,
	  .epoch_s = 3,
	  .internal_port = 41641}},
};

enum { VECTOR_COUNT = sizeof(vectors) / sizeof(vectors[0]) };

static void assert_same(const struct natpmp_message *a,
			const struct natpmp_message *b)
{
	ck_assert_int_eq(a->response, b->response);
	ck_assert_uint_eq(a->op, b->op);
	ck_assert_uint_eq(a->result, b->result);
	ck_assert_uint_eq(a->epoch_s, b->epoch_s);
	ck_assert_uint_eq(a->external_ip, b->external_ip);
	ck_assert_uint_eq(a->internal_port, b->internal_port);
	ck_assert_uint_eq(a->external_port, b->external_port);
	ck_assert_uint_eq(a->lifetime_s, b->lifetime_s);
}

START_TEST(decodes_what_was_captured)
{
	size_t size_bytes = bytes_of(vectors[_i].hex);
	struct natpmp_message m;

	ck_assert_int_eq(natpmp_decode(buffer, size_bytes, &m, NULL), 0);
	assert_same(&m, &vectors[_i].m);
}
END_TEST

START_TEST(encodes_what_was_captured)
{
	size_t size_bytes = bytes_of(vectors[_i].hex);
	uint8_t out[NATPMP_MAX_BYTES];

	ck_assert_int_eq(natpmp_encode(&vectors[_i].m, out, sizeof(out)),
			 (int)size_bytes);
	ck_assert_mem_eq(out, buffer, size_bytes);
	for (size_t n = 0; n < size_bytes; n++)
		ck_assert_int_eq(natpmp_encode(&vectors[_i].m, out, n),
				 -EMSGSIZE);
}
END_TEST

START_TEST(refuses_being_cut_anywhere)
{
	size_t size_bytes = bytes_of(vectors[_i].hex);
	struct natpmp_message m;

	for (size_t n = 0; n < size_bytes; n++) {
		uint8_t *cut = malloc(n ? n : 1);

		memcpy(cut, buffer, n);
		ck_assert_int_eq(natpmp_decode(cut, n, &m, NULL), -EBADMSG);
		free(cut);
	}
}
END_TEST

START_TEST(survives_flipped_bits)
{
	size_t size_bytes = bytes_of(vectors[_i].hex);
	struct natpmp_message m, back;
	uint8_t out[NATPMP_MAX_BYTES];

	for (size_t bit = 0; bit < size_bytes * 8; bit++) {
		int ret;

		buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ret = natpmp_decode(buffer, size_bytes, &m, NULL);
		if (bit < 8)
			ck_assert_int_eq(ret, -EBADMSG);
		buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (ret)
			continue;
		ret = natpmp_encode(&m, out, sizeof(out));
		ck_assert_int_eq(natpmp_decode(out, (size_t)ret, &back, NULL),
				 0);
		assert_same(&back, &m);
	}
}
END_TEST

START_TEST(a_failure_may_be_short)
{
	struct natpmp_message m;

	/* RFC 6886 3.5: a result that is not 0, with and without the rest. */
	ck_assert_int_eq(natpmp_decode("\0\x81\0\2\0\0\0\7", 8, &m, NULL), 0);
	ck_assert_uint_eq(m.result, NATPMP_REFUSED);
	ck_assert_uint_eq(m.epoch_s, 7);
	ck_assert_int_eq(natpmp_decode("\0\x80\0\3\0\0\0\7", 8, &m, NULL), 0);
	ck_assert_uint_eq(m.result, NATPMP_NETWORK_FAILURE);
	ck_assert_int_eq(natpmp_decode("\0\x81\0\0\0\0\0\7", 8, &m, NULL),
			 -EBADMSG);
}
END_TEST

START_TEST(leaves_other_versions_to_pcp)
{
	struct err err = {0};
	struct natpmp_message m;

	ck_assert_int_eq(natpmp_decode("\2\0", 2, &m, &err), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "version 2"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("natpmp");
	TCase *tc = tcase_create("natpmp");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tc, decodes_what_was_captured, 0, VECTOR_COUNT);
	tcase_add_loop_test(tc, encodes_what_was_captured, 0, VECTOR_COUNT);
	tcase_add_loop_test(tc, refuses_being_cut_anywhere, 0, VECTOR_COUNT);
	tcase_add_loop_test(tc, survives_flipped_bits, 0, VECTOR_COUNT);
	tcase_add_test(tc, a_failure_may_be_short);
	tcase_add_test(tc, leaves_other_versions_to_pcp);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

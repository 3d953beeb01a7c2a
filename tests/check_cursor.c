/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "wire/cursor.h"

static const uint8_t eight[8] = {1, 2, 3, 4, 5, 6, 7, 8};

START_TEST(reads_integers_in_both_orders)
{
	struct reader r = reader_over(eight, sizeof(eight));

	ck_assert_uint_eq(reader_u8(&r), 0x01);
	ck_assert_uint_eq(reader_u16(&r), 0x0203);
	ck_assert_uint_eq(reader_u32(&r), 0x04050607);
	ck_assert_uint_eq(reader_left(&r), 1);
	r = reader_over(eight, sizeof(eight));
	ck_assert(reader_u64(&r) == 0x0102030405060708);
	r = reader_over(eight, sizeof(eight));
	ck_assert_uint_eq(reader_u16_le(&r), 0x0201);
	ck_assert_uint_eq(reader_u32_le(&r), 0x06050403);
	r = reader_over(eight, sizeof(eight));
	ck_assert(reader_u64_le(&r) == 0x0807060504030201);
	ck_assert(!r.bad);
	ck_assert_uint_eq(reader_left(&r), 0);
}
END_TEST

START_TEST(a_reader_past_the_end_stays_bad)
{
	struct reader r = reader_over(eight, sizeof(eight));
	uint8_t to[4] = {9, 9, 9, 9};

	reader_skip(&r, 5);
	ck_assert_uint_eq(reader_u32(&r), 0);
	ck_assert(r.bad);
	ck_assert_uint_eq(reader_u8(&r), 0);
	ck_assert_ptr_null(reader_view(&r, 1));
	reader_bytes(&r, to, sizeof(to));
	ck_assert_int_eq(to[0] | to[1] | to[2] | to[3], 0);
	ck_assert_uint_eq(reader_left(&r), 0);
}
END_TEST

START_TEST(a_reader_ends_exactly_at_its_end)
{
	struct reader r = reader_over(eight, sizeof(eight));

	ck_assert_ptr_eq(reader_view(&r, 8), eight);
	ck_assert_ptr_nonnull(reader_view(&r, 0));
	ck_assert(!r.bad);
	reader_skip(&r, 1);
	ck_assert(r.bad);
}
END_TEST

START_TEST(a_huge_size_does_not_wrap_around)
{
	struct reader r = reader_over(eight, sizeof(eight));
	uint8_t out[8];
	struct writer w = writer_over(out, sizeof(out));

	reader_skip(&r, 4);
	reader_skip(&r, SIZE_MAX - 2);
	ck_assert(r.bad);
	writer_u32(&w, 1);
	ck_assert_ptr_null(writer_room(&w, SIZE_MAX - 2));
	ck_assert_int_eq(writer_result(&w), -EMSGSIZE);
}
END_TEST

START_TEST(expect_compares)
{
	struct reader r = reader_over(eight, sizeof(eight));

	reader_expect(&r, eight, 4);
	ck_assert(!r.bad);
	reader_expect(&r, eight, 4);
	ck_assert(r.bad);
	r = reader_over(eight, 3);
	reader_expect(&r, eight, 4);
	ck_assert(r.bad);
}
END_TEST

START_TEST(nothing_can_be_read_from_and_written_to)
{
	struct reader r = reader_over(NULL, 0);
	struct writer w = writer_over(NULL, 0);

	reader_bytes(&r, NULL, 0);
	reader_expect(&r, NULL, 0);
	ck_assert(!r.bad);
	ck_assert_uint_eq(reader_u8(&r), 0);
	ck_assert(r.bad);
	writer_bytes(&w, NULL, 0);
	writer_zero(&w, 0);
	ck_assert_int_eq(writer_result(&w), 0);
	writer_u8(&w, 1);
	ck_assert_int_eq(writer_result(&w), -EMSGSIZE);
}
END_TEST

START_TEST(writes_integers_in_both_orders)
{
	uint8_t out[15];
	static const uint8_t want[15] = {1, 2, 3, 4, 5, 6, 7, 1,
					 3, 2, 7, 6, 5, 4, 0};
	struct writer w = writer_over(out, sizeof(out));

	writer_u8(&w, 0x01);
	writer_u16(&w, 0x0203);
	writer_u32(&w, 0x04050607);
	writer_u8(&w, 0x01);
	writer_u16_le(&w, 0x0203);
	writer_u32_le(&w, 0x04050607);
	writer_zero(&w, 1);
	ck_assert_int_eq(writer_result(&w), 15);
	ck_assert_mem_eq(out, want, sizeof(want));
	w = writer_over(out, sizeof(out));
	writer_u64(&w, 0x0102030405060708);
	ck_assert_mem_eq(out, eight, sizeof(eight));
	w = writer_over(out, sizeof(out));
	writer_u64_le(&w, 0x0807060504030201);
	ck_assert_mem_eq(out, eight, sizeof(eight));
}
END_TEST

START_TEST(a_full_writer_writes_nothing_more)
{
	uint8_t out[4] = {0, 0, 0, 0xee};
	struct writer w = writer_over(out, 3);

	writer_u16(&w, 0xffff);
	writer_u16(&w, 0xffff);
	writer_u8(&w, 0xff);
	ck_assert_int_eq(writer_result(&w), -EMSGSIZE);
	ck_assert_uint_eq(out[2], 0);
	ck_assert_uint_eq(out[3], 0xee);
}
END_TEST

START_TEST(patches_only_what_was_written)
{
	uint8_t out[8] = {0};
	struct writer w = writer_over(out, sizeof(out));

	writer_u32(&w, 0);
	writer_patch_u16(&w, 2, 0x1234);
	writer_patch_u32(&w, 0, 0xaabbccdd);
	writer_patch_u16(&w, 2, 0x1234);
	ck_assert_int_eq(writer_result(&w), 4);
	ck_assert_mem_eq(out, "\xaa\xbb\x12\x34\0\0\0\0", 8);
	writer_patch_u16(&w, 3, 0xffff);
	ck_assert_int_eq(writer_result(&w), -EMSGSIZE);
	ck_assert_mem_eq(out, "\xaa\xbb\x12\x34\0\0\0\0", 8);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cursor");
	TCase *tc = tcase_create("cursor");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, reads_integers_in_both_orders);
	tcase_add_test(tc, a_reader_past_the_end_stays_bad);
	tcase_add_test(tc, a_reader_ends_exactly_at_its_end);
	tcase_add_test(tc, a_huge_size_does_not_wrap_around);
	tcase_add_test(tc, expect_compares);
	tcase_add_test(tc, nothing_can_be_read_from_and_written_to);
	tcase_add_test(tc, writes_integers_in_both_orders);
	tcase_add_test(tc, a_full_writer_writes_nothing_more);
	tcase_add_test(tc, patches_only_what_was_written);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

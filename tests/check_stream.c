/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "captures/stream.h"

static void has(const struct stream *stream, const char *wanted)
{
	size_t size;
	const uint8_t *data = stream_data(stream, &size);

	ck_assert_uint_eq(size, strlen(wanted));
	ck_assert(!size || !memcmp(data, wanted, size));
}

START_TEST(puts_bytes_in_order)
{
	struct stream *t = stream_new(100);

	ck_assert(stream_start(t, UINT32_MAX - 2));
	ck_assert(!stream_start(t, UINT32_MAX - 2));
	ck_assert_int_eq(stream_add(t, 2, "ef", 2), 0);
	ck_assert_int_eq(stream_add(t, 2, "e", 1), 0);
	has(t, "");
	ck_assert_int_eq(stream_add(t, UINT32_MAX - 1, "abc", 3), 0);
	has(t, "abc");
	ck_assert_int_eq(stream_add(t, UINT32_MAX, "bcd", 3), 0);
	has(t, "abcdef");
	stream_consume(t, 2);
	has(t, "cdef");
	ck_assert_int_eq(stream_add(t, 0, "XXXXgh", 6), 0);
	has(t, "cdefgh");
	ck_assert_int_eq(stream_add(t, UINT32_MAX - 1, "no", 2), 0);
	has(t, "cdefgh");
	stream_consume(t, 99);
	has(t, "");
	ck_assert(stream_start(t, 5));
	ck_assert_int_eq(stream_add(t, 6, "new", 3), 0);
	has(t, "new");
	stream_free(t);
	stream_free(NULL);
}
END_TEST

START_TEST(is_bounded)
{
	struct stream *t = stream_new(10);

	ck_assert_int_eq(stream_add(t, 0, "", 0), 0);
	ck_assert_int_eq(stream_add(t, 0, "12345", 5), 0);
	ck_assert_int_lt(stream_add(t, 5, "678901", 6), 0);
	ck_assert_int_lt(stream_add(t, 5, "6", 1), 0);
	ck_assert(stream_start(t, 0));
	for (uint32_t i = 0; i < 10; i++)
		ck_assert_int_eq(stream_add(t, 3 + 2 * i, "x", 1), 0);
	ck_assert_int_lt(stream_add(t, 99, "x", 1), 0);
	stream_free(t);
}
END_TEST

/* Tiny segments behind a hole are few bytes, but a long list. */
START_TEST(holds_a_bounded_number)
{
	struct stream *t = stream_new(1000000);
	unsigned held = 0;

	ck_assert(stream_start(t, 0));
	while (held < 100000 && stream_add(t, 3 + 2 * held, "x", 1) == 0)
		held++;
	ck_assert_uint_gt(held, 100);
	ck_assert_uint_lt(held, 10000);
	stream_free(t);
}
END_TEST

/* All of it, not a part; also over the edge of sequence numbers. */
START_TEST(knows_what_is_sent_again)
{
	struct stream *t = stream_new(100);

	ck_assert(!stream_had(t, 0, 1));
	ck_assert(stream_start(t, UINT32_MAX - 3));
	ck_assert(!stream_had(t, UINT32_MAX - 2, 4));
	ck_assert_int_eq(stream_add(t, UINT32_MAX - 2, "1234", 4), 0);
	ck_assert(stream_had(t, UINT32_MAX - 2, 4));
	ck_assert(stream_had(t, UINT32_MAX, 2));
	ck_assert(!stream_had(t, UINT32_MAX, 3));
	ck_assert(!stream_had(t, 1, 1));
	ck_assert(!stream_had(t, 1, 0));
	stream_free(t);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stream");
	TCase *tests = tcase_create("stream");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tests, puts_bytes_in_order);
	tcase_add_test(tests, is_bounded);
	tcase_add_test(tests, holds_a_bounded_number);
	tcase_add_test(tests, knows_what_is_sent_again);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

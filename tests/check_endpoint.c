/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include <check.h>

#include "wire/endpoint.h"
#include "wire/err.h"

static const struct {
	const char *text;
	struct endpoint e;
} good[] = {
	{"25.0.0.2:41641", {0x19000002, 41641}},
	{"0.0.0.0:0", {0, 0}},
	{"255.255.255.255:65535", {0xffffffff, 65535}},
	{"1.2.3.4:1", {0x01020304, 1}},
};

static const char *const bad[] = {
	"",
	"1.2.3",
	"1.2.3.4.5",
	"1.2.3.256",
	"1.2.3.4:",
	"1.2.3.4:65536",
	"1.2.3.4:-1",
	"1.2.3.4:1x",
	"1.2.3.4: 1",
	" 1.2.3.4",
	"1.2.3.4 :1",
	"[::1]:1",
	"1.2.3.4:1:2",
	"host:1",
	"01.2.3.4444444444444:1",
	"1.2.3.4:99999999999999999999999",
};

START_TEST(parses_and_formats)
{
	char text[ENDPOINT_TEXT_BYTES];
	struct endpoint e;

	ck_assert_int_eq(endpoint_parse(good[_i].text, &e), 0);
	ck_assert(endpoint_equal(e, good[_i].e));
	ck_assert_str_eq(endpoint_format(e, text), good[_i].text);
}
END_TEST

START_TEST(an_address_alone_has_no_port)
{
	char text[ENDPOINT_TEXT_BYTES];
	struct endpoint e = {1, 1};

	ck_assert_int_eq(endpoint_parse("10.1.2.3", &e), 0);
	ck_assert(endpoint_equal(e, (struct endpoint){0x0a010203, 0}));
	ck_assert_str_eq(endpoint_format_ip(e.ip, text), "10.1.2.3");
}
END_TEST

START_TEST(refuses)
{
	struct endpoint e = {7, 7};

	ck_assert_int_eq(endpoint_parse(bad[_i], &e), -EINVAL);
	ck_assert(endpoint_equal(e, (struct endpoint){7, 7}));
}
END_TEST

START_TEST(equal_means_address_and_port)
{
	struct endpoint a = {1, 2};

	ck_assert(endpoint_equal(a, (struct endpoint){1, 2}));
	ck_assert(!endpoint_equal(a, (struct endpoint){1, 3}));
	ck_assert(!endpoint_equal(a, (struct endpoint){2, 2}));
}
END_TEST

START_TEST(errors_carry_text_and_place)
{
	struct err err = {0};

	ck_assert_int_eq(err_set(&err, EINVAL, "no %s here", "host"), -EINVAL);
	ck_assert_str_eq(err.text, "no host here");
	ck_assert_int_eq(err_at(&err, ENOENT, "a.yaml", 3, 7, "x"), -ENOENT);
	ck_assert_str_eq(err.file, "a.yaml");
	ck_assert_uint_eq(err.line, 3);
	ck_assert_uint_eq(err.column, 7);
	ck_assert_int_eq(err_set(NULL, EIO, "%d", 1), -EIO);
	ck_assert_int_eq(err_at(NULL, EIO, "f", 1, 1, "x"), -EIO);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("endpoint");
	TCase *tc = tcase_create("endpoint");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tc, parses_and_formats, 0,
			    sizeof(good) / sizeof(good[0]));
	tcase_add_test(tc, an_address_alone_has_no_port);
	tcase_add_loop_test(tc, refuses, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(tc, equal_means_address_and_port);
	tcase_add_test(tc, errors_carry_text_and_place);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

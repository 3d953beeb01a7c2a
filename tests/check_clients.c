/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/clients.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct clients_kind kind;
static struct err err;

static int read_manifest(const char *text)
{
	err = (struct err){0};
	return clients_read_manifest("/some/where/mine", text, strlen(text),
				     &kind, &err);
}

START_TEST(reads_a_manifest)
{
	ck_assert_int_eq(read_manifest("{\"natrig-client\": 1,"
				       " \"title\": \"A client\","
				       " \"program\": \"run\","
				       " \"version\": \"1.2\","
				       " \"serves\": [\"control\", \"stun\"],"
				       " \"install\": [\"mine\", \"other\"],"
				       " \"options\": {\"log-level\":"
				       " [\"low\", \"high\"]}}"), 0);
	ck_assert_str_eq(kind.name, "mine");
	ck_assert_str_eq(kind.title, "A client");
	ck_assert_str_eq(kind.program, "/some/where/mine/run");
	ck_assert_str_eq(kind.version, "1.2");
	ck_assert_uint_eq(kind.serves, CLIENTS_CONTROL | CLIENTS_STUN);
	ck_assert_uint_eq(kind.install_count, 2);
	ck_assert_str_eq(kind.install[1], "other");
	ck_assert_uint_eq(kind.option_count, 1);
	ck_assert_str_eq(kind.options[0].name, "log-level");
	ck_assert_uint_eq(kind.options[0].value_count, 2);
	ck_assert_str_eq(kind.options[0].values[0], "low");
}
END_TEST

START_TEST(needs_no_more_than_its_number)
{
	ck_assert_int_eq(read_manifest("{\"natrig-client\": 1}"), 0);
	ck_assert_str_eq(kind.program, "/some/where/mine/client");
	ck_assert_str_eq(kind.version, "");
	ck_assert_uint_eq(kind.serves, 0);
	ck_assert_uint_eq(kind.option_count, 0);
}
END_TEST

static const struct {
	const char *text, *words;
} broken[] = {
	{"{}", "\"natrig-client\": 1 expected"},
	{"{\"natrig-client\": 2}", "\"natrig-client\": 1 expected"},
	{"{\"natrig-client\": 1", "not JSON"},
	{"{\"natrig-client\": 1, \"titel\": \"\"}", "did you mean \"title\"?"},
	{"{\"natrig-client\": 1, \"title\": 5}", "title: a text"},
	{"{\"natrig-client\": 1, \"serves\": [\"derp\"]}", "serves: a list of"},
	{"{\"natrig-client\": 1, \"serves\": \"relay\"}", "serves: a list of"},
	{"{\"natrig-client\": 1, \"install\": \"me\"}", "install: a list of"},
	{"{\"natrig-client\": 1, \"install\": [\"\"]}", "install: a list of"},
	{"{\"natrig-client\": 1, \"options\": []}", "options: an object"},
	{"{\"natrig-client\": 1, \"options\": {\"A\": [\"b\"]}}",
	 "options: at most 8 words"},
	{"{\"natrig-client\": 1, \"options\": {\"a\": []}}",
	 "options: of each a list"},
	{"{\"natrig-client\": 1, \"options\": {\"a\": true}}",
	 "options: of each a list"},
	{"{\"natrig-client\": 1, \"options\": {\"a\": [\"b\", true]}}",
	 "options: of each a list"},
	{"{\"natrig-client\": 1, \"options\": {\"a\": [\"1\", \"2\", \"3\","
	 " \"4\", \"5\", \"6\", \"7\", \"8\", \"9\"]}}",
	 "options: of each a list"},
};

START_TEST(says_what_is_wrong)
{
	ck_assert_int_eq(read_manifest(broken[_i].text), -EBADMSG);
	ck_assert_msg(strstr(err.text, broken[_i].words) ||
			      strstr(err.file, broken[_i].words),
		      "%s: %s", broken[_i].text, err.text);
}
END_TEST

START_TEST(takes_names_apart)
{
	char name[CLIENTS_NAME_BYTES], version[256];

	ck_assert_int_eq(clients_parse("one@2.3", name, version, &err), 0);
	ck_assert_str_eq(name, "one");
	ck_assert_str_eq(version, "2.3");
	ck_assert_int_eq(clients_parse("one", name, version, &err), 0);
	ck_assert_str_eq(version, "");
	ck_assert_int_eq(clients_parse("@2", name, version, &err), -EINVAL);
	ck_assert_int_eq(clients_parse("one@", name, version, &err), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clients");
	TCase *tests = tcase_create("clients");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tests, reads_a_manifest);
	tcase_add_test(tests, needs_no_more_than_its_number);
	tcase_add_loop_test(tests, says_what_is_wrong, 0,
			    sizeof(broken) / sizeof(broken[0]));
	tcase_add_test(tests, takes_names_apart);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

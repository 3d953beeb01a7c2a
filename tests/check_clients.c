/* SPDX-License-Identifier: BSD-3-Clause */
/* Manifests of real clients, names with versions, and calls of programs. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include "harness/adapter.h"

static struct err err;

/* --- manifests ----------------------------------------------------------- */

static int read_manifest(const char *text, struct clients_kind *kind)
{
	err = (struct err){0};
	return clients_read_manifest("/opt/clients/other", text, strlen(text),
				     kind, &err);
}

START_TEST(reads_a_whole_manifest)
{
	struct clients_kind k;

	ck_assert_int_eq(read_manifest("{\"natrig-client\": 1, \"title\": \"T\","
				       "\"version\": \"1.2\", \"program\": \"run\","
				       "\"serves\": [\"control\", \"relay\"],"
				       "\"install\": [\"x\", \"y\"],"
				       "\"options\": {\"log-level\":"
				       "[\"low\", \"high\"]}}", &k), 0);
	ck_assert_str_eq(k.name, "other");
	ck_assert_str_eq(k.title, "T");
	ck_assert_str_eq(k.program, "/opt/clients/other/run");
	ck_assert_str_eq(k.version, "1.2");
	ck_assert_uint_eq(k.serves, CLIENTS_CONTROL | CLIENTS_RELAY);
	ck_assert_uint_eq(k.install_count, 2);
	ck_assert_str_eq(k.install[1], "y");
	ck_assert_uint_eq(k.option_count, 1);
	ck_assert_str_eq(k.options[0].name, "log-level");
	ck_assert_uint_eq(k.options[0].value_count, 2);
	ck_assert_str_eq(k.options[0].values[0], "low");
}
END_TEST

START_TEST(a_manifest_needs_little)
{
	struct clients_kind k;

	ck_assert_int_eq(read_manifest("{\"natrig-client\": 1}", &k), 0);
	ck_assert_str_eq(k.program, "/opt/clients/other/client");
	ck_assert_uint_eq(k.serves, 0);
}
END_TEST

static const struct {
	const char *text, *says;
} broken[] = {
	{"", "/opt/clients/other/client.json"},
	{"{\"natrig-client\": 1", ""},
	{"{}", "\"natrig-client\": 1 expected"},
	{"{\"natrig-client\": 2}", "\"natrig-client\": 1 expected"},
	{"{\"natrig-client\": 1, \"verson\": \"1\"}",
	 "unknown key \"verson\"; did you mean \"version\"?"},
	{"{\"natrig-client\": 1, \"version\": 1}", "version: a text"},
	{"{\"natrig-client\": 1, \"title\": \"\"}", "title: a text"},
	{"{\"natrig-client\": 1, \"serves\": [\"derp\"]}", "serves: a list"},
	{"{\"natrig-client\": 1, \"install\": [1]}", "install: a list"},
	{"{\"natrig-client\": 1, \"serves\": \"relay\"}", "serves: a list"},
	{"{\"natrig-client\": 1, \"install\": \"me\"}", "install: a list"},
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

START_TEST(refuses_broken_manifests)
{
	struct clients_kind k;

	ck_assert_int_eq(read_manifest(broken[_i].text, &k), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(*broken[_i].text ? err.text : err.file,
				     broken[_i].says));
	/* What is no JSON is told with its place. */
	if (_i < 2)
		ck_assert_uint_gt(err.line, 0);
}
END_TEST

START_TEST(takes_names_and_versions_apart)
{
	char name[CLIENTS_NAME_BYTES], version[256];

	ck_assert_int_eq(clients_parse("tailscale", name, version, &err), 0);
	ck_assert_str_eq(name, "tailscale");
	ck_assert_str_eq(version, "");
	ck_assert_int_eq(clients_parse("x@1.80.3", name, version, &err), 0);
	ck_assert_str_eq(name, "x");
	ck_assert_str_eq(version, "1.80.3");
	ck_assert_int_eq(clients_parse("x@/opt/bin", name, version, &err), 0);
	ck_assert_str_eq(version, "/opt/bin");
	ck_assert_int_eq(clients_parse("", name, version, &err), -EINVAL);
	ck_assert_int_eq(clients_parse("@1", name, version, &err), -EINVAL);
	ck_assert_int_eq(clients_parse("x@", name, version, &err), -EINVAL);
}
END_TEST

/* --- programs ------------------------------------------------------------ */

static char folder[64];
static struct clients_kind kind;

/* A client whose program is a shell script. */
static void make_client(const char *script)
{
	FILE *f;

	snprintf(folder, sizeof(folder), "/tmp/natrig-check-clients.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	kind = (struct clients_kind){.name = "fake"};
	snprintf(kind.program, sizeof(kind.program), "%s/client", folder);
	f = fopen(kind.program, "w");
	ck_assert_ptr_nonnull(f);
	fprintf(f, "#!/bin/sh\n%s\n", script);
	fclose(f);
	ck_assert_int_eq(chmod(kind.program, 0755), 0);
}

static void remove_client(void)
{
	if (!kind.program[0])
		return;
	unlink(kind.program);
	rmdir(folder);
	kind.program[0] = '\0';
}

static json_t *call(const char *verb, unsigned limit_ms, int *ret)
{
	struct environment env = {0};
	json_t *answer;

	ck_assert_int_eq(environment_set(&env, "NATRIG_PEER", "c"), 0);
	*ret = adapter_call(&kind, verb, &env, -1, limit_ms, &answer, &err);
	environment_clear(&env);
	return answer;
}

START_TEST(a_call_gets_verb_and_environment)
{
	json_t *answer;
	int ret;

	make_client("echo '{\"first\": 1}'\n"
		    "echo \"{\\\"verb\\\": \\\"$1\\\", \\\"peer\\\": "
		    "\\\"$NATRIG_PEER\\\"}\"");
	answer = call("status", 10000, &ret);
	ck_assert_int_eq(ret, 0);
	ck_assert_str_eq(json_string_value(json_object_get(answer, "verb")),
			 "status");
	ck_assert_str_eq(json_string_value(json_object_get(answer, "peer")),
			 "c");
	json_decref(answer);
}
END_TEST

START_TEST(a_call_that_fails_says_why)
{
	int ret;

	make_client("echo '{\"error\": \"no licence\"}'; exit 3");
	ck_assert_ptr_null(call("prepare", 10000, &ret));
	ck_assert_int_eq(ret, -EPROTO);
	ck_assert_ptr_nonnull(strstr(err.text, "fake prepare"));
	ck_assert_ptr_nonnull(strstr(err.text, "exit status 3"));
	ck_assert_ptr_nonnull(strstr(err.text, "no licence"));
}
END_TEST

START_TEST(words_that_are_no_json_are_shown)
{
	int ret;

	make_client("echo 'Segmentation fault'");
	ck_assert_ptr_null(call("version", 10000, &ret));
	ck_assert_int_eq(ret, -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "Segmentation fault"));
}
END_TEST

START_TEST(a_call_has_a_limit)
{
	int ret;

	make_client("exec sleep 600");
	ck_assert_ptr_null(call("version", 50, &ret));
	ck_assert_int_eq(ret, -ETIMEDOUT);
}
END_TEST

/* Polls: the kernel ends a killed process in its own time. */
static bool is_gone(pid_t pid)
{
	for (unsigned i = 0; i < 1000; i++) {
		if (kill(pid, 0) && errno == ESRCH)
			return true;
		poll(NULL, 0, 10);
	}
	return false;
}

START_TEST(all_that_it_started_ends_with_it)
{
	struct environment env = {0};
	struct adapter *a;
	struct pollfd fd;
	json_t *line;
	pid_t pid;

	make_client("sleep 600 & echo \"{\\\"pid\\\": $!}\"; wait");
	ck_assert_int_eq(adapter_start(&kind, "start", &env, -1, &a, &err), 0);
	fd = (struct pollfd){adapter_fd(a), POLLIN, 0};
	ck_assert_int_eq(poll(&fd, 1, 10000), 1);
	ck_assert_int_eq(adapter_read(a, &line, &err), 1);
	pid = (pid_t)json_integer_value(json_object_get(line, "pid"));
	json_decref(line);
	ck_assert_int_eq(kill(pid, 0), 0);
	ck_assert_int_eq(adapter_read(a, &line, &err), 0);
	adapter_free(a);
	ck_assert(is_gone(pid));
}
END_TEST

START_TEST(what_is_missing_is_told_with_its_remedy)
{
	struct err why = {0};

	make_client("echo '{\"missing\": [{\"what\": \"foo\", \"remedy\": "
		    "\"apt install foo\"}]}'");
	ck_assert_int_eq(adapter_available(&kind, "", NULL, &why), -ENOENT);
	ck_assert_str_eq(why.text, "fake cannot run here: foo is missing: "
			 "apt install foo");
}
END_TEST

START_TEST(a_program_that_is_not_there_is_an_error)
{
	struct environment env = {0};
	struct adapter *a;

	kind = (struct clients_kind){.name = "fake"};
	snprintf(kind.program, sizeof(kind.program), "/nonexistent/client");
	ck_assert_int_eq(adapter_start(&kind, "start", &env, -1, &a, &err),
			 -ENOENT);
	ck_assert_ptr_null(a);
	kind.program[0] = '\0';
}
END_TEST

/* --- environment --------------------------------------------------------- */

static const char *value_of(const char *const *list, const char *name)
{
	size_t len = strlen(name);

	for (; *list; list++)
		if (!strncmp(*list, name, len) && (*list)[len] == '=')
			return *list + len + 1;
	return NULL;
}

START_TEST(the_last_word_on_a_name_counts)
{
	struct environment env = {0}, copy = {0};
	const char **whole;

	setenv("NATRIG_PEER", "of somebody else", 1);
	setenv("CHECK_CLIENTS", "kept", 1);
	ck_assert_int_eq(environment_set(&env, "NATRIG_A", "%d", 1), 0);
	ck_assert_int_eq(environment_set(&env, "NATRIG_AB", "%d", 2), 0);
	ck_assert_int_eq(environment_set(&env, "NATRIG_A", "%d", 3), 0);
	ck_assert_int_eq(environment_copy(&copy, &env), 0);
	environment_clear(&env);
	whole = environment_whole(&copy);
	ck_assert_ptr_nonnull(whole);
	ck_assert_str_eq(value_of(whole, "NATRIG_A"), "3");
	ck_assert_str_eq(value_of(whole, "NATRIG_AB"), "2");
	ck_assert_str_eq(value_of(whole, "CHECK_CLIENTS"), "kept");
	ck_assert_ptr_null(value_of(whole, "NATRIG_PEER"));
	free(whole);
	environment_clear(&copy);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clients");
	TCase *tc = tcase_create("clients");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, NULL, remove_client);
	tcase_add_test(tc, reads_a_whole_manifest);
	tcase_add_test(tc, a_manifest_needs_little);
	tcase_add_loop_test(tc, refuses_broken_manifests, 0,
			    sizeof(broken) / sizeof(broken[0]));
	tcase_add_test(tc, takes_names_and_versions_apart);
	tcase_add_test(tc, a_call_gets_verb_and_environment);
	tcase_add_test(tc, a_call_that_fails_says_why);
	tcase_add_test(tc, words_that_are_no_json_are_shown);
	tcase_add_test(tc, a_call_has_a_limit);
	tcase_add_test(tc, all_that_it_started_ends_with_it);
	tcase_add_test(tc, what_is_missing_is_told_with_its_remedy);
	/* Valgrind makes a fork of the vfork that tells why exec failed. */
	if (!getenv("UNDER_VALGRIND"))
		tcase_add_test(tc, a_program_that_is_not_there_is_an_error);
	tcase_add_test(tc, the_last_word_on_a_name_counts);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

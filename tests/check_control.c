/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <jansson.h>

#include "harness/server.h"

static const uint64_t second_us = 1000000;

static struct control *control;
static struct actions out;

static void set_up(void)
{
	control = control_new(0);
	actions_init(&out);
	ck_assert_ptr_nonnull(control);
}

static void set_up_with_delay(void)
{
	control = control_new(10 * second_us);
	actions_init(&out);
	ck_assert_ptr_nonnull(control);
}

static void tear_down(void)
{
	ck_assert(!out.failed);
	actions_free(&out);
	control_free(control);
}

static void give(uint64_t now_us, uint32_t stream, const char *text)
{
	actions_clear(&out);
	control_on_stream(control, now_us, stream, text, strlen(text), &out);
}

static void tick(uint64_t now_us)
{
	actions_clear(&out);
	control_on_timer(control, now_us, &out);
}

/* A register line. KEYS are the digits that fill the node and DISCO key. */
static const char *register_line(const char *name, const char *keys)
{
	static char line[400];
	char node[65] = "", disco[65] = "";

	memset(node, keys[0], 64);
	memset(disco, keys[1], 64);
	snprintf(line, sizeof(line),
		 "{\"register\":{\"name\":\"%s\",\"node_key\":\"%s\","
		 "\"disco_key\":\"%s\",\"relay\":\"relay\"}}\n",
		 name, node, disco);
	return line;
}

static void join(uint64_t now_us, uint32_t stream, const char *name,
		 const char *keys)
{
	control_on_accept(control, now_us, stream, (struct endpoint){1, 1},
			  &out);
	give(now_us, stream, register_line(name, keys));
}

static bool closed(uint32_t stream)
{
	for (size_t i = 0; i < out.count; i++)
		if (out.list[i].kind == ACTION_CLOSE &&
		    out.list[i].stream == stream)
			return true;
	return false;
}

static size_t writes_to(uint32_t stream)
{
	size_t count = 0;

	for (size_t i = 0; i < out.count; i++)
		count += out.list[i].kind == ACTION_WRITE &&
			 out.list[i].stream == stream;
	return count;
}

/* All that STREAM was written, which is to be one line of JSON. */
static json_t *line_to(uint32_t stream)
{
	static char text[200000];
	size_t len = 0;
	json_t *line;

	for (size_t i = 0; i < out.count; i++) {
		const struct action *one = &out.list[i];

		if (one->kind != ACTION_WRITE || one->stream != stream)
			continue;
		ck_assert_uint_le(len + one->payload_bytes, sizeof(text));
		memcpy(text + len, actions_payload(&out, one),
		       one->payload_bytes);
		len += one->payload_bytes;
	}
	ck_assert_msg(len, "nothing written to stream %u", stream);
	ck_assert_ptr_eq(memchr(text, '\n', len), text + len - 1);
	line = json_loadb(text, len, 0, NULL);
	ck_assert_ptr_nonnull(line);
	return line;
}

/*
 * The netmap that STREAM was sent has to read as WANT: for each peer its name,
 * the first digit of its DISCO key, and its endpoints.
 */
static void assert_netmap(uint32_t stream, const char *want)
{
	json_t *line = line_to(stream), *peer, *endpoint;
	const json_t *list = json_object_get(line, "netmap");
	char text[2000] = "";
	size_t i, j;

	ck_assert(json_is_array(list));
	json_array_foreach(list, i, peer)
	{
		const char *name, *node_key, *disco_key, *relay;
		json_t *endpoints;

		ck_assert_int_eq(json_unpack_ex(peer, NULL, JSON_STRICT,
						"{s:s,s:s,s:s,s:s,s:o}", "name",
						&name, "node_key", &node_key,
						"disco_key", &disco_key,
						"relay", &relay, "endpoints",
						&endpoints),
				 0);
		ck_assert_uint_eq(strlen(node_key), 64);
		ck_assert_str_eq(relay, "relay");
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "%s%s:%c", i ? " " : "", name, disco_key[0]);
		json_array_foreach(endpoints, j, endpoint) snprintf(
			text + strlen(text), sizeof(text) - strlen(text), ",%s",
			json_string_value(endpoint));
	}
	ck_assert_str_eq(text, want);
	json_decref(line);
}

START_TEST(tells_everybody_of_everybody_else)
{
	join(0, 1, "c", "ab");
	assert_netmap(1, "");
	join(0, 2, "a", "cd");
	assert_netmap(1, "a:d");
	assert_netmap(2, "c:b");
	join(0, 3, "b", "ef");
	assert_netmap(1, "a:d b:f");
	assert_netmap(2, "b:f c:b");
	assert_netmap(3, "a:d c:b");
	ck_assert(control_deadline(control) == ACTIONS_NEVER);
}
END_TEST

START_TEST(publishes_at_once_without_a_delay)
{
	join(0, 1, "a", "ab");
	join(0, 2, "b", "cd");
	give(0, 1, "{\"endpoints\":[\"25.0.0.1:41641\",\"192.168.1.2:9\"]}\n");
	assert_netmap(2, "a:b,25.0.0.1:41641,192.168.1.2:9");
	/* Of its own endpoints a client need not be told. */
	ck_assert_uint_eq(writes_to(1), 0);
	give(0, 1, "{\"endpoints\":[\"25.0.0.1:41641\",\"192.168.1.2:9\"]}\n");
	ck_assert_uint_eq(out.count, 0);
	give(0, 1, "{\"endpoints\":[]}\n");
	assert_netmap(2, "a:b");
}
END_TEST

START_TEST(each_publication_waits_its_own_delay)
{
	join(0, 1, "a", "ab");
	join(0, 2, "b", "cd");
	assert_netmap(1, "b:d");
	give(1 * second_us, 1, "{\"endpoints\":[\"25.0.0.1:1\"]}\n");
	ck_assert_uint_eq(out.count, 0);
	give(3 * second_us, 1, "{\"endpoints\":[\"25.0.0.1:2\"]}\n");
	ck_assert(control_deadline(control) == 11 * second_us);
	tick(11 * second_us - 1);
	ck_assert_uint_eq(out.count, 0);
	tick(11 * second_us);
	assert_netmap(2, "a:b,25.0.0.1:1");
	ck_assert(control_deadline(control) == 13 * second_us);
	tick(13 * second_us);
	assert_netmap(2, "a:b,25.0.0.1:2");
	ck_assert(control_deadline(control) == ACTIONS_NEVER);
}
END_TEST

START_TEST(what_is_due_together_is_one_netmap)
{
	join(0, 1, "a", "ab");
	join(0, 2, "b", "cd");
	join(0, 3, "c", "ef");
	give(0, 1, "{\"endpoints\":[\"25.0.0.1:1\"]}\n");
	give(0, 1, "{\"endpoints\":[\"25.0.0.1:2\"]}\n");
	give(0, 2, "{\"endpoints\":[\"25.0.0.2:1\"]}\n");
	tick(10 * second_us);
	assert_netmap(1, "b:d,25.0.0.2:1 c:f");
	assert_netmap(2, "a:b,25.0.0.1:2 c:f");
	assert_netmap(3, "a:b,25.0.0.1:2 b:d,25.0.0.2:1");
	for (uint32_t stream = 1; stream <= 3; stream++)
		ck_assert_uint_eq(writes_to(stream), 1);
}
END_TEST

START_TEST(more_publications_than_fit_end_with_the_last)
{
	char line[64];

	join(0, 1, "a", "ab");
	join(0, 2, "b", "cd");
	for (unsigned i = 1; i <= 100; i++) {
		snprintf(line, sizeof(line),
			 "{\"endpoints\":[\"25.0.0.1:%u\"]}\n", i);
		give(i, 1, line);
	}
	/* The oldest 36 were given up. */
	ck_assert(control_deadline(control) == 10 * second_us + 37);
	tick(20 * second_us);
	assert_netmap(2, "a:b,25.0.0.1:100");
}
END_TEST

START_TEST(due_endpoints_appear_with_whatever_comes_next)
{
	join(0, 1, "a", "ab");
	give(0, 1, "{\"endpoints\":[\"25.0.0.1:1\"]}\n");
	join(10 * second_us, 2, "b", "cd");
	assert_netmap(2, "a:b,25.0.0.1:1");
	ck_assert(control_deadline(control) == ACTIONS_NEVER);
}
END_TEST

START_TEST(a_client_that_left_stays_in_the_netmap)
{
	join(0, 1, "a", "ab");
	join(0, 2, "b", "cd");
	give(0, 1, "{\"endpoints\":[\"25.0.0.1:1\"]}\n");
	actions_clear(&out);
	control_on_closed(control, 0, 1, &out);
	ck_assert_uint_eq(out.count, 0);
	join(0, 3, "c", "ef");
	assert_netmap(3, "a:b,25.0.0.1:1 b:d");
	/* Back with the same keys: told all, and none is told of it. */
	join(0, 4, "a", "ab");
	assert_netmap(4, "b:d c:f");
	ck_assert_uint_eq(out.count, 1);
}
END_TEST

START_TEST(a_new_disco_key_forgets_the_endpoints)
{
	join(0, 1, "a", "ab");
	join(0, 2, "b", "cd");
	give(0, 1, "{\"endpoints\":[\"25.0.0.1:1\"]}\n");
	tick(10 * second_us);
	assert_netmap(2, "a:b,25.0.0.1:1");
	give(11 * second_us, 1, "{\"endpoints\":[\"25.0.0.1:2\"]}\n");
	/* Restarted, and the old stream is not known to be dead yet. */
	join(12 * second_us, 3, "a", "ae");
	ck_assert(closed(1));
	assert_netmap(2, "a:e");
	assert_netmap(3, "b:d");
	/* Nor does what the old one had under way appear later. */
	ck_assert(control_deadline(control) == ACTIONS_NEVER);
	actions_clear(&out);
	control_on_closed(control, 12 * second_us, 1, &out);
	give(12 * second_us, 3, "{\"endpoints\":[\"25.0.0.1:3\"]}\n");
	tick(22 * second_us);
	assert_netmap(2, "a:e,25.0.0.1:3");
}
END_TEST

START_TEST(lines_of_one_call_are_one_netmap)
{
	char both[600];

	join(0, 2, "b", "cd");
	control_on_accept(control, 0, 1, (struct endpoint){1, 1}, &out);
	snprintf(both, sizeof(both), "%s{\"endpoints\":[\"25.0.0.1:1\"]}\n",
		 register_line("a", "ab"));
	give(0, 1, both);
	ck_assert_uint_eq(writes_to(1), 1);
	ck_assert_uint_eq(writes_to(2), 1);
	assert_netmap(2, "a:b,25.0.0.1:1");
}
END_TEST

START_TEST(does_not_mind_how_bytes_arrive)
{
	const char *line = register_line("a", "ab");

	control_on_accept(control, 0, 1, (struct endpoint){1, 1}, &out);
	for (const char *c = line; *c; c++) {
		char one[2] = {*c, '\0'};

		ck_assert_uint_eq(out.count, 0);
		give(0, 1, one);
	}
	assert_netmap(1, "");
}
END_TEST

START_TEST(one_connection_may_become_another_node)
{
	join(0, 1, "a", "ab");
	join(0, 2, "b", "cd");
	give(0, 1, register_line("c", "ef"));
	assert_netmap(1, "a:b b:d");
	assert_netmap(2, "a:b c:f");
}
END_TEST

#define KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define REGISTER(name, node_key, disco_key)                                    \
	"{\"register\":{\"name\":\"" name "\",\"node_key\":\"" node_key        \
	"\",\"disco_key\":\"" disco_key "\",\"relay\":\"r\"}}\n"

static const char *const bad_lines[] = {
	"\n",
	"hello\n",
	"[]\n",
	"{}\n",
	"{\"endpoints\":[]}x\n",
	"{\"endpoints\":[],\"endpoints\":[]}\n",
	"{\"endpoints\":{}}\n",
	"{\"endpoints\":[1]}\n",
	"{\"endpoints\":[\"nowhere\"]}\n",
	"{\"endpoints\":[\"25.0.0.1\"]}\n",
	"{\"endpoints\":[\"0.0.0.0:1\"]}\n",
	"{\"register\":[]}\n",
	"{\"register\":{\"name\":\"a\"}}\n",
	"\xff\xfe\n",
	"\"\xff\n",
	REGISTER("", KEY, KEY),
	REGISTER("a" KEY, KEY, KEY),
	REGISTER("a", KEY "0", KEY),
	REGISTER("a", KEY, "0"),
	REGISTER("a", KEY,
		 "g123456789abcdef0123456789abcdef"
		 "0123456789abcdef0123456789abcdef"),
};

START_TEST(a_bad_line_is_said_and_ends_its_stream_only)
{
	json_t *line;

	join(0, 1, "x", "ab");
	join(0, 2, "y", "cd");
	give(0, 1, bad_lines[_i]);
	ck_assert(closed(1));
	ck_assert(!closed(2));
	ck_assert_uint_eq(writes_to(2), 0);
	line = line_to(1);
	ck_assert_msg(json_is_string(json_object_get(line, "error")),
		      "no error for %s", bad_lines[_i]);
	json_decref(line);
	give(0, 1, register_line("z", "ab"));
	ck_assert_uint_eq(out.count, 0);
}
END_TEST

START_TEST(endpoints_before_register_are_refused)
{
	control_on_accept(control, 0, 1, (struct endpoint){1, 1}, &out);
	give(0, 1, "{\"endpoints\":[\"25.0.0.1:1\"]}\n");
	ck_assert(closed(1));
}
END_TEST

START_TEST(a_line_has_its_limit)
{
	const char *line = register_line("a", "ab");
	size_t len = strlen(line) - 1;
	char *long_line = malloc(65536 + 2);

	memset(long_line, ' ', 65536);
	memcpy(long_line, line, len);
	memcpy(long_line + 65536, "\n", 2);
	control_on_accept(control, 0, 1, (struct endpoint){1, 1}, &out);
	give(0, 1, long_line);
	assert_netmap(1, "");
	memcpy(long_line + 65536, " ", 2);
	give(0, 1, long_line);
	ck_assert(closed(1));
	free(long_line);
}
END_TEST

#define LEN(array) (int)(sizeof(array) / sizeof((array)[0]))

static TCase *delayed(void)
{
	TCase *tc = tcase_create("delayed");

	tcase_add_checked_fixture(tc, set_up_with_delay, tear_down);
	tcase_add_test(tc, each_publication_waits_its_own_delay);
	tcase_add_test(tc, what_is_due_together_is_one_netmap);
	tcase_add_test(tc, more_publications_than_fit_end_with_the_last);
	tcase_add_test(tc, due_endpoints_appear_with_whatever_comes_next);
	tcase_add_test(tc, a_new_disco_key_forgets_the_endpoints);
	return tc;
}

int main(void)
{
	Suite *suite = suite_create("control");
	TCase *tc = tcase_create("at once");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, tells_everybody_of_everybody_else);
	tcase_add_test(tc, publishes_at_once_without_a_delay);
	tcase_add_test(tc, a_client_that_left_stays_in_the_netmap);
	tcase_add_test(tc, lines_of_one_call_are_one_netmap);
	tcase_add_test(tc, does_not_mind_how_bytes_arrive);
	tcase_add_test(tc, one_connection_may_become_another_node);
	tcase_add_loop_test(tc, a_bad_line_is_said_and_ends_its_stream_only, 0,
			    LEN(bad_lines));
	tcase_add_test(tc, endpoints_before_register_are_refused);
	tcase_add_test(tc, a_line_has_its_limit);
	suite_add_tcase(suite, tc);
	suite_add_tcase(suite, delayed());
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

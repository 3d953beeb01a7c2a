/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "captures/journey.h"
#include "tests/stage.h"

static struct stage *s;
static char *text;

static void set_up(void)
{
	s = stage_seed();
	text = NULL;
}

static void tear_down(void)
{
	stage_free(s);
	free(text);
}

static void print(unsigned columns, bool colour)
{
	size_t size;
	FILE *out;

	free(text);
	out = open_memstream(&text, &size);
	ck_assert_int_eq(journeys_print_ladder(s->j, columns, colour, out), 0);
	fclose(out);
}

static void tell_the_story(void)
{
	stage_ping(s, 1);
	stage_hops(s, "a.eth0 out 192.168.1.2:41641 25.0.0.3:5765 64;"
		      "home-a.lan in 192.168.1.2:41641 25.0.0.3:5765 64;"
		      "home-a.wan out 25.0.0.2:41641 25.0.0.3:5765 63;"
		      "edge-c.wan in 25.0.0.2:41641 25.0.0.3:5765 63");
	stage_wait(s, 1);
	stage_ping(s, 2);
	stage_hops(s, "c.eth0 out 192.168.2.2:41641 25.0.0.2:41641 64;"
		      "edge-c.lan in 192.168.2.2:41641 25.0.0.2:41641 64;"
		      "edge-c.wan out 25.0.0.3:5765 25.0.0.2:41641 63;"
		      "home-a.wan in 25.0.0.3:5765 25.0.0.2:41641 63;"
		      "home-a.lan out 25.0.0.3:5765 192.168.1.2:41641 62;"
		      "a.eth0 in 25.0.0.3:5765 192.168.1.2:41641 62");
	stage_ping(s, 3);
	stage_hops(s, "a.eth0 out 192.168.1.2:41641 25.0.0.9:5765 64;"
		      "home-a.lan in 192.168.1.2:41641 25.0.0.9:5765 64;"
		      "home-a.wan out 25.0.0.2:41641 25.0.0.9:5765 63");
	stage_ping(s, 4);
	stage_hops(s, "c.eth0 out 192.168.2.2:41641 25.0.1.3:5 64");
	stage_tcp(s, "c.eth0 out 192.168.2.2:6000 25.0.1.3:80 64", 1, 0, 2,
		  NULL, 0);
	stage_tcp(s, "edge-c.lan in 192.168.2.2:6000 25.0.1.3:80 64", 1, 0, 2,
		  NULL, 0);
	/* Data and acknowledgements of a connection are no lines. */
	stage_tcp(s, "c.eth0 out 192.168.2.2:6000 25.0.1.3:80 64", 2, 9, 16,
		  NULL, 0);
	stage_journeys(s);
}

static const char wide[] =
	" frame   seconds  a       home-a  relay   edge-c  c\n"
	"     1    0.0000  o-------+---------------x       |       "
	"disco.ping: no mapping for port 5765\n"
	"     5    1.0004  <-------+---------------+-------o       "
	"disco.ping\n"
	"    11    1.0010  o-------+---x   |       |       |       "
	"disco.ping: nobody has 25.0.0.9\n"
	"    14    1.0013  |       |       |       |   x---o       "
	"disco.ping: lost on the link to edge-c\n"
	"    15    1.0014  |       |       |       x-------o       "
	"tcp connect: blocked by edge-c (outbound)\n";

static const char narrow[] =
	" frame   seconds  a       home-a  relay   edge-c  c\n"
	"     1    0.0000  o-------+---------------x       |       "
	"disco.ping\n"
	"    no mapping for port 5765\n"
	"     5    1.0004  <-------+---------------+-------o       "
	"disco.ping\n";

START_TEST(draws_lanes)
{
	tell_the_story();
	print(120, false);
	ck_assert_str_eq(text, wide);
	print(80, false);
	ck_assert_msg(!strncmp(text, narrow, strlen(narrow)), "%s", text);
	/* 0 is 80. */
	print(0, false);
	ck_assert_msg(!strncmp(text, narrow, strlen(narrow)), "%s", text);
}
END_TEST

START_TEST(falls_back_to_a_list)
{
	static const char list[] =
		" frame   seconds\n"
		"     1    0.0000  a's 1st disco.ping to c left\n"
		"                  home-a from 25.0.0.2:41641 and\n"
		"                  died at edge-c: no mapping for\n"
		"                  port 5765 (frames 1, 2, 3, 4)\n";

	tell_the_story();
	print(50, false);
	ck_assert_msg(!strncmp(text, list, strlen(list)), "%s", text);
}
END_TEST

/* No line is longer than it may be, at any width. */
START_TEST(fits_any_width)
{
	tell_the_story();
	for (unsigned columns = 0; columns < 250; columns++) {
		unsigned limit = columns ? columns : 80;
		const char *line;

		print(columns, false);
		/* Below 40 there is no room for sense. */
		if (limit < 40)
			limit = 40;
		for (line = text; *line; line += strcspn(line, "\n") + 1)
			ck_assert_msg(strcspn(line, "\n") <= limit,
				      "%u columns: %s", columns, line);
	}
}
END_TEST

START_TEST(colours_change_nothing_else)
{
	char *plain, *from, *to;

	tell_the_story();
	print(100, false);
	ck_assert_ptr_null(strchr(text, '\033'));
	plain = strdup(text);
	print(100, true);
	ck_assert_ptr_nonnull(strstr(text, "\033[31m"));
	ck_assert_ptr_nonnull(strstr(text, "\033[32m"));
	for (from = to = text; *from;) {
		if (*from == '\033')
			from += strcspn(from, "m") + 1;
		else
			*to++ = *from++;
	}
	*to = '\0';
	ck_assert_str_eq(text, plain);
	free(plain);
}
END_TEST

START_TEST(draws_what_is_not_known)
{
	stage_deafen(s, "edge-c.wan");
	stage_deafen(s, "edge-c.lan");
	stage_deafen(s, "c.eth0");
	stage_add_vantage(s, "elsewhere.eth0");
	stage_ping(s, 1);
	stage_hops(s, "a.eth0 out 192.168.1.2:41641 25.0.0.3:5765 64;"
		      "home-a.lan in 192.168.1.2:41641 25.0.0.3:5765 64;"
		      "home-a.wan out 25.0.0.2:41641 25.0.0.3:5765 63");
	stage_ping(s, 2);
	stage_hops(s, "elsewhere.eth0 in 25.0.0.77:41641 25.0.0.88:5765 64");
	stage_journeys(s);
	print(120, false);
	ck_assert_str_eq(text,
			 " frame   seconds  a       home-a  edge-c  c\n"
			 "     1    0.0000  o-------+---?   |       |       "
			 "disco.ping: what came of it was not recorded\n"
			 "     4    0.0003  |       |       |       |       "
			 "disco.ping: what came of it was not recorded\n");
}
END_TEST

START_TEST(draws_hairpins_and_nested_routers)
{
	static const char *const lines[] = {
		"host a inner 192.168.1.2", "host b inner 192.168.1.3",
		"router inner outer 10.0.0.2 192.168.1.1",
		"router outer - 25.0.0.2 10.0.0.1", NULL};

	stage_free(s);
	s = stage_of(lines);
	stage_ping(s, 1);
	stage_hops(s, "a.eth0 out 192.168.1.2:1 25.0.0.2:2 64;"
		      "inner.lan in 192.168.1.2:1 25.0.0.2:2 64;"
		      "inner.wan out 10.0.0.2:1 25.0.0.2:2 63;"
		      "outer.lan in 10.0.0.2:1 25.0.0.2:2 63;"
		      "outer.lan out 25.0.0.2:1 10.0.0.2:2 62;"
		      "inner.wan in 25.0.0.2:1 10.0.0.2:2 62;"
		      "inner.lan out 25.0.0.2:1 192.168.1.3:2 61;"
		      "b.eth0 in 25.0.0.2:1 192.168.1.3:2 61");
	ck_assert_uint_eq(stage_journeys(s)->count, 1);
	print(80, false);
	ck_assert_str_eq(text, " frame   seconds  a      b      inner  outer\n"
			       "     1    0.0000  o------<------+------+      "
			       "disco.ping\n");
}
END_TEST

/* More nodes than lanes could ever show. */
START_TEST(bears_many_nodes)
{
	const char *lines[200];
	char names[200][32];

	stage_free(s);
	for (int i = 0; i < 199; i++) {
		snprintf(names[i], sizeof(names[i]), "host n%d - 25.0.1.%d", i,
			 i + 1);
		lines[i] = names[i];
	}
	lines[199] = NULL;
	s = stage_of(lines);
	stage_say(s, "hello there, all");
	for (int i = 0; i < 199; i++) {
		char hop[80];

		snprintf(hop, sizeof(hop),
			 "n%d.eth0 out 25.0.1.%d:1 "
			 "25.0.1.%d:1 64",
			 i, i + 1, i ? i : 199);
		stage_hop(s, hop);
	}
	stage_journeys(s);
	print(1000, false);
	ck_assert_msg(strstr(text, "n7's 1st udp to n6 left n7"), "%s", text);
}
END_TEST

START_TEST(tells_when_it_cannot_write)
{
	FILE *full = fopen("/dev/full", "w");

	ck_assert_ptr_nonnull(full);
	setvbuf(full, NULL, _IONBF, 0);
	tell_the_story();
	ck_assert_int_lt(journeys_print_ladder(s->j, 80, false, full), 0);
	fclose(full);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ladder");
	TCase *tests = tcase_create("ladder");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, draws_lanes);
	tcase_add_test(tests, falls_back_to_a_list);
	tcase_add_test(tests, fits_any_width);
	tcase_add_test(tests, colours_change_nothing_else);
	tcase_add_test(tests, draws_what_is_not_known);
	tcase_add_test(tests, draws_hairpins_and_nested_routers);
	tcase_add_test(tests, bears_many_nodes);
	tcase_add_test(tests, tells_when_it_cannot_write);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

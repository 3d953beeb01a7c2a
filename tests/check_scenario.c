/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scenario language: what good files become, that each file of
 * scenarios/bad/ is refused where and as its first line says, and that all
 * others are understood.
 */
#include <check.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness/nearest.h"
#include "tests/check_scenario_suites.h"
#include "tests/valgrind.h"

#define LEAST_BAD 34

struct scenario *s;
struct err err;

int parse(const char *text)
{
	scenario_free(s);
	s = NULL;
	err = (struct err){0};
	return scenario_parse("t.yaml", text, strlen(text), &s, &err);
}

void parse_good(const char *text)
{
	int ret = parse(text);

	ck_assert_msg(!ret, "%s:%u:%u: %s", err.file, err.line, err.column,
		      err.text);
}

void refused_at(const char *text, unsigned line, unsigned column,
		const char *part)
{
	int ret = parse(text);

	ck_assert_int_lt(ret, 0);
	ck_assert_ptr_null(s);
	ck_assert_str_eq(err.file, "t.yaml");
	ck_assert_msg(strstr(err.text, part) && err.line == line &&
			      err.column == column,
		      "expected %u:%u: %s, got %u:%u: %s", line, column, part,
		      err.line, err.column, err.text);
}

static void tear_down(void)
{
	scenario_free(s);
	s = NULL;
}

/* The example of doc/scenarios.md. */
const char example[] =
	"natrig: 1\n"
	"title: A reaches C only after C pings A, while the relay is blocked\n"
	"source: field report\n"
	"routers:\n"
	"  home-a: {nat: full-cone}\n"
	"  edge-c: {nat: symmetric, portmap: none}\n"
	"hosts:\n"
	"  a: {router: home-a}\n"
	"  c: {router: edge-c}\n"
	"steps:\n"
	"  - {block: c -> relay}\n"
	"  - {start: all}\n"
	"  - {netcheck: c, expect: {mapping-varies: true, portmap: none}}\n"
	"  - {ping: a -> c, for: 12s, expect: unreachable}\n"
	"  - {ping: c -> a, expect: direct}\n"
	"  - {ping: a -> c, expect: direct}\n"
	"order:\n"
	"  - no a -> c reaches c before c -> a leaves c\n"
	"  - some a -> c dies at edge-c\n";

/* --- places and words --------------------------------------------------- */

START_TEST(places)
{
	/* Columns count characters, not bytes, and quotes. */
	refused_at(HEAD NODES STEPS "order:\n  - \"some a -> x leaves a\"\n", 13,
		   16, "expected a node");
	refused_at(HEAD NODES STEPS "order: [some a -> x leaves a]\n", 12, 19,
		   "expected a node");
	refused_at("natrig: 1\ntitle: {\"\xc3\xa9\xc3\xa9\": 1, \xc3\xbc: 2}\n" NODES
			   STEPS,
		   2, 8, "title: a text expected, this is a mapping");
	refused_at("natrig: 1\ntitle: t\n\xc3\xbc: {\xc3\xa9: x}\n" NODES STEPS, 3,
		   1, "unknown key \"\xc3\xbc\"");
	refused_at(HEAD NODES STEPS "  - {ping: \xc3\xa9 c}\n", 12, 14,
		   "\"x -> y\" expected");
	refused_at(HEAD "seed: 18446744073709551616\n" NODES STEPS, 3, 7,
		   "seed: a number from 0 to 18446744073709551615");
	/* Folded over two lines: the place of the statement. */
	refused_at(HEAD NODES STEPS "order:\n  - some a ->\n    x leaves a\n",
		   13, 5, "expected a node");
	/* Nothing where something must be. */
	refused_at(HEAD NODES "steps:\n", 10, 1, "steps: a list of steps");
	/* Windows line ends. */
	refused_at("natrig: 1\r\ntitle: t\r\nsteps: 3\r\nhosts: {a: }\r\n", 3, 8,
		   "a list of steps expected");
}
END_TEST

START_TEST(places_of_files)
{
	ck_assert_int_eq(scenario_read("/nowhere/x.yaml", &s, &err), -ENOENT);
	ck_assert_str_eq(err.file, "/nowhere/x.yaml");
	ck_assert_ptr_nonnull(strstr(err.text, "No such file"));
	ck_assert_int_eq(scenario_read("/", &s, &err), -EISDIR);
}
END_TEST

/* One byte too much, of which all but that byte would be fine. */
START_TEST(big_file)
{
	char path[] = "/tmp/check_scenario.XXXXXX";
	int fd = mkstemp(path);
	FILE *file = fdopen(fd, "w");

	ck_assert_ptr_nonnull(file);
	fputs(HEAD NODES STEPS "#", file);
	while (ftell(file) <= 1024 * 1024)
		fputc('x', file);
	fclose(file);
	ck_assert_int_eq(scenario_read(path, &s, &err), -EINVAL);
	unlink(path);
	ck_assert_ptr_nonnull(strstr(err.text, "at most 1048576"));
}
END_TEST

START_TEST(nearest)
{
	static const char *const words[] = {"nat", "portmap", "router", NULL};
	static const char *const none[] = {NULL};

	ck_assert_str_eq(nearest_word("nta", words), "nat");
	ck_assert_str_eq(nearest_word("portmpa", words), "portmap");
	ck_assert_str_eq(nearest_word("Router", words), "router");
	ck_assert_ptr_null(nearest_word("title", words));
	ck_assert_ptr_null(nearest_word("", words));
	ck_assert_ptr_null(nearest_word("nat", none));
}
END_TEST

/* --- hostile files ------------------------------------------------------ */

/* COUNT times PIECE between FRONT and BACK; malloc'd. */
static char *repeat(const char *front, const char *piece, size_t count,
		    const char *back)
{
	size_t piece_len = strlen(piece);
	char *text = malloc(strlen(front) + piece_len * count + strlen(back) +
			    1);
	char *p;

	ck_assert_ptr_nonnull(text);
	p = stpcpy(text, front);
	for (size_t i = 0; i < count; i++)
		p = stpcpy(p, piece);
	strcpy(p, back);
	return text;
}

static const struct hostile {
	const char *front, *piece;
	size_t count;
	const char *back, *part;
} hostile[] = {
	{"", "x", 1024 * 1024 + 1, "", "a scenario has at most"},
	{"", "[", 500000, "", "nested more than"},
	{"", "{", 500000, "", "a key must be a name"},
	{"", "- ", 500000, "x", "nested more than"},
	{"", "? ", 100000, "x", "a key must be a name"},
	{"steps: [", "a,", 500000, "]", "more than 4096 members"},
	{"", "\n", 1000000, "", "nothing in it"},
	{"", "#\n", 500000, "", "nothing in it"},
	{"title: ", "x", 1000000, "\n", ""},
	{"title: \"", "\\x41", 250000, "\"\n", ""},
	{"a: &a [x]\nb: [", "*a,", 300000, "]\n", "anchor"},
	{"b: [", "*a,", 300000, "]\n", "alias"},
	{HEAD NODES "steps: [start: all", ", start: all", 4000, "]\n", ""},
	{HEAD NODES STEPS "order: [", "[", 12, "", "nested more than"},
	{"natrig: 1\ntitle: \"a\\0b\"\n", "", 0, NODES STEPS,
	 "a control character"},
	{"natrig: 1\ntitle: \"a\\nb\"\n", "", 0, NODES STEPS, "one line"},
	{"title: '", "'''", 9, "'\n", "quotes in a row"},
	{"%YAML 3.0\n---\nnatrig: 1\n", "", 0, "", ""},
	{"\xef\xbb\xbf" HEAD, "", 0, NODES STEPS, NULL},
	{HEAD NODES STEPS, "", 0, "...\n", NULL},
	{"---\n" HEAD NODES STEPS, "", 0, "", NULL},
};

START_TEST(hostile_files)
{
	const struct hostile *h = &hostile[_i];
	char *text = repeat(h->front, h->piece, h->count, h->back);
	struct timespec from, to;
	int ret;

	clock_gettime(CLOCK_MONOTONIC, &from);
	ret = parse(text);
	clock_gettime(CLOCK_MONOTONIC, &to);
	free(text);
	if (!h->part)
		ck_assert_msg(!ret, "%s", err.text);
	else if (*h->part)
		ck_assert_msg(ret < 0 && strstr(err.text, h->part),
			      "expected %s, got %s", h->part, err.text);
	/* Ten times what the slowest takes under sanitizers. */
	ck_assert_int_lt(to.tv_sec - from.tv_sec, unless_valgrind(30, 300));
}
END_TEST

/* Every truncation of a good file is refused or understood, with a place. */
START_TEST(truncations)
{
	for (size_t i = 0; i < strlen(example); i++) {
		struct scenario *one = NULL;
		int ret = scenario_parse("t.yaml", example, i, &one, &err);

		ck_assert_int_eq(!ret, one != NULL);
		if (ret)
			ck_assert_uint_gt(err.line, 0);
		scenario_free(one);
	}
}
END_TEST

/* --- the repository's scenarios ----------------------------------------- */

static void find(const char *pattern, glob_t *found)
{
	const char *top = getenv("NATRIG_SRCDIR");
	char path[4096];

	snprintf(path, sizeof(path), "%s/scenarios/%s", top ? top : ".",
		 pattern);
	ck_assert_msg(glob(path, 0, NULL, found) == 0, "nothing is %s", path);
}

START_TEST(good_files)
{
	glob_t found;

	find("*/*.yaml", &found);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct scenario *one;

		if (strstr(found.gl_pathv[i], "/scenarios/bad/"))
			continue;
		ck_assert_msg(!scenario_read(found.gl_pathv[i], &one, &err),
			      "%s:%u:%u: %s", err.file, err.line, err.column,
			      err.text);
		scenario_free(one);
	}
	globfree(&found);
}
END_TEST

/* The parts of EXPECTED, between " ... ", in TEXT one after the other. */
static int has_parts(const char *text, char *expected)
{
	char *next;

	for (; expected; expected = next) {
		next = strstr(expected, " ... ");
		if (next) {
			*next = '\0';
			next += strlen(" ... ");
		}
		text = strstr(text, expected);
		if (!text)
			return 0;
		text += strlen(expected);
	}
	return 1;
}

/* `# expect: LINE:COLUMN: part of the message [... another part]` */
static void check_bad(const char *path)
{
	struct scenario *one = NULL;
	char first[1024], *expected;
	unsigned line, column;
	int ret, at = 0;
	FILE *file = fopen(path, "r");

	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(first, sizeof(first), file));
	fclose(file);
	first[strcspn(first, "\n")] = '\0';
	ck_assert_msg(sscanf(first, "# expect: %u:%u: %n", &line, &column,
			     &at) == 2 && at && first[at],
		      "%s: begins with no \"# expect: LINE:COLUMN: text\"",
		      path);
	expected = first + at;
	ret = scenario_read(path, &one, &err);
	ck_assert_msg(ret < 0, "%s was taken for good", path);
	ck_assert_str_eq(err.file, path);
	ck_assert_msg(err.line == line && err.column == column,
		      "%s: expected %u:%u, got %u:%u: %s", path, line, column,
		      err.line, err.column, err.text);
	ck_assert_msg(has_parts(err.text, expected), "%s: got %s", path,
		      err.text);
}

START_TEST(bad_files)
{
	glob_t found;

	find("bad/*.yaml", &found);
	ck_assert_uint_ge(found.gl_pathc, LEAST_BAD);
	for (size_t i = 0; i < found.gl_pathc; i++)
		check_bad(found.gl_pathv[i]);
	globfree(&found);
}
END_TEST

static Suite *scenario_suite(void)
{
	Suite *suite = suite_create("scenario");
	TCase *parses = tcase_create("parses"), *files = tcase_create("files");

	tcase_add_checked_fixture(parses, NULL, tear_down);
	add_parts(parses);
	tcase_add_test(parses, places);
	tcase_add_test(parses, places_of_files);
	tcase_add_test(parses, big_file);
	tcase_add_test(parses, nearest);
	suite_add_tcase(suite, parses);
	tcase_add_checked_fixture(files, NULL, tear_down);
	tcase_set_timeout(files, 60);
	tcase_add_loop_test(files, hostile_files, 0,
			    sizeof(hostile) / sizeof(hostile[0]));
	tcase_add_test(files, truncations);
	tcase_add_test(files, good_files);
	tcase_add_test(files, bad_files);
	suite_add_tcase(suite, files);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(scenario_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

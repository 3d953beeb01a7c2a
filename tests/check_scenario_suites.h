/* SPDX-License-Identifier: BSD-3-Clause */
/* check_scenario in two files: what the second adds, and what both use. */
#ifndef NATRIG_TESTS_CHECK_SCENARIO_SUITES_H
#define NATRIG_TESTS_CHECK_SCENARIO_SUITES_H

#include <check.h>

#include "harness/scenario.h"

#define HEAD "natrig: 1\ntitle: a test\n"
#define NODES                                                                  \
	"routers:\n  home-a: {nat: easy}\n  edge-c: {nat: symmetric}\n"        \
	"hosts:\n  a: {router: home-a}\n  c: {router: edge-c}\n  d: {}\n"
#define STEPS "steps:\n  - {start: all}\n"

/* Of the last parse(): freed with the next one, or after a test. */
extern struct scenario *s;
extern struct err err;
extern const char example[];

int parse(const char *text);
void parse_good(const char *text);
void refused_at(const char *text, unsigned line, unsigned column,
		const char *part);

/* check_scenario_parts.c: what good files become. */
void add_parts(TCase *tcase);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * report: verdicts for people and machines, made from result objects (see
 * result.h). These functions print; nothing else below main does.
 */
#ifndef NATRIG_HARNESS_REPORT_H
#define NATRIG_HARNESS_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct report_style {
	bool colour;
	bool detail;	  /* each step and statement, also of what holds */
	unsigned columns; /* width to keep within; 0: no limit */
};

/* One scenario, as it ends. */
void report_text(const json_t *result, const struct report_style *style,
		 FILE *out);
/* "12 passed, 1 failed, 0 skipped" and how long it took. */
void report_text_summary(const json_t *results, double wall_s,
			 const struct report_style *style, FILE *out);

/* {"scenarios":[...]} */
int report_json(json_t *results, FILE *out);
/* A testsuite of one testcase a scenario. */
int report_junit(const json_t *results, double wall_s, FILE *out);
/* TAP version 14, one test point a scenario. */
int report_tap(const json_t *results, FILE *out);

#endif

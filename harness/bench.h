/* SPDX-License-Identifier: BSD-3-Clause */
/* bench: natrig measures itself. One more subject is one row in bench.c. */
#ifndef NATRIG_HARNESS_BENCH_H
#define NATRIG_HARNESS_BENCH_H

#include "wire/err.h"

#include <stdbool.h>

struct bench_options {
	unsigned runs; /* default 20 */
	bool json;
};

int bench_lab(const struct bench_options *options, struct err *err);
int bench_run(const struct bench_options *options, struct err *err);
int bench_nat(const struct bench_options *options, struct err *err);

double bench_median(double *values, unsigned count); /* sorts them */
/* On a terminal, what is being measured; NULL clears the line. */
void bench_progress(const char *what);

#endif

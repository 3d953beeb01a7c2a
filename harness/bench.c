/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/bench.h"
#include "harness/commands.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
	"Usage: natrig bench [OPTION]... SUBJECT\n"
	"\n"
	"Measures natrig on this machine and prints medians.\n"
	"\n"
	"  lab          what a lab costs to build and to drop\n"
	"  run          what scenarios cost from file to verdict\n"
	"  nat          what forwarding costs: netfilter's NAT, our own engine\n"
	"\n"
	"      --json   one JSON object\n"
	"      --runs N how often each is measured (default 20)\n"
	"  -h, --help   this\n";

static const struct {
	const char *name;
	int (*fn)(const struct bench_options *options, struct err *err);
} subjects[] = {{"lab", bench_lab}, {"run", bench_run}, {"nat", bench_nat}};

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double bench_median(double *values, unsigned count)
{
	qsort(values, count, sizeof(*values), compare);
	return count % 2 ? values[count / 2] :
			   (values[count / 2 - 1] + values[count / 2]) / 2;
}

void bench_progress(const char *what)
{
	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r\033[K%s", what ? what : "");
	fflush(stderr);
}

static int run_subject(const char *name, const struct bench_options *options)
{
	struct err err = {0};

	for (unsigned i = 0; i < sizeof(subjects) / sizeof(*subjects); i++) {
		if (strcmp(subjects[i].name, name))
			continue;
		fflush(NULL);
		if (!subjects[i].fn(options, &err))
			return EXIT_HOLDS;
		print_err(&err);
		return EXIT_CANNOT_RUN;
	}
	return usage_error("bench",
			   "unknown subject '%s'; there are: lab, run, nat",
			   name);
}

int cmd_bench(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'J'},
		{"runs", required_argument, NULL, 'n'},
		{"help", no_argument, NULL, 'h'},
		{0}};
	struct bench_options o = {.runs = 20};
	int c;

	while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (c == 'h')
			return print_help(help);
		if (c == 'J')
			o.json = true;
		else if (c == 'n' && atoi(optarg) > 0)
			o.runs = (unsigned)atoi(optarg);
		else if (c == 'n')
			return usage_error("bench", "--runs wants a number");
		else
			return bad_option("bench", argv, options);
	}
	if (argc - optind != 1)
		return usage_error("bench", "wants one subject: lab, run or nat");
	return run_subject(argv[optind], &o);
}

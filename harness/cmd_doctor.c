/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/commands.h"
#include "netns/sandbox.h"

#include <getopt.h>
#include <jansson.h>
#include <string.h>

#define MAX_FEATURES 32

static const char help[] =
	"Usage: natrig doctor [--json]\n"
	"\n"
	"Tries each thing that a lab needs on this machine as this user, and\n"
	"says what is missing and how to get it. Changes nothing.\n"
	"\n"
	"Exit status: 0 labs can run here; 3 they cannot.\n";

static void print_features(const struct sandbox_feature *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		printf("%-8s %-28s %s\n",
		       f[i].present  ? "ok" :
		       f[i].required ? "MISSING" :
				       "without",
		       f[i].name, f[i].found);
		if (!f[i].present && f[i].remedy[0])
			printf("%8s to get it: %s\n", "", f[i].remedy);
	}
}

static void print_json(const struct sandbox_feature *f, unsigned n, bool able)
{
	json_t *list = json_array(), *all;

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:b, s:b, s:s, s:s}", "name",
					f[i].name, "present", f[i].present,
					"required", f[i].required, "found",
					f[i].found, "remedy", f[i].remedy));
	all = json_pack("{s:b, s:o}", "able", able, "features", list);
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
}

int cmd_doctor(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'J'},
		{"help", no_argument, NULL, 'h'},
		{0}};
	struct sandbox_feature features[MAX_FEATURES] = {0};
	bool json = false, able = true;
	unsigned n;
	int c;

	while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (c == 'h')
			return print_help(help);
		if (c != 'J')
			return bad_option("doctor", argv, options);
		json = true;
	}
	if (optind != argc)
		return usage_error("doctor", "takes no arguments");
	n = sandbox_probe(features, MAX_FEATURES);
	for (unsigned i = 0; i < n; i++)
		able = able && (features[i].present || !features[i].required);
	if (json) {
		print_json(features, n, able);
	} else {
		print_features(features, n);
		printf("%s\n", able ? "This machine runs natrig's labs." :
				      "This machine cannot run natrig's labs.");
	}
	return able ? EXIT_HOLDS : EXIT_CANNOT_RUN;
}

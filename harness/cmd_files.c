/* SPDX-License-Identifier: BSD-3-Clause */
/* The verbs that need no lab: check-scenario, verify, show. */
#include "harness/commands.h"
#include "harness/report.h"
#include "harness/result.h"
#include "harness/run.h"
#include "harness/show_json.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* --- check-scenario ------------------------------------------------------ */

static const char check_help[] =
	"Usage: natrig check-scenario FILE|FOLDER...\n"
	"\n"
	"Reads scenarios and runs nothing. Exit status: 0 all can be read,\n"
	"2 one is refused (file, line, column and reason on standard error).\n";

int cmd_check_scenario(int argc, char **argv)
{
	static const struct option options[] = {
		{"help", no_argument, NULL, 'h'}, {0}};
	struct scenario_list list;
	int c;

	while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (c == 'h')
			return print_help(check_help);
		return bad_option("check-scenario", argv, options);
	}
	if (optind == argc)
		return usage_error("check-scenario", "which scenario? Name a "
				   "file or a folder");
	if (read_scenarios(argv + optind, argc - optind, &list))
		return EXIT_USAGE;
	for (unsigned i = 0; i < list.count; i++)
		printf("%s: fine, %u steps, %u order statements\n",
		       list.list[i]->file, list.list[i]->step_count,
		       list.list[i]->order_count);
	free_scenarios(&list);
	return EXIT_HOLDS;
}

/* --- verify -------------------------------------------------------------- */

static const char verify_help[] =
	"Usage: natrig verify [OPTION]... SCENARIO RECORDING\n"
	"\n"
	"Checks the scenario's order statements against a capture file, from\n"
	"natrig or from elsewhere (pcapng with interfaces named\n"
	"node.interface, or pcap).\n"
	"\n"
	"      --json  one JSON object on standard output\n"
	"  -h, --help  this\n"
	"\n"
	"Exit status: 0 all statements hold; 1 one does not; 2 usage, a bad\n"
	"scenario or a file that is no recording.\n";

/* Addresses that the recording's own cast tells, by name. */
static int take_addresses(struct cast *cast, const struct recording *rec,
			  struct err *err)
{
	struct cast *told = NULL;
	int ret = cast_from_json(rec->comment, &told, err);

	if (ret)
		return ret == -ENODATA ? 0 : ret;
	for (size_t i = 0; i < told->count; i++) {
		int k = cast_find(cast, told->nodes[i].name);

		if (k < 0)
			continue;
		memcpy(cast->nodes[k].ips, told->nodes[i].ips,
		       sizeof(cast->nodes[k].ips));
		cast->nodes[k].ip_count = told->nodes[i].ip_count;
		cast->nodes[k].wan_ips = told->nodes[i].wan_ips;
	}
	cast_free(told);
	return 0;
}

static bool check_all(const struct scenario *s, const struct journeys *j,
		      json_t *list)
{
	struct order_result result;
	bool all = true;

	for (unsigned i = 0; i < s->order_count; i++) {
		memset(&result, 0, sizeof(result));
		order_check(&s->orders[i].statement, j, &result);
		all = all && result.holds;
		json_array_append_new(list,
				      result_of_order(&s->orders[i], &result,
						      true));
	}
	return all;
}

static void print_statements(const struct scenario *s, const json_t *list)
{
	size_t i;
	json_t *item;

	json_array_foreach(list, i, item) {
		bool holds = json_is_true(json_object_get(item, "holds"));

		if (holds)
			printf("holds       ");
		else
			printf("falls short %s:%u:%u: ", s->file,
			       s->orders[i].at.line, s->orders[i].at.column);
		printf("%s\n            %s\n", s->orders[i].statement.text,
		       json_string_value(json_object_get(item, "why")));
	}
	if (!json_array_size(list))
		printf("%s has no order statements: nothing to verify\n",
		       s->file);
}

static int verify(const struct scenario *s, const char *path, bool json,
		  struct err *err)
{
	struct recording *rec = NULL;
	struct journeys *journeys = NULL;
	struct cast *cast = scenario_cast(s);
	json_t *list = json_array(), *all;
	int ret = cast ? recording_read(path, &rec, err) : -ENOMEM;
	bool holds = false;

	if (!ret)
		ret = take_addresses(cast, rec, err);
	if (!ret)
		ret = journeys_new(rec, cast, &journeys, err);
	if (!ret) {
		holds = check_all(s, journeys, list);
		all = json_pack("{s:s, s:s, s:b, s:O}", "scenario", s->file,
				"recording", path, "holds", holds, "order",
				list);
		if (json) {
			json_dumpf(all, stdout, JSON_INDENT(2));
			putchar('\n');
		} else {
			print_statements(s, list);
		}
		json_decref(all);
	}
	json_decref(list);
	journeys_free(journeys);
	recording_free(rec);
	cast_free(cast);
	if (ret)
		return ret;
	return holds ? EXIT_HOLDS : EXIT_FALLS_SHORT;
}

int cmd_verify(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'J'},
		{"help", no_argument, NULL, 'h'},
		{0}};
	struct scenario *s = NULL;
	struct err err = {0};
	bool json = false;
	int c, ret;

	while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (c == 'h')
			return print_help(verify_help);
		if (c != 'J')
			return bad_option("verify", argv, options);
		json = true;
	}
	if (argc - optind != 2)
		return usage_error("verify", "wants a scenario and a recording");
	ret = scenario_read(argv[optind], &s, &err);
	if (!ret)
		ret = verify(s, argv[optind + 1], json, &err);
	scenario_free(s);
	if (ret < 0) {
		print_err(&err);
		return EXIT_USAGE;
	}
	return ret;
}

/* --- show ---------------------------------------------------------------- */

static const char show_help[] =
	"Usage: natrig show [OPTION]... RECORDING\n"
	"\n"
	"Shows the journeys in a recording as a ladder: who sent what to whom,\n"
	"by which way, and where and why it died.\n"
	"\n"
	"      --json           one JSON object on standard output: title, nodes,\n"
	"                       vantages, and journeys with their sightings;\n"
	"                       times in seconds after the first frame\n"
	"      --scenario FILE  who is who, for a recording from elsewhere\n"
	"      --width N        columns (default: the terminal's, or 80)\n"
	"  -h, --help           this\n"
	"\n"
	"Exit status: 0, or 2 for usage and a file that is no recording.\n";

/* Without any cast, each node that a vantage names is a host. */
static struct cast *cast_of_vantages(const struct recording *rec)
{
	struct cast *cast = cast_new(rec->vantage_count);

	if (!cast)
		return NULL;
	cast->count = 0;
	for (size_t i = 0; i < rec->vantage_count; i++) {
		struct cast_node *n;

		if (cast_find(cast, rec->vantages[i].node) >= 0)
			continue;
		n = &cast->nodes[cast->count++];
		memcpy(n->name, rec->vantages[i].node, sizeof(n->name));
		n->behind = -1;
	}
	return cast;
}

static int get_cast(const struct recording *rec, const char *scenario_file,
		    struct cast **cast, struct err *err)
{
	struct scenario *s = NULL;
	int ret;

	if (scenario_file) {
		ret = scenario_read(scenario_file, &s, err);
		if (ret)
			return ret;
		*cast = scenario_cast(s);
		scenario_free(s);
		return *cast ? take_addresses(*cast, rec, err) : -ENOMEM;
	}
	ret = cast_from_json(rec->comment, cast, err);
	if (ret == -ENODATA) {
		*cast = cast_of_vantages(rec);
		ret = *cast ? 0 : -ENOMEM;
	}
	return ret;
}

static int print_json(const struct journeys *j, struct err *err)
{
	json_t *all = show_to_json(j);
	int ret;

	if (!all)
		return err_set(err, ENOMEM, "no memory for so many journeys");
	/* Microseconds of some hours. */
	ret = json_dumpf(all, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
	json_decref(all);
	putchar('\n');
	if (ret || fflush(stdout))
		return err_set(err, EIO, "cannot write the JSON: %s",
			       strerror(errno));
	return 0;
}

struct show_options {
	const char *scenario_file;
	unsigned columns;
	bool json;
};

static int show(const char *path, const struct show_options *o, struct err *err)
{
	struct recording *rec = NULL;
	struct journeys *journeys = NULL;
	struct cast *cast = NULL;
	int ret = recording_read(path, &rec, err);

	if (!ret)
		ret = get_cast(rec, o->scenario_file, &cast, err);
	if (!ret)
		ret = journeys_new(rec, cast, &journeys, err);
	if (!ret && o->json)
		ret = print_json(journeys, err);
	else if (!ret)
		ret = journeys_print_ladder(journeys, o->columns,
					    want_colour(stdout), stdout);
	journeys_free(journeys);
	recording_free(rec);
	cast_free(cast);
	return ret;
}

int cmd_show(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'J'},
		{"scenario", required_argument, NULL, 'S'},
		{"width", required_argument, NULL, 'W'},
		{"help", no_argument, NULL, 'h'},
		{0}};
	struct show_options o = {.columns = columns_of(stdout)};
	struct err err = {0};
	int c;

	while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (c == 'h')
			return print_help(show_help);
		if (c == 'J')
			o.json = true;
		else if (c == 'S')
			o.scenario_file = optarg;
		else if (c == 'W' && atoi(optarg) >= 40)
			o.columns = (unsigned)atoi(optarg);
		else if (c == 'W')
			return usage_error("show", "--width wants 40 or more");
		else
			return bad_option("show", argv, options);
	}
	if (argc - optind != 1)
		return usage_error("show", "wants one recording");
	if (!o.columns)
		o.columns = 80;
	if (show(argv[optind], &o, &err) < 0) {
		print_err(&err);
		return EXIT_USAGE;
	}
	return EXIT_HOLDS;
}

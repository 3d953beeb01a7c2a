/* SPDX-License-Identifier: BSD-3-Clause */
/* Real clients: which there are, whether they can run here, getting them. */
#include "harness/adapter.h"
#include "harness/commands.h"
#include "harness/nearest.h"
#include "harness/real.h"
#include "harness/result.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
	"Usage: natrig client list [--json]\n"
	"       natrig client doctor NAME[@VERSION] [--json]\n"
	"       natrig client install NAME@VERSION\n"
	"\n"
	"Real clients, which run on a lab's hosts in place of the model:\n"
	"`natrig run --client NAME@VERSION`, or `client:` in a scenario.\n"
	"\n"
	"  list     the clients there are, and whether they can run here\n"
	"  doctor   what one of them needs, what was found, how to get the rest\n"
	"  install  puts a client, or a program that it needs, into\n"
	"           $XDG_CACHE_HOME/natrig (~/.cache/natrig), beside other\n"
	"           versions, and says what it does before it does it\n"
	"\n"
	"A client is a folder with a manifest and a program; natrig looks in\n"
	"$NATRIG_CLIENTS, ~/.local/share/natrig/clients and its own.\n"
	"\n"
	"Exit status: 0 well; 2 usage, or no such client; 3 it cannot run here.\n";

/* --- list ---------------------------------------------------------------- */

static json_t *describe(const struct clients_kind *kind)
{
	struct err err = {0};
	json_t *answer;
	int ret = adapter_available(kind, "", &answer, &err);
	json_t *one = json_pack("{s:s, s:s, s:s, s:b, s:s, s:O?}", "name",
				kind->name, "title", kind->title, "version",
				*result_text(answer, "version") ?
					result_text(answer, "version") :
					kind->version,
				"available", !ret, "why", err.text, "found",
				answer);

	json_decref(answer);
	return one;
}

static json_t *describe_all(struct err *err)
{
	struct clients_kind kinds[CLIENTS_MAX];
	int count = clients_list(kinds, err);
	json_t *list;

	if (count < 0)
		return NULL;
	list = json_array();
	json_array_append_new(
		list, json_pack("{s:s, s:s, s:s, s:b, s:s, s:n}", "name",
				CLIENTS_MODEL, "title",
				"natrig's own, in the manner of Tailscale",
				"version", "", "available", 1, "why", "",
				"found"));
	for (int i = 0; i < count; i++)
		json_array_append_new(list, describe(&kinds[i]));
	return list;
}

static int list_clients(bool as_json)
{
	struct err err = {0};
	json_t *list = describe_all(&err), *one;
	size_t i;

	if (!list) {
		print_err(&err);
		return EXIT_USAGE;
	}
	if (as_json) {
		json_dumpf(list, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_array_foreach(list, i, one) {
		if (as_json)
			continue;
		printf("%-8s %-12s %-10s %s\n",
		       json_is_true(json_object_get(one, "available")) ?
			       "ok" : "without",
		       result_text(one, "name"), result_text(one, "version"),
		       result_text(one, "title"));
		if (*result_text(one, "why"))
			printf("%8s %s\n", "", result_text(one, "why"));
	}
	json_decref(list);
	return EXIT_HOLDS;
}

/* --- doctor -------------------------------------------------------------- */

static void print_findings(const json_t *answer)
{
	size_t i;
	json_t *item;

	json_array_foreach(json_object_get(answer, "programs"), i, item)
		printf("%-8s %-12s %-10s %s\n", "ok", result_text(item, "name"),
		       result_text(item, "version"), result_text(item, "path"));
	json_array_foreach(json_object_get(answer, "notes"), i, item)
		printf("%-8s %s\n", "note", json_string_value(item));
	json_array_foreach(json_object_get(answer, "missing"), i, item) {
		printf("%-8s %s\n", "MISSING", result_text(item, "what"));
		if (*result_text(item, "remedy"))
			printf("%8s to get it: %s\n", "",
			       result_text(item, "remedy"));
	}
}

static int doctor(const char *client, bool as_json)
{
	char name[CLIENTS_NAME_BYTES], version[256];
	struct clients_kind kind;
	struct err err = {0};
	json_t *answer;
	int ret = clients_parse(client, name, version, &err);

	if (!ret && !strcmp(name, CLIENTS_MODEL)) {
		printf("%-8s %s\n", "ok", "the model is part of natrig");
		return EXIT_HOLDS;
	}
	if (!ret)
		ret = clients_find(name, &kind, &err);
	if (ret)
		return usage_error("client doctor", "%s", err.text);
	ret = adapter_available(&kind, version, &answer, &err);
	if (as_json && answer) {
		json_dumpf(answer, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (answer) {
		print_findings(answer);
	}
	if (ret && !answer)
		print_err(&err);
	json_decref(answer);
	return ret ? EXIT_CANNOT_RUN : EXIT_HOLDS;
}

/* --- install ------------------------------------------------------------- */

/* The client that knows how to install NAME. */
static int find_installer(const char *name, struct clients_kind *kind,
			  struct err *err)
{
	struct clients_kind kinds[CLIENTS_MAX];
	const char *words[CLIENTS_MAX * CLIENTS_MAX_INSTALL + 1];
	unsigned n = 0;
	const char *near;
	int count = clients_list(kinds, err);

	for (int i = 0; i < count; i++)
		for (unsigned k = 0; k < kinds[i].install_count; k++) {
			words[n++] = kinds[i].install[k];
			if (strcmp(name, kinds[i].install[k]))
				continue;
			*kind = kinds[i];
			return 0;
		}
	if (count < 0)
		return count;
	for (int i = 0; i < count; i++)
		if (!strcmp(name, kinds[i].name))
			return err_set(err, ENOENT, "natrig does not install "
				       "%s: natrig client doctor %s says how "
				       "to get it", name, name);
	words[n] = NULL;
	near = nearest_word(name, words);
	return err_set(err, ENOENT, "nobody here knows how to install "
		       "\"%.60s\"%s%s%s", name, near ? "; did you mean \"" : "",
		       near ? near : "", near ? "\"?" : "");
}

/* The client's program does it, in our place, on our terminal. */
static int install(const char *what)
{
	char name[CLIENTS_NAME_BYTES], version[256];
	struct environment env = {0};
	struct clients_kind kind;
	struct err err = {0};
	const char **whole = NULL;
	int ret = clients_parse(what, name, version, &err);

	if (!ret)
		ret = find_installer(name, &kind, &err);
	if (ret)
		return usage_error("client install", "%s", err.text);
	ret = real_environment(version, &env);
	if (!ret)
		ret = environment_set(&env, "NATRIG_INSTALL", "%s", name);
	if (!ret)
		whole = environment_whole(&env);
	if (whole)
		execle(kind.program, kind.program, "install", NULL, whole);
	fprintf(stderr, "natrig client install: cannot start %s: %s\n",
		kind.program, strerror(errno));
	free(whole);
	environment_clear(&env);
	return EXIT_CANNOT_RUN;
}

int cmd_client(int argc, char **argv)
{
	bool as_json = argc > 2 && !strcmp(argv[argc - 1], "--json");
	int words = argc - as_json;

	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return print_help(help);
	if (words == 2 && !strcmp(argv[1], "list"))
		return list_clients(as_json);
	if (words == 3 && !strcmp(argv[1], "doctor"))
		return doctor(argv[2], as_json);
	if (argc == 3 && !strcmp(argv[1], "install"))
		return install(argv[2]);
	return usage_error("client", "wants list, doctor NAME or install "
			   "NAME@VERSION");
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "harness/commands.h"
#include "harness/nearest.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct command {
	const char *name;
	int (*fn)(int argc, char **argv);
	const char *summary;
};

/* One more verb: one more row, and its cmd_ function; without one it is the
 * program natrig-VERB. */
static const struct command commands[] = {
	{"run", cmd_run, "run scenarios and give their verdicts"},
	{"verify", cmd_verify, "check order statements against a recording"},
	{"show", cmd_show, "show the journeys in a recording"},
	{"check-scenario", cmd_check_scenario, "read scenarios, run nothing"},
	{"shell", cmd_shell, "build a lab and open a shell in a host"},
	{"exec", cmd_exec, "run a command in a host of a lab"},
	{"probe", cmd_probe, "say what NAT a host is behind"},
	{"nat", cmd_nat, "list and show the NATs that routers can be"},
	{"lab", cmd_lab, "draw a scenario's lab"},
	{"client", cmd_client, "list, check and install real clients"},
	{"doctor", cmd_doctor, "say what this machine can run"},
	{"compare", NULL, "compare clients and versions, scenario by scenario"},
	{"bench", cmd_bench, "measure natrig itself"},
	{0}};

static void print_usage(FILE *out)
{
	fprintf(out,
		"Usage: natrig VERB [ARGUMENT]...\n"
		"\n"
		"Who can reach whom, in which order, through which NATs, and "
		"why not:\n"
		"with real kernel NATs, real packets, and a recording as "
		"proof.\n\n");
	for (const struct command *c = commands; c->name; c++)
		fprintf(out, "  %-15s %s\n", c->name, c->summary);
	fprintf(out, "\nnatrig VERB --help tells more. A program natrig-VERB "
		     "in PATH is a verb as well.\n");
}

static const struct command *find_command(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

/*
 * natrig-VERB, as git finds its subcommands: beside this program (in a build
 * tree), among its own, in PATH. It finds this natrig in $NATRIG. Returns only
 * if there is none.
 */
static void exec_external(char **argv)
{
	char name[64], self[PATH_MAX], path[PATH_MAX + sizeof(name)];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (strlen(argv[0]) >= sizeof(name) - strlen("natrig-") ||
	    strchr(argv[0], '/'))
		return;
	snprintf(name, sizeof(name), "natrig-%s", argv[0]);
	if (len > 0) {
		self[len] = '\0';
		setenv("NATRIG", self, 1);
		slash = strrchr(self, '/');
		snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - self),
			 self, name);
		execv(path, argv);
	}
	snprintf(path, sizeof(path), "%s/%s", NATRIG_LIBEXECDIR, name);
	execv(path, argv);
	execvp(name, argv);
}

static int missing_program(const char *verb)
{
	fprintf(stderr, "natrig %s is the program natrig-%s, which is neither "
		"beside natrig nor in\n%s nor in PATH: it is built and "
		"installed where configure finds Python\n",
		verb, verb, NATRIG_LIBEXECDIR);
	return EXIT_CANNOT_RUN;
}

static int unknown_verb(const char *name)
{
	const char *words[sizeof(commands) / sizeof(commands[0])] = {0};
	const char *near;

	for (unsigned i = 0; commands[i].name; i++)
		words[i] = commands[i].name;
	near = nearest_word(name, words);
	fprintf(stderr, "natrig: unknown verb '%s'%s%s%s\nTry: natrig --help\n",
		name, near ? "; did you mean '" : "", near ? near : "",
		near ? "'?" : "");
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	const struct command *command;

	if (sodium_init() < 0) {
		fprintf(stderr, "natrig: libsodium does not start\n");
		return EXIT_CANNOT_RUN;
	}
	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    !strcmp(argv[1], "help")) {
		print_usage(stdout);
		return EXIT_HOLDS;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "version")) {
		printf("natrig %s\n", PACKAGE_VERSION);
		return EXIT_HOLDS;
	}
	command = find_command(argv[1]);
	if (command && command->fn)
		return command->fn(argc - 1, argv + 1);
	exec_external(argv + 1);
	return command ? missing_program(argv[1]) : unknown_verb(argv[1]);
}

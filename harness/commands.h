/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * commands: the program's verbs. One more is one row in main.c's table and one
 * cmd_ function; each reads its own options and prints its own --help.
 */
#ifndef NATRIG_HARNESS_COMMANDS_H
#define NATRIG_HARNESS_COMMANDS_H

#include "harness/scenario.h"

#include <stdio.h>

/* Exit statuses, the same for every verb. */
enum {
	EXIT_HOLDS = 0,
	EXIT_FALLS_SHORT = 1,
	EXIT_USAGE = 2,	   /* or a bad scenario, or a file that is none */
	EXIT_CANNOT_RUN = 3, /* this machine cannot; says why */
	EXIT_INTERRUPTED = 130
};

int cmd_run(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_check_scenario(int argc, char **argv);
int cmd_shell(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_probe(int argc, char **argv);
int cmd_nat(int argc, char **argv);
int cmd_lab(int argc, char **argv);
int cmd_client(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_bench(int argc, char **argv);

/* --- shared by them (commands.c) ----------------------------------------- */

/* "natrig: FILE:LINE:COLUMN: TEXT" on stderr. */
void print_err(const struct err *err);
/* Prints HELP to stdout (status 0) or, after a complaint, a hint to stderr. */
int print_help(const char *help);
int usage_error(const char *verb, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* What getopt found wrong with argv, as a usage error with the nearest name. */
struct option;
int bad_option(const char *verb, char **argv, const struct option *options);
bool want_colour(FILE *out);
/* Of the terminal, $COLUMNS, or 80; 0 where OUT is no terminal. */
unsigned columns_of(FILE *out);

/* The preset that this is, or NULL (cmd_nat.c). */
const char *nat_name(const struct nat *nat);
/* "easy: eim, apdf, ports preserve" into TEXT, which is returned. */
#define NAT_WORDS_BYTES 192
const char *nat_words(const struct nat *nat, char text[static NAT_WORDS_BYTES]);

/* All scenarios under the paths given: files as they are, folders searched for
 * *.yaml and *.yml, sorted. */
struct scenario_list {
	struct scenario **list;
	unsigned count;
};

/* 0, or EXIT_USAGE after every error has been printed. */
int read_scenarios(char **paths, int count, struct scenario_list *list);
void free_scenarios(struct scenario_list *list);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/commands.h"

#include "harness/nearest.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <dirent.h>
#include <unistd.h>

void print_err(const struct err *err)
{
	if (err->file[0] && err->line)
		fprintf(stderr, "%s:%u:%u: %s\n", err->file, err->line,
			err->column, err->text);
	else if (err->file[0])
		fprintf(stderr, "%s: %s\n", err->file, err->text);
	else
		fprintf(stderr, "natrig: %s\n", err->text);
}

int print_help(const char *help)
{
	fputs(help, stdout);
	return EXIT_HOLDS;
}

int usage_error(const char *verb, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "natrig%s%s: ", *verb ? " " : "", verb);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nTry: natrig %s%s--help\n", verb, *verb ? " " : "");
	return EXIT_USAGE;
}

int bad_option(const char *verb, char **argv, const struct option *options)
{
	const char *words[32];
	const char *given = argv[optind - 1], *near;
	unsigned n = 0;

	if (optopt && strncmp(given, "--", 2))
		return usage_error(verb, "unknown option -%c", optopt);
	for (; options[n].name && n < 31; n++) {
		if (!strcmp(given + 2, options[n].name))
			return usage_error(verb, "%s needs a value", given);
		words[n] = options[n].name;
	}
	words[n] = NULL;
	near = nearest_word(given + 2, words);
	return usage_error(verb, "unknown option %s%s%s%s", given,
			   near ? "; did you mean --" : "", near ? near : "",
			   near ? "?" : "");
}

bool want_colour(FILE *out)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fileno(out)) && (!no || !*no) && term &&
	       strcmp(term, "dumb");
}

unsigned columns_of(FILE *out)
{
	const char *text = getenv("COLUMNS");
	struct winsize size;

	if (!isatty(fileno(out)))
		return 0;
	if (!ioctl(fileno(out), TIOCGWINSZ, &size) && size.ws_col)
		return size.ws_col;
	return text && atoi(text) > 20 ? (unsigned)atoi(text) : 80;
}

/* --- scenarios ----------------------------------------------------------- */

static bool is_yaml(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && name[0] != '.' &&
	       (!strcmp(dot, ".yaml") || !strcmp(dot, ".yml"));
}

static int add_file(const char *path, struct scenario_list *list)
{
	struct scenario *s = NULL, **bigger;
	struct err err = {0};

	if (scenario_read(path, &s, &err)) {
		print_err(&err);
		return EXIT_USAGE;
	}
	bigger = realloc(list->list, (list->count + 1) * sizeof(*bigger));
	if (!bigger) {
		scenario_free(s);
		return EXIT_USAGE;
	}
	list->list = bigger;
	list->list[list->count++] = s;
	return 0;
}

static int add_path(const char *path, struct scenario_list *list, bool *any);

static int add_folder(const char *path, struct scenario_list *list, bool *any)
{
	struct dirent **entries;
	int n = scandir(path, &entries, NULL, alphasort), ret = 0;
	char inner[4096];
	struct stat st;

	if (n < 0) {
		fprintf(stderr, "natrig: cannot read the folder %s: %s\n", path,
			strerror(errno));
		return EXIT_USAGE;
	}
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;
		size_t len = strlen(path);

		snprintf(inner, sizeof(inner), "%s%s%s", path,
			 len && path[len - 1] == '/' ? "" : "/", name);
		if (name[0] != '.' && !stat(inner, &st) &&
		    (S_ISDIR(st.st_mode) || is_yaml(name)))
			ret |= add_path(inner, list, any);
		free(entries[i]);
	}
	free(entries);
	return ret;
}

static int add_path(const char *path, struct scenario_list *list, bool *any)
{
	struct stat st;

	if (!stat(path, &st) && S_ISDIR(st.st_mode))
		return add_folder(path, list, any);
	*any = true;
	return add_file(path, list);
}

int read_scenarios(char **paths, int count, struct scenario_list *list)
{
	bool any;
	int ret = 0;

	*list = (struct scenario_list){0};
	for (int i = 0; i < count; i++) {
		any = false;
		ret |= add_path(paths[i], list, &any);
		if (any || ret)
			continue;
		fprintf(stderr, "natrig: no scenario (*.yaml) in %s\n",
			paths[i]);
		ret = EXIT_USAGE;
	}
	if (ret)
		free_scenarios(list);
	return ret ? EXIT_USAGE : 0;
}

void free_scenarios(struct scenario_list *list)
{
	for (unsigned i = 0; i < list->count; i++)
		scenario_free(list->list[i]);
	free(list->list);
	*list = (struct scenario_list){0};
}

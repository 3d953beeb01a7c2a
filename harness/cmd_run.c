/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/adapter.h"
#include "harness/commands.h"
#include "harness/pool.h"
#include "harness/report.h"
#include "netns/clock.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] =
	"Usage: natrig run [OPTION]... FILE|FOLDER...\n"
	"\n"
	"Runs scenarios: builds each lab, does its steps, records every link,\n"
	"and says from the recording whether the scenario holds.\n"
	"\n"
	"  -j, --jobs N     labs at once (default: one a CPU)\n"
	"      --json       one JSON object on standard output instead of text\n"
	"      --tap        TAP 14 on standard output instead of text\n"
	"      --junit FILE a JUnit report into FILE, besides\n"
	"      --keep DIR   keep the recordings, DIR/SCENARIO.pcapng, and real\n"
	"                   clients' logs and state, DIR/SCENARIO.files/, in\n"
	"                   place of an earlier run's; where a FILE is named\n"
	"                   again, SCENARIO-2 and so on\n"
	"      --real-time  wait timers out instead of skipping idle time\n"
	"      --skip-time  refuse where idle time cannot be skipped\n"
	"      --client K   run every host's client as K: model, or a real one,\n"
	"                   NAME or NAME@VERSION (see natrig client list)\n"
	"      --certify    measure each router too, as RFC 4787 has it: one\n"
	"                   that is not what was asked for falls short\n"
	"  -v, --verbose    each step and statement, also of what holds\n"
	"  -q, --quiet      no progress line\n"
	"  -h, --help       this\n"
	"\n"
	"Exit status: 0 every scenario holds; 1 one falls short; 2 usage or a\n"
	"bad scenario; 3 this machine cannot run it; 130 interrupted.\n";

struct options {
	unsigned jobs;
	bool json, tap, real_time, skip_time, verbose, quiet, certify;
	const char *junit, *keep, *client;
};

struct session {
	struct options options;
	struct report_style style;
	uint64_t start_us;
	bool progress_shown;
	unsigned columns; /* of stderr, for the progress line */
};

static const struct option long_options[] = {
	{"jobs", required_argument, NULL, 'j'},
	{"json", no_argument, NULL, 'J'},
	{"tap", no_argument, NULL, 'T'},
	{"junit", required_argument, NULL, 'U'},
	{"keep", required_argument, NULL, 'K'},
	{"real-time", no_argument, NULL, 'R'},
	{"skip-time", no_argument, NULL, 'S'},
	{"client", required_argument, NULL, 'C'},
	{"certify", no_argument, NULL, 'F'},
	{"verbose", no_argument, NULL, 'v'},
	{"quiet", no_argument, NULL, 'q'},
	{"help", no_argument, NULL, 'h'},
	{0}};

static int read_jobs(struct options *o)
{
	char *end;

	o->jobs = (unsigned)strtoul(optarg, &end, 10);
	if (*end || !o->jobs || o->jobs > 1024)
		return usage_error("run", "--jobs wants a number from 1 to "
				   "1024, not '%s'", optarg);
	return 0;
}

/* One option as getopt_long gives it; 0, or an exit status. */
static int take_option(struct options *o, int c, char **argv)
{
	switch (c) {
	case 'j':
		return read_jobs(o);
	case 'J':
		o->json = true;
		return 0;
	case 'T':
		o->tap = true;
		return 0;
	case 'U':
		o->junit = optarg;
		return 0;
	case 'K':
		o->keep = optarg;
		return 0;
	case 'R':
		o->real_time = true;
		return 0;
	case 'S':
		o->skip_time = true;
		return 0;
	case 'C':
		o->client = optarg;
		return 0;
	case 'F':
		o->certify = true;
		return 0;
	case 'v':
		o->verbose = true;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	case 'h':
		print_help(help);
		exit(EXIT_HOLDS);
	default:
		return bad_option("run", argv, long_options);
	}
}

static int read_options(int argc, char **argv, struct options *o)
{
	int c, status;

	while ((c = getopt_long(argc, argv, ":j:vqh", long_options, NULL)) !=
	       -1) {
		status = take_option(o, c, argv);
		if (status)
			return status;
	}
	if (o->json && o->tap)
		return usage_error("run", "--json and --tap exclude each other");
	if (o->real_time && o->skip_time)
		return usage_error("run", "--real-time and --skip-time exclude "
				   "each other");
	if (optind == argc)
		return usage_error("run", "which scenario? Name a file or a "
				   "folder");
	return 0;
}

/* --- what is shown while it runs ------------------------------------------ */

static void clear_progress(struct session *s)
{
	if (s->progress_shown)
		fputs("\r\033[K", stderr);
	s->progress_shown = false;
}

static void on_result(void *arg, const json_t *result)
{
	struct session *s = arg;

	if (s->options.json || s->options.tap)
		return;
	clear_progress(s);
	report_text(result, &s->style, stdout);
	fflush(stdout);
}

static void on_progress(void *arg, const struct pool_progress *p)
{
	struct session *s = arg;
	double spent_s = (double)(clock_real_us() - s->start_us) / 1e6;
	const char *base = strrchr(p->file, '/');
	char line[512], left[32] = "";

	if (s->options.quiet || !isatty(STDERR_FILENO) || !p->running)
		return;
	if (p->done)
		snprintf(left, sizeof(left), ", %.0f s left",
			 spent_s / p->done * (p->total - p->done));
	snprintf(line, sizeof(line),
		 "%u of %u done, %u running, %u failed%s | %s: %s (%.1f s)",
		 p->done, p->total, p->running, p->failed, left,
		 base ? base + 1 : p->file, p->what, (double)p->lab_us / 1e6);
	fprintf(stderr, "\r\033[K%.*s", (int)(s->columns ? s->columns - 1 : 79),
		line);
	fflush(stderr);
	s->progress_shown = true;
}

/* --- recordings ----------------------------------------------------------- */

static void base_name(const char *path, char *name, size_t size)
{
	const char *base = strrchr(path, '/');
	char *dot;

	snprintf(name, size, "%s", base ? base + 1 : path);
	dot = strrchr(name, '.');
	if (dot)
		*dot = '\0';
}

static bool is_taken(const struct pool_job *jobs, unsigned count,
		     const char *recording)
{
	for (unsigned i = 0; i < count; i++)
		if (!strcmp(jobs[i].recording, recording))
			return true;
	return false;
}

/*
 * DIR/SCENARIO.pcapng into PATH. Two scenarios of one name get their whole
 * paths, with dashes; one that is run more than once is numbered from 2 on.
 * Returns whether it fits.
 */
static bool name_recording(const struct scenario_list *list,
			   const struct pool_job *jobs, unsigned i,
			   const char *keep, char *path, size_t size)
{
	const char *file = list->list[i]->file;
	char name[PATH_MAX], other[PATH_MAX];
	int length;

	base_name(file, name, sizeof(name));
	for (unsigned k = 0; k < list->count; k++) {
		base_name(list->list[k]->file, other, sizeof(other));
		if (strcmp(name, other) || !strcmp(file, list->list[k]->file))
			continue;
		snprintf(name, sizeof(name), "%s", file);
		for (char *c = name; *c; c++)
			if (*c == '/')
				*c = '-';
		break;
	}
	length = snprintf(path, size, "%s/%s.pcapng", keep, name);
	for (unsigned n = 2; (size_t)length < size && is_taken(jobs, i, path);
	     n++)
		length = snprintf(path, size, "%s/%s-%u.pcapng", keep, name, n);
	return (size_t)length < size;
}

/* NAME.pcapng is the recording, NAME.files the real clients' folder. */
static void name_folder(const char *recording, char *path, size_t size)
{
	const char *dot = strrchr(recording, '.');

	snprintf(path, size, "%.*s.files", (int)(dot - recording), recording);
}

/* Asks each client and version once whether it can run here. */
static void check_client(const struct scenario *s, struct pool_job *jobs,
			 unsigned index)
{
	struct pool_job *job = &jobs[index];
	struct clients_kind kind;
	struct err err = {0};

	for (unsigned i = 0; i < index; i++) {
		const struct scenario_host *host = jobs[i].scenario->hosts;

		if (strcmp(host->client, s->hosts->client) ||
		    strcmp(host->version, s->hosts->version))
			continue;
		memcpy(job->why_not, jobs[i].why_not, sizeof(job->why_not));
		return;
	}
	if (clients_find(s->hosts->client, &kind, &err) ||
	    adapter_available(&kind, s->hosts->version, NULL, &err))
		snprintf(job->why_not, sizeof(job->why_not), "%s", err.text);
}

static void check_job(const struct options *o, struct pool_job *jobs,
		      unsigned index)
{
	struct pool_job *job = &jobs[index];
	const struct scenario *s = job->scenario;
	const char *real = scenario_real_client(s);

	if (job->why_not[0] || !real)
		return;
	if (o->skip_time)
		snprintf(job->why_not, sizeof(job->why_not),
			 "%s runs %s, a real client: its time is real and "
			 "cannot be skipped, as --skip-time asks",
			 s->plan.nodes[s->hosts->node].name, real);
	else
		check_client(s, jobs, index);
}

/* Where what is to be kept of a job goes. */
static void keep_job(const struct scenario_list *list, const char *keep,
		     struct pool_job *jobs, unsigned i)
{
	struct pool_job *job = &jobs[i];

	if (!name_recording(list, jobs, i, keep, job->recording,
			    sizeof(job->recording)))
		snprintf(job->why_not, sizeof(job->why_not),
			 "the path of its recording would be longer than %zu "
			 "bytes: take a shorter folder with --keep",
			 sizeof(job->recording) - 1);
	else if (scenario_real_client(job->scenario))
		name_folder(job->recording, job->folder, sizeof(job->folder));
}

static struct pool_job *make_jobs(const struct scenario_list *list,
				  const struct options *o)
{
	struct pool_job *jobs = calloc(list->count, sizeof(*jobs));

	for (unsigned i = 0; jobs && i < list->count; i++) {
		struct err err = {0};

		jobs[i].scenario = list->list[i];
		/* What only the model can do is no real client's fault. */
		if (o->client &&
		    scenario_use_client(list->list[i], o->client, &err))
			snprintf(jobs[i].why_not, sizeof(jobs[i].why_not),
				 "%s", err.text);
		check_job(o, jobs, i);
		if (o->keep)
			keep_job(list, o->keep, jobs, i);
	}
	return jobs;
}

/* --- the end -------------------------------------------------------------- */

static int write_junit(const struct session *s, const json_t *results,
		       double wall_s)
{
	FILE *f = fopen(s->options.junit, "w");
	int ret = -1;

	if (f) {
		ret = report_junit(results, wall_s, f);
		if (fclose(f))
			ret = -1;
	}
	if (ret)
		fprintf(stderr, "natrig run: cannot write %s: %s\n",
			s->options.junit, strerror(errno));
	return ret;
}

static int write_reports(struct session *s, json_t *results)
{
	double wall_s = (double)(clock_real_us() - s->start_us) / 1e6;
	int ret = 0;

	clear_progress(s);
	if (s->options.json)
		ret = report_json(results, stdout);
	else if (s->options.tap)
		ret = report_tap(results, stdout);
	else
		report_text_summary(results, wall_s, &s->style, stdout);
	if (s->options.junit && write_junit(s, results, wall_s))
		return EXIT_USAGE;
	if (fflush(stdout) || ret) {
		fprintf(stderr, "natrig run: cannot write the report: %s\n",
			strerror(errno));
		return EXIT_USAGE;
	}
	return 0;
}

static int exit_status(const json_t *results)
{
	int status = EXIT_HOLDS;
	size_t i;
	json_t *result;

	json_array_foreach(results, i, result) {
		const char *verdict =
			json_string_value(json_object_get(result, "verdict"));

		if (!strcmp(verdict, "falls-short"))
			return EXIT_FALLS_SHORT;
		if (strcmp(verdict, "holds"))
			status = EXIT_CANNOT_RUN;
	}
	return status;
}

/* Those reports come at the end, and tell of everything. */
static bool reports_later(const struct options *o)
{
	return o->json || o->tap || o->junit;
}

static int run_all(struct session *s, const struct scenario_list *list)
{
	struct pool_config config = {.job_count = list->count,
				     .workers = s->options.jobs,
				     .real_time = s->options.real_time,
				     .certify = s->options.certify,
				     .brief = !reports_later(&s->options),
				     .on_result = on_result,
				     .on_progress = on_progress,
				     .arg = s};
	struct pool_job *jobs = make_jobs(list, &s->options);
	json_t *results = NULL;
	struct err err = {0};
	int ret, status;

	if (!jobs)
		return EXIT_CANNOT_RUN;
	config.jobs = jobs;
	s->start_us = clock_real_us();
	ret = pool_run(&config, &results, &err);
	if (ret && ret != -EINTR) {
		clear_progress(s);
		fprintf(stderr, "natrig: this machine cannot run a lab: %s\n"
			"natrig: see natrig doctor\n", err.text);
		status = EXIT_CANNOT_RUN;
	} else {
		status = write_reports(s, results);
		if (!status)
			status = ret ? EXIT_INTERRUPTED : exit_status(results);
	}
	json_decref(results);
	free(jobs);
	return status;
}

/* Whether there is such a client at all; told where not. */
static int check_client_name(const char *client)
{
	char name[CLIENTS_NAME_BYTES], version[256];
	struct clients_kind kind;
	struct err err = {0};
	int ret = clients_parse(client, name, version, &err);

	if (!ret && !strcmp(name, CLIENTS_MODEL) && *version)
		ret = err_set(&err, EINVAL, "the model has no versions");
	else if (!ret && strcmp(name, CLIENTS_MODEL))
		ret = clients_find(name, &kind, &err);
	return ret ? usage_error("run", "--client %s: %s", client, err.text) :
		     0;
}

int cmd_run(int argc, char **argv)
{
	struct session s = {0};
	struct scenario_list list;
	int status = read_options(argc, argv, &s.options);

	if (status)
		return status;
	if (s.options.client && check_client_name(s.options.client))
		return EXIT_USAGE;
	if (s.options.keep && mkdir(s.options.keep, 0777) && errno != EEXIST)
		return usage_error("run", "cannot make the folder %s: %s",
				   s.options.keep, strerror(errno));
	status = read_scenarios(argv + optind, argc - optind, &list);
	if (status)
		return status;
	s.style.colour = want_colour(stdout);
	s.style.columns = columns_of(stdout);
	s.style.detail = s.options.verbose || list.count == 1;
	s.columns = columns_of(stderr);
	status = run_all(&s, &list);
	free_scenarios(&list);
	return status;
}

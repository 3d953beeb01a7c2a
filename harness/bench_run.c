/* SPDX-License-Identifier: BSD-3-Clause */
/* natrig bench run: what scenarios cost from file to verdict. */
#include "harness/bench.h"
#include "harness/commands.h"
#include "harness/pool.h"
#include "netns/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIRECTORY_SIZE 100

/* Where the repository's or the installed scenarios are. */
static int find_scenarios(const char *folder, struct scenario_list *list)
{
	static const char *const places[] = {"scenarios",
					     NATRIG_DATADIR "/scenarios"};
	char path[4096], *paths[] = {path};

	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", places[i], folder);
		if (!access(path, R_OK))
			return read_scenarios(paths, 1, list);
	}
	return -ENOENT;
}

static bool uses_portmap(const struct scenario *s)
{
	for (unsigned i = 0; i < s->plan.count; i++)
		if (s->plan.nodes[i].portmap)
			return true;
	for (unsigned i = 0; i < s->step_count; i++)
		if (s->steps[i].verb == STEP_SET && s->steps[i].portmap)
			return true;
	return false;
}

/* What one run of a set of scenarios gave. */
struct timing {
	double wall_ms;
	double lab_s;
	bool all_hold;
};

static struct timing timing_of(json_t *results, double wall_ms)
{
	struct timing t = {wall_ms, 0, true};
	size_t i;
	json_t *result;

	json_array_foreach(results, i, result) {
		const char *verdict =
			json_string_value(json_object_get(result, "verdict"));
		const json_t *lab = json_object_get(result, "lab");

		t.lab_s += json_number_value(json_object_get(lab, "lab_s"));
		t.all_hold = t.all_hold && !strcmp(verdict, "holds");
	}
	return t;
}

static int time_jobs(const struct pool_job *jobs, unsigned count,
		     unsigned workers, struct timing *t, struct err *err)
{
	struct pool_config config = {
		.jobs = jobs, .job_count = count, .workers = workers};
	uint64_t start_us = clock_real_us();
	json_t *results = NULL;
	int ret = pool_run(&config, &results, err);

	*t = timing_of(results, (double)(clock_real_us() - start_us) / 1000);
	json_decref(results);
	if (!ret && !t->all_hold)
		ret = err_set(err, EIO, "not all scenarios hold: run them");
	return ret;
}

/* A subject: some scenarios, how many times, on how many workers. */
struct subject {
	const char *key, *what;
	const char *folder;
	int portmap; /* 1: only those with a daemon, 0: only those without,
		      * -1: all */
	unsigned jobs, workers;
	bool each; /* per scenario, not in all */
	double value; /* median */
};

static unsigned fill_jobs(struct pool_job *jobs, const struct subject *s,
			  const struct scenario_list *list)
{
	unsigned wanted = s->jobs ? s->jobs : list->count, count = 0;

	/* Around the list until there are as many as wanted. */
	for (unsigned i = 0; count < wanted && i < wanted * list->count; i++) {
		const struct scenario *one = list->list[i % list->count];

		if (s->portmap >= 0 && uses_portmap(one) != s->portmap)
			continue;
		jobs[count++].scenario = one;
	}
	return count;
}

static int measure(struct subject *s, unsigned runs, double *speed,
		   struct err *err)
{
	struct scenario_list list = {0};
	double *values = calloc(runs, sizeof(*values));
	struct pool_job *jobs = NULL;
	struct timing t = {0};
	unsigned count = 0;
	int ret = find_scenarios(s->folder, &list);

	if (ret || !values)
		ret = err_set(err, ENOENT, "no scenarios/%s here: run it in "
			      "the repository, or install natrig", s->folder);
	else
		jobs = calloc(list.count + DIRECTORY_SIZE, sizeof(*jobs));
	if (jobs)
		count = fill_jobs(jobs, s, &list);
	for (unsigned i = 0; count && !ret && i < runs; i++) {
		ret = time_jobs(jobs, count, s->workers, &t, err);
		values[i] = t.wall_ms / (s->each ? count : 1);
	}
	if (!ret) {
		s->value = bench_median(values, runs);
		*speed = t.wall_ms > 0 ? t.lab_s * 1000 / t.wall_ms : 0;
	}
	free(jobs);
	free(values);
	free_scenarios(&list);
	return ret;
}

static void print_results(const struct subject *s, unsigned count,
			  double speed, const struct bench_options *options)
{
	json_t *json = json_object();

	for (unsigned i = 0; i < count; i++)
		json_object_set_new(json, s[i].key, json_real(s[i].value));
	json_object_set_new(json, "lab_over_wall", json_real(speed));
	if (options->json) {
		json_dumpf(json, stdout, JSON_REAL_PRECISION(6));
		putchar('\n');
	} else {
		printf("median of %u runs\n%-50s %9s\n", options->runs,
		       "scenarios, from file to verdict", "ms");
		for (unsigned i = 0; i < count; i++)
			printf("%-50s %9.0f\n", s[i].what, s[i].value);
		printf("%-50s %9.0f\n", "lab time over wall time, timeouts",
		       speed);
	}
	json_decref(json);
}

int bench_run(const struct bench_options *options, struct err *err)
{
	struct subject subjects[] = {
		{"seed_total_ms", "scenarios/seed, all, two at once", "seed",
		 -1, 0, 2, false, 0},
		{"average_ms", "100 without miniupnpd, two at once: each",
		 "seed", 0, DIRECTORY_SIZE, 2, true, 0},
		{"single_ms", "one alone", "seed", 0, 1, 1, false, 0},
		{"portmap_single_ms", "one alone with miniupnpd", "seed", 1, 1,
		 1, false, 0},
		{"time_total_ms", "scenarios/time, all, two at once", "time",
		 -1, 0, 2, false, 0},
	};
	const unsigned count = sizeof(subjects) / sizeof(*subjects);
	double speed = 0;
	int ret = 0;

	for (unsigned i = 0; i < count && !ret; i++) {
		bench_progress(subjects[i].what);
		ret = measure(&subjects[i], options->runs, &speed, err);
	}
	bench_progress(NULL);
	if (!ret)
		print_results(subjects, count, speed, options);
	return ret;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * run: the main job, one scenario from its file to its verdict. run.c read top
 * to bottom is the program.
 */
#ifndef NATRIG_HARNESS_RUN_H
#define NATRIG_HARNESS_RUN_H

#include "harness/steps.h"

enum verdict { VERDICT_HOLDS, VERDICT_FALLS_SHORT, VERDICT_COULD_NOT_RUN };

struct run_options {
	int recording_fd; /* where the recording goes: open, read and write */
	int interrupt_fd; /* readable: stop, give the verdict so far; or -1 */
	bool real_time;	  /* do not skip; with real clients it never is */
	const char *folder; /* keep real clients' files there; NULL: do not */
	/* Called now and then while it waits, with what it is doing. */
	void (*progress)(void *arg, const char *what, uint64_t lab_us);
	void *progress_arg;
};

struct run_result {
	enum verdict verdict;
	bool interrupted;
	struct err err; /* why it could not run, or broke off; text "" if not */
	bool client_failed; /* that is why it broke off: no machine's fault */
	struct step_outcome *outcomes;	/* one a step */
	struct order_result *orders;	/* one a statement */
	bool orders_checked;
	double lab_up_ms, recorder_up_ms, lab_down_ms;
	double wall_ms;
	uint64_t lab_us; /* lab time from start to end */
	struct recorder_stats recorder;
	bool skipped; /* time was skipped */
};

/*
 * Runs one scenario; must be in a sandbox. Everything it built is gone when it
 * returns, but for the recording. The result's arrays are freed by
 * run_result_free. Returns 0 or -ENOMEM; what went wrong in the lab is in the
 * result.
 */
int run_scenario(const struct scenario *s, const struct run_options *options,
		 struct run_result *result);
void run_result_free(struct run_result *result);

const char *verdict_name(enum verdict v);

/* The lab's cast with the addresses that it was given. NULL: no memory. */
struct cast *run_cast(const struct scenario *s, const struct lab *lab);

/*
 * A lab with clients that somebody else uses for a while (shell, exec, probe):
 * up, the steps before the first ping done, then FN, then down.
 */
typedef int run_inside_fn(void *arg, struct driver *driver, struct lab *lab,
			  const struct scenario *s, struct err *err);
int run_inside(const struct scenario *s, const struct run_options *options,
	       run_inside_fn *fn, void *arg, struct err *err);

#endif

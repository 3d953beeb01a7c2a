/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pool: runs scenarios, several at once, each lab in a sandbox of a worker
 * process, and collects their results in order.
 *
 * Workers take the next scenario from a counter they share, so a slow one
 * holds nobody up. A worker that dies takes only its own scenario with it.
 */
#ifndef NATRIG_HARNESS_POOL_H
#define NATRIG_HARNESS_POOL_H

#include "harness/result.h"

struct pool_job {
	const struct scenario *scenario;
	/* The recording is kept there; "" for nowhere. */
	char recording[512];
	/* Real clients' files are kept there; "" for nowhere. */
	char folder[512];
	/* Why this machine cannot run it: then nothing is; "" where it can. */
	char why_not[768];
};

struct pool_progress {
	unsigned done, running, failed, total;
	const char *file, *what; /* of one that is running */
	uint64_t lab_us;
};

struct pool_config {
	const struct pool_job *jobs;
	unsigned job_count;
	unsigned workers; /* 0: one a CPU */
	bool real_time;
	bool certify; /* each router is measured, see certify.h */
	/* Of what on_result was shown no more is kept than the verdict. */
	bool brief;
	/* In order of the jobs, each as soon as all before it are there. */
	void (*on_result)(void *arg, const json_t *result);
	void (*on_progress)(void *arg, const struct pool_progress *progress);
	void *arg;
};

/*
 * *RESULTS becomes an array with one result a job (the caller's to decref); of
 * jobs not run after an interruption, none. 0; -EINTR when the user stopped
 * it; or a negative errno when this machine makes no sandbox (err says why).
 */
int pool_run(const struct pool_config *config, json_t **results,
	     struct err *err);

/* Pins the calling process to the INDEX-th (modulo) CPU it may use. */
void pool_pin_cpu(unsigned index);
/* How many CPUs this process may use. */
unsigned pool_cpus(void);

#endif

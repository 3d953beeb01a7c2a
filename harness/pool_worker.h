/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's half of the pool; for pool.c only. */
#ifndef NATRIG_HARNESS_POOL_WORKER_H
#define NATRIG_HARNESS_POOL_WORKER_H

#include "harness/pool.h"

#include <sched.h>
#include <stdatomic.h>

/* In memory that all workers share. */
struct pool_shared {
	atomic_uint next;
	atomic_bool stop;
};

struct pool_worker {
	const struct pool_config *config;
	struct pool_shared *shared;
	unsigned index;
	int report_fd; /* JSON lines to the parent */
	cpu_set_t cpus; /* that it may use */
};

/* Body of a sandbox; ARG is a struct pool_worker. */
int pool_worker_main(void *arg);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* natrig bench lab: what a lab costs to build and to drop. */
#include "harness/bench.h"
#include "harness/commands.h"
#include "harness/pool.h"
#include "harness/run.h"
#include "netns/sandbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct measurement {
	const char *key, *what;
	unsigned homes;
	bool recorded;
	double up_ms, down_ms; /* medians */
};

/* What a measurement shares with the sandbox that makes it. */
struct lab_bench {
	unsigned runs;
	double *up_ms, *down_ms; /* shared memory, one a run */
	const struct measurement *m;
	char *why; /* shared memory, BENCH_WHY_BYTES */
};

#define BENCH_WHY_BYTES 512

static struct lab_plan plan_of(unsigned homes)
{
	struct lab_plan plan = {
		.nodes = calloc(2 * homes + 2, sizeof(*plan.nodes)),
	};

	for (unsigned i = 0; plan.nodes && i < homes; i++) {
		struct lab_plan_node *n = &plan.nodes[plan.count++];

		snprintf(n->name, sizeof(n->name), "home-%u", i);
		n->kind = LAB_ROUTER;
		n->router = -1;
		n->nat = nat_preset_find("easy")->nat;
	}
	for (unsigned i = 0; plan.nodes && i < homes; i++) {
		struct lab_plan_node *n = &plan.nodes[plan.count++];

		snprintf(n->name, sizeof(n->name), "host-%u", i);
		n->kind = LAB_HOST;
		n->router = (int)i;
	}
	for (unsigned i = 0; plan.nodes && i < 2; i++) {
		struct lab_plan_node *n = &plan.nodes[plan.count++];

		snprintf(n->name, sizeof(n->name), "server-%u", i);
		n->kind = LAB_SERVER;
		n->router = -1;
	}
	return plan;
}

static int open_recorder(const struct lab *lab, struct recorder **recorder,
			 struct err *err)
{
	int fd = memfd_create("recording", MFD_CLOEXEC);

	*recorder = recorder_new(fd, NULL);
	for (unsigned i = 0; *recorder && i < lab->count; i++)
		for (unsigned k = 0; k < lab->nodes[i].iface_count; k++) {
			const struct lab_iface *iface = &lab->nodes[i].ifaces[k];
			struct vantage v = {.ip = iface->ip};

			snprintf(v.name, sizeof(v.name), "%s.%s",
				 lab->nodes[i].plan.name, iface->name);
			snprintf(v.interface, sizeof(v.interface), "%s",
				 iface->name);
			memcpy(v.mac, iface->mac, sizeof(v.mac));
			recorder_add(*recorder, lab->nodes[i].ns_fd, &v);
		}
	return *recorder ? recorder_open(*recorder, err) : -ENOMEM;
}

static int measure_once(struct lab_bench *b, unsigned run, struct err *err)
{
	struct lab_plan plan = plan_of(b->m->homes);
	struct recorder *recorder = NULL;
	struct lab *lab = NULL;
	uint64_t start_us = clock_real_us();
	int ret = plan.nodes ? lab_new(&plan, &lab, err) : -ENOMEM;

	if (!ret && b->m->recorded)
		ret = open_recorder(lab, &recorder, err);
	b->up_ms[run] = (double)(clock_real_us() - start_us) / 1000;
	start_us = clock_real_us();
	lab_free(lab);
	b->down_ms[run] = (double)(clock_real_us() - start_us) / 1000;
	recorder_close(recorder);
	free(plan.nodes);
	return ret;
}

static int measure_all(void *arg)
{
	struct lab_bench *b = arg;
	struct err err = {0};

	for (unsigned i = 0; i < b->runs; i++)
		if (measure_once(b, i, &err)) {
			snprintf(b->why, BENCH_WHY_BYTES, "%s", err.text);
			return 1;
		}
	return 0;
}

static int measure(struct measurement *m, unsigned runs, struct err *err)
{
	size_t bytes = 2 * runs * sizeof(double) + BENCH_WHY_BYTES;
	double *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct lab_bench b = {runs, shared, shared + runs, m,
			      (char *)(shared + 2 * runs)};
	int status = 0, ret;

	if (shared == MAP_FAILED)
		return err_set(err, ENOMEM, "no memory");
	ret = sandbox_run(measure_all, &b, &status, err);
	if (!ret && status)
		ret = err_set(err, EIO, "%s: %s", m->what,
			      b.why[0] ? b.why : "the measuring process died");
	m->up_ms = bench_median(b.up_ms, runs);
	m->down_ms = bench_median(b.down_ms, runs);
	munmap(shared, bytes);
	return ret;
}

static json_t *to_json(const struct measurement *m)
{
	return json_pack("{s:f, s:f, s:f, s:f, s:f}", m[0].key, m[0].up_ms,
			 m[1].key, m[1].up_ms, "seed_down_ms", m[0].down_ms,
			 m[2].key, m[2].up_ms, m[3].key, m[3].up_ms);
}

int bench_lab(const struct bench_options *options, struct err *err)
{
	struct measurement m[] = {
		{"seed_up_ms", "3 homes, 2 servers: up", 3, false, 0, 0},
		{"seed_recorded_up_ms", "the same, each link recorded", 3, true,
		 0, 0},
		{"homes100_up_ms", "100 homes: up", 100, false, 0, 0},
		{"homes1000_up_ms", "1,000 homes: up", 1000, false, 0, 0},
	};
	json_t *json;
	int ret = 0;

	for (unsigned i = 0; i < 4 && !ret; i++) {
		bench_progress(m[i].what);
		ret = measure(&m[i], options->runs, err);
	}
	bench_progress(NULL);
	if (ret)
		return ret;
	if (options->json) {
		json = to_json(m);
		json_dumpf(json, stdout, JSON_REAL_PRECISION(6));
		putchar('\n');
		json_decref(json);
		return 0;
	}
	printf("median of %u runs\n%-34s %10s\n", options->runs, "lab", "ms");
	for (unsigned i = 0; i < 4; i++) {
		printf("%-34s %10.1f\n", m[i].what, m[i].up_ms);
		if (!i)
			printf("%-34s %10.1f\n", "3 homes, 2 servers: down",
			       m[0].down_ms);
	}
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The main job, in the order in which it happens:
 *
 *   lab up -> recorder open -> machines -> step, step, step -> lab down
 *   -> recording -> journeys -> order statements -> verdict
 */
#include "harness/run.h"

#include "harness/evidence.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A lab that is up, and everything that runs in it. */
struct world {
	const struct scenario *scenario;
	const struct run_options *options;
	struct clock clock;
	struct lab *lab;
	struct cast *cast;
	struct recorder *recorder;
	struct driver *driver;
	struct steps steps;
};

static double ms_since(uint64_t start_us)
{
	return (double)(clock_real_us() - start_us) / 1000;
}

struct cast *run_cast(const struct scenario *s, const struct lab *lab)
{
	struct cast *cast = scenario_cast(s);

	for (unsigned i = 0; cast && i < lab->count; i++) {
		const struct lab_node *n = &lab->nodes[i];

		cast->nodes[i].wan_ips = lab_wan_ips(n, cast->nodes[i].ips);
		cast->nodes[i].ip_count = cast->nodes[i].wan_ips;
		for (unsigned k = 1; k < n->iface_count; k++)
			cast->nodes[i].ips[cast->nodes[i].ip_count++] =
				n->ifaces[k].ip;
	}
	return cast;
}

static void show_progress(void *arg)
{
	struct world *w = arg;
	const struct scenario *s = w->scenario;
	unsigned i = w->steps.current;

	w->options->progress(w->options->progress_arg,
			     i < s->step_count ? s->steps[i].text : "",
			     driver_now_us(w->driver));
}

/* --- up ------------------------------------------------------------------ */

static int add_vantages(struct world *w)
{
	for (unsigned i = 0; i < w->lab->count; i++) {
		const struct lab_node *n = &w->lab->nodes[i];

		for (unsigned k = 0; k < n->iface_count; k++) {
			const struct lab_iface *iface = &n->ifaces[k];
			struct vantage v = {.ip = iface->ip};

			snprintf(v.name, sizeof(v.name), "%s.%s", n->plan.name,
				 iface->name);
			memcpy(v.node, n->plan.name, sizeof(v.node));
			snprintf(v.interface, sizeof(v.interface), "%s",
				 iface->name);
			memcpy(v.mac, iface->mac, sizeof(v.mac));
			if (recorder_add(w->recorder, n->ns_fd, &v) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

static int open_recorder(struct world *w, struct err *err)
{
	char *comment;

	w->cast = run_cast(w->scenario, w->lab);
	comment = w->cast ? cast_to_json(w->cast) : NULL;
	if (comment)
		w->recorder = recorder_new(w->options->recording_fd, comment);
	free(comment);
	if (!w->recorder || add_vantages(w))
		return err_set(err, ENOMEM, "no memory for a recorder");
	if (scenario_real_client(w->scenario))
		recorder_expect_bursts(w->recorder);
	return recorder_open(w->recorder, err);
}

static int open_driver(struct world *w, struct err *err)
{
	struct driver_config config = {
		.scenario = w->scenario,
		.lab = w->lab,
		.recorder = w->recorder,
		.clock = &w->clock,
		.interrupt_fd = w->options->interrupt_fd,
		.skip = !w->options->real_time,
		.folder = w->options->folder,
		.progress = w->options->progress ? show_progress : NULL,
		.progress_arg = w,
	};

	return driver_new(&config, &w->driver, err);
}

static int world_up(struct world *w, struct run_result *r)
{
	struct lab_plan plan = w->scenario->plan;
	uint64_t start_us = clock_real_us();
	int ret;

	plan.ages = !w->options->real_time;
	ret = lab_new(&plan, &w->lab, &r->err);
	r->lab_up_ms = ms_since(start_us);
	if (ret)
		return ret;
	ret = open_recorder(w, &r->err);
	r->recorder_up_ms = ms_since(start_us);
	clock_start(&w->clock);
	if (!ret)
		ret = open_driver(w, &r->err);
	w->steps = (struct steps){w->driver, w->scenario, w->lab, r->outcomes,
				  0};
	return ret;
}

/* --- down ---------------------------------------------------------------- */

static void world_down(struct world *w, struct run_result *r)
{
	struct err err = {0};
	uint64_t start_us;

	if (w->driver) {
		r->lab_us = driver_now_us(w->driver);
		if (recorder_finish(w->recorder, clock_offset_ns(&w->clock),
				    NULL, NULL, &r->recorder, &err) &&
		    !r->err.text[0])
			r->err = err;
	}
	driver_free(w->driver);
	start_us = clock_real_us();
	lab_free(w->lab);
	r->lab_down_ms = ms_since(start_us);
	recorder_close_behind(w->recorder);
}

/* --- verdict ------------------------------------------------------------- */

/* All from the file, as natrig verify does it: same bytes, same answer. */
static int judge_recording(struct world *w, struct run_result *r)
{
	const struct scenario *s = w->scenario;
	struct recording *recording = NULL;
	struct journeys *journeys = NULL;
	int ret = recording_read_fd(w->options->recording_fd, "the recording",
				    &recording, &r->err);

	if (ret)
		return ret;
	ret = journeys_new(recording, w->cast, &journeys, &r->err);
	if (!ret) {
		evidence_for_steps(s, &w->clock, journeys, r->outcomes);
		for (unsigned i = 0; i < s->order_count; i++)
			order_check(&s->orders[i].statement, journeys,
				    &r->orders[i]);
		r->orders_checked = true;
	}
	journeys_free(journeys);
	recording_free(recording);
	return ret;
}

static enum verdict verdict_of(const struct scenario *s,
			       const struct run_result *r)
{
	if (r->err.text[0] && !r->interrupted)
		return r->client_failed ? VERDICT_FALLS_SHORT :
					  VERDICT_COULD_NOT_RUN;
	for (unsigned i = 0; i < s->step_count; i++)
		if (r->outcomes[i].done && !r->outcomes[i].holds)
			return VERDICT_FALLS_SHORT;
	/* So far nothing falls short, but it is not known what would have. */
	if (r->interrupted)
		return VERDICT_COULD_NOT_RUN;
	if (!r->orders_checked)
		return VERDICT_FALLS_SHORT;
	for (unsigned i = 0; i < s->step_count; i++)
		if (!r->outcomes[i].done)
			return VERDICT_FALLS_SHORT;
	for (unsigned i = 0; i < s->order_count; i++)
		if (!r->orders[i].holds)
			return VERDICT_FALLS_SHORT;
	/* A witness with gaps proves nothing. */
	return r->recorder.dropped ? VERDICT_FALLS_SHORT : VERDICT_HOLDS;
}

/* --- the whole ----------------------------------------------------------- */

int run_scenario(const struct scenario *s, const struct run_options *options,
		 struct run_result *r)
{
	struct world w = {.scenario = s, .options = options};
	uint64_t start_us = clock_real_us();
	int ret;

	*r = (struct run_result){.skipped = !options->real_time &&
					    !scenario_real_client(s)};
	r->outcomes = calloc(s->step_count + 1, sizeof(*r->outcomes));
	r->orders = calloc(s->order_count + 1, sizeof(*r->orders));
	if (!r->outcomes || !r->orders)
		return -ENOMEM;
	ret = world_up(&w, r);
	if (!ret)
		ret = steps_run(&w.steps, false, &r->err);
	r->interrupted = ret == -EINTR;
	r->client_failed = ret == -EREMOTEIO;
	world_down(&w, r);
	if (w.driver)
		judge_recording(&w, r);
	r->verdict = verdict_of(s, r);
	cast_free(w.cast);
	r->wall_ms = ms_since(start_us);
	return 0;
}

int run_inside(const struct scenario *s, const struct run_options *options,
	       run_inside_fn *fn, void *arg, struct err *err)
{
	struct world w = {.scenario = s, .options = options};
	struct run_result r = {0};
	int ret;

	r.outcomes = calloc(s->step_count + 1, sizeof(*r.outcomes));
	if (!r.outcomes)
		return err_set(err, ENOMEM, "no memory");
	ret = world_up(&w, &r);
	if (!ret)
		ret = steps_run(&w.steps, true, &r.err);
	if (!ret)
		ret = fn(arg, w.driver, w.lab, s, &r.err);
	*err = r.err;
	world_down(&w, &r);
	cast_free(w.cast);
	run_result_free(&r);
	return ret;
}

void run_result_free(struct run_result *r)
{
	free(r->outcomes);
	free(r->orders);
	r->outcomes = NULL;
	r->orders = NULL;
}

const char *verdict_name(enum verdict v)
{
	static const char *const names[] = {"holds", "falls-short",
					    "could-not-run"};

	return names[v];
}

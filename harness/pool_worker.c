/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/pool_worker.h"

#include "harness/certify.h"
#include "harness/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct telling {
	struct pool_worker *worker;
	unsigned job;
};

unsigned pool_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

void pool_pin_cpu(unsigned index)
{
	cpu_set_t allowed, one;
	unsigned skip;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return;
	skip = index % (unsigned)CPU_COUNT(&allowed);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed) || skip--)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}

static void unpin_cpu(const struct pool_worker *w)
{
	sched_setaffinity(0, sizeof(w->cpus), &w->cpus);
}

static void write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			return; /* the parent is gone, and we go with it */
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
}

/* Takes over MESSAGE. */
static void tell(struct pool_worker *w, json_t *message)
{
	char *line = message ? json_dumps(message, JSON_COMPACT) : NULL;

	if (line) {
		write_all(w->report_fd, line, strlen(line));
		write_all(w->report_fd, "\n", 1);
	}
	free(line);
	json_decref(message);
}

static void tell_progress(void *arg, const char *what, uint64_t lab_us)
{
	struct telling *t = arg;

	tell(t->worker,
	     json_pack("{s:i, s:s, s:I}", "job", (int)t->job, "what", what,
		       "lab_us", (json_int_t)lab_us));
}

static int open_recording(const struct pool_job *job, struct err *err)
{
	int fd;

	if (!job->recording[0])
		fd = memfd_create("recording", MFD_CLOEXEC);
	else
		fd = open(job->recording, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
			  0666);
	if (fd < 0)
		return err_set(err, errno, "cannot open the recording %s: %s",
			       job->recording, strerror(errno));
	return fd;
}

/* A lab whose routers are not what was asked for shows nothing. */
static void add_certificate(const struct scenario *s, int interrupt_fd,
			    json_t *result)
{
	json_t *certificate, *verdict = json_object_get(result, "verdict");
	struct err err = {0};
	unsigned lies;

	if (certify_scenario(s, interrupt_fd, &certificate, &lies, &err)) {
		json_object_set_new(result, "error", json_string(err.text));
		json_string_set(verdict, verdict_name(VERDICT_COULD_NOT_RUN));
		return;
	}
	json_object_set_new(result, "certificate", certificate);
	if (lies && !strcmp(json_string_value(verdict),
			    verdict_name(VERDICT_HOLDS)))
		json_string_set(verdict, verdict_name(VERDICT_FALLS_SHORT));
}

static json_t *run_job(struct pool_worker *w, unsigned index, int interrupt_fd)
{
	const struct pool_job *job = &w->config->jobs[index];
	struct telling t = {w, index};
	struct run_options options = {.interrupt_fd = interrupt_fd,
				      .real_time = w->config->real_time,
				      .folder = job->folder,
				      .progress = tell_progress,
				      .progress_arg = &t};
	struct run_result result = {0};
	struct err err = {0};
	json_t *json;

	if (job->why_not[0])
		return result_of_error(job->scenario, job->why_not);
	options.recording_fd = open_recording(job, &err);
	if (options.recording_fd < 0)
		return result_of_error(job->scenario, err.text);
	/* Real clients live in real time, and may use all that there is. */
	if (scenario_real_client(job->scenario))
		unpin_cpu(w);
	if (run_scenario(job->scenario, &options, &result))
		json = result_of_error(job->scenario, "no memory");
	else
		json = result_to_json(job->scenario, &result);
	if (json && w->config->certify && !result.interrupted)
		add_certificate(job->scenario, interrupt_fd, json);
	if (json && job->recording[0])
		json_object_set_new(json, "recording",
				    json_string(job->recording));
	run_result_free(&result);
	close(options.recording_fd);
	if (scenario_real_client(job->scenario))
		pool_pin_cpu(w->index);
	return json;
}

static bool interrupted(int interrupt_fd)
{
	struct pollfd fd = {interrupt_fd, POLLIN, 0};

	return poll(&fd, 1, 0) > 0;
}

int pool_worker_main(void *arg)
{
	struct pool_worker *w = arg;
	int interrupt_fd = interrupt_open(NULL);
	unsigned job;

	sched_getaffinity(0, sizeof(w->cpus), &w->cpus);
	/* One lab, one CPU: "nothing in flight" rests on it. */
	pool_pin_cpu(w->index);
	while (!interrupted(interrupt_fd) && !atomic_load(&w->shared->stop) &&
	       (job = atomic_fetch_add(&w->shared->next, 1)) <
		       w->config->job_count) {
		tell_progress(&(struct telling){w, job}, "", 0);
		tell(w, json_pack("{s:i, s:o}", "job", (int)job, "result",
				  run_job(w, job, interrupt_fd)));
	}
	recorder_wait_closed();
	close(interrupt_fd);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/pool.h"

#include "harness/interrupt.h"
#include "harness/pool_worker.h"
#include "netns/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define NO_JOB UINT32_MAX

struct slot {
	pid_t pid;
	int fd; /* reports; -1: ended */
	char *text; /* a line not whole yet */
	size_t len, room;
	unsigned job; /* under way, or NO_JOB */
	char what[256];
	uint64_t lab_us;
};

struct pool {
	const struct pool_config *config;
	struct pool_shared *shared;
	struct slot *slots;
	unsigned slot_count;
	json_t **results;
	unsigned done, failed, shown;
	bool interrupted;
	int status; /* why a sandbox could not be made */
	struct err *err;
	sigset_t old_mask;
	int signal_fd;
};

/* --- workers ------------------------------------------------------------- */

/* In a child of its own: makes the sandbox, and says so where it cannot. */
static void slot_main(struct pool *p, unsigned index, int report_fd,
		      pid_t parent)
{
	struct pool_worker worker = {.config = p->config,
				     .shared = p->shared,
				     .index = index,
				     .report_fd = report_fd};
	struct err err = {0};
	int status = 0, ret;
	json_t *message;
	char *line;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	/* The sandbox forwards signals, which it must get for that. */
	sigprocmask(SIG_SETMASK, &p->old_mask, NULL);
	ret = sandbox_run(pool_worker_main, &worker, &status, &err);
	if (ret) {
		message = json_pack("{s:i, s:s}", "status", ret, "error",
				    err.text);
		line = json_dumps(message, JSON_COMPACT);
		if (line)
			dprintf(report_fd, "%s\n", line);
		_exit(3);
	}
	_exit(status);
}

static int start_slot(struct pool *p, unsigned index)
{
	struct slot *s = &p->slots[index];
	pid_t parent = getpid();
	int ends[2];

	s->job = NO_JOB;
	s->fd = -1;
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	fflush(NULL);
	s->pid = fork();
	if (s->pid < 0) {
		close(ends[0]);
		close(ends[1]);
		return -errno;
	}
	if (!s->pid) {
		close(ends[0]);
		slot_main(p, index, ends[1], parent);
	}
	close(ends[1]);
	s->fd = ends[0];
	return 0;
}

/* --- reports ------------------------------------------------------------- */

/* A whole result takes some 20 KB, and there may be ten thousand. */
static void keep_verdict(json_t **result)
{
	json_t *brief = json_pack("{s:O}", "verdict",
				  json_object_get(*result, "verdict"));

	if (!brief)
		return;
	json_decref(*result);
	*result = brief;
}

static void show_results(struct pool *p)
{
	while (p->shown < p->config->job_count && p->results[p->shown]) {
		if (p->config->on_result)
			p->config->on_result(p->config->arg,
					     p->results[p->shown]);
		if (p->config->brief)
			keep_verdict(&p->results[p->shown]);
		p->shown++;
	}
}

static void take_result(struct pool *p, unsigned job, json_t *result)
{
	const char *verdict =
		json_string_value(json_object_get(result, "verdict"));

	if (p->results[job])
		return;
	p->results[job] = json_incref(result);
	p->done++;
	p->failed += !verdict || strcmp(verdict, "holds");
	show_results(p);
}

static void take_line(struct pool *p, struct slot *s, const char *line)
{
	json_t *message = json_loads(line, 0, NULL);
	json_t *result = json_object_get(message, "result");
	json_int_t job = json_integer_value(json_object_get(message, "job"));
	const char *what =
		json_string_value(json_object_get(message, "what"));
	const char *error =
		json_string_value(json_object_get(message, "error"));

	if (error && !p->status) {
		p->status = (int)json_integer_value(
			json_object_get(message, "status"));
		err_set(p->err, EPERM, "%s", error);
	} else if (result && job >= 0 && job < p->config->job_count) {
		take_result(p, (unsigned)job, result);
		s->job = NO_JOB;
	} else if (what && job >= 0 && job < p->config->job_count) {
		s->job = (unsigned)job;
		snprintf(s->what, sizeof(s->what), "%s", what);
		s->lab_us = (uint64_t)json_integer_value(
			json_object_get(message, "lab_us"));
	}
	json_decref(message);
}

static void take_lines(struct pool *p, struct slot *s)
{
	char *newline;

	while ((newline = memchr(s->text, '\n', s->len))) {
		size_t len = (size_t)(newline - s->text) + 1;

		*newline = '\0';
		take_line(p, s, s->text);
		memmove(s->text, s->text + len, s->len - len);
		s->len -= len;
	}
}

static void end_slot(struct pool *p, struct slot *s)
{
	const struct scenario *scenario;
	int status = 0;
	json_t *result;

	close(s->fd);
	s->fd = -1;
	free(s->text);
	s->text = NULL;
	while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (s->job == NO_JOB || p->interrupted)
		return;
	scenario = p->config->jobs[s->job].scenario;
	result = result_of_error(scenario, "the process that ran it died");
	if (result)
		take_result(p, s->job, result);
	json_decref(result);
}

static void read_slot(struct pool *p, struct slot *s)
{
	char *bigger;
	ssize_t n;

	if (s->room - s->len < 4096) {
		bigger = realloc(s->text, s->room + 65536);
		if (!bigger)
			return;
		s->text = bigger;
		s->room += 65536;
	}
	n = read(s->fd, s->text + s->len, s->room - s->len);
	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0) {
		end_slot(p, s);
		return;
	}
	s->len += (size_t)n;
	take_lines(p, s);
}

/* --- the loop ------------------------------------------------------------ */

static void show_progress(struct pool *p)
{
	struct pool_progress progress = {.done = p->done,
					 .failed = p->failed,
					 .total = p->config->job_count,
					 .file = "",
					 .what = ""};

	if (!p->config->on_progress)
		return;
	for (unsigned i = 0; i < p->slot_count; i++) {
		const struct slot *s = &p->slots[i];

		if (s->fd < 0 || s->job == NO_JOB)
			continue;
		progress.running++;
		progress.file = p->config->jobs[s->job].scenario->file;
		progress.what = s->what;
		progress.lab_us = s->lab_us;
	}
	p->config->on_progress(p->config->arg, &progress);
}

static void interrupt(struct pool *p)
{
	struct signalfd_siginfo info;

	if (read(p->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	p->interrupted = true;
	atomic_store(&p->shared->stop, true);
	for (unsigned i = 0; i < p->slot_count; i++)
		if (p->slots[i].fd >= 0)
			kill(p->slots[i].pid, SIGINT);
}

/* False once all workers have ended. */
static bool wait_once(struct pool *p, struct pollfd *fds)
{
	nfds_t n = 0;

	fds[n++] = (struct pollfd){p->signal_fd, POLLIN, 0};
	for (unsigned i = 0; i < p->slot_count; i++)
		if (p->slots[i].fd >= 0)
			fds[n++] = (struct pollfd){p->slots[i].fd, POLLIN, 0};
	if (n == 1)
		return false;
	if (poll(fds, n, -1) < 0)
		return errno == EINTR;
	if (fds[0].revents)
		interrupt(p);
	for (nfds_t k = 1; k < n; k++)
		for (unsigned i = 0; fds[k].revents && i < p->slot_count; i++)
			if (p->slots[i].fd == fds[k].fd) {
				read_slot(p, &p->slots[i]);
				break;
			}
	show_progress(p);
	return true;
}

static int prepare(struct pool *p)
{
	unsigned n = p->config->workers ? p->config->workers : pool_cpus();

	p->slot_count = n < p->config->job_count ? n : p->config->job_count;
	p->slots = calloc(p->slot_count + 1, sizeof(*p->slots));
	p->results = calloc(p->config->job_count + 1, sizeof(*p->results));
	p->shared = mmap(NULL, sizeof(*p->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!p->slots || !p->results || p->shared == MAP_FAILED)
		return -ENOMEM;
	p->signal_fd = interrupt_open(&p->old_mask);
	return p->signal_fd < 0 ? -errno : 0;
}

static json_t *gather(struct pool *p)
{
	json_t *all = json_array();

	for (unsigned i = 0; i < p->config->job_count; i++)
		if (p->results[i])
			json_array_append_new(all, p->results[i]);
	return all;
}

int pool_run(const struct pool_config *config, json_t **results,
	     struct err *err)
{
	struct pool p = {.config = config, .err = err, .signal_fd = -1};
	struct pollfd *fds = NULL;
	int ret = prepare(&p);

	if (!ret)
		fds = calloc(p.slot_count + 1, sizeof(*fds));
	for (unsigned i = 0; !ret && fds && i < p.slot_count; i++)
		ret = start_slot(&p, i);
	while (!ret && fds && wait_once(&p, fds))
		;
	if (ret)
		err_set(err, -ret, "cannot start workers: %s", strerror(-ret));
	else
		ret = p.interrupted ? -EINTR : p.status;
	*results = p.results ? gather(&p) : json_array();
	if (p.signal_fd >= 0) {
		close(p.signal_fd);
		sigprocmask(SIG_SETMASK, &p.old_mask, NULL);
	}
	if (p.shared && p.shared != MAP_FAILED)
		munmap(p.shared, sizeof(*p.shared));
	free(fds);
	free(p.results);
	free(p.slots);
	return ret;
}

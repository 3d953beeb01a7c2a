/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/adapter.h"

#include "harness/real.h"
#include "netns/child.h"
#include "netns/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Far above any line; a program that never ends its line is broken. */
#define LINE_MAX_BYTES (4 * 1024 * 1024)
#define VERSION_LIMIT_MS 20000

struct adapter {
	pid_t pid; /* and of its session; 0: was waited for */
	int fd, status;
	bool at_end;
	char name[160]; /* "tailscale: start" */
	char *text;
	size_t text_bytes, room_bytes;
};

/* --- the process --------------------------------------------------------- */

static int start(struct adapter *a, const struct clients_kind *kind,
		 const char *verb, const struct environment *env, int log_fd,
		 struct err *err)
{
	const char *argv[] = {kind->program, verb, NULL};
	const char **whole = environment_whole(env);
	int pipe_fds[2];
	struct child_plan plan = {.argv = argv,
				  .env = whole,
				  .stdin_fd = -1,
				  .stderr_fd = log_fd,
				  .extra_fd = -1,
				  .own_session = true};

	if (!whole)
		return err_set(err, ENOMEM, "no memory");
	if (pipe2(pipe_fds, O_CLOEXEC)) {
		free(whole);
		return err_set(err, errno, "no pipe: %s", strerror(errno));
	}
	fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
	plan.stdout_fd = pipe_fds[1];
	a->fd = pipe_fds[0];
	a->pid = child_start(&plan, err);
	close(pipe_fds[1]);
	free(whole);
	if (a->pid > 0)
		return 0;
	a->status = a->pid;
	a->pid = 0;
	return a->status;
}

int adapter_start(const struct clients_kind *kind, const char *verb,
		  const struct environment *env, int log_fd,
		  struct adapter **adapter, struct err *err)
{
	struct adapter *a = calloc(1, sizeof(*a));
	int ret;

	*adapter = NULL;
	if (!a)
		return err_set(err, ENOMEM, "no memory");
	a->fd = -1;
	snprintf(a->name, sizeof(a->name), "%s: %s", kind->name, verb);
	ret = start(a, kind, verb, env, log_fd, err);
	if (ret) {
		adapter_free(a);
		return ret;
	}
	*adapter = a;
	return 0;
}

static int shell_status(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) :
				   128 + WTERMSIG(status);
}

bool adapter_ended(struct adapter *a, int *status)
{
	int how;

	if (a->pid && waitpid(a->pid, &how, WNOHANG) == a->pid) {
		/* What it started and left behind ends with it. */
		kill(-a->pid, SIGKILL);
		a->pid = 0;
		a->status = shell_status(how);
	}
	if (a->pid)
		return false;
	*status = a->status;
	return true;
}

void adapter_free(struct adapter *a)
{
	if (!a)
		return;
	if (a->pid) {
		kill(-a->pid, SIGKILL);
		/* It may not have made its session yet. */
		kill(a->pid, SIGKILL);
		while (waitpid(a->pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	if (a->fd >= 0)
		close(a->fd);
	free(a->text);
	free(a);
}

/* --- its words ----------------------------------------------------------- */

int adapter_fd(const struct adapter *a)
{
	return a->fd;
}

static int read_more(struct adapter *a, struct err *err)
{
	ssize_t n;

	if (a->text_bytes + 4096 > a->room_bytes) {
		size_t room = a->room_bytes ? 2 * a->room_bytes : 16384;
		char *text = room > LINE_MAX_BYTES ?
				     NULL : realloc(a->text, room);

		if (!text)
			return err_set(err, EBADMSG, "%s prints a line without "
				       "end", a->name);
		a->text = text;
		a->room_bytes = room;
	}
	do
		n = read(a->fd, a->text + a->text_bytes,
			 a->room_bytes - a->text_bytes);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		a->text_bytes += (size_t)n;
	else if (n == 0)
		a->at_end = true;
	return n > 0;
}

int adapter_read(struct adapter *a, json_t **line, struct err *err)
{
	json_error_t at;
	const char *end;
	size_t len;
	int ret;

	*line = NULL;
	for (;;) {
		end = a->text_bytes ? memchr(a->text, '\n', a->text_bytes) :
				      NULL;
		if (end)
			break;
		ret = a->at_end ? 0 : read_more(a, err);
		if (ret < 0)
			return ret;
		if (!ret)
			return a->at_end ? -EPIPE : 0;
	}
	len = (size_t)(end - a->text);
	*line = json_loadb(a->text, len, 0, &at);
	if (!json_is_object(*line)) {
		json_decref(*line);
		*line = NULL;
		ret = err_set(err, EBADMSG, "%s prints \"%.*s\": a JSON object "
			      "a line was expected", a->name,
			      (int)(len < 80 ? len : 80), a->text);
	} else {
		ret = 1;
	}
	a->text_bytes -= len + 1;
	memmove(a->text, end + 1, a->text_bytes);
	return ret;
}

/* All that it prints until its output ends; the last object stays. */
static int hear_out(struct adapter *a, unsigned limit_ms, json_t **answer,
		    struct err *err)
{
	uint64_t until_us = clock_real_us() + limit_ms * UINT64_C(1000), now_us;
	struct pollfd fd = {.fd = a->fd, .events = POLLIN};
	json_t *line;
	int ret;

	for (;;) {
		ret = adapter_read(a, &line, err);
		if (ret == 1) {
			json_decref(*answer);
			*answer = line;
			continue;
		}
		if (ret)
			return ret == -EPIPE ? 0 : ret;
		now_us = clock_real_us();
		if (now_us >= until_us)
			return err_set(err, ETIMEDOUT, "%s is not done after "
				       "%u ms", a->name, limit_ms);
		poll(&fd, 1, (int)((until_us - now_us) / 1000 + 1));
	}
}

static int wait_end(struct adapter *a)
{
	int how;

	if (!a->pid)
		return a->status;
	while (waitpid(a->pid, &how, 0) < 0)
		if (errno != EINTR)
			return 1;
	kill(-a->pid, SIGKILL);
	a->pid = 0;
	a->status = shell_status(how);
	return a->status;
}

int adapter_call(const struct clients_kind *kind, const char *verb,
		 const struct environment *env, int log_fd, unsigned limit_ms,
		 json_t **answer, struct err *err)
{
	struct adapter *a;
	const char *why;
	int status, ret = adapter_start(kind, verb, env, log_fd, &a, err);

	*answer = NULL;
	if (ret)
		return ret;
	ret = hear_out(a, limit_ms, answer, err);
	if (!ret) {
		status = wait_end(a);
		why = json_string_value(json_object_get(*answer, "error"));
		if (status)
			ret = err_set(err, EPROTO,
				      "%s %s: exit status %d%s%.300s",
				      kind->name, verb, status,
				      why ? ": " : "", why ? why : "");
	}
	if (ret) {
		json_decref(*answer);
		*answer = NULL;
	}
	adapter_free(a);
	return ret;
}

const char *adapter_last_words(int log_fd, char *text, size_t size)
{
	struct stat st;
	ssize_t n = 0, skip = 0;

	if (!fstat(log_fd, &st)) {
		off_t from = st.st_size > (off_t)size - 1 ?
				     st.st_size - (off_t)size + 1 : 0;

		n = pread(log_fd, text, size - 1, from);
		/* It begins with a whole word. */
		while (from && skip < n && text[skip] > ' ')
			skip++;
		if (skip < n)
			memmove(text, text + skip, (size_t)(n -= skip));
	}
	if (n < 0)
		n = 0;
	while (n && text[n - 1] == '\n')
		n--;
	text[n] = '\0';
	for (char *c = text; *c; c++)
		if (*c == '\n')
			*c = ' ';
	return text;
}

/* --- what can run here --------------------------------------------------- */

static int tell_missing(const struct clients_kind *kind, json_t *missing,
			struct err *err)
{
	size_t at = 0, i;
	char text[400] = "";
	json_t *item;

	json_array_foreach(missing, i, item) {
		const char *what =
			json_string_value(json_object_get(item, "what"));
		const char *remedy =
			json_string_value(json_object_get(item, "remedy"));

		if (at < sizeof(text))
			at += (size_t)snprintf(
				text + at, sizeof(text) - at,
				"%s%s is missing%s%s", i ? "; " : "",
				what ? what : "something",
				remedy ? ": " : "", remedy ? remedy : "");
	}
	return err_set(err, ENOENT, "%s cannot run here: %s", kind->name, text);
}

static int ask_version(const struct clients_kind *kind, const char *version,
		       int log_fd, json_t **said, struct err *err)
{
	struct environment env = {0};
	struct err why = {0};
	char words[200];
	int ret;

	if (real_environment(*version ? version : kind->version, &env))
		ret = err_set(err, ENOMEM, "no memory");
	else
		ret = adapter_call(kind, "version", &env, log_fd,
				   VERSION_LIMIT_MS, said, &why);
	environment_clear(&env);
	if (!ret || !why.text[0])
		return ret;
	adapter_last_words(log_fd, words, sizeof(words));
	return err_set(err, -ret, "%.300s%s%s", why.text,
		       *words ? "; its last words: " : "", words);
}

int adapter_available(const struct clients_kind *kind, const char *version,
		      json_t **answer, struct err *err)
{
	json_t *said = NULL, *missing;
	int log_fd = memfd_create("log", MFD_CLOEXEC), ret;

	if (answer)
		*answer = NULL;
	ret = ask_version(kind, version, log_fd, &said, err);
	if (log_fd >= 0)
		close(log_fd);
	missing = json_object_get(said, "missing");
	if (!ret && json_array_size(missing))
		ret = tell_missing(kind, missing, err);
	if (answer)
		*answer = json_incref(said);
	json_decref(said);
	return ret;
}

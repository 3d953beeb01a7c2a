/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Three processes: the caller; a holder, which enters the new namespaces; and
 * the worker, PID 1 of the new PID namespace, which runs the caller's
 * function. (unshare(CLONE_NEWPID) concerns the caller's children only, and
 * could not be undone in the caller, hence the holder.) Each dies with the one
 * before it, and with the worker the kernel kills everything in its namespace.
 */
#include "netns/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What holder and worker tell the caller, once: started, or why not. */
struct report {
	pid_t worker; /* as the holder's PID namespace numbers it */
	int code;     /* positive errno; 0: started */
	struct err err;
};

struct pipes {
	int report[2];
	int alive[2]; /* nothing is written; its end tells of a death */
};

/* The worker's PID for the signal handler, which takes no argument. */
static volatile sig_atomic_t forward_to;

static int refused(struct err *err, int code, const char *what)
{
	const char *remedy = "run as root";

	if (code == EPERM || code == EACCES)
		remedy = "run as root, or let users make user namespaces: "
			 "sysctl kernel.unprivileged_userns_clone=1 (Debian), "
			 "kernel.apparmor_restrict_unprivileged_userns=0 "
			 "(Ubuntu); in a container, start it with --privileged";
	else if (code == ENOSPC || code == EUSERS)
		remedy = "raise user.max_user_namespaces (and max_net_, "
			 "max_pid_, max_mnt_namespaces) with sysctl";
	else if (code == EINVAL)
		remedy = "this kernel is built without that kind of namespace";
	return err_set(err, code, "cannot make %s: %s; %s", what,
		       strerror(code), remedy);
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), code = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		code = -errno;
	close(fd);
	return code;
}

/* Inside the new user namespace the caller is root. */
static int map_ids(uid_t uid, gid_t gid, struct err *err)
{
	char text[64];
	int code;

	code = write_file("/proc/self/setgroups", "deny");
	if (code && code != -ENOENT)
		return refused(err, -code, "a user namespace (setgroups)");
	snprintf(text, sizeof(text), "0 %u 1\n", (unsigned)uid);
	code = write_file("/proc/self/uid_map", text);
	if (code)
		return refused(err, -code, "a user namespace (uid_map)");
	snprintf(text, sizeof(text), "0 %u 1\n", (unsigned)gid);
	code = write_file("/proc/self/gid_map", text);
	if (code)
		return refused(err, -code, "a user namespace (gid_map)");
	return 0;
}

static int enter_namespaces(struct err *err)
{
	const int others = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET;
	uid_t uid = geteuid();
	gid_t gid = getegid();

	/* Root in a container may lack the right, and have the other way. */
	if (uid == 0 && unshare(others) == 0)
		return 0;
	if (uid == 0 && errno != EPERM)
		return refused(err, errno, "PID, mount and network namespaces");
	if (unshare(CLONE_NEWUSER))
		return refused(err, errno, "a user namespace");
	if (map_ids(uid, gid, err))
		return -EPERM;
	if (unshare(others))
		return refused(err, errno, "PID, mount and network namespaces");
	return 0;
}

/*
 * Asks the kernel for SIGKILL at the parent's death. It forgets that at each
 * change of credentials, so this comes after them; and if the parent died
 * before, the pipe that it held is at its end.
 */
static int die_with_parent(int alive_fd, struct err *err)
{
	struct pollfd alive = {.fd = alive_fd, .events = POLLIN};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		return err_set(err, errno, "cannot tie a process to its "
			       "parent: %s", strerror(errno));
	if (poll(&alive, 1, 0) > 0)
		_exit(1);
	return 0;
}

static int own_mounts(struct err *err)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return refused(err, errno, "mounts of its own");
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  NULL))
		return err_set(err, errno, "cannot mount a /proc of the "
			       "sandbox: %s; in a container, start it with "
			       "--security-opt systempaths=unconfined",
			       strerror(errno));
	/*
	 * Daemons' words stay in the lab: off the host's log, and off its
	 * console, which is what syslog() falls back to, at 1 ms a line. Where
	 * there is neither, there is nothing to cover.
	 */
	for (unsigned i = 0; i < 2; i++)
		if (mount("/dev/null", i ? "/dev/console" : "/dev/log", NULL,
			  MS_BIND, NULL))
			continue;
	return 0;
}

static void tell(int fd, const struct report *report)
{
	/* The caller may be gone; then nobody needs to know. */
	if (write(fd, report, sizeof(*report)) < 0)
		return;
}

/*
 * PID 1 ignores every signal that it has no handler for, so the two that a
 * person sends get one, which FN may replace.
 */
static void on_end(int number)
{
	_exit(128 + number);
}

static void reset_signals(void)
{
	struct sigaction end = {.sa_handler = on_end};
	sigset_t none;

	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void worker(struct pipes *pipes, int (*fn)(void *arg), void *arg)
{
	struct report report = {.code = 0};

	reset_signals();
	if (die_with_parent(pipes->alive[0], &report.err) ||
	    own_mounts(&report.err)) {
		report.code = EPERM;
		tell(pipes->report[1], &report);
		_exit(1);
	}
	tell(pipes->report[1], &report);
	close(pipes->report[1]);
	close(pipes->alive[0]);
	exit(fn(arg) & 0xff);
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 1;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

static void holder(struct pipes *pipes, int (*fn)(void *arg), void *arg)
{
	struct report report = {.code = 0};
	int mine[2] = {-1, -1};
	pid_t pid = -1;

	/* Ctrl-C reaches the whole group: the worker decides, not the holder */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	report.code = -enter_namespaces(&report.err);
	if (!report.code)
		report.code = -die_with_parent(pipes->alive[0], &report.err);
	if (!report.code && (pipe2(mine, O_CLOEXEC) || (pid = fork()) < 0))
		report.code = -err_set(&report.err, errno, "cannot start the "
				       "sandbox: %s", strerror(errno));
	if (pid == 0) {
		close(pipes->alive[0]);
		close(mine[1]);
		pipes->alive[0] = mine[0];
		worker(pipes, fn, arg);
	}
	if (report.code) {
		tell(pipes->report[1], &report);
		_exit(1);
	}
	report.worker = pid;
	tell(pipes->report[1], &report);
	close(pipes->report[1]);
	close(mine[0]);
	_exit(wait_for(pid));
}

/* --- the caller's side --------------------------------------------------- */

static void on_forward(int number, siginfo_t *info, void *context)
{
	(void)context;
	/* A terminal's signal went to the whole group: do not say it twice. */
	if (info->si_code != SI_KERNEL && forward_to > 0)
		kill((pid_t)forward_to, number);
}

struct saved_signals {
	struct sigaction interrupt, terminate, child;
	sigset_t mask;
};

/* Holds SIGINT and SIGTERM back until there is a worker to forward them to. */
static void take_signals(struct saved_signals *saved)
{
	struct sigaction forward = {.sa_sigaction = on_forward,
				    .sa_flags = SA_SIGINFO | SA_RESTART};
	struct sigaction normal = {.sa_handler = SIG_DFL};
	sigset_t held;

	sigemptyset(&held);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGTERM);
	sigprocmask(SIG_BLOCK, &held, &saved->mask);
	sigaction(SIGINT, &forward, &saved->interrupt);
	sigaction(SIGTERM, &forward, &saved->terminate);
	/* Were it ignored, there would be no status to wait for. */
	sigaction(SIGCHLD, &normal, &saved->child);
}

static void give_signals_back(const struct saved_signals *saved)
{
	sigaction(SIGINT, &saved->interrupt, NULL);
	sigaction(SIGTERM, &saved->terminate, NULL);
	sigaction(SIGCHLD, &saved->child, NULL);
	sigprocmask(SIG_SETMASK, &saved->mask, NULL);
}

/* Reads until both have reported or died; 0, or why the sandbox is not up. */
static int hear_reports(int fd, struct err *err)
{
	struct report report;
	unsigned heard = 0;
	ssize_t bytes;
	int code = 0;

	while (heard < 2 && !code) {
		bytes = read(fd, &report, sizeof(report));
		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes != (ssize_t)sizeof(report))
			return err_set(err, EIO, "the sandbox died while it "
				       "was being made");
		heard++;
		if (report.worker)
			forward_to = report.worker;
		code = report.code;
	}
	if (code && err)
		*err = report.err;
	return -code;
}

static void close_both(int fds[2])
{
	for (unsigned i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	fds[0] = fds[1] = -1;
}

int sandbox_run(int (*fn)(void *arg), void *arg, int *status, struct err *err)
{
	struct pipes pipes = {{-1, -1}, {-1, -1}};
	struct saved_signals saved;
	int result, ended;
	pid_t pid = -1;

	fflush(NULL);
	take_signals(&saved);
	forward_to = 0;
	if (pipe2(pipes.report, O_CLOEXEC) || pipe2(pipes.alive, O_CLOEXEC) ||
	    (pid = fork()) < 0) {
		result = err_set(err, errno, "cannot start a sandbox: %s",
				 strerror(errno));
		goto out;
	}
	if (pid == 0) {
		close(pipes.report[0]);
		close(pipes.alive[1]);
		holder(&pipes, fn, arg);
	}
	close(pipes.report[1]);
	pipes.report[1] = -1;
	result = hear_reports(pipes.report[0], err);
	sigprocmask(SIG_SETMASK, &saved.mask, NULL);
	ended = wait_for(pid);
	if (!result)
		*status = ended;
out:
	forward_to = 0;
	close_both(pipes.report);
	close_both(pipes.alive);
	give_signals_back(&saved);
	return result;
}

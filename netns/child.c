/* SPDX-License-Identifier: BSD-3-Clause */
#include "netns/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

struct starting {
	const struct child_plan *plan;
	int null_fd;
	pid_t parent;
	sigset_t mask;	/* the parent's, which is no concern of the child */
	volatile int code; /* written by the child, which shares our memory */
};

/* Moves FD out of the way of the numbers that are about to be given out. */
static int lift(int fd)
{
	return fcntl(fd, F_DUPFD, 10);
}

/* Runs in our memory until exec: only system calls, and no change to it. */
static void become(struct starting *s)
{
	const struct child_plan *plan = s->plan;
	struct sigaction normal = {.sa_handler = SIG_DFL};
	int in = lift(plan->stdin_fd < 0 ? s->null_fd : plan->stdin_fd);
	int out = lift(plan->stdout_fd < 0 ? s->null_fd : plan->stdout_fd);
	int error = lift(plan->stderr_fd < 0 ? s->null_fd : plan->stderr_fd);
	int extra = plan->extra_fd < 0 ? -1 : lift(plan->extra_fd);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != s->parent)
		_exit(127);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(error, 2) < 0 ||
	    (extra >= 0 && dup2(extra, 3) < 0)) {
		s->code = errno;
		_exit(127);
	}
	/* Some libraries' descriptors are not close-on-exec. */
	close_range(extra >= 0 ? 4 : 3, ~0U, 0);
	for (int number = 1; number < NSIG; number++)
		sigaction(number, &normal, NULL);
	sigemptyset(&s->mask);
	sigprocmask(SIG_SETMASK, &s->mask, NULL);
	if (plan->own_session)
		setsid();
	if (plan->env)
		execvpe(plan->argv[0], (char *const *)plan->argv,
			(char *const *)plan->env);
	else
		execvp(plan->argv[0], (char *const *)plan->argv);
	s->code = errno;
	_exit(127);
}

/* vfork: a fork copies page tables, 0.5 ms of them in a process this size. */
static pid_t start(struct starting *s)
{
	pid_t pid = vfork();

	if (pid == 0)
		become(s);
	return pid;
}

pid_t child_start(const struct child_plan *plan, struct err *err)
{
	struct starting s = {.plan = plan, .parent = getpid()};
	sigset_t all, before;
	pid_t pid;

	s.null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (s.null_fd < 0)
		return err_set(err, errno, "cannot open /dev/null: %s",
			       strerror(errno));
	/* No handler of ours may run in the child while it shares memory. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	pid = start(&s);
	if (pid < 0)
		s.code = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(s.null_fd);
	if (pid >= 0 && !s.code)
		return pid;
	return err_set(err, s.code, "cannot start %s: %s", plan->argv[0],
		       strerror(s.code));
}

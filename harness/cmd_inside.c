/* SPDX-License-Identifier: BSD-3-Clause */
/* The verbs that lend a lab to somebody: shell and exec. */
#include "harness/commands.h"
#include "harness/environment.h"
#include "harness/interrupt.h"
#include "harness/pool.h"
#include "harness/run.h"
#include "netns/sandbox.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char exec_help[] =
	"Usage: natrig exec FILE HOST -- COMMAND [ARGUMENT]...\n"
	"\n"
	"Builds the scenario's lab, does its steps up to the first ping, runs\n"
	"COMMAND in HOST's network, and takes the lab down. The lab's addresses\n"
	"are in COMMAND's environment: NATRIG_STUN (the first STUN server),\n"
	"NATRIG_ADDR_NODE of each node (upper case, '_' for '-'; a router's is\n"
	"its WAN address), NATRIG_HOST, NATRIG_GATEWAY.\n"
	"\n"
	"Exit status: COMMAND's; 2 usage or a bad scenario; 3 this machine\n"
	"cannot run it; 126 COMMAND cannot be run; 127 it was not found.\n";

static const char shell_help[] =
	"Usage: natrig shell FILE [HOST]\n"
	"\n"
	"Builds the scenario's lab, does its steps up to the first ping, and\n"
	"opens a shell in HOST's network (default: the first host). Leaving the\n"
	"shell takes the lab down. The environment is that of natrig exec.\n";

struct lending {
	const struct scenario *scenario;
	unsigned node;
	const char *const *argv;
	bool shell;
	int wake_fd; /* epoll: signals, and the end of the child */
	int signal_fd;
	int recording_fd;
};

/* --- environment --------------------------------------------------------- */

/* 0, or -ENOMEM; to be cleared in both cases. */
static int make_environment(const struct lending *l, const struct lab *lab,
			    struct environment *env)
{
	const struct scenario *s = l->scenario;
	char ip[ENDPOINT_TEXT_BYTES];
	int ret = environment_add_lab(env, lab);

	if (!ret)
		ret = environment_add_host(env, &lab->nodes[l->node]);
	if (!ret && s->stun_count)
		ret = environment_set(
			env, "NATRIG_STUN", "%s",
			endpoint_format_ip(
				lab->nodes[s->stun_nodes[0]].ifaces[0].ip, ip));
	return ret;
}

/* The pid, or a negative errno. */
static pid_t spawn(const struct lending *l, struct lab *lab, struct err *err)
{
	const int stdio[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
	struct environment env = {0};
	const char **whole = NULL;
	pid_t pid;

	if (!make_environment(l, lab, &env))
		whole = environment_whole(&env);
	pid = whole ? lab_spawn(lab, &lab->nodes[l->node], l->argv, whole,
				stdio, err) :
		      err_set(err, ENOMEM, "no memory");
	free(whole);
	environment_clear(&env);
	return pid;
}

/* --- inside -------------------------------------------------------------- */

static int wait_for(struct lending *l, struct driver *driver, pid_t pid,
		    struct err *err)
{
	struct signalfd_siginfo info;
	int status = 0, ret;
	bool asked = false;

	for (;;) {
		ret = driver_run_until(driver, UINT64_MAX, NULL, NULL, err);
		if (ret != -EINTR)
			return ret;
		if (waitpid(pid, &status, WNOHANG) == pid)
			break;
		if (read(l->signal_fd, &info, sizeof(info)) != sizeof(info))
			continue;
		/* An interactive shell handles its own Ctrl-C. */
		if (!l->shell)
			kill(pid, asked ? SIGKILL : (int)info.ssi_signo);
		asked = true;
	}
	err->text[0] = '\0';
	return WIFEXITED(status) ? WEXITSTATUS(status) :
				   128 + WTERMSIG(status);
}

static int inside(void *arg, struct driver *driver, struct lab *lab,
		  const struct scenario *s, struct err *err)
{
	struct lending *l = arg;
	struct epoll_event ev = {.events = EPOLLIN};
	pid_t pid = spawn(l, lab, err);
	int pidfd;

	(void)s;
	if (pid < 0)
		return pid;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0 || epoll_ctl(l->wake_fd, EPOLL_CTL_ADD, pidfd, &ev))
		return err_set(err, errno, "cannot watch the command: %s",
			       strerror(errno));
	return wait_for(l, driver, pid, err);
}

static int in_sandbox(void *arg)
{
	struct lending *l = arg;
	struct epoll_event ev = {.events = EPOLLIN};
	struct run_options options = {.real_time = true};
	struct err err = {0};
	int ret;

	l->signal_fd = interrupt_open(NULL);
	l->wake_fd = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(l->wake_fd, EPOLL_CTL_ADD, l->signal_fd, &ev);
	options.interrupt_fd = l->wake_fd;
	options.recording_fd = memfd_create("recording", MFD_CLOEXEC);
	pool_pin_cpu(0);
	ret = run_inside(l->scenario, &options, inside, l, &err);
	recorder_wait_closed();
	if (ret == -EINTR)
		return EXIT_INTERRUPTED;
	if (ret == -ENOENT || ret == -EACCES) {
		print_err(&err);
		return ret == -ENOENT ? 127 : 126;
	}
	if (ret < 0) {
		print_err(&err);
		return EXIT_CANNOT_RUN;
	}
	return ret;
}

static int lend(struct lending *l)
{
	struct err err = {0};
	int status = 0;

	fflush(NULL);
	if (sandbox_run(in_sandbox, l, &status, &err)) {
		fprintf(stderr, "natrig: this machine cannot run a lab: %s\n"
			"natrig: see natrig doctor\n", err.text);
		return EXIT_CANNOT_RUN;
	}
	return status;
}

/* --- the verbs ----------------------------------------------------------- */

/* The plan node of the host called NAME (NULL: the first), or -1 told. */
static int find_host(const char *verb, const struct scenario *s,
		     const char *name)
{
	struct cast *cast;
	const char *near;

	for (unsigned i = 0; i < s->host_count; i++)
		if (!name ||
		    !strcmp(s->plan.nodes[s->hosts[i].node].name, name))
			return (int)s->hosts[i].node;
	cast = scenario_cast(s);
	near = cast ? cast_nearest(cast, name) : NULL;
	usage_error(verb, "%s has no host '%s'%s%s%s", s->file, name,
		    near ? "; did you mean '" : "", near ? near : "",
		    near ? "'?" : "");
	cast_free(cast);
	return -1;
}

static int lend_host(const char *verb, const char *file, const char *host,
		     const char *const *argv, bool shell)
{
	struct scenario *s = NULL;
	struct lending l = {.argv = argv, .shell = shell};
	struct err err = {0};
	int node, status = EXIT_USAGE;

	if (scenario_read(file, &s, &err)) {
		print_err(&err);
		return EXIT_USAGE;
	}
	node = find_host(verb, s, host);
	if (node >= 0) {
		l.scenario = s;
		l.node = (unsigned)node;
		status = lend(&l);
	}
	scenario_free(s);
	return status;
}

int cmd_exec(int argc, char **argv)
{
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return print_help(exec_help);
	if (argc > 1 && argv[1][0] == '-')
		return usage_error("exec", "unknown option %s", argv[1]);
	if (argc < 5 || strcmp(argv[3], "--"))
		return usage_error("exec", "wants FILE HOST -- COMMAND");
	return lend_host("exec", argv[1], argv[2],
			 (const char *const *)(argv + 4), false);
}

int cmd_shell(int argc, char **argv)
{
	const char *shell = getenv("SHELL");
	const char *command[] = {shell && *shell ? shell : "/bin/sh", NULL};

	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return print_help(shell_help);
	if (argc > 1 && argv[1][0] == '-')
		return usage_error("shell", "unknown option %s", argv[1]);
	if (argc < 2 || argc > 3)
		return usage_error("shell", "wants FILE [HOST]");
	return lend_host("shell", argv[1], argc > 2 ? argv[2] : NULL, command,
			 true);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "netns/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#define PATIENCE_MS 10000

static int run(int (*fn)(void *arg), void *arg)
{
	struct err err = {.text = ""};
	int status = -1, code = sandbox_run(fn, arg, &status, &err);

	ck_assert_msg(!code, "%s", err.text);
	return status;
}

static ino_t inode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : st.st_ino;
}

struct namespaces {
	ino_t net, mnt, pid;
};

static struct namespaces look(void)
{
	return (struct namespaces){inode_of("/proc/self/ns/net"),
				   inode_of("/proc/self/ns/mnt"),
				   inode_of("/proc/self/ns/pid")};
}

/* --- what it is inside ---------------------------------------------------- */

static int return_arg(void *arg)
{
	return *(int *)arg;
}

START_TEST(status_is_what_the_function_returned)
{
	for (int i = 0; i <= 255; i += 51)
		ck_assert_int_eq(run(return_arg, &i), i);
}
END_TEST

static int check_inside(void *arg)
{
	const struct namespaces *outside = arg;
	struct namespaces inside = look();

	ck_assert_int_eq(getpid(), 1);
	ck_assert_int_eq(geteuid(), 0);
	ck_assert_uint_ne(inside.net, outside->net);
	ck_assert_uint_ne(inside.mnt, outside->mnt);
	ck_assert_uint_ne(inside.pid, outside->pid);
	ck_assert_int_eq(access("/proc/1/exe", F_OK), 0);
	ck_assert_int_ne(access("/proc/2", F_OK), 0);
	return 0;
}

START_TEST(namespaces_are_its_own)
{
	struct namespaces outside = look(), after;

	ck_assert_int_eq(run(check_inside, &outside), 0);
	after = look();
	ck_assert_mem_eq(&outside, &after, sizeof(after));
}
END_TEST

static int die_by_signal(void *arg)
{
	(void)arg;
	kill(getpid(), SIGKILL); /* which PID 1 cannot do to itself */
	__builtin_trap();
}

static int exit_in_child(void *arg)
{
	(void)arg;
	exit(9);
}

START_TEST(death_is_told)
{
	ck_assert_int_eq(run(exit_in_child, NULL), 9);
	ck_assert_int_eq(run(die_by_signal, NULL), 128 + SIGILL);
}
END_TEST

static int write_out(void *arg)
{
	(void)arg;
	return write(STDOUT_FILENO, "inside", 6) == 6 ? 0 : 1;
}

START_TEST(standard_streams_pass_through)
{
	char got[16] = "";
	int fds[2], saved = dup(STDOUT_FILENO), status;

	ck_assert_int_eq(pipe(fds), 0);
	dup2(fds[1], STDOUT_FILENO);
	status = run(write_out, NULL);
	dup2(saved, STDOUT_FILENO);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(read(fds[0], got, sizeof(got)), 6);
	ck_assert_str_eq(got, "inside");
}
END_TEST

/* --- deaths and signals --------------------------------------------------- */

/* Says that it is there, then waits with a child of its own. */
static int wait_with_child(void *arg)
{
	int fd = *(int *)arg;

	if (fork() == 0)
		for (;;)
			pause();
	if (write(fd, "up", 2) != 2)
		return 1;
	for (;;)
		pause();
}

struct outer {
	pid_t pid;
	int up_fd; /* at its end when every process inside is gone */
};

static struct outer start_outer(int (*fn)(void *arg))
{
	struct outer outer;
	char word[2];
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	outer.up_fd = fds[0];
	outer.pid = fork();
	if (outer.pid == 0) {
		int status = -1;

		close(fds[0]);
		if (sandbox_run(fn, &fds[1], &status, NULL))
			_exit(99);
		_exit(status);
	}
	close(fds[1]);
	ck_assert_int_eq(read(outer.up_fd, word, 2), 2);
	return outer;
}

/* The pipe's writing end is in every process of the sandbox, and nowhere else. */
static void expect_all_gone(struct outer *outer)
{
	struct pollfd gone = {.fd = outer->up_fd, .events = POLLIN};
	char word;

	ck_assert_int_eq(poll(&gone, 1, PATIENCE_MS), 1);
	ck_assert_int_eq(read(outer->up_fd, &word, 1), 0);
	close(outer->up_fd);
}

START_TEST(kill_9_outside_kills_all_inside)
{
	struct outer outer = start_outer(wait_with_child);

	kill(outer.pid, SIGKILL);
	waitpid(outer.pid, NULL, 0);
	expect_all_gone(&outer);
}
END_TEST

static int status_after(struct outer *outer, int number)
{
	int status;

	kill(outer->pid, number);
	ck_assert_int_eq(waitpid(outer->pid, &status, 0), outer->pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

START_TEST(without_a_handler_a_signal_ends_it)
{
	struct outer outer = start_outer(wait_with_child);

	ck_assert_int_eq(status_after(&outer, SIGTERM), 128 + SIGTERM);
	expect_all_gone(&outer);
	outer = start_outer(wait_with_child);
	ck_assert_int_eq(status_after(&outer, SIGINT), 128 + SIGINT);
	expect_all_gone(&outer);
}
END_TEST

static volatile sig_atomic_t heard;

static void hear(int number)
{
	heard = number;
}

static int wait_for_signal(void *arg)
{
	int fd = *(int *)arg;
	sigset_t held, none;

	sigemptyset(&held);
	sigaddset(&held, SIGINT);
	sigprocmask(SIG_BLOCK, &held, NULL);
	signal(SIGINT, hear);
	if (write(fd, "up", 2) != 2)
		return 1;
	sigemptyset(&none);
	while (!heard)
		sigsuspend(&none);
	return 130;
}

START_TEST(a_handler_inside_hears_the_signal)
{
	struct outer outer = start_outer(wait_for_signal);

	ck_assert_int_eq(status_after(&outer, SIGINT), 130);
	expect_all_gone(&outer);
}
END_TEST

START_TEST(signal_handlers_are_given_back)
{
	struct sigaction before, after;
	int zero = 0;

	signal(SIGINT, hear);
	sigaction(SIGINT, NULL, &before);
	run(return_arg, &zero);
	sigaction(SIGINT, NULL, &after);
	ck_assert_ptr_eq(before.sa_handler, after.sa_handler);
	signal(SIGINT, SIG_DFL);
}
END_TEST

/* --- probe ---------------------------------------------------------------- */

START_TEST(probe_says_what_is_there)
{
	struct sandbox_feature features[32];
	struct namespaces before = look(), after;
	unsigned count = sandbox_probe(features, 32);

	ck_assert_uint_ge(count, 10);
	for (unsigned i = 0; i < count; i++) {
		ck_assert_ptr_nonnull(features[i].name);
		ck_assert_int_gt(strlen(features[i].found), 0);
		ck_assert_int_eq(features[i].remedy[0] == 0,
				 features[i].present);
		/* This program runs only where a sandbox can be had. */
		if (features[i].required)
			ck_assert_msg(features[i].present, "%s: %s",
				      features[i].name, features[i].found);
	}
	ck_assert_uint_eq(sandbox_probe(features, 3), 3);
	after = look();
	ck_assert_mem_eq(&before, &after, sizeof(after));
}
END_TEST

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

int main(void)
{
	Suite *suite = suite_create("sandbox");
	TCase *all = tcase_create("all");
	struct err err = {.text = ""};
	SRunner *runner;
	int failed, status;

	if (sandbox_run(nothing, NULL, &status, &err)) {
		printf("skipped: %s\n", err.text);
		return 77;
	}
	tcase_set_timeout(all, 60);
	tcase_add_test(all, status_is_what_the_function_returned);
	tcase_add_test(all, namespaces_are_its_own);
	tcase_add_test(all, death_is_told);
	tcase_add_test(all, standard_streams_pass_through);
	tcase_add_test(all, kill_9_outside_kills_all_inside);
	tcase_add_test(all, without_a_handler_a_signal_ends_it);
	tcase_add_test(all, a_handler_inside_hears_the_signal);
	tcase_add_test(all, signal_handlers_are_given_back);
	tcase_add_test(all, probe_says_what_is_there);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

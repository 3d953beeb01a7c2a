/* SPDX-License-Identifier: BSD-3-Clause */
#include "netns/child.h"
#include "netns/lab_own.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nftables/libnftables.h>

int lab_enter_fd(int ns_fd, const char *name, struct err *err)
{
	if (setns(ns_fd, CLONE_NEWNET))
		return err_set(err, errno, "cannot enter the network namespace "
			       "of %s: %s", name, strerror(errno));
	return 0;
}

int lab_enter(struct lab *lab, const struct lab_node *node, struct err *err)
{
	(void)lab;
	return lab_enter_fd(node->ns_fd, node->plan.name, err);
}

void lab_leave(struct lab *lab)
{
	/* It was open before; nothing can be done, and nothing can happen. */
	if (setns(lab->own->home_ns_fd, CLONE_NEWNET))
		return;
}

/*
 * A context belongs to the namespace in which it was made, and so does its
 * cache of rules: hence one each time, for 0.1 ms. It waits with select(), so
 * its socket's number must be below 1024 however many a large lab has open:
 * one low number is kept for it.
 */
static struct nft_ctx *nft_new(struct lab_own *own)
{
	if (own->low_fd >= 0)
		close(own->low_fd);
	return nft_ctx_new(NFT_CTX_DEFAULT);
}

static void nft_free(struct lab_own *own, struct nft_ctx *nft)
{
	nft_ctx_free(nft);
	own->low_fd = fcntl(own->home_ns_fd, F_DUPFD_CLOEXEC, 0);
}

static int nft_run(struct nft_ctx *nft, const char *text, char **output,
		   const char *where, struct err *err)
{
	const char *words;

	if (nft_run_cmd_from_buffer(nft, text)) {
		words = nft_ctx_get_error_buffer(nft);
		return err_set(err, EIO, "%s: nftables refuses a ruleset: %s",
			       where, words && *words ? words
						      : strerror(errno));
	}
	if (!output)
		return 0;
	*output = strdup(nft_ctx_get_output_buffer(nft));
	if (!*output)
		return err_set(err, ENOMEM, "%s: no memory for a list of rules",
			       where);
	return 0;
}

int lab_nft(struct lab *lab, const char *text, char **output,
	    const char *where, struct err *err)
{
	struct nft_ctx *nft = nft_new(lab->own);
	int code;

	if (!nft)
		return err_set(err, ENOMEM, "%s: cannot make an nftables "
			       "context", where);
	nft_ctx_buffer_error(nft);
	nft_ctx_buffer_output(nft);
	if (output)
		nft_ctx_output_set_flags(nft, NFT_CTX_OUTPUT_HANDLE);
	code = nft_run(nft, text, output, where, err);
	nft_free(lab->own, nft);
	return code;
}

/*
 * A namespace costs two descriptors while it is made, and a router one or two
 * for good, with an engine five more; a thousand homes do not fit the usual
 * soft limit of 1,024.
 */
static void raise_descriptor_limit(const struct lab_plan *plan)
{
	rlim_t wanted = 256 + 6 * (rlim_t)plan->count;
	struct rlimit limit;

	for (unsigned i = 0; i < plan->count; i++)
		wanted += lab_wants_engine(&plan->nodes[i]) ? 5 : 0;
	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
	/* Where that fails, the first open that does says so. */
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_own(struct lab *lab, struct err *err)
{
	struct lab_own *own = lab->own;

	own->home_ns_fd = open("/proc/thread-self/ns/net",
			       O_RDONLY | O_CLOEXEC);
	if (own->home_ns_fd < 0)
		return err_set(err, errno, "cannot open /proc/thread-self/ns/"
			       "net: %s; is /proc mounted?", strerror(errno));
	own->low_fd = fcntl(own->home_ns_fd, F_DUPFD_CLOEXEC, 0);
	own->boxes_fd = epoll_create1(EPOLL_CLOEXEC);
	if (own->boxes_fd < 0)
		return err_set(err, errno, "cannot make an epoll instance: %s",
			       strerror(errno));
	return 0;
}

static struct lab *lab_alloc(const struct lab_plan *plan)
{
	struct lab *lab = calloc(1, sizeof(*lab));
	unsigned count = plan->count ? plan->count : 1;

	if (!lab)
		return NULL;
	lab->internet_ns_fd = -1;
	lab->own = calloc(1, sizeof(*lab->own));
	lab->nodes = calloc(count, sizeof(*lab->nodes));
	if (!lab->own || !lab->nodes)
		goto fail;
	lab->own->home_ns_fd = lab->own->files_fd = -1;
	lab->own->low_fd = lab->own->boxes_fd = -1;
	lab->own->internet.fd = -1;
	lab->own->nodes = calloc(count, sizeof(*lab->own->nodes));
	if (!lab->own->nodes)
		goto fail;
	lab->count = plan->count;
	lab->own->ages = plan->ages;
	for (unsigned i = 0; i < plan->count; i++) {
		lab->nodes[i].plan = plan->nodes[i];
		lab->nodes[i].ns_fd = -1;
		lab->nodes[i].own = &lab->own->nodes[i];
		lab->own->nodes[i].index = i;
	}
	return lab;
fail:
	free(lab->own);
	free(lab->nodes);
	free(lab);
	return NULL;
}

int lab_sketch(const struct lab_plan *plan, struct lab **out, struct err *err)
{
	struct lab *lab;
	int code = lab_plan_check(plan, err);

	if (code)
		return code;
	lab = lab_alloc(plan);
	if (!lab)
		return err_set(err, ENOMEM, "no memory for a lab of %u nodes",
			       plan->count);
	code = lab_plan_addresses(lab, err);
	if (code) {
		lab_free(lab);
		return code;
	}
	*out = lab;
	return 0;
}

int lab_new(const struct lab_plan *plan, struct lab **out, struct err *err)
{
	struct lab *lab;
	int code = lab_sketch(plan, &lab, err);

	if (code)
		return code;
	raise_descriptor_limit(plan);
	code = open_own(lab, err);
	if (!code)
		code = lab_build(lab, err);
	if (lab->own->home_ns_fd >= 0)
		lab_leave(lab);
	if (code) {
		lab_free(lab);
		return code;
	}
	*out = lab;
	return 0;
}

static void end_children(struct lab *lab)
{
	struct lab_own *own = lab->own;

	/* First all are told, then all are waited for. */
	for (unsigned i = 0; i < lab->count; i++)
		portmapd_stop(own->nodes[i].daemon);
	for (unsigned i = 0; i < own->child_count; i++)
		if (waitpid(own->children[i], NULL, WNOHANG) == 0)
			kill(own->children[i], SIGKILL);
		else
			own->children[i] = 0; /* its number may be reused */
	for (unsigned i = 0; i < lab->count; i++)
		portmapd_free(own->nodes[i].daemon);
	for (unsigned i = 0; i < own->child_count; i++)
		if (own->children[i] > 0)
			waitpid(own->children[i], NULL, 0);
	free(own->children);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

/*
 * Nothing is deleted link by link: with the last descriptor a namespace is
 * gone, and the kernel clears it away behind our back.
 */
void lab_free(struct lab *lab)
{
	struct closing *closing = NULL;
	struct lab_own *own;

	if (!lab)
		return;
	own = lab->own;
	end_children(lab);
	for (unsigned i = 0; i < lab->count; i++) {
		conntrack_free_later(own->nodes[i].conntrack, &closing);
		lab_engine_end(lab, &lab->nodes[i], &closing);
		close_fd(lab->nodes[i].ns_fd);
	}
	netlink_close(&own->internet);
	netlink_batch_free(&own->batch);
	close_fd(lab->internet_ns_fd);
	close_fd(own->files_fd);
	close_fd(own->home_ns_fd);
	close_fd(own->low_fd);
	close_fd(own->boxes_fd);
	closing_start(closing);
	free(own->blocked);
	free(own->nodes);
	free(own);
	free(lab->nodes);
	free(lab);
}

pid_t lab_spawn(struct lab *lab, struct lab_node *node, const char *const *argv,
		const char *const *env, const int stdio[static 3],
		struct err *err)
{
	const struct child_plan plan = {
		.argv = argv,
		.env = env,
		.stdin_fd = stdio[0],
		.stdout_fd = stdio[1],
		.stderr_fd = stdio[2],
		.extra_fd = -1,
	};
	struct lab_own *own = lab->own;
	size_t bytes = (own->child_count + 1) * sizeof(*own->children);
	pid_t *children = realloc(own->children, bytes);
	pid_t pid;

	if (!children)
		return err_set(err, ENOMEM, "no memory for another process");
	own->children = children;
	pid = lab_enter(lab, node, err);
	if (!pid)
		pid = child_start(&plan, err);
	lab_leave(lab);
	if (pid > 0)
		children[own->child_count++] = pid;
	return pid;
}

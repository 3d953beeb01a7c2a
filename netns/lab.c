/* SPDX-License-Identifier: BSD-3-Clause */
#include "netns/child.h"
#include "netns/lab_own.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* A netfilter socket of this namespace, with a port that is ours to choose. */
static int netfilter_socket(uint32_t port_id)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK,
				      .nl_pid = port_id};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_NETFILTER);

	if (fd >= 0 &&
	    bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -1;
	}
	return fd;
}

/*
 * A context's socket stays in the namespace where the context was made, and a
 * new context costs up to 5 ms. So while a lab is built, one context serves
 * all: its descriptor is made to be a socket of the namespace at hand. Its
 * cache is right for each, because each is as empty as the one before; later
 * that is no longer so, and lab_nft takes a fresh context.
 */
static int nft_move_here(struct lab_own *own)
{
	int fd = netfilter_socket(own->nft_port_id);

	if (fd < 0 || dup3(fd, own->nft_fd, O_CLOEXEC) < 0) {
		if (fd >= 0)
			close(fd);
		return -errno;
	}
	close(fd);
	return 0;
}

static int nft_open(struct lab_own *own)
{
	struct sockaddr_nl address = {0};
	socklen_t size = sizeof(address);
	/* The port that the kernel gives first is left to other sockets. */
	int first = netfilter_socket(0);

	own->nft_fd = dup(first);
	if (own->nft_fd >= 0)
		close(own->nft_fd);
	/* The lowest free descriptor is the one that the context will get. */
	own->nft = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!own->nft ||
	    getsockname(own->nft_fd, (struct sockaddr *)&address, &size))
		own->nft_fd = -1;
	if (first >= 0)
		close(first);
	own->nft_port_id = address.nl_pid;
	if (!own->nft || own->nft_fd < 0)
		return -ENOMEM;
	nft_ctx_buffer_error(own->nft);
	nft_ctx_buffer_output(own->nft);
	return 0;
}

static int nft_run(struct nft_ctx *nft, const char *text, const char *where,
		   struct err *err)
{
	const char *words;

	if (nft_run_cmd_from_buffer(nft, text) == 0)
		return 0;
	words = nft_ctx_get_error_buffer(nft);
	return err_set(err, EIO, "%s: nftables refuses a ruleset: %s", where,
		       words && *words ? words : strerror(errno));
}

int lab_nft(struct lab *lab, const char *text, const char *where,
	    struct err *err)
{
	struct nft_ctx *fresh;
	int code;

	if (!lab->own->built) {
		if (nft_move_here(lab->own))
			return err_set(err, errno, "%s: no netfilter socket: "
				       "%s", where, strerror(errno));
		return nft_run(lab->own->nft, text, where, err);
	}
	fresh = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!fresh)
		return err_set(err, ENOMEM, "%s: cannot make an nftables "
			       "context", where);
	nft_ctx_buffer_error(fresh);
	nft_ctx_buffer_output(fresh);
	code = nft_run(fresh, text, where, err);
	nft_ctx_free(fresh);
	return code;
}

/*
 * A namespace costs two descriptors while it is made, and a router one or two
 * for good; a thousand homes do not fit the usual soft limit of 1,024.
 */
static void raise_descriptor_limit(const struct lab_plan *plan)
{
	rlim_t wanted = 256 + 6 * (rlim_t)plan->count;
	struct rlimit limit;

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
	if (nft_open(own))
		return err_set(err, ENOMEM, "cannot make an nftables context");
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
	lab->own->internet.fd = -1;
	lab->own->nodes = calloc(count, sizeof(*lab->own->nodes));
	if (!lab->own->nodes)
		goto fail;
	lab->count = plan->count;
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

int lab_new(const struct lab_plan *plan, struct lab **out, struct err *err)
{
	struct lab *lab;
	int code = lab_plan_check(plan, err);

	if (code)
		return code;
	lab = lab_alloc(plan);
	if (!lab)
		return err_set(err, ENOMEM, "no memory for a lab of %u nodes",
			       plan->count);
	raise_descriptor_limit(plan);
	code = lab_plan_addresses(lab, err);
	if (!code)
		code = open_own(lab, err);
	if (!code)
		code = lab_build(lab, err);
	if (lab->own->home_ns_fd >= 0)
		lab_leave(lab);
	if (code) {
		lab_free(lab);
		return code;
	}
	lab->own->built = true;
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
	struct lab_own *own;

	if (!lab)
		return;
	own = lab->own;
	end_children(lab);
	for (unsigned i = 0; i < lab->count; i++) {
		conntrack_free(own->nodes[i].conntrack);
		close_fd(lab->nodes[i].ns_fd);
	}
	if (own->nft)
		nft_ctx_free(own->nft);
	netlink_close(&own->internet);
	netlink_batch_free(&own->batch);
	close_fd(lab->internet_ns_fd);
	close_fd(own->files_fd);
	close_fd(own->home_ns_fd);
	free(own->blocked);
	free(own->nodes);
	free(own);
	free(lab->nodes);
	free(lab);
}

pid_t lab_spawn(struct lab *lab, struct lab_node *node, const char *const *argv,
		const char *const *env, int stdout_fd, int stderr_fd,
		struct err *err)
{
	const struct child_plan plan = {
		.argv = argv,
		.env = env,
		.stdin_fd = -1,
		.stdout_fd = stdout_fd,
		.stderr_fd = stderr_fd,
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

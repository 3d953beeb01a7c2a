/* SPDX-License-Identifier: BSD-3-Clause */
/* What a lab refuses, what it costs, and what it leaves alone. */
#include "tests/check_lab_world.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_ether.h>

static int refused_inside(void *arg)
{
	struct world w = {.lab = NULL};
	struct lab_plan_node *many;
	struct lab_plan plan = {.nodes = NULL, .count = 1100};
	struct err err = {.text = ""};

	(void)arg;
	world_plan(&w, "easy");
	w.nodes[HOME].router = CAFE;
	w.nodes[CAFE].router = HOME;
	ck_assert_int_eq(lab_new(&w.plan, &w.lab, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "behind itself"));
	world_plan(&w, "easy");
	w.nodes[A].router = S;
	ck_assert_int_eq(lab_new(&w.plan, &w.lab, &err), -EINVAL);
	world_plan(&w, "easy");
	w.nodes[HOME].nat.udp_timeout_s = 0;
	ck_assert_int_eq(lab_new(&w.plan, &w.lab, &err), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err.text, "home"));
	world_plan(&w, "easy");
	w.nodes[HOME].nat.pool = 9;
	ck_assert_int_eq(lab_new(&w.plan, &w.lab, &err), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err.text, "home: no router can do this "
				     "NAT: a pool of more than 8"));
	many = calloc(plan.count, sizeof(*many));
	plan.nodes = many;
	for (unsigned i = 0; i < plan.count; i++) {
		snprintf(many[i].name, sizeof(many[i].name), "s%u", i);
		many[i].kind = LAB_SERVER;
		many[i].router = -1;
	}
	ck_assert_int_eq(lab_new(&plan, &w.lab, &err), -E2BIG);
	free(many);
	return 0;
}

START_TEST(bad_plans_are_refused)
{
	in_sandbox(refused_inside);
}
END_TEST

/* Descriptors are what a lab costs: a hundred labs leave none behind. */
static unsigned open_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Those that are slow to close are closed behind lab_free's back. */
static unsigned wait_for_descriptors(unsigned wanted)
{
	const uint64_t until_us = clock_real_us() + 10000000;
	unsigned count;

	do {
		count = open_descriptors();
		sched_yield();
	} while (count != wanted && clock_real_us() < until_us);
	return count;
}

static int descriptors_inside(void *arg)
{
	unsigned before = open_descriptors();

	(void)arg;
	for (unsigned i = 0; i < 20; i++) {
		struct world w = {.lab = NULL};

		world_plan(&w, "full-cone");
		world_up(&w);
		ok(lab_flush(w.lab, world_node(&w, HOME), err));
		ok(lab_age(w.lab, 1000000, err));
		world_down(&w);
		ck_assert_uint_eq(wait_for_descriptors(before), before);
	}
	return 0;
}

START_TEST(labs_leave_no_descriptor)
{
	in_sandbox(descriptors_inside);
}
END_TEST

/* --- the host ------------------------------------------------------------- */

/* Links, addresses and routes of this process's own namespace. */
static size_t host_state(char *text, size_t room)
{
	static const char *const files[] = {"/proc/self/net/fib_trie",
					    "/proc/self/net/route",
					    "/proc/self/net/if_inet6",
					    "/proc/sys/net/ipv4/ip_forward"};
	struct if_nameindex *links = if_nameindex();
	size_t used = 0;

	for (unsigned i = 0; links && links[i].if_name; i++)
		used += (size_t)snprintf(text + used, room - used, "%s\n",
					 links[i].if_name);
	if_freenameindex(links);
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		int fd = open(files[i], O_RDONLY | O_CLOEXEC);
		ssize_t bytes;

		while (fd >= 0 &&
		       (bytes = read(fd, text + used, room - used - 1)) > 0)
			used += (size_t)bytes;
		if (fd >= 0)
			close(fd);
	}
	text[used] = 0;
	return used;
}

static int whole_lab_inside(void *arg)
{
	struct world w = {.lab = NULL};

	(void)arg;
	world_plan(&w, "address-restricted");
	world_add_b(&w);
	world_up(&w);
	ok(lab_block(w.lab, world_node(&w, A), world_node(&w, S), 0, 443, err));
	ok(lab_renumber(w.lab, world_node(&w, HOME), err));
	ok(lab_reboot(w.lab, world_node(&w, HOME), err));
	world_down(&w);
	return 0;
}

START_TEST(host_is_left_alone)
{
	static char before[65536], after[65536];

	host_state(before, sizeof(before));
	in_sandbox(whole_lab_inside);
	host_state(after, sizeof(after));
	ck_assert_str_eq(before, after);
}
END_TEST

/* --- frames --------------------------------------------------------------- */

static void tcp_pair(struct world *w, int *client, int *server)
{
	struct sockaddr_in there = {.sin_family = AF_INET,
				    .sin_port = htons(443),
				    .sin_addr.s_addr = htonl(world_ip(w, S))};
	int listener;

	ok(lab_enter(w->lab, world_node(w, S), err));
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&there,
			      sizeof(there)), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ok(lab_enter(w->lab, world_node(w, A), err));
	*client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	lab_leave(w->lab);
	ck_assert_int_eq(connect(*client, (struct sockaddr *)&there,
				 sizeof(there)), 0);
	*server = accept(listener, NULL, NULL);
	close(listener);
}

/* The longest frame that the socket has heard. */
static size_t longest_frame(int fd)
{
	static char frame[70000];
	size_t longest = 0;
	ssize_t bytes;

	while ((bytes = recv(fd, frame, sizeof(frame), MSG_DONTWAIT)) > 0)
		if ((size_t)bytes > longest)
			longest = (size_t)bytes;
	return longest;
}

LAB_TEST(segments_are_as_long_as_a_link_carries)
{
	static char data[60000];
	int client, server, tap;
	size_t got = 0;
	ssize_t bytes;

	world_plan(w, "easy");
	world_up(w);
	ok(lab_enter(w->lab, world_node(w, A), err));
	tap = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	lab_leave(w->lab);
	ck_assert_int_ge(tap, 0);
	tcp_pair(w, &client, &server);
	ck_assert_int_eq(write(client, data, sizeof(data)), sizeof(data));
	while (got < sizeof(data)) {
		bytes = read(server, data, sizeof(data));
		ck_assert_int_gt(bytes, 0);
		got += (size_t)bytes;
	}
	ck_assert_uint_eq(longest_frame(tap), 1514);
	close(client);
	close(server);
	close(tap);
}

TCase *limit_tests(void)
{
	TCase *limits = tcase_create("limits");

	tcase_set_timeout(limits, 60);
	tcase_add_test(limits, bad_plans_are_refused);
	tcase_add_test(limits, labs_leave_no_descriptor);
	tcase_add_test(limits, host_is_left_alone);
	tcase_add_test(limits, segments_are_as_long_as_a_link_carries);
	return limits;
}

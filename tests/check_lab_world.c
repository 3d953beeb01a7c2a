/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/check_lab_world.h"

#include "netns/sandbox.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

static void plan_node(struct world *w, unsigned index, const char *name,
		      enum lab_kind kind, int router)
{
	struct lab_plan_node *node = &w->nodes[index];

	snprintf(node->name, sizeof(node->name), "%s", name);
	node->kind = kind;
	node->router = router;
}

void world_plan(struct world *w, const char *home_preset)
{
	plan_node(w, HOME, "home", LAB_ROUTER, -1);
	plan_node(w, A, "a", LAB_HOST, HOME);
	plan_node(w, S, "s", LAB_SERVER, -1);
	plan_node(w, T, "t", LAB_SERVER, -1);
	plan_node(w, CAFE, "cafe", LAB_ROUTER, -1);
	plan_node(w, C, "c", LAB_HOST, CAFE);
	w->nodes[HOME].nat = nat_preset_find(home_preset)->nat;
	w->nodes[CAFE].nat = nat_preset_find("easy")->nat;
	w->plan.nodes = w->nodes;
	w->plan.count = B;
}

void world_add_b(struct world *w)
{
	plan_node(w, B, "b", LAB_HOST, HOME);
	w->plan.count = WORLD_NODES;
}

void world_up(struct world *w)
{
	ok(lab_new(&w->plan, &w->lab, err));
}

void world_down(struct world *w)
{
	lab_free(w->lab);
	w->lab = NULL;
}

void world_ready(struct world *w)
{
	uint64_t end_us = clock_real_us() + 10 * 1000000;
	bool ready = false;

	while (!ready) {
		ok(lab_ready(w->lab, &ready, err));
		ck_assert_msg(clock_real_us() < end_us, "no daemon answers");
		poll(NULL, 0, 1);
	}
}

struct lab_node *world_node(struct world *w, unsigned index)
{
	return &w->lab->nodes[index];
}

uint32_t world_ip(struct world *w, unsigned index)
{
	return w->lab->nodes[index].ifaces[0].ip;
}

struct endpoint at(uint32_t ip, uint16_t port)
{
	return (struct endpoint){.ip = ip, .port = port};
}

int udp_open(struct world *w, unsigned index, uint16_t port)
{
	struct sockaddr_in here = {.sin_family = AF_INET,
				   .sin_port = htons(port)};
	int fd;

	ok(lab_enter(w->lab, world_node(w, index), err));
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&here, sizeof(here)), 0);
	lab_leave(w->lab);
	return fd;
}

uint16_t udp_port(int fd)
{
	struct sockaddr_in here;
	socklen_t size = sizeof(here);

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&here, &size), 0);
	return ntohs(here.sin_port);
}

void udp_send(int fd, struct endpoint to, const char *text)
{
	struct sockaddr_in there = {.sin_family = AF_INET,
				    .sin_port = htons(to.port),
				    .sin_addr.s_addr = htonl(to.ip)};

	/* A refusal of an earlier packet may be told here: it is no matter. */
	for (unsigned tries = 0; tries < 2; tries++)
		if (sendto(fd, text, strlen(text), 0,
			   (struct sockaddr *)&there, sizeof(there)) > 0)
			return;
	ck_abort_msg("cannot send");
}

struct endpoint udp_expect(int fd, const char *text)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	char got[256] = "";
	struct sockaddr_in from = {.sin_family = AF_INET};
	socklen_t size = sizeof(from);
	ssize_t bytes = -1;

	ck_assert_msg(poll(&wait, 1, LONG_MS) == 1, "\"%s\" never came",
		      text);
	bytes = recvfrom(fd, got, sizeof(got) - 1, MSG_DONTWAIT,
			 (struct sockaddr *)&from, &size);
	ck_assert_int_ge(bytes, 0);
	ck_assert_str_eq(got, text);
	return at(ntohl(from.sin_addr.s_addr), ntohs(from.sin_port));
}

void udp_expect_nothing(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	char got[256] = "";
	ssize_t bytes;

	/* Some milliseconds for another CPU's softirq to have its turn. */
	if (poll(&wait, 1, 20) == 0)
		return;
	bytes = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
	ck_assert_msg(bytes < 0, "\"%s\" got through", got);
}

struct endpoint udp_seen(int from, int server_fd, struct endpoint server)
{
	udp_send(from, server, "seen?");
	return udp_expect(server_fd, "seen?");
}

void check_let_in(int a, int who, struct endpoint to, bool expected)
{
	udp_send(who, to, "knock");
	if (expected)
		udp_expect(a, "knock");
	else
		udp_expect_nothing(a);
}

bool tcp_connects(struct world *w, unsigned from, unsigned to,
		  unsigned patience_ms)
{
	struct sockaddr_in there = {.sin_family = AF_INET,
				    .sin_port = htons(443),
				    .sin_addr.s_addr =
					    htonl(world_ip(w, to))};
	struct timeval patience = {
		.tv_sec = patience_ms / 1000,
		.tv_usec = patience_ms % 1000 * 1000,
	};
	bool connected;
	int client, server;

	ok(lab_enter(w->lab, world_node(w, to), err));
	server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(server, (struct sockaddr *)&there,
			      sizeof(there)), 0);
	ck_assert_int_eq(listen(server, 1), 0);
	ok(lab_enter(w->lab, world_node(w, from), err));
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience,
		   sizeof(patience));
	lab_leave(w->lab);
	connected = connect(client, (struct sockaddr *)&there,
			    sizeof(there)) == 0;
	close(client);
	close(server);
	return connected;
}

void in_sandbox(int (*test)(void *arg))
{
	struct err err = {.text = ""};
	int status = -1, code;

	code = sandbox_run(test, NULL, &status, &err);
	ck_assert_msg(!code, "%s", err.text);
	ck_assert_int_eq(status, 0);
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

int world_missing(void)
{
	struct err err = {.text = ""};
	int status;

	if (sandbox_run(nothing, NULL, &status, &err) == 0)
		return 0;
	printf("skipped: %s\n", err.text);
	return 77;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/check_lab_world.h"

#include "netns/sandbox.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Routers with an engine forward only while somebody serves the lab: whoever
 * waits here does. A test process has one lab at a time, hence the globals.
 */
static struct lab *served;
static struct clock lab_clock;

static void serve(void)
{
	uint64_t now_us;

	if (!served)
		return;
	do {
		now_us = clock_now_us(&lab_clock);
		lab_on_timer(served, now_us);
	} while (lab_serve(served, now_us, NULL) > 0);
}

/* Like poll on one descriptor; true where it came to what is waited for. */
static bool wait_for(int fd, short events, unsigned patience_ms)
{
	uint64_t end_us = clock_real_us() + patience_ms * 1000ULL;
	struct pollfd waits[] = {{.fd = fd, .events = events},
				 {.fd = served ? lab_fd(served) : -1,
				  .events = POLLIN}};
	uint64_t now_us;

	for (;;) {
		serve();
		now_us = clock_real_us();
		if (poll(waits, 2, now_us < end_us
					   ? (int)((end_us - now_us) / 1000 + 1)
					   : 0) < 0)
			return false;
		if (waits[0].revents)
			return true;
		if (!waits[1].revents && now_us >= end_us)
			return false;
	}
}

void world_skip(struct world *w, uint64_t us)
{
	serve();
	clock_skip_us(&lab_clock, us);
	ok(lab_age(w->lab, us, err));
	serve();
}

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
	served = w->lab;
	clock_start(&lab_clock);
}

void world_down(struct world *w)
{
	lab_free(w->lab);
	w->lab = served = NULL;
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
	char got[256] = "";
	struct sockaddr_in from = {.sin_family = AF_INET};
	socklen_t size = sizeof(from);
	ssize_t bytes = -1;

	ck_assert_msg(wait_for(fd, POLLIN, LONG_MS), "\"%s\" never came",
		      text);
	bytes = recvfrom(fd, got, sizeof(got) - 1, MSG_DONTWAIT,
			 (struct sockaddr *)&from, &size);
	ck_assert_int_ge(bytes, 0);
	ck_assert_str_eq(got, text);
	return at(ntohl(from.sin_addr.s_addr), ntohs(from.sin_port));
}

ssize_t udp_wait(int fd, char *text, size_t size_bytes)
{
	ssize_t bytes;

	errno = ETIMEDOUT;
	if (!wait_for(fd, POLLIN, SHORT_MS))
		return -1;
	bytes = recv(fd, text, size_bytes ? size_bytes - 1 : 0, MSG_DONTWAIT);
	if (bytes >= 0 && size_bytes)
		text[bytes] = '\0';
	return bytes;
}

void udp_expect_nothing(int fd)
{
	char got[256] = "";
	ssize_t bytes;

	/* Some milliseconds for another CPU's softirq to have its turn. */
	if (!wait_for(fd, POLLIN, 20))
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

/* Non-blocking, and connecting to it. */
static int tcp_start(struct world *w, unsigned from,
		     const struct sockaddr_in *there)
{
	int fd;

	ok(lab_enter(w->lab, world_node(w, from), err));
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	lab_leave(w->lab);
	ck_assert_int_ge(fd, 0);
	ck_assert(connect(fd, (const struct sockaddr *)there,
			  sizeof(*there)) == 0 || errno == EINPROGRESS);
	return fd;
}

static bool tcp_carries(const struct tcp_pair *p)
{
	char text[8] = "";

	return send(p->client, "to", 2, 0) == 2 &&
	       wait_for(p->server, POLLIN, LONG_MS) &&
	       recv(p->server, text, sizeof(text), 0) == 2 &&
	       send(p->server, "fro", 3, 0) == 3 &&
	       wait_for(p->client, POLLIN, LONG_MS) &&
	       recv(p->client, text, sizeof(text), 0) == 3;
}

struct tcp_pair tcp_open(struct world *w, unsigned from, unsigned to,
			 unsigned patience_ms)
{
	struct sockaddr_in there = {.sin_family = AF_INET,
				    .sin_port = htons(443),
				    .sin_addr.s_addr =
					    htonl(world_ip(w, to))};
	struct tcp_pair p = {-1, -1};
	int listening;

	ok(lab_enter(w->lab, world_node(w, to), err));
	listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(listening, (struct sockaddr *)&there,
			      sizeof(there)), 0);
	ck_assert_int_eq(listen(listening, 1), 0);
	lab_leave(w->lab);
	p.client = tcp_start(w, from, &there);
	if (wait_for(listening, POLLIN, patience_ms)) {
		p.server = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
		ck_assert_int_ge(p.server, 0);
		ck_assert(tcp_carries(&p));
	} else {
		close(p.client);
		p.client = -1;
	}
	close(listening);
	return p;
}

bool tcp_connects(struct world *w, unsigned from, unsigned to,
		  unsigned patience_ms)
{
	struct tcp_pair p = tcp_open(w, from, to, patience_ms);

	if (p.server < 0)
		return false;
	close(p.client);
	close(p.server);
	return true;
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

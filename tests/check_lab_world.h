/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_lab_world: small labs for the lab's tests, and plain UDP sockets in
 * them. Each test runs in a sandbox of its own.
 *
 *   a, b --- home ---+
 *                    +--- s, t (servers)
 *          c --- cafe+
 */
#ifndef NATRIG_TESTS_CHECK_LAB_WORLD_H
#define NATRIG_TESTS_CHECK_LAB_WORLD_H

#include "netns/lab.h"
#include "wire/endpoint.h"

#include <check.h>

/* How long to wait for what must come, and for what must not. */
#define LONG_MS 5000
#define SHORT_MS 200

/* Indexes into the plan that world_plan makes. */
enum { HOME, A, S, T, CAFE, C, B, WORLD_NODES };

struct world {
	struct lab_plan_node nodes[WORLD_NODES];
	struct lab_plan plan;
	struct lab *lab;
};

/* Without B: home has one host, and `lan` is no bridge. */
void world_plan(struct world *w, const char *home_preset);
void world_add_b(struct world *w);
void world_up(struct world *w);
void world_down(struct world *w);
/* Lab time passes, for netfilter and for engines. */
void world_skip(struct world *w, uint64_t us);
/* Waits for the port-mapping daemons. */
void world_ready(struct world *w);

struct lab_node *world_node(struct world *w, unsigned index);
uint32_t world_ip(struct world *w, unsigned index);

/* A socket in the node's namespace; PORT 0: any. */
int udp_open(struct world *w, unsigned index, uint16_t port);
uint16_t udp_port(int fd);
void udp_send(int fd, struct endpoint to, const char *text);
/* Waits for a datagram, which must be TEXT; returns its sender. */
struct endpoint udp_expect(int fd, const char *text);
/* Any datagram, as a string; its size, or -1 with errno. */
ssize_t udp_wait(int fd, char *text, size_t size_bytes);
/*
 * Nothing was on its way to FD: what has been sent so far has arrived or died,
 * since in a lab a packet goes through within its sender's own system call.
 */
void udp_expect_nothing(int fd);

/* a's text goes to the server; returns how the server sees a. */
struct endpoint udp_seen(int from, int server_fd, struct endpoint server);
struct endpoint at(uint32_t ip, uint16_t port);

/* WHO sends to where A is seen; does it get in? */
void check_let_in(int a, int who, struct endpoint to, bool expected);
/* A connection, or { -1, -1 } where it did not come to be. */
struct tcp_pair {
	int client, server;
};
struct tcp_pair tcp_open(struct world *w, unsigned from, unsigned to,
			 unsigned patience_ms);
bool tcp_connects(struct world *w, unsigned from, unsigned to,
		  unsigned patience_ms); /* port 443 */

/* Runs the test in a sandbox; the test program's main has seen to it that
 * there can be one. */
void in_sandbox(int (*test)(void *arg));

/* 0, or 77 (automake: skipped) having said what is missing. */
int world_missing(void);

#define ok(call)                                                               \
	do {                                                                   \
		struct err ok_err = {.text = ""};                              \
		struct err *err = &ok_err;                                     \
		int ok_code = (call);                                          \
		ck_assert_msg(!ok_code, "%s: %d %s", #call, ok_code,           \
			      ok_err.text);                                    \
	} while (0)

/* A test NAME whose body runs in a sandbox with `struct world w`. */
#define LAB_TEST(name)                                                         \
	static void name##_body(struct world *w);                              \
	static int name##_inside(void *arg)                                    \
	{                                                                      \
		struct world w = {.lab = NULL};                                \
		(void)arg;                                                     \
		name##_body(&w);                                               \
		world_down(&w);                                                \
		return 0;                                                      \
	}                                                                      \
	START_TEST(name)                                                       \
	{                                                                      \
		in_sandbox(name##_inside);                                     \
	}                                                                      \
	END_TEST                                                               \
	static void name##_body(struct world *w)

/* check_lab_limits.c, _router.c, _age.c, _engine.c, _portmap.c,
 * _knobs.c, _timeouts.c */
TCase *limit_tests(void);
TCase *router_tests(void);
TCase *age_tests(void);
TCase *engine_tests(void);
TCase *portmap_tests(void);
TCase *knob_tests(void);
TCase *timeout_tests(void);

#endif

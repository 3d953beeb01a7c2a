/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The timeouts of TCP and ICMP that were asked for, over netfilter and over an
 * engine.
 */
#include "tests/check_lab_world.h"
#include "wire/packet.h"

#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND_US 1000000ULL

static void up(struct world *w, const struct nat *nat, bool force_engine)
{
	world_plan(w, "easy");
	w->nodes[HOME].nat = *nat;
	w->nodes[HOME].force_engine = force_engine;
	world_up(w);
}

static void expect_bytes(int fd, bool expected)
{
	char got[16];

	if (expected)
		ck_assert_int_gt(udp_wait(fd, got, sizeof(got)), 0);
	else
		udp_expect_nothing(fd);
}

static void check_tcp(bool force_engine)
{
	struct nat nat = nat_preset_find("easy")->nat;
	struct world w = {.lab = NULL};
	struct tcp_pair p;

	nat.tcp_timeout_s = 600;
	up(&w, &nat, force_engine);
	p = tcp_open(&w, A, S, LONG_MS);
	ck_assert_int_ge(p.server, 0);
	world_skip(&w, 590 * SECOND_US);
	ck_assert_int_eq(send(p.server, "x", 1, 0), 1);
	expect_bytes(p.client, true);
	world_skip(&w, 602 * SECOND_US);
	ck_assert_int_eq(send(p.server, "y", 1, 0), 1);
	expect_bytes(p.client, false);
	world_down(&w);
}

/* Half closed is established still (RFC 5382 section 5). */
static void check_half_closed(bool force_engine)
{
	struct nat nat = nat_preset_find("easy")->nat;
	struct world w = {.lab = NULL};
	struct tcp_pair p;
	char got[4];

	nat.tcp_timeout_s = 600;
	nat.tcp_transitory_timeout_s = 40;
	up(&w, &nat, force_engine);
	p = tcp_open(&w, A, S, LONG_MS);
	ck_assert_int_eq(shutdown(p.client, SHUT_WR), 0);
	ck_assert_int_eq(udp_wait(p.server, got, sizeof(got)), 0);
	world_skip(&w, 590 * SECOND_US);
	ck_assert_int_eq(send(p.server, "x", 1, 0), 1);
	expect_bytes(p.client, true);
	world_skip(&w, 602 * SECOND_US);
	ck_assert_int_eq(send(p.server, "y", 1, 0), 1);
	expect_bytes(p.client, false);
	world_down(&w);
}

static int raw_open(struct world *w, unsigned index, int proto)
{
	int fd;

	ok(lab_enter(w->lab, world_node(w, index), err));
	fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, proto);
	lab_leave(w->lab);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static void raw_send(int fd, uint32_t ip, const void *bytes, size_t size_bytes)
{
	struct sockaddr_in there = {.sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(ip)};

	ck_assert_int_eq(sendto(fd, bytes, size_bytes, 0,
				(struct sockaddr *)&there, sizeof(there)),
			 size_bytes);
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* A SYN with sequence number 0, or with ACK its answer. */
static void syn_send(int fd, struct endpoint from, struct endpoint to,
		     bool answers)
{
	uint8_t bytes[12 + 20] = {[9] = IPPROTO_TCP, [11] = 20,
				  [24] = 0x50, 2, 0xff, 0xff};

	put16(bytes, (uint16_t)(from.ip >> 16));
	put16(bytes + 2, (uint16_t)from.ip);
	put16(bytes + 4, (uint16_t)(to.ip >> 16));
	put16(bytes + 6, (uint16_t)to.ip);
	put16(bytes + 12, from.port);
	put16(bytes + 14, to.port);
	if (answers) {
		bytes[23] = 1;
		bytes[25] = 0x12;
	}
	put16(bytes + 28, packet_checksum(bytes, sizeof(bytes)));
	raw_send(fd, to.ip, bytes + 12, 20);
}

/* Is a SYN answered after so long? The server's own refusal is kept from it. */
static bool opens_after(bool force_engine, uint64_t us)
{
	struct nat nat = nat_preset_find("easy")->nat;
	struct world w = {.lab = NULL};
	struct endpoint a_at, s_at;
	uint8_t got[64];
	bool opens;
	int a, s;

	nat.tcp_transitory_timeout_s = 40;
	up(&w, &nat, force_engine);
	a = raw_open(&w, A, IPPROTO_TCP);
	s = raw_open(&w, S, IPPROTO_TCP);
	a_at = at(world_ip(&w, A), 5000);
	s_at = at(world_ip(&w, S), 444);
	ok(lab_block(w.lab, world_node(&w, S), world_node(&w, HOME), 0, 0,
		     err));
	syn_send(a, a_at, s_at, false);
	ck_assert_int_eq(udp_wait(s, (char *)got, sizeof(got)), 40);
	ok(lab_unblock(w.lab, world_node(&w, S), world_node(&w, HOME), 0, 0,
		       err));
	world_skip(&w, us);
	syn_send(s, s_at, at(world_ip(&w, HOME),
			     (uint16_t)(got[20] << 8 | got[21])), true);
	opens = udp_wait(a, (char *)got, sizeof(got)) > 0;
	world_down(&w);
	return opens;
}

/* An echo request (8) or reply (0) with an identifier as TO's port. */
static void echo_send(int fd, uint8_t type, struct endpoint to)
{
	uint8_t echo[8] = {type};

	put16(echo + 4, to.port);
	put16(echo + 2, packet_checksum(echo, sizeof(echo)));
	raw_send(fd, to.ip, echo, sizeof(echo));
}

static void check_icmp(bool force_engine)
{
	struct nat nat = nat_preset_find("easy")->nat;
	struct world w = {.lab = NULL};
	uint8_t got[64];
	struct endpoint seen;
	int a, s;

	nat.icmp_timeout_s = 20;
	up(&w, &nat, force_engine);
	a = raw_open(&w, A, IPPROTO_ICMP);
	s = raw_open(&w, S, IPPROTO_ICMP);
	echo_send(a, 8, at(world_ip(&w, S), 77));
	ck_assert_int_eq(udp_wait(s, (char *)got, sizeof(got)), 28);
	seen = at(world_ip(&w, HOME), (uint16_t)(got[24] << 8 | got[25]));
	/* The kernel of S has answered. */
	expect_bytes(a, true);
	world_skip(&w, 18 * SECOND_US);
	echo_send(s, 0, seen);
	expect_bytes(a, true);
	world_skip(&w, 21 * SECOND_US);
	echo_send(s, 0, seen);
	expect_bytes(a, false);
	world_down(&w);
}

/* Both ways: a loop test says whether over an engine. */
static bool by_engine;

static int tcp_inside(void *arg)
{
	(void)arg;
	check_tcp(by_engine);
	check_half_closed(by_engine);
	ck_assert(opens_after(by_engine, 38 * SECOND_US));
	ck_assert(!opens_after(by_engine, 42 * SECOND_US));
	return 0;
}

START_TEST(tcp_ends_when_asked)
{
	by_engine = _i;
	in_sandbox(tcp_inside);
}
END_TEST

/* A set brings a timeout, and takes it back. */
LAB_TEST(tcp_timeouts_are_set)
{
	struct nat nat = nat_preset_find("easy")->nat;
	struct tcp_pair p;

	up(w, &nat, false);
	for (unsigned i = 0; i < 2; i++) {
		nat.tcp_timeout_s = i ? 0 : 600;
		ok(lab_set(w->lab, world_node(w, HOME), &nat, 0, err));
		p = tcp_open(w, A, i ? T : S, LONG_MS);
		ck_assert_int_ge(p.server, 0);
		world_skip(w, 602 * SECOND_US);
		ck_assert_int_eq(send(p.server, "x", 1, 0), 1);
		expect_bytes(p.client, i);
		close(p.client);
		close(p.server);
	}
}

static int icmp_inside(void *arg)
{
	(void)arg;
	check_icmp(by_engine);
	return 0;
}

START_TEST(icmp_ends_when_asked)
{
	by_engine = _i;
	in_sandbox(icmp_inside);
}
END_TEST

TCase *timeout_tests(void)
{
	TCase *timeouts = tcase_create("timeouts");

	tcase_set_timeout(timeouts, 60);
	tcase_add_loop_test(timeouts, tcp_ends_when_asked, 0, 2);
	tcase_add_test(timeouts, tcp_timeouts_are_set);
	tcase_add_loop_test(timeouts, icmp_ends_when_asked, 0, 2);
	return timeouts;
}

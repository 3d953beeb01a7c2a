/* SPDX-License-Identifier: BSD-3-Clause */
/* Routers that forget, change, and block. See check_lab_world.h. */
#include "tests/check_lab_world.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct pair {
	int a, s;
	struct endpoint seen;
};

static struct pair open_pair(struct world *w, const char *preset)
{
	struct pair p;

	world_plan(w, preset);
	world_up(w);
	p.a = udp_open(w, A, 5000);
	p.s = udp_open(w, S, 3478);
	p.seen = udp_seen(p.a, p.s, at(world_ip(w, S), 3478));
	return p;
}

static void expect_inward(struct pair *p, bool expected)
{
	check_let_in(p->a, p->s, p->seen, expected);
}

LAB_TEST(flush_forgets_flows_but_not_mappings)
{
	struct pair p = open_pair(w, "full-cone");
	int t = udp_open(w, T, 3478);

	ok(lab_flush(w->lab, world_node(w, HOME), err));
	check_let_in(p.a, t, p.seen, true);
	ok(lab_reboot(w->lab, world_node(w, HOME), err));
	check_let_in(p.a, t, p.seen, false);
	expect_inward(&p, false);
}

LAB_TEST(flush_closes_an_easy_nat)
{
	struct pair p = open_pair(w, "easy");

	expect_inward(&p, true);
	ok(lab_flush(w->lab, world_node(w, HOME), err));
	expect_inward(&p, false);
	udp_seen(p.a, p.s, at(world_ip(w, S), 3478));
	expect_inward(&p, true);
}

LAB_TEST(renumber_gives_an_unused_address)
{
	struct pair p = open_pair(w, "easy");
	uint32_t old_ip = world_ip(w, HOME);

	ok(lab_renumber(w->lab, world_node(w, HOME), err));
	ck_assert_uint_eq(world_ip(w, HOME), 0x19000003);
	expect_inward(&p, false);
	p.seen = udp_seen(p.a, p.s, at(world_ip(w, S), 3478));
	ck_assert_uint_ne(p.seen.ip, old_ip);
	expect_inward(&p, true);
}

static void check_pair_link(struct world *w, struct pair p, unsigned index)
{
	ok(lab_link(w->lab, world_node(w, index), false, err));
	expect_inward(&p, false);
	ok(lab_link(w->lab, world_node(w, index), true, err));
	p.seen = udp_seen(p.a, p.s, at(world_ip(w, S), 3478));
	expect_inward(&p, true);
}

static void check_link(struct world *w, unsigned index)
{
	check_pair_link(w, open_pair(w, "easy"), index);
}

LAB_TEST(link_of_a_host_goes_and_comes)
{
	check_link(w, A);
}

LAB_TEST(link_of_a_router_goes_and_comes)
{
	check_link(w, HOME);
}

/* The kernel tells of a carrier that is gone a moment later. */
static void expect_carrier(struct world *w, unsigned index, bool expected)
{
	struct ifreq request = {.ifr_name = "eth0"};
	int fd = udp_open(w, index, 0);
	bool found = !expected;

	for (int i = 0; i < LONG_MS && found != expected; i++) {
		ck_assert_int_eq(ioctl(fd, SIOCGIFFLAGS, &request), 0);
		ck_assert(request.ifr_flags & IFF_UP);
		found = request.ifr_flags & IFF_RUNNING;
		poll(NULL, 0, found != expected);
	}
	close(fd);
	ck_assert_int_eq(found, expected);
}

/* Nothing is sent, nothing heard, and the server itself can tell. */
LAB_TEST(link_of_a_server_goes_and_comes)
{
	struct pair p = open_pair(w, "easy");
	int t = udp_open(w, T, 3478);

	check_pair_link(w, p, S);
	udp_seen(p.s, t, at(world_ip(w, T), 3478));
	expect_carrier(w, S, true);
	ok(lab_link(w->lab, world_node(w, S), false, err));
	expect_carrier(w, S, false);
	expect_carrier(w, T, true);
	udp_send(p.s, at(world_ip(w, T), 3478), "cut off");
	udp_expect_nothing(t);
	udp_send(t, at(world_ip(w, S), 3478), "cut off");
	udp_expect_nothing(p.s);
	ok(lab_link(w->lab, world_node(w, S), true, err));
	expect_carrier(w, S, true);
	udp_seen(t, p.s, at(world_ip(w, S), 3478));
}

LAB_TEST(set_changes_behaviour_and_keeps_flows)
{
	struct pair p = open_pair(w, "easy");
	const struct nat *harder = &nat_preset_find("symmetric")->nat;
	int t = udp_open(w, T, 3478);

	ok(lab_set(w->lab, world_node(w, HOME), harder, 0, err));
	expect_inward(&p, true);
	ck_assert_uint_ne(udp_seen(p.a, t, at(world_ip(w, T), 3478)).port,
			  5000);
}

LAB_TEST(set_to_none_and_back)
{
	struct pair p = open_pair(w, "easy");
	const struct nat *none = &nat_preset_find("none")->nat;
	const struct nat *easy = &nat_preset_find("easy")->nat;
	int a = udp_open(w, A, 7000);

	ok(lab_set(w->lab, world_node(w, HOME), none, 0, err));
	ck_assert_uint_eq(udp_seen(a, p.s, at(world_ip(w, S), 3478)).ip,
			  world_ip(w, A));
	ok(lab_set(w->lab, world_node(w, HOME), easy, 0, err));
	ok(lab_flush(w->lab, world_node(w, HOME), err));
	ck_assert_uint_eq(udp_seen(a, p.s, at(world_ip(w, S), 3478)).ip,
			  world_ip(w, HOME));
}

/* --- blocks --------------------------------------------------------------- */

static void check_block(struct world *w, unsigned x, unsigned y, int from,
			int to_fd, struct endpoint to)
{
	udp_seen(from, to_fd, to);
	ok(lab_block(w->lab, world_node(w, x), world_node(w, y), 0, 0, err));
	ok(lab_block(w->lab, world_node(w, x), world_node(w, y), 0, 0, err));
	udp_send(from, to, "blocked");
	udp_expect_nothing(to_fd);
	ok(lab_unblock(w->lab, world_node(w, x), world_node(w, y), 0, 0, err));
	udp_seen(from, to_fd, to);
}

LAB_TEST(block_from_a_host_to_a_server)
{
	struct pair p = open_pair(w, "easy");
	struct err err;

	check_block(w, A, S, p.a, p.s, at(world_ip(w, S), 3478));
	ck_assert_int_eq(lab_unblock(w->lab, world_node(w, A),
				     world_node(w, S), 0, 0, &err), -ENOENT);
}

LAB_TEST(block_from_a_server_to_a_host)
{
	struct pair p = open_pair(w, "easy");

	check_block(w, S, A, p.s, p.a, p.seen);
}

LAB_TEST(block_between_servers)
{
	struct pair p = open_pair(w, "easy");
	int t = udp_open(w, T, 3478);

	check_block(w, S, T, p.s, t, at(world_ip(w, T), 3478));
}

LAB_TEST(block_of_one_host_spares_its_neighbour)
{
	struct endpoint a_seen, b_seen;
	int a, b, s;

	world_plan(w, "easy");
	world_add_b(w);
	world_up(w);
	a = udp_open(w, A, 5000);
	b = udp_open(w, B, 6000);
	s = udp_open(w, S, 3478);
	a_seen = udp_seen(a, s, at(world_ip(w, S), 3478));
	b_seen = udp_seen(b, s, at(world_ip(w, S), 3478));
	ok(lab_block(w->lab, world_node(w, S), world_node(w, A), 0, 0, err));
	check_let_in(a, s, a_seen, false);
	check_let_in(b, s, b_seen, true);
	ok(lab_block(w->lab, world_node(w, A), world_node(w, B), 0, 0, err));
	check_let_in(b, a, at(world_ip(w, B), 6000), false);
	check_let_in(a, b, at(world_ip(w, A), 5000), true);
}

LAB_TEST(block_of_a_port_and_a_protocol)
{
	struct pair p = open_pair(w, "easy");
	int other = udp_open(w, S, 3479);

	ok(lab_block(w->lab, world_node(w, A), world_node(w, S), IPPROTO_UDP,
		     3478, err));
	udp_send(p.a, at(world_ip(w, S), 3478), "blocked");
	udp_expect_nothing(p.s);
	udp_seen(p.a, other, at(world_ip(w, S), 3479));
	ok(lab_block(w->lab, world_node(w, A), world_node(w, S), IPPROTO_TCP,
		     0, err));
	ck_assert(!tcp_connects(w, A, S, SHORT_MS));
	ck_assert(tcp_connects(w, A, T, LONG_MS));
	udp_seen(p.a, other, at(world_ip(w, S), 3479));
	ok(lab_block(w->lab, world_node(w, A), world_node(w, S), 0, 3479, err));
	udp_send(p.a, at(world_ip(w, S), 3479), "blocked");
	udp_expect_nothing(other);
}

TCase *router_tests(void)
{
	TCase *routers = tcase_create("routers");

	tcase_set_timeout(routers, 60);
	tcase_add_test(routers, flush_forgets_flows_but_not_mappings);
	tcase_add_test(routers, flush_closes_an_easy_nat);
	tcase_add_test(routers, renumber_gives_an_unused_address);
	tcase_add_test(routers, link_of_a_host_goes_and_comes);
	tcase_add_test(routers, link_of_a_router_goes_and_comes);
	tcase_add_test(routers, link_of_a_server_goes_and_comes);
	tcase_add_test(routers, set_changes_behaviour_and_keeps_flows);
	tcase_add_test(routers, set_to_none_and_back);
	tcase_add_test(routers, block_from_a_host_to_a_server);
	tcase_add_test(routers, block_from_a_server_to_a_host);
	tcase_add_test(routers, block_between_servers);
	tcase_add_test(routers, block_of_one_host_spares_its_neighbour);
	tcase_add_test(routers, block_of_a_port_and_a_protocol);
	return routers;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each knob of a NAT, measured by packets; over netfilter and over an engine
 * where both can do it.
 */
#include "tests/check_lab_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND_US 1000000ULL

static struct nat eim(enum nat_filtering filtering)
{
	struct nat nat = nat_preset_find("easy")->nat;

	nat.filtering = filtering;
	return nat;
}

/* a and b behind home, which does NAT. */
static void up(struct world *w, const struct nat *nat, bool force_engine)
{
	world_plan(w, "easy");
	world_add_b(w);
	w->nodes[HOME].nat = *nat;
	w->nodes[HOME].force_engine = force_engine;
	world_up(w);
}

static struct endpoint seen_by(struct world *w, int fd, unsigned server,
			       int server_fd)
{
	return udp_seen(fd, server_fd, at(world_ip(w, server), 3478));
}

/* --- ports ---------------------------------------------------------------- */

LAB_TEST(preserve_only_refuses_what_is_taken)
{
	struct nat nat = eim(NAT_EIF);
	int a, b, s;

	nat.ports = NAT_PORTS_PRESERVE_ONLY;
	up(w, &nat, false);
	a = udp_open(w, A, 5000);
	b = udp_open(w, B, 5000);
	s = udp_open(w, S, 3478);
	ck_assert_uint_eq(seen_by(w, a, S, s).port, 5000);
	udp_send(b, at(world_ip(w, S), 3478), "taken");
	udp_expect_nothing(s);
	world_skip(w, 31 * SECOND_US);
	ck_assert_uint_eq(seen_by(w, b, S, s).port, 5000);
}

LAB_TEST(blocks_are_a_hosts_own_and_have_an_end)
{
	struct nat nat = eim(NAT_EIF);
	int a[5], b, s;

	nat.ports = NAT_PORTS_BLOCK;
	nat.block_ports = 4;
	up(w, &nat, false);
	s = udp_open(w, S, 3478);
	for (unsigned i = 0; i < 4; i++) {
		a[i] = udp_open(w, A, (uint16_t)(5000 + i));
		ck_assert_uint_eq(seen_by(w, a[i], S, s).port, 1024 + i);
	}
	b = udp_open(w, B, 5000);
	ck_assert_uint_eq(seen_by(w, b, S, s).port, 1028);
	a[4] = udp_open(w, A, 6000);
	udp_send(a[4], at(world_ip(w, S), 3478), "one too many");
	udp_expect_nothing(s);
	ck_assert_uint_eq(seen_by(w, b, S, s).port, 1028);
}

/* --- pools ---------------------------------------------------------------- */

static unsigned index_in_pool(struct world *w, uint32_t ip)
{
	uint32_t ips[NAT_MAX_POOL];
	unsigned count = lab_wan_ips(world_node(w, HOME), ips);

	for (unsigned i = 0; i < count; i++)
		if (ips[i] == ip)
			return i;
	ck_abort_msg("0x%x is not in the pool", ip);
}

LAB_TEST(a_paired_pool_gives_each_host_one)
{
	struct nat nat = eim(NAT_EIF);
	struct endpoint a_seen, b_seen, again;
	int a, b, s, t;

	nat.pool = 3;
	up(w, &nat, false);
	a = udp_open(w, A, 5000);
	b = udp_open(w, B, 5000);
	s = udp_open(w, S, 3478);
	t = udp_open(w, T, 3478);
	a_seen = seen_by(w, a, S, s);
	b_seen = seen_by(w, b, S, s);
	ck_assert_uint_ne(index_in_pool(w, a_seen.ip),
			  index_in_pool(w, b_seen.ip));
	/* One port of two hosts: each has it at its own address. */
	ck_assert_uint_eq(a_seen.port, 5000);
	ck_assert_uint_eq(b_seen.port, 5000);
	again = seen_by(w, a, T, t);
	ck_assert(endpoint_equal(again, a_seen));
	for (uint16_t port = 7000; port < 7010; port++) {
		int other = udp_open(w, A, port);

		ck_assert_uint_eq(seen_by(w, other, S, s).ip, a_seen.ip);
		close(other);
	}
	check_let_in(a, t, a_seen, true);
	check_let_in(b, t, b_seen, true);
}

LAB_TEST(an_arbitrary_pool_gives_any)
{
	struct nat nat = eim(NAT_EIF);
	unsigned used = 0;
	int s, t;

	nat.pool = 4;
	nat.pooling = NAT_POOLING_ARBITRARY;
	up(w, &nat, false);
	s = udp_open(w, S, 3478);
	t = udp_open(w, T, 3478);
	for (uint16_t port = 7000; port < 7032; port++) {
		int a = udp_open(w, A, port);
		struct endpoint seen = seen_by(w, a, S, s);

		used |= 1u << index_in_pool(w, seen.ip);
		/* Whichever it is, it is there, and EIM's one. */
		check_let_in(a, t, seen, true);
		ck_assert(endpoint_equal(seen_by(w, a, T, t), seen));
		close(a);
	}
	ck_assert_uint_eq(used, 15);
}

static bool has_address(struct world *w, unsigned index, uint32_t ip)
{
	struct sockaddr_in here = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(ip)};
	bool has;
	int fd;

	ok(lab_enter(w->lab, world_node(w, index), err));
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	has = bind(fd, (struct sockaddr *)&here, sizeof(here)) == 0;
	close(fd);
	lab_leave(w->lab);
	return has;
}

LAB_TEST(a_pool_is_renumbered_as_a_whole)
{
	struct nat nat = eim(NAT_EIF);
	uint32_t old[NAT_MAX_POOL], ips[NAT_MAX_POOL];
	struct endpoint seen[2];
	int fds[2], s;

	nat.pool = 2;
	up(w, &nat, false);
	lab_wan_ips(world_node(w, HOME), old);
	ck_assert_uint_eq(old[1], old[0] + 1);
	ck_assert_uint_ne(old[1], world_ip(w, CAFE));
	s = udp_open(w, S, 3478);
	fds[0] = udp_open(w, A, 5000);
	fds[1] = udp_open(w, B, 5000);
	for (unsigned i = 0; i < 2; i++)
		seen[i] = seen_by(w, fds[i], S, s);
	ok(lab_renumber(w->lab, world_node(w, HOME), err));
	ck_assert_uint_eq(lab_wan_ips(world_node(w, HOME), ips), 2);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert(ips[i] != old[0] && ips[i] != old[1] &&
			  ips[i] != world_ip(w, CAFE));
		ck_assert(has_address(w, HOME, ips[i]));
		ck_assert(!has_address(w, HOME, old[i]));
		check_let_in(fds[i], s, seen[i], false);
		seen[i] = seen_by(w, fds[i], S, s);
		ck_assert_uint_eq(index_in_pool(w, seen[i].ip), i);
		check_let_in(fds[i], s, seen[i], true);
	}
}

/* Each of them is the router's own: a closed port of its says so. */
LAB_TEST(a_pools_addresses_take_strays)
{
	uint32_t ips[NAT_MAX_POOL];
	struct nat nat = eim(NAT_EIF);
	int s;

	nat.pool = 3;
	nat.wan_input = NAT_WAN_ACCEPT;
	up(w, &nat, false);
	s = udp_open(w, S, 3478);
	setsockopt(s, IPPROTO_IP, IP_RECVERR, &(int){1}, sizeof(int));
	ck_assert_uint_eq(lab_wan_ips(world_node(w, HOME), ips), 3);
	for (unsigned i = 0; i < 3; i++) {
		udp_send(s, at(ips[i], 5000), "stray");
		ck_assert(udp_wait(s, NULL, 0) < 0);
		ck_assert_int_eq(errno, ECONNREFUSED);
	}
}

/* What comes from or goes to any address of a pool is blocked. */
LAB_TEST(blocks_know_a_pool)
{
	struct nat nat = eim(NAT_EIF);
	struct endpoint seen;
	int a, s;

	nat.pool = 4;
	nat.pooling = NAT_POOLING_ARBITRARY;
	world_plan(w, "easy");
	w->nodes[HOME].nat = nat;
	world_up(w);
	s = udp_open(w, S, 3478);
	ok(lab_block(w->lab, world_node(w, S), world_node(w, A), 0, 0, err));
	for (uint16_t port = 7000; port < 7008; port++) {
		a = udp_open(w, A, port);
		seen = seen_by(w, a, S, s);
		check_let_in(a, s, seen, false);
		close(a);
	}
	ok(lab_unblock(w->lab, world_node(w, S), world_node(w, A), 0, 0, err));
	a = udp_open(w, A, 7000);
	check_let_in(a, s, seen_by(w, a, S, s), true);
}

/* --- hairpin -------------------------------------------------------------- */

static void check_hairpin(enum nat_hairpin hairpin, bool force_engine)
{
	struct nat nat = eim(NAT_APDF);
	struct endpoint a_seen, b_seen, from;
	struct world w = {.lab = NULL};
	int a, b, s;

	nat.hairpin = hairpin;
	up(&w, &nat, force_engine);
	a = udp_open(&w, A, 5000);
	b = udp_open(&w, B, 6000);
	s = udp_open(&w, S, 3478);
	a_seen = seen_by(&w, a, S, s);
	b_seen = seen_by(&w, b, S, s);
	udp_send(a, b_seen, "hairpin");
	if (hairpin == NAT_HAIRPIN_NONE) {
		udp_expect_nothing(b);
	} else {
		from = udp_expect(b, "hairpin");
		ck_assert(endpoint_equal(from,
					 hairpin == NAT_HAIRPIN_EXTERNAL
						 ? a_seen
						 : at(world_ip(&w, A), 5000)));
		udp_send(b, from, "answer");
		from = udp_expect(a, "answer");
		/* The answer to an inside source takes no router. */
		ck_assert(endpoint_equal(from,
					 hairpin == NAT_HAIRPIN_EXTERNAL
						 ? b_seen
						 : at(world_ip(&w, B), 6000)));
	}
	world_down(&w);
}

static int hairpin_inside(void *arg)
{
	(void)arg;
	for (unsigned engine = 0; engine < 2; engine++)
		for (unsigned i = NAT_HAIRPIN_NONE; i <= NAT_HAIRPIN_INTERNAL;
		     i++)
			check_hairpin((enum nat_hairpin)i, engine);
	return 0;
}

START_TEST(hairpin_has_three_ways)
{
	in_sandbox(hairpin_inside);
}
END_TEST

/* --- refresh, lifetime ---------------------------------------------------- */

/* Every 20 s for 100 s, from outside or from inside: is it still there? */
static bool lasts(const struct nat *nat, bool force_engine, bool inbound)
{
	struct world w = {.lab = NULL};
	struct endpoint seen;
	char got[16];
	bool let_in = true;
	int a, s;

	up(&w, nat, force_engine);
	a = udp_open(&w, A, 5000);
	s = udp_open(&w, S, 3478);
	seen = seen_by(&w, a, S, s);
	for (unsigned i = 0; i < 5 && let_in; i++) {
		world_skip(&w, 20 * SECOND_US);
		if (!inbound)
			seen_by(&w, a, S, s);
		udp_send(s, seen, "still?");
		let_in = udp_wait(a, got, sizeof(got)) > 0;
	}
	world_down(&w);
	return let_in;
}

static int refresh_inside(void *arg)
{
	struct nat nat = eim(NAT_APDF);

	(void)arg;
	for (unsigned engine = 0; engine < 2; engine++)
		for (unsigned inbound = 0; inbound < 2; inbound++)
			ck_assert(lasts(&nat, engine, inbound));
	nat.refresh = NAT_REFRESH_OUTBOUND;
	ck_assert(lasts(&nat, false, false));
	ck_assert(!lasts(&nat, false, true));
	return 0;
}

START_TEST(refresh_is_by_either_or_by_the_inside)
{
	in_sandbox(refresh_inside);
}
END_TEST

/* Steady traffic both ways, and at 30 s the mapping is another. */
LAB_TEST(an_absolute_lifetime_is_kept_by_nothing)
{
	struct nat nat = eim(NAT_EIF);
	struct endpoint seen;
	int a, s, t;

	nat.lifetime = NAT_LIFETIME_ABSOLUTE;
	nat.ports = NAT_PORTS_SEQUENTIAL;
	up(w, &nat, false);
	a = udp_open(w, A, 5000);
	s = udp_open(w, S, 3478);
	t = udp_open(w, T, 3478);
	seen = seen_by(w, a, S, s);
	for (unsigned i = 0; i < 29; i++) {
		world_skip(w, SECOND_US);
		ck_assert(endpoint_equal(seen_by(w, a, S, s), seen));
		check_let_in(a, t, seen, true);
	}
	world_skip(w, SECOND_US);
	check_let_in(a, t, seen, false);
	ck_assert(!endpoint_equal(seen_by(w, a, S, s), seen));
}

TCase *knob_tests(void)
{
	TCase *knobs = tcase_create("knobs");

	tcase_set_timeout(knobs, 60);
	tcase_add_test(knobs, preserve_only_refuses_what_is_taken);
	tcase_add_test(knobs, blocks_are_a_hosts_own_and_have_an_end);
	tcase_add_test(knobs, a_paired_pool_gives_each_host_one);
	tcase_add_test(knobs, an_arbitrary_pool_gives_any);
	tcase_add_test(knobs, a_pool_is_renumbered_as_a_whole);
	tcase_add_test(knobs, a_pools_addresses_take_strays);
	tcase_add_test(knobs, blocks_know_a_pool);
	tcase_add_test(knobs, hairpin_has_three_ways);
	tcase_add_test(knobs, refresh_is_by_either_or_by_the_inside);
	tcase_add_test(knobs, an_absolute_lifetime_is_kept_by_nothing);
	return knobs;
}

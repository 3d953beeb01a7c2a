/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routers whose NAT is our own engine: real packets through namespaces, held
 * against what RFC 4787 says and against netfilter where that can do it too.
 */
#include "tests/check_lab_world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND_US 1000000ULL

/* --- mapping, filtering and ports, measured ------------------------------- */

struct measured {
	uint16_t s, s_other, t; /* a's outside port for each */
	bool in_address, in_any;
};

struct sockets {
	int a, s, s_other, t;
};

static struct sockets open_all(struct world *w)
{
	return (struct sockets){udp_open(w, A, 5000), udp_open(w, S, 3478),
				udp_open(w, S, 3479), udp_open(w, T, 3478)};
}

static void close_all(const struct sockets *f)
{
	close(f->a);
	close(f->s);
	close(f->s_other);
	close(f->t);
}

/* Who gets in by the mapping of the flow from A to s? */
static void measure_filter(struct world *w, int a, const struct sockets *f,
			   struct measured *m)
{
	struct endpoint seen = udp_seen(a, f->s, at(world_ip(w, S), 3478));
	char got[16];

	udp_send(f->t, seen, "any");
	udp_send(f->s_other, seen, "address");
	udp_send(f->s, seen, "own");
	do {
		ck_assert_int_gt(udp_wait(a, got, sizeof(got)), 0);
		m->in_any |= strcmp(got, "any") == 0;
		m->in_address |= strcmp(got, "address") == 0;
	} while (strcmp(got, "own") != 0);
}

/* Whom a stranger has reached answers through the same mapping: two ports. */
static struct measured measure(struct world *w)
{
	struct sockets f = open_all(w);
	struct measured m = {.in_any = false};
	int other = udp_open(w, A, 6000);
	struct endpoint seen;

	seen = udp_seen(f.a, f.s, at(world_ip(w, S), 3478));
	ck_assert_uint_eq(seen.ip, world_ip(w, HOME));
	m.s = seen.port;
	m.s_other = udp_seen(f.a, f.s_other, at(world_ip(w, S), 3479)).port;
	m.t = udp_seen(f.a, f.t, at(world_ip(w, T), 3478)).port;
	/* Each as before: a mapping is kept. */
	ck_assert_uint_eq(udp_seen(f.a, f.s, at(world_ip(w, S), 3478)).port,
			  m.s);
	measure_filter(w, other, &f, &m);
	close(other);
	close_all(&f);
	return m;
}

static unsigned block_of(uint16_t port)
{
	return (port - NAT_PORT_LOW) / NAT_BLOCK_PORTS;
}

static void check_ports(const struct nat *nat, const struct measured *m)
{
	uint16_t next = m->s == 65535 ? 1024 : m->s + 1;

	switch (nat->ports) {
	case NAT_PORTS_PRESERVE:
		ck_assert_uint_eq(m->s, 5000);
		break;
	case NAT_PORTS_RANDOM:
		ck_assert_uint_ge(m->s, 1024);
		ck_assert_uint_ne(m->s, 5000);
		break;
	case NAT_PORTS_SEQUENTIAL:
		ck_assert_uint_eq(nat->mapping == NAT_APDM ? m->s_other : m->t,
				  nat->mapping == NAT_EIM ? m->s : next);
		break;
	case NAT_PORTS_BLOCK:
		ck_assert_uint_eq(block_of(m->s), 0);
		ck_assert_uint_eq(block_of(m->s_other), 0);
		ck_assert_uint_eq(block_of(m->t), 0);
		break;
	case NAT_PORTS_PRESERVE_ONLY:
		ck_abort_msg("not measured here");
	}
}

static void check_measured(const struct nat *nat, const struct measured *m)
{
	ck_assert_int_eq(m->s == m->s_other, nat->mapping != NAT_APDM);
	ck_assert_int_eq(m->s == m->t, nat->mapping == NAT_EIM);
	ck_assert_int_eq(m->in_any, nat->filtering == NAT_EIF);
	ck_assert_int_eq(m->in_address, nat->filtering != NAT_APDF);
	check_ports(nat, m);
}

static struct nat nat_of(unsigned mapping, unsigned filtering, unsigned ports)
{
	struct nat nat = nat_preset_find("easy")->nat;

	nat.mapping = (enum nat_mapping)mapping;
	nat.filtering = (enum nat_filtering)filtering;
	nat.ports = (enum nat_ports)ports;
	return nat;
}

static struct measured measure_nat(const struct nat *nat, bool force_engine)
{
	struct world w = {.lab = NULL};
	struct measured m;

	world_plan(&w, "easy");
	w.nodes[HOME].nat = *nat;
	w.nodes[HOME].force_engine = force_engine;
	world_up(&w);
	m = measure(&w);
	world_down(&w);
	return m;
}

/* Where netfilter can, both must show the same. */
static int combinations_inside(void *arg)
{
	unsigned by_netfilter = 0;

	(void)arg;
	for (unsigned i = 0; i < 36; i++) {
		struct nat nat = nat_of(NAT_EIM + i / 12, NAT_EIF + i / 4 % 3,
					i % 4);
		struct measured engine = measure_nat(&nat, true), kernel;

		check_measured(&nat, &engine);
		if (nat_by(&nat) != NAT_BY_NETFILTER)
			continue;
		by_netfilter++;
		kernel = measure_nat(&nat, false);
		check_measured(&nat, &kernel);
	}
	ck_assert_uint_eq(by_netfilter, 4);
	return 0;
}

START_TEST(all_combinations_are_had)
{
	in_sandbox(combinations_inside);
}
END_TEST

/* --- the rest of a router ------------------------------------------------- */

static void plan_engine(struct world *w, const struct nat *nat)
{
	world_plan(w, "easy");
	w->nodes[HOME].nat = *nat;
	w->nodes[HOME].force_engine = true;
}

struct pair {
	int a, s;
	struct endpoint server, seen;
};

static struct pair open_pair(struct world *w)
{
	struct pair p = {.a = udp_open(w, A, 5000), .s = udp_open(w, S, 3478)};

	p.server = at(world_ip(w, S), 3478);
	p.seen = udp_seen(p.a, p.s, p.server);
	return p;
}

/* Does the flow to S, answered or not, let S in after US? */
static void check_life(enum nat_filtering filtering, bool force_engine,
		       bool answered, uint64_t us, bool expected)
{
	struct nat nat = nat_of(NAT_EIM, filtering, NAT_PORTS_PRESERVE);
	struct world w = {.lab = NULL};
	struct pair p;

	plan_engine(&w, &nat);
	w.nodes[HOME].force_engine = force_engine;
	world_up(&w);
	p = open_pair(&w);
	if (answered) {
		check_let_in(p.a, p.s, p.seen, true);
		world_skip(&w, 3 * SECOND_US);
		udp_seen(p.a, p.s, p.server);
		check_let_in(p.a, p.s, p.seen, true);
	}
	world_skip(&w, us);
	check_let_in(p.a, p.s, p.seen, expected);
	close(p.a);
	close(p.s);
	world_down(&w);
}

static int timeouts_inside(void *arg)
{
	(void)arg;
	for (unsigned engine = 0; engine < 2; engine++)
		for (unsigned f = NAT_EIF; f <= NAT_APDF; f++) {
			check_life(f, engine, false, 25 * SECOND_US, true);
			check_life(f, engine, false, 31 * SECOND_US, false);
			check_life(f, engine, true, 110 * SECOND_US, true);
			check_life(f, engine, true, 121 * SECOND_US, false);
		}
	return 0;
}

START_TEST(timeouts_are_in_lab_time)
{
	in_sandbox(timeouts_inside);
}
END_TEST

static int tcp_inside(void *arg)
{
	(void)arg;
	for (unsigned mapping = NAT_EIM; mapping <= NAT_APDM; mapping++) {
		struct nat nat = nat_of(mapping, NAT_APDF,
					NAT_PORTS_SEQUENTIAL);
		struct world w = {.lab = NULL};

		plan_engine(&w, &nat);
		world_up(&w);
		ck_assert(tcp_connects(&w, A, S, LONG_MS));
		world_down(&w);
	}
	return 0;
}

START_TEST(tcp_passes_an_engine)
{
	in_sandbox(tcp_inside);
}
END_TEST

LAB_TEST(big_datagrams_pass_in_fragments)
{
	struct nat nat = nat_of(NAT_ADM, NAT_ADF, NAT_PORTS_RANDOM);
	static char big[4001];
	struct pair p;
	char *got;

	plan_engine(w, &nat);
	world_up(w);
	p = open_pair(w);
	memset(big, 'x', sizeof(big) - 1);
	udp_send(p.a, p.server, big);
	got = calloc(1, sizeof(big));
	ck_assert_int_eq(udp_wait(p.s, got, sizeof(big)), sizeof(big) - 1);
	ck_assert_str_eq(got, big);
	udp_send(p.s, p.seen, big);
	memset(got, 0, sizeof(big));
	ck_assert_int_eq(udp_wait(p.a, got, sizeof(big)), sizeof(big) - 1);
	ck_assert_str_eq(got, big);
	free(got);
}

LAB_TEST(an_engine_is_rebooted_flushed_renumbered)
{
	struct nat nat = nat_of(NAT_ADM, NAT_EIF, NAT_PORTS_PRESERVE);
	struct lab_node *home;
	struct pair p;

	plan_engine(w, &nat);
	world_up(w);
	home = world_node(w, HOME);
	p = open_pair(w);
	check_let_in(p.a, p.s, p.seen, true);
	ok(lab_flush(w->lab, home, err));
	check_let_in(p.a, p.s, p.seen, false);
	p.seen = udp_seen(p.a, p.s, p.server);
	ok(lab_reboot(w->lab, home, err));
	check_let_in(p.a, p.s, p.seen, false);
	p.seen = udp_seen(p.a, p.s, p.server);
	ok(lab_renumber(w->lab, home, err));
	check_let_in(p.a, p.s, p.seen, false);
	p.seen = udp_seen(p.a, p.s, p.server);
	ck_assert_uint_eq(p.seen.ip, world_ip(w, HOME));
	check_let_in(p.a, p.s, p.seen, true);
}

/* From netfilter to an engine, to another, and back. */
LAB_TEST(set_brings_an_engine_and_takes_it)
{
	struct nat easy = nat_preset_find("easy")->nat;
	struct nat adm = nat_of(NAT_ADM, NAT_ADF, NAT_PORTS_RANDOM);
	struct nat sequential = nat_of(NAT_EIM, NAT_EIF, NAT_PORTS_SEQUENTIAL);
	struct lab_node *home;
	struct pair p;
	int t;

	world_plan(w, "easy");
	world_up(w);
	home = world_node(w, HOME);
	t = udp_open(w, T, 3478);
	p = open_pair(w);
	ok(lab_block(w->lab, world_node(w, A), world_node(w, T), 0, 0, err));
	ok(lab_set(w->lab, home, &adm, 0, err));
	p.seen = udp_seen(p.a, p.s, p.server);
	ck_assert_uint_ne(p.seen.port, 5000);
	udp_send(p.a, at(world_ip(w, T), 3478), "blocked");
	udp_expect_nothing(t);
	ok(lab_unblock(w->lab, world_node(w, A), world_node(w, T), 0, 0, err));
	check_let_in(p.a, t, p.seen, false);
	ok(lab_set(w->lab, home, &adm, 0, err));
	check_let_in(p.a, p.s, p.seen, true);
	ok(lab_set(w->lab, home, &sequential, 0, err));
	check_let_in(p.a, p.s, p.seen, false);
	p.seen = udp_seen(p.a, p.s, p.server);
	check_let_in(p.a, t, p.seen, true);
	adm.pool = 2;
	ck_assert_int_eq(lab_set(w->lab, home, &adm, 0, NULL), -EINVAL);
	ok(lab_set(w->lab, home, &easy, 0, err));
	check_let_in(p.a, p.s, p.seen, false);
	p.seen = udp_seen(p.a, p.s, p.server);
	ck_assert_uint_eq(p.seen.port, 5000);
	check_let_in(p.a, t, p.seen, false);
}

static void check_link(struct world *w, unsigned index)
{
	struct nat nat = nat_of(NAT_ADM, NAT_APDF, NAT_PORTS_RANDOM);
	struct pair p;

	plan_engine(w, &nat);
	world_up(w);
	p = open_pair(w);
	ok(lab_link(w->lab, world_node(w, index), false, err));
	check_let_in(p.a, p.s, p.seen, false);
	ok(lab_link(w->lab, world_node(w, index), true, err));
	p.seen = udp_seen(p.a, p.s, p.server);
	check_let_in(p.a, p.s, p.seen, true);
}

LAB_TEST(an_engines_lan_goes_and_comes)
{
	check_link(w, A);
}

LAB_TEST(an_engines_wan_goes_and_comes)
{
	check_link(w, HOME);
}

/* Both ways, by protocol and port, and of one of two hosts. */
LAB_TEST(an_engine_heeds_blocks)
{
	struct nat nat = nat_of(NAT_APDM, NAT_EIF, NAT_PORTS_PRESERVE);
	struct endpoint b_seen;
	struct pair p;
	int b, other;

	plan_engine(w, &nat);
	world_add_b(w);
	world_up(w);
	p = open_pair(w);
	b = udp_open(w, B, 6000);
	other = udp_open(w, S, 3479);
	b_seen = udp_seen(b, p.s, p.server);
	ok(lab_block(w->lab, world_node(w, S), world_node(w, A), 0, 0, err));
	check_let_in(p.a, p.s, p.seen, false);
	check_let_in(b, p.s, b_seen, true);
	ok(lab_block(w->lab, world_node(w, A), world_node(w, S), IPPROTO_UDP,
		     3478, err));
	udp_send(p.a, p.server, "blocked");
	udp_expect_nothing(p.s);
	udp_seen(p.a, other, at(world_ip(w, S), 3479));
	udp_seen(b, p.s, p.server);
	ok(lab_block(w->lab, world_node(w, A), world_node(w, S), IPPROTO_TCP,
		     0, err));
	ck_assert(!tcp_connects(w, A, S, SHORT_MS));
	ck_assert(tcp_connects(w, B, S, LONG_MS));
	ok(lab_unblock(w->lab, world_node(w, S), world_node(w, A), 0, 0, err));
	check_let_in(p.a, p.s, p.seen, true);
}

LAB_TEST(two_hosts_hairpin_through_an_engine)
{
	struct nat nat = nat_of(NAT_APDM, NAT_EIF, NAT_PORTS_RANDOM);
	struct endpoint b_seen, from;
	struct pair p;
	int b;

	nat.hairpin = true;
	plan_engine(w, &nat);
	world_add_b(w);
	world_up(w);
	p = open_pair(w);
	b = udp_open(w, B, 5000);
	b_seen = udp_seen(b, p.s, p.server);
	ck_assert_uint_ne(b_seen.port, p.seen.port);
	udp_send(p.a, b_seen, "round the pin");
	from = udp_expect(b, "round the pin");
	ck_assert_uint_eq(from.ip, world_ip(w, HOME));
	udp_send(b, from, "and back");
	udp_expect(p.a, "and back");
	/* Neighbours need no router. */
	udp_send(p.a, at(world_ip(w, B), 5000), "hello");
	ck_assert_uint_eq(udp_expect(b, "hello").ip, world_ip(w, A));
}

/* Both of the two are engines: c is behind cafe, which is behind home. */
LAB_TEST(engine_behind_engine)
{
	struct nat nat = nat_of(NAT_ADM, NAT_ADF, NAT_PORTS_SEQUENTIAL);
	struct endpoint seen;
	int c, s;

	plan_engine(w, &nat);
	w->nodes[CAFE].router = HOME;
	w->nodes[CAFE].nat = nat;
	world_up(w);
	c = udp_open(w, C, 5000);
	s = udp_open(w, S, 3478);
	seen = udp_seen(c, s, at(world_ip(w, S), 3478));
	ck_assert_uint_eq(seen.ip, world_ip(w, HOME));
	udp_send(s, seen, "back");
	udp_expect(c, "back");
	ck_assert(tcp_connects(w, C, S, LONG_MS));
}

/* Whether a stranger's datagram is refused with an ICMP error. */
static bool is_refused(enum nat_wan_input wan_input, bool force_engine)
{
	struct nat nat = nat_of(NAT_EIM, NAT_APDF, NAT_PORTS_PRESERVE);
	struct world w = {.lab = NULL};
	bool refused;
	int s;

	nat.wan_input = wan_input;
	plan_engine(&w, &nat);
	w.nodes[HOME].force_engine = force_engine;
	world_up(&w);
	s = udp_open(&w, S, 3478);
	setsockopt(s, IPPROTO_IP, IP_RECVERR, &(int){1}, sizeof(int));
	udp_send(s, at(world_ip(&w, HOME), 5000), "stray");
	refused = udp_wait(s, NULL, 0) < 0 && errno == ECONNREFUSED;
	close(s);
	world_down(&w);
	return refused;
}

static int strays_inside(void *arg)
{
	(void)arg;
	for (unsigned engine = 0; engine < 2; engine++) {
		ck_assert(!is_refused(NAT_WAN_DROP, engine));
		ck_assert(is_refused(NAT_WAN_REJECT, engine));
		ck_assert(is_refused(NAT_WAN_ACCEPT, engine));
	}
	return 0;
}

START_TEST(strays_are_dropped_rejected_accepted)
{
	in_sandbox(strays_inside);
}
END_TEST

LAB_TEST(udp_can_be_blocked_by_an_engine)
{
	struct nat nat = nat_of(NAT_ADM, NAT_APDF, NAT_PORTS_PRESERVE);
	int a, s;

	nat.udp_blocked = true;
	plan_engine(w, &nat);
	world_up(w);
	a = udp_open(w, A, 5000);
	s = udp_open(w, S, 3478);
	udp_send(a, at(world_ip(w, S), 3478), "hello");
	udp_expect_nothing(s);
	ck_assert(tcp_connects(w, A, S, LONG_MS));
}

TCase *engine_tests(void)
{
	TCase *engines = tcase_create("engines");

	tcase_set_timeout(engines, 60);
	tcase_add_test(engines, all_combinations_are_had);
	tcase_add_test(engines, timeouts_are_in_lab_time);
	tcase_add_test(engines, tcp_passes_an_engine);
	tcase_add_test(engines, big_datagrams_pass_in_fragments);
	tcase_add_test(engines, an_engine_is_rebooted_flushed_renumbered);
	tcase_add_test(engines, set_brings_an_engine_and_takes_it);
	tcase_add_test(engines, an_engines_lan_goes_and_comes);
	tcase_add_test(engines, an_engines_wan_goes_and_comes);
	tcase_add_test(engines, an_engine_heeds_blocks);
	tcase_add_test(engines, two_hosts_hairpin_through_an_engine);
	tcase_add_test(engines, engine_behind_engine);
	tcase_add_test(engines, strays_are_dropped_rejected_accepted);
	tcase_add_test(engines, udp_can_be_blocked_by_an_engine);
	return engines;
}

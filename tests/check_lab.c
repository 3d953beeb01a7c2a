/* SPDX-License-Identifier: BSD-3-Clause */
/* What the lab's kernel does to real packets. See check_lab_world.h. */
#include "tests/check_lab_world.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static ino_t own_namespace(void)
{
	struct stat at_ns;

	ck_assert_int_eq(stat("/proc/thread-self/ns/net", &at_ns), 0);
	return at_ns.st_ino;
}

LAB_TEST(addresses_are_those_of_the_plan)
{
	ino_t before = own_namespace();

	world_plan(w, "easy");
	world_up(w);
	ck_assert_uint_eq(own_namespace(), before);
	ck_assert_uint_eq(world_ip(w, HOME), 0x19000001);
	ck_assert_uint_eq(world_ip(w, CAFE), 0x19000002);
	ck_assert_uint_eq(world_ip(w, S), 0x19ff0001);
	ck_assert_uint_eq(world_ip(w, A), 0xc0a80102);
	ck_assert_uint_eq(world_ip(w, C), 0xc0a80202);
	ck_assert_uint_eq(world_node(w, A)->gateway_ip, 0xc0a80101);
	ck_assert_uint_eq(lab_public_ip(w->lab, world_node(w, A)), 0x19000001);
	ck_assert_str_eq(world_node(w, HOME)->ifaces[1].name, "lan");
}

/* The kernel has the addresses, MACs and states that the lab says. */
static void look_at_iface(struct world *w, const struct lab_node *node,
			  const struct lab_iface *iface)
{
	struct ifreq r = {.ifr_name = ""};
	struct sockaddr_in ip;
	int fd;

	ok(lab_enter(w->lab, node, err));
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	lab_leave(w->lab);
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", iface->name);
	ck_assert_int_eq(ioctl(fd, SIOCGIFADDR, &r), 0);
	memcpy(&ip, &r.ifr_addr, sizeof(ip));
	ck_assert_uint_eq(ntohl(ip.sin_addr.s_addr), iface->ip);
	ck_assert_int_eq(ioctl(fd, SIOCGIFHWADDR, &r), 0);
	ck_assert_mem_eq(r.ifr_hwaddr.sa_data, iface->mac, 6);
	ck_assert_int_eq(ioctl(fd, SIOCGIFFLAGS, &r), 0);
	ck_assert(r.ifr_flags & IFF_UP);
	close(fd);
}

LAB_TEST(kernel_has_what_the_lab_says)
{
	world_plan(w, "easy");
	world_add_b(w);
	world_up(w);
	for (unsigned i = 0; i < w->lab->count; i++)
		for (unsigned j = 0; j < w->lab->nodes[i].iface_count; j++)
			look_at_iface(w, &w->lab->nodes[i],
				      &w->lab->nodes[i].ifaces[j]);
}

static void read_sysctl(struct world *w, unsigned index, const char *name,
			char text[static 32])
{
	char path[128];
	ssize_t bytes;
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	ok(lab_enter(w->lab, world_node(w, index), err));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	bytes = read(fd, text, 31);
	lab_leave(w->lab);
	ck_assert_int_gt(bytes, 0);
	text[bytes - 1] = 0;
	close(fd);
}

LAB_TEST(sysctls_are_set)
{
	char text[32];

	world_plan(w, "easy");
	w->nodes[HOME].nat.udp_timeout_s = 17;
	w->nodes[HOME].nat.udp_stream_timeout_s = 71;
	world_up(w);
	read_sysctl(w, HOME, "netfilter/nf_conntrack_udp_timeout", text);
	ck_assert_str_eq(text, "17");
	read_sysctl(w, HOME, "netfilter/nf_conntrack_udp_timeout_stream", text);
	ck_assert_str_eq(text, "71");
	read_sysctl(w, CAFE, "netfilter/nf_conntrack_udp_timeout", text);
	ck_assert_str_eq(text, "30");
	read_sysctl(w, HOME, "ipv4/ip_forward", text);
	ck_assert_str_eq(text, "1");
	read_sysctl(w, A, "ipv4/ip_forward", text);
	ck_assert_str_eq(text, "0");
	read_sysctl(w, A, "ipv6/conf/eth0/disable_ipv6", text);
	ck_assert_str_eq(text, "1");
}

/* --- presets, measured by packets ----------------------------------------- */

struct behaviour {
	const char *preset;
	bool maps_alike;      /* one outside port for two servers */
	bool keeps_port;
	bool lets_in_any;     /* from an address never sent to */
	bool lets_in_address; /* from another port of one that was */
};

static const struct behaviour behaviours[] = {
	{"none", true, true, true, true},
	{"easy", true, true, false, false},
	{"full-cone", true, true, true, true},
	{"address-restricted", true, true, false, true},
	{"symmetric", false, false, false, false},
};

static void check_behaviour(struct world *w, const struct behaviour *expected)
{
	struct endpoint seen_by_s, seen_by_t;
	int a, s, s_other, t;

	world_plan(w, expected->preset);
	world_up(w);
	a = udp_open(w, A, 5000);
	s = udp_open(w, S, 3478);
	s_other = udp_open(w, S, 3479);
	t = udp_open(w, T, 3478);
	seen_by_s = udp_seen(a, s, at(world_ip(w, S), 3478));
	ck_assert_uint_eq(seen_by_s.ip,
			  lab_public_ip(w->lab, world_node(w, A)));
	ck_assert_int_eq(seen_by_s.port == 5000, expected->keeps_port);
	check_let_in(a, t, seen_by_s, expected->lets_in_any);
	check_let_in(a, s_other, seen_by_s, expected->lets_in_address);
	check_let_in(a, s, seen_by_s, true);
	seen_by_t = udp_seen(a, t, at(world_ip(w, T), 3478));
	ck_assert_int_eq(seen_by_s.port == seen_by_t.port,
			 expected->maps_alike);
	check_let_in(a, t, seen_by_t, true);
	close(a);
	close(s);
	close(s_other);
	close(t);
}

static int behaviour_inside(void *arg)
{
	struct world w = {.lab = NULL};

	(void)arg;
	for (unsigned i = 0; i < sizeof(behaviours) / sizeof(behaviours[0]);
	     i++) {
		memset(&w, 0, sizeof(w));
		check_behaviour(&w, &behaviours[i]);
		world_down(&w);
	}
	return 0;
}

START_TEST(presets_behave_as_named)
{
	in_sandbox(behaviour_inside);
}
END_TEST

static int tcp_inside(void *arg)
{
	const struct nat_preset *preset;

	(void)arg;
	for (preset = nat_presets; preset->name; preset++) {
		struct world w = {.lab = NULL};

		world_plan(&w, preset->name);
		world_up(&w);
		ck_assert_msg(tcp_connects(&w, A, S, LONG_MS), "%s", preset->name);
		world_down(&w);
	}
	return 0;
}

START_TEST(tcp_passes_every_preset)
{
	in_sandbox(tcp_inside);
}
END_TEST

LAB_TEST(udp_blocked_blocks_udp)
{
	int a, s;

	world_plan(w, "udp-blocked");
	world_up(w);
	a = udp_open(w, A, 5000);
	s = udp_open(w, S, 3478);
	udp_send(a, at(world_ip(w, S), 3478), "hello");
	udp_expect_nothing(s);
}

/* FACTS: what comes first from outside may cost the inside host its port. */
static uint16_t port_after_stray(enum nat_wan_input wan_input)
{
	struct pollfd refusal = {.events = POLLERR};
	struct world w = {.lab = NULL};
	struct endpoint seen, home;
	int a, s;

	world_plan(&w, "easy");
	w.nodes[HOME].nat.wan_input = wan_input;
	world_up(&w);
	a = udp_open(&w, A, 5000);
	s = udp_open(&w, S, 3478);
	home = at(world_ip(&w, HOME), 5000);
	setsockopt(s, IPPROTO_IP, IP_RECVERR, &(int){1}, sizeof(int));
	udp_send(s, home, "stray");
	udp_expect_nothing(a);
	/* Who does not drop it says that nobody is there. */
	refusal.fd = s;
	ck_assert_int_eq(poll(&refusal, 1, wan_input == NAT_WAN_DROP
						   ? SHORT_MS : LONG_MS),
			 wan_input != NAT_WAN_DROP);
	getsockopt(s, SOL_SOCKET, SO_ERROR, &(int){0}, &(socklen_t){4});
	seen = udp_seen(a, s, at(world_ip(&w, S), 3478));
	close(a);
	close(s);
	world_down(&w);
	return seen.port;
}

static int wan_input_inside(void *arg)
{
	(void)arg;
	ck_assert_uint_eq(port_after_stray(NAT_WAN_DROP), 5000);
	ck_assert_uint_eq(port_after_stray(NAT_WAN_REJECT), 5000);
	ck_assert_uint_ne(port_after_stray(NAT_WAN_ACCEPT), 5000);
	return 0;
}

START_TEST(accepted_stray_takes_the_port)
{
	in_sandbox(wan_input_inside);
}
END_TEST

/* --- several hosts -------------------------------------------------------- */

LAB_TEST(two_hosts_on_one_port_are_told_apart)
{
	struct endpoint a_seen, b_seen;
	int a, b, s, t;

	world_plan(w, "full-cone");
	world_add_b(w);
	world_up(w);
	a = udp_open(w, A, 5000);
	b = udp_open(w, B, 5000);
	s = udp_open(w, S, 3478);
	t = udp_open(w, T, 3478);
	a_seen = udp_seen(a, s, at(world_ip(w, S), 3478));
	b_seen = udp_seen(b, t, at(world_ip(w, T), 3478));
	ck_assert_uint_eq(a_seen.port, 5000);
	ck_assert_uint_ne(b_seen.port, 5000);
	ck_assert_uint_eq(udp_seen(b, s, at(world_ip(w, S), 3478)).port,
			  b_seen.port);
	udp_send(t, a_seen, "for a");
	udp_expect(a, "for a");
	udp_send(s, b_seen, "for b");
	udp_expect(b, "for b");
	/* Neighbours talk over their LAN, not through the NAT. */
	udp_send(a, at(world_ip(w, B), 5000), "hello");
	ck_assert_uint_eq(udp_expect(b, "hello").ip, world_ip(w, A));
}

static void try_hairpin(struct world *w, bool hairpin)
{
	struct endpoint b_seen, from;
	int a, b, s;

	world_plan(w, "full-cone");
	world_add_b(w);
	w->nodes[HOME].nat.hairpin = hairpin;
	world_up(w);
	a = udp_open(w, A, 5000);
	b = udp_open(w, B, 6000);
	s = udp_open(w, S, 3478);
	b_seen = udp_seen(b, s, at(world_ip(w, S), 3478));
	udp_send(a, b_seen, "round the pin");
	if (!hairpin) {
		udp_expect_nothing(b);
		return;
	}
	from = udp_expect(b, "round the pin");
	ck_assert_uint_eq(from.ip, world_ip(w, HOME));
	ck_assert_uint_eq(from.port, 5000);
	udp_send(b, from, "and back");
	udp_expect(a, "and back");
}

LAB_TEST(hairpin_comes_back_by_the_outside)
{
	try_hairpin(w, true);
}

LAB_TEST(without_hairpin_it_is_dropped)
{
	try_hairpin(w, false);
}

/* c is behind cafe, which is behind home. */
LAB_TEST(double_nat_translates_twice)
{
	struct endpoint seen;
	int c, s;

	world_plan(w, "full-cone");
	w->nodes[CAFE].router = HOME;
	world_up(w);
	c = udp_open(w, C, 5000);
	s = udp_open(w, S, 3478);
	seen = udp_seen(c, s, at(world_ip(w, S), 3478));
	ck_assert_uint_eq(seen.ip, world_ip(w, HOME));
	ck_assert_uint_eq(seen.ip, lab_public_ip(w->lab, world_node(w, C)));
	ck_assert_uint_eq(world_ip(w, CAFE) >> 8, 0xc0a801);
	udp_send(s, seen, "back");
	udp_expect(c, "back");
}

static Suite *lab_suite(void)
{
	Suite *suite = suite_create("lab");
	TCase *packets = tcase_create("packets");

	tcase_set_timeout(packets, 60);
	tcase_add_test(packets, addresses_are_those_of_the_plan);
	tcase_add_test(packets, kernel_has_what_the_lab_says);
	tcase_add_test(packets, sysctls_are_set);
	tcase_add_test(packets, presets_behave_as_named);
	tcase_add_test(packets, tcp_passes_every_preset);
	tcase_add_test(packets, udp_blocked_blocks_udp);
	tcase_add_test(packets, accepted_stray_takes_the_port);
	tcase_add_test(packets, two_hosts_on_one_port_are_told_apart);
	tcase_add_test(packets, hairpin_comes_back_by_the_outside);
	tcase_add_test(packets, without_hairpin_it_is_dropped);
	tcase_add_test(packets, double_nat_translates_twice);
	suite_add_tcase(suite, packets);
	suite_add_tcase(suite, limit_tests());
	suite_add_tcase(suite, router_tests());
	suite_add_tcase(suite, age_tests());
	suite_add_tcase(suite, engine_tests());
	suite_add_tcase(suite, portmap_tests());
	suite_add_tcase(suite, knob_tests());
	suite_add_tcase(suite, timeout_tests());
	return suite;
}

int main(void)
{
	SRunner *runner;
	int failed, missing = world_missing();

	if (missing)
		return missing;
	runner = srunner_create(lab_suite());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

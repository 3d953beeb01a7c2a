/* SPDX-License-Identifier: BSD-3-Clause */
/* The port-mapping daemon, asked as a host would ask it. */
#include "tests/check_lab_world.h"

#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <poll.h>
#include <unistd.h>

#define SECOND_US 1000000ULL

/* Which NAT the daemon is beside: a loop test sets it before it forks. */
static bool by_engine;

/* The same test over netfilter and over an engine. */
#define PORTMAP_TEST(name)                                                     \
	static void name##_body(struct world *w);                              \
	static int name##_inside(void *arg)                                    \
	{                                                                      \
		struct world w = {.lab = NULL};                                \
		(void)arg;                                                     \
		name##_body(&w);                                               \
		return 0;                                                      \
	}                                                                      \
	START_TEST(name)                                                       \
	{                                                                      \
		by_engine = _i;                                                \
		in_sandbox(name##_inside);                                     \
	}                                                                      \
	END_TEST                                                               \
	static void name##_body(struct world *w)

struct mapped {
	int a, s, ask;
	struct endpoint gateway, outside;
};

static struct mapped open_nat(struct world *w, const struct nat *nat,
			      unsigned protocols)
{
	struct mapped m;

	world_plan(w, "symmetric");
	world_add_b(w);
	w->nodes[HOME].nat = *nat;
	w->nodes[HOME].portmap = protocols;
	w->nodes[HOME].force_engine = by_engine;
	world_up(w);
	world_ready(w);
	m.a = udp_open(w, A, 5000);
	m.s = udp_open(w, S, 3478);
	m.ask = udp_open(w, A, 0);
	m.gateway = at(world_node(w, A)->gateway_ip, 5351);
	m.outside = at(world_ip(w, HOME), 6000);
	return m;
}

static struct mapped open_mapped(struct world *w, unsigned protocols)
{
	return open_nat(w, &nat_preset_find("symmetric")->nat, protocols);
}

static void close_mapped(struct world *w, struct mapped *m)
{
	close(m->a);
	close(m->s);
	close(m->ask);
	world_down(w);
}

/* Raw bytes to the gateway; the length of its answer, 0 for none. */
static unsigned ask(struct mapped *m, const void *bytes, size_t count,
		    int patience_ms, unsigned char *answer, size_t room)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(m->gateway.port),
				 .sin_addr.s_addr = htonl(m->gateway.ip)};
	struct pollfd wait = {.fd = m->ask, .events = POLLIN};
	ssize_t got;

	ck_assert_int_eq(sendto(m->ask, bytes, count, 0,
				(struct sockaddr *)&to, sizeof(to)), count);
	if (poll(&wait, 1, patience_ms) != 1)
		return 0;
	got = recv(m->ask, answer, room, 0);
	return got > 0 ? (unsigned)got : 0;
}

/* RFC 6886: UDP, for SECONDS. */
static void map_port(struct mapped *m, unsigned inside, unsigned outside,
		     unsigned seconds)
{
	unsigned char request[12] = {0, 1, 0, 0,
				     (unsigned char)(inside >> 8),
				     (unsigned char)inside,
				     (unsigned char)(outside >> 8),
				     (unsigned char)outside,
				     (unsigned char)(seconds >> 24),
				     (unsigned char)(seconds >> 16),
				     (unsigned char)(seconds >> 8),
				     (unsigned char)seconds};
	unsigned char answer[64] = {0};

	ck_assert_uint_eq(ask(m, request, sizeof(request), LONG_MS,
			      answer, sizeof(answer)), 16);
	ck_assert_uint_eq(answer[1], 129);
	ck_assert_uint_eq(answer[2] << 8 | answer[3], 0);
	ck_assert_uint_eq(answer[10] << 8 | answer[11], outside);
}

static void map(struct mapped *m, unsigned seconds)
{
	map_port(m, 5000, 6000, seconds);
}

static void check_mapped(struct mapped *m, bool expected)
{
	udp_send(m->s, m->outside, "knock");
	if (expected)
		udp_expect(m->a, "knock");
	else
		udp_expect_nothing(m->a);
}

/* What the host's port 5000 is on the internet; its port 5001 is not mapped. */
static void check_seen_as(struct world *w, uint16_t port)
{
	struct err err = {0};
	const struct lab_node *a = world_node(w, A);

	ck_assert_int_eq(lab_public_port(w->lab, a, 5000, &err), port);
	ck_assert_int_eq(lab_public_port(w->lab, a, 5001, &err), 5001);
}

PORTMAP_TEST(nat_pmp_opens_a_port)
{
	struct mapped m = open_mapped(w, LAB_PORTMAP_NAT_PMP);

	check_mapped(&m, false);
	check_seen_as(w, 5000);
	map(&m, 7200);
	check_mapped(&m, true);
	check_seen_as(w, 6000);
	close_mapped(w, &m);
}

PORTMAP_TEST(a_reboot_drops_the_mapping)
{
	struct mapped m = open_mapped(w, LAB_PORTMAP_NAT_PMP);

	map(&m, 7200);
	check_mapped(&m, true);
	ok(lab_reboot(w->lab, world_node(w, HOME), err));
	check_mapped(&m, false);
	world_ready(w);
	check_mapped(&m, false);
	map(&m, 7200);
	check_mapped(&m, true);
	close_mapped(w, &m);
}

PORTMAP_TEST(flush_and_set_keep_the_mapping)
{
	struct mapped m = open_mapped(w, LAB_PORTMAP_NAT_PMP);
	const struct nat *easy = &nat_preset_find("easy")->nat;

	map(&m, 7200);
	ok(lab_flush(w->lab, world_node(w, HOME), err));
	check_mapped(&m, true);
	ok(lab_set(w->lab, world_node(w, HOME), easy, LAB_PORTMAP_NAT_PMP,
		   err));
	ok(lab_flush(w->lab, world_node(w, HOME), err));
	check_mapped(&m, true);
	ok(lab_set(w->lab, world_node(w, HOME), easy, 0, err));
	ok(lab_flush(w->lab, world_node(w, HOME), err));
	check_mapped(&m, false);
	close_mapped(w, &m);
}

/* Two hours pass; a renewal half way, milliseconds later, counts from there. */
PORTMAP_TEST(a_lease_ends_in_lab_time)
{
	struct mapped m = open_mapped(w, LAB_PORTMAP_NAT_PMP);

	map(&m, 7200);
	for (unsigned i = 0; i < 10; i++)
		ok(lab_age(w->lab, 360 * SECOND_US, err));
	map(&m, 7200);
	ok(lab_age(w->lab, 7190 * SECOND_US, err));
	check_mapped(&m, true);
	ok(lab_age(w->lab, 11 * SECOND_US, err));
	ok(lab_flush(w->lab, world_node(w, HOME), err));
	check_mapped(&m, false);
	map(&m, 7200);
	check_mapped(&m, true);
	ok(lab_age(w->lab, 7201 * SECOND_US, err));
	ok(lab_flush(w->lab, world_node(w, HOME), err));
	check_mapped(&m, false);
	close_mapped(w, &m);
}

/* A neighbour's grant neither ends a lease nor makes it longer. */
PORTMAP_TEST(leases_are_told_apart)
{
	struct mapped m = open_mapped(w, LAB_PORTMAP_NAT_PMP);

	map(&m, 7200);
	ok(lab_age(w->lab, 3600 * SECOND_US, err));
	map_port(&m, 5001, 6001, 7200);
	ok(lab_age(w->lab, 3000 * SECOND_US, err));
	check_mapped(&m, true);
	ok(lab_age(w->lab, 700 * SECOND_US, err));
	ok(lab_flush(w->lab, world_node(w, HOME), err));
	check_mapped(&m, false);
	close_mapped(w, &m);
}

/* RFC 6887, MAP: UDP, 5000 by 6000. */
PORTMAP_TEST(pcp_opens_a_port)
{
	struct mapped m = open_mapped(w, LAB_PORTMAP_PCP);
	unsigned char request[60] = {2, 1, [6] = 0x1c, 0x20, [18] = 0xff, 0xff,
				     192, 168, 1, 2, [36] = 17,
				     [40] = 5000 >> 8, 5000 & 0xff,
				     6000 >> 8, 6000 & 0xff,
				     [54] = 0xff, 0xff};
	unsigned char answer[64] = {0};

	check_mapped(&m, false);
	ck_assert_uint_eq(ask(&m, request, sizeof(request), LONG_MS, answer,
			      sizeof(answer)), 60);
	ck_assert_uint_eq(answer[3], 0);
	ck_assert_uint_eq(answer[42] << 8 | answer[43], 6000);
	check_mapped(&m, true);
	close_mapped(w, &m);
}

/* RFC 6886: a lifetime of 0 takes it back. */
PORTMAP_TEST(a_mapping_is_given_up)
{
	struct mapped m = open_mapped(w, LAB_PORTMAP_NAT_PMP);
	unsigned char request[12] = {0, 1, 0, 0, 5000 >> 8, 5000 & 0xff};
	unsigned char answer[64] = {0};

	map(&m, 7200);
	map_port(&m, 5001, 6001, 7200);
	ck_assert_uint_eq(ask(&m, request, sizeof(request), LONG_MS, answer,
			      sizeof(answer)), 16);
	check_mapped(&m, false);
	m.outside.port = 6001;
	udp_send(m.s, m.outside, "other");
	udp_expect_nothing(m.a);
	close_mapped(w, &m);
}

static uint16_t leaves_by(struct world *w, struct mapped *m)
{
	return udp_seen(m->a, m->s, at(world_ip(w, S), 3478)).port;
}

/* A mapping says what comes in; what goes out is as without it. */
PORTMAP_TEST(what_goes_out_is_as_before)
{
	struct nat nat = nat_preset_find("easy")->nat;
	struct mapped m = open_nat(w, &nat, LAB_PORTMAP_NAT_PMP);

	map(&m, 7200);
	ck_assert_uint_eq(leaves_by(w, &m), 5000);
	check_mapped(&m, true);
	map_port(&m, 5000, 5000, 7200);
	ck_assert_uint_eq(leaves_by(w, &m), 5000);
	close_mapped(w, &m);
}

static int outbound_inside(void *arg)
{
	struct nat nat = nat_preset_find("symmetric")->nat;

	(void)arg;
	by_engine = false; /* which it gets by itself */
	nat.map_outbound = true;
	for (unsigned mapping = NAT_EIM; mapping <= NAT_APDM; mapping++) {
		struct world w = {.lab = NULL};
		struct mapped m;

		nat.mapping = (enum nat_mapping)mapping;
		m = open_nat(&w, &nat, LAB_PORTMAP_NAT_PMP);
		ck_assert_uint_ne(leaves_by(&w, &m), 6000);
		ok(lab_flush(w.lab, world_node(&w, HOME), err));
		map(&m, 7200);
		ck_assert_uint_eq(leaves_by(&w, &m), 6000);
		close_mapped(&w, &m);
	}
	return 0;
}

START_TEST(what_goes_out_by_the_mapping)
{
	in_sandbox(outbound_inside);
}
END_TEST

PORTMAP_TEST(a_new_address_has_the_mapping)
{
	struct mapped m = open_mapped(w, LAB_PORTMAP_NAT_PMP);

	map(&m, 7200);
	check_mapped(&m, true);
	ok(lab_renumber(w->lab, world_node(w, HOME), err));
	m.outside.ip = world_ip(w, HOME);
	check_mapped(&m, true);
	close_mapped(w, &m);
}

/* Nothing is skipped: the daemon counts by itself. */
PORTMAP_TEST(a_lease_ends_in_real_time)
{
	struct mapped m = open_mapped(w, LAB_PORTMAP_NAT_PMP);
	uint64_t end_us = clock_real_us() + 20 * SECOND_US;
	char got[16];
	bool in = true;

	map(&m, 1);
	while (in) {
		/* Another flow each time: one would outlive the mapping. */
		int s = udp_open(w, S, 0);

		udp_send(s, m.outside, "still?");
		in = udp_wait(m.a, got, sizeof(got)) > 0;
		ck_assert_uint_lt(clock_real_us(), end_us);
		close(s);
	}
	close_mapped(w, &m);
}

/* From netfilter to an engine and back: the daemon and its grants stay. */
LAB_TEST(set_takes_the_mapping_along)
{
	struct nat nat = nat_preset_find("symmetric")->nat;
	struct mapped m;

	by_engine = false;
	m = open_nat(w, &nat, LAB_PORTMAP_NAT_PMP);
	map(&m, 7200);
	check_mapped(&m, true);
	for (unsigned i = 0; i < 2; i++) {
		nat.ports = i ? NAT_PORTS_RANDOM : NAT_PORTS_SEQUENTIAL;
		ok(lab_set(w->lab, world_node(w, HOME), &nat,
			   LAB_PORTMAP_NAT_PMP, err));
		check_mapped(&m, true);
		map_port(&m, 5000, (uint16_t)(6001 + i), 7200);
		m.outside.port = (uint16_t)(6001 + i);
		check_mapped(&m, true);
	}
	close_mapped(w, &m);
}

/* Whoever happens to have the port loses what comes in by it. */
PORTMAP_TEST(a_grant_takes_a_port_over)
{
	struct nat nat = nat_preset_find("easy")->nat;
	struct mapped m = open_nat(w, &nat, LAB_PORTMAP_NAT_PMP);
	int b = udp_open(w, B, 6000), t = udp_open(w, T, 3478);

	ck_assert_uint_eq(udp_seen(b, t, at(world_ip(w, T), 3478)).port, 6000);
	map(&m, 7200);
	check_mapped(&m, true);
	udp_expect_nothing(b);
	close(b);
	close(t);
	close_mapped(w, &m);
}

/* What flows through a mapping goes on when the mapping has ended. */
PORTMAP_TEST(a_flow_outlives_its_mapping)
{
	struct mapped m = open_mapped(w, LAB_PORTMAP_NAT_PMP);
	int t = udp_open(w, T, 3478);

	map(&m, 20);
	check_mapped(&m, true);
	udp_send(m.a, at(world_ip(w, S), 3478), "answer");
	ck_assert_uint_eq(udp_expect(m.s, "answer").port, 6000);
	world_skip(w, 21 * SECOND_US);
	udp_send(t, m.outside, "stranger");
	udp_expect_nothing(m.a);
	check_mapped(&m, true);
	close(t);
	close_mapped(w, &m);
}

static bool answers_ssdp(struct mapped *m, int patience_ms)
{
	static const char search[] =
		"M-SEARCH * HTTP/1.1\r\n"
		"HOST: 239.255.255.250:1900\r\n"
		"ST: upnp:rootdevice\r\n"
		"MAN: \"ssdp:discover\"\r\nMX: 1\r\n\r\n";
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(1900),
				 .sin_addr.s_addr = htonl(0xeffffffa)};
	struct pollfd wait = {.fd = m->ask, .events = POLLIN};
	char answer[2048] = "";

	ck_assert_int_gt(sendto(m->ask, search, sizeof(search) - 1, 0,
				(struct sockaddr *)&to, sizeof(to)), 0);
	if (poll(&wait, 1, patience_ms) != 1)
		return false;
	if (recv(m->ask, answer, sizeof(answer) - 1, 0) <= 0)
		return false;
	return strstr(answer, "LOCATION: http://192.168.1.1:5000/") != NULL;
}

static bool answers_version(struct mapped *m, unsigned version,
			    int patience_ms)
{
	unsigned char request[24] = {(unsigned char)version, 0};
	unsigned char answer[64];

	/* PCP ANNOUNCE names its sender. */
	request[18] = request[19] = 0xff;
	request[20] = 192;
	request[21] = 168;
	request[22] = 1;
	request[23] = 2;
	return ask(m, request, version ? 24 : 2, patience_ms, answer,
		   sizeof(answer)) && answer[0] == version;
}

static void check_protocols(unsigned protocols, bool upnp, bool nat_pmp,
			    bool pcp)
{
	struct world w = {.lab = NULL};
	struct mapped m = open_mapped(&w, protocols);

	ck_assert_int_eq(answers_ssdp(&m, upnp ? LONG_MS : SHORT_MS), upnp);
	ck_assert_int_eq(answers_version(&m, 0, nat_pmp ? LONG_MS : SHORT_MS),
			 nat_pmp);
	ck_assert_int_eq(answers_version(&m, 2, pcp ? LONG_MS : SHORT_MS),
			 pcp);
	close_mapped(&w, &m);
}

static int protocols_inside(void *arg)
{
	(void)arg;
	check_protocols(LAB_PORTMAP_UPNP, true, false, false);
	check_protocols(LAB_PORTMAP_NAT_PMP, false, true, false);
	check_protocols(LAB_PORTMAP_PCP, false, false, true);
	check_protocols(LAB_PORTMAP_UPNP | LAB_PORTMAP_NAT_PMP |
			LAB_PORTMAP_PCP, true, true, true);
	return 0;
}

START_TEST(only_wanted_protocols_answer)
{
	by_engine = _i;
	in_sandbox(protocols_inside);
}
END_TEST

PORTMAP_TEST(a_daemon_can_come_late)
{
	struct mapped m = open_mapped(w, 0);
	const struct nat *nat = &w->nodes[HOME].nat;

	ck_assert(!answers_version(&m, 0, SHORT_MS));
	ok(lab_set(w->lab, world_node(w, HOME), nat, LAB_PORTMAP_NAT_PMP, err));
	world_ready(w);
	map(&m, 7200);
	check_mapped(&m, true);
	close_mapped(w, &m);
}

TCase *portmap_tests(void)
{
	TCase *portmap = tcase_create("portmap");

	tcase_set_timeout(portmap, 60);
	if (access("/usr/sbin/miniupnpd", X_OK)) {
		printf("port mapping skipped: no miniupnpd "
		       "(apt install miniupnpd-nftables)\n");
		return portmap;
	}
	tcase_add_loop_test(portmap, nat_pmp_opens_a_port, 0, 2);
	tcase_add_loop_test(portmap, a_reboot_drops_the_mapping, 0, 2);
	tcase_add_loop_test(portmap, flush_and_set_keep_the_mapping, 0, 2);
	tcase_add_loop_test(portmap, a_lease_ends_in_lab_time, 0, 2);
	tcase_add_loop_test(portmap, leases_are_told_apart, 0, 2);
	tcase_add_loop_test(portmap, only_wanted_protocols_answer, 0, 2);
	tcase_add_loop_test(portmap, a_daemon_can_come_late, 0, 2);
	tcase_add_loop_test(portmap, pcp_opens_a_port, 0, 2);
	tcase_add_loop_test(portmap, a_mapping_is_given_up, 0, 2);
	tcase_add_loop_test(portmap, what_goes_out_is_as_before, 0, 2);
	tcase_add_test(portmap, what_goes_out_by_the_mapping);
	tcase_add_loop_test(portmap, a_new_address_has_the_mapping, 0, 2);
	tcase_add_loop_test(portmap, a_lease_ends_in_real_time, 0, 2);
	tcase_add_test(portmap, set_takes_the_mapping_along);
	tcase_add_loop_test(portmap, a_grant_takes_a_port_over, 0, 2);
	tcase_add_loop_test(portmap, a_flow_outlives_its_mapping, 0, 2);
	return portmap;
}

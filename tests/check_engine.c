/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an engine is configured to do is measured by packets, as RFC 5780 does
 * it: two servers with two ports each. Every combination of mapping, filtering
 * and ports, of UDP and of TCP, with one external address and with a pool.
 */
#include <stdlib.h>

#include "tests/check_engine_world.h"

struct combination {
	bool tcp;
	struct engine_config config;
};

static void each_combination(void (*check)(const struct combination *))
{
	for (unsigned i = 0; i < 3 * 3 * 5 * 2 * 3; i++) {
		struct combination c = {.config = world_config()};

		c.config.mapping = i % 3;
		c.config.filtering = i / 3 % 3;
		c.config.ports = i / 9 % 5;
		c.tcp = i / 45 % 2;
		c.config.pool_count = i / 90 ? 3 : 1;
		c.config.paired_pooling = i / 90 == 1;
		c.config.seed = i;
		world_engine(&c.config);
		check(&c);
	}
}

static struct endpoint out(const struct combination *c, struct endpoint src,
			   struct endpoint dst)
{
	return c->tcp ? leaves_tcp(src, dst) : leaves(src, dst);
}

static bool in(const struct combination *c, struct endpoint remote,
	       struct endpoint outside)
{
	return c->tcp ? enters_tcp(remote, outside) : enters(remote, outside);
}

static bool same(struct endpoint a, struct endpoint b)
{
	return endpoint_equal(a, b);
}

/* Strictly preserved, a port serves one mapping of each address. */
static unsigned places(const struct combination *c)
{
	if (c->config.ports != ENGINE_PORTS_PRESERVE)
		return UINT32_MAX;
	return c->config.paired_pooling ? 1 : c->config.pool_count;
}

static void check_mapping(const struct combination *c)
{
	const struct endpoint to[4] = {at(SERVER1, 3478), at(SERVER1, 3479),
				       at(SERVER2, 3478), at(SERVER2, 3479)};
	/* Which mapping, counted in the order they are needed. */
	static const unsigned which[3][4] = {[ENGINE_EI] = {0, 0, 0, 0},
					     [ENGINE_AD] = {0, 0, 1, 1},
					     [ENGINE_APD] = {0, 1, 2, 3}};
	const unsigned *nth = which[c->config.mapping];
	struct endpoint from[4];

	for (unsigned i = 0; i < 4; i++) {
		from[i] = out(c, at(HOST1, 4242), to[i]);
		if (nth[i] >= places(c)) {
			ck_assert_uint_eq(from[i].port, 0);
			continue;
		}
		ck_assert_uint_ne(from[i].port, 0);
		for (unsigned j = 0; j < i; j++)
			ck_assert_int_eq(same(from[i], from[j]),
					 nth[i] == nth[j]);
	}
	/* And so it stays. */
	for (unsigned i = 0; i < 4; i++)
		ck_assert(same(out(c, at(HOST1, 4242), to[i]), from[i]));
}

START_TEST(mapping)
{
	each_combination(check_mapping);
}
END_TEST

static void check_filtering(const struct combination *c)
{
	struct endpoint outside = out(c, at(HOST1, 5000), at(SERVER1, 3478));

	ck_assert_int_eq(in(c, at(SERVER2, 3478), outside),
			 c->config.filtering == ENGINE_EI);
	ck_assert_int_eq(in(c, at(SERVER1, 3479), outside),
			 c->config.filtering != ENGINE_APD);
	ck_assert(in(c, at(SERVER1, 3478), outside));
	ck_assert(same(w.out[0].packet.dst, at(HOST1, 5000)));
	/* Another port, or another address, is nobody's. */
	outside.port ^= 1;
	ck_assert(!in(c, at(SERVER1, 3478), outside));
	outside.port ^= 1;
	ck_assert(!in(c, at(SERVER1, 3478), at(POOL3 + 1, outside.port)));
}

START_TEST(filtering)
{
	each_combination(check_filtering);
}
END_TEST

static void check_random(const struct endpoint *from, unsigned count)
{
	unsigned steps_of_one = 0, kept = 0;

	for (unsigned i = 0; i < count; i++) {
		kept += from[i].port == 6000 + i;
		steps_of_one += i && from[i].port == from[i - 1].port + 1;
		ck_assert_uint_ge(from[i].port, 1024);
	}
	ck_assert_uint_lt(kept, 3);
	ck_assert_uint_lt(steps_of_one, 3);
}

static void check_sequence(const struct combination *c,
			   const struct endpoint *from, unsigned count)
{
	unsigned last[3] = {0};

	for (unsigned i = 0; i < count; i++) {
		unsigned *of_address = &last[from[i].ip - POOL1];

		ck_assert_uint_lt(from[i].ip - POOL1, c->config.pool_count);
		if (*of_address)
			ck_assert_uint_eq(
				from[i].port,
				*of_address == 65535 ? 1024 : *of_address + 1);
		*of_address = from[i].port;
	}
}

static void check_block(const struct endpoint *from, unsigned count)
{
	for (unsigned i = 1; i < count; i++)
		ck_assert_uint_eq((from[i].port - 1024) / 512,
				  (from[0].port - 1024) / 512);
}

enum { FLOWS = 40 };

static void check_ports(const struct combination *c)
{
	struct endpoint from[FLOWS], other;

	for (unsigned i = 0; i < FLOWS; i++) {
		from[i] = out(c, at(HOST1, 6000 + i), at(SERVER1, 3478));
		ck_assert_uint_ne(from[i].port, 0);
		if (c->config.ports <= ENGINE_PORTS_PRESERVE_OR_RANDOM)
			ck_assert_uint_eq(from[i].port, 6000 + i);
		if (c->config.paired_pooling)
			ck_assert_uint_eq(from[i].ip, from[0].ip);
	}
	other = out(c, at(HOST2, 6000), at(SERVER1, 3478));
	switch (c->config.ports) {
	case ENGINE_PORTS_PRESERVE:
		ck_assert_int_eq(!other.port, c->config.pool_count == 1);
		break;
	case ENGINE_PORTS_PRESERVE_OR_RANDOM:
		ck_assert_int_eq(other.port == 6000, c->config.pool_count > 1);
		break;
	case ENGINE_PORTS_RANDOM:
		check_random(from, FLOWS);
		break;
	case ENGINE_PORTS_SEQUENTIAL:
		check_sequence(c, from, FLOWS);
		break;
	case ENGINE_PORTS_BLOCK:
		check_block(from, FLOWS);
		if (!c->config.paired_pooling)
			ck_assert_uint_ne((other.port - 1024) / 512,
					  (from[0].port - 1024) / 512);
		break;
	}
	for (unsigned i = 0; i < FLOWS; i++)
		ck_assert(!same(from[i], other));
}

START_TEST(ports)
{
	each_combination(check_ports);
}
END_TEST

/* RFC 4787 REQ-2, and what breaks it. */
START_TEST(pooling)
{
	struct engine_config config = world_config();
	unsigned seen[3] = {0};

	config.pool_count = 3;
	config.ports = ENGINE_PORTS_RANDOM;
	world_engine(&config);
	for (unsigned i = 0; i < 90; i++)
		seen[leaves(at(HOST1, 7000 + i), at(SERVER1, 1)).ip - POOL1]++;
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_ge(seen[i], 15);

	config.paired_pooling = true;
	world_engine(&config);
	for (unsigned host = 0; host < 9; host++) {
		uint32_t ip = leaves(at(HOST1 + host, 1), at(SERVER1, 1)).ip;

		/* In turn, and the same for every protocol. */
		ck_assert_uint_eq(ip, POOL1 + host % 3);
		ck_assert_uint_eq(
			leaves_tcp(at(HOST1 + host, 2), at(SERVER1, 1)).ip, ip);
		ck_assert_int_eq(
			give_echo(ENGINE_LAN, 8, HOST1 + host, SERVER1, 9),
			ENGINE_FORWARDED);
		ck_assert_uint_eq(w.out[0].packet.src.ip, ip);
	}
}
END_TEST

START_TEST(parity)
{
	struct engine_config config = world_config();
	const enum engine_ports kinds[] = {ENGINE_PORTS_RANDOM,
					   ENGINE_PORTS_SEQUENTIAL,
					   ENGINE_PORTS_BLOCK};

	config.preserve_parity = true;
	for (unsigned k = 0; k < 3; k++) {
		config.ports = kinds[k];
		world_engine(&config);
		for (unsigned i = 0; i < 100; i++)
			ck_assert_uint_eq(
				leaves(at(HOST1, 8000 + i), at(SERVER1, 1))
						.port %
					2,
				i % 2);
	}
	/* Where a second host falls back, too. */
	config.ports = ENGINE_PORTS_PRESERVE_OR_RANDOM;
	world_engine(&config);
	for (unsigned i = 0; i < 100; i++) {
		leaves(at(HOST1, 8000 + i), at(SERVER1, 1));
		ck_assert_uint_eq(
			leaves(at(HOST2, 8000 + i), at(SERVER1, 1)).port % 2,
			i % 2);
	}
}
END_TEST

static void use_up(unsigned low, enum engine_ports kind)
{
	struct engine_config config = world_config();
	bool seen[100] = {false};

	config.port_low = (uint16_t)low;
	config.port_high = (uint16_t)(low + 99);
	config.ports = kind;
	config.block_ports = 100;
	world_engine(&config);
	for (unsigned i = 0; i < 100; i++) {
		unsigned port =
			leaves(at(HOST1, 9000 + i), at(SERVER1, 1)).port;

		ck_assert_uint_ge(port, low);
		ck_assert_uint_lt(port, low + 100);
		ck_assert(!seen[port - low]);
		seen[port - low] = true;
	}
	ck_assert_uint_eq(leaves(at(HOST1, 1), at(SERVER1, 1)).port, 0);
	/* Another protocol has ports of its own. */
	ck_assert_uint_ne(leaves_tcp(at(HOST1, 1), at(SERVER1, 1)).port, 0);
	/* One ends, one is free again. */
	pass_us(300 * SECOND);
	ck_assert_uint_ne(leaves(at(HOST1, 1), at(SERVER1, 1)).port, 0);
}

START_TEST(range_runs_out)
{
	for (enum engine_ports kind = ENGINE_PORTS_PRESERVE_OR_RANDOM;
	     kind <= ENGINE_PORTS_BLOCK; kind++) {
		use_up(2000, kind);
		use_up(65436, kind);
		use_up(1, kind);
	}
}
END_TEST

START_TEST(preserving_heeds_a_range)
{
	struct engine_config config = world_config();

	config.ports = ENGINE_PORTS_PRESERVE;
	world_engine(&config);
	ck_assert_uint_eq(leaves(at(HOST1, 123), at(SERVER1, 1)).port, 123);
	config.port_low = 2000;
	config.port_high = 2999;
	world_engine(&config);
	ck_assert_uint_eq(leaves(at(HOST1, 2999), at(SERVER1, 1)).port, 2999);
	ck_assert_uint_eq(leaves(at(HOST1, 3000), at(SERVER1, 1)).port, 0);
	ck_assert_uint_eq(leaves(at(HOST1, 1999), at(SERVER1, 1)).port, 0);
}
END_TEST

START_TEST(blocks_run_out)
{
	struct engine_config config = world_config();

	config.ports = ENGINE_PORTS_BLOCK;
	config.port_low = 3000;
	config.port_high = 3009;
	config.block_ports = 4;
	world_engine(&config);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_uint_eq(leaves(at(HOST1, 1 + i), at(SERVER1, 1)).port,
				  3000 + i);
		ck_assert_uint_eq(leaves(at(HOST2, 1 + i), at(SERVER1, 1)).port,
				  3004 + i);
	}
	/* A full block, and no block for a third host. */
	ck_assert_uint_eq(leaves(at(HOST1, 5), at(SERVER1, 1)).port, 0);
	ck_assert_uint_eq(leaves(at(HOST1 + 5, 5), at(SERVER1, 1)).port, 0);
	ck_assert_uint_eq(stats().mappings, 8);
	/* A host that fell silent gives its block back. */
	pass_us(200 * SECOND);
	leaves(at(HOST2, 1), at(SERVER1, 1));
	pass_us(100 * SECOND);
	ck_assert_uint_eq(leaves(at(HOST1 + 5, 5), at(SERVER1, 1)).port, 3000);
	ck_assert_uint_eq(leaves(at(HOST1, 5), at(SERVER1, 1)).port, 0);
	/* Each address has its blocks, where hosts stay with one. */
	config.block_ports = 10;
	config.pool_count = 2;
	config.paired_pooling = true;
	world_engine(&config);
	ck_assert_uint_eq(leaves(at(HOST1, 5), at(SERVER1, 1)).port, 3000);
	ck_assert_uint_eq(leaves(at(HOST2, 5), at(SERVER1, 1)).port, 3000);
	ck_assert_uint_eq(leaves(at(HOST1 + 5, 5), at(SERVER1, 1)).port, 0);
}
END_TEST

/* Netfilter's trap 5: what the second host on a port looks like. */
START_TEST(two_hosts_on_one_port)
{
	struct engine_config config = world_config();
	struct endpoint a, b;

	world_engine(&config);
	a = leaves(at(HOST1, 4000), at(SERVER1, 1));
	b = leaves(at(HOST2, 4000), at(SERVER1, 1));
	ck_assert(same(a, at(POOL1, 4000)));
	ck_assert_uint_ne(b.port, 4000);
	for (unsigned i = 2; i < 20; i++) {
		ck_assert(same(leaves(at(HOST2, 4000), at(SERVER2, i)), b));
		ck_assert(same(leaves(at(HOST1, 4000), at(SERVER2, i)), a));
	}
	ck_assert(enters(at(SERVER1, 1), b));
	ck_assert(same(w.out[0].packet.dst, at(HOST2, 4000)));
	ck_assert(enters(at(SERVER1, 1), a));
	ck_assert(same(w.out[0].packet.dst, at(HOST1, 4000)));
}
END_TEST

/* What came in through a mapping is answered through it. */
START_TEST(answer_leaves_by_the_mapping)
{
	struct engine_config config = world_config();
	struct endpoint first;

	config.mapping = ENGINE_APD;
	config.filtering = ENGINE_EI;
	config.ports = ENGINE_PORTS_RANDOM;
	world_engine(&config);
	first = leaves(at(HOST1, 4000), at(SERVER1, 1));
	ck_assert(enters(at(SERVER2, 2), first));
	ck_assert(same(leaves(at(HOST1, 4000), at(SERVER2, 2)), first));
	ck_assert(!same(leaves(at(HOST1, 4000), at(SERVER2, 3)), first));
}
END_TEST

/* A filter is of one mapping: leave to answer one is none to enter another. */
START_TEST(each_mapping_has_its_filter)
{
	struct engine_config config = world_config();
	struct endpoint first, second;

	config.mapping = ENGINE_APD;
	for (unsigned filter = ENGINE_AD; filter <= ENGINE_APD; filter++) {
		config.filtering = filter;
		world_engine(&config);
		first = leaves(at(HOST1, 4000), at(SERVER1, 1));
		second = leaves(at(HOST1, 4000), at(SERVER2, 1));
		ck_assert(!enters(at(SERVER1, 1), second));
		ck_assert(!enters(at(SERVER2, 1), first));
		ck_assert(enters(at(SERVER1, 1), first));
		ck_assert(enters(at(SERVER2, 1), second));
	}
}
END_TEST

/* A port that was given back is not the next one. */
START_TEST(sequence_goes_on)
{
	struct engine_config config = world_config();
	unsigned port;

	config.ports = ENGINE_PORTS_SEQUENTIAL;
	world_engine(&config);
	port = leaves(at(HOST1, 1), at(SERVER1, 1)).port;
	pass_us(300 * SECOND);
	ck_assert_uint_eq(leaves(at(HOST1, 1), at(SERVER1, 1)).port, port + 1);
	config.ports = ENGINE_PORTS_BLOCK;
	world_engine(&config);
	port = leaves(at(HOST1, 1), at(SERVER1, 1)).port;
	ck_assert_uint_eq(leaves_tcp(at(HOST1, 1), at(SERVER1, 1)).port,
			  port + 1);
}
END_TEST

START_TEST(same_seed_same_ports)
{
	struct engine_config config = world_config();
	struct endpoint first[10];
	unsigned equal = 0;

	config.ports = ENGINE_PORTS_RANDOM;
	world_engine(&config);
	for (unsigned i = 0; i < 10; i++)
		first[i] = leaves(at(HOST1, 1 + i), at(SERVER1, 1));
	world_engine(&config);
	for (unsigned i = 0; i < 10; i++)
		ck_assert(same(leaves(at(HOST1, 1 + i), at(SERVER1, 1)),
			       first[i]));
	config.seed++;
	world_engine(&config);
	for (unsigned i = 0; i < 10; i++)
		equal += same(leaves(at(HOST1, 1 + i), at(SERVER1, 1)),
			      first[i]);
	ck_assert_uint_lt(equal, 3);
}
END_TEST

static Suite *behaviour(void)
{
	Suite *s = suite_create("engine behaviour");
	TCase *t = tcase_create("measured");

	tcase_add_checked_fixture(t, world_setup, world_teardown);
	tcase_add_test(t, mapping);
	tcase_add_test(t, filtering);
	tcase_add_test(t, ports);
	tcase_add_test(t, pooling);
	tcase_add_test(t, parity);
	tcase_add_test(t, range_runs_out);
	tcase_add_test(t, preserving_heeds_a_range);
	tcase_add_test(t, blocks_run_out);
	tcase_add_test(t, two_hosts_on_one_port);
	tcase_add_test(t, answer_leaves_by_the_mapping);
	tcase_add_test(t, each_mapping_has_its_filter);
	tcase_add_test(t, sequence_goes_on);
	tcase_add_test(t, same_seed_same_ports);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(behaviour());
	int failed;

	srunner_add_suite(r, engine_timers_suite());
	srunner_add_suite(r, engine_tcp_suite());
	srunner_add_suite(r, engine_icmp_suite());
	srunner_add_suite(r, engine_packets_suite());
	srunner_add_suite(r, engine_fragments_suite());
	srunner_add_suite(r, engine_hairpin_suite());
	srunner_add_suite(r, engine_portmap_suite());
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

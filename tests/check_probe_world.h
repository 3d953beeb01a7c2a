/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_probe_world: a probe behind a NAT in memory, and natrig's own STUN
 * server (or a worse one) before it. Time passes from deadline to deadline.
 *
 *	host .2, peer .3 -- [NAT 25.0.0.1] -- 25.255.0.1, .2 (ports 3478, 3479)
 */
#ifndef NATRIG_TESTS_CHECK_PROBE_WORLD_H
#define NATRIG_TESTS_CHECK_PROBE_WORLD_H

#include <check.h>

#include "harness/probe.h"
#include "harness/server.h"

#define HOST_IP 0xc0a80102
#define PEER_IP 0xc0a80103
#define NAT_IP 0x19000001
#define SERVER_IP 0x19ff0001
#define OTHER_IP 0x19ff0002
#define SECOND UINT64_C(1000000)

enum world_ports {
	WORLD_PRESERVE, /* or nothing */
	WORLD_PRESERVE_OR_RANDOM,
	WORLD_RANDOM,
	WORLD_SEQUENTIAL,
	WORLD_BLOCK /* sequential, of 256 for each host */
};

struct world_nat {
	bool off; /* routes, no filter */
	enum probe_dependence mapping, filtering;
	bool by_port; /* mapping depends on the destination's port only */
	enum world_ports ports;
	enum probe_hairpin hairpin;
	bool chance; /* the second mapping has the first one's port */
	bool overload; /* two hosts may have one port */
	uint16_t taken; /* an outside port that another host has */
	bool arbitrary; /* pooling: every other mapping has NAT_IP + 1 */
	unsigned pool; /* of the engine, where arbitrary; 0: 2 */
	bool drop_fragments;
	bool udp_blocked;
	uint64_t lifetime_us, stream_us; /* 0: for ever; 0: as the other */
	bool absolute, inbound_refresh;
};

struct world_server {
	bool dead, alone;
	bool ignores_change; /* answers from where it was asked */
	bool mute_other;     /* its other address sends nothing unasked */
	bool ignores_padding, ignores_response_port;
	bool garbage; /* sends nonsense before each answer */
	struct endpoint claims_other; /* OTHER-ADDRESS, where ip is not 0 */
};

struct world_case {
	struct world_nat nat;
	struct world_server server;
	bool peer, lifetime;
	bool engine; /* natrig's own NAT engine in place of the test's NAT */
	unsigned loss; /* every so many-th packet is lost; 0: none */
};

/* Runs a probe to its end. The report stays until the next call. */
const struct probe_report *world_probe(const struct world_case *c);
/* What the last one took. */
uint64_t world_took_us(void);

void assert_found(const struct probe_report *r, enum probe_item item,
		  int value);
void assert_unknown(const struct probe_report *r, enum probe_item item,
		    const char *why);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * world: clients a, b, c behind NATs of this test's own, with the real relay
 * and control server machines, on simulated time. It exists to drive the
 * client through minutes in microseconds; what kernel NATs do is the lab's
 * business.
 *
 * A NAT keeps flows (inside port, outside port, remote). EIM: the outside port
 * is the inside one; APDM: a new one for each remote. Filtering EIF: whoever
 * knows a mapped port gets in; APDF: only whom the inside has sent to. A flow
 * dies after 30 s, after 120 s once answered. A packet takes 1 ms, each way of
 * a stream 2 ms.
 */
#ifndef NATRIG_TESTS_CHECK_CLIENT_WORLD_H
#define NATRIG_TESTS_CHECK_CLIENT_WORLD_H

#include "harness/client.h"
#include "harness/server.h"

#define WORLD_NODES 3
#define WORLD_MS ((uint64_t)1000)
#define WORLD_S ((uint64_t)1000000)
#define WORLD_START (1000 * WORLD_S)
#define WORLD_NODE_IP(i) (0xc0a80102 + ((uint32_t)(i) << 8)) /* 192.168.n.2 */
#define WORLD_GATEWAY_IP(i) (0xc0a80101 + ((uint32_t)(i) << 8))
#define WORLD_WAN_IP(i) (0x19000001 + (uint32_t)(i)) /* 25.0.0.n */
#define WORLD_STUN_IP(i) (0x19000065 + (uint32_t)(i))
#define WORLD_RELAY_IP(i) (0x190000c9 + (uint32_t)(i))
#define WORLD_CONTROL_IP 0x190000d3

enum { A, B, C };

enum world_nat { WORLD_EASY, WORLD_FULL_CONE, WORLD_SYMMETRIC };

/* What a packet of a client was; relayed ones are those inside DERP. */
enum world_kind {
	WORLD_OTHER,
	WORLD_STUN,
	WORLD_PING,
	WORLD_PONG,
	WORLD_CALL,
	WORLD_INITIATION,
	WORLD_RESPONSE,
	WORLD_DATA,
	WORLD_PMP,
	WORLD_SSDP
};

struct world_sent {
	uint64_t at_us;
	unsigned node;
	enum world_kind kind;
	bool relayed;
	struct endpoint dst;
	size_t size_bytes;
};

struct world_node {
	struct client_config config;
	struct client *client;
	struct actions out;
	enum world_nat nat;
	bool upnp, pmp; /* the gateway's daemons */
	bool relay_blocked, control_blocked, stun_blocked;
	/* The router's UPnP or NAT-PMP mapping. */
	uint16_t mapped_port;
	uint64_t mapped_until_us;
	uint32_t lease_s; /* as last asked */
	unsigned map_requests;
	int upnp_errors[8]; /* answered in turn before success */
	unsigned upnp_error_count, upnp_error_next;
	uint16_t next_port; /* of a symmetric NAT */
	unsigned timer_calls, connects;
};

struct world;

struct world *world_new(void);
void world_free(struct world *w);
/* Of node I, to be changed before world_start. */
struct world_node *world_node(struct world *w, unsigned i);
void world_delay_control(struct world *w, uint64_t delay_us);
void world_second_relay(struct world *w, unsigned home_of_node);
void world_stuns(struct world *w, unsigned count);
uint64_t world_now(const struct world *w);
void world_start(struct world *w, unsigned i);
void world_start_all(struct world *w); /* and runs until settled */
void world_stop(struct world *w, unsigned i);
void world_restart(struct world *w, unsigned i);
/* Forgets all flows, with MAPPINGS those of the daemons too. */
void world_reboot_router(struct world *w, unsigned i, bool mappings);
void world_run(struct world *w, uint64_t span_us);
/* Pings for SPAN at most, until a reply (a direct one); then stops. */
enum client_path world_ping(struct world *w, unsigned from, unsigned to,
			    enum client_ping_kind kind, uint64_t span_us,
			    bool until_direct);
/* Of the last world_ping. */
uint64_t world_reply_us(const struct world *w); /* since its start; 0: none */
unsigned
world_reply_echo(const struct world *w); /* from 1: which echo it was */

/* The log. */
size_t world_mark(const struct world *w); /* where it stands */
unsigned world_count(const struct world *w, size_t since, unsigned node,
		     enum world_kind kind, int relayed /* -1: either */);
const struct world_sent *world_nth(const struct world *w, size_t since,
				   unsigned node, enum world_kind kind,
				   unsigned n);

#endif

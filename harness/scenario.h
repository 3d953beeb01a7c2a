/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scenario: a scenario file, read and refused or understood as a whole before
 * anything is built. The language is described in doc/scenarios.md.
 *
 * scenario_read -> look -> scenario_free. Everything that can be wrong (unknown
 * key, wrong type, a name that does not exist, a duplicate, an impossible NAT)
 * is an error with file, line, column, what was expected, and the nearest name.
 */
#ifndef NATRIG_HARNESS_SCENARIO_H
#define NATRIG_HARNESS_SCENARIO_H

#include "captures/order.h"
#include "harness/client.h"
#include "harness/clients.h"
#include "netns/lab.h"

#define SCENARIO_NAME_BYTES 64
#define SCENARIO_TEXT_BYTES 256

struct scenario_place {
	unsigned line, column; /* from 1 */
};

struct scenario_host {
	unsigned node;	   /* index into the plan */
	char client[64];   /* "model", "tailscale", ... */
	char version[256]; /* "" unless a real client's was asked for */
	uint16_t port;	   /* tunnel port; 41641 unless said otherwise */
	struct client_policy policy;
	/* A real client's: each option's value, in its manifest's order. */
	uint8_t options[CLIENTS_MAX_OPTIONS];
	bool has_options; /* some were said */
	struct scenario_place at;
};

enum step_verb {
	STEP_START,
	STEP_STOP,
	STEP_RESTART,
	STEP_PING,
	STEP_NETCHECK,
	STEP_BLOCK,
	STEP_UNBLOCK,
	STEP_REBOOT,
	STEP_FLUSH,
	STEP_RENUMBER,
	STEP_SET,
	STEP_LINK,
	STEP_WAIT,
	STEP_SEND
};

enum step_expect {
	EXPECT_NOTHING,
	EXPECT_UNREACHABLE,
	EXPECT_REACHABLE,
	EXPECT_DIRECT,
	EXPECT_RELAY
};

#define STEP_ANY (-2) /* netcheck: not asked about */

struct step {
	enum step_verb verb;
	struct scenario_place at;
	char text[SCENARIO_TEXT_BYTES]; /* "ping a -> c", for reports */
	int x, y;	    /* plan nodes; -1: none, or (start, stop) all */
	uint64_t for_us;    /* ping, wait */
	enum step_expect expect;
	enum client_ping_kind kind; /* ping */
	int proto;	    /* block: 0, IPPROTO_UDP, IPPROTO_TCP */
	uint16_t port;	    /* block */
	bool every_stun;    /* block: of STUN that relays answer as well */
	bool up;	    /* link */
	struct nat nat;	    /* set: the whole new behaviour */
	unsigned portmap;   /* set: LAB_PORTMAP_* */
	int expect_varies;  /* netcheck: 1, 0, -1 (unknown) or STEP_ANY */
	int expect_portmap; /* netcheck: enum client_portmap or STEP_ANY */
	int expect_udp;	    /* netcheck: 1, 0 or STEP_ANY */
	/* send: a crafted UDP packet from host x */
	struct endpoint dst;   /* ip 0: node y's public address */
	bool to_tunnel;	       /* the port is host y's, as seen there */
	uint16_t src_port;     /* default the tunnel port */
	uint8_t ttl;	       /* default 64 */
	uint8_t payload[1400];
	size_t payload_bytes;
};

struct scenario_order {
	struct order_statement statement;
	struct scenario_place at;
};

struct scenario {
	char file[SCENARIO_TEXT_BYTES];
	char title[SCENARIO_TEXT_BYTES];
	char source[SCENARIO_TEXT_BYTES];
	uint64_t seed; /* default 1 */
	struct lab_plan plan; /* routers, then hosts, then servers */
	struct scenario_host *hosts;
	unsigned host_count;
	/* Servers, as plan nodes. */
	unsigned stun_nodes[CLIENT_MAX_SERVERS];
	unsigned stun_count;
	unsigned relay_nodes[CLIENT_MAX_SERVERS];
	unsigned relay_count;
	unsigned control_node;
	uint64_t control_delay_us;
	struct step *steps;
	unsigned step_count;
	struct scenario_order *orders;
	unsigned order_count;
};

int scenario_read(const char *path, struct scenario **scenario,
		  struct err *err);
/* TEXT need not end in NUL; NAME is the file's name in errors. */
int scenario_parse(const char *name, const char *text, size_t size_bytes,
		   struct scenario **scenario, struct err *err);
void scenario_free(struct scenario *s); /* NULL is legal */

/* The one real client that the lab's hosts run, or NULL: they run the model. */
const char *scenario_real_client(const struct scenario *s);
/*
 * Has every host run CLIENT ("model", "tailscale", "tailscale@1.80.3").
 * -EINVAL where there is none of the name; -ENOTSUP where a host asks for what
 * only the model does.
 */
int scenario_use_client(struct scenario *s, const char *client,
			struct err *err);

/* The witness's view of it, without addresses. */
struct cast *scenario_cast(const struct scenario *s);
/* The host that lives on plan node NODE, or NULL. */
const struct scenario_host *scenario_host(const struct scenario *s,
					  unsigned node);
const char *step_verb_name(enum step_verb verb);
const char *step_expect_name(enum step_expect expect);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The world's insides: what its network and its bookkeeping share. */
#ifndef NATRIG_TESTS_CHECK_CLIENT_NET_H
#define NATRIG_TESTS_CHECK_CLIENT_NET_H

#include "tests/check_client_world.h"

#define MAX_FLOWS 256
#define MAX_CONNS 256
#define MAX_RELAYS 2

struct flow {
	unsigned node;
	uint16_t inside, outside;
	struct endpoint remote;
	/*
	 * The remote as the inside sees it. As in netfilter, it is another
	 * port where the inside talks to that remote from another outside port
	 * already: else nobody could tell whose the answers are.
	 */
	struct endpoint seen;
	uint64_t until_us;
	bool answered;
};

enum event_kind {
	EV_UDP,
	EV_CONNECT,
	EV_CONNECTED,
	EV_TO_SERVER,
	EV_TO_CLIENT,
	EV_CLOSED,
	EV_UPNP
};

struct event {
	struct event *next;
	uint64_t at_us;
	enum event_kind kind;
	unsigned node, conn;
	struct endpoint src, dst; /* UDP, as seen on the internet */
	bool inside;		  /* UDP that stays in the home */
	struct upnp_answer answer;
	size_t size_bytes;
	uint8_t data[];
};

/* A stream: a client's number, and its index here, the server's number. */
struct conn {
	unsigned node;
	uint32_t stream;
	int server; /* relay index, or -1: control */
	bool open;
};

struct world {
	uint64_t now_us;
	struct world_node nodes[WORLD_NODES];
	struct relay *relays[MAX_RELAYS];
	struct control *control;
	struct actions server_out;
	struct flow flows[MAX_FLOWS];
	unsigned flow_count;
	struct conn conns[MAX_CONNS];
	unsigned conn_count;
	struct event *events;
	struct world_sent *log;
	size_t log_count, log_room;
	uint64_t reply_us;
	unsigned reply_echo;
};

struct event *world_post(struct world *w, uint64_t delay_us,
			 enum event_kind kind, const void *data,
			 size_t size_bytes);
void world_log(struct world *w, unsigned node, struct endpoint dst,
	       const uint8_t *data, size_t size_bytes, bool relayed);
/* What node I's client, or a server, wants done. */
void world_carry_out(struct world *w, unsigned i);
void world_from_server(struct world *w);
void world_happen(struct world *w, const struct event *e);

#endif

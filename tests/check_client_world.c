/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/check_client_world.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check_client_net.h"
#include "wire/disco.h"
#include "wire/natpmp.h"
#include "wire/stun.h"
#include "wire/wireguard.h"

/* --- events -------------------------------------------------------------- */

struct event *world_post(struct world *w, uint64_t delay_us,
			 enum event_kind kind, const void *data,
			 size_t size_bytes)
{
	struct event *e = calloc(1, sizeof(*e) + size_bytes);
	struct event **at = &w->events;

	ck_assert_ptr_nonnull(e);
	e->at_us = w->now_us + delay_us;
	e->kind = kind;
	e->size_bytes = size_bytes;
	if (size_bytes)
		memcpy(e->data, data, size_bytes);
	while (*at && (*at)->at_us <= e->at_us)
		at = &(*at)->next;
	e->next = *at;
	*at = e;
	return e;
}

static void drop_events_of(struct world *w, unsigned node)
{
	struct event **at = &w->events;

	while (*at) {
		struct event *e = *at;

		if (e->node != node || e->kind == EV_UDP ||
		    e->kind == EV_TO_SERVER) {
			at = &e->next;
			continue;
		}
		*at = e->next;
		free(e);
	}
}

/* --- the log ------------------------------------------------------------- */

static enum world_kind kind_of(const uint8_t *data, size_t size_bytes,
			       struct endpoint dst, bool relayed)
{
	struct wireguard_message m;

	if (disco_looks_like(data, size_bytes))
		switch (disco_kind_by_size(size_bytes, relayed)) {
		case DISCO_PING:
			return WORLD_PING;
		case DISCO_PONG:
			return WORLD_PONG;
		case DISCO_CALL_ME_MAYBE:
			return WORLD_CALL;
		default:
			return WORLD_OTHER;
		}
	if (wireguard_decode(data, size_bytes, &m, NULL) == 0)
		return m.type == WIREGUARD_INITIATION ? WORLD_INITIATION
		       : m.type == WIREGUARD_RESPONSE ? WORLD_RESPONSE
						      : WORLD_DATA;
	if (stun_looks_like(data, size_bytes))
		return WORLD_STUN;
	if (dst.port == NATPMP_PORT)
		return WORLD_PMP;
	return dst.port == 1900 ? WORLD_SSDP : WORLD_OTHER;
}

void world_log(struct world *w, unsigned node, struct endpoint dst,
	       const uint8_t *data, size_t size_bytes, bool relayed)
{
	if (w->log_count == w->log_room) {
		w->log_room = w->log_room ? 2 * w->log_room : 256;
		w->log = realloc(w->log, w->log_room * sizeof(*w->log));
		ck_assert_ptr_nonnull(w->log);
	}
	w->log[w->log_count++] = (struct world_sent){
		.at_us = w->now_us,
		.node = node,
		.kind = kind_of(data, size_bytes, dst, relayed),
		.relayed = relayed,
		.dst = dst,
		.size_bytes = size_bytes};
	if (getenv("WORLD_LOG"))
		printf("%10.6f %c %s kind %d -> %x:%u %zu bytes\n",
		       (double)(w->now_us - WORLD_START) / 1e6, 'a' + (int)node,
		       relayed ? "relay" : "udp  ",
		       (int)w->log[w->log_count - 1].kind, dst.ip, dst.port,
		       size_bytes);
}

size_t world_mark(const struct world *w)
{
	return w->log_count;
}

unsigned world_count(const struct world *w, size_t since, unsigned node,
		     enum world_kind kind, int relayed)
{
	unsigned n = 0;

	for (size_t i = since; i < w->log_count; i++)
		n += w->log[i].node == node && w->log[i].kind == kind &&
		     (relayed < 0 || w->log[i].relayed == (relayed != 0));
	return n;
}

const struct world_sent *world_nth(const struct world *w, size_t since,
				   unsigned node, enum world_kind kind,
				   unsigned n)
{
	for (size_t i = since; i < w->log_count; i++)
		if (w->log[i].node == node && w->log[i].kind == kind && !n--)
			return &w->log[i];
	return NULL;
}

/* --- time ---------------------------------------------------------------- */

static uint64_t earlier(uint64_t a_us, uint64_t b_us)
{
	return a_us < b_us ? a_us : b_us;
}

static uint64_t next_us(const struct world *w)
{
	uint64_t at_us = w->events ? w->events->at_us : ACTIONS_NEVER;

	for (unsigned i = 0; i < WORLD_NODES; i++)
		at_us = earlier(at_us, client_deadline(w->nodes[i].client));
	for (unsigned i = 0; i < MAX_RELAYS; i++)
		at_us = earlier(at_us, relay_deadline(w->relays[i]));
	return earlier(at_us, control_deadline(w->control));
}

static void servers_on_timer(struct world *w)
{
	for (unsigned i = 0; i < MAX_RELAYS; i++)
		if (relay_deadline(w->relays[i]) <= w->now_us) {
			relay_on_timer(w->relays[i], w->now_us, &w->server_out);
			world_from_server(w);
		}
	if (control_deadline(w->control) <= w->now_us) {
		control_on_timer(w->control, w->now_us, &w->server_out);
		world_from_server(w);
	}
}

/* All that is due now. */
static void turn(struct world *w)
{
	while (w->events && w->events->at_us <= w->now_us) {
		struct event *e = w->events;

		w->events = e->next;
		world_happen(w, e);
		free(e);
	}
	for (unsigned i = 0; i < WORLD_NODES; i++) {
		struct world_node *n = &w->nodes[i];

		if (client_deadline(n->client) > w->now_us)
			continue;
		n->timer_calls++;
		client_on_timer(n->client, w->now_us, &n->out);
		/* The promise that keeps a driver from spinning. */
		ck_assert_uint_gt(client_deadline(n->client), w->now_us);
		world_carry_out(w, i);
	}
	servers_on_timer(w);
}

/* Runs up to UNTIL; earlier where DONE says so. */
static void run(struct world *w, uint64_t until_us,
		bool (*done)(struct world *w, const void *arg), const void *arg)
{
	while (next_us(w) <= until_us) {
		w->now_us = next_us(w) > w->now_us ? next_us(w) : w->now_us;
		turn(w);
		if (done && done(w, arg))
			return;
	}
	w->now_us = until_us;
}

void world_run(struct world *w, uint64_t span_us)
{
	run(w, w->now_us + span_us, NULL, NULL);
}

uint64_t world_now(const struct world *w)
{
	return w->now_us;
}

/* --- set up -------------------------------------------------------------- */

static void configure(struct client_config *config, unsigned i)
{
	snprintf(config->name, sizeof(config->name), "%c", 'a' + (int)i);
	config->policy = client_policy_default();
	config->port = CLIENT_DEFAULT_PORT;
	config->ip = WORLD_NODE_IP(i);
	config->gateway_ip = WORLD_GATEWAY_IP(i);
	config->control = (struct endpoint){WORLD_CONTROL_IP, 8080};
	for (unsigned s = 0; s < 2; s++)
		config->stun[s] = (struct endpoint){WORLD_STUN_IP(s), 3478};
	config->stun_count = 2;
	config->relays[0] = (struct endpoint){WORLD_RELAY_IP(0), 80};
	snprintf(config->relay_names[0], 64, "relay");
	config->relay_count = 1;
	config->seed = 7;
}

struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));

	ck_assert_ptr_nonnull(w);
	w->now_us = WORLD_START;
	w->relays[0] = relay_new(1, "relay");
	w->relays[1] = relay_new(2, "other");
	w->control = control_new(0);
	for (unsigned i = 0; i < WORLD_NODES; i++) {
		w->nodes[i].next_port = (uint16_t)(20000 + 1000 * i);
		configure(&w->nodes[i].config, i);
	}
	return w;
}

/* Clients are made when the first of them is started, as configured then. */
static void make(struct world *w)
{
	for (unsigned i = 0; i < WORLD_NODES; i++) {
		if (!w->nodes[i].client)
			w->nodes[i].client = client_new(&w->nodes[i].config);
		ck_assert_ptr_nonnull(w->nodes[i].client);
	}
}

void world_free(struct world *w)
{
	while (w->events) {
		struct event *e = w->events;

		w->events = e->next;
		free(e);
	}
	for (unsigned i = 0; i < WORLD_NODES; i++) {
		client_free(w->nodes[i].client);
		actions_free(&w->nodes[i].out);
	}
	for (unsigned i = 0; i < MAX_RELAYS; i++)
		relay_free(w->relays[i]);
	control_free(w->control);
	actions_free(&w->server_out);
	free(w->log);
	free(w);
}

struct world_node *world_node(struct world *w, unsigned i)
{
	return &w->nodes[i];
}

void world_delay_control(struct world *w, uint64_t delay_us)
{
	control_free(w->control);
	w->control = control_new(delay_us);
}

void world_second_relay(struct world *w, unsigned home_of_node)
{
	for (unsigned i = 0; i < WORLD_NODES; i++) {
		struct client_config *config = &w->nodes[i].config;
		unsigned first = i == home_of_node;

		for (unsigned r = 0; r < MAX_RELAYS; r++) {
			unsigned which = r ^ first;

			config->relays[r] =
				(struct endpoint){WORLD_RELAY_IP(which), 80};
			snprintf(config->relay_names[r], 64, "%s",
				 which ? "other" : "relay");
		}
		config->relay_count = MAX_RELAYS;
	}
}

void world_stuns(struct world *w, unsigned count)
{
	for (unsigned i = 0; i < WORLD_NODES; i++)
		w->nodes[i].config.stun_count = count;
}

void world_start(struct world *w, unsigned i)
{
	make(w);
	client_start(w->nodes[i].client, w->now_us, &w->nodes[i].out);
	world_carry_out(w, i);
}

void world_stop(struct world *w, unsigned i)
{
	client_stop(w->nodes[i].client, w->now_us, &w->nodes[i].out);
	world_carry_out(w, i);
	drop_events_of(w, i);
}

void world_restart(struct world *w, unsigned i)
{
	world_stop(w, i);
	world_start(w, i);
}

static bool all_settled(struct world *w, const void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < WORLD_NODES; i++)
		if (client_running(w->nodes[i].client) &&
		    !client_settled(w->nodes[i].client, w->now_us))
			return false;
	return true;
}

void world_start_all(struct world *w)
{
	for (unsigned i = 0; i < WORLD_NODES; i++)
		world_start(w, i);
	run(w, w->now_us + 10 * WORLD_S, all_settled, NULL);
	ck_assert(all_settled(w, NULL));
	world_run(w, 100 * WORLD_MS); /* netmaps on their way */
}

/* --- ping ---------------------------------------------------------------- */

struct ping_wait {
	unsigned from;
	bool direct;
};

static const struct client_echo *reply(struct world *w, unsigned from,
				       bool direct)
{
	const struct client_ping *ping = client_ping(w->nodes[from].client);

	for (unsigned i = 0; i < ping->sent; i++)
		if (ping->echoes[i].replied_us &&
		    (!direct || ping->echoes[i].path == CLIENT_PATH_DIRECT))
			return &ping->echoes[i];
	return NULL;
}

static bool ping_done(struct world *w, const void *arg)
{
	const struct ping_wait *wait = arg;

	return reply(w, wait->from, wait->direct);
}

enum client_path world_ping(struct world *w, unsigned from, unsigned to,
			    enum client_ping_kind kind, uint64_t span_us,
			    bool until_direct)
{
	struct client *client = w->nodes[from].client;
	struct ping_wait wait = {from, until_direct};
	const struct client_echo *e;

	client_ping_start(client, w->now_us, w->nodes[to].config.name, kind,
			  &w->nodes[from].out);
	world_carry_out(w, from);
	run(w, w->now_us + span_us, ping_done, &wait);
	client_ping_stop(client);
	e = reply(w, from, true);
	if (!e)
		e = reply(w, from, false);
	w->reply_us = e ? e->replied_us - client_ping(client)->started_us : 0;
	w->reply_echo = e ? (unsigned)(e - client_ping(client)->echoes) + 1 : 0;
	return e ? e->path : CLIENT_PATH_NONE;
}

uint64_t world_reply_us(const struct world *w)
{
	return w->reply_us;
}

unsigned world_reply_echo(const struct world *w)
{
	return w->reply_echo;
}

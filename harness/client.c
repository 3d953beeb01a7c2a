/* SPDX-License-Identifier: BSD-3-Clause */
/* client: life cycle, and which module an input is for. */
#include "harness/client.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/client_private.h"
#include "wire/stun.h"
#include "wire/wireguard.h"

/* Far more than one instant can need; a guard against a loop without end. */
#define MAX_TURNS 64

struct client_policy client_policy_default(void)
{
	return (struct client_policy){.call_me_maybe = true, .relay = true};
}

bool client_enter(struct client *c, uint64_t now_us, struct actions *out)
{
	if (!c->running)
		return false;
	/* 0 means never inside, and time does not go back. */
	if (now_us > c->now_us)
		c->now_us = now_us;
	c->out = out;
	return true;
}

static void make_keys(uint8_t public_key[static CLIENT_KEY_BYTES],
		      uint8_t secret[static CLIENT_KEY_BYTES], struct rng *rng)
{
	uint8_t seed[crypto_box_SEEDBYTES];

	rng_bytes(rng, seed, sizeof(seed));
	crypto_box_seed_keypair(public_key, secret, seed);
}

/* All that a killed process would have lost. */
static void forget(struct client *c)
{
	client_peer_free_all(c);
	c->stun =
		(struct client_stun){.varies = -1, .restun_us = ACTIONS_NEVER};
	c->mapping = (struct client_mapping){0};
	c->control = (struct client_control){0};
	memset(c->relays, 0, sizeof(c->relays));
	c->report = (struct client_netcheck){.mapping_varies = -1};
	c->own_count = 0;
	c->sent_first = false;
	c->settle_us = ACTIONS_NEVER;
}

struct client *client_new(const struct client_config *config)
{
	struct client *c;
	struct rng rng;
	char label[80];

	if (sodium_init() < 0 || config->stun_count > CLIENT_MAX_SERVERS ||
	    config->relay_count > CLIENT_MAX_SERVERS)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->config = *config;
	if (!c->config.port)
		c->config.port = CLIENT_DEFAULT_PORT;
	snprintf(label, sizeof(label), "node %s", config->name);
	rng_init(&rng, config->seed, label);
	make_keys(c->node_public, c->node_secret, &rng);
	snprintf(label, sizeof(label), "client %s", config->name);
	rng_init(&c->rng, config->seed, label);
	c->pinger.next_us = ACTIONS_NEVER;
	forget(c);
	return c;
}

void client_free(struct client *c)
{
	struct actions nobody;

	if (!c)
		return;
	actions_init(&nobody);
	client_stop(c, c->now_us, &nobody);
	actions_free(&nobody);
	client_peer_free_all(c);
	free(c);
}

void client_start(struct client *c, uint64_t now_us, struct actions *out)
{
	if (c->running)
		return;
	c->running = true;
	c->now_us = c->now_us ? c->now_us : 1;
	client_enter(c, now_us, out);
	make_keys(c->disco_public, c->disco_secret, &c->rng);
	c->active_us = c->now_us;
	client_control_start(c);
	client_relay_start(c);
	client_stun_begin(c, CLIENT_RUN_ENDPOINTS | CLIENT_RUN_REPORT);
}

void client_stop(struct client *c, uint64_t now_us, struct actions *out)
{
	if (!client_enter(c, now_us, out))
		return;
	client_link_shut(c, &c->control.link);
	client_relay_stop(c);
	client_ping_stop(c);
	forget(c);
	c->running = false;
}

bool client_running(const struct client *c)
{
	return c->running;
}

bool client_settled(const struct client *c, uint64_t now_us)
{
	(void)now_us; /* what depends on it has a timer */
	return c->running && c->report.done && !client_mapping_busy(c) &&
	       c->control.netmap && client_relay_settled(c);
}

const uint8_t *client_node_key(const struct client *c)
{
	return c->node_public;
}

const uint8_t *client_disco_key(const struct client *c)
{
	return c->disco_public;
}

void client_udp(struct client *c, struct endpoint to, const void *data,
		size_t size_bytes)
{
	struct endpoint src = {c->config.ip, c->config.port};

	actions_udp(c->out, src, to, data, size_bytes);
}

void client_note_first_send(struct client *c)
{
	if (c->sent_first)
		return;
	c->sent_first = true;
	client_control_publish(c);
	if (c->config.policy.portmap == CLIENT_ON_FIRST_SEND)
		client_mapping_look(c);
}

/* --- inputs -------------------------------------------------------------- */

void client_on_udp(struct client *c, uint64_t now_us, struct endpoint src,
		   uint16_t dst_port, const void *payload, size_t payload_bytes,
		   struct actions *out)
{
	struct client_arrival a = {
		.src = src, .data = payload, .size_bytes = payload_bytes};

	/* Without a source it would pass for a packet of the relay. */
	if (!src.ip || !payload_bytes || !client_enter(c, now_us, out))
		return;
	if (dst_port == client_portmap_port(c))
		client_mapping_on_udp(c, src, payload, payload_bytes);
	else if (dst_port != c->config.port)
		return;
	else if (disco_looks_like(payload, payload_bytes))
		client_disco_receive(c, &a);
	else if (wireguard_looks_like(payload, payload_bytes))
		client_session_receive(c, &a);
	else if (stun_looks_like(payload, payload_bytes))
		client_stun_on_udp(c, payload, payload_bytes);
}

static struct client_relay *relay_of(struct client *c, uint32_t stream)
{
	for (unsigned i = 0; i < c->config.relay_count; i++)
		if (c->relays[i].link.stream == stream)
			return &c->relays[i];
	return NULL;
}

void client_on_connected(struct client *c, uint64_t now_us, uint32_t stream,
			 struct actions *out)
{
	struct client_relay *r;

	if (!stream || !client_enter(c, now_us, out))
		return;
	r = relay_of(c, stream);
	if (stream == c->control.link.stream)
		client_control_on_connected(c);
	else if (r)
		client_relay_on_connected(c, r);
}

void client_on_stream(struct client *c, uint64_t now_us, uint32_t stream,
		      const void *data, size_t size_bytes, struct actions *out)
{
	struct client_relay *r;

	if (!stream || !client_enter(c, now_us, out))
		return;
	r = relay_of(c, stream);
	if (stream == c->control.link.stream)
		client_control_on_stream(c, data, size_bytes);
	else if (r)
		client_relay_on_stream(c, r, data, size_bytes);
}

void client_on_closed(struct client *c, uint64_t now_us, uint32_t stream,
		      struct actions *out)
{
	struct client_relay *r;

	if (!stream || !client_enter(c, now_us, out))
		return;
	r = relay_of(c, stream);
	if (stream == c->control.link.stream) {
		c->control.link.stream = 0; /* it is closed already */
		client_link_fail(c, &c->control.link);
	} else if (r) {
		client_relay_on_closed(c, r);
	}
}

void client_on_upnp(struct client *c, uint64_t now_us,
		    const struct upnp_answer *answer, struct actions *out)
{
	if (client_enter(c, now_us, out))
		client_mapping_on_upnp(c, answer);
}

void client_on_link_change(struct client *c, uint64_t now_us, uint32_t ip,
			   uint32_t gateway_ip, struct actions *out)
{
	c->config.ip = ip;
	c->config.gateway_ip = gateway_ip;
	if (!client_enter(c, now_us, out))
		return;
	/* The sockets were bound to the old address. */
	client_link_shut(c, &c->control.link);
	client_relay_stop(c);
	c->mapping = (struct client_mapping){0};
	c->stun =
		(struct client_stun){.varies = -1, .restun_us = ACTIONS_NEVER};
	c->own_count = 0;
	for (struct client_peer *p = c->peers; p; p = p->next)
		client_peer_reset_path(p);
	client_control_start(c);
	client_relay_start(c);
	client_stun_begin(c, CLIENT_RUN_ENDPOINTS | CLIENT_RUN_REPORT);
}

/* --- timers -------------------------------------------------------------- */

uint64_t client_deadline(const struct client *c)
{
	uint64_t at_us;

	if (!c->running)
		return ACTIONS_NEVER;
	at_us = client_link_deadline(&c->control.link);
	at_us = client_earlier(at_us, client_relay_deadline(c));
	at_us = client_earlier(at_us, client_stun_deadline(c));
	at_us = client_earlier(at_us, client_mapping_deadline(c));
	at_us = client_earlier(at_us, client_peer_deadline(c));
	return client_earlier(at_us, client_pinger_deadline(c));
}

void client_on_timer(struct client *c, uint64_t now_us, struct actions *out)
{
	if (!client_enter(c, now_us, out))
		return;
	for (unsigned i = 0; i < MAX_TURNS; i++) {
		if (c->now_us < client_deadline(c))
			return;
		client_link_on_timer(c, &c->control.link);
		client_relay_on_timer(c);
		client_stun_on_timer(c);
		client_mapping_on_timer(c);
		/* Peers before pings: a heartbeat that is due with an echo
		 * came first in the client that this one models. */
		client_peer_on_timer(c);
		client_pinger_on_timer(c);
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client_relay: DERP over streams. The home relay (the first) is kept
 * connected; another is connected when a peer has it as its home.
 */
#include <stdlib.h>
#include <string.h>

#include "harness/client_private.h"
#include "wire/derp.h"

#define SILENCE_US (120 * CLIENT_S) /* its keep-alives come each 60 s */
#define MAX_PENDING 32
#define MAX_INPUT_BYTES (2 * (DERP_MAX_FRAME_BYTES + DERP_FRAME_HEADER_BYTES))
#define MAX_SENT_BYTES 2048 /* DISCO and the session send no more */

void client_relay_start(struct client *c)
{
	for (unsigned i = 0; i < c->config.relay_count; i++) {
		c->relays[i].link.to = c->config.relays[i];
		c->relays[i].link.silence_us = SILENCE_US;
	}
	if (!c->config.policy.relay || !c->config.relay_count)
		return;
	client_link_open(c, &c->relays[0].link);
	c->settle_us = c->now_us + CLIENT_S;
}

void client_relay_stop(struct client *c)
{
	for (unsigned i = 0; i < c->config.relay_count; i++) {
		client_link_shut(c, &c->relays[i].link);
		actions_free(&c->relays[i].pending);
		c->relays[i].phase = CLIENT_RELAY_UPGRADE;
	}
	c->settle_us = ACTIONS_NEVER;
}

/* After its link failed: what waited for it is lost, as in a full queue. */
static void lost(struct client *c, struct client_relay *r)
{
	actions_free(&r->pending);
	r->phase = CLIENT_RELAY_UPGRADE;
	/*
	 * It might be because the network is another now, so Tailscale looks,
	 * each time. A node whose relay is cut off is never idle for that.
	 */
	client_stun_begin(c, CLIENT_RUN_ENDPOINTS);
	if (r == &c->relays[0])
		c->settle_us = ACTIONS_NEVER;
	else
		client_link_shut(c, &r->link); /* opened again when needed */
}

static void fail(struct client *c, struct client_relay *r)
{
	client_link_fail(c, &r->link);
	lost(c, r);
}

void client_relay_on_connected(struct client *c, struct client_relay *r)
{
	char host[ENDPOINT_TEXT_BYTES];
	uint8_t request[256];
	int n;

	n = derp_encode_upgrade_request(endpoint_format(r->link.to, host),
					request, sizeof(request));
	r->phase = CLIENT_RELAY_UPGRADE;
	if (n > 0)
		actions_write(c->out, r->link.stream, request, (size_t)n);
}

void client_relay_on_closed(struct client *c, struct client_relay *r)
{
	r->link.stream = 0; /* it is closed already */
	fail(c, r);
}

static void send_client_info(struct client *c, struct client_relay *r)
{
	uint8_t nonce[DERP_NONCE_BYTES], out[256];
	int n;

	rng_bytes(&c->rng, nonce, sizeof(nonce));
	n = derp_encode_client_info(c->node_public, c->node_secret,
				    r->server_key, nonce, "{\"version\":2}",
				    out, sizeof(out));
	if (n > 0)
		actions_write(c->out, r->link.stream, out, (size_t)n);
}

static void opened(struct client *c, struct client_relay *r)
{
	const uint8_t preferred = 1;
	uint8_t out[16];
	int n;

	r->phase = CLIENT_RELAY_OPEN;
	client_link_ready(c, &r->link);
	if (r == &c->relays[0]) {
		c->settle_us = ACTIONS_NEVER;
		n = derp_encode(DERP_NOTE_PREFERRED, &preferred, 1, out,
				sizeof(out));
		if (n > 0)
			actions_write(c->out, r->link.stream, out, (size_t)n);
	}
	for (size_t i = 0; i < r->pending.count; i++) {
		const struct action *one = &r->pending.list[i];

		actions_write(c->out, r->link.stream,
			      actions_payload(&r->pending, one),
			      one->payload_bytes);
	}
	actions_free(&r->pending);
}

static void received(struct client *c, const struct derp_frame *frame)
{
	struct client_arrival a = {.node_key = frame->key,
				   .data = frame->packet,
				   .size_bytes = frame->packet_bytes};

	if (disco_looks_like(a.data, a.size_bytes))
		client_disco_receive(c, &a);
	else
		client_session_receive(c, &a);
}

static void on_frame(struct client *c, struct client_relay *r,
		     const struct derp_frame *frame)
{
	uint8_t out[DERP_FRAME_HEADER_BYTES + 8];
	char json[1024];
	int n;

	if (r->phase == CLIENT_RELAY_KEY && frame->type == DERP_SERVER_KEY &&
	    frame->key) {
		memcpy(r->server_key, frame->key, sizeof(r->server_key));
		r->phase = CLIENT_RELAY_INFO;
		send_client_info(c, r);
	} else if (r->phase == CLIENT_RELAY_INFO &&
		   frame->type == DERP_SERVER_INFO) {
		if (derp_open_server_info(frame, c->node_secret, r->server_key,
					  json, sizeof(json)) < 0)
			fail(c, r);
		else
			opened(c, r);
	} else if (r->phase != CLIENT_RELAY_OPEN) {
		return; /* nothing else is of use yet */
	} else if (frame->type == DERP_RECV_PACKET && frame->key) {
		received(c, frame);
	} else if (frame->type == DERP_PING && frame->body_bytes == 8) {
		n = derp_encode(DERP_PONG, frame->body, 8, out, sizeof(out));
		if (n > 0)
			actions_write(c->out, r->link.stream, out, (size_t)n);
	}
}

/* Bytes used up; 0: more are needed; negative: this is no DERP. */
static int step(struct client *c, struct client_relay *r, const uint8_t *data,
		size_t size_bytes)
{
	struct derp_frame frame;
	int n;

	if (r->phase == CLIENT_RELAY_UPGRADE) {
		n = derp_decode_upgrade(data, size_bytes, false, NULL);
		if (n > 0)
			r->phase = CLIENT_RELAY_KEY;
		return n;
	}
	n = derp_decode(data, size_bytes, &frame, NULL);
	if (n > 0)
		on_frame(c, r, &frame);
	return n;
}

void client_relay_on_stream(struct client *c, struct client_relay *r,
			    const void *data, size_t size_bytes)
{
	uint32_t stream = r->link.stream;
	size_t at = 0;
	int n = 1;

	if (!client_link_feed(c, &r->link, data, size_bytes, MAX_INPUT_BYTES)) {
		lost(c, r);
		return;
	}
	while (n > 0 && r->link.stream == stream && at < r->link.in_bytes) {
		n = step(c, r, r->link.in + at, r->link.in_bytes - at);
		at += n > 0 ? (size_t)n : 0;
	}
	if (r->link.stream != stream)
		return; /* it failed within */
	if (n < 0)
		fail(c, r);
	else
		client_link_consume(&r->link, at);
}

static struct client_relay *by_name(struct client *c, const char *name)
{
	for (unsigned i = 0; i < c->config.relay_count; i++)
		if (strcmp(c->config.relay_names[i], name) == 0)
			return &c->relays[i];
	return NULL;
}

void client_relay_send(struct client *c, const char *name,
		       const uint8_t key[static CLIENT_KEY_BYTES],
		       const void *packet, size_t packet_bytes)
{
	uint8_t frame[MAX_SENT_BYTES];
	struct client_relay *r = by_name(c, name);
	int n;

	if (!r || !c->config.policy.relay)
		return;
	n = derp_encode_packet(DERP_SEND_PACKET, key, packet, packet_bytes,
			       frame, sizeof(frame));
	if (n < 0)
		return;
	if (r->link.state == CLIENT_LINK_IDLE)
		client_link_open(c, &r->link);
	if (r->phase == CLIENT_RELAY_OPEN)
		actions_write(c->out, r->link.stream, frame, (size_t)n);
	else if (r->link.state == CLIENT_LINK_CONNECTING &&
		 r->pending.count < MAX_PENDING)
		actions_write(&r->pending, 0, frame, (size_t)n);
}

bool client_relay_settled(const struct client *c)
{
	/* The timer goes when the first attempt ends, and after 1 s anyway. */
	return c->settle_us == ACTIONS_NEVER;
}

uint64_t client_relay_deadline(const struct client *c)
{
	uint64_t at_us = c->settle_us;

	for (unsigned i = 0; i < c->config.relay_count; i++)
		at_us = client_earlier(
			at_us, client_link_deadline(&c->relays[i].link));
	return at_us;
}

void client_relay_on_timer(struct client *c)
{
	if (c->now_us >= c->settle_us)
		c->settle_us = ACTIONS_NEVER;
	for (unsigned i = 0; i < c->config.relay_count; i++)
		if (client_link_on_timer(c, &c->relays[i].link))
			lost(c, &c->relays[i]);
}

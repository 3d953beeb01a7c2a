/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client_ping: a person's ping (an ICMP echo inside the session) and
 * `tailscale ping` (DISCO pings over every path).
 *
 * An echo's 56 bytes of data: magic (4), the ping's run (4), the path on which
 * the request came, told in the reply (1), zeros.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "harness/client_private.h"
#include "wire/cursor.h"
#include "wire/packet.h"

#define DATA_BYTES (CLIENT_INNER_BYTES - 28)
#define DATA_MAGIC 0x4e545247 /* "NTRG" */
#define DATA_INTERVAL_US CLIENT_S
/*
 * `tailscale ping` waits a second after each answer, so its pings come a bit
 * later each time, and later than the heartbeat that the first one started.
 */
#define DISCO_INTERVAL_US (CLIENT_S + 10 * CLIENT_MS)

enum { ICMP_ECHO_REPLY = 0, ICMP_ECHO = 8 };

/* An address of 100.64.0.0/16 for a node, by its name. */
static uint32_t inner_ip(const char *name)
{
	uint8_t hash[16];

	crypto_generichash(hash, sizeof(hash), (const uint8_t *)name,
			   strlen(name), NULL, 0);
	return 0x64400000u | (uint32_t)hash[0] << 8 |
	       (uint32_t)(hash[1] % 254 + 1);
}

static void send_icmp(struct client *c, struct client_peer *p, uint8_t type,
		      uint16_t id, uint16_t seq, uint32_t run,
		      enum client_path path)
{
	uint8_t data[DATA_BYTES] = {0}, inner[CLIENT_INNER_BYTES];
	struct writer w = writer_over(data, sizeof(data));
	int n;

	writer_u32(&w, DATA_MAGIC);
	writer_u32(&w, run);
	writer_u8(&w, (uint8_t)path);
	n = packet_encode_icmp_echo(type, inner_ip(c->config.name),
				    inner_ip(p->name), id, seq, data,
				    sizeof(data), inner, sizeof(inner));
	if (n < 0)
		return;
	c->active_us = c->now_us;
	client_session_send(c, p, inner, (size_t)n);
}

static void send_disco(struct client *c, struct client_peer *p)
{
	const struct endpoint over_relay = {0};

	if (client_peer_trusted(c, p)) {
		client_disco_ping(c, p, p->best, CLIENT_PURPOSE_ECHO);
	} else {
		client_disco_ping(c, p, over_relay, CLIENT_PURPOSE_ECHO);
		for (unsigned i = 0; i < p->candidate_count; i++)
			client_disco_ping(c, p, p->candidates[i].to,
					  CLIENT_PURPOSE_ECHO);
	}
	client_peer_note_send(c, p);
}

static void send_echo(struct client *c)
{
	struct client_pinger *g = &c->pinger;
	struct client_ping *ping = &g->ping;
	struct client_peer *p = client_peer_by_name(c, ping->peer);
	bool disco = ping->kind == CLIENT_PING_DISCO;

	ping->echoes[ping->sent].sent_us = c->now_us;
	if (p && disco)
		send_disco(c, p);
	else if (p)
		send_icmp(c, p, ICMP_ECHO, g->icmp_id, (uint16_t)ping->sent,
			  g->run, CLIENT_PATH_NONE);
	ping->sent++;
	g->next_us = ping->sent == CLIENT_MAX_PINGS
			     ? ACTIONS_NEVER
			     : c->now_us + (disco ? DISCO_INTERVAL_US
						  : DATA_INTERVAL_US);
	if (p)
		client_note_first_send(c);
}

void client_ping_start(struct client *c, uint64_t now_us, const char *peer,
		       enum client_ping_kind kind, struct actions *out)
{
	struct client_pinger *g = &c->pinger;

	if (!client_enter(c, now_us, out))
		return;
	g->run++;
	rng_bytes(&c->rng, &g->icmp_id, sizeof(g->icmp_id));
	memset(&g->ping, 0, sizeof(g->ping));
	snprintf(g->ping.peer, sizeof(g->ping.peer), "%s", peer);
	g->ping.kind = kind;
	g->ping.running = true;
	g->ping.started_us = c->now_us;
	send_echo(c);
}

void client_ping_stop(struct client *c)
{
	c->pinger.ping.running = false;
	c->pinger.next_us = ACTIONS_NEVER;
}

const struct client_ping *client_ping(const struct client *c)
{
	return &c->pinger.ping;
}

static void replied(struct client *c, unsigned echo, enum client_path path,
		    const struct client_arrival *a)
{
	struct client_ping *ping = &c->pinger.ping;
	struct client_echo *e;

	if (!ping->running || echo >= ping->sent)
		return;
	e = &ping->echoes[echo];
	/* A DISCO echo goes out on every path at once, and a direct answer
	 * says more than one by relay, whichever was first. */
	if (e->replied_us && e->path >= path)
		return;
	e->replied_us = c->now_us;
	e->path = path;
	crypto_generichash(e->carrier_hash, sizeof(e->carrier_hash), a->data,
			   a->size_bytes, NULL, 0);
}

static enum client_path path_of(const struct client_arrival *a)
{
	return a->src.ip ? CLIENT_PATH_DIRECT : CLIENT_PATH_RELAY;
}

void client_pinger_on_pong(struct client *c, const struct client_sent_ping *s,
			   const struct client_arrival *a)
{
	if (s->run == c->pinger.run && c->pinger.ping.kind == CLIENT_PING_DISCO)
		replied(c, s->echo, path_of(a), a);
}

void client_pinger_on_inner(struct client *c, struct client_peer *p,
			    const void *inner, size_t inner_bytes,
			    const struct client_arrival *a)
{
	const struct client_pinger *g = &c->pinger;
	enum client_path path = path_of(a);
	struct packet icmp;
	struct reader r;
	uint32_t magic, run;

	if (packet_decode(PACKET_LINK_RAW, inner, inner_bytes, &icmp, NULL) <
		    0 ||
	    !icmp.is_ipv4 || icmp.ip_proto != PACKET_ICMP)
		return;
	c->active_us = c->now_us;
	r = reader_over(icmp.payload, icmp.payload_bytes);
	magic = reader_u32(&r);
	run = reader_u32(&r);
	if (magic != DATA_MAGIC)
		return;
	if (icmp.icmp_type == ICMP_ECHO) {
		send_icmp(c, p, ICMP_ECHO_REPLY, icmp.icmp_id, icmp.icmp_seq,
			  run, path);
		return;
	}
	if (icmp.icmp_type != ICMP_ECHO_REPLY || run != g->run ||
	    icmp.icmp_id != g->icmp_id || strcmp(p->name, g->ping.peer) != 0 ||
	    g->ping.kind != CLIENT_PING_DATA)
		return;
	if (reader_u8(&r) != CLIENT_PATH_DIRECT)
		path = CLIENT_PATH_RELAY;
	replied(c, icmp.icmp_seq, path, a);
}

uint64_t client_pinger_deadline(const struct client *c)
{
	return c->pinger.next_us;
}

void client_pinger_on_timer(struct client *c)
{
	if (c->now_us >= c->pinger.next_us)
		send_echo(c);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* client_disco: DISCO messages out and in, and what a pong makes of a path. */
#include <string.h>

#include "harness/client_private.h"

#define PING_TIMEOUT_US (5 * CLIENT_S)
#define TRUST_US (6500 * CLIENT_MS)
#define ENDPOINTS_FRESH_US (27 * CLIENT_S)
#define PRIVATE_POINTS 20

/* Seals M to the peer, and sends it to TO, or over its relay (ip 0). */
static void send_message(struct client *c, const struct client_peer *p,
			 struct endpoint to, const struct disco_message *m)
{
	uint8_t nonce[DISCO_NONCE_BYTES], out[DISCO_MAX_BYTES];
	int n;

	rng_bytes(&c->rng, nonce, sizeof(nonce));
	n = disco_seal(m, c->disco_public, c->disco_secret, p->disco_key, nonce,
		       out, sizeof(out));
	if (n < 0)
		return;
	if (to.ip)
		client_udp(c, to, out, (size_t)n);
	else
		client_relay_send(c, p->relay, p->node_key, out, (size_t)n);
}

void client_disco_ping(struct client *c, struct client_peer *p,
		       struct endpoint to, enum client_ping_purpose purpose)
{
	struct client_sent_ping *s = &p->pings[p->ping_next];
	struct disco_message m = {.type = DISCO_PING, .has_node_key = true};
	struct client_candidate *one = client_peer_candidate(p, to, false);
	const struct client_pinger *pinger = &c->pinger;

	p->ping_next = (p->ping_next + 1) % CLIENT_MAX_SENT_PINGS;
	*s = (struct client_sent_ping){.to = to,
				       .at_us = c->now_us,
				       .valid = true,
				       .purpose = purpose,
				       .run = pinger->run,
				       .echo = pinger->ping.sent};
	rng_bytes(&c->rng, s->txid, sizeof(s->txid));
	memcpy(m.txid, s->txid, sizeof(m.txid));
	memcpy(m.node_key, c->node_public, sizeof(m.node_key));
	/* A person's ping does not hold back those that look for a path. */
	if (one && purpose != CLIENT_PURPOSE_ECHO)
		one->pinged_us = c->now_us;
	send_message(c, p, to, &m);
}

void client_disco_call(struct client *c, struct client_peer *p)
{
	struct disco_message m = {.type = DISCO_CALL_ME_MAYBE};

	if (!p->relay[0])
		return;
	if (!client_within(c, c->stun.endpoints_us, ENDPOINTS_FRESH_US)) {
		/* Old endpoints would call the peer to closed doors. */
		p->call_waits = true;
		client_stun_begin(c, CLIENT_RUN_ENDPOINTS | CLIENT_RUN_AGAIN);
		return;
	}
	if (!c->config.policy.call_me_maybe)
		return;
	memcpy(m.endpoints, c->own, sizeof(m.endpoints));
	m.endpoint_count = c->own_count;
	send_message(c, p, (struct endpoint){0}, &m);
}

/* --- in ------------------------------------------------------------------ */

static void on_ping(struct client *c, struct client_peer *p,
		    const struct disco_message *ping,
		    const struct client_arrival *a)
{
	struct disco_message pong = {.type = DISCO_PONG, .observed = a->src};
	struct client_candidate *one;
	bool found;

	/* Without the right node key, its source proves nothing. */
	if (!ping->has_node_key ||
	    memcmp(ping->node_key, p->node_key, CLIENT_KEY_BYTES) != 0)
		return;
	if (a->src.ip) {
		found = !client_peer_candidate(p, a->src, false);
		one = client_peer_candidate(p, a->src, true);
		/* What the netmap has named already does not age. */
		if (one && (found || one->got_ping_us))
			one->got_ping_us = c->now_us;
		client_peer_note_known(c, p, a->src);
	}
	memcpy(pong.txid, ping->txid, sizeof(pong.txid));
	send_message(c, p, a->src, &pong);
}

static bool is_private(uint32_t ip)
{
	return ip >> 24 == 10 || ip >> 20 == 0xac1 || ip >> 16 == 0xc0a8;
}

/* Percent by which A is faster than B. */
static uint64_t faster_percent(uint64_t a_us, uint64_t b_us)
{
	return a_us < b_us ? 100 - a_us * 100 / b_us : 0;
}

/*
 * Tailscale scores latency in percent and gives private addresses a start. In
 * the lab differences below a millisecond are noise of the machine, and would
 * make the same run choose another path.
 */
static bool is_better(struct endpoint a, uint64_t a_us, struct endpoint b,
		      uint64_t b_us)
{
	uint64_t a_points, b_points;

	if (endpoint_equal(a, b))
		return false;
	a_us = a_us / CLIENT_MS + 1;
	b_us = b_us / CLIENT_MS + 1;
	a_points = faster_percent(a_us, b_us);
	b_points = faster_percent(b_us, a_us);
	a_points += is_private(a.ip) ? PRIVATE_POINTS : 0;
	b_points += is_private(b.ip) ? PRIVATE_POINTS : 0;
	return a_points > b_points + 1;
}

static void found_path(struct client *c, struct client_peer *p,
		       struct endpoint to, uint64_t latency_us)
{
	if (!client_peer_trusted(c, p) ||
	    is_better(to, latency_us, p->best, p->best_latency_us))
		p->best = to;
	if (!endpoint_equal(p->best, to))
		return;
	p->best_latency_us = latency_us;
	p->trust_until_us = c->now_us + TRUST_US;
}

static void on_pong(struct client *c, struct client_peer *p,
		    const struct disco_message *pong,
		    const struct client_arrival *a)
{
	struct client_sent_ping *s = NULL;

	for (unsigned i = 0; i < CLIENT_MAX_SENT_PINGS; i++)
		if (p->pings[i].valid && memcmp(p->pings[i].txid, pong->txid,
						sizeof(pong->txid)) == 0)
			s = &p->pings[i];
	if (!s)
		return;
	s->valid = false;
	if (c->now_us - s->at_us > PING_TIMEOUT_US)
		return;
	if (a->src.ip) {
		/* One that was dropped meanwhile is of no interest. */
		if (!client_peer_candidate(p, s->to, false))
			return;
		client_peer_note_known(c, p, a->src);
		found_path(c, p, s->to, c->now_us - s->at_us);
	}
	if (s->purpose == CLIENT_PURPOSE_ECHO)
		client_pinger_on_pong(c, s, a);
}

static void on_call(struct client *c, struct client_peer *p,
		    const struct disco_message *call,
		    const struct client_arrival *a)
{
	if (a->src.ip || !c->config.policy.call_me_maybe)
		return;
	for (unsigned i = 0; i < p->candidate_count; i++)
		p->candidates[i].called = false;
	for (unsigned i = 0; i < call->endpoint_count; i++) {
		struct endpoint to = call->endpoints[i];
		struct client_candidate *one;

		if (!to.ip || !to.port)
			continue;
		one = client_peer_candidate(p, to, true);
		if (one)
			one->called = true;
	}
	/* What only an earlier call had listed is dropped as stale below. */
	for (unsigned i = 0; i < p->candidate_count; i++) {
		struct client_candidate *one = &p->candidates[i];

		if (one->was_called && !one->called) {
			one->in_netmap = false;
			one->got_ping_us = 0;
		}
		one->was_called = one->called;
		one->pinged_us = 0;
	}
	client_peer_full_ping(c, p, false);
}

static struct client_peer *sender(struct client *c,
				  const struct client_arrival *a)
{
	uint8_t key[DISCO_KEY_BYTES];

	if (disco_sender(a->data, a->size_bytes, key) < 0)
		return NULL;
	for (struct client_peer *p = c->peers; p; p = p->next) {
		if (memcmp(p->disco_key, key, sizeof(key)) != 0)
			continue;
		/* The relay vouches for the node key: both must fit. */
		if (a->node_key &&
		    memcmp(p->node_key, a->node_key, CLIENT_KEY_BYTES) != 0)
			continue;
		return p;
	}
	return NULL;
}

void client_disco_receive(struct client *c, const struct client_arrival *a)
{
	struct client_peer *p = sender(c, a);
	struct disco_message m;

	if (!p ||
	    disco_open(a->data, a->size_bytes, c->disco_secret, &m, NULL) < 0)
		return;
	switch (m.type) {
	case DISCO_PING:
		on_ping(c, p, &m, a);
		break;
	case DISCO_PONG:
		on_pong(c, p, &m, a);
		break;
	case DISCO_CALL_ME_MAYBE:
		on_call(c, p, &m, a);
		break;
	default:
		break; /* UDP relaying and whatever comes later */
	}
}

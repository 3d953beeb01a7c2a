/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client_peer: the peers of the netmap and the path to each: candidates, the
 * best address and how long it is trusted, heartbeats. Its DISCO messages are
 * client_disco.c's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/client_private.h"

#define HEARTBEAT_US (3 * CLIENT_S)
#define PING_INTERVAL_US (5 * CLIENT_S)
#define UPGRADE_US (60 * CLIENT_S)
#define GOOD_LATENCY_US (5 * CLIENT_MS)

struct client_peer *client_peer_by_name(const struct client *c,
					const char *name)
{
	for (struct client_peer *p = c->peers; p; p = p->next)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

struct client_peer *
client_peer_by_node(const struct client *c,
		    const uint8_t key[static CLIENT_KEY_BYTES])
{
	for (struct client_peer *p = c->peers; p; p = p->next)
		if (memcmp(p->node_key, key, CLIENT_KEY_BYTES) == 0)
			return p;
	return NULL;
}

/* --- candidates and known addresses -------------------------------------- */

struct client_candidate *client_peer_candidate(struct client_peer *p,
					       struct endpoint to, bool add)
{
	struct client_candidate *one;

	for (unsigned i = 0; i < p->candidate_count; i++)
		if (endpoint_equal(p->candidates[i].to, to))
			return &p->candidates[i];
	if (!add || p->candidate_count == CLIENT_MAX_CANDIDATES)
		return NULL;
	one = &p->candidates[p->candidate_count++];
	*one = (struct client_candidate){.to = to};
	return one;
}

static void remove_candidate(struct client_peer *p, unsigned at)
{
	if (endpoint_equal(p->candidates[at].to, p->best)) {
		p->best = (struct endpoint){0};
		p->trust_until_us = 0;
	}
	memmove(&p->candidates[at], &p->candidates[at + 1],
		(p->candidate_count - at - 1) * sizeof(p->candidates[0]));
	p->candidate_count--;
}

/*
 * Whether it is to be dropped. What a call-me-maybe listed stays until the next
 * one. What a ping's source had told, and no netmap before, is good for 45 s
 * after the last ping from there.
 */
static bool is_stale(const struct client *c, const struct client_candidate *one)
{
	if (one->was_called)
		return false;
	if (!one->got_ping_us)
		return !one->in_netmap;
	return c->now_us - one->got_ping_us > CLIENT_SESSION_ACTIVE_US;
}

static void remove_stale(const struct client *c, struct client_peer *p)
{
	for (unsigned i = p->candidate_count; i-- > 0;)
		if (is_stale(c, &p->candidates[i]))
			remove_candidate(p, i);
}

void client_peer_note_known(struct client *c, struct client_peer *p,
			    struct endpoint src)
{
	for (struct client_peer *q = c->peers; q; q = q->next)
		for (unsigned i = 0; i < CLIENT_MAX_KNOWN; i++) {
			if (!endpoint_equal(q->known[i], src))
				continue;
			if (q == p)
				return;
			q->known[i] = (struct endpoint){0};
		}
	p->known[p->known_next] = src;
	p->known_next = (p->known_next + 1) % CLIENT_MAX_KNOWN;
}

bool client_peer_is_known(const struct client *c, struct endpoint src)
{
	for (const struct client_peer *p = c->peers; p; p = p->next)
		for (unsigned i = 0; i < CLIENT_MAX_KNOWN; i++)
			if (endpoint_equal(p->known[i], src))
				return true;
	return false;
}

/* --- the netmap ---------------------------------------------------------- */

/* What Tailscale forgets of a peer whose DISCO key changed. */
void client_peer_reset_path(struct client_peer *p)
{
	p->best = (struct endpoint){0};
	p->trust_until_us = 0;
	p->last_send_us = 0;
	p->last_full_ping_us = 0;
	p->heartbeat_us = ACTIONS_NEVER;
	p->call_waits = false;
	for (unsigned i = 0; i < p->candidate_count; i++)
		p->candidates[i].pinged_us = 0;
	memset(p->pings, 0, sizeof(p->pings));
}

static struct client_peer *add_peer(struct client *c,
				    const struct client_netmap_entry *entry)
{
	struct client_peer **last = &c->peers;
	struct client_peer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	while (*last)
		last = &(*last)->next;
	*last = p;
	memcpy(p->node_key, entry->node_key, sizeof(p->node_key));
	memcpy(p->disco_key, entry->disco_key, sizeof(p->disco_key));
	p->heartbeat_us = ACTIONS_NEVER;
	client_session_init(&p->session);
	return p;
}

static void free_peer(struct client_peer *p)
{
	client_session_reset(&p->session);
	free(p);
}

void client_peer_free_all(struct client *c)
{
	struct client_peer *next;

	for (struct client_peer *p = c->peers; p; p = next) {
		next = p->next;
		free_peer(p);
	}
	c->peers = NULL;
}

void client_peer_netmap_begin(struct client *c)
{
	for (struct client_peer *p = c->peers; p; p = p->next)
		p->listed = false;
}

static void learn_endpoints(struct client *c, struct client_peer *p,
			    const struct client_netmap_entry *entry)
{
	unsigned count = entry->endpoint_count;

	if (c->config.policy.learn != CLIENT_AT_START)
		count = 0;
	remove_stale(c, p);
	for (unsigned i = 0; i < p->candidate_count; i++)
		p->candidates[i].in_netmap = false;
	for (unsigned i = 0; i < count; i++) {
		struct client_candidate *one =
			client_peer_candidate(p, entry->endpoints[i], true);

		if (one)
			one->in_netmap = true;
	}
	remove_stale(c, p);
}

void client_peer_netmap_entry(struct client *c,
			      const struct client_netmap_entry *entry)
{
	struct client_peer *p = client_peer_by_node(c, entry->node_key);

	if (!memcmp(entry->node_key, c->node_public, CLIENT_KEY_BYTES))
		return;
	if (!p)
		p = add_peer(c, entry);
	if (!p)
		return;
	p->listed = true;
	snprintf(p->name, sizeof(p->name), "%s", entry->name);
	snprintf(p->relay, sizeof(p->relay), "%s",
		 entry->relay ? entry->relay : "");
	if (memcmp(p->disco_key, entry->disco_key, CLIENT_KEY_BYTES) != 0) {
		/* It was restarted, and has forgotten any session. */
		memcpy(p->disco_key, entry->disco_key, CLIENT_KEY_BYTES);
		client_peer_reset_path(p);
		client_session_reset(&p->session);
	}
	learn_endpoints(c, p, entry);
}

void client_peer_netmap_end(struct client *c)
{
	struct client_peer **at = &c->peers;

	while (*at) {
		struct client_peer *p = *at;

		if (p->listed) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		free_peer(p);
	}
}

/* --- sending ------------------------------------------------------------- */

bool client_peer_trusted(const struct client *c, const struct client_peer *p)
{
	return p->best.ip && c->now_us <= p->trust_until_us;
}

void client_peer_note_send(struct client *c, struct client_peer *p)
{
	p->last_send_us = c->now_us;
	if (p->heartbeat_us == ACTIONS_NEVER)
		p->heartbeat_us = c->now_us + HEARTBEAT_US;
}

void client_peer_full_ping(struct client *c, struct client_peer *p, bool call)
{
	bool pinged = false;

	p->last_full_ping_us = c->now_us;
	remove_stale(c, p);
	for (unsigned i = 0; i < p->candidate_count; i++) {
		struct client_candidate *one = &p->candidates[i];

		if (client_within(c, one->pinged_us, PING_INTERVAL_US))
			continue;
		client_disco_ping(c, p, one->to, CLIENT_PURPOSE_DISCOVERY);
		pinged = true;
	}
	/* The call says "I have just pinged you, my NAT is open": without a
	 * ping it would be no use. */
	if (pinged && call)
		client_disco_call(c, p);
}

void client_peer_send(struct client *c, struct client_peer *p, const void *data,
		      size_t size_bytes)
{
	bool trusted = client_peer_trusted(c, p);
	struct endpoint best = p->best;

	client_peer_note_send(c, p);
	if (!trusted)
		client_peer_full_ping(c, p, true);
	if (best.ip)
		client_udp(c, best, data, size_bytes);
	if (!trusted)
		client_relay_send(c, p->relay, p->node_key, data, size_bytes);
}

void client_peer_on_endpoints(struct client *c)
{
	for (struct client_peer *p = c->peers; p; p = p->next)
		if (p->call_waits) {
			p->call_waits = false;
			client_disco_call(c, p);
		}
}

/* --- timers -------------------------------------------------------------- */

static bool wants_full_ping(const struct client *c, const struct client_peer *p)
{
	if (!client_peer_trusted(c, p) || !p->last_full_ping_us)
		return true;
	return p->best_latency_us > GOOD_LATENCY_US &&
	       c->now_us - p->last_full_ping_us >= UPGRADE_US;
}

static void heartbeat(struct client *c, struct client_peer *p)
{
	p->heartbeat_us = ACTIONS_NEVER;
	if (c->now_us - p->last_send_us > CLIENT_SESSION_ACTIVE_US)
		return;
	if (p->best.ip)
		client_disco_ping(c, p, p->best, CLIENT_PURPOSE_HEARTBEAT);
	if (wants_full_ping(c, p))
		client_peer_full_ping(c, p, true);
	p->heartbeat_us = c->now_us + HEARTBEAT_US;
}

uint64_t client_peer_deadline(const struct client *c)
{
	uint64_t at_us = ACTIONS_NEVER;

	for (const struct client_peer *p = c->peers; p; p = p->next) {
		at_us = client_earlier(at_us, p->heartbeat_us);
		at_us = client_earlier(at_us,
				       client_session_deadline(&p->session));
	}
	return at_us;
}

void client_peer_on_timer(struct client *c)
{
	for (struct client_peer *p = c->peers; p; p = p->next) {
		if (c->now_us >= p->heartbeat_us)
			heartbeat(c, p);
		client_session_on_timer(c, p);
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client_stun: STUN runs and what comes of them: the netcheck report and the
 * node's own endpoints. A run is for either or both. One for endpoints also
 * looks at the port mapping, and sets the timer of the next one while the node
 * is in use; one for the report alone (`tailscale netcheck`) only observes.
 */
#include <string.h>

#include "harness/client_private.h"
#include "wire/stun.h"

#define STUN_TIMEOUT_US (3 * CLIENT_S)
#define REPORT_TIMEOUT_US (5 * CLIENT_S)
#define RESTUN_FROM_US (20 * CLIENT_S)
#define RESTUN_SPREAD_US (6 * CLIENT_S)

/* When, after the start of a run, those not answered yet are asked again. */
static const uint64_t resend_us[] = {200 * CLIENT_MS, 600 * CLIENT_MS,
				     1400 * CLIENT_MS};
#define RESENDS (sizeof(resend_us) / sizeof(resend_us[0]))

static void ask(struct client *c)
{
	struct client_stun *s = &c->stun;
	uint8_t out[STUN_MAX_BYTES];

	for (unsigned i = 0; i < c->config.stun_count; i++) {
		struct stun_message m = {.class = STUN_REQUEST,
					 .method = STUN_METHOD_BINDING,
					 .fingerprint = true};
		int n;

		if (s->mapped[i].ip)
			continue;
		memcpy(m.txid, s->txid[i], sizeof(m.txid));
		n = stun_encode(&m, out, sizeof(out));
		if (n > 0)
			client_udp(c, c->config.stun[i], out, (size_t)n);
	}
	s->sends++;
}

static unsigned answers(const struct client *c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->config.stun_count; i++)
		n += c->stun.mapped[i].ip != 0;
	return n;
}

static void add_own(struct client *c, struct endpoint e)
{
	if (!e.ip || !e.port || c->own_count == DISCO_MAX_ENDPOINTS)
		return;
	for (unsigned i = 0; i < c->own_count; i++)
		if (endpoint_equal(c->own[i], e))
			return;
	c->own[c->own_count++] = e;
}

static void find_own(struct client *c)
{
	const struct client_stun *s = &c->stun;
	struct endpoint local = {c->config.ip, c->config.port};

	c->own_count = 0;
	if (client_mapping_kind(c) != CLIENT_PORTMAP_NONE)
		add_own(c, c->mapping.external);
	for (unsigned i = 0; i < s->seen_count; i++)
		add_own(c, s->seen[i]);
	/* Someone may have forwarded the tunnel's port by hand. */
	if (s->varies == 1)
		add_own(c, (struct endpoint){s->seen[0].ip, c->config.port});
	add_own(c, local);
	client_control_publish(c);
}

static void report(struct client *c)
{
	struct client_netcheck *r = &c->report;
	const struct client_stun *s = &c->stun;
	bool heard = answers(c) != 0;

	*r = (struct client_netcheck){.done = true,
				      .started_us = s->started_us,
				      .finished_us = c->now_us,
				      .udp = heard,
				      .mapping_varies = heard ? s->varies : -1,
				      .portmap = client_mapping_kind(c)};
	if (heard)
		r->mapped = s->seen[0];
	if (r->portmap != CLIENT_PORTMAP_NONE)
		r->portmapped = c->mapping.external;
}

/* What the answers of this run say. Of a run without any, nothing is kept. */
static void conclude(struct client *c)
{
	struct client_stun *s = &c->stun;

	if (!answers(c))
		return;
	s->seen_count = 0;
	s->varies = -1;
	for (unsigned i = 0; i < c->config.stun_count; i++)
		if (s->mapped[i].ip)
			s->seen[s->seen_count++] = s->mapped[i];
	for (unsigned i = 1; i < s->seen_count; i++)
		if (s->varies != 1)
			s->varies = !endpoint_equal(s->seen[i], s->seen[0]);
}

static void finish_endpoints(struct client *c)
{
	struct client_stun *s = &c->stun;

	s->wants &= ~(unsigned)CLIENT_RUN_ENDPOINTS;
	s->endpoints_us = c->now_us;
	find_own(c);
	s->restun_us = ACTIONS_NEVER;
	if (c->now_us - c->active_us <= CLIENT_SESSION_ACTIVE_US)
		s->restun_us = c->now_us + RESTUN_FROM_US +
			       rng_below(&c->rng, RESTUN_SPREAD_US + 1);
	client_peer_on_endpoints(c);
}

/* The report waits for an attempt at a mapping, for 5 s in all. */
static void finish_report(struct client *c)
{
	struct client_stun *s = &c->stun;

	if (s->asking || !(s->wants & CLIENT_RUN_REPORT))
		return;
	if (client_mapping_busy(c) &&
	    c->now_us < s->started_us + REPORT_TIMEOUT_US)
		return;
	s->wants &= ~(unsigned)CLIENT_RUN_REPORT;
	report(c);
}

/* A run is over when the gateway has had its time as well. */
static void run_again(struct client *c)
{
	struct client_stun *s = &c->stun;

	if (!s->again || s->asking || client_mapping_busy(c))
		return;
	s->again = false;
	client_stun_begin(c, CLIENT_RUN_ENDPOINTS);
}

static void finish_asking(struct client *c)
{
	c->stun.asking = false;
	conclude(c);
	if (c->stun.wants & CLIENT_RUN_ENDPOINTS)
		finish_endpoints(c);
	finish_report(c);
	run_again(c);
}

static void check_complete(struct client *c)
{
	if (c->stun.asking && answers(c) == c->config.stun_count)
		finish_asking(c);
}

void client_stun_begin(struct client *c, unsigned wants)
{
	struct client_stun *s = &c->stun;

	if (wants & CLIENT_RUN_REPORT)
		c->report.done = false;
	s->again |= wants & CLIENT_RUN_AGAIN;
	s->wants |= wants & ~(unsigned)CLIENT_RUN_AGAIN;
	if (wants & CLIENT_RUN_ENDPOINTS)
		client_mapping_look(c);
	if (s->asking)
		return;
	s->asking = true;
	s->started_us = c->now_us;
	s->sends = 0;
	memset(s->mapped, 0, sizeof(s->mapped));
	for (unsigned i = 0; i < c->config.stun_count; i++)
		rng_bytes(&c->rng, s->txid[i], sizeof(s->txid[i]));
	ask(c);
	check_complete(c); /* nobody to ask? */
}

void client_netcheck(struct client *c, uint64_t now_us, struct actions *out)
{
	if (!client_enter(c, now_us, out))
		return;
	client_stun_begin(c, CLIENT_RUN_REPORT);
}

const struct client_netcheck *client_netcheck_report(const struct client *c)
{
	return &c->report;
}

void client_stun_on_udp(struct client *c, const void *data, size_t size_bytes)
{
	struct client_stun *s = &c->stun;
	struct stun_message m;

	if (!s->asking || stun_decode(data, size_bytes, &m, NULL) < 0 ||
	    m.class != STUN_SUCCESS || !m.mapped.ip)
		return;
	for (unsigned i = 0; i < c->config.stun_count; i++)
		if (!s->mapped[i].ip &&
		    memcmp(s->txid[i], m.txid, sizeof(m.txid)) == 0) {
			s->mapped[i] = m.mapped;
			break;
		}
	check_complete(c);
}

void client_stun_on_portmap(struct client *c)
{
	/* Before the first endpoints there is nothing to tell again. */
	if (c->stun.endpoints_us)
		find_own(c);
	finish_report(c);
	run_again(c);
}

uint64_t client_stun_deadline(const struct client *c)
{
	const struct client_stun *s = &c->stun;
	uint64_t at_us = s->restun_us;

	if (s->asking) {
		uint64_t next = s->sends <= RESENDS ? resend_us[s->sends - 1]
						    : STUN_TIMEOUT_US;

		at_us = client_earlier(at_us, s->started_us + next);
	} else if (s->wants & CLIENT_RUN_REPORT) {
		at_us = client_earlier(at_us,
				       s->started_us + REPORT_TIMEOUT_US);
	}
	return at_us;
}

void client_stun_on_timer(struct client *c)
{
	struct client_stun *s = &c->stun;

	if (c->now_us < client_stun_deadline(c))
		return;
	if (c->now_us >= s->restun_us) {
		s->restun_us = ACTIONS_NEVER;
		client_stun_begin(c, CLIENT_RUN_ENDPOINTS);
	}
	if (!s->asking) {
		finish_report(c);
		return;
	}
	if (c->now_us >= s->started_us + STUN_TIMEOUT_US)
		finish_asking(c);
	else if (s->sends <= RESENDS &&
		 c->now_us >= s->started_us + resend_us[s->sends - 1])
		ask(c);
}

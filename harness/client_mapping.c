/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client_mapping: asks the gateway for a port mapping: NAT-PMP (RFC 6886),
 * then UPnP. There is no renewal timer: the mapping is looked at on endpoint
 * updates, as Tailscale does, so that an idle node's can lapse.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "harness/client_private.h"
#include "wire/natpmp.h"

#define ANSWER_US (250 * CLIENT_MS)
#define UPNP_ANSWER_US (10 * CLIENT_S)
#define SERVICE_TRUST_US (600 * CLIENT_S)
#define LIFETIME_S 7200
#define UPNP_RENEW_US (3600 * CLIENT_S)
#define UPNP_MAX_TRIES 5
#define SSDP_IP 0xeffffffa /* 239.255.255.250 */
#define SSDP_PORT 1900

enum { UPNP_CONFLICT = 718, UPNP_BAD_ARGS = 402, UPNP_ONLY_PERMANENT = 725 };

static const char search[] =
	"M-SEARCH * HTTP/1.1\r\n"
	"HOST: 239.255.255.250:1900\r\n"
	"ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
	"MAN: \"ssdp:discover\"\r\n"
	"MX: 2\r\n\r\n";

uint16_t client_portmap_port(const struct client *c)
{
	uint16_t port = c->config.port;

	return (uint16_t)(port == UINT16_MAX ? port - 1 : port + 1);
}

bool client_mapping_busy(const struct client *c)
{
	return c->mapping.state != CLIENT_PM_IDLE;
}

enum client_portmap client_mapping_kind(const struct client *c)
{
	const struct client_mapping *m = &c->mapping;

	return c->now_us < m->good_until_us ? m->kind : CLIENT_PORTMAP_NONE;
}

static void to_gateway(struct client *c, struct endpoint to, const void *data,
		       size_t size_bytes)
{
	struct endpoint src = {c->config.ip, client_portmap_port(c)};

	actions_udp(c->out, src, to, data, size_bytes);
}

static void send_pmp(struct client *c, const struct natpmp_message *m)
{
	struct endpoint to = {c->config.gateway_ip, NATPMP_PORT};
	uint8_t out[NATPMP_MAX_BYTES];
	int n = natpmp_encode(m, out, sizeof(out));

	if (n > 0)
		to_gateway(c, to, out, (size_t)n);
}

static void ended(struct client *c)
{
	c->mapping.state = CLIENT_PM_IDLE;
	c->mapping.tried = true;
	client_stun_on_portmap(c);
}

static void granted(struct client *c, enum client_portmap kind,
		    struct endpoint external, uint64_t good_us,
		    uint64_t renew_us)
{
	struct client_mapping *m = &c->mapping;

	m->kind = kind;
	m->external = external;
	m->good_until_us = c->now_us + good_us;
	m->renew_after_us = c->now_us + renew_us;
	ended(c);
}

/* --- UPnP ---------------------------------------------------------------- */

static void ask_upnp(struct client *c)
{
	struct client_mapping *m = &c->mapping;
	struct upnp_request request = {.op = UPNP_MAP,
				       .internal_port = c->config.port,
				       .external_port = m->wanted_port,
				       .lease_s = m->lease_s};

	snprintf(request.url, sizeof(request.url), "%s", m->url);
	m->state = CLIENT_PM_UPNP;
	m->timer_us = c->now_us + UPNP_ANSWER_US;
	m->upnp_tries++;
	actions_upnp(c->out, &request);
}

static void start_upnp(struct client *c)
{
	struct client_mapping *m = &c->mapping;

	if (!client_within(c, m->upnp_seen_us, SERVICE_TRUST_US)) {
		ended(c);
		return;
	}
	m->lease_s = LIFETIME_S;
	m->upnp_tries = 0;
	ask_upnp(c);
}

static void upnp_granted(struct client *c, const struct upnp_answer *answer)
{
	struct endpoint external = {answer->external_ip,
				    answer->external_port
					    ? answer->external_port
					    : c->mapping.wanted_port};

	/* A permanent lease is looked at again as often as any other. */
	granted(c, CLIENT_PORTMAP_UPNP, external, LIFETIME_S * CLIENT_S,
		UPNP_RENEW_US);
}

void client_mapping_on_upnp(struct client *c, const struct upnp_answer *answer)
{
	struct client_mapping *m = &c->mapping;

	if (m->state != CLIENT_PM_UPNP || answer->op != UPNP_MAP)
		return;
	if (!answer->error && answer->external_ip) {
		upnp_granted(c, answer);
		return;
	}
	if ((answer->error == UPNP_BAD_ARGS ||
	     answer->error == UPNP_ONLY_PERMANENT) &&
	    m->lease_s) {
		m->lease_s = 0;
		ask_upnp(c);
		return;
	}
	if (answer->error == UPNP_CONFLICT && m->upnp_tries < UPNP_MAX_TRIES) {
		m->wanted_port = (uint16_t)(1024 + rng_below(&c->rng, 64512));
		ask_upnp(c);
		return;
	}
	if (answer->error < 0)
		m->upnp_seen_us = 0; /* it is gone: search for it next time */
	ended(c);
}

/* The value of header NAME in an SSDP answer, into TEXT; false: none. */
static bool ssdp_header(const char *data, size_t len, const char *name,
			char *text, size_t text_bytes)
{
	size_t name_len = strlen(name);
	const char *end = data + len, *line = data;

	while (line < end) {
		size_t left = (size_t)(end - line);
		const char *stop = memchr(line, '\n', left);
		size_t line_len = stop ? (size_t)(stop - line) : left;

		if (line_len > name_len && line[name_len] == ':' &&
		    strncasecmp(line, name, name_len) == 0) {
			const char *value = line + name_len + 1;
			size_t value_len = line_len - name_len - 1;

			while (value_len && (*value == ' ' || *value == '\t'))
				value++, value_len--;
			while (value_len && (value[value_len - 1] == '\r' ||
					     value[value_len - 1] == ' '))
				value_len--;
			if (!value_len || value_len >= text_bytes)
				return false;
			memcpy(text, value, value_len);
			text[value_len] = '\0';
			return true;
		}
		line += line_len + 1;
	}
	return false;
}

static void on_ssdp(struct client *c, const void *data, size_t size_bytes)
{
	struct client_mapping *m = &c->mapping;
	char url[sizeof(m->url)];

	/* An answer to no question of ours may come from anyone. */
	if (!client_within(c, m->probed_us, CLIENT_S) || size_bytes < 12 ||
	    memcmp(data, "HTTP/1.1 200", 12) != 0 ||
	    !ssdp_header(data, size_bytes, "LOCATION", url, sizeof(url)))
		return;
	memcpy(m->url, url, sizeof(url));
	m->upnp_seen_us = c->now_us;
}

/* --- NAT-PMP ------------------------------------------------------------- */

static void start_pmp(struct client *c)
{
	struct client_mapping *m = &c->mapping;
	struct natpmp_message map = {.op = NATPMP_MAP_UDP,
				     .internal_port = c->config.port,
				     .external_port = m->wanted_port,
				     .lifetime_s = LIFETIME_S};

	m->state = CLIENT_PM_NAT_PMP;
	m->timer_us = c->now_us + ANSWER_US;
	m->pmp_port = 0;
	send_pmp(c, &map);
}

static void check_pmp(struct client *c)
{
	struct client_mapping *m = &c->mapping;
	struct endpoint external = {m->pmp_external_ip, m->pmp_port};
	uint64_t lifetime_us = m->pmp_lifetime_s * CLIENT_S;

	if (external.ip && external.port)
		granted(c, CLIENT_PORTMAP_NAT_PMP, external, lifetime_us,
			lifetime_us / 2);
}

static void on_pmp(struct client *c, const void *data, size_t size_bytes)
{
	struct client_mapping *m = &c->mapping;
	struct natpmp_message got;

	if (natpmp_decode(data, size_bytes, &got, NULL) < 0 || !got.response)
		return;
	if (got.result != NATPMP_SUCCESS) {
		/* It is there and will not: UPnP may. While probing, the
		 * search is still out. */
		m->pmp_seen_us = 0;
		if (m->state == CLIENT_PM_NAT_PMP)
			start_upnp(c);
		return;
	}
	if (got.op == NATPMP_ADDRESS) {
		m->pmp_external_ip = got.external_ip;
		m->pmp_seen_us = got.external_ip ? c->now_us : 0;
		if (m->state == CLIENT_PM_PROBING && got.external_ip &&
		    !m->only_probes)
			start_pmp(c);
		else if (m->state == CLIENT_PM_NAT_PMP)
			check_pmp(c);
	} else if (got.op == NATPMP_MAP_UDP && m->state == CLIENT_PM_NAT_PMP &&
		   got.internal_port == c->config.port) {
		m->pmp_port = got.external_port;
		m->pmp_lifetime_s = got.lifetime_s;
		check_pmp(c);
	}
}

/* --- both ---------------------------------------------------------------- */

void client_mapping_on_udp(struct client *c, struct endpoint src,
			   const void *data, size_t size_bytes)
{
	if (src.port == NATPMP_PORT && src.ip == c->config.gateway_ip)
		on_pmp(c, data, size_bytes);
	else if (src.port != NATPMP_PORT)
		on_ssdp(c, data, size_bytes);
}

static void probe(struct client *c)
{
	struct endpoint everyone = {SSDP_IP, SSDP_PORT};
	struct natpmp_message ask = {.op = NATPMP_ADDRESS};

	/*
	 * A gateway that had nothing to offer is taken at its word for ten
	 * minutes: netcheck goes on asking, but whoever then answers is asked
	 * for a mapping only when endpoints are looked at the next time.
	 */
	c->mapping.only_probes =
		client_within(c, c->mapping.probed_us, SERVICE_TRUST_US);
	c->mapping.state = CLIENT_PM_PROBING;
	c->mapping.probed_us = c->now_us;
	c->mapping.timer_us = c->now_us + ANSWER_US;
	send_pmp(c, &ask);
	to_gateway(c, everyone, search, sizeof(search) - 1);
}

static bool allowed(const struct client *c)
{
	switch (c->config.policy.portmap) {
	case CLIENT_AT_START:
		return c->config.gateway_ip;
	case CLIENT_ON_FIRST_SEND:
		return c->config.gateway_ip && c->sent_first;
	case CLIENT_NEVER:
		break;
	}
	return false;
}

void client_mapping_look(struct client *c)
{
	struct client_mapping *m = &c->mapping;
	struct natpmp_message ask = {.op = NATPMP_ADDRESS};
	bool held = client_mapping_kind(c) != CLIENT_PORTMAP_NONE;

	if (!allowed(c) || client_mapping_busy(c) ||
	    (held && c->now_us < m->renew_after_us))
		return;
	/* The port it has, or had, else the one peers would guess. */
	m->wanted_port = m->external.port ? m->external.port : c->config.port;
	if (client_within(c, m->pmp_seen_us, SERVICE_TRUST_US)) {
		m->pmp_external_ip = 0; /* it may have changed */
		send_pmp(c, &ask);
		start_pmp(c);
	} else if (client_within(c, m->upnp_seen_us, SERVICE_TRUST_US)) {
		start_upnp(c);
	} else {
		probe(c);
	}
}

uint64_t client_mapping_deadline(const struct client *c)
{
	return client_mapping_busy(c) ? c->mapping.timer_us : ACTIONS_NEVER;
}

void client_mapping_on_timer(struct client *c)
{
	struct client_mapping *m = &c->mapping;

	if (c->now_us < client_mapping_deadline(c))
		return;
	switch (m->state) {
	case CLIENT_PM_NAT_PMP:
		m->pmp_seen_us = 0;
		start_upnp(c);
		break;
	case CLIENT_PM_PROBING:
		if (m->only_probes)
			ended(c);
		else
			start_upnp(c); /* ends where nothing answered */
		break;
	case CLIENT_PM_UPNP:
		m->upnp_seen_us = 0;
		ended(c);
		break;
	case CLIENT_PM_IDLE:
		break;
	}
}

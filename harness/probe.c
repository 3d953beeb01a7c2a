/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/probe_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/cursor.h"

enum {
	DEFAULT_RTO_US = 500000,
	DEFAULT_TRIES = 3,
	DEFAULT_LIFETIME_MAX_US = 600 * 1000000,
	DEFAULT_LIFETIME_STEP_US = 1000000,
	/* More than an Ethernet frame holds, less than two. */
	BULK_BYTES = 2000,
	REQUEST_MAX_BYTES = STUN_MAX_BYTES + BULK_BYTES,
	HEADER_BYTES = 20,
	LENGTH_AT_BYTES = 2,
	/* Unassigned, and of the range that a server passes over. */
	FILLER_ATTRIBUTE = 0xfeed
};

struct probe *probe_new(const struct probe_config *config)
{
	struct probe *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->config = *config;
	if (!p->config.rto_us)
		p->config.rto_us = DEFAULT_RTO_US;
	if (!p->config.tries)
		p->config.tries = DEFAULT_TRIES;
	if (!p->config.lifetime_max_us)
		p->config.lifetime_max_us = DEFAULT_LIFETIME_MAX_US;
	if (!p->config.lifetime_step_us)
		p->config.lifetime_step_us = DEFAULT_LIFETIME_STEP_US;
	rng_init(&p->rng, config->seed, "probe");
	p->report.server = config->server;
	p->report.ip = config->ip;
	return p;
}

void probe_free(struct probe *p)
{
	free(p);
}

const struct probe_report *probe_report(const struct probe *p)
{
	return &p->report;
}

bool probe_done(const struct probe *p)
{
	return p->started && p->stage >= probe_stage_count;
}

const char *probe_stage(const struct probe *p)
{
	return p->stage < probe_stage_count ? probe_stages[p->stage].name : "";
}

void probe_choose_ports(struct probe_config *config, uint16_t first)
{
	/*
	 * Gaps of 3, 8, 13, 18, 23: were they all alike, a NAT that adds a
	 * constant to the local port would look like one that counts up.
	 */
	for (unsigned i = 0, port = first; i < PROBE_PORTS; i++) {
		config->ports[i] = (uint16_t)port;
		port += 3 + 5 * (i * 7 % 5);
	}
}

/* --- for the questions --------------------------------------------------- */

unsigned probe_take_port(struct probe *p)
{
	return p->next_port < PROBE_PORTS ? p->next_port++ : PROBE_PORTS;
}

struct endpoint probe_local(const struct probe *p, unsigned port, bool of_peer)
{
	return (struct endpoint){of_peer ? p->config.peer_ip : p->config.ip,
				 p->config.ports[port]};
}

struct exchange *probe_ask(struct probe *p, unsigned port, struct endpoint to)
{
	/* No question asks so much at once; the last one would be lost. */
	unsigned i = p->count < PROBE_EXCHANGES ? p->count++ : p->count - 1;
	struct exchange *e = &p->exchanges[i];

	*e = (struct exchange){.port = port, .to = to};
	rng_bytes(&p->rng, e->txid, sizeof(e->txid));
	/* Without a port nothing can be sent, so nothing will be answered. */
	e->done = port >= PROBE_PORTS;
	return e;
}

static void note(struct probe_finding *f, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

static void note(struct probe_finding *f, const char *format, va_list args)
{
	vsnprintf(f->note, sizeof(f->note), format, args);
}

void probe_found(struct probe *p, enum probe_item item, int value)
{
	p->report.findings[item] = (struct probe_finding){PROBE_FOUND, value,
							  ""};
}

void probe_remark(struct probe *p, enum probe_item item, const char *format,
		  ...)
{
	va_list args;

	va_start(args, format);
	note(&p->report.findings[item], format, args);
	va_end(args);
}

void probe_unknown(struct probe *p, enum probe_item item, const char *why, ...)
{
	va_list args;

	p->report.findings[item].state = PROBE_UNKNOWN;
	va_start(args, why);
	note(&p->report.findings[item], why, args);
	va_end(args);
}

bool probe_mapped(const struct exchange *e)
{
	struct endpoint mapped = e->answer.mapped;

	/* What is told may be asked in turn: no groups, no port 0. */
	return e->answered && e->answer.class == STUN_SUCCESS && mapped.port &&
	       mapped.ip >> 24 != 0 && mapped.ip >> 24 < 224;
}

struct endpoint probe_corner(const struct probe *p, bool other_ip,
			     bool other_port)
{
	const struct probe_report *r = &p->report;

	return (struct endpoint){other_ip ? r->other.ip : r->server.ip,
				 other_port ? r->other.port : r->server.port};
}

bool probe_translated(const struct probe *p)
{
	return p->report.mapped.ip != p->config.ip;
}

bool probe_knows(const struct probe *p, enum probe_item item, int value)
{
	const struct probe_finding *f = &p->report.findings[item];

	return f->state == PROBE_FOUND && f->value == value;
}

/* --- sending ------------------------------------------------------------- */

/* Appends what the server passes over, until the datagram must be cut. */
static int fill_up(uint8_t *bytes, int size_bytes)
{
	struct writer w = writer_over(bytes, REQUEST_MAX_BYTES);

	writer_room(&w, (size_t)size_bytes);
	writer_u16(&w, FILLER_ATTRIBUTE);
	writer_u16(&w, BULK_BYTES);
	writer_zero(&w, BULK_BYTES);
	writer_patch_u16(&w, LENGTH_AT_BYTES,
			 (uint16_t)(w.at_bytes - HEADER_BYTES));
	return writer_result(&w);
}

static void send_request(struct probe *p, const struct exchange *e,
			 struct actions *out)
{
	struct endpoint src = probe_local(p, e->port, e->by_peer);
	struct stun_message m = {.class = STUN_REQUEST,
				 .method = STUN_METHOD_BINDING,
				 .change_request = e->change,
				 .response_port = e->response_port};
	uint8_t bytes[REQUEST_MAX_BYTES];
	int size_bytes;

	memcpy(m.txid, e->txid, sizeof(m.txid));
	/* RFC 5780 6.1: how much padding the answer has is the server's. */
	m.padding_bytes = e->bulk == BULK_ANSWER ? 4 : 0;
	size_bytes = stun_encode(&m, bytes, STUN_MAX_BYTES);
	if (size_bytes > 0 && e->bulk == BULK_REQUEST)
		size_bytes = fill_up(bytes, size_bytes);
	if (size_bytes <= 0)
		return;
	p->report.sent++;
	actions_udp(out, src, e->to, bytes, (size_t)size_bytes);
}

/* Sends what is due, gives up what has waited for long enough. */
static void send_due(struct probe *p, struct actions *out)
{
	for (unsigned i = 0; i < p->count; i++) {
		struct exchange *e = &p->exchanges[i];

		if (e->done || e->next_us > p->now_us)
			continue;
		if (e->tries == p->config.tries) {
			e->done = true;
			continue;
		}
		e->next_us = p->now_us + (p->config.rto_us << e->tries);
		e->tries++;
		send_request(p, e, out);
	}
}

/* --- the questions, one after the other ---------------------------------- */

static bool all_done(const struct probe *p)
{
	for (unsigned i = 0; i < p->count; i++)
		if (!p->exchanges[i].done)
			return false;
	return true;
}

void probe_rest(struct probe *p)
{
	for (unsigned i = 0; i < p->count && p->config.rest_us; i++)
		p->exchanges[i].start_us = p->now_us + p->config.rest_us;
}

static void begin(struct probe *p)
{
	const struct probe_stage *stage = &probe_stages[p->stage];

	p->count = 0;
	stage->start(p);
	if (stage->rests && !p->phase)
		probe_rest(p);
	for (unsigned i = 0; i < p->count; i++)
		p->exchanges[i].next_us = p->exchanges[i].start_us;
	p->running = true;
}

static void step(struct probe *p, struct actions *out)
{
	while (p->stage < probe_stage_count) {
		if (!p->running)
			begin(p);
		send_due(p, out);
		if (!all_done(p))
			return;
		p->running = false;
		if (probe_stages[p->stage].finish(p)) {
			p->phase++;
			continue;
		}
		p->stage++;
		p->phase = 0;
	}
}

void probe_start(struct probe *p, uint64_t now_us, struct actions *out)
{
	p->now_us = now_us;
	p->started = true;
	step(p, out);
}

void probe_on_timer(struct probe *p, uint64_t now_us, struct actions *out)
{
	if (now_us > p->now_us)
		p->now_us = now_us;
	if (p->started)
		step(p, out);
}

uint64_t probe_deadline(const struct probe *p)
{
	uint64_t nearest = ACTIONS_NEVER;

	if (!p->started || probe_done(p))
		return ACTIONS_NEVER;
	for (unsigned i = 0; i < p->count; i++)
		if (!p->exchanges[i].done && p->exchanges[i].next_us < nearest)
			nearest = p->exchanges[i].next_us;
	return nearest;
}

/* --- hearing ------------------------------------------------------------- */

/* Is the local endpoint DST where the answer to E must come? */
static bool heard_there(const struct probe *p, const struct exchange *e,
			struct endpoint dst)
{
	return endpoint_equal(dst, e->heard_at.ip ?
					   e->heard_at :
					   probe_local(p, e->port, e->by_peer));
}

/*
 * An answer must come from where it was asked for, so that somebody else's
 * guess is none; the transaction id tells the rest.
 */
static bool comes_right(const struct probe *p, const struct exchange *e,
			struct endpoint src)
{
	bool to_other_ip = e->to.ip == p->report.other.ip;
	bool to_other_port = e->to.port == p->report.other.port;
	struct endpoint changed;

	if (e->loops || endpoint_equal(src, e->to))
		return true;
	changed = probe_corner(p,
			       to_other_ip != !!(e->change & STUN_CHANGE_IP),
			       to_other_port !=
				       !!(e->change & STUN_CHANGE_PORT));
	return e->change && endpoint_equal(src, changed);
}

static struct exchange *find_exchange(struct probe *p,
				      const struct stun_message *m,
				      struct endpoint src, struct endpoint dst)
{
	for (unsigned i = 0; i < p->count; i++) {
		struct exchange *e = &p->exchanges[i];
		bool is_request = m->class == STUN_REQUEST;

		if (e->tries && !e->done && is_request == e->loops &&
		    !memcmp(e->txid, m->txid, sizeof(m->txid)) &&
		    comes_right(p, e, src)) {
			if (heard_there(p, e, dst))
				return e;
			e->strayed |= e->by_peer && dst.ip == p->config.ip;
		}
	}
	return NULL;
}

void probe_on_udp(struct probe *p, uint64_t now_us, struct endpoint src,
		  struct endpoint dst, const void *payload,
		  size_t payload_bytes, struct actions *out)
{
	struct stun_message m;
	struct exchange *e;

	if (now_us > p->now_us)
		p->now_us = now_us;
	if (!p->started || !stun_looks_like(payload, payload_bytes) ||
	    stun_decode(payload, payload_bytes, &m, NULL) ||
	    m.method != STUN_METHOD_BINDING || m.class == STUN_INDICATION)
		return;
	e = find_exchange(p, &m, src, dst);
	if (!e)
		return;
	e->done = e->answered = true;
	e->answered_us = p->now_us;
	e->unchanged = e->change && endpoint_equal(src, e->to);
	e->from = src;
	e->answer = m;
	e->answer_bytes = payload_bytes;
	p->report.heard++;
	step(p, out);
}

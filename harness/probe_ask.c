/* SPDX-License-Identifier: BSD-3-Clause */
/* The questions that take a moment each, in the order in which they are put. */
#include "harness/probe_private.h"

#include <stdio.h>

bool probe_has_peer(const struct probe *p)
{
	return p->config.peer_ip;
}

bool probe_lacks_other(struct probe *p, enum probe_item item)
{
	if (p->report.other.ip)
		return false;
	probe_unknown(p, item, "the server has no second address "
			       "(no usable OTHER-ADDRESS)");
	return true;
}

const char *probe_failure(const struct exchange *e, char text[static 80])
{
	if (!e->answered)
		return "no answer";
	if (e->answer.class == STUN_ERROR)
		snprintf(text, 80, "the server answers with error %u",
			 e->answer.error_code);
	else
		snprintf(text, 80, "the answer tells no address");
	return text;
}

/* --- is anybody there? ---------------------------------------------------- */

enum { HELLO_PORT = 0 }; /* the mapping question goes on with it */

static void hello_start(struct probe *p)
{
	probe_ask(p, probe_take_port(p), p->config.server);
}

/* Refused are addresses that no honest server would name. */
static bool usable_other(const struct probe *p, struct endpoint other)
{
	struct endpoint server = p->config.server;

	return other.ip && other.port && other.ip != server.ip &&
	       other.port != server.port && other.ip != p->config.ip &&
	       other.ip >> 24 != 0 && other.ip >> 24 != 127 &&
	       other.ip >> 24 < 224;
}

static bool hello_finish(struct probe *p)
{
	const struct exchange *e = &p->exchanges[0];
	struct probe_report *r = &p->report;
	char server[ENDPOINT_TEXT_BYTES], why[80];

	endpoint_format(p->config.server, server);
	if (!probe_mapped(e)) {
		for (unsigned i = 0; i < PROBE_ITEMS; i++)
			if (e->answered)
				probe_unknown(p, i, "%s: %s", server,
					      probe_failure(e, why));
			else
				probe_unknown(p, i, "%s does not answer: UDP "
					      "is blocked, or no STUN server "
					      "is there", server);
		p->stage = probe_stage_count - 1; /* nothing more to ask */
		return false;
	}
	r->mapped = e->answer.mapped;
	snprintf(r->software, sizeof(r->software), "%s", e->answer.software);
	if (usable_other(p, e->answer.other_address))
		r->other = e->answer.other_address;
	return false;
}

/* --- mapping, RFC 5780 4.3 ----------------------------------------------- */

/* What the three other corners and a fresh port have to say. */
enum { OTHER_PORT, OTHER_IP, OPPOSITE, FRESH };

static void mapping_start(struct probe *p)
{
	struct endpoint local = probe_local(p, HELLO_PORT, false);

	if (endpoint_equal(p->report.mapped, local)) {
		probe_found(p, PROBE_MAPPING, PROBE_UNTRANSLATED);
		return;
	}
	if (probe_lacks_other(p, PROBE_MAPPING))
		return;
	probe_ask(p, HELLO_PORT, probe_corner(p, false, true));
	probe_ask(p, HELLO_PORT, probe_corner(p, true, false));
	probe_ask(p, HELLO_PORT, probe_corner(p, true, true));
	/*
	 * Some NATs refuse a second mapping of a port. Silence then means that
	 * only if the other address can be reached at all.
	 */
	probe_ask(p, probe_take_port(p), probe_corner(p, true, true));
}

static bool same_mapping(const struct exchange *e, struct endpoint mapped)
{
	return probe_mapped(e) && endpoint_equal(e->answer.mapped, mapped);
}

/* Or one of them was not told. */
static bool agree(const struct exchange *a, const struct exchange *b)
{
	return !probe_mapped(a) || !probe_mapped(b) ||
	       same_mapping(b, a->answer.mapped);
}

/* What the second mapping of one local port was like. */
static void tell_mapping(struct probe *p, enum probe_dependence value,
			 const struct exchange *second)
{
	int step;

	probe_found(p, PROBE_MAPPING, (int)value);
	if (!probe_mapped(second)) {
		probe_remark(p, PROBE_MAPPING,
			     "second destination: refused");
		return;
	}
	step = second->answer.mapped.port - p->report.mapped.port;
	probe_remark(p, PROBE_MAPPING,
		     "second destination: %+d", step);
}

static bool mapping_finish(struct probe *p)
{
	const struct exchange *e = p->exchanges;
	struct endpoint first = p->report.mapped;
	char why[80];

	if (!p->count)
		return false;
	if (!probe_mapped(&e[FRESH]))
		probe_unknown(p, PROBE_MAPPING, "the server's other address: "
			      "%s", probe_failure(&e[FRESH], why));
	else if (same_mapping(&e[OTHER_IP], first) &&
		 same_mapping(&e[OPPOSITE], first))
		probe_found(p, PROBE_MAPPING, PROBE_EI);
	/* Where ports are drawn, two are the same once in 64,000 times. */
	else if (same_mapping(&e[OTHER_PORT], first) &&
		 agree(&e[OTHER_IP], &e[OPPOSITE]))
		tell_mapping(p, PROBE_AD, &e[OTHER_IP]);
	else
		tell_mapping(p, PROBE_APD, &e[OTHER_PORT]);
	return false;
}

/* --- filtering, RFC 5780 4.4 --------------------------------------------- */

/* First a mapping, then the same asked from elsewhere. */
enum { BY_OPPOSITE, BY_OTHER_PORT };

static void filtering_start(struct probe *p)
{
	unsigned port;

	if (probe_lacks_other(p, PROBE_FILTERING))
		return;
	if (!p->phase) {
		p->scratch_port = probe_take_port(p);
		probe_ask(p, p->scratch_port, p->config.server);
		return;
	}
	port = p->scratch_port;
	probe_ask(p, port, p->config.server)->change =
		STUN_CHANGE_IP | STUN_CHANGE_PORT;
	probe_ask(p, port, p->config.server)->change = STUN_CHANGE_PORT;
}

static bool filtering_finish(struct probe *p)
{
	const struct exchange *e = p->exchanges;
	char why[80];

	if (!p->count)
		return false;
	if (!p->phase && probe_mapped(e))
		return true;
	if (!p->phase)
		probe_unknown(p, PROBE_FILTERING, "%s", probe_failure(e, why));
	else if (e[0].answered && e[0].answer.class == STUN_ERROR)
		probe_unknown(p, PROBE_FILTERING, "CHANGE-REQUEST: %s",
			      probe_failure(e, why));
	else if (e[0].unchanged || e[1].unchanged)
		probe_unknown(p, PROBE_FILTERING,
			      "the server passes over CHANGE-REQUEST");
	else if (e[BY_OPPOSITE].answered)
		probe_found(p, PROBE_FILTERING, PROBE_EI);
	else if (e[BY_OTHER_PORT].answered)
		probe_found(p, PROBE_FILTERING, PROBE_AD);
	else
		probe_found(p, PROBE_FILTERING, PROBE_APD);
	return false;
}

/*
 * Silence is proof only if the server can be heard from its other address.
 * Asked where filters are opened first; a mapping that depends on the
 * destination does not let it in even so.
 */
static void control_start(struct probe *p)
{
	if (probe_knows(p, PROBE_FILTERING, PROBE_EI) ||
	    p->report.findings[PROBE_FILTERING].state != PROBE_FOUND ||
	    !(probe_knows(p, PROBE_MAPPING, PROBE_EI) ||
	      probe_knows(p, PROBE_MAPPING, PROBE_UNTRANSLATED)))
		return;
	if (!p->phase) {
		p->scratch_port = probe_take_port(p);
		probe_ask(p, p->scratch_port, p->config.server);
		probe_ask(p, p->scratch_port, probe_corner(p, true, true));
		return;
	}
	probe_ask(p, p->scratch_port, p->config.server)->change =
		STUN_CHANGE_IP | STUN_CHANGE_PORT;
}

static bool control_finish(struct probe *p)
{
	if (!p->count)
		return false;
	if (!p->phase)
		return true;
	if (!p->exchanges[0].answered)
		probe_unknown(p, PROBE_FILTERING, "the server never answers "
			      "from its other address, so silence proves "
			      "nothing");
	return false;
}

/* --- hairpin, RFC 5780 4.5 ------------------------------------------------ */

/*
 * Both ends send to each other's mapping, so each opens its own filter for the
 * other. With a peer the second end is there.
 */
static void hairpin_start(struct probe *p)
{
	if (!probe_translated(p)) {
		probe_unknown(p, PROBE_HAIRPIN, "nothing is translated: there "
			      "is no outside address to come back by");
		return;
	}
	for (unsigned i = 0; i < 2; i++) {
		bool by_peer = probe_has_peer(p) && i;
		struct exchange *e;

		if (!p->phase)
			p->hairpin_ports[i] = probe_take_port(p);
		e = probe_ask(p, p->hairpin_ports[i], p->config.server);
		e->by_peer = by_peer;
		if (!p->phase)
			continue;
		e->to = p->hairpin_mapped[!i];
		e->loops = true;
		e->heard_at = probe_local(p, p->hairpin_ports[!i],
					  probe_has_peer(p) && !i);
	}
}

static bool hairpin_finish(struct probe *p)
{
	const struct exchange *e = p->exchanges;
	const struct exchange *heard;
	char why[80];

	if (!p->count)
		return false;
	for (unsigned i = 0; !p->phase && i < 2; i++) {
		if (!probe_mapped(&e[i])) {
			probe_unknown(p, PROBE_HAIRPIN, "a second mapping: %s",
				      probe_failure(&e[i], why));
			return false;
		}
		p->hairpin_mapped[i] = e[i].answer.mapped;
	}
	if (!p->phase)
		return true;
	heard = e[0].answered ? &e[0] : &e[1];
	if (!heard->answered)
		probe_found(p, PROBE_HAIRPIN, PROBE_HAIRPIN_NONE);
	else if (heard->from.ip == p->config.ip ||
		 (probe_has_peer(p) && heard->from.ip == p->config.peer_ip))
		probe_found(p, PROBE_HAIRPIN, PROBE_HAIRPIN_INTERNAL);
	else
		probe_found(p, PROBE_HAIRPIN, PROBE_HAIRPIN_EXTERNAL);
	return false;
}

/* --- fragments ------------------------------------------------------------ */

static void fragments_start(struct probe *p)
{
	probe_ask(p, probe_take_port(p), p->config.server)->bulk = BULK_REQUEST;
	probe_ask(p, probe_take_port(p), p->config.server)->bulk = BULK_ANSWER;
}

static bool fragments_finish(struct probe *p)
{
	/* Shorter than this it has come in one piece. */
	enum { WHOLE_BYTES = 1480 };
	const struct exchange *out = &p->exchanges[0], *in = &p->exchanges[1];
	char why[80];

	if (out->answered && !probe_mapped(out))
		probe_unknown(p, PROBE_FRAGMENTS_OUT, "%s",
			      probe_failure(out, why));
	else
		probe_found(p, PROBE_FRAGMENTS_OUT, out->answered);
	if (in->answered && !probe_mapped(in))
		probe_unknown(p, PROBE_FRAGMENTS_IN, "PADDING: %s",
			      probe_failure(in, why));
	else if (in->answered && in->answer_bytes < WHOLE_BYTES)
		probe_unknown(p, PROBE_FRAGMENTS_IN, "the server does not pad "
			      "its answer (%zu bytes)", in->answer_bytes);
	else
		probe_found(p, PROBE_FRAGMENTS_IN, in->answered);
	return false;
}

/* ------------------------------------------------------------------------- */

const struct probe_stage probe_stages[] = {
	{"server", hello_start, hello_finish, false},
	{"mapping", mapping_start, mapping_finish, false},
	{"filtering", filtering_start, filtering_finish, true},
	{"filtering, cross-check", control_start, control_finish, true},
	{"ports", probe_ports_start, probe_ports_finish, true},
	{"hairpin", hairpin_start, hairpin_finish, true},
	{"fragments", fragments_start, fragments_finish, true},
	{"two hosts on one port", probe_shared_start, probe_shared_finish, true},
	{"lifetime", probe_lifetime_start, probe_lifetime_finish, false},
	{"refresh", probe_refresh_start, probe_refresh_finish, false},
};
const unsigned probe_stage_count =
	sizeof(probe_stages) / sizeof(probe_stages[0]);

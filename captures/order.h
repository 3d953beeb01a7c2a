/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * order: sentences about journeys that a recording must satisfy.
 *
 *   EVENT before EVENT          the first of the left is before the first of
 *                               the right; both happen
 *   no EVENT before EVENT       the right happens, and no left before it
 *   some EVENT                  it happens
 *   never EVENT                 it does not
 *   EVENT within 5s after EVENT the left happens at most 5 s after the first
 *                               of the right, and not only before it
 *
 * EVENT is `x -> y [of KIND] leaves|reaches|dies at NODE`. KIND is disco,
 * disco.ping, disco.pong, disco.call-me-maybe, stun, wireguard, portmap or
 * relay; without one, any UDP packet of a client that is meant for that peer.
 * What never was to happen is not proven where JOURNEY_OPAQUE leaves it open.
 * Times: us, ms, s, m, h.
 */
#ifndef NATRIG_CAPTURES_ORDER_H
#define NATRIG_CAPTURES_ORDER_H

#include "captures/journey.h"

enum order_form {
	ORDER_BEFORE,
	ORDER_NO_BEFORE,
	ORDER_SOME,
	ORDER_NEVER,
	ORDER_WITHIN
};

enum order_what { ORDER_LEAVES, ORDER_REACHES, ORDER_DIES_AT };

struct order_event {
	int from, to;	/* nodes of the cast */
	unsigned kinds; /* JOURNEY_* bits; 0: any UDP packet for that peer */
	enum order_what what;
	int at; /* node of the cast; of dies at: -2 is "internet" */
};

struct order_statement {
	char text[256];
	enum order_form form;
	struct order_event left, right;
	uint64_t within_ns;
};

#define ORDER_MAX_EVIDENCE 8

struct order_result {
	bool holds;
	unsigned frames[ORDER_MAX_EVIDENCE]; /* numbers, as Wireshark counts */
	unsigned frame_count;
	char why[512]; /* what the recording shows, for a person; names the
			* journey where it falls short */
};

/*
 * Parses one statement against the names of CAST. err->column is the place in
 * TEXT (from 1); the text names what was expected and the nearest name.
 */
int order_parse(const char *text, const struct cast *cast,
		struct order_statement *statement, struct err *err);

void order_check(const struct order_statement *statement,
		 const struct journeys *journeys, struct order_result *result);

#endif

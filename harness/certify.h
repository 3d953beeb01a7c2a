/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * certify: is each router what it was asked to be? Measured by packets, and
 * told as a table of the IETF's requirements for NATs: RFC 4787 (UDP), RFC 5382
 * (TCP) and RFC 5508 (ICMP).
 *
 * A requirement is met, or broken as asked (the scenario wants such a NAT), or
 * broken (it does not). A router that measures otherwise than it was asked to
 * be lies, whichever requirement that meets or breaks.
 *
 * Two do the measuring: the probe (probe.h), as a program behind the router
 * would, and the exam (exam.h), with crafted packets.
 *
 * Not certified: what `set` makes of a router later, port mapping.
 */
#ifndef NATRIG_HARNESS_CERTIFY_H
#define NATRIG_HARNESS_CERTIFY_H

#include <jansson.h>
#include <stdio.h>

#include "harness/exam.h"
#include "harness/probe.h"
#include "harness/scenario.h"

enum certify_state {
	CERTIFY_MET,
	CERTIFY_BROKEN_AS_ASKED,
	CERTIFY_BROKEN,
	CERTIFY_NOT_MEASURED
};

#define CERTIFY_LINES 64

struct certify_line {
	const char *requirement; /* "RFC 4787 REQ-1" */
	const char *says;	 /* in few words */
	enum certify_state state;
	bool lies;     /* measured otherwise than asked */
	char got[224]; /* what was measured, or why it was not */
	const char *how; /* it was measured; NULL: it was not */
};

struct certificate {
	struct certify_line lines[CERTIFY_LINES];
	unsigned count;
	unsigned lies;
};

struct certify_measured {
	struct probe_report probe;
	struct exam_report exam;
};

/* Pure: what was asked, who does it, and what was measured. */
void certify_judge(const struct nat *asked, enum nat_by by,
		   const struct certify_measured *measured,
		   struct certificate *certificate);

/*
 * Measures every router of the scenario, each on the internet of a lab made
 * for that, with two hosts of its own behind it: in place, a router behind
 * another would be judged by both. Routers that are alike are measured once.
 * Must be in a sandbox. *JSON, the caller's to decref:
 * [{"router","nat","lies":["..."],"lines":[{"requirement","says",
 *   "state":"met|broken-as-asked|broken|not-measured","lies","got","how"}]}]
 * 0, or a negative errno with the words. *LIES: how many routers lie.
 */
int certify_scenario(const struct scenario *s, int interrupt_fd, json_t **json,
		     unsigned *lies, struct err *err);

/*
 * That JSON as tables of at most 80 columns, each line indented; unless ALL,
 * only of routers that lie.
 */
void certify_text(const json_t *json, unsigned indent, bool all, FILE *out);

#endif

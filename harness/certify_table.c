/* SPDX-License-Identifier: BSD-3-Clause */
/* The requirements, and what a probe's findings say of each. */
#include "harness/certify.h"

#include <stdlib.h>
#include <string.h>

#include "harness/probe_report.h"

/* What was asked says nothing of it: whatever is measured will do. */
#define ANY (-1)

/* Of a timer that was skipped ahead to; the search's own step is 1 s. */
enum { SLACK_S = 2, UDP_TIMER_LEAST_S = 120 };

struct requirement {
	const char *name, *says;
	/* PROBE_ITEMS: it is not measured, and `why` says why. */
	enum probe_item item;
	bool (*meets)(int value);
	int (*wanted)(const struct nat *nat); /* the value asked for, or ANY */
	const char *how;		      /* of the measurement; or why */
};

/* --- what is good --------------------------------------------------------- */

static bool independent(int value)
{
	return value == PROBE_EI || value == PROBE_UNTRANSLATED;
}

/* REQ-8 recommends EIF, or where more is to be kept out, ADF. */
static bool lenient(int value)
{
	return value == PROBE_EI || value == PROBE_AD;
}

static bool paired(int value)
{
	return value == PROBE_PAIRED;
}

static bool not_overloaded(int value)
{
	return value != PROBE_SHARED_OVERLOADED;
}

static bool yes(int value)
{
	return value;
}

static bool external(int value)
{
	return value == PROBE_HAIRPIN_EXTERNAL;
}

static bool two_minutes(int value)
{
	return value >= UDP_TIMER_LEAST_S - 1;
}

static bool always(int value)
{
	(void)value;
	return true;
}

/* --- what was asked ------------------------------------------------------- */

static int wanted_mapping(const struct nat *nat)
{
	static const int values[] = {[NAT_MAPPING_NONE] = PROBE_UNTRANSLATED,
				     [NAT_EIM] = PROBE_EI,
				     [NAT_ADM] = PROBE_AD,
				     [NAT_APDM] = PROBE_APD};

	return values[nat->mapping];
}

static int wanted_filtering(const struct nat *nat)
{
	static const int values[] = {[NAT_FILTERING_NONE] = PROBE_EI,
				     [NAT_EIF] = PROBE_EI,
				     [NAT_ADF] = PROBE_AD,
				     [NAT_APDF] = PROBE_APD};

	return values[nat->filtering];
}

static int wanted_ports(const struct nat *nat)
{
	static const int values[] = {[NAT_PORTS_PRESERVE] = PROBE_PRESERVED,
				     [NAT_PORTS_RANDOM] = PROBE_RANDOM,
				     [NAT_PORTS_SEQUENTIAL] = PROBE_SEQUENTIAL};

	return values[nat->ports];
}

static int wanted_parity(const struct nat *nat)
{
	return nat->ports == NAT_PORTS_PRESERVE;
}

static int wanted_hairpin(const struct nat *nat)
{
	return nat->hairpin ? PROBE_HAIRPIN_EXTERNAL : PROBE_HAIRPIN_NONE;
}

static int wanted_udp_timeout(const struct nat *nat)
{
	bool stateless = nat->mapping == NAT_MAPPING_NONE &&
			 nat->filtering == NAT_FILTERING_NONE;

	return stateless ? ANY : (int)nat->udp_timeout_s;
}

static int wanted_stream_timeout(const struct nat *nat)
{
	bool stateless = nat->mapping == NAT_MAPPING_NONE &&
			 nat->filtering == NAT_FILTERING_NONE;

	return stateless ? ANY : (int)nat->udp_stream_timeout_s;
}

static int wanted_yes(const struct nat *nat)
{
	(void)nat;
	return 1;
}

static int wanted_nothing(const struct nat *nat)
{
	(void)nat;
	return ANY;
}

/* --- the table ------------------------------------------------------------ */

static const struct requirement requirements[] = {
	{"RFC 4787 REQ-1", "endpoint-independent mapping", PROBE_MAPPING,
	 independent, wanted_mapping, "one port, four destinations"},
	{"RFC 4787 REQ-2", "paired address pooling", PROBE_POOLING, paired,
	 wanted_nothing, "eight mappings of one host"},
	{"RFC 4787 REQ-3", "no port overloading", PROBE_SHARED_PORT,
	 not_overloaded, wanted_nothing, "two hosts, one port"},
	{"RFC 4787 4.2", "port assignment", PROBE_ALLOCATION, always,
	 wanted_ports, "eight ports, one destination"},
	{"RFC 4787 REQ-4", "port parity preserved", PROBE_PARITY, yes,
	 wanted_parity, "eight ports, odd and even"},
	{"RFC 4787 REQ-5", "UDP timer of two minutes", PROBE_LIFETIME,
	 two_minutes, wanted_udp_timeout, "silence after one exchange"},
	{"RFC 4787 REQ-5 a", "the same, for a stream", PROBE_STREAM_LIFETIME,
	 two_minutes, wanted_stream_timeout, "silence after 3 s of exchange"},
	{"RFC 4787 REQ-6", "outbound packets refresh", PROBE_REFRESH_OUT, yes,
	 wanted_yes, "one packet out at 60 % of the lifetime"},
	{"RFC 4787 REQ-7", "conflicting networks", PROBE_ITEMS, NULL, NULL,
	 "the lab's networks never conflict"},
	{"RFC 4787 REQ-8", "filtering not by port", PROBE_FILTERING, lenient,
	 wanted_filtering, "answers from another port and address"},
	{"RFC 4787 REQ-9", "hairpin, external source", PROBE_HAIRPIN, external,
	 wanted_hairpin, "two mappings send to each other"},
	{"RFC 4787 REQ-10", "no ALGs", PROBE_ITEMS, NULL, NULL,
	 "the probe sends nothing that an ALG knows"},
	{"RFC 4787 REQ-11", "deterministic", PROBE_DETERMINISM, yes, wanted_yes,
	 "the second host on a port is mapped alike"},
	{"RFC 4787 REQ-12", "ICMP ends no mapping", PROBE_ITEMS, NULL, NULL,
	 "the probe sends no ICMP"},
	{"RFC 4787 REQ-13", "fragmentation needed", PROBE_ITEMS, NULL, NULL,
	 "the lab's links have one MTU"},
	{"RFC 4787 REQ-14", "fragments outbound", PROBE_FRAGMENTS_OUT, yes,
	 wanted_yes, "a 2000-byte request, in order"},
	{"RFC 4787 REQ-14", "fragments inbound", PROBE_FRAGMENTS_IN, yes,
	 wanted_yes, "a padded answer, in order"},
	{"RFC 5382", "TCP", PROBE_ITEMS, NULL, NULL, "the probe speaks UDP"},
	{"RFC 5508", "ICMP", PROBE_ITEMS, NULL, NULL, "the probe speaks UDP"},
};

#define REQUIREMENTS (sizeof(requirements) / sizeof(requirements[0]))
_Static_assert(REQUIREMENTS < CERTIFY_LINES, "a certificate holds them all");

/* --- judging -------------------------------------------------------------- */

static bool as_wanted(enum probe_item item, int value, int wanted)
{
	if (wanted == ANY)
		return true;
	if (item == PROBE_LIFETIME || item == PROBE_STREAM_LIFETIME)
		return abs(value - wanted) <= SLACK_S;
	/* Where none is asked for, chance may still keep it. */
	if (item == PROBE_PARITY && !wanted)
		return true;
	if (item == PROBE_ALLOCATION && wanted == PROBE_SEQUENTIAL)
		return value == PROBE_SEQUENTIAL || value == PROBE_BLOCK;
	return value == wanted;
}

static const char *words_of(enum probe_item item, int value,
			    char text[static PROBE_VALUE_BYTES])
{
	struct probe_finding f = {.state = PROBE_FOUND, .value = value};

	return probe_value_words(&f, item, text);
}

static void judge_found(const struct requirement *r, const struct nat *asked,
			int value, struct certify_line *line)
{
	int wanted = r->wanted(asked);
	char is[PROBE_VALUE_BYTES], should[PROBE_VALUE_BYTES];

	line->lies = !as_wanted(r->item, value, wanted);
	if (r->meets(value))
		line->state = CERTIFY_MET;
	else if (wanted != ANY && !line->lies)
		line->state = CERTIFY_BROKEN_AS_ASKED;
	else
		line->state = CERTIFY_BROKEN;
	words_of(r->item, value, is);
	if (line->lies)
		snprintf(line->got, sizeof(line->got),
			 "asked for %s, measured %s",
			 words_of(r->item, wanted, should), is);
	else
		snprintf(line->got, sizeof(line->got), "%s", is);
	line->how = r->how;
}

static struct certify_line *add_line(struct certificate *c, const char *name,
				     const char *says)
{
	struct certify_line *line = &c->lines[c->count++];

	*line = (struct certify_line){.requirement = name,
				      .says = says,
				      .state = CERTIFY_NOT_MEASURED};
	return line;
}

/* All that can be said of a router that lets no UDP out. */
static bool judge_silence(const struct nat *asked, const struct probe_report *r,
			  struct certificate *c)
{
	bool silent = !r->mapped.ip;
	struct certify_line *line;

	if (!silent && !asked->udp_blocked)
		return false;
	line = add_line(c, "UDP", "gets out");
	line->state = !silent		  ? CERTIFY_MET :
		      asked->udp_blocked ? CERTIFY_BROKEN_AS_ASKED :
					   CERTIFY_BROKEN;
	line->lies = silent != asked->udp_blocked;
	snprintf(line->got, sizeof(line->got), "asked for %s, measured %s",
		 asked->udp_blocked ? "no" : "yes", silent ? "no" : "yes");
	line->how = "one port, three requests to a STUN server";
	c->lies += line->lies;
	return true;
}

void certify_judge(const struct nat *asked, const struct probe_report *report,
		   struct certificate *c)
{
	*c = (struct certificate){0};
	if (judge_silence(asked, report, c))
		return;
	for (unsigned i = 0; i < REQUIREMENTS; i++) {
		const struct requirement *r = &requirements[i];
		const struct probe_finding *f;
		struct certify_line *line = add_line(c, r->name, r->says);

		f = r->item < PROBE_ITEMS ? &report->findings[r->item] : NULL;
		if (f && f->state == PROBE_FOUND)
			judge_found(r, asked, f->value, line);
		else
			snprintf(line->got, sizeof(line->got), "%s",
				 f ? f->note : r->how);
		c->lies += line->lies;
	}
}

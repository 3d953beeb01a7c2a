/* SPDX-License-Identifier: BSD-3-Clause */
/* The requirements, and what a probe's findings say of each. */
#include "harness/certify.h"

#include <stdlib.h>
#include <string.h>

#include "harness/probe_report.h"

/* What was asked says nothing of it: whatever is measured will do. */
#define ANY (-1)

/* Of a timer that was skipped ahead to; the search's own step is 1 s. */
enum {
	SLACK_S = 2,
	UDP_TIMER_LEAST_S = 120,
	TCP_TIMER_LEAST_S = 7440,
	TCP_OPENING_LEAST_S = 240,
	ICMP_TIMER_LEAST_S = 60,
	/* The probe's stream begins when its mapping is so old. */
	STREAM_AGE_S = 3
};

struct asked {
	struct nat nat; /* with each default in place of its 0 */
	bool by_engine;
};

enum source { PROBE, EXAM };

struct requirement {
	const char *name, *says;
	enum source source;
	unsigned item; /* enum probe_item, enum exam_item */
	bool (*meets)(int value);
	int (*wanted)(const struct asked *asked); /* the value, or ANY */
	const char *how; /* it was measured */
	/*
	 * NULL: what is wanted is what was asked for. False: it is what is
	 * known of who does it, though the scenario asked for something else.
	 */
	bool (*as_asked)(const struct asked *asked);
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

static bool two_hours(int value)
{
	return value >= TCP_TIMER_LEAST_S;
}

static bool four_minutes(int value)
{
	return value >= TCP_OPENING_LEAST_S;
}

static bool one_minute(int value)
{
	return value >= ICMP_TIMER_LEAST_S;
}

static bool not_at_once(int value)
{
	return value == EXAM_STRAY_SILENT || value == EXAM_STRAY_LATE;
}

static bool always(int value)
{
	(void)value;
	return true;
}

/* --- what was asked ------------------------------------------------------- */

static int wanted_mapping(const struct asked *a)
{
	static const int values[] = {[NAT_MAPPING_NONE] = PROBE_UNTRANSLATED,
				     [NAT_EIM] = PROBE_EI,
				     [NAT_ADM] = PROBE_AD,
				     [NAT_APDM] = PROBE_APD};

	return values[a->nat.mapping];
}

static int wanted_filtering(const struct asked *a)
{
	static const int values[] = {[NAT_FILTERING_NONE] = PROBE_EI,
				     [NAT_EIF] = PROBE_EI,
				     [NAT_ADF] = PROBE_AD,
				     [NAT_APDF] = PROBE_APD};

	return values[a->nat.filtering];
}

/* netfilter's rules open filters for UDP only; TCP is let in by its flow. */
static int wanted_tcp_filtering(const struct asked *a)
{
	if (a->by_engine || a->nat.filtering == NAT_FILTERING_NONE)
		return wanted_filtering(a);
	return PROBE_APD;
}

static bool tcp_filtering_as_asked(const struct asked *a)
{
	return wanted_tcp_filtering(a) == wanted_filtering(a);
}

static bool preserves(const struct asked *a)
{
	return a->nat.ports == NAT_PORTS_PRESERVE ||
	       a->nat.ports == NAT_PORTS_PRESERVE_ONLY;
}

static int wanted_ports(const struct asked *a)
{
	static const int values[] = {
		[NAT_PORTS_PRESERVE] = PROBE_PRESERVED,
		[NAT_PORTS_RANDOM] = PROBE_RANDOM,
		[NAT_PORTS_SEQUENTIAL] = PROBE_SEQUENTIAL,
		[NAT_PORTS_BLOCK] = PROBE_BLOCK,
		[NAT_PORTS_PRESERVE_ONLY] = PROBE_PRESERVED};

	/* On two addresses two blocks may have the same ports. */
	if (a->nat.ports == NAT_PORTS_BLOCK && a->nat.pool > 1)
		return PROBE_SEQUENTIAL;
	return values[a->nat.ports];
}

static int wanted_parity(const struct asked *a)
{
	return preserves(a);
}

static int wanted_pooling(const struct asked *a)
{
	return a->nat.pooling == NAT_POOLING_ARBITRARY ? PROBE_ARBITRARY :
							 PROBE_PAIRED;
}

/* An engine never has a port serve two; netfilter may, by destination. */
static int wanted_shared(const struct asked *a)
{
	if (!a->by_engine || a->nat.pool > 1)
		return ANY;
	return a->nat.ports == NAT_PORTS_PRESERVE_ONLY ? PROBE_SHARED_REFUSED :
							 PROBE_SHARED_OTHER;
}

static int wanted_hairpin(const struct asked *a)
{
	static const int values[] = {
		[NAT_HAIRPIN_NONE] = PROBE_HAIRPIN_NONE,
		[NAT_HAIRPIN_EXTERNAL] = PROBE_HAIRPIN_EXTERNAL,
		[NAT_HAIRPIN_INTERNAL] = PROBE_HAIRPIN_INTERNAL};

	return values[a->nat.hairpin];
}

static int wanted_tcp_hairpin(const struct asked *a)
{
	return a->by_engine ? wanted_hairpin(a) : PROBE_HAIRPIN_NONE;
}

static bool tcp_hairpin_as_asked(const struct asked *a)
{
	return wanted_tcp_hairpin(a) == wanted_hairpin(a);
}

static bool absolute(const struct asked *a)
{
	return a->nat.lifetime == NAT_LIFETIME_ABSOLUTE;
}

/* Everything gets in at any time: no timer shows. */
static bool stateless(const struct asked *a)
{
	return a->nat.mapping == NAT_MAPPING_NONE &&
	       a->nat.filtering == NAT_FILTERING_NONE;
}

static int wanted_udp_timeout(const struct asked *a)
{
	return stateless(a) ? ANY : (int)a->nat.udp_timeout_s;
}

/* An absolute lifetime has run for a while when the stream begins. */
static int wanted_stream_timeout(const struct asked *a)
{
	if (absolute(a))
		return (int)a->nat.udp_timeout_s - STREAM_AGE_S;
	return stateless(a) ? ANY : (int)a->nat.udp_stream_timeout_s;
}

/* Nothing beyond what RFC 5382 wants is waited for, unless it was asked for. */
static int wanted_tcp_timeout(const struct asked *a)
{
	return stateless(a) ? ANY : (int)a->nat.tcp_timeout_s;
}

static int wanted_tcp_transitory(const struct asked *a)
{
	if (absolute(a))
		return (int)a->nat.tcp_timeout_s;
	return stateless(a) ? ANY : (int)a->nat.tcp_transitory_timeout_s;
}

static int wanted_icmp_timeout(const struct asked *a)
{
	return stateless(a) ? ANY : (int)a->nat.icmp_timeout_s;
}

static int wanted_refresh_out(const struct asked *a)
{
	return stateless(a) ? ANY : !absolute(a);
}

static int wanted_refresh_in(const struct asked *a)
{
	if (stateless(a))
		return ANY;
	return !absolute(a) && a->nat.refresh == NAT_REFRESH_BOTH;
}

/* Who looks at no flow looks at no error. */
static int wanted_no_forgery(const struct asked *a)
{
	return stateless(a) ? ANY : 1;
}

/* What is accepted finds nobody that listens, which the router's own says. */
static int wanted_stray_udp(const struct asked *a)
{
	return a->nat.wan_input == NAT_WAN_DROP ? EXAM_STRAY_SILENT :
						  EXAM_STRAY_ICMP;
}

static int wanted_stray_tcp(const struct asked *a)
{
	if (a->nat.wan_input == NAT_WAN_DROP)
		return EXAM_STRAY_SILENT;
	if (a->nat.wan_input == NAT_WAN_ACCEPT)
		return EXAM_STRAY_RESET;
	return a->by_engine ? EXAM_STRAY_LATE : EXAM_STRAY_ICMP;
}

static int wanted_yes(const struct asked *a)
{
	(void)a;
	return 1;
}

static int wanted_nothing(const struct asked *a)
{
	(void)a;
	return ANY;
}

/* --- the table ------------------------------------------------------------ */

static const char tcp_ways[] = "one port, SYNs to three destinations";

static const struct requirement requirements[] = {
	{"RFC 4787 REQ-1", "endpoint-independent mapping", PROBE, PROBE_MAPPING,
	 independent, wanted_mapping, "one port, four destinations", NULL},
	{"RFC 4787 REQ-2", "paired address pooling", PROBE, PROBE_POOLING,
	 paired, wanted_pooling, "eight mappings of one host", NULL},
	{"RFC 4787 REQ-3", "no port overloading", PROBE, PROBE_SHARED_PORT,
	 not_overloaded, wanted_nothing, "two hosts, one port", NULL},
	{"RFC 4787 REQ-3", "nor by destination", EXAM, EXAM_UDP_SHARED,
	 not_overloaded, wanted_shared,
	 "two hosts, one port, two destinations", NULL},
	{"RFC 4787 4.2", "port assignment", PROBE, PROBE_ALLOCATION, always,
	 wanted_ports, "eight ports, one destination", NULL},
	{"RFC 4787 REQ-4", "port parity preserved", PROBE, PROBE_PARITY, yes,
	 wanted_parity, "eight ports, odd and even", NULL},
	{"RFC 4787 REQ-5", "UDP timer of two minutes", PROBE, PROBE_LIFETIME,
	 two_minutes, wanted_udp_timeout, "silence after one exchange", NULL},
	{"RFC 4787 REQ-5 a", "the same, for a stream", PROBE,
	 PROBE_STREAM_LIFETIME, two_minutes, wanted_stream_timeout,
	 "silence after 3 s of exchange", NULL},
	{"RFC 4787 REQ-6", "outbound packets refresh", PROBE,
	 PROBE_REFRESH_OUT, yes, wanted_refresh_out,
	 "one packet out at 60 % of the lifetime", NULL},
	{"RFC 4787 REQ-6 a", "inbound packets may", PROBE, PROBE_REFRESH_IN,
	 always, wanted_refresh_in, "one packet in at 60 % of the lifetime",
	 NULL},
	{"RFC 4787 REQ-7", "no conflicting networks", EXAM, EXAM_NETWORKS, yes,
	 wanted_yes, "the addresses on both sides", NULL},
	{"RFC 4787 REQ-8", "filtering not by port", PROBE, PROBE_FILTERING,
	 lenient, wanted_filtering, "answers from another port and address",
	 NULL},
	{"RFC 4787 REQ-9", "hairpin, external source", PROBE, PROBE_HAIRPIN,
	 external, wanted_hairpin, "two mappings send to each other", NULL},
	{"RFC 4787 REQ-10", "no ALGs", EXAM, EXAM_ALG, yes, wanted_yes,
	 "SIP and FTP that name the inside address", NULL},
	{"RFC 4787 REQ-11", "deterministic", PROBE, PROBE_DETERMINISM, yes,
	 wanted_yes, "the second host on a port is mapped alike", NULL},
	{"RFC 4787 REQ-12", "ICMP ends no mapping", EXAM, EXAM_UDP_ERROR_KEEPS,
	 yes, wanted_yes, "a packet in after port unreachable", NULL},
	{"RFC 4787 REQ-13", "fragmentation needed", EXAM, EXAM_TOO_BIG, yes,
	 wanted_yes, "DF, 1328 bytes for a link of 1280", NULL},
	{"RFC 4787 REQ-14", "fragments outbound", PROBE, PROBE_FRAGMENTS_OUT,
	 yes, wanted_yes, "a 2000-byte request, in order", NULL},
	{"RFC 4787 REQ-14", "fragments inbound", PROBE, PROBE_FRAGMENTS_IN, yes,
	 wanted_yes, "a padded answer, in order", NULL},
	{"RFC 4787 REQ-14a", "outbound, out of order", EXAM, EXAM_FRAGMENTS_OUT,
	 yes, wanted_yes, "two fragments, the last one first", NULL},
	{"RFC 4787 REQ-14a", "inbound, out of order", EXAM, EXAM_FRAGMENTS_IN,
	 yes, wanted_yes, "two fragments, the last one first", NULL},
	{"wan-input", "a stray UDP packet gets", EXAM, EXAM_STRAY_UDP, always,
	 wanted_stray_udp, "UDP from outside to an unused port", NULL},

	{"RFC 5382 REQ-1", "endpoint-independent mapping", EXAM,
	 EXAM_TCP_MAPPING, independent, wanted_mapping, tcp_ways, NULL},
	{"RFC 5382 REQ-2", "connections open and close", EXAM,
	 EXAM_TCP_HANDSHAKE, yes, wanted_yes, "ten segments", NULL},
	{"RFC 5382 REQ-2 b", "simultaneous open", EXAM, EXAM_TCP_SIMULTANEOUS,
	 yes, wanted_yes, "two SYNs that cross", NULL},
	{"RFC 5382 REQ-3", "filtering not by port", EXAM, EXAM_TCP_FILTERING,
	 lenient, wanted_tcp_filtering, "SYNs from another port and address",
	 tcp_filtering_as_asked},
	{"RFC 5382 REQ-4", "a stray SYN gets", EXAM, EXAM_TCP_STRAY,
	 not_at_once, wanted_stray_tcp, "a SYN to an unused port, then 7 s",
	 NULL},
	{"RFC 5382 REQ-5", "idle for 2 h 4 min", EXAM, EXAM_TCP_LIFETIME,
	 two_hours, wanted_tcp_timeout, "silence once established", NULL},
	{"RFC 5382 REQ-5", "opening for 4 min", EXAM, EXAM_TCP_TRANSITORY,
	 four_minutes, wanted_tcp_transitory, "silence after a SYN", NULL},
	{"RFC 5382 REQ-6", "no ALGs", EXAM, EXAM_ALG, yes, wanted_yes,
	 "FTP that names the inside address", NULL},
	{"RFC 5382 REQ-7", "no port overloading", EXAM, EXAM_TCP_SHARED,
	 not_overloaded, wanted_shared,
	 "two hosts, one port, two destinations", NULL},
	{"RFC 5382 REQ-8", "hairpin, external source", EXAM, EXAM_TCP_HAIRPIN,
	 external, wanted_tcp_hairpin, "SYNs to each other's mapping",
	 tcp_hairpin_as_asked},
	{"RFC 5382 REQ-9", "ICMP errors come in", EXAM, EXAM_TCP_ERROR, yes,
	 wanted_yes, "host unreachable about a segment", NULL},
	{"RFC 5382 REQ-10", "and end no connection", EXAM, EXAM_TCP_ERROR_KEEPS,
	 yes, wanted_yes, "data both ways after it", NULL},

	{"RFC 5508 REQ-1", "queries pass", EXAM, EXAM_ICMP_QUERY, yes,
	 wanted_yes, "echo and echo reply", NULL},
	{"RFC 5508 REQ-2", "query timer of a minute", EXAM, EXAM_ICMP_LIFETIME,
	 one_minute, wanted_icmp_timeout, "silence after an echo", NULL},
	{"RFC 5508 REQ-3", "wrong checksums are dropped", EXAM,
	 EXAM_ICMP_FORGED, yes, wanted_no_forgery, "an error with a wrong one", NULL},
	{"RFC 5508 REQ-4", "errors for UDP come in", EXAM, EXAM_UDP_ERROR, yes,
	 wanted_yes, "port unreachable, what it quotes put back", NULL},
	{"RFC 5508 REQ-4", "errors for queries come in", EXAM, EXAM_ICMP_ERROR,
	 yes, wanted_yes, "host unreachable, what it quotes put back", NULL},
	{"RFC 5508 REQ-5", "errors from inside go out", EXAM,
	 EXAM_ICMP_ERROR_OUT, yes, wanted_yes,
	 "port unreachable, what it quotes put back", NULL},
	{"RFC 5508 REQ-6", "errors refresh no query", EXAM,
	 EXAM_ICMP_ERROR_KEEPS, yes, wanted_yes,
	 "an error at 70 % of the lifetime", NULL},
	{"RFC 5508 REQ-7", "errors are hairpinned", EXAM, EXAM_ICMP_HAIRPIN,
	 yes, wanted_yes, "port unreachable to a neighbour's mapping", NULL},
	{"RFC 5508 REQ-8", "who is refused is told", EXAM, EXAM_REFUSED, yes,
	 wanted_nothing, "a second host on a taken port", NULL},
	{"RFC 5508 REQ-10", "time exceeded is told", EXAM, EXAM_TTL, yes,
	 wanted_yes, "an echo with a TTL of 1", NULL},
	{"RFC 3022 4.1", "checksums are right", EXAM, EXAM_CHECKSUMS, yes,
	 wanted_yes, "all packets of the exam that came through", NULL},
};

#define REQUIREMENTS (sizeof(requirements) / sizeof(requirements[0]))
_Static_assert(REQUIREMENTS < CERTIFY_LINES, "a certificate holds them all");

/* --- judging -------------------------------------------------------------- */

static bool is_item(const struct requirement *r, enum source source,
		    unsigned item)
{
	return r->source == source && r->item == item;
}

static bool is_lifetime(const struct requirement *r)
{
	return is_item(r, PROBE, PROBE_LIFETIME) ||
	       is_item(r, PROBE, PROBE_STREAM_LIFETIME);
}

static bool as_wanted(const struct requirement *r, int value, int wanted)
{
	if (wanted == ANY)
		return true;
	if (is_lifetime(r))
		return abs(value - wanted) <= SLACK_S;
	/* Where none is asked for, chance may still keep it. */
	if (is_item(r, PROBE, PROBE_PARITY) && !wanted)
		return true;
	if (is_item(r, PROBE, PROBE_ALLOCATION) && wanted == PROBE_SEQUENTIAL)
		return value == PROBE_SEQUENTIAL || value == PROBE_BLOCK;
	return value == wanted;
}

static const char *words_of(const struct requirement *r, int value,
			    char text[static PROBE_VALUE_BYTES])
{
	struct probe_finding f = {.state = PROBE_FOUND, .value = value};

	if (r->source == EXAM)
		return exam_value_words(r->item, value, text);
	return probe_value_words(&f, r->item, text);
}

static void judge_found(const struct requirement *r, const struct asked *asked,
			const struct probe_finding *f,
			struct certify_line *line)
{
	int wanted = r->wanted(asked);
	char is[PROBE_VALUE_BYTES], should[PROBE_VALUE_BYTES];

	line->lies = !as_wanted(r, f->value, wanted);
	if (r->meets(f->value))
		line->state = CERTIFY_MET;
	else if (wanted != ANY && !line->lies &&
		 (!r->as_asked || r->as_asked(asked)))
		line->state = CERTIFY_BROKEN_AS_ASKED;
	else
		line->state = CERTIFY_BROKEN;
	words_of(r, f->value, is);
	if (line->lies)
		snprintf(line->got, sizeof(line->got),
			 "asked for %s, measured %s",
			 words_of(r, wanted, should), is);
	else if (r->as_asked && !r->as_asked(asked))
		snprintf(line->got, sizeof(line->got),
			 "%s: netfilter does this for UDP only", is);
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

/* True: no UDP gets out, and all there is to say of UDP is said. */
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

static void judge(const struct requirement *r, const struct asked *asked,
		  const struct certify_measured *m, struct certificate *c)
{
	const struct probe_finding *f = r->source == EXAM ?
						&m->exam.findings[r->item] :
						&m->probe.findings[r->item];
	struct certify_line *line = add_line(c, r->name, r->says);

	if (f->state == PROBE_FOUND)
		judge_found(r, asked, f, line);
	else
		snprintf(line->got, sizeof(line->got), "%s", f->note);
	c->lies += line->lies;
}

void certify_judge(const struct nat *asked, enum nat_by by,
		   const struct certify_measured *measured,
		   struct certificate *c)
{
	const struct asked a = {nat_filled(asked, by), by == NAT_BY_ENGINE};
	bool silent;

	*c = (struct certificate){0};
	silent = judge_silence(asked, &measured->probe, c);
	for (unsigned i = 0; i < REQUIREMENTS; i++)
		/* Of UDP there is no more to be said. */
		if (!silent || !strncmp(requirements[i].name, "RFC 5", 5))
			judge(&requirements[i], &a, measured, c);
}

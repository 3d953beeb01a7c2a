/* SPDX-License-Identifier: BSD-3-Clause */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "harness/certify.h"
#include "harness/probe_report.h"

/* A router as RFC 4787 wants it, and one that measures so. */
static const struct nat good = {.mapping = NAT_EIM,
				.filtering = NAT_EIF,
				.hairpin = NAT_HAIRPIN_EXTERNAL,
				.udp_timeout_s = 120,
				.udp_stream_timeout_s = 300};

static struct certificate c;

/* Of the exam, those that are met by yes. */
static const enum exam_item passed[] = {
	EXAM_CHECKSUMS,	    EXAM_NETWORKS,	   EXAM_ALG,
	EXAM_UDP_ERROR,	    EXAM_UDP_ERROR_KEEPS,  EXAM_TOO_BIG,
	EXAM_FRAGMENTS_OUT, EXAM_FRAGMENTS_IN,	   EXAM_TCP_HANDSHAKE,
	EXAM_TCP_ERROR,	    EXAM_TCP_ERROR_KEEPS,  EXAM_TCP_SIMULTANEOUS,
	EXAM_ICMP_QUERY,    EXAM_ICMP_FORGED,	   EXAM_ICMP_ERROR,
	EXAM_ICMP_HAIRPIN,  EXAM_ICMP_ERROR_KEEPS, EXAM_ICMP_ERROR_OUT,
	EXAM_REFUSED,	    EXAM_TTL};

static struct certify_measured measured(void)
{
	static const int values[PROBE_ITEMS] = {
		[PROBE_MAPPING] = PROBE_EI,
		[PROBE_FILTERING] = PROBE_EI,
		[PROBE_ALLOCATION] = PROBE_PRESERVED,
		[PROBE_PARITY] = 1,
		[PROBE_POOLING] = PROBE_PAIRED,
		[PROBE_HAIRPIN] = PROBE_HAIRPIN_EXTERNAL,
		[PROBE_FRAGMENTS_OUT] = 1,
		[PROBE_FRAGMENTS_IN] = 1,
		[PROBE_SHARED_PORT] = PROBE_SHARED_OTHER,
		[PROBE_DETERMINISM] = 1,
		[PROBE_LIFETIME] = 120,
		[PROBE_STREAM_LIFETIME] = 299,
		[PROBE_REFRESH_OUT] = 1,
		[PROBE_REFRESH_IN] = 1};
	static const int examined[EXAM_ITEMS] = {
		[EXAM_STRAY_UDP] = EXAM_STRAY_SILENT,
		[EXAM_UDP_SHARED] = PROBE_SHARED_OTHER,
		[EXAM_TCP_MAPPING] = PROBE_EI,
		[EXAM_TCP_FILTERING] = PROBE_EI,
		[EXAM_TCP_STRAY] = EXAM_STRAY_SILENT,
		[EXAM_TCP_LIFETIME] = 7440,
		[EXAM_TCP_TRANSITORY] = 240,
		[EXAM_TCP_SHARED] = PROBE_SHARED_OTHER,
		[EXAM_TCP_HAIRPIN] = PROBE_HAIRPIN_EXTERNAL,
		[EXAM_ICMP_LIFETIME] = 60};
	struct certify_measured m = {.probe.mapped = {0x19000001, 20000}};

	for (unsigned i = 0; i < PROBE_ITEMS; i++)
		m.probe.findings[i] =
			(struct probe_finding){PROBE_FOUND, values[i], ""};
	for (unsigned i = 0; i < EXAM_ITEMS; i++)
		m.exam.findings[i] =
			(struct probe_finding){PROBE_FOUND, examined[i], ""};
	for (unsigned i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
		m.exam.findings[passed[i]].value = 1;
	return m;
}

static const struct certify_line *line_of(const char *requirement)
{
	for (unsigned i = 0; i < c.count; i++)
		if (!strcmp(c.lines[i].requirement, requirement))
			return &c.lines[i];
	ck_abort_msg("no line %s", requirement);
	return NULL;
}

START_TEST(a_good_router_meets_all)
{
	struct certify_measured r = measured();

	certify_judge(&good, NAT_BY_ENGINE, &r, &c);
	ck_assert_uint_eq(c.lies, 0);
	for (unsigned i = 0; i < c.count; i++)
		ck_assert_msg(c.lines[i].state == CERTIFY_MET ||
				      c.lines[i].state == CERTIFY_NOT_MEASURED,
			      "%s: %s", c.lines[i].requirement, c.lines[i].got);
	/* RFC 4787 has fourteen requirements: each has a line. */
	for (unsigned i = 1; i <= 14; i++) {
		char name[32];

		snprintf(name, sizeof(name), "RFC 4787 REQ-%u", i);
		line_of(name);
	}
}
END_TEST

/* One finding off, what it breaks, and whether the good router then lies. */
static const struct {
	enum probe_item item;
	int value;
	const char *requirement;
	enum certify_state state;
	bool lies;
} off[] = {
	{PROBE_MAPPING, PROBE_APD, "RFC 4787 REQ-1", CERTIFY_BROKEN, true},
	{PROBE_MAPPING, PROBE_AD, "RFC 4787 REQ-1", CERTIFY_BROKEN, true},
	{PROBE_POOLING, PROBE_ARBITRARY, "RFC 4787 REQ-2", CERTIFY_BROKEN,
	 true},
	{PROBE_SHARED_PORT, PROBE_SHARED_OVERLOADED, "RFC 4787 REQ-3",
	 CERTIFY_BROKEN, false},
	{PROBE_ALLOCATION, PROBE_RANDOM, "RFC 4787 4.2", CERTIFY_MET, true},
	{PROBE_PARITY, 0, "RFC 4787 REQ-4", CERTIFY_BROKEN, true},
	{PROBE_LIFETIME, 30, "RFC 4787 REQ-5", CERTIFY_BROKEN, true},
	{PROBE_LIFETIME, 117, "RFC 4787 REQ-5", CERTIFY_BROKEN, true},
	{PROBE_LIFETIME, 123, "RFC 4787 REQ-5", CERTIFY_MET, true},
	{PROBE_STREAM_LIFETIME, 450, "RFC 4787 REQ-5 a", CERTIFY_MET, true},
	{PROBE_REFRESH_OUT, 0, "RFC 4787 REQ-6", CERTIFY_BROKEN, true},
	{PROBE_REFRESH_IN, 0, "RFC 4787 REQ-6 a", CERTIFY_MET, true},
	/* A stricter filter is fine with the RFC, but not what was asked. */
	{PROBE_FILTERING, PROBE_AD, "RFC 4787 REQ-8", CERTIFY_MET, true},
	{PROBE_FILTERING, PROBE_APD, "RFC 4787 REQ-8", CERTIFY_BROKEN, true},
	{PROBE_HAIRPIN, PROBE_HAIRPIN_INTERNAL, "RFC 4787 REQ-9",
	 CERTIFY_BROKEN, true},
	{PROBE_HAIRPIN, PROBE_HAIRPIN_NONE, "RFC 4787 REQ-9", CERTIFY_BROKEN,
	 true},
	{PROBE_DETERMINISM, 0, "RFC 4787 REQ-11", CERTIFY_BROKEN, true},
	{PROBE_FRAGMENTS_OUT, 0, "RFC 4787 REQ-14", CERTIFY_BROKEN, true},
};

START_TEST(what_is_off_is_told)
{
	struct certify_measured r = measured();
	const struct certify_line *line;

	r.probe.findings[off[_i].item].value = off[_i].value;
	certify_judge(&good, NAT_BY_ENGINE, &r, &c);
	line = line_of(off[_i].requirement);
	ck_assert_int_eq(line->state, off[_i].state);
	ck_assert_int_eq(line->lies, off[_i].lies);
	ck_assert_uint_eq(c.lies, off[_i].lies);
	if (off[_i].lies)
		ck_assert_ptr_nonnull(strstr(line->got, "asked for"));
}
END_TEST

/* The same of the exam; each item once. */
static const struct {
	enum exam_item item;
	int value;
	const char *requirement;
	enum certify_state state;
	bool lies;
} off_exam[] = {
	{EXAM_NETWORKS, 0, "RFC 4787 REQ-7", CERTIFY_BROKEN, true},
	{EXAM_ALG, 0, "RFC 4787 REQ-10", CERTIFY_BROKEN, true},
	{EXAM_UDP_ERROR_KEEPS, 0, "RFC 4787 REQ-12", CERTIFY_BROKEN, true},
	{EXAM_TOO_BIG, 0, "RFC 4787 REQ-13", CERTIFY_BROKEN, true},
	{EXAM_FRAGMENTS_OUT, 0, "RFC 4787 REQ-14a", CERTIFY_BROKEN, true},
	{EXAM_STRAY_UDP, EXAM_STRAY_ICMP, "wan-input", CERTIFY_MET, true},
	{EXAM_TCP_MAPPING, PROBE_AD, "RFC 5382 REQ-1", CERTIFY_BROKEN, true},
	{EXAM_TCP_HANDSHAKE, 0, "RFC 5382 REQ-2", CERTIFY_BROKEN, true},
	{EXAM_TCP_SIMULTANEOUS, 0, "RFC 5382 REQ-2 b", CERTIFY_BROKEN, true},
	{EXAM_TCP_FILTERING, PROBE_AD, "RFC 5382 REQ-3", CERTIFY_MET, true},
	{EXAM_TCP_STRAY, EXAM_STRAY_RESET, "RFC 5382 REQ-4", CERTIFY_BROKEN,
	 true},
	{EXAM_TCP_LIFETIME, 7439, "RFC 5382 REQ-5", CERTIFY_BROKEN, true},
	{EXAM_TCP_SHARED, PROBE_SHARED_OVERLOADED, "RFC 5382 REQ-7",
	 CERTIFY_BROKEN, true},
	{EXAM_TCP_HAIRPIN, PROBE_HAIRPIN_NONE, "RFC 5382 REQ-8", CERTIFY_BROKEN,
	 true},
	{EXAM_TCP_ERROR, 0, "RFC 5382 REQ-9", CERTIFY_BROKEN, true},
	{EXAM_TCP_ERROR_KEEPS, 0, "RFC 5382 REQ-10", CERTIFY_BROKEN, true},
	{EXAM_ICMP_QUERY, 0, "RFC 5508 REQ-1", CERTIFY_BROKEN, true},
	{EXAM_ICMP_LIFETIME, 59, "RFC 5508 REQ-2", CERTIFY_BROKEN, true},
	{EXAM_ICMP_FORGED, 0, "RFC 5508 REQ-3", CERTIFY_BROKEN, true},
	{EXAM_UDP_ERROR, 0, "RFC 5508 REQ-4", CERTIFY_BROKEN, true},
	{EXAM_ICMP_ERROR_OUT, 0, "RFC 5508 REQ-5", CERTIFY_BROKEN, true},
	{EXAM_ICMP_ERROR_KEEPS, 0, "RFC 5508 REQ-6", CERTIFY_BROKEN, true},
	{EXAM_ICMP_HAIRPIN, 0, "RFC 5508 REQ-7", CERTIFY_BROKEN, true},
	{EXAM_REFUSED, 0, "RFC 5508 REQ-8", CERTIFY_BROKEN, false},
	{EXAM_TTL, 0, "RFC 5508 REQ-10", CERTIFY_BROKEN, true},
	{EXAM_CHECKSUMS, 0, "RFC 3022 4.1", CERTIFY_BROKEN, true},
};

START_TEST(what_the_exam_finds_is_told)
{
	struct certify_measured r = measured();
	const struct certify_line *line;

	r.exam.findings[off_exam[_i].item].value = off_exam[_i].value;
	certify_judge(&good, NAT_BY_ENGINE, &r, &c);
	line = line_of(off_exam[_i].requirement);
	ck_assert_int_eq(line->state, off_exam[_i].state);
	ck_assert_int_eq(line->lies, off_exam[_i].lies);
	/* What breaks two requirements is told with both. */
	ck_assert_int_eq(c.lies > 0, off_exam[_i].lies);
}
END_TEST

/* Full cone, but of UDP: broken, though not as asked, and no lie. */
START_TEST(what_netfilter_does_for_udp_only)
{
	struct nat cone = good;
	struct certify_measured r = measured();

	r.exam.findings[EXAM_TCP_LIFETIME].value = 432000;
	r.exam.findings[EXAM_TCP_TRANSITORY].value = 120;
	r.exam.findings[EXAM_ICMP_LIFETIME].value = 30;
	r.exam.findings[EXAM_TCP_FILTERING].value = PROBE_APD;
	r.exam.findings[EXAM_TCP_HAIRPIN].value = PROBE_HAIRPIN_NONE;
	certify_judge(&cone, NAT_BY_NETFILTER, &r, &c);
	ck_assert_uint_eq(c.lies, 0);
	ck_assert_int_eq(line_of("RFC 5382 REQ-3")->state, CERTIFY_BROKEN);
	ck_assert_int_eq(line_of("RFC 5382 REQ-8")->state, CERTIFY_BROKEN);
	ck_assert_ptr_nonnull(strstr(line_of("RFC 5382 REQ-3")->got,
				     "UDP only"));
	/* Were it otherwise, what is known of netfilter would be wrong. */
	r.exam.findings[EXAM_TCP_FILTERING].value = PROBE_EI;
	certify_judge(&cone, NAT_BY_NETFILTER, &r, &c);
	ck_assert_uint_eq(c.lies, 1);
}
END_TEST

/* A mapping that lasts as long as it was given, and no packet changes that. */
START_TEST(absolute_lifetimes)
{
	struct nat nat = good;
	struct certify_measured r = measured();

	nat.lifetime = NAT_LIFETIME_ABSOLUTE;
	r.probe.findings[PROBE_STREAM_LIFETIME].value = 117;
	r.probe.findings[PROBE_REFRESH_OUT].value = 0;
	r.probe.findings[PROBE_REFRESH_IN].value = 0;
	r.exam.findings[EXAM_TCP_TRANSITORY].value = 7440;
	certify_judge(&nat, NAT_BY_ENGINE, &r, &c);
	ck_assert_uint_eq(c.lies, 0);
	ck_assert_int_eq(line_of("RFC 4787 REQ-6")->state,
			 CERTIFY_BROKEN_AS_ASKED);
	r.probe.findings[PROBE_REFRESH_OUT].value = 1;
	certify_judge(&nat, NAT_BY_ENGINE, &r, &c);
	ck_assert_uint_eq(c.lies, 1);
}
END_TEST

START_TEST(what_was_asked_is_no_lie)
{
	struct nat hard = {.mapping = NAT_APDM,
			   .filtering = NAT_APDF,
			   .ports = NAT_PORTS_RANDOM,
			   .udp_timeout_s = 30,
			   .udp_stream_timeout_s = 120};
	struct certify_measured r = measured();

	r.probe.findings[PROBE_MAPPING].value = PROBE_APD;
	r.probe.findings[PROBE_FILTERING].value = PROBE_APD;
	r.probe.findings[PROBE_ALLOCATION].value = PROBE_RANDOM;
	r.probe.findings[PROBE_HAIRPIN].value = PROBE_HAIRPIN_NONE;
	r.probe.findings[PROBE_LIFETIME].value = 30;
	r.probe.findings[PROBE_STREAM_LIFETIME].value = 120;
	r.exam.findings[EXAM_TCP_MAPPING].value = PROBE_APD;
	r.exam.findings[EXAM_TCP_FILTERING].value = PROBE_APD;
	r.exam.findings[EXAM_TCP_HAIRPIN].value = PROBE_HAIRPIN_NONE;
	r.exam.findings[EXAM_TCP_LIFETIME].value = 432000;
	r.exam.findings[EXAM_TCP_TRANSITORY].value = 120;
	r.exam.findings[EXAM_ICMP_LIFETIME].value = 30;
	certify_judge(&hard, NAT_BY_NETFILTER, &r, &c);
	ck_assert_uint_eq(c.lies, 0);
	for (unsigned i = 0; i < 4; i++) {
		static const char *const broken[] = {
			"RFC 4787 REQ-1", "RFC 4787 REQ-5", "RFC 4787 REQ-8",
			"RFC 4787 REQ-9"};

		ck_assert_int_eq(line_of(broken[i])->state,
				 CERTIFY_BROKEN_AS_ASKED);
	}
	/* Random ports keep the parity, or they do not: both as asked. */
	ck_assert_int_eq(line_of("RFC 4787 REQ-4")->state, CERTIFY_MET);
	r.probe.findings[PROBE_PARITY].value = 0;
	certify_judge(&hard, NAT_BY_NETFILTER, &r, &c);
	ck_assert_uint_eq(c.lies, 0);
	ck_assert_int_eq(line_of("RFC 4787 REQ-4")->state,
			 CERTIFY_BROKEN_AS_ASKED);
	/* And one that was asked to be hard, but is not, lies. */
	r.probe.findings[PROBE_MAPPING].value = PROBE_EI;
	certify_judge(&hard, NAT_BY_NETFILTER, &r, &c);
	ck_assert_uint_eq(c.lies, 1);
	ck_assert_int_eq(line_of("RFC 4787 REQ-1")->state, CERTIFY_MET);
}
END_TEST

START_TEST(silence_is_judged)
{
	struct nat nat = good;
	struct certify_measured r = measured();

	nat.udp_blocked = _i & 1;
	if (_i & 2)
		r.probe.mapped.ip = 0;
	certify_judge(&nat, NAT_BY_ENGINE, &r, &c);
	ck_assert_uint_eq(c.lies, _i == 1 || _i == 2);
	if (_i == 3)
		ck_assert_int_eq(line_of("UDP")->state,
				 CERTIFY_BROKEN_AS_ASKED);
}
END_TEST

START_TEST(what_is_not_known_is_not_judged)
{
	struct certify_measured r = measured();

	for (unsigned i = 0; i < PROBE_ITEMS; i++)
		r.probe.findings[i] = (struct probe_finding){PROBE_UNKNOWN, 1,
							     "the reason"};
	for (unsigned i = 0; i < EXAM_ITEMS; i++)
		r.exam.findings[i] = (struct probe_finding){PROBE_UNKNOWN, 1,
							    "the reason"};
	certify_judge(&good, NAT_BY_ENGINE, &r, &c);
	ck_assert_uint_eq(c.lies, 0);
	for (unsigned i = 0; i < c.count; i++)
		ck_assert_int_eq(c.lines[i].state, CERTIFY_NOT_MEASURED);
	ck_assert_str_eq(line_of("RFC 4787 REQ-1")->got, "the reason");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("certify");
	TCase *one = tcase_create("certify");
	SRunner *runner;
	int failed;

	tcase_add_test(one, a_good_router_meets_all);
	tcase_add_loop_test(one, what_is_off_is_told, 0,
			    (int)(sizeof(off) / sizeof(off[0])));
	tcase_add_loop_test(one, what_the_exam_finds_is_told, 0,
			    (int)(sizeof(off_exam) / sizeof(off_exam[0])));
	tcase_add_test(one, what_netfilter_does_for_udp_only);
	tcase_add_test(one, absolute_lifetimes);
	tcase_add_test(one, what_was_asked_is_no_lie);
	tcase_add_loop_test(one, silence_is_judged, 0, 4);
	tcase_add_test(one, what_is_not_known_is_not_judged);
	suite_add_tcase(suite, one);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

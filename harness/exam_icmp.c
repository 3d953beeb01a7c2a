/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions of ICMP, RFC 5508. */
#include "harness/exam_private.h"

enum {
	REMOTE_PORT = 6000,
	ICMP_ECHO_REPLY = 0,
	ICMP_UNREACHABLE = 3,
	ICMP_ECHO = 8,
	ICMP_TIME_EXCEEDED = 11,
	CODE_HOST = 1,
	CODE_PORT = 3,
	MOST_S = 300
};

/* An echo of IN0's as OUT0 sees it. */
struct query {
	uint16_t id;
	struct endpoint mapped; /* the port is the identifier */
	struct heard sent;
};

static bool ask_echo(struct exam *x, struct query *q)
{
	const struct heard *h;

	q->id = exam_port(x);
	exam_send_echo(x, IN0, ICMP_ECHO, x->ips[OUT0], q->id, TTL);
	exam_go(x);
	h = exam_icmp_at(x, OUT0, ICMP_ECHO);
	if (!h)
		return false;
	q->mapped = (struct endpoint){h->p.src.ip, h->p.icmp_id};
	q->sent = *h;
	return true;
}

static bool answer(struct exam *x, const struct query *q)
{
	const struct heard *h;

	exam_send_echo(x, OUT0, ICMP_ECHO_REPLY, q->mapped.ip, q->mapped.port,
		       TTL);
	exam_go(x);
	h = exam_icmp_at(x, IN0, ICMP_ECHO_REPLY);
	return h && h->p.icmp_id == q->id && h->p.src.ip == x->ips[OUT0];
}

/* An error about the query; true: it came in, and as it must. */
static bool fail(struct exam *x, const struct query *q, bool wrong)
{
	const struct heard *error;
	struct packet quoted;

	exam_send_error(x, OUT0, q->mapped.ip, CODE_HOST, &q->sent, wrong);
	exam_go(x);
	error = exam_icmp_at(x, IN0, ICMP_UNREACHABLE);
	return exam_quoted(error, &quoted) &&
	       error->p.icmp_code == CODE_HOST &&
	       quoted.ip_proto == PACKET_ICMP &&
	       quoted.src.ip == x->ips[IN0] && quoted.icmp_id == q->id &&
	       quoted.dst.ip == x->ips[OUT0];
}

/* --- REQ-1, 2 ------------------------------------------------------------- */

static bool lives(struct exam *x, uint64_t after_us)
{
	struct query q;

	if (!ask_echo(x, &q))
		return false;
	exam_wait(x, after_us);
	return answer(x, &q);
}

static void ask_query(struct exam *x)
{
	exam_found(x, EXAM_ICMP_QUERY, lives(x, 0));
	exam_lifetime(x, EXAM_ICMP_LIFETIME, lives, x->config->icmp_timeout_s,
		      MOST_S);
}

/* --- REQ-3, 4, 6 ---------------------------------------------------------- */

static void ask_error(struct exam *x)
{
	struct query q;
	unsigned wrong_sums;

	if (!ask_echo(x, &q)) {
		exam_unknown(x, EXAM_ICMP_ERROR, "nothing gets out");
		exam_unknown(x, EXAM_ICMP_FORGED, "nothing gets out");
		return;
	}
	exam_found(x, EXAM_ICMP_ERROR, fail(x, &q, false));
	if (!exam_value(x, EXAM_ICMP_ERROR)) {
		exam_unknown(x, EXAM_ICMP_FORGED, "no error comes in at all");
		return;
	}
	wrong_sums = x->wrong_sums;
	(void)fail(x, &q, true);
	exam_found(x, EXAM_ICMP_FORGED,
		   !exam_icmp_at(x, IN0, ICMP_UNREACHABLE));
	x->wrong_sums = wrong_sums; /* that one was ours */
}

/* Twice this is longer than a query is remembered, once is not. */
static void ask_keeps(struct exam *x)
{
	uint64_t most_of_it_us;
	struct query q;
	bool kept, refreshed;

	/* A remark says that it is longer. */
	if (!exam_knows(x, EXAM_ICMP_LIFETIME) ||
	    x->report->findings[EXAM_ICMP_LIFETIME].note[0]) {
		exam_unknown(x, EXAM_ICMP_ERROR_KEEPS,
			     "when a query is forgotten is not known");
		return;
	}
	most_of_it_us = (uint64_t)exam_value(x, EXAM_ICMP_LIFETIME) *
			SECOND_US * 7 / 10;
	kept = ask_echo(x, &q) && fail(x, &q, false) && answer(x, &q);
	refreshed = ask_echo(x, &q);
	exam_wait(x, most_of_it_us);
	(void)fail(x, &q, false);
	exam_wait(x, most_of_it_us);
	refreshed = refreshed && answer(x, &q);
	exam_found(x, EXAM_ICMP_ERROR_KEEPS, kept && !refreshed);
	exam_remark(x, EXAM_ICMP_ERROR_KEEPS, "%s, %s",
		    kept ? "not ended" : "ended",
		    refreshed ? "refreshed" : "not refreshed");
}

/* --- REQ-5, 7: errors that begin inside ----------------------------------- */

/* About what IN0 has heard last of F. */
static bool goes_out(struct exam *x, const struct flow *f)
{
	const struct heard *error;
	struct packet quoted;
	struct heard last = *exam_last(x, IN0);

	exam_send_error(x, IN0, x->ips[OUT0], CODE_PORT, &last, false);
	exam_go(x);
	error = exam_icmp_at(x, OUT0, ICMP_UNREACHABLE);
	return exam_quoted(error, &quoted) &&
	       error->p.icmp_code == CODE_PORT &&
	       error->p.src.ip == f->mapped.ip &&
	       endpoint_equal(quoted.dst, f->mapped) &&
	       endpoint_equal(quoted.src, exam_at(x, OUT0, f->remote_port));
}

static void ask_error_out(struct exam *x)
{
	struct flow f = exam_flow(x, IN0, OUT0, REMOTE_PORT);

	if (exam_udp_out(x, &f) && exam_udp_in(x, &f))
		exam_found(x, EXAM_ICMP_ERROR_OUT, goes_out(x, &f));
	else
		exam_unknown(x, EXAM_ICMP_ERROR_OUT, "no UDP both ways");
}

/* IN0 sends to IN1's mapping; IN1 tells the source it sees of an error. */
static bool turns_back(struct exam *x, const struct flow *a,
		       const struct flow *b, const struct heard *heard)
{
	const struct heard *error;
	struct packet quoted;
	struct heard last = *heard;

	exam_send_error(x, b->inside, heard->p.src.ip, CODE_PORT, &last, false);
	exam_go(x);
	error = exam_icmp_at(x, a->inside, ICMP_UNREACHABLE);
	return exam_quoted(error, &quoted) &&
	       endpoint_equal(quoted.src, exam_at(x, a->inside, a->port)) &&
	       endpoint_equal(quoted.dst, b->mapped);
}

static void ask_hairpin(struct exam *x)
{
	struct flow a = exam_flow(x, IN0, OUT0, REMOTE_PORT);
	struct flow b = exam_flow(x, IN1, OUT0, REMOTE_PORT);
	const struct heard *heard;

	if (!exam_udp_out(x, &a) || !exam_udp_out(x, &b)) {
		exam_unknown(x, EXAM_ICMP_HAIRPIN, "nothing gets out");
		return;
	}
	exam_send_udp(x, IN1, b.port, a.mapped, "back", 4);
	exam_go(x);
	exam_send_udp(x, IN0, a.port, b.mapped, "forth", 5);
	exam_go(x);
	heard = exam_udp_at(x, IN1, "forth", 5);
	if (!heard)
		exam_unknown(x, EXAM_ICMP_HAIRPIN, "UDP is not hairpinned");
	else if (heard->p.src.ip == x->ips[IN0])
		exam_unknown(x, EXAM_ICMP_HAIRPIN, "what is hairpinned shows "
			     "its inside source: the error is for a "
			     "neighbour");
	else
		exam_found(x, EXAM_ICMP_HAIRPIN, turns_back(x, &a, &b, heard));
}

/* --- REQ-10 --------------------------------------------------------------- */

static void ask_ttl(struct exam *x)
{
	const struct lab_node *router = &x->lab->nodes[x->config->router];
	const struct heard *error;
	struct packet quoted;

	exam_send_echo(x, IN0, ICMP_ECHO, x->ips[OUT0], exam_port(x), 1);
	exam_go(x);
	error = exam_icmp_at(x, IN0, ICMP_TIME_EXCEEDED);
	exam_found(x, EXAM_TTL,
		   exam_quoted(error, &quoted) &&
			   quoted.src.ip == x->ips[IN0] &&
			   error->p.src.ip == router->ifaces[1].ip &&
			   !exam_icmp_at(x, OUT0, ICMP_ECHO));
}

const struct exam_question exam_icmp_questions[] = {
	{ask_query, EXAM_ICMP_QUERY, EXAM_ICMP_LIFETIME, false},
	{ask_error, EXAM_ICMP_FORGED, EXAM_ICMP_ERROR, false},
	{ask_keeps, EXAM_ICMP_ERROR_KEEPS, EXAM_ICMP_ERROR_KEEPS, false},
	{ask_error_out, EXAM_ICMP_ERROR_OUT, EXAM_ICMP_ERROR_OUT, true},
	{ask_hairpin, EXAM_ICMP_HAIRPIN, EXAM_ICMP_HAIRPIN, true},
	{ask_ttl, EXAM_TTL, EXAM_TTL, false},
};
const unsigned exam_icmp_question_count =
	sizeof(exam_icmp_questions) / sizeof(exam_icmp_questions[0]);

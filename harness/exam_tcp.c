/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions of TCP, RFC 5382, with segments of our own making. */
#include "harness/exam_private.h"

#include <stdio.h>
#include <string.h>

enum {
	REMOTE_PORT = 7000,
	OTHER_REMOTE_PORT = 7100,
	FTP_PORT = 21,
	ICMP_UNREACHABLE = 3,
	CODE_HOST = 1,
	SYN = TCP_FLAG_SYN,
	ACK = TCP_FLAG_ACK,
	FIN = TCP_FLAG_FIN,
	SILENT_US = 5900000, /* REQ-4: 6 s */
	LATE_US = 1200000,
	/* Beyond what is asked for, 2 h 4 min and 4 min are all that matters. */
	MOST_S = 7440,
	TRANSITORY_MOST_S = 300
};

/* --- segments of a connection --------------------------------------------- */

static struct endpoint remote_of(const struct exam *x, const struct flow *f)
{
	return exam_at(x, f->outside, f->remote_port);
}

/* From inside. NULL: it did not arrive; else how it did. */
static const struct heard *out(struct exam *x, struct flow *f, int flags,
			       const char *text)
{
	struct raw_tcp tcp = {.seq = f->in_seq,
			      .ack = flags & ACK ? f->out_seq : 0,
			      .flags = (uint8_t)flags,
			      .payload = text,
			      .payload_bytes = strlen(text)};
	const struct heard *h;

	exam_send_tcp(x, f->inside, f->port, remote_of(x, f), &tcp);
	exam_go(x);
	h = exam_tcp_at(x, f->outside, tcp.seq);
	if (h)
		f->mapped = h->p.src;
	f->in_seq += (uint32_t)tcp.payload_bytes + !!(flags & (SYN | FIN));
	return h;
}

static const struct heard *in(struct exam *x, struct flow *f, int flags,
			      const char *text)
{
	struct raw_tcp tcp = {.seq = f->out_seq,
			      .ack = flags & ACK ? f->in_seq : 0,
			      .flags = (uint8_t)flags,
			      .payload = text,
			      .payload_bytes = strlen(text)};
	const struct heard *h;

	exam_send_tcp(x, f->outside, f->remote_port, f->mapped, &tcp);
	exam_go(x);
	h = exam_tcp_at(x, f->inside, tcp.seq);
	f->out_seq += (uint32_t)tcp.payload_bytes + !!(flags & (SYN | FIN));
	return h && endpoint_equal(h->p.dst, exam_at(x, f->inside, f->port)) ?
		       h : NULL;
}

static bool carries(const struct heard *h, const char *text)
{
	return h && h->p.payload_bytes == strlen(text) &&
	       !memcmp(h->p.payload, text, strlen(text));
}

static bool open_up(struct exam *x, struct flow *f)
{
	return out(x, f, SYN, "") && in(x, f, SYN | ACK, "") &&
	       out(x, f, ACK, "");
}

/* --- REQ-1, 2, 3 ---------------------------------------------------------- */

static void ask_mapping(struct exam *x)
{
	struct flow f = exam_flow(x, IN0, OUT0, REMOTE_PORT);
	struct flow port = f, ip = f, both = f;
	enum probe_dependence value = PROBE_APD;

	port.remote_port = both.remote_port = OTHER_REMOTE_PORT;
	ip.outside = both.outside = OUT1;
	if (!out(x, &f, SYN, "")) {
		exam_unknown(x, EXAM_TCP_MAPPING, "nothing gets out");
		return;
	}
	/* A destination that is refused is not mapped as the first is. */
	(void)out(x, &port, SYN, "");
	(void)out(x, &ip, SYN, "");
	(void)out(x, &both, SYN, "");
	if (endpoint_equal(f.mapped, exam_at(x, IN0, f.port)))
		value = PROBE_UNTRANSLATED;
	/* Where ports are drawn, two are the same once in 64,000 times. */
	else if (endpoint_equal(f.mapped, port.mapped) &&
		 endpoint_equal(ip.mapped, both.mapped))
		value = endpoint_equal(f.mapped, ip.mapped) ? PROBE_EI :
							      PROBE_AD;
	exam_found(x, EXAM_TCP_MAPPING, (int)value);
}

static void ask_handshake(struct exam *x)
{
	struct flow f = exam_flow(x, IN0, OUT0, REMOTE_PORT);
	bool good = open_up(x, &f) &&
		    carries(out(x, &f, ACK, "question"), "question") &&
		    carries(in(x, &f, ACK, "answer"), "answer") &&
		    in(x, &f, FIN | ACK, "") && out(x, &f, FIN | ACK, "") &&
		    in(x, &f, ACK, "");

	exam_found(x, EXAM_TCP_HANDSHAKE, good);
}

/* RFC 9293 figure 8: each side's SYN crosses the other's on the way. */
static void ask_simultaneous(struct exam *x)
{
	struct flow f = exam_flow(x, IN0, OUT0, REMOTE_PORT);
	bool good = out(x, &f, SYN, "") && in(x, &f, SYN, "");

	f.in_seq--;
	good = good && out(x, &f, SYN | ACK, "");
	f.out_seq--;
	good = good && in(x, &f, SYN | ACK, "") &&
	       carries(out(x, &f, ACK, "question"), "question") &&
	       carries(in(x, &f, ACK, "answer"), "answer");
	exam_found(x, EXAM_TCP_SIMULTANEOUS, good);
}

static void ask_filtering(struct exam *x)
{
	struct flow f = exam_flow(x, IN0, OUT0, REMOTE_PORT);
	struct flow port, ip;
	enum probe_dependence value = PROBE_APD;

	if (!open_up(x, &f)) {
		exam_unknown(x, EXAM_TCP_FILTERING, "no connection");
		return;
	}
	port = ip = f;
	port.remote_port = ip.remote_port = OTHER_REMOTE_PORT;
	port.out_seq += 1000;
	ip.out_seq += 2000;
	ip.outside = OUT1;
	if (in(x, &ip, SYN, ""))
		value = PROBE_EI;
	else if (in(x, &port, SYN, ""))
		value = PROBE_AD;
	exam_found(x, EXAM_TCP_FILTERING, (int)value);
}

/* --- REQ-4 ---------------------------------------------------------------- */

static bool was_reset(const struct exam *x, uint16_t port)
{
	for (unsigned i = 0; i < x->count; i++)
		if (x->heard[i].at == OUT1 &&
		    x->heard[i].p.ip_proto == PACKET_TCP &&
		    x->heard[i].p.dst.port == port &&
		    x->heard[i].p.tcp_flags & TCP_FLAG_RST)
			return true;
	return false;
}

static void ask_stray(struct exam *x)
{
	struct endpoint to = {x->lab->nodes[x->config->router].ifaces[0].ip,
			      exam_port(x)};
	struct raw_tcp tcp = {.seq = 77777, .flags = SYN, .payload = ""};
	enum exam_stray value = EXAM_STRAY_SILENT;

	exam_send_tcp(x, OUT1, REMOTE_PORT, to, &tcp);
	exam_go(x);
	if (was_reset(x, REMOTE_PORT)) {
		value = EXAM_STRAY_RESET;
	} else if (exam_icmp_at(x, OUT1, ICMP_UNREACHABLE)) {
		value = EXAM_STRAY_ICMP;
	} else {
		exam_wait(x, SILENT_US);
		if (exam_icmp_at(x, OUT1, ICMP_UNREACHABLE))
			value = EXAM_STRAY_ICMP;
		exam_wait(x, LATE_US);
		if (exam_icmp_at(x, OUT1, ICMP_UNREACHABLE))
			value = EXAM_STRAY_LATE;
	}
	exam_found(x, EXAM_TCP_STRAY, (int)value);
}

/* --- REQ-5 ---------------------------------------------------------------- */

static bool lives_open(struct exam *x, uint64_t after_us)
{
	struct flow f = exam_flow(x, IN0, OUT0, REMOTE_PORT);

	if (!open_up(x, &f))
		return false;
	exam_wait(x, after_us);
	return in(x, &f, ACK, "x");
}

static bool lives_opening(struct exam *x, uint64_t after_us)
{
	struct flow f = exam_flow(x, IN0, OUT0, REMOTE_PORT);

	if (!out(x, &f, SYN, ""))
		return false;
	exam_wait(x, after_us);
	return in(x, &f, SYN | ACK, "");
}

static void ask_lifetimes(struct exam *x)
{
	exam_lifetime(x, EXAM_TCP_LIFETIME, lives_open,
		      x->config->tcp_timeout_s, MOST_S);
	exam_lifetime(x, EXAM_TCP_TRANSITORY, lives_opening,
		      x->config->absolute ? x->config->tcp_timeout_s :
					    x->config->tcp_transitory_s,
		      TRANSITORY_MOST_S);
}

/* --- REQ-6 to 10 ---------------------------------------------------------- */

/* RFC 4787 REQ-10, too: the answer to both is one. */
static void ask_alg(struct exam *x)
{
	struct flow f = exam_flow(x, IN0, OUT0, FTP_PORT);
	char text[64];
	uint32_t ip = x->ips[IN0];

	if (exam_knows(x, EXAM_ALG) && !exam_value(x, EXAM_ALG))
		return;
	snprintf(text, sizeof(text), "PORT %u,%u,%u,%u,%u,%u\r\n", ip >> 24,
		 ip >> 16 & 255, ip >> 8 & 255, ip & 255, f.port >> 8,
		 f.port & 255);
	if (open_up(x, &f))
		exam_found(x, EXAM_ALG, carries(out(x, &f, ACK, text), text));
	else
		exam_unknown(x, EXAM_ALG, "no connection");
}

static void ask_shared(struct exam *x)
{
	struct flow first = exam_flow(x, IN0, OUT0, REMOTE_PORT);
	struct flow second = first;
	enum probe_shared value = PROBE_SHARED_REFUSED;

	second.inside = IN1;
	second.outside = OUT1;
	second.in_seq += 5000;
	if (!out(x, &first, SYN, "")) {
		exam_unknown(x, EXAM_TCP_SHARED, "nothing gets out");
		return;
	}
	if (out(x, &second, SYN, ""))
		value = endpoint_equal(first.mapped, second.mapped) ?
				PROBE_SHARED_OVERLOADED : PROBE_SHARED_OTHER;
	exam_found(x, EXAM_TCP_SHARED, (int)value);
	exam_remark(x, EXAM_TCP_SHARED, "ports %u and %u", first.mapped.port,
		    second.mapped.port);
}

/* As the probe does it: each sends to the other's mapping first. */
static void ask_hairpin(struct exam *x)
{
	struct flow f[2] = {exam_flow(x, IN0, OUT0, REMOTE_PORT),
			    exam_flow(x, IN1, OUT0, REMOTE_PORT)};
	struct raw_tcp tcp = {.flags = SYN, .payload = ""};
	const struct heard *h = NULL;

	if (!out(x, &f[0], SYN, "") || !out(x, &f[1], SYN, "")) {
		exam_unknown(x, EXAM_TCP_HAIRPIN, "nothing gets out");
		return;
	}
	if (f[0].mapped.ip == x->ips[IN0]) {
		exam_unknown(x, EXAM_TCP_HAIRPIN, "nothing is translated: "
			     "there is no outside address to come back by");
		return;
	}
	for (unsigned i = 0; i < 2 && !h; i++) {
		tcp.seq = 4242 + i;
		exam_send_tcp(x, f[!i].inside, f[!i].port, f[i].mapped, &tcp);
		exam_go(x);
		h = exam_tcp_at(x, f[i].inside, tcp.seq);
	}
	if (!h)
		exam_found(x, EXAM_TCP_HAIRPIN, PROBE_HAIRPIN_NONE);
	else if (h->p.src.ip == x->ips[IN0] || h->p.src.ip == x->ips[IN1])
		exam_found(x, EXAM_TCP_HAIRPIN, PROBE_HAIRPIN_INTERNAL);
	else
		exam_found(x, EXAM_TCP_HAIRPIN, PROBE_HAIRPIN_EXTERNAL);
}

static void ask_error(struct exam *x)
{
	struct flow f = exam_flow(x, IN0, OUT0, REMOTE_PORT);
	const struct heard *error;
	struct heard sent;
	struct packet q;

	if (!open_up(x, &f) || !out(x, &f, ACK, "question")) {
		exam_unknown(x, EXAM_TCP_ERROR, "no connection");
		exam_unknown(x, EXAM_TCP_ERROR_KEEPS, "no connection");
		return;
	}
	sent = *exam_tcp_at(x, OUT0, f.in_seq - (uint32_t)strlen("question"));
	exam_send_error(x, OUT0, f.mapped.ip, CODE_HOST, &sent, false);
	exam_go(x);
	error = exam_icmp_at(x, IN0, ICMP_UNREACHABLE);
	exam_found(x, EXAM_TCP_ERROR,
		   exam_quoted(error, &q) && error->p.icmp_code == CODE_HOST &&
			   endpoint_equal(q.src, exam_at(x, IN0, f.port)) &&
			   endpoint_equal(q.dst, remote_of(x, &f)));
	exam_found(x, EXAM_TCP_ERROR_KEEPS,
		   carries(in(x, &f, ACK, "answer"), "answer") &&
			   out(x, &f, ACK, "more"));
}

const struct exam_question exam_tcp_questions[] = {
	{ask_mapping, EXAM_TCP_MAPPING, EXAM_TCP_MAPPING, false},
	{ask_handshake, EXAM_TCP_HANDSHAKE, EXAM_TCP_HANDSHAKE, false},
	{ask_simultaneous, EXAM_TCP_SIMULTANEOUS, EXAM_TCP_SIMULTANEOUS, false},
	{ask_filtering, EXAM_TCP_FILTERING, EXAM_TCP_FILTERING, false},
	{ask_stray, EXAM_TCP_STRAY, EXAM_TCP_STRAY, false},
	{ask_alg, EXAM_ALG, EXAM_ALG, false},
	{ask_shared, EXAM_TCP_SHARED, EXAM_TCP_SHARED, false},
	{ask_hairpin, EXAM_TCP_HAIRPIN, EXAM_TCP_HAIRPIN, false},
	{ask_error, EXAM_TCP_ERROR, EXAM_TCP_ERROR_KEEPS, false},
	{ask_lifetimes, EXAM_TCP_LIFETIME, EXAM_TCP_TRANSITORY, false},
};
const unsigned exam_tcp_question_count =
	sizeof(exam_tcp_questions) / sizeof(exam_tcp_questions[0]);

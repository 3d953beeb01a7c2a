/* SPDX-License-Identifier: BSD-3-Clause */
/* What of UDP takes more than a socket: RFC 4787 REQ-3, 7, 10 to 14. */
#include "harness/exam_private.h"

#include <stdio.h>
#include <string.h>

enum {
	REMOTE_PORT = 9000,
	OTHER_REMOTE_PORT = 9100,
	SIP_PORT = 5060,
	FRAGMENTED_BYTES = 1600, /* of payload */
	FIRST_BYTES = 800,	 /* of UDP, in the first fragment */
	UDP_HEADER_BYTES = 8,
	IP_HEADER_BYTES = 20,
	MORE_FRAGMENTS = 0x2000,
	DONT_FRAGMENT = 0x4000,
	SMALL_MTU_BYTES = 1280,
	USUAL_MTU_BYTES = 1500,
	BIG_BYTES = 1300,
	ICMP_UNREACHABLE = 3,
	CODE_PORT = 3,
	CODE_TOO_BIG = 4
};

static uint32_t mask_of(const struct lab_iface *iface)
{
	return ~0u << (32 - iface->prefix_bits);
}

/* REQ-7: as far as packets show, by the addresses that they bear. */
static void ask_networks(struct exam *x)
{
	const struct lab_node *inside = &x->lab->nodes[x->config->inside[0]];
	const struct lab_node *outside = &x->lab->nodes[x->config->outside[0]];
	uint32_t in_mask = mask_of(&inside->ifaces[0]);
	uint32_t out_mask = mask_of(&outside->ifaces[0]);
	struct flow f = exam_flow(x, IN0, OUT0, REMOTE_PORT);
	char in[ENDPOINT_TEXT_BYTES], out[ENDPOINT_TEXT_BYTES];

	if (!exam_udp_out(x, &f)) {
		exam_unknown(x, EXAM_NETWORKS, "nothing gets out");
		return;
	}
	exam_found(x, EXAM_NETWORKS,
		   (x->ips[IN0] & in_mask & out_mask) !=
			   (x->ips[OUT0] & in_mask & out_mask));
	exam_remark(x, EXAM_NETWORKS, "inside %s/%u, outside %s/%u",
		    endpoint_format_ip(x->ips[IN0] & in_mask, in),
		    inside->ifaces[0].prefix_bits,
		    endpoint_format_ip(x->ips[OUT0] & out_mask, out),
		    outside->ifaces[0].prefix_bits);
}

/* REQ-10, the UDP half; exam_tcp.c asks the other one. */
static void ask_alg(struct exam *x)
{
	struct flow f = exam_flow(x, IN0, OUT0, SIP_PORT);
	char ip[ENDPOINT_TEXT_BYTES], text[256];
	int bytes;

	endpoint_format_ip(x->ips[IN0], ip);
	bytes = snprintf(text, sizeof(text),
			 "REGISTER sip:natrig SIP/2.0\r\n"
			 "Via: SIP/2.0/UDP %s:%u;branch=z9hG4bK1\r\n"
			 "Contact: <sip:in0@%s:%u>\r\nContent-Length: 0\r\n"
			 "\r\n", ip, f.port, ip, f.port);
	exam_send_udp(x, IN0, f.port, exam_at(x, OUT0, SIP_PORT), text,
		      (size_t)bytes);
	exam_go(x);
	exam_found(x, EXAM_ALG,
		   exam_udp_at(x, OUT0, text, (size_t)bytes) != NULL);
}

/* Is it what came of a packet from F's inside to its outside? */
static bool quotes_flow(const struct exam *x, const struct heard *error,
			const struct flow *f)
{
	struct packet q;

	return exam_quoted(error, &q) && q.ip_proto == PACKET_UDP &&
	       endpoint_equal(q.src, exam_at(x, f->inside, f->port)) &&
	       endpoint_equal(q.dst,
			      exam_at(x, f->outside, f->remote_port));
}

/* REQ-12, and RFC 5508 REQ-4. */
static void ask_error(struct exam *x)
{
	struct flow f = exam_flow(x, IN0, OUT0, REMOTE_PORT);
	const struct heard *error;
	struct heard sent;

	if (!exam_udp_out(x, &f)) {
		exam_unknown(x, EXAM_UDP_ERROR, "nothing gets out");
		exam_unknown(x, EXAM_UDP_ERROR_KEEPS, "nothing gets out");
		return;
	}
	sent = *exam_last(x, OUT0);
	exam_send_error(x, OUT0, f.mapped.ip, CODE_PORT, &sent, false);
	exam_go(x);
	error = exam_icmp_at(x, IN0, ICMP_UNREACHABLE);
	exam_found(x, EXAM_UDP_ERROR,
		   quotes_flow(x, error, &f) &&
			   error->p.icmp_code == CODE_PORT &&
			   error->p.src.ip == x->ips[OUT0]);
	exam_found(x, EXAM_UDP_ERROR_KEEPS, exam_udp_in(x, &f));
}

/* REQ-13: the router's own next link is too small for one packet. */
static void too_big(struct exam *x, struct flow *f, struct flow *other)
{
	uint8_t payload[BIG_BYTES] = {0}, packet[HEARD_BYTES];
	int bytes = packet_encode_udp(exam_at(x, IN0, f->port),
				      exam_at(x, OUT0, REMOTE_PORT), TTL, 0,
				      payload, sizeof(payload), packet,
				      sizeof(packet));
	const struct heard *error;
	unsigned mtu = 0;
	bool told;

	exam_send_ip(x, IN0, x->ips[OUT0], PACKET_UDP, DONT_FRAGMENT, 0, TTL,
		     packet + IP_HEADER_BYTES,
		     (size_t)bytes - IP_HEADER_BYTES);
	exam_go(x);
	error = exam_icmp_at(x, IN0, ICMP_UNREACHABLE);
	if (error)
		mtu = (unsigned)(error->p.payload[-2] << 8 |
				 error->p.payload[-1]);
	told = error && error->p.icmp_code == CODE_TOO_BIG &&
	       mtu == SMALL_MTU_BYTES && !exam_udp_at(x, OUT0, payload,
						      sizeof(payload));
	exam_found(x, EXAM_TOO_BIG,
		   told && exam_udp_out(x, other) && exam_udp_in(x, other));
	exam_remark(x, EXAM_TOO_BIG, told ? "MTU %u" : "no such error", mtu);
}

static void ask_too_big(struct exam *x)
{
	const struct lab_node *router = &x->lab->nodes[x->config->router];
	struct flow f = exam_flow(x, IN0, OUT0, REMOTE_PORT);
	struct flow other = exam_flow(x, IN0, OUT1, REMOTE_PORT);

	if (!x->code)
		x->code = lab_mtu(x->lab, router, SMALL_MTU_BYTES, &x->err);
	too_big(x, &f, &other);
	if (!x->code)
		x->code = lab_mtu(x->lab, router, USUAL_MTU_BYTES, &x->err);
}

/* --- fragments, REQ-14 ---------------------------------------------------- */

static void fill(uint8_t payload[static FRAGMENTED_BYTES], unsigned seed)
{
	for (unsigned i = 0; i < FRAGMENTED_BYTES; i++)
		payload[i] = (uint8_t)(i * 7 + seed);
}

/* The last one first. */
static void send_fragments(struct exam *x, enum exam_who who, uint16_t port,
			   struct endpoint to, const uint8_t *payload)
{
	uint8_t packet[HEARD_BYTES], *udp = packet + IP_HEADER_BYTES;
	uint16_t id = (uint16_t)(0x4200 + who + port);
	int bytes = packet_encode_udp(exam_at(x, who, port), to, TTL, id,
				      payload, FRAGMENTED_BYTES, packet,
				      sizeof(packet));

	exam_send_ip(x, who, to.ip, PACKET_UDP, FIRST_BYTES / 8, id, TTL,
		     udp + FIRST_BYTES,
		     (size_t)bytes - IP_HEADER_BYTES - FIRST_BYTES);
	exam_send_ip(x, who, to.ip, PACKET_UDP, MORE_FRAGMENTS, id, TTL, udp,
		     FIRST_BYTES);
	exam_go(x);
}

static bool put_together(const struct exam *x, enum exam_who at,
			 const uint8_t *payload)
{
	uint8_t bytes[UDP_HEADER_BYTES + FRAGMENTED_BYTES];
	size_t have = 0;

	if (exam_udp_at(x, at, payload, FRAGMENTED_BYTES))
		return true;
	for (unsigned i = 0; i < x->count; i++) {
		const struct heard *h = &x->heard[i];
		size_t header = (h->p.ip[0] & 15) * 4u;
		size_t size = h->p.ip_bytes - header;

		if (h->at != at || h->p.ip_proto != PACKET_UDP ||
		    !h->p.is_fragment ||
		    h->p.fragment_offset_bytes + size > sizeof(bytes))
			continue;
		memcpy(bytes + h->p.fragment_offset_bytes, h->p.ip + header,
		       size);
		have += size;
	}
	return have == sizeof(bytes) &&
	       !memcmp(bytes + UDP_HEADER_BYTES, payload, FRAGMENTED_BYTES);
}

static void ask_fragments(struct exam *x)
{
	struct flow f = exam_flow(x, IN0, OUT0, REMOTE_PORT);
	uint8_t payload[FRAGMENTED_BYTES];

	fill(payload, 1);
	send_fragments(x, IN0, f.port, exam_at(x, OUT0, REMOTE_PORT), payload);
	exam_found(x, EXAM_FRAGMENTS_OUT, put_together(x, OUT0, payload));
	if (!exam_udp_out(x, &f)) {
		exam_unknown(x, EXAM_FRAGMENTS_IN, "nothing gets out");
		return;
	}
	fill(payload, 2);
	send_fragments(x, OUT0, REMOTE_PORT, f.mapped, payload);
	exam_found(x, EXAM_FRAGMENTS_IN, put_together(x, IN0, payload));
}

/* --- what nobody asked for ------------------------------------------------ */

static void ask_stray(struct exam *x)
{
	struct endpoint to = {x->lab->nodes[x->config->router].ifaces[0].ip,
			      exam_port(x)};

	exam_send_udp(x, OUT1, REMOTE_PORT, to, "stray", 5);
	exam_go(x);
	exam_found(x, EXAM_STRAY_UDP,
		   exam_icmp_at(x, OUT1, ICMP_UNREACHABLE) ? EXAM_STRAY_ICMP :
							     EXAM_STRAY_SILENT);
}

/*
 * REQ-3: two hosts, one inside port, and destinations of their own, which is
 * how an outside port could serve both. RFC 5508 REQ-8 where one is refused.
 */
static void ask_shared(struct exam *x)
{
	struct flow first = exam_flow(x, IN0, OUT0, REMOTE_PORT);
	struct flow second = first;
	const struct heard *told;
	enum probe_shared value;

	second.inside = IN1;
	second.outside = OUT1;
	second.remote_port = OTHER_REMOTE_PORT;
	if (!exam_udp_out(x, &first)) {
		exam_unknown(x, EXAM_UDP_SHARED, "nothing gets out");
		exam_unknown(x, EXAM_REFUSED, "nothing gets out");
		return;
	}
	if (exam_udp_out(x, &second)) {
		value = endpoint_equal(first.mapped, second.mapped) ?
				PROBE_SHARED_OVERLOADED : PROBE_SHARED_OTHER;
		exam_unknown(x, EXAM_REFUSED, "nothing was refused");
	} else {
		value = PROBE_SHARED_REFUSED;
		told = exam_icmp_at(x, IN1, ICMP_UNREACHABLE);
		exam_found(x, EXAM_REFUSED, told && told->p.icmp_code == 13);
	}
	exam_found(x, EXAM_UDP_SHARED, (int)value);
	exam_remark(x, EXAM_UDP_SHARED, "ports %u and %u", first.mapped.port,
		    second.mapped.port);
}

const struct exam_question exam_udp_questions[] = {
	{ask_networks, EXAM_NETWORKS, EXAM_NETWORKS, true},
	{ask_alg, EXAM_ALG, EXAM_ALG, true},
	{ask_error, EXAM_UDP_ERROR, EXAM_UDP_ERROR_KEEPS, true},
	{ask_too_big, EXAM_TOO_BIG, EXAM_TOO_BIG, true},
	{ask_fragments, EXAM_FRAGMENTS_OUT, EXAM_FRAGMENTS_IN, true},
	{ask_stray, EXAM_STRAY_UDP, EXAM_STRAY_UDP, false},
	{ask_shared, EXAM_UDP_SHARED, EXAM_UDP_SHARED, true},
};
const unsigned exam_udp_question_count =
	sizeof(exam_udp_questions) / sizeof(exam_udp_questions[0]);

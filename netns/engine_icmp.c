/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ICMP errors: those of others are passed on with the packet that they quote
 * translated back (RFC 5508 section 4), which refreshes and ends nothing
 * (RFC 4787 REQ-12); our own are made here.
 */
#include "netns/engine_own.h"

#include "wire/bytes.h"

#include <string.h>

/* RFC 1812 4.3.2.3: as much of the packet as fits into 576 bytes. */
enum { ERROR_MAX_BYTES = 576, QUOTE_AT = IPV4_BYTES + ICMP_BYTES };

static enum engine_verdict send_error(struct engine *e,
				      const struct datagram *d, uint8_t type,
				      uint8_t code, uint16_t mtu, uint32_t src)
{
	size_t quote_bytes = d->size_bytes;
	uint8_t *icmp = e->out + IPV4_BYTES;

	/* RFC 1122 3.2.2: never about an error or a later fragment. */
	if (d->kind == DATAGRAM_ERROR || d->kind == DATAGRAM_LATER_FRAGMENT ||
	    (d->kind == DATAGRAM_OTHER && d->proto == PROTO_ICMP))
		return ENGINE_DROPPED;
	if (quote_bytes > ERROR_MAX_BYTES - QUOTE_AT)
		quote_bytes = ERROR_MAX_BYTES - QUOTE_AT;
	engine_put_ip(e->out, PROTO_ICMP, src, d->src.ip,
		      QUOTE_AT + quote_bytes);
	memset(icmp, 0, ICMP_BYTES);
	icmp[0] = type;
	icmp[1] = code;
	bytes_put16(icmp + 6, mtu);
	memcpy(e->out + QUOTE_AT, d->data, quote_bytes);
	bytes_put16(icmp + 2,
		     (uint16_t)~engine_sum(0, icmp, ICMP_BYTES + quote_bytes));
	engine_send(e, d->from, QUOTE_AT + quote_bytes);
	return ENGINE_REJECTED;
}

enum engine_verdict engine_icmp_send(struct engine *e, const struct datagram *d,
				     uint8_t type, uint8_t code, uint32_t src)
{
	return send_error(e, d, type, code, 0, src);
}

enum engine_verdict engine_icmp_too_big(struct engine *e,
					const struct datagram *d,
					enum engine_side to, uint32_t src)
{
	return send_error(e, d, ICMP_UNREACHABLE, ICMP_CODE_TOO_BIG,
			  (uint16_t)e->mtu_bytes[to], src);
}

/* What an error quotes; whoever sent that gets the error, or it is forged. */
struct quote {
	uint8_t *ip;
	size_t size_bytes;
	uint8_t proto;
	struct endpoint src, dst;
};

/*
 * The quoted packet is cut short, so engine_parse would refuse it. RFC 5508
 * REQ-3: a wrong checksum of the error or of the quoted header drops it.
 */
static bool read_quote(uint8_t *ip, size_t size_bytes, struct quote *q)
{
	size_t header_bytes = (ip[0] & 15) * 4u;
	uint8_t *icmp = ip + header_bytes, *transport;
	size_t icmp_bytes = size_bytes - header_bytes;

	if (icmp_bytes < ICMP_BYTES + IPV4_BYTES + 8 ||
	    engine_sum(0, icmp, icmp_bytes) != 0xffff)
		return false;
	q->ip = icmp + ICMP_BYTES;
	q->size_bytes = icmp_bytes - ICMP_BYTES;
	header_bytes = (q->ip[0] & 15) * 4u;
	if (q->ip[0] >> 4 != 4 || header_bytes < IPV4_BYTES ||
	    q->size_bytes < header_bytes + 8 ||
	    engine_sum(0, q->ip, header_bytes) != 0xffff ||
	    bytes_get16(q->ip + 6) & 0x1fff)
		return false;
	q->proto = q->ip[9];
	q->src.ip = bytes_get32(q->ip + 12);
	q->dst.ip = bytes_get32(q->ip + 16);
	transport = q->ip + header_bytes;
	if (q->proto == PROTO_UDP || q->proto == PROTO_TCP) {
		q->src.port = bytes_get16(transport);
		q->dst.port = bytes_get16(transport + 2);
		return true;
	}
	return q->proto == PROTO_ICMP &&
	       engine_icmp_id(transport, &q->src.port, &q->dst.port);
}

/* The error's own checksum, and its own address. */
static void finish(struct engine *e, const struct datagram *d,
		   enum engine_end end, uint32_t ip)
{
	uint8_t *icmp = e->out + d->header_bytes;
	size_t icmp_bytes = d->size_bytes - d->header_bytes;

	engine_rewrite(e->out, d->size_bytes, end, (struct endpoint){ip, 0});
	bytes_put16(icmp + 2, 0);
	bytes_put16(icmp + 2, (uint16_t)~engine_sum(0, icmp, icmp_bytes));
}

/* The error that e->out holds, about a packet that left by a mapping. */
static enum engine_verdict pass_in(struct engine *e, const struct datagram *d)
{
	struct quote q = {0};
	struct mapping *m;
	struct session *s;

	if (!read_quote(e->out, d->size_bytes, &q) || q.src.ip != d->dst.ip)
		return ENGINE_DROPPED;
	m = engine_mapping_outside(e, q.proto, q.src);
	if (!m)
		return ENGINE_DROPPED;
	s = engine_session_find(e, q.proto, engine_mapping_inner(m), q.dst);
	if (!s || s->mapping != m)
		return ENGINE_DROPPED;
	engine_rewrite(q.ip, q.size_bytes, ENGINE_SRC, engine_mapping_inner(m));
	finish(e, d, ENGINE_DST, m->inside.key.ip);
	engine_send(e, ENGINE_LAN, d->size_bytes);
	return ENGINE_FORWARDED;
}

enum engine_verdict engine_icmp_inbound(struct engine *e,
					const struct datagram *d)
{
	if (d->more || d->ttl <= 1)
		return ENGINE_DROPPED;
	engine_begin(e, d);
	return pass_in(e, d);
}

enum engine_verdict engine_icmp_outbound(struct engine *e,
					 const struct datagram *d)
{
	struct quote q = {0};
	struct session *s;

	if (d->more || d->ttl <= 1)
		return ENGINE_DROPPED;
	engine_begin(e, d);
	if (!read_quote(e->out, d->size_bytes, &q) || q.src.ip != d->dst.ip)
		return ENGINE_DROPPED;
	s = engine_session_find(e, q.proto, q.dst, q.src);
	if (!s)
		return ENGINE_DROPPED;
	engine_rewrite(q.ip, q.size_bytes, ENGINE_DST,
		       engine_mapping_outer(s->mapping));
	/* Also where a router inside sent it: RFC 5508 REQ-5. */
	finish(e, d, ENGINE_SRC, s->mapping->outside.key.ip);
	if (engine_is_pool(e, d->dst.ip))
		return pass_in(e, d);
	engine_send(e, ENGINE_WAN, d->size_bytes);
	return ENGINE_FORWARDED;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fields are read and written at fixed places after one check of the length,
 * and not through wire/cursor.h: packets are rewritten in place, some hundred
 * thousand a second, and most of each is not looked at.
 */
#include "netns/engine_own.h"

#include "wire/bytes.h"

#include <string.h>

enum {
	FRAGMENT_MORE = 0x2000,
	FRAGMENT_OFFSET = 0x1fff,
	FLAG_FIN = 1,
	FLAG_SYN = 2,
	FLAG_RST = 4,
	FLAGS_THAT_MATTER = 0x17 /* FIN, SYN, RST, ACK */
};

static uint32_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

uint32_t engine_sum(uint32_t sum, const uint8_t *data, size_t size_bytes)
{
	size_t i;

	/* 64 KiB of words and a start below 2^17 stay below 2^32. */
	for (i = 0; i + 1 < size_bytes; i += 2)
		sum += bytes_get16(data + i);
	if (size_bytes & 1)
		sum += (uint32_t)data[i] << 8;
	return fold(sum);
}

/* RFC 1624, equation 3, with all the words that change in one sum. */
static void adjust(uint8_t *checksum, uint32_t change)
{
	uint32_t sum = (uint16_t)~bytes_get16(checksum) + change;

	bytes_put16(checksum, (uint16_t)~fold(sum));
}

static uint32_t change16(uint16_t was, uint16_t is)
{
	return (uint32_t)(uint16_t)~was + is;
}

static uint32_t change32(uint32_t was, uint32_t is)
{
	return change16((uint16_t)(was >> 16), (uint16_t)(is >> 16)) +
	       change16((uint16_t)was, (uint16_t)is);
}

static bool parse_udp(const uint8_t *udp, size_t left_bytes, struct datagram *d)
{
	size_t length;

	if (left_bytes < UDP_BYTES)
		return false;
	length = bytes_get16(udp + 4);
	/* A first fragment's length reaches beyond it, a whole one's not. */
	if (length < UDP_BYTES || (length > left_bytes) != d->more)
		return false;
	d->kind = DATAGRAM_FLOW;
	d->src.port = bytes_get16(udp);
	d->dst.port = bytes_get16(udp + 2);
	return d->src.port && d->dst.port;
}

static bool parse_tcp(const uint8_t *tcp, size_t left_bytes, struct datagram *d)
{
	size_t header_bytes;
	uint8_t flags;

	/* Less in a first fragment hides flags from filters (RFC 1858). */
	if (left_bytes < TCP_BYTES)
		return false;
	header_bytes = (tcp[12] >> 4) * 4u;
	flags = tcp[13] & FLAGS_THAT_MATTER;
	if (header_bytes < TCP_BYTES || header_bytes > left_bytes || !flags ||
	    ((flags & FLAG_SYN) && (flags & (FLAG_FIN | FLAG_RST))))
		return false;
	d->kind = DATAGRAM_FLOW;
	d->tcp_flags = flags;
	d->src.port = bytes_get16(tcp);
	d->dst.port = bytes_get16(tcp + 2);
	return d->src.port && d->dst.port;
}

static enum datagram_kind icmp_kind(uint8_t type)
{
	switch (type) {
	case 8:	 /* echo */
	case 13: /* timestamp */
	case 15: /* information */
	case 17: /* address mask */
		return DATAGRAM_QUERY;
	case 0:
	case 14:
	case 16:
	case 18:
		return DATAGRAM_REPLY;
	case 3:	 /* unreachable */
	case 4:	 /* source quench */
	case 11: /* time exceeded */
	case 12: /* parameter problem */
		return DATAGRAM_ERROR;
	default: /* a redirect is about the wire it is on, others are rarer */
		return DATAGRAM_OTHER;
	}
}

bool engine_icmp_id(const uint8_t *icmp, uint16_t *src, uint16_t *dst)
{
	enum datagram_kind kind = icmp_kind(icmp[0]);

	if (kind == DATAGRAM_QUERY)
		*src = bytes_get16(icmp + 4);
	else if (kind == DATAGRAM_REPLY)
		*dst = bytes_get16(icmp + 4);
	return kind == DATAGRAM_QUERY || kind == DATAGRAM_REPLY;
}

static bool parse_icmp(const uint8_t *icmp, size_t left_bytes,
		       struct datagram *d)
{
	if (left_bytes < ICMP_BYTES)
		return false;
	d->kind = icmp_kind(icmp[0]);
	engine_icmp_id(icmp, &d->src.port, &d->dst.port);
	return true;
}

static bool parse_transport(struct datagram *d)
{
	const uint8_t *at = d->data + d->header_bytes;
	size_t left_bytes = d->size_bytes - d->header_bytes;

	/* Every fragment but the last ends on a multiple of 8 (RFC 791). */
	if (d->more && (left_bytes & 7 || !left_bytes))
		return false;
	if (d->offset_bytes) {
		d->kind = DATAGRAM_LATER_FRAGMENT;
		/* RFC 3128: would overwrite a header that was let through. */
		return (d->proto != PROTO_TCP ||
			d->offset_bytes >= TCP_BYTES) &&
		       left_bytes &&
		       d->offset_bytes + d->size_bytes <= UINT16_MAX;
	}
	switch (d->proto) {
	case PROTO_UDP:
		return parse_udp(at, left_bytes, d);
	case PROTO_TCP:
		return parse_tcp(at, left_bytes, d);
	case PROTO_ICMP:
		return parse_icmp(at, left_bytes, d);
	default:
		d->kind = DATAGRAM_OTHER;
		return true;
	}
}

bool engine_parse(const uint8_t *data, size_t size_bytes, struct datagram *d)
{
	unsigned fragment;

	*d = (struct datagram){.data = data};
	if (size_bytes < IPV4_BYTES || data[0] >> 4 != 4)
		return false;
	d->header_bytes = (data[0] & 15) * 4u;
	d->size_bytes = bytes_get16(data + 2);
	if (d->header_bytes < IPV4_BYTES || d->size_bytes < d->header_bytes ||
	    d->size_bytes > size_bytes ||
	    engine_sum(0, data, d->header_bytes) != 0xffff)
		return false;
	d->id = bytes_get16(data + 4);
	fragment = bytes_get16(data + 6);
	d->more = fragment & FRAGMENT_MORE;
	d->offset_bytes = (size_t)(fragment & FRAGMENT_OFFSET) * 8;
	d->ttl = data[8];
	d->proto = data[9];
	d->src.ip = bytes_get32(data + 12);
	d->dst.ip = bytes_get32(data + 16);
	return parse_transport(d);
}

void engine_begin(struct engine *e, const struct datagram *d)
{
	uint16_t was = bytes_get16(d->data + 8);

	memcpy(e->out, d->data, d->size_bytes);
	e->out[8]--;
	adjust(e->out + 10, change16(was, bytes_get16(e->out + 8)));
}

static void rewrite_udp(uint8_t *udp, size_t port_at, uint16_t port,
			uint32_t change)
{
	change += change16(bytes_get16(udp + port_at), port);
	bytes_put16(udp + port_at, port);
	if (!bytes_get16(udp + 6))
		return; /* was sent without a checksum: stays so */
	adjust(udp + 6, change);
	if (!bytes_get16(udp + 6))
		bytes_put16(udp + 6, 0xffff);
}

static void rewrite_tcp(uint8_t *tcp, size_t left_bytes, size_t port_at,
			uint16_t port, uint32_t change)
{
	change += change16(bytes_get16(tcp + port_at), port);
	bytes_put16(tcp + port_at, port);
	if (left_bytes >= 18) /* a quoted one may end before its checksum */
		adjust(tcp + 16, change);
}

/* Its checksum does not cover addresses. */
static void rewrite_query(uint8_t *icmp, uint16_t id)
{
	uint32_t change = change16(bytes_get16(icmp + 4), id);

	bytes_put16(icmp + 4, id);
	adjust(icmp + 2, change);
}

void engine_rewrite(uint8_t *ip, size_t size_bytes, enum engine_end end,
		    struct endpoint to)
{
	size_t header_bytes = (ip[0] & 15) * 4u;
	uint8_t *address = ip + (end == ENGINE_SRC ? 12 : 16);
	uint8_t *transport = ip + header_bytes;
	size_t port_at = end == ENGINE_SRC ? 0 : 2;
	uint32_t change = change32(bytes_get32(address), to.ip);
	uint16_t id;

	bytes_put32(address, to.ip);
	adjust(ip + 10, change);
	if (bytes_get16(ip + 6) & FRAGMENT_OFFSET)
		return;
	switch (ip[9]) {
	case PROTO_UDP:
		rewrite_udp(transport, port_at, to.port, change);
		break;
	case PROTO_TCP:
		rewrite_tcp(transport, size_bytes - header_bytes, port_at,
			    to.port, change);
		break;
	case PROTO_ICMP:
		if (engine_icmp_id(transport, &id, &id))
			rewrite_query(transport, to.port);
		break;
	}
}

void engine_put_ip(uint8_t *out, uint8_t proto, uint32_t src, uint32_t dst,
		   size_t size_bytes)
{
	memset(out, 0, IPV4_BYTES);
	out[0] = 0x45;
	bytes_put16(out + 2, (uint16_t)size_bytes);
	out[6] = 0x40; /* may not be fragmented, so needs no id (RFC 6864) */
	out[8] = 64;
	out[9] = proto;
	bytes_put32(out + 12, src);
	bytes_put32(out + 16, dst);
	bytes_put16(out + 10, (uint16_t)~engine_sum(0, out, IPV4_BYTES));
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/packet.h"

#include <errno.h>
#include <string.h>

#include "wire/cursor.h"

enum {
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_IPV6 = 0x86dd,
	ETHERTYPE_VLAN = 0x8100,
	ETHERTYPE_QINQ = 0x88a8
};

enum {
	IPV4_BYTES = 20,
	UDP_BYTES = 8,
	TCP_BYTES = 20,
	ICMP_BYTES = 8,
	ICMP_DEFAULT_TTL = 64
};

enum { ICMP_ECHO_REPLY = 0, ICMP_ECHO = 8 };

static const uint16_t ip_more_fragments = 0x2000;
static const uint16_t ip_offset_mask = 0x1fff;

static void read_eth(struct reader *r, struct packet *p)
{
	reader_bytes(r, p->eth_dst, sizeof(p->eth_dst));
	reader_bytes(r, p->eth_src, sizeof(p->eth_src));
	p->ethertype = reader_u16(r);
	while (p->ethertype == ETHERTYPE_VLAN ||
	       p->ethertype == ETHERTYPE_QINQ) {
		reader_skip(r, 2);
		p->ethertype = reader_u16(r);
	}
}

/* The cooked header's field is 8 bytes; only what the length says is used. */
static void read_cooked_address(struct reader *r, unsigned len,
				struct packet *p)
{
	uint8_t address[8];

	reader_bytes(r, address, sizeof(address));
	if (len == sizeof(p->eth_src))
		memcpy(p->eth_src, address, sizeof(p->eth_src));
}

static void read_sll(struct reader *r, struct packet *p)
{
	unsigned len;

	reader_skip(r, 4); /* packet type, ARPHRD */
	len = reader_u16(r);
	read_cooked_address(r, len, p);
	p->ethertype = reader_u16(r);
}

static void read_sll2(struct reader *r, struct packet *p)
{
	unsigned len;

	p->ethertype = reader_u16(r);
	reader_skip(r, 2 + 4 + 2 + 1); /* reserved, ifindex, ARPHRD, type */
	len = reader_u8(r);
	read_cooked_address(r, len, p);
}

static void read_raw(struct reader *r, struct packet *p)
{
	struct reader peek = *r;
	unsigned version = reader_u8(&peek) >> 4;

	if (version == 4)
		p->ethertype = ETHERTYPE_IPV4;
	else if (version == 6)
		p->ethertype = ETHERTYPE_IPV6;
	else
		r->bad = true;
}

static int read_link(struct reader *r, int link, struct packet *p,
		     struct err *err)
{
	switch (link) {
	case PACKET_LINK_ETHERNET:
		read_eth(r, p);
		break;
	case PACKET_LINK_RAW:
		read_raw(r, p);
		break;
	case PACKET_LINK_LINUX_SLL:
		read_sll(r, p);
		break;
	case PACKET_LINK_IPV4:
		p->ethertype = ETHERTYPE_IPV4;
		break;
	case PACKET_LINK_LINUX_SLL2:
		read_sll2(r, p);
		break;
	default:
		return err_set(err, ENOTSUP,
			       "link type %d is not one natrig reads", link);
	}
	if (r->bad)
		return err_set(err, EBADMSG,
			       "link header cut short, or no IP in it");
	return 0;
}

static void read_udp(struct reader *r, struct packet *p)
{
	size_t length;

	p->src.port = reader_u16(r);
	p->dst.port = reader_u16(r);
	length = reader_u16(r);
	reader_skip(r, 2); /* checksum: a wrong one is worth seeing */
	p->payload_bytes = reader_left(r);
	/*
	 * A length below the header's is a lie; one beyond what is there is
	 * too, unless the rest is in later fragments or was not captured.
	 */
	if (length < UDP_BYTES)
		r->bad = true;
	else if (length - UDP_BYTES < p->payload_bytes)
		p->payload_bytes = length - UDP_BYTES;
	else if (length - UDP_BYTES > p->payload_bytes && !p->is_fragment &&
		 !p->truncated)
		r->bad = true;
	p->payload = reader_view(r, p->payload_bytes);
	p->has_ports = !r->bad;
}

static void read_tcp(struct reader *r, struct packet *p)
{
	size_t header_bytes;

	p->src.port = reader_u16(r);
	p->dst.port = reader_u16(r);
	p->tcp_seq = reader_u32(r);
	p->tcp_ack = reader_u32(r);
	header_bytes = (reader_u8(r) >> 4) * 4u;
	p->tcp_flags = reader_u8(r);
	reader_skip(r, 6); /* window, checksum, urgent pointer */
	if (header_bytes < TCP_BYTES)
		r->bad = true;
	else
		reader_skip(r, header_bytes - TCP_BYTES);
	p->payload_bytes = reader_left(r);
	p->payload = reader_view(r, p->payload_bytes);
	p->has_ports = !r->bad;
}

static void read_icmp(struct reader *r, struct packet *p)
{
	uint32_t rest;

	p->icmp_type = reader_u8(r);
	p->icmp_code = reader_u8(r);
	reader_skip(r, 2);
	rest = reader_u32(r);
	if (p->icmp_type == ICMP_ECHO || p->icmp_type == ICMP_ECHO_REPLY) {
		p->icmp_id = (uint16_t)(rest >> 16);
		p->icmp_seq = (uint16_t)rest;
	}
	p->payload_bytes = reader_left(r);
	p->payload = reader_view(r, p->payload_bytes);
}

static size_t transport_bytes(const struct packet *p)
{
	switch (p->ip_proto) {
	case PACKET_UDP:
		return UDP_BYTES;
	case PACKET_TCP:
		return TCP_BYTES;
	case PACKET_ICMP:
		return ICMP_BYTES;
	default:
		return 0;
	}
}

static void read_transport(struct reader *r, struct packet *p)
{
	/*
	 * RFC 791 lets a first fragment be smaller than the transport header:
	 * odd, but no contradiction, so it is told without its ports.
	 */
	bool cut = p->is_fragment && !p->truncated &&
		   reader_left(r) < transport_bytes(p);

	if (p->fragment_offset_bytes || cut || !transport_bytes(p)) {
		p->payload_bytes = reader_left(r);
		p->payload = reader_view(r, p->payload_bytes);
	} else if (p->ip_proto == PACKET_UDP) {
		read_udp(r, p);
	} else if (p->ip_proto == PACKET_TCP) {
		read_tcp(r, p);
	} else {
		read_icmp(r, p);
	}
}

static int read_ipv4(struct reader *r, struct packet *p, struct err *err)
{
	size_t captured_bytes = reader_left(r);
	size_t header_bytes, total_bytes;
	struct reader ip;
	unsigned version_ihl, fragment;

	p->ip = reader_view(r, captured_bytes);
	ip = reader_over(p->ip, captured_bytes);
	version_ihl = reader_u8(&ip);
	header_bytes = (version_ihl & 15) * 4u;
	reader_skip(&ip, 1); /* type of service */
	total_bytes = reader_u16(&ip);
	p->ip_id = reader_u16(&ip);
	fragment = reader_u16(&ip);
	p->ttl = reader_u8(&ip);
	p->ip_proto = reader_u8(&ip);
	reader_skip(&ip, 2); /* header checksum: a wrong one is worth seeing */
	p->src.ip = reader_u32(&ip);
	p->dst.ip = reader_u32(&ip);
	if (ip.bad || version_ihl >> 4 != 4 || header_bytes < IPV4_BYTES ||
	    total_bytes < header_bytes)
		return err_set(err, EBADMSG,
			       "IPv4 header cut short or inconsistent: "
			       "%zu bytes, first 0x%02x, total length %zu",
			       captured_bytes, version_ihl, total_bytes);
	p->is_fragment = fragment & (ip_more_fragments | ip_offset_mask);
	p->fragment_offset_bytes = (uint16_t)((fragment & ip_offset_mask) * 8);
	p->truncated = total_bytes > captured_bytes;
	/* Short Ethernet frames are padded: the IP length rules. */
	p->ip_bytes = p->truncated ? captured_bytes : total_bytes;
	ip.size_bytes = p->ip_bytes;
	reader_skip(&ip, header_bytes - IPV4_BYTES);
	read_transport(&ip, p);
	if (ip.bad)
		return err_set(err, EBADMSG,
			       "header of IP protocol %u cut short or "
			       "inconsistent in %zu bytes of IPv4",
			       p->ip_proto, p->ip_bytes);
	p->is_ipv4 = true;
	return 0;
}

int packet_decode(int link, const void *data, size_t size_bytes,
		  struct packet *packet, struct err *err)
{
	struct reader r = reader_over(data, size_bytes);
	int ret;

	*packet = (struct packet){0};
	ret = read_link(&r, link, packet, err);
	if (!ret && packet->ethertype == ETHERTYPE_IPV4)
		ret = read_ipv4(&r, packet, err);
	if (ret)
		*packet = (struct packet){0};
	return ret;
}

/* Only the last piece of a sum may be of odd size (RFC 1071). */
static uint64_t sum_add(uint64_t sum, const uint8_t *data, size_t size_bytes)
{
	for (size_t i = 0; i + 1 < size_bytes; i += 2)
		sum += (uint64_t)(data[i] << 8 | data[i + 1]);
	if (size_bytes & 1)
		sum += (uint64_t)(data[size_bytes - 1] << 8);
	return sum;
}

static uint16_t sum_finish(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint16_t packet_checksum(const void *data, size_t size_bytes)
{
	return sum_finish(sum_add(0, data, size_bytes));
}

/* UDP's checksum (RFC 768), where a zero sum is sent as all ones. */
static uint16_t udp_checksum(struct endpoint src, struct endpoint dst,
			     const uint8_t *udp, size_t udp_bytes)
{
	uint64_t sum = PACKET_UDP + udp_bytes;
	uint16_t checksum;

	sum += (src.ip >> 16) + (src.ip & 0xffff);
	sum += (dst.ip >> 16) + (dst.ip & 0xffff);
	checksum = sum_finish(sum_add(sum, udp, udp_bytes));
	return checksum ? checksum : 0xffff;
}

struct ip_fields {
	uint32_t src, dst;
	uint16_t id;
	uint8_t ttl, proto;
};

static void write_ipv4(struct writer *w, const struct ip_fields *ip,
		       size_t total_bytes)
{
	size_t start_bytes = w->at_bytes;

	/* The length field has 16 bits; a bigger packet cannot be said. */
	if (total_bytes > UINT16_MAX)
		w->bad = true;
	writer_u8(w, 0x45);
	writer_u8(w, 0);
	writer_u16(w, (uint16_t)total_bytes);
	writer_u16(w, ip->id);
	writer_u16(w, 0); /* may be fragmented */
	writer_u8(w, ip->ttl);
	writer_u8(w, ip->proto);
	writer_u16(w, 0);
	writer_u32(w, ip->src);
	writer_u32(w, ip->dst);
	if (!w->bad)
		writer_patch_u16(
			w, start_bytes + 10,
			packet_checksum(w->data + start_bytes, IPV4_BYTES));
}

int packet_encode_udp(struct endpoint src, struct endpoint dst, uint8_t ttl,
		      uint16_t ip_id, const void *payload, size_t payload_bytes,
		      void *out, size_t out_bytes)
{
	struct writer w = writer_over(out, out_bytes);
	struct ip_fields ip = {src.ip, dst.ip, ip_id, ttl, PACKET_UDP};
	size_t udp_bytes = UDP_BYTES + payload_bytes;

	write_ipv4(&w, &ip, IPV4_BYTES + udp_bytes);
	writer_u16(&w, src.port);
	writer_u16(&w, dst.port);
	writer_u16(&w, (uint16_t)udp_bytes);
	writer_u16(&w, 0);
	writer_bytes(&w, payload, payload_bytes);
	if (!w.bad)
		writer_patch_u16(
			&w, IPV4_BYTES + 6,
			udp_checksum(src, dst, w.data + IPV4_BYTES, udp_bytes));
	return writer_result(&w);
}

int packet_encode_icmp_echo(uint8_t type, uint32_t src_ip, uint32_t dst_ip,
			    uint16_t id, uint16_t seq, const void *payload,
			    size_t payload_bytes, void *out, size_t out_bytes)
{
	struct writer w = writer_over(out, out_bytes);
	/* The IP id is the sequence number: it tells echoes apart in a tap. */
	struct ip_fields ip = {src_ip, dst_ip, seq, ICMP_DEFAULT_TTL,
			       PACKET_ICMP};

	write_ipv4(&w, &ip, IPV4_BYTES + ICMP_BYTES + payload_bytes);
	writer_u8(&w, type);
	writer_u8(&w, 0);
	writer_u16(&w, 0);
	writer_u16(&w, id);
	writer_u16(&w, seq);
	writer_bytes(&w, payload, payload_bytes);
	if (!w.bad)
		writer_patch_u16(&w, IPV4_BYTES + 2,
				 packet_checksum(w.data + IPV4_BYTES,
						 ICMP_BYTES + payload_bytes));
	return writer_result(&w);
}

int packet_encode_eth(const uint8_t src[6], const uint8_t dst[6],
		      uint16_t ethertype, const void *payload,
		      size_t payload_bytes, void *out, size_t out_bytes)
{
	struct writer w = writer_over(out, out_bytes);

	writer_bytes(&w, dst, 6);
	writer_bytes(&w, src, 6);
	writer_u16(&w, ethertype);
	writer_bytes(&w, payload, payload_bytes);
	return writer_result(&w);
}

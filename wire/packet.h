/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * packet: Ethernet, IPv4, UDP, TCP and ICMP headers over byte buffers.
 *
 * Decoding gives views into the caller's buffer, valid as long as that is.
 * Sources: RFC 791, 768, 9293, 792; LINKTYPE_* of tcpdump.org.
 */
#ifndef NATRIG_WIRE_PACKET_H
#define NATRIG_WIRE_PACKET_H

#include "wire/endpoint.h"
#include "wire/err.h"

enum packet_link {
	PACKET_LINK_ETHERNET = 1,    /* LINKTYPE_ETHERNET */
	PACKET_LINK_RAW = 101,	     /* LINKTYPE_RAW: starts with IP */
	PACKET_LINK_LINUX_SLL = 113, /* LINKTYPE_LINUX_SLL */
	PACKET_LINK_IPV4 = 228,	     /* LINKTYPE_IPV4 */
	PACKET_LINK_LINUX_SLL2 = 276 /* LINKTYPE_LINUX_SLL2 */
};

enum { PACKET_ICMP = 1, PACKET_TCP = 6, PACKET_UDP = 17 };
enum {
	TCP_FLAG_FIN = 1,
	TCP_FLAG_SYN = 2,
	TCP_FLAG_RST = 4,
	TCP_FLAG_ACK = 16
};

struct packet {
	uint8_t eth_src[6], eth_dst[6]; /* zero where the link has none */
	uint16_t ethertype;
	/* All below only where is_ipv4; ports only where has_ports. */
	bool is_ipv4;
	bool has_ports;	  /* UDP or TCP, first fragment, header whole */
	bool is_fragment; /* any fragment of a fragmented datagram */
	bool truncated;	  /* capture holds less than the IP length says */
	uint8_t ip_proto;
	uint8_t ttl;
	uint16_t ip_id;
	uint16_t fragment_offset_bytes;
	struct endpoint src, dst; /* ports 0 where there are none */
	uint32_t tcp_seq, tcp_ack;
	uint8_t tcp_flags;
	uint8_t icmp_type, icmp_code;
	uint16_t icmp_id, icmp_seq; /* echo and echo reply */
	/*
	 * What follows the UDP, TCP or ICMP (8-byte) header; of any other
	 * protocol and of later fragments, what follows the IP header.
	 */
	const uint8_t *payload;
	size_t payload_bytes;
	/* The IPv4 packet itself. */
	const uint8_t *ip;
	size_t ip_bytes;
};

/*
 * Decodes one captured frame of the link type. A frame that is no IPv4 is no
 * error (is_ipv4 stays false); one whose headers are cut short or contradict
 * themselves is -EBADMSG, an unknown link type -ENOTSUP.
 */
int packet_decode(int link, const void *data, size_t size_bytes,
		  struct packet *packet, struct err *err);

/*
 * Builds an IPv4 UDP datagram, checksums included, into OUT. Returns its size
 * in bytes or -EMSGSIZE.
 */
int packet_encode_udp(struct endpoint src, struct endpoint dst, uint8_t ttl,
		      uint16_t ip_id, const void *payload, size_t payload_bytes,
		      void *out, size_t out_bytes);

/* Builds an IPv4 ICMP echo (type 8) or echo reply (type 0). */
int packet_encode_icmp_echo(uint8_t type, uint32_t src_ip, uint32_t dst_ip,
			    uint16_t id, uint16_t seq, const void *payload,
			    size_t payload_bytes, void *out, size_t out_bytes);

/* RFC 1071 sum over SIZE bytes, folded and inverted, host byte order. */
uint16_t packet_checksum(const void *data, size_t size_bytes);

/* Puts an Ethernet header (14 bytes) in front; for tests and recordings. */
int packet_encode_eth(const uint8_t src[6], const uint8_t dst[6],
		      uint16_t ethertype, const void *payload,
		      size_t payload_bytes, void *out, size_t out_bytes);

#endif

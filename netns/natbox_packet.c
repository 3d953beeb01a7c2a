/* SPDX-License-Identifier: BSD-3-Clause */
/* What a box looks at in a packet before the engine does: pure functions. */
#include "netns/natbox_own.h"

#include "wire/bytes.h"
#include "wire/packet.h"

#include <netinet/in.h>

/* Where things are in an IPv4 header, and in what follows it. */
enum {
	IPV4_BYTES = 20,
	IPV4_TOTAL = 2,
	IPV4_FRAGMENT = 6,
	IPV4_PROTO = 9,
	IPV4_SRC = 12,
	IPV4_DST = 16,
	UDP_CHECKSUM = 6,
	TCP_CHECKSUM = 16,
};

uint32_t natbox_dst(const uint8_t *packet)
{
	return bytes_get32(packet + IPV4_DST);
}

int natbox_proto(const uint8_t *packet)
{
	return packet[IPV4_PROTO];
}

/* Of the whole header, options included; 0: this is no IPv4 packet. */
static size_t header_bytes(const uint8_t *packet, size_t size_bytes)
{
	size_t bytes;

	if (size_bytes < IPV4_BYTES || packet[0] >> 4 != 4)
		return 0;
	bytes = (packet[0] & 15) * 4u;
	return bytes < IPV4_BYTES || bytes > size_bytes ? 0 : bytes;
}

void natbox_finish_checksum(uint8_t *packet, size_t size_bytes)
{
	size_t ip_bytes = header_bytes(packet, size_bytes), at, left;
	uint16_t sum;

	if (!ip_bytes || bytes_get16(packet + IPV4_TOTAL) > size_bytes ||
	    bytes_get16(packet + IPV4_TOTAL) < ip_bytes)
		return;
	left = bytes_get16(packet + IPV4_TOTAL) - ip_bytes;
	if (packet[IPV4_PROTO] == IPPROTO_UDP)
		at = UDP_CHECKSUM;
	else if (packet[IPV4_PROTO] == IPPROTO_TCP)
		at = TCP_CHECKSUM;
	else
		return;
	if (left < at + 2)
		return;
	packet += ip_bytes;
	sum = packet_checksum(packet, left);
	if (!sum && at == UDP_CHECKSUM)
		sum = 0xffff;
	packet[at] = (uint8_t)(sum >> 8);
	packet[at + 1] = (uint8_t)sum;
}

bool natbox_block_hits(const struct natbox_block *block,
		       const uint8_t *packet, size_t size_bytes)
{
	size_t ip_bytes = header_bytes(packet, size_bytes);
	int proto;

	if (!ip_bytes)
		return false;
	proto = natbox_proto(packet);
	if (bytes_get32(packet + IPV4_SRC) != block->src ||
	    natbox_dst(packet) != block->dst ||
	    (block->proto && proto != block->proto))
		return false;
	if (!block->port)
		return true;
	/* Only a first fragment has ports. */
	return (proto == IPPROTO_UDP || proto == IPPROTO_TCP) &&
	       size_bytes >= ip_bytes + 4 &&
	       !(bytes_get16(packet + IPV4_FRAGMENT) & 0x1fff) &&
	       bytes_get16(packet + ip_bytes + 2) == block->port;
}

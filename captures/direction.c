/* SPDX-License-Identifier: BSD-3-Clause */
#include "captures/direction.h"

#include "wire/packet.h"

#include <string.h>

#define MAC_BYTES 6

/* LINKTYPE_LINUX_SLL and _SLL2: 0 to 3 came in (to us, to all, to a group, to
 * another), 4 was sent by us. */
static enum direction by_packet_type(unsigned type)
{
	if (type > 4)
		return DIRECTION_UNKNOWN;
	return type == 4 ? DIRECTION_OUT : DIRECTION_IN;
}

static enum direction by_ip(const struct vantage *v, const struct frame *f)
{
	struct packet packet;

	if (!v->ip ||
	    packet_decode(v->link, f->data, f->captured_bytes, &packet, NULL) <
		    0 ||
	    !packet.is_ipv4)
		return DIRECTION_UNKNOWN;
	if (packet.src.ip == v->ip)
		return DIRECTION_OUT;
	return packet.dst.ip == v->ip ? DIRECTION_IN : DIRECTION_UNKNOWN;
}

enum direction direction_of(const struct vantage *v, const struct frame *f)
{
	static const uint8_t no_mac[MAC_BYTES];

	switch (v->link) {
	case PACKET_LINK_LINUX_SLL:
		if (f->captured_bytes >= 2)
			return by_packet_type((unsigned)f->data[0] << 8 |
					      f->data[1]);
		break;
	case PACKET_LINK_LINUX_SLL2:
		if (f->captured_bytes >= 11)
			return by_packet_type(f->data[10]);
		break;
	case PACKET_LINK_ETHERNET:
		if (f->captured_bytes < 2 * MAC_BYTES ||
		    !memcmp(v->mac, no_mac, MAC_BYTES))
			break;
		return memcmp(f->data + MAC_BYTES, v->mac, MAC_BYTES)
			       ? DIRECTION_IN
			       : DIRECTION_OUT;
	}
	return by_ip(v, f);
}

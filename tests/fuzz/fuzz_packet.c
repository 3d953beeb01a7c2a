/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/fuzz/fuzz.h"
#include "wire/packet.h"

/* The input's first byte picks the link type. */
static const int links[] = {PACKET_LINK_ETHERNET, PACKET_LINK_RAW,
			    PACKET_LINK_LINUX_SLL, PACKET_LINK_IPV4,
			    PACKET_LINK_LINUX_SLL2};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packet p;
	struct err err;

	if (!size || packet_decode(links[data[0] % 5], data + 1, size - 1, &p,
				   &err) != 0)
		return 0;
	if (!p.is_ipv4)
		return 0;
	FUZZ_HOLDS(p.ip > data && p.ip + p.ip_bytes <= data + size);
	FUZZ_HOLDS(p.payload >= p.ip + 20);
	FUZZ_HOLDS(p.payload + p.payload_bytes <= p.ip + p.ip_bytes);
	return 0;
}

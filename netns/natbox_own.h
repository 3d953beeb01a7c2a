/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of a box share: its sockets, and what packets look like. */
#ifndef NATRIG_NETNS_NATBOX_OWN_H
#define NATRIG_NETNS_NATBOX_OWN_H

#include "netns/natbox.h"

#include <stddef.h>
#include <sys/socket.h>

/*
 * A packet socket that hears what comes in through the interface, in the
 * calling thread's namespace, each with its PACKET_AUXDATA. A descriptor, or a
 * negative errno.
 */
int natbox_open_hearing(unsigned ifindex);
/* A raw socket that sends through it; 0: wherever the route leads. */
int natbox_open_sending(unsigned ifindex);
/* Whether the packet of M never saw a wire, as its PACKET_AUXDATA says. */
bool natbox_lacks_checksum(struct msghdr *m);

/*
 * Such a packet has only the sum of its pseudo-header in its checksum, where it
 * belongs: the sum over all of it is what hardware would have put there.
 */
void natbox_finish_checksum(uint8_t *packet, size_t size_bytes);
/* Of an IPv4 packet with a whole header, in host order. */
uint32_t natbox_dst(const uint8_t *packet);
int natbox_proto(const uint8_t *packet);
bool natbox_block_hits(const struct natbox_block *block, const uint8_t *packet,
		       size_t size_bytes);

#endif

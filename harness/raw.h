/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * raw: crafts UDP packets with libnet and puts them on a host's wire. The only
 * file that includes libnet's header (it favours BSD names).
 */
#ifndef NATRIG_HARNESS_RAW_H
#define NATRIG_HARNESS_RAW_H

#include "wire/endpoint.h"
#include "wire/err.h"

struct raw;

/*
 * One serves any number of hosts: setting libnet up costs a millisecond (it
 * tries for a larger send buffer 6,500 times).
 */
struct raw *raw_new(struct err *err);
void raw_free(struct raw *r); /* NULL is legal */

/*
 * A raw socket in the calling thread's namespace, where it stays. A descriptor,
 * the caller's to close, or a negative errno.
 */
int raw_socket(struct err *err);

/*
 * One UDP datagram through SOCKET_FD (of raw_socket), with the source, TTL and
 * identification given. 0 or a negative errno; a network that is down or
 * refuses (ENETDOWN, ENETUNREACH, EPERM ...) is such an error, and is the
 * caller's to judge.
 */
int raw_send_udp(struct raw *r, int socket_fd, struct endpoint src,
		 struct endpoint dst, uint8_t ttl, uint16_t ip_id,
		 const void *payload, size_t payload_bytes, struct err *err);

/* A TCP segment without options, its window all that can be told without. */
struct raw_tcp {
	uint32_t seq, ack;
	uint8_t flags; /* TCP_FLAG_* of wire/packet.h */
	const void *payload;
	size_t payload_bytes;
};
int raw_send_tcp(struct raw *r, int socket_fd, struct endpoint src,
		 struct endpoint dst, const struct raw_tcp *tcp,
		 struct err *err);

/* Whatever is in IPv4: a fragment, an ICMP message, what must not be cut. */
struct raw_ip {
	uint32_t src, dst;
	uint8_t ttl, proto;
	uint16_t id;	   /* 0: the kernel's choice */
	uint16_t fragment; /* flags and offset, as the header has them */
	const void *payload; /* its checksum, if it has one, is the caller's */
	size_t payload_bytes;
};
int raw_send_ip(struct raw *r, int socket_fd, const struct raw_ip *ip,
		struct err *err);

#endif

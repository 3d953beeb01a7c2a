/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * actions: what a sans-I/O state machine (model client, server) wants done.
 *
 * A machine is called with the lab time and one input (a packet, stream bytes,
 * a timer) and appends actions to the list it is given; the driver carries
 * them out in order, inside the machine's namespace, and empties the list.
 * Payloads are copied into the list and live until actions_clear.
 *
 * A machine's deadline function says when its timer function wants to be
 * called next (lab time in microseconds; ACTIONS_NEVER: not at all). Machines
 * never read a clock and draw randomness only from the rng they were given.
 *
 * Streams are TCP connections, named by the machine with a number (client: of
 * its own choice, at ACTION_CONNECT) or by the driver (server: at accept).
 */
#ifndef NATRIG_HARNESS_ACTIONS_H
#define NATRIG_HARNESS_ACTIONS_H

#include "wire/endpoint.h"

#define ACTIONS_NEVER UINT64_MAX

enum action_kind {
	ACTION_UDP,	/* src.port -> dst, payload; src.ip 0: the node's own */
	/* Open stream to dst; answer: on_connected or on_closed. */
	ACTION_CONNECT,
	ACTION_WRITE,	/* payload onto the stream */
	ACTION_CLOSE,	/* no on_closed follows */
	ACTION_UPNP	/* a blocking IGD request, done beside the loop; answer:
			 * client_on_upnp */
};

enum upnp_op { UPNP_MAP, UPNP_UNMAP };

struct upnp_request {
	enum upnp_op op;
	char url[160]; /* of the root description, from the SSDP answer */
	uint16_t internal_port, external_port;
	uint32_t lease_s; /* 0: permanent */
};

struct upnp_answer {
	enum upnp_op op;
	/* 0, a UPnP error (positive: 402, 718, 725 ...), or -errno. */
	int error;
	uint32_t external_ip;
	uint16_t external_port;
	uint32_t lease_s;
};

struct action {
	enum action_kind kind;
	uint32_t stream;
	struct endpoint src, dst;
	uint8_t ttl; /* 0: the default, 64 */
	size_t payload_at, payload_bytes; /* see actions_payload */
	struct upnp_request upnp;
};

struct actions {
	struct action *list;
	size_t count, room;
	uint8_t *bytes;
	size_t bytes_used, bytes_room;
	bool failed; /* memory ran out: something is missing */
};

void actions_init(struct actions *a);
void actions_free(struct actions *a); /* of the contents */
void actions_clear(struct actions *a);
const uint8_t *actions_payload(const struct actions *a,
			       const struct action *one);

void actions_udp(struct actions *a, struct endpoint src, struct endpoint dst,
		 const void *payload, size_t payload_bytes);
void actions_connect(struct actions *a, uint32_t stream, struct endpoint dst);
void actions_write(struct actions *a, uint32_t stream, const void *payload,
		   size_t payload_bytes);
void actions_close(struct actions *a, uint32_t stream);
void actions_upnp(struct actions *a, const struct upnp_request *request);

#endif

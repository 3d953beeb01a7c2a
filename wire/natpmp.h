/* SPDX-License-Identifier: BSD-3-Clause */
/* natpmp: NAT Port Mapping Protocol, RFC 6886. UDP port 5351 of the gateway. */
#ifndef NATRIG_WIRE_NATPMP_H
#define NATRIG_WIRE_NATPMP_H

#include "wire/endpoint.h"
#include "wire/err.h"

#define NATPMP_PORT 5351
#define NATPMP_MAX_BYTES 16

enum natpmp_op { NATPMP_ADDRESS = 0, NATPMP_MAP_UDP = 1, NATPMP_MAP_TCP = 2 };
enum natpmp_result {
	NATPMP_SUCCESS = 0,
	NATPMP_BAD_VERSION = 1,
	NATPMP_REFUSED = 2,
	NATPMP_NETWORK_FAILURE = 3,
	NATPMP_OUT_OF_RESOURCES = 4,
	NATPMP_BAD_OPCODE = 5
};

struct natpmp_message {
	bool response;
	uint8_t op;		/* enum natpmp_op, without the response bit */
	uint16_t result;	/* response */
	uint32_t epoch_s;	/* response */
	uint32_t external_ip;	/* address response; host order */
	uint16_t internal_port; /* map */
	uint16_t external_port; /* map */
	uint32_t lifetime_s;	/* map */
};

/*
 * 0, or -EBADMSG: another version, or cut short. An op beyond 2 is let pass; a
 * failure may lack what comes after its epoch (RFC 6886 3.5).
 */
int natpmp_decode(const void *data, size_t size_bytes, struct natpmp_message *m,
		  struct err *err);
/* Bytes written, or -EMSGSIZE. */
int natpmp_encode(const struct natpmp_message *m, void *out, size_t out_bytes);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pcp: Port Control Protocol, RFC 6887: MAP and ANNOUNCE, requests and
 * responses. UDP port 5351 of the gateway, which NAT-PMP shares: the first
 * byte, the version, tells them apart. No I/O, no clock, no allocation; the
 * nonce is given.
 *
 * Addresses are IPv4-mapped IPv6 on the wire and host-order IPv4 here; an
 * IPv6 one is read as 0.
 */
#ifndef NATRIG_WIRE_PCP_H
#define NATRIG_WIRE_PCP_H

#include "wire/endpoint.h"
#include "wire/err.h"

#define PCP_PORT 5351
#define PCP_VERSION 2
#define PCP_NONCE_BYTES 12
#define PCP_HEADER_BYTES 24
#define PCP_MAP_BYTES 60
#define PCP_MAX_BYTES 1100 /* RFC 6887 7: no message is longer */

enum pcp_op { PCP_ANNOUNCE = 0, PCP_MAP = 1, PCP_PEER = 2 };

/* RFC 6887 7.4 */
enum pcp_result {
	PCP_SUCCESS = 0,
	PCP_UNSUPP_VERSION = 1,
	PCP_NOT_AUTHORIZED = 2,
	PCP_MALFORMED_REQUEST = 3,
	PCP_UNSUPP_OPCODE = 4,
	PCP_UNSUPP_OPTION = 5,
	PCP_MALFORMED_OPTION = 6,
	PCP_NETWORK_FAILURE = 7,
	PCP_NO_RESOURCES = 8,
	PCP_UNSUPP_PROTOCOL = 9,
	PCP_USER_EX_QUOTA = 10,
	PCP_CANNOT_PROVIDE_EXTERNAL = 11,
	PCP_ADDRESS_MISMATCH = 12,
	PCP_EXCESSIVE_REMOTE_PEERS = 13
};

struct pcp_message {
	bool response;
	uint8_t op;	     /* enum pcp_op, without the response bit */
	uint8_t result;	     /* response */
	uint32_t lifetime_s; /* 0 in a MAP request: delete */
	uint32_t epoch_s;    /* response */
	uint32_t client_ip;  /* request */
	/* MAP */
	uint8_t nonce[PCP_NONCE_BYTES];
	uint8_t protocol; /* IANA's: 17 UDP, 6 TCP, 0 all */
	uint16_t internal_port;
	uint16_t external_port; /* request: suggested; 0: any */
	uint32_t external_ip;	/* request: suggested; 0: any */
	bool prefer_failure;	/* option 2: the suggested port or none */
	/* First option that must be understood and is not; 0: none. */
	uint8_t unknown_option;
};

/* True where the first byte is PCP's version and a header follows. */
bool pcp_looks_like(const void *data, size_t size_bytes);

/*
 * 0, or -EBADMSG with the reason. Of an op other than MAP only the header is
 * read. A failure response may lack what comes after its header.
 */
int pcp_decode(const void *data, size_t size_bytes, struct pcp_message *m,
	       struct err *err);

/* Bytes written, or -EMSGSIZE. An op other than MAP is a header alone. */
int pcp_encode(const struct pcp_message *m, void *out, size_t out_bytes);

#endif

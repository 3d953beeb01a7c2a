/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stun: STUN binding messages (RFC 8489) and NAT behaviour discovery's
 * attributes (RFC 5780). No I/O, no clock, no allocation.
 */
#ifndef NATRIG_WIRE_STUN_H
#define NATRIG_WIRE_STUN_H

#include "wire/endpoint.h"
#include "wire/err.h"

#define STUN_TXID_BYTES 12
#define STUN_MAX_BYTES 1280
#define STUN_PORT 3478

enum stun_class {
	STUN_REQUEST = 0,
	STUN_INDICATION = 1,
	STUN_SUCCESS = 2,
	STUN_ERROR = 3
};

enum { STUN_METHOD_BINDING = 1 };
enum { STUN_CHANGE_IP = 4, STUN_CHANGE_PORT = 2 }; /* RFC 5780 7.2 */

struct stun_message {
	enum stun_class class;
	uint16_t method;
	uint8_t txid[STUN_TXID_BYTES];
	struct endpoint mapped; /* XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS */
	struct endpoint response_origin; /* RFC 5780; ip 0: absent */
	struct endpoint other_address;	 /* RFC 5780; ip 0: absent */
	uint32_t change_request;	 /* STUN_CHANGE_* bits */
	uint16_t response_port;		 /* RESPONSE-PORT; 0: absent */
	uint16_t padding_bytes;		 /* PADDING; 0: absent */
	uint16_t error_code;		 /* 300..699; 0: absent */
	char error_reason[64];
	char software[64];
	bool fingerprint;	      /* present (and right, when decoded) */
	uint16_t unknown_required[8]; /* comprehension-required, not known */
	unsigned unknown_required_count;
};

/* True where the first bytes are a STUN header with the magic cookie. */
bool stun_looks_like(const void *data, size_t size_bytes);

/* -EBADMSG with the reason for anything that is not a well-formed message. */
int stun_decode(const void *data, size_t size_bytes, struct stun_message *m,
		struct err *err);

/* Bytes written, or -EMSGSIZE. FINGERPRINT is appended where m->fingerprint. */
int stun_encode(const struct stun_message *m, void *out, size_t out_bytes);

#endif

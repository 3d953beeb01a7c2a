/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wireguard: the cleartext of WireGuard's four messages (whitepaper 5.4).
 * Integers are little-endian. Sealed fields are opaque bytes here.
 */
#ifndef NATRIG_WIRE_WIREGUARD_H
#define NATRIG_WIRE_WIREGUARD_H

#include "wire/endpoint.h"
#include "wire/err.h"

#define WIREGUARD_KEY_BYTES 32
#define WIREGUARD_INITIATION_BYTES 148
#define WIREGUARD_RESPONSE_BYTES 92
#define WIREGUARD_COOKIE_BYTES 64
#define WIREGUARD_DATA_HEADER_BYTES 16
#define WIREGUARD_TAG_BYTES 16

enum wireguard_type {
	WIREGUARD_INITIATION = 1,
	WIREGUARD_RESPONSE = 2,
	WIREGUARD_COOKIE = 3,
	WIREGUARD_DATA = 4
};

struct wireguard_message {
	uint8_t type;		      /* enum wireguard_type */
	uint32_t sender;	      /* initiation, response */
	uint32_t receiver;	      /* response, cookie, data */
	uint64_t counter;	      /* data */
	uint8_t ephemeral[32];	      /* initiation, response */
	uint8_t sealed_static[48];    /* initiation: key 32 + tag 16 */
	uint8_t sealed_timestamp[28]; /* initiation: TAI64N 12 + tag 16 */
	uint8_t sealed_nothing[16];   /* response */
	uint8_t mac1[16], mac2[16];   /* initiation, response */
	/* A view: the sealed packet (data), nonce and cookie (cookie). */
	const uint8_t *packet;
	size_t packet_bytes;
};

/* True for one of the four types with its exact (data: least) size. */
bool wireguard_looks_like(const void *data, size_t size_bytes);
/* 0, or -EBADMSG where wireguard_looks_like() is false. */
int wireguard_decode(const void *data, size_t size_bytes,
		     struct wireguard_message *m, struct err *err);
/*
 * Bytes written, -EMSGSIZE, or -EINVAL: an unknown type, or a packet whose size
 * no message of its type has.
 */
int wireguard_encode(const struct wireguard_message *m, void *out,
		     size_t out_bytes);

#endif

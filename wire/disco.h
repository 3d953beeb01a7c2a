/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * disco: Tailscale's path discovery messages, sealed with NaCl boxes.
 *
 * magic "TS\xf0\x9f\x92\xac" (6), sender's disco public key (32), nonce (24),
 * box (X25519-XSalsa20-Poly1305) of: type (1), version (1) = 0, payload.
 * Trailing bytes of a payload are ignored. Randomness (the nonce) is given.
 * The program calls libsodium's sodium_init() once before it seals or opens.
 */
#ifndef NATRIG_WIRE_DISCO_H
#define NATRIG_WIRE_DISCO_H

#include "wire/endpoint.h"
#include "wire/err.h"

#define DISCO_KEY_BYTES 32
#define DISCO_NONCE_BYTES 24
#define DISCO_TXID_BYTES 12
#define DISCO_MAX_ENDPOINTS 32
#define DISCO_HEADER_BYTES (6 + DISCO_KEY_BYTES + DISCO_NONCE_BYTES)
#define DISCO_MAX_BYTES 1400

enum disco_type { DISCO_PING = 1, DISCO_PONG = 2, DISCO_CALL_ME_MAYBE = 3 };

struct disco_message {
	uint8_t type; /* enum disco_type, or another value when decoded */
	uint8_t txid[DISCO_TXID_BYTES];	   /* ping, pong */
	bool has_node_key;		   /* ping */
	uint8_t node_key[DISCO_KEY_BYTES]; /* ping */
	size_t padding_bytes;		   /* ping */
	struct endpoint observed;	   /* pong: source that the ping had */
	struct endpoint endpoints[DISCO_MAX_ENDPOINTS]; /* call-me-maybe */
	unsigned endpoint_count; /* IPv6 ones are skipped */
};

/* True where the magic is there and the size holds a header and a box. */
bool disco_looks_like(const void *data, size_t size_bytes);

/* The sender's disco public key, in clear; -EBADMSG where it is no DISCO. */
int disco_sender(const void *data, size_t size_bytes,
		 uint8_t sender_key[static DISCO_KEY_BYTES]);

/*
 * What the kind must be judging by size alone, for those who have no keys:
 * 110 bytes a pong; 124 or more a ping; over the relay 80 + 18 n (n endpoints)
 * a call-me-maybe. 0: cannot tell.
 */
int disco_kind_by_size(size_t size_bytes, bool over_relay);

/* Seals to RECIPIENT_PUB. Bytes written, -EMSGSIZE, or -EINVAL (bad key). */
int disco_seal(const struct disco_message *m,
	       const uint8_t sender_pub[static DISCO_KEY_BYTES],
	       const uint8_t sender_secret[static DISCO_KEY_BYTES],
	       const uint8_t recipient_pub[static DISCO_KEY_BYTES],
	       const uint8_t nonce[static DISCO_NONCE_BYTES], void *out,
	       size_t out_bytes);

/* Opens; -EBADMSG: no DISCO, or cut short; -EACCES: the box does not open. */
int disco_open(const void *data, size_t size_bytes,
	       const uint8_t recipient_secret[static DISCO_KEY_BYTES],
	       struct disco_message *m, struct err *err);

#endif

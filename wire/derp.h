/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * derp: frames of Tailscale's relay protocol, version 2, and the HTTP upgrade
 * that opens it. Sans I/O: bytes of a TCP stream go in, whole frames come out.
 * Frame: type (1), length (4, big-endian), body.
 * The program calls libsodium's sodium_init() once before it makes or opens
 * client and server info.
 */
#ifndef NATRIG_WIRE_DERP_H
#define NATRIG_WIRE_DERP_H

#include "wire/endpoint.h"
#include "wire/err.h"

#define DERP_KEY_BYTES 32
#define DERP_NONCE_BYTES 24
#define DERP_FRAME_HEADER_BYTES 5
#define DERP_MAX_PACKET_BYTES 65536
#define DERP_MAX_FRAME_BYTES (DERP_MAX_PACKET_BYTES + DERP_KEY_BYTES)
#define DERP_PROTOCOL_VERSION 2

enum derp_type {
	DERP_SERVER_KEY = 0x01,	 /* "DERP\U0001f511", key */
	DERP_CLIENT_INFO = 0x02, /* key, nonce, box of JSON */
	DERP_SERVER_INFO = 0x03, /* nonce, box of JSON */
	DERP_SEND_PACKET = 0x04, /* destination key, packet */
	DERP_RECV_PACKET = 0x05, /* source key, packet */
	DERP_KEEP_ALIVE = 0x06,
	DERP_NOTE_PREFERRED = 0x07, /* one byte */
	DERP_PEER_GONE = 0x08,	    /* key, reason */
	DERP_FORWARD_PACKET = 0x0a,
	DERP_PING = 0x12, /* 8 bytes */
	DERP_PONG = 0x13, /* 8 bytes */
	DERP_HEALTH = 0x14,
	DERP_RESTARTING = 0x15
};

struct derp_frame {
	uint8_t type;
	const uint8_t *body; /* view */
	size_t body_bytes;
	/* Views into the body of those types that have them, else NULL / 0. */
	const uint8_t *key;
	const uint8_t *packet;
	size_t packet_bytes;
};

/*
 * One frame off the front of DATA. Bytes consumed; 0: more bytes are needed;
 * -EBADMSG: too long, or a body too short for its type. Unknown types pass.
 */
int derp_decode(const void *data, size_t size_bytes, struct derp_frame *frame,
		struct err *err);

/* Raw frame. Bytes written or -EMSGSIZE. */
int derp_encode(uint8_t type, const void *body, size_t body_bytes, void *out,
		size_t out_bytes);

/* Send (destination key) and receive (source key) frames. */
int derp_encode_packet(uint8_t type, const uint8_t key[static DERP_KEY_BYTES],
		       const void *packet, size_t packet_bytes, void *out,
		       size_t out_bytes);

int derp_encode_server_key(const uint8_t key[static DERP_KEY_BYTES], void *out,
			   size_t out_bytes);

/* Client info: client's public key, nonce, box of JSON to the server's key. */
int derp_encode_client_info(const uint8_t pub[static DERP_KEY_BYTES],
			    const uint8_t secret[static DERP_KEY_BYTES],
			    const uint8_t server_pub[static DERP_KEY_BYTES],
			    const uint8_t nonce[static DERP_NONCE_BYTES],
			    const char *json, void *out, size_t out_bytes);

/* Opens one; JSON gets a NUL. -EBADMSG, -EACCES (box), -EMSGSIZE. */
int derp_open_client_info(const struct derp_frame *frame,
			  const uint8_t server_secret[static DERP_KEY_BYTES],
			  uint8_t client_pub[static DERP_KEY_BYTES], char *json,
			  size_t json_bytes);

int derp_encode_server_info(const uint8_t secret[static DERP_KEY_BYTES],
			    const uint8_t client_pub[static DERP_KEY_BYTES],
			    const uint8_t nonce[static DERP_NONCE_BYTES],
			    const char *json, void *out, size_t out_bytes);

int derp_open_server_info(const struct derp_frame *frame,
			  const uint8_t secret[static DERP_KEY_BYTES],
			  const uint8_t server_pub[static DERP_KEY_BYTES],
			  char *json, size_t json_bytes);

/* The HTTP request and answer that open the stream. */
int derp_encode_upgrade_request(const char *host, void *out, size_t out_bytes);
int derp_encode_upgrade_response(void *out, size_t out_bytes);
/*
 * Bytes of HTTP header at the front of DATA; 0: not complete yet; -EBADMSG: it
 * is no upgrade to DERP (as_server: a request is wanted, else a 101 response).
 */
int derp_decode_upgrade(const void *data, size_t size_bytes, bool as_server,
			struct err *err);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * real: what is known of real clients by those who look at their packets
 * without their keys, and what their programs are told (clients/README.md).
 */
#ifndef NATRIG_HARNESS_REAL_H
#define NATRIG_HARNESS_REAL_H

#include "harness/environment.h"

/* The IP packet that a data ping of a real client sends inside the tunnel. */
#define REAL_ECHO_BYTES 400

/* The least that an echo may be: an IP header and ICMP's. */
#define REAL_LEAST_ECHO_BYTES 28

/*
 * Whether a UDP payload of this size can be an IP packet of ECHO_BYTES, or its
 * reply, as a tunnel wraps it: headers, padding and an authenticator around.
 */
static inline bool real_can_carry(size_t echo_bytes, size_t payload_bytes)
{
	return payload_bytes >= echo_bytes && payload_bytes <= echo_bytes + 112;
}

/*
 * Whether it is one of the messages about the tunnel, not what goes through it:
 * STUN, DISCO, and WireGuard's handshakes and keep-alives.
 */
bool real_is_about_tunnel(const uint8_t *payload, size_t payload_bytes);

/* NATRIG_CACHE and NATRIG_CLIENT_VERSION; 0 or -ENOMEM. */
int real_environment(const char *version, struct environment *env);

#endif

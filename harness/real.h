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

/*
 * Whether a UDP payload of this size can be that packet, or its reply, as a
 * tunnel wraps it: headers, padding and an authenticator around it.
 */
static inline bool real_can_carry(size_t payload_bytes)
{
	return payload_bytes >= REAL_ECHO_BYTES &&
	       payload_bytes <= REAL_ECHO_BYTES + 112;
}

/* NATRIG_CACHE and NATRIG_CLIENT_VERSION; 0 or -ENOMEM. */
int real_environment(const char *version, struct environment *env);

#endif

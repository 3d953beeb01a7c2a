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

/* Opens in the calling thread's namespace, and stays there. */
struct raw *raw_new(struct err *err);
void raw_free(struct raw *r); /* NULL is legal */

/*
 * One UDP datagram with the source, TTL and identification given. 0 or a
 * negative errno; a network that is down or refuses (ENETDOWN, ENETUNREACH,
 * EPERM ...) is such an error, and is the caller's to judge.
 */
int raw_send_udp(struct raw *r, struct endpoint src, struct endpoint dst,
		 uint8_t ttl, uint16_t ip_id, const void *payload,
		 size_t payload_bytes, struct err *err);

#endif
